//! Bundles, of plain and of sealed content. The first byte says which bytes follow: a whole bundle, or the batch of
//! one with its packed chunks, which random bytes would rarely get past the compression.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_core_store::model::EpochKey;
use terachat_core_store::sync::{Bundle, Limits, decode_batch};
use terachat_event::ChannelId;
use terachat_fuzz::{Counter, secret};

fuzz_target!(|bytes: &[u8]| {
    let Some((shape, bytes)) = bytes.split_first() else { return };
    let key = EpochKey::derive(&secret(1), &ChannelId([2; 32]));
    if shape & 1 == 0 {
        if let Ok(bundle) = Bundle::decode(bytes, Limits::PEER) {
            let key = bundle.batch.key.is_some().then_some(&key);
            let _ = bundle.open_chunks(key);
        }
        return;
    }
    // Payloads are whatever the batch says, cut short where there would be too much of them for a fuzzer.
    let Ok(batch) = decode_batch(bytes, Limits { events: 1 << 10, payload_len: 1 << 20 }) else { return };
    let key = batch.key.is_some().then_some(&key);
    let mut from = 0;
    let chunks: Vec<Vec<u8>> = batch
        .chunk_ends()
        .into_iter()
        .map(|end| {
            let len = batch.events[from..end].iter().map(|event| event.payload_len as usize).sum();
            from = end;
            vec![b'x'; len]
        })
        .collect();
    let packed = Bundle::pack(batch, &chunks, key, &mut Counter::default());
    let read = Bundle::decode(&packed.encode(), Limits::PEER).expect("what was packed is read");
    assert_eq!(read.batch, packed.batch);
    assert_eq!(read.open_chunks(key).expect("and opens"), chunks);
});
