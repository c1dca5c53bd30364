//! Attacks on who said what, in which order, and when.
use super::*;
use crate::query::PageStart;
use crate::store::storage::CrashStorage;
use crate::testing::gossip;
use terachat_event::Error as EventError;

fn unsigned(event: EventRef) -> Result<Outcome, Error> {
    Err(EventError::Signature(event).into())
}

#[test]
fn a_forged_author_is_refused() {
    let (mut a, b, _, log) = club();
    let mut eve = Device::new(9);
    eve.learn_epoch(log.space);
    eve.pull_control(&mut a, log.space);
    // Eve has the key by which it is sealed, but not the one by which B signs.
    let forged = Forgery {
        author: b.id(),
        previous: chain_start(&log, &b.id()),
        ..Forgery::next(&eve, log, &text("I am B"))
    };
    comes_to(&mut a, log, &forged.bundle(), unsigned(EventRef { author: b.id(), seq: 1 }));
    // In her own name nobody admitted her.
    let own = Forgery::next(&eve, log, &text("I am Eve")).bundle();
    comes_to(&mut a, log, &own, Ok(Outcome::Waits(Wait::Author(eve.id()))));
}

#[test]
fn a_signature_by_another_key_or_for_another_log_is_refused() {
    let (mut a, b, c, log) = club();
    let forged = Forgery { signer: &c.key, ..Forgery::next(&b, log, &text("signed by C")) };
    let name = EventRef { author: b.id(), seq: 1 };
    comes_to(&mut a, log, &forged.bundle(), unsigned(name));
    // B's own signature on the same event in the control log.
    let forged = Forgery::next(&b, log, &text("signed elsewhere"));
    let (hash, mut batch) = forged.batch();
    batch.authors[0].signature = b.key.sign_head(&LogId::control(log.space), 1, hash).signature;
    comes_to(&mut a, log, &forged.pack(batch, std::slice::from_ref(&forged.payload)), unsigned(name));
    // On no event at all, and on the right one, to show what made the difference.
    let (hash, mut batch) = forged.batch();
    batch.authors[0].signature = b.key.sign_head(&log, 2, hash).signature;
    comes_to(&mut a, log, &forged.pack(batch, std::slice::from_ref(&forged.payload)), unsigned(name));
    assert_eq!(a.take(&forged.bundle()), Ok(Outcome::Applied { new: 0..1, known: 0 }));
}

#[test]
fn a_replayed_number_with_other_content_is_refused_and_a_duplicate_harmless() {
    let (mut a, mut b, mut c, log) = club();
    let first = Forgery::next(&b, log, &text("first")).bundle();
    let other = Forgery { signer: &c.key, ..Forgery::next(&b, log, &text("not what B said")) }.bundle();
    a.take(&first).unwrap();
    comes_to(&mut a, log, &first, Ok(Outcome::Applied { new: 1..1, known: 1 }));
    let name = EventRef { author: b.id(), seq: 1 };
    comes_to(&mut a, log, &other, Err(Error::Replay(name)));
    b.take(&first).unwrap();
    b.say(log, "second");
    a.pull(&mut b).unwrap();
    c.pull(&mut a).unwrap();
    comes_to(&mut a, log, &first, Ok(Outcome::Applied { new: 2..2, known: 1 }));
    comes_to(&mut a, log, &other, Err(Error::Replay(name)));
    // The sender cannot be made to forget either: an own event comes back as it went.
    let own = c.bundles_for(&Device::new(8), log).remove(0);
    comes_to(&mut b, log, &own, Ok(Outcome::Applied { new: 2..2, known: 2 }));
}

