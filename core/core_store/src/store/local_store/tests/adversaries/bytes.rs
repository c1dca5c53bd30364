//! Attacks by what is sent rather than by what is signed: a peer or a board that hands over anything at all.
use super::*;
use crate::store::compress;
use crate::sync::{Limits, decode_batch, encode_batch};
use crate::testing::Dice;
use terachat_event::SpaceId;

/// Most bytes of a batch's description and of a chunk, unpacked: `docs/format/bundle.md`.
const META_LEN_MAX: usize = 16 << 20;
const CHUNK_LEN_MAX: usize = 2 << 20;

fn malformed(why: &'static str) -> Result<Outcome, Error> {
    Err(Error::Malformed(why))
}

/// A Zstandard frame as a packed part: `len` zeros in some thousandth of that, with and without saying so.
fn bombs(len: usize) -> [Vec<u8>; 2] {
    let zeros = vec![0; len];
    [compress(&zeros, 3), zstd::stream::encode_all(&zeros[..], 3).unwrap()].map(|frame| {
        assert!(frame.len() < len / 1000);
        [vec![1], frame].concat()
    })
}

#[test]
fn bombs_in_bundles_do_not_go_off() {
    let (mut a, _, c, log) = club();
    let honest = Forgery::next(&c, log, &text("small")).bundle();
    let (head, parts) = parts(&honest);
    let burst = || malformed("compressed bytes are damaged or too many");
    // In the description, which anybody can make; ten times, to see that nothing of it stays.
    for bomb in bombs(META_LEN_MAX + 1).iter().cycle().take(10) {
        comes_to(&mut a, log, &join(&head, &[bomb.clone(), parts[1].clone()]), burst());
    }
    // As large as it may be: unpacked, and read no further than its first number.
    let large = bombs(META_LEN_MAX).map(|bomb| join(&head, &[bomb, parts[1].clone()]));
    large.iter().for_each(|bytes| comes_to(&mut a, log, bytes, malformed("another format version")));
    // In a chunk, which takes a member's key to seal.
    let key = Forgery::next(&c, log, &text("")).key();
    let seal = key.bundle_key(head[1..].try_into().unwrap());
    let sealed = |mut part: Vec<u8>| {
        seal.seal(&[0; 12], &[], &mut part);
        join(&head, &[parts[0].clone(), part])
    };
    for bomb in bombs(CHUNK_LEN_MAX + 1) {
        comes_to(&mut a, log, &sealed(bomb), burst());
    }
    for bomb in bombs(CHUNK_LEN_MAX) {
        let why = "a chunk's length is not what its events say";
        comes_to(&mut a, log, &sealed(bomb), malformed(why));
    }
    comes_to(&mut a, log, &sealed(vec![2; 9]), malformed("a packed part has an unknown flag or is too long"));
    assert!(matches!(a.take(&honest), Ok(Outcome::Applied { .. })));
}

#[test]
fn batches_that_announce_too_much_are_refused_before_room_is_made() {
    let (mut a, _, c, log) = club();
    let honest = Forgery::next(&c, log, &text("small"));
    let (head, parts) = parts(&honest.bundle());
    let batch = honest.batch().1;
    let meta = encode_batch(&batch);
    // Behind version, space, channel and key: how many authors, control lists and events there are.
    let counts = 1 + 32 + 33 + 34;
    assert_eq!(meta[counts..counts + 3], [1, 1, 1]);
    for at in counts..counts + 3 {
        let mut bytes = meta[..at].to_vec();
        put(&mut bytes, u64::MAX);
        bytes.extend_from_slice(&meta[at + 1..]);
        let bytes = join(&head, &[[vec![0], bytes].concat(), parts[1].clone()]);
        comes_to(&mut a, log, &bytes, malformed("a count is beyond its limit"));
    }
    // One event as large as an event can be said to be, and one beyond; 65 of the largest in one batch.
    let mut large = batch.clone();
    large.events[0].payload_len = 1 << 20;
    let bytes = honest.pack(large.clone(), std::slice::from_ref(&honest.payload));
    comes_to(&mut a, log, &bytes, malformed("a chunk's length is not what its events say"));
    large.events = vec![large.events[0]; 65];
    large.authors[0].count = 65;
    assert_eq!(
        decode_batch(&encode_batch(&large), Limits::PEER),
        Err(Error::Malformed("more payload than one batch may hold"))
    );
    large.events[0].payload_len += 1;
    let bytes = honest.pack(large, &[]);
    comes_to(&mut a, log, &bytes, malformed("an index points nowhere"));
}

