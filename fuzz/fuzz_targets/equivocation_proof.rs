//! Proofs of equivocation have no bytes of their own yet, so their parts are arbitrary: nobody can be framed who did
//! not sign twice.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_event::{Branch, ChannelId, Equivocation, EventHash, LogId, SpaceId, Step};
use terachat_fuzz::owner;

#[derive(Arbitrary, Debug)]
struct Side {
    previous: [u8; 32],
    steps: Vec<(Vec<u8>, [u8; 32])>,
    signature: [u8; 64],
}

fuzz_target!(|input: ([u8; 32], Option<[u8; 32]>, [Side; 2])| {
    let (space, channel, sides) = input;
    let branches = sides.map(|side| Branch {
        previous: EventHash(side.previous),
        steps: side.steps.into_iter().map(|(header, payload_hash)| Step { header, payload_hash }).collect(),
        signature: side.signature,
    });
    let log = LogId { space: SpaceId(space), channel: channel.map(ChannelId) };
    assert!(Equivocation { log, author: owner().id(), branches }.verify().is_err());
});