#[test]
fn reordered_events_are_refused_and_reordered_bundles_wait() {
    let (mut a, mut b, _, log) = club();
    b.post(log, &[text("pay one"), text("pay two")]).unwrap();
    let whole = b.bundles_for(&a, log).remove(0);
    // The two texts change places.
    let bundle = Bundle::decode(&whole, crate::sync::Limits::PEER).unwrap();
    let forged = Forgery::next(&b, log, &text(""));
    let swapped = [text("pay two").encode(), text("pay one").encode()].concat();
    let bytes = forged.pack(bundle.batch.clone(), &[swapped]);
    comes_to(&mut a, log, &bytes, unsigned(EventRef { author: b.id(), seq: 2 }));
    // A later bundle comes first.
    a.take(&whole).unwrap();
    b.say(log, "three");
    let third = b.bundles_for(&a, log).remove(0);
    let mut late = Device::new(4);
    late.learn_epoch(log.space);
    late.pull_control(&mut a, log.space);
    let waits = Ok(Outcome::Waits(Wait::Event(EventRef { author: b.id(), seq: 1 })));
    comes_to(&mut late, log, &third, waits);
    late.take(&whole).unwrap();
    late.take(&third).unwrap();
    assert_eq!(late.bodies(log), ["pay one", "pay two", "three"]);
}

#[test]
fn an_equivocation_is_proven_once_and_takes_no_more_room() {
    let (mut a, mut b, mut c, log) = club();
    let mut twin = Device::new(3);
    twin.learn_epoch(log.space);
    twin.pull(&mut a).unwrap();
    c.say(log, "pay Ann");
    twin.say(log, "pay Bob");
    a.pull(&mut c).unwrap();
    let bundle = twin.bundles_for(&a, log).remove(0);
    let (events, disk_len) = (a.store.len(&log), a.store.disk_len());
    let Ok(Outcome::Equivocated { proofs, is_news: true }) = a.take(&bundle) else { panic!() };
    assert_eq!((proofs.len(), proofs[0].author, proofs[0].verify()), (1, c.id(), Ok(1)));
    assert_eq!(a.store.proofs(&log.space), proofs, "the evidence is kept");
    assert_eq!(a.store.len(&log), events, "nothing else of it is");
    assert!(a.store.disk_len() < disk_len + 2048, "{} bytes", a.store.disk_len() - disk_len);
    assert!(a.bodies(log).is_empty());
    // Once more, and what comes behind it: both are passed over.
    let frozen = Ok(Outcome::Waits(Wait::Frozen(c.id())));
    comes_to(&mut a, log, &bundle, frozen.clone());
    twin.say(log, "and more");
    let more = twin.bundles_for(&a, log);
    assert!(!more.is_empty());
    more.iter().for_each(|bundle| comes_to(&mut a, log, bundle, frozen.clone()));
    // A proof with a forged branch proves nothing against anybody.
    let mut forged = proofs[0].clone();
    forged.author = b.id();
    let before = Held::by(&b, log);
    assert!(matches!(b.store.apply_proof(&forged), Err(Error::Event(_))));
    assert_eq!(Held::by(&b, log), before);
    gossip(&mut [&mut a, &mut b], log.space);
    assert_eq!(b.store.proofs(&log.space), proofs);
}

/// The own branch of a fork was taken apart without asking whether its parents' hashes were at hand: long after, on a store
/// opened from a snapshot, the second branch raised an alarm instead of proving anything.
#[test]
fn an_equivocation_is_proven_long_after_its_first_branch_came() {
    let storage = CrashStorage::new(3);
    let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
    let space = a.found();
    let (mut c, mut twin) = (Device::new(3), Device::new(3));
    a.admit(space, &c, crate::model::Rank::MEMBER);
    let log = a.create_channel(space, "general");
    for other in [&mut c, &mut twin] {
        other.learn_epoch(space);
        other.pull_control(&mut a, space);
    }
    a.say(log, "hello");
    c.pull(&mut a).unwrap();
    c.say(log, "pay Ann");
    twin.say(log, "pay Bob");
    a.pull(&mut c).unwrap();
    a.post(log, &vec![text("meanwhile"); 1100]).unwrap();
    let bundle = twin.bundles_for(&a, log).remove(0);
    a.store.snapshot().unwrap();
    drop(a);
    let mut a = Device::over(1, Box::new(storage.crash())).unwrap();
    let outcome = a.take(&bundle);
    assert!(matches!(&outcome, Ok(Outcome::Equivocated { is_news: true, .. })), "{outcome:?}");
    assert_eq!(a.store.proofs(&space).len(), 1);
    assert!(!a.bodies(log).contains(&"pay Ann".to_owned()));
}

