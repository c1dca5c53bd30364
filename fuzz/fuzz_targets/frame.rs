//! Frames from an authenticated peer, a member or a stranger, against a device: an error, a wait, an answer, but nothing
//! on disk or in the state changes, since nothing here is signed. The first byte says who sends, the second where
//! one frame ends.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use terachat_client::Client;
use terachat_fuzz::{Pair, pair, state};

thread_local! {
    static PAIR: RefCell<Option<(Pair, u32)>> = const { RefCell::new(None) };
}

/// Peers' states grow a little with each frame, so a device does not live for ever.
const LIFE: u32 = 2000;

fuzz_target!(|bytes: &[u8]| {
    let Some(([who, cut], frames)) = bytes.split_first_chunk() else { return };
    PAIR.with_borrow_mut(|kept| {
        let (pair, age) = kept.get_or_insert_with(|| (pair(), 0));
        let peer = if who & 1 == 0 { pair.bob } else { [7; 32] };
        let before = state(&mut pair.ann);
        pair.ann.connected(peer);
        let (first, second) = frames.split_at(usize::from(*cut).min(frames.len()));
        for frame in [first, second] {
            let _ = pair.ann.receive(peer, frame.to_vec(), 1);
            drain(&mut pair.ann);
        }
        pair.ann.disconnected(peer);
        assert_eq!(state(&mut pair.ann), before);
        *age += 1;
        if *age > LIFE {
            *kept = None;
        }
    });
});

fn drain(client: &mut Client) {
    while client.poll_frame().is_some() {}
    while client.poll_notice().is_some() {}
}
