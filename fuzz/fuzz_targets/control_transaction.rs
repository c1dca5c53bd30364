//! Payloads of control events, and the checks on what is inside.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_core_store::model::{ControlOp, ControlTransaction};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(transaction) = ControlTransaction::decode(bytes) {
        assert_eq!(ControlTransaction::decode(&transaction.encode()), Ok(transaction.clone()));
        for op in &transaction.0 {
            if let ControlOp::Genesis { owner: card, .. } | ControlOp::Admit { card, .. } = op {
                let _ = card.is_genuine();
            }
        }
    }
});