#[test]
fn a_bundle_of_one_channel_does_not_pass_for_anothers() {
    let (mut a, _, mut c, log) = club();
    let other = a.create_channel(log.space, "other");
    let there = SpaceId([6; 32]);
    c.pull(&mut a).unwrap();
    let forged = Forgery::next(&c, log, &text("said in general"));
    let (head, parts) = parts(&forged.bundle());
    let relabelled = |to: LogId| {
        let mut batch = forged.batch().1;
        batch.log = to;
        batch
    };
    // A carrier, who has no key, changes the label alone.
    let meta = [vec![0], encode_batch(&relabelled(other))].concat();
    comes_to(&mut a, log, &join(&head, &[meta, parts[1].clone()]), Err(Error::Sealed));
    // A member seals it anew under the other channel's key: what is signed says where it belongs.
    let name = EventRef { author: c.id(), seq: 1 };
    let key = a.store.epoch_key(&other, Some(&key_of(log.space))).unwrap();
    let chunks = [forged.payload.clone()];
    let bytes = Bundle::pack(relabelled(other), &chunks, Some(&key), &mut Counter::default()).encode();
    let refused = Err(terachat_event::Error::Signature(name).into());
    comes_to(&mut a, log, &bytes, refused);
    // In channels and spaces that are not here it waits.
    let nowhere = LogId::channel(log.space, terachat_event::ChannelId([7; 32]));
    let bytes = forged.pack(relabelled(nowhere), &chunks);
    comes_to(&mut a, log, &bytes, Ok(Outcome::Waits(Wait::Channel(nowhere.channel.unwrap()))));
    let bytes = forged.pack(relabelled(LogId::channel(there, log.channel.unwrap())), &chunks);
    comes_to(&mut a, log, &bytes, Ok(Outcome::Waits(Wait::Space(there))));
    let mut control = relabelled(LogId::control(log.space));
    comes_to(
        &mut a,
        log,
        &forged.pack(control.clone(), &chunks),
        malformed("channel events are sealed under an epoch, control events are not"),
    );
    control.key = None;
    control.controls = Vec::new();
    control.events[0].parents = 0;
    let bytes = Bundle::pack(control, &chunks, None, &mut Counter::default()).encode();
    // A first event without parents in a control log is a genesis, and this is not the one that the space is named after.
    comes_to(&mut a, log, &bytes, Err(Error::Genesis));
}

#[test]
fn a_bundle_cut_short_anywhere_is_refused() {
    let (mut a, mut b, _, log) = club();
    b.post(log, &[text("one"), text("two")]).unwrap();
    let whole = b.bundles_for(&a, log).remove(0);
    let before = Held::by(&a, log);
    for len in 0..whole.len() {
        let refused = a.take(&whole[..len]);
        assert!(matches!(refused, Err(Error::Malformed(_))), "{len} bytes: {refused:?}");
    }
    let longer = [&whole[..], &[0]].concat();
    assert_eq!(a.take(&longer), malformed("bytes behind its end"));
    assert_eq!(Held::by(&a, log), before);
    // A chunk that is shorter, with a length that says so.
    let (head, mut parts) = parts(&whole);
    let chunk = parts.pop().unwrap();
    for len in 0..chunk.len() {
        let bytes = join(&head, &[parts[0].clone(), chunk[..len].to_vec()]);
        assert_eq!(a.take(&bytes), Err(Error::Sealed));
    }
    assert_eq!(Held::by(&a, log), before);
    assert!(matches!(a.take(&whole), Ok(Outcome::Applied { .. })));
}

#[test]
fn garbage_is_refused() {
    let (mut a, mut b, _, log) = club();
    b.say(log, "true words");
    let whole = b.bundles_for(&a, log).remove(0);
    let (head, parts) = parts(&whole);
    let before = Held::by(&a, log);
    let mut dice = Dice(11);
    for round in 0..3_000 {
        let len = dice.below(400) as usize;
        let noise: Vec<u8> = (0..len).map(|_| dice.below(256) as u8).collect();
        let bytes = match round % 3 {
            0 => noise,
            // With the right beginning: as a description, and behind a real one.
            1 => join(&head, &[[&[0, whole[0]][..], &noise].concat(), parts[1].clone()]),
            _ => join(&head, &[parts[0].clone(), noise]),
        };
        assert!(matches!(a.take(&bytes), Err(Error::Malformed(_) | Error::Sealed)), "{bytes:?}");
    }
    assert_eq!(Held::by(&a, log), before);
}
