//! The head of every frame between two processes of a cluster: what is read is written with the same bytes.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_cluster::wire::Frame;

fuzz_target!(|bytes: &[u8]| {
    if let Some(frame) = Frame::read(bytes) {
        assert_eq!(frame.encode(), bytes);
    }
});
