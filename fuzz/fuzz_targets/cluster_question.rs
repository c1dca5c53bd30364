//! What guests ask of a node, strangers among them, and what they are told: any bytes are a value or none, and a value is written as it
//! was read.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_cluster::ClusterId;
use terachat_cluster::wire::{Ask, Ends, Told};

fuzz_target!(|bytes: &[u8]| {
    if let Some(ask) = Ask::decode(bytes) {
        assert_eq!(Ask::decode(&ask.encode()).as_ref(), Some(&ask));
        let cluster = ClusterId([1; 16]);
        match &ask {
            Ask::Hello(hello) => {
                let ends = Ends { cluster, node: [2; 32], connection: [3; 32] };
                let _ = ends.is_signed(hello, &[4; 32]);
            }
            Ask::Admit(admission) => drop(admission.is_signed(cluster)),
            _ => {}
        }
    }
    if let Some(told) = Told::decode(bytes) {
        assert_eq!(Told::decode(&told.encode()), Some(told));
    }
});