#[test]
fn parents_in_a_loop_are_refused() {
    let (mut a, mut b, c, log) = club();
    // An event that builds on itself, and one that names its parent twice.
    let name = EventRef { author: c.id(), seq: 1 };
    let forged = Forgery { parents: vec![(name, EventHash([3; 32]))], ..Forgery::next(&c, log, &text("me")) };
    comes_to(&mut a, log, &forged.bundle(), Err(Error::Parents(name)));
    let first = b.say(log, "first");
    a.pull(&mut b).unwrap();
    let hash = b.store.index(&log).unwrap().hash(0).unwrap();
    let twice =
        Forgery { parents: vec![(first, hash); 2], lamport: 2, ..Forgery::next(&c, log, &text("twice")) };
    let refused = EventError::Header("parents or control heads are not strictly ascending");
    comes_to(&mut a, log, &twice.bundle(), Err(refused.into()));
    // Two events that build on each other: hashes cannot do that, a batch can say it.
    let one = Forgery::next(&c, log, &text("one"));
    let mut batch = one.batch().1;
    let other = BatchAuthor { device: a.id(), first_seq: 1, count: 1, signature: [1; 64] };
    batch.authors.push(other);
    batch.events[0].parents = 1;
    batch.events.push(BatchEvent { author: 1, lamport: 2, ..batch.events[0] });
    batch.parents = vec![(1, 1), (0, 1)];
    let bytes = one.pack(batch, &[one.payload.repeat(2)]);
    comes_to(&mut a, log, &bytes, Err(Error::Malformed("an event stands before its parent")));
    // Each in a bundle of its own waits for the other, for ever.
    for (by, at) in [(&b, &c), (&c, &b)] {
        let lacking = EventRef { author: at.id(), seq: 9 };
        let forged =
            Forgery { parents: vec![(lacking, EventHash([4; 32]))], ..Forgery::next(by, log, &text("loop")) };
        comes_to(&mut a, log, &forged.bundle(), Ok(Outcome::Waits(Wait::Event(lacking))));
    }
}

#[test]
fn parents_that_never_come_are_waited_for_without_keeping_anything() {
    let (mut a, _, c, log) = club();
    let before = Held::by(&a, log);
    for n in 0..500_u64 {
        let lacking = EventRef { author: DeviceId([n as u8; 32]), seq: 1 + n };
        let mut forged = Forgery::next(&c, log, &text("soon"));
        forged.parents = vec![(lacking, EventHash([n as u8; 32]))];
        assert_eq!(a.take(&forged.bundle()), Ok(Outcome::Waits(Wait::Event(lacking))));
        // What an operation speaks of is waited for as a parent is.
        let forged = Forgery::next(&c, log, &ChannelOp::Pin { target: lacking });
        assert_eq!(a.take(&forged.bundle()), Ok(Outcome::Waits(Wait::Event(lacking))));
    }
    assert_eq!(Held::by(&a, log), before);
    // A word that needs none of them is heard.
    a.take(&Forgery::next(&c, log, &text("now")).bundle()).unwrap();
    assert_eq!(a.bodies(log), ["now"]);
}

