//! Proofs of equivocation: one proof, one encoding; and nobody can be framed who did not sign twice. Half of the inputs
//! are bytes, half are parts.
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

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Bytes(&'a [u8]),
    Parts([u8; 32], Option<[u8; 32]>, [Side; 2]),
}

fuzz_target!(|input: Input<'_>| {
    let (space, channel, sides) = match input {
        Input::Bytes(bytes) => {
            if let Ok(proof) = Equivocation::decode(bytes) {
                assert_eq!(proof.encode(), bytes);
                assert!(proof.verify().is_err());
            }
            return;
        }
        Input::Parts(space, channel, sides) => (space, channel, sides),
    };
    let branches = sides.map(|side| Branch {
        previous: EventHash(side.previous),
        steps: side.steps.into_iter().map(|(header, payload_hash)| Step { header, payload_hash }).collect(),
        signature: side.signature,
    });
    let log = LogId { space: SpaceId(space), channel: channel.map(ChannelId) };
    let proof = Equivocation { log, author: owner().id(), branches };
    assert!(proof.verify().is_err());
    if let Ok(read) = Equivocation::decode(&proof.encode()) {
        assert_eq!(read.encode(), proof.encode());
    }
});
