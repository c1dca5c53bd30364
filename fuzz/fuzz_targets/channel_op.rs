//! Payloads of channel events.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_core_store::model::ChannelOp;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(op) = ChannelOp::decode(bytes) {
        let again = op.encode();
        assert_eq!(ChannelOp::decode(&again), Ok(op));
    }
});