#[test]
fn huge_clocks_and_gaps_are_refused() {
    let (mut a, mut b, c, log) = club();
    b.say(log, "one");
    a.pull(&mut b).unwrap();
    let name = EventRef { author: c.id(), seq: 1 };
    for lamport in [0, 2, 1 << 48, u64::MAX - 1, u64::MAX] {
        let forged = Forgery { lamport, ..Forgery::next(&c, log, &text("late")) };
        comes_to(&mut a, log, &forged.bundle(), Err(Error::Lamport(name)));
    }
    let gap = Ok(Outcome::Waits(Wait::Event(name)));
    for seq in [2, 3, 1 << 32, 1 << 48] {
        let forged = Forgery { seq, lamport: seq, ..Forgery::next(&c, log, &text("gap")) };
        comes_to(&mut a, log, &forged.bundle(), gap.clone());
    }
    for (seq, why) in [
        (0, "an author's first number is out of range"),
        ((1 << 48) + 1, "an author's first number is out of range"),
        (u64::MAX - 1, "an author's first number is out of range"),
    ] {
        let forged = Forgery { seq, ..Forgery::next(&c, log, &text("gap")) };
        comes_to(&mut a, log, &forged.bundle(), Err(Error::Malformed(why)));
    }
    let forged = Forgery { epoch: u64::MAX, ..Forgery::next(&c, log, &text("epoch")) };
    let refused = EventError::Header("a number is beyond any honest history");
    comes_to(&mut a, log, &forged.bundle(), Err(refused.into()));
}

/// A parent behind a proven fork is known by its hash and its time alone, and the time was believed: one event on such a
/// parent carried the log's clock to its end, where nobody could write any more, or made it overflow.
#[test]
fn a_parent_behind_a_fork_does_not_carry_the_clock_away() {
    let (mut a, mut b, mut c, log) = club();
    let mut twin = Device::new(3);
    twin.learn_epoch(log.space);
    twin.pull(&mut a).unwrap();
    c.say(log, "one");
    twin.say(log, "other");
    a.pull(&mut c).unwrap();
    let bundle = twin.bundles_for(&a, log).remove(0);
    assert!(matches!(a.take(&bundle), Ok(Outcome::Equivocated { .. })));
    gossip(&mut [&mut a, &mut b], log.space);
    // B, who is in league with C, builds on an event of C's that nobody has seen.
    let unseen = EventRef { author: c.id(), seq: 7 };
    let forge = |lamport: u64| {
        let hash = EventHash([5; 32]);
        let forged = Forgery::next(&b, log, &text("far ahead"));
        let stubs = vec![BatchStub { author: 1, seq: 7, hash, lamport }];
        let lamport = lamport.saturating_add(1);
        Forgery { parents: vec![(unseen, hash)], stubs, lamport, ..forged }.bundle()
    };
    for lamport in [1 << 25, 1 << 40, (u64::from(u32::MAX) << 16) - 1, 1 << 48, u64::MAX] {
        comes_to(&mut a, log, &forge(lamport), Ok(Outcome::Waits(Wait::Event(unseen))));
    }
    // As far as a branch that was hidden can be long, it is taken; there is room for the next word, and for many more.
    let applied = a.take(&forge(1 << 20));
    assert!(matches!(applied, Ok(Outcome::Applied { known: 0, .. })), "{applied:?}");
    a.say(log, "an answer");
    assert_eq!(a.bodies(log), ["far ahead", "an answer"]);
    assert_eq!(a.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
}

/// A wall clock decides nothing: it is shown as its author claims, whatever that is.
#[test]
fn a_future_dated_wall_clock_changes_nothing_but_what_is_shown() {
    let (mut a, mut b, mut c, log) = club();
    let one = Forgery { wall_ms: u64::MAX, ..Forgery::next(&c, log, &text("one")) }.bundle();
    for device in [&mut a, &mut b, &mut c] {
        device.take(&one).unwrap();
    }
    b.say(log, "two");
    c.pull(&mut b).unwrap();
    let three = Forgery { wall_ms: 0, ..Forgery::next(&c, log, &text("three")) }.bundle();
    a.pull(&mut b).unwrap();
    for device in [&mut a, &mut b] {
        device.take(&three).unwrap();
    }
    a.say(log, "four");
    b.pull(&mut a).unwrap();
    for device in [&a, &b] {
        assert_eq!(device.bodies(log), ["one", "two", "three", "four"]);
        let page = device.store.page(&log, PageStart::Newest, 4).unwrap();
        assert_eq!((page[0].wall_ms, page[2].wall_ms), (u64::MAX, 0));
    }
    assert_eq!(a.store.space_hash(&log.space), b.store.space_hash(&log.space));
}
