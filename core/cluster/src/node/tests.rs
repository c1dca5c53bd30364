//! Single steps of one node; whole runs are in `crate::testing::simulation`.
mod reading;
mod slots;
mod stewarding;

use super::*;
use crate::testing::{CLUSTER, Dice, founded, key, node};
use crate::{
    Entry, Item, NewStripe, Outcome, PackageKey, RECEIPT_ENTRIES, Receipt, Refusal, Scrubbed, Slot,
    SlotClaim, Usage,
};
use terachat_shard::{Profile, Shard, ShardHash, StripeRecord};

const STRIPE: StripeId = StripeId([7; 16]);

/// Node 1 of a cluster that has applied so much.
fn started() -> Node {
    Node::new(CLUSTER, node(1), key(1), NodeOptions::default(), Box::new(Dice(1)))
}

fn payload(index: u8) -> Vec<u8> {
    vec![index; 100]
}

/// Four nodes and a stripe, whose shard i node i + 1 has.
fn with_a_stripe() -> State {
    with_a_stripe_among(4)
}

/// The same of four nodes among more.
fn with_a_stripe_among(nodes: u32) -> State {
    let (mut state, _) = founded(nodes);
    let counts = Profile::new(4).unwrap().counts();
    let payloads: Vec<Vec<u8>> = (0..4).map(payload).collect();
    let shard = |index: u8| Shard::new(STRIPE, counts, index, &payloads[usize::from(index)]).unwrap();
    let holders = (0..4).map(|index| (shard(index).hash(), Some(node(u32::from(index) + 1)))).collect();
    let record = StripeRecord::new(STRIPE, counts, 200, holders).unwrap();
    let receipt = |index: u8| {
        let (number, hash) = (index + 1, shard(index).hash());
        let sent =
            Receipt::sign(CLUSTER, (STRIPE, index, hash), node(u32::from(number)), u64::MAX, &key(number));
        (index, sent.until, sent.signature)
    };
    let name = ItemName { kind: crate::ItemKind::Blob, key: [1; 32] };
    let stripe = NewStripe {
        record: record.encode(),
        key: PackageKey([0; 32]),
        items: vec![Item { name, digest: [1; 32], at: 0, len: 10, expires_ms: 0 }],
        receipts: (0..4).map(receipt).collect(),
        replaces: Vec::new(),
    };
    let outcome = state.apply(state.applied() + 1, &Entry::Stripe(stripe).encode()).outcome;
    assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    state
}

/// What the disk is asked to give up.
fn dropped(outputs: &[Output]) -> Vec<(StripeId, u8)> {
    let work = outputs.iter().filter_map(|output| match output {
        Output::Disk(_, DiskWork::Drop(shards)) => Some(shards.clone()),
        _ => None,
    });
    work.flatten().collect()
}

/// What is given up when the disk says that this is all there is.
fn count(one: &mut Node, state: &State, found: Counted) -> Vec<(StripeId, u8)> {
    let message = Message::Count(Call(9), StripeId([0; 16]), StripeId([0xff; 16]));
    let asked = one.handle(Moment(1), state, Input::Peer(node(2), message));
    let call = asked.iter().find_map(|output| match output {
        Output::Disk(call, DiskWork::Count(..)) => Some(*call),
        _ => None,
    });
    let done = DiskDone::Counted(vec![found]);
    dropped(&one.handle(Moment(1), state, Input::Disk(call.expect("the disk is asked"), done)))
}

/// What cannot be kept is refused with its reason before anything is asked of anybody.
#[test]
fn items_that_are_too_long_empty_misnamed_or_too_many_are_refused() {
    let (state, _) = founded(4);
    let options = NodeOptions { waiting_max: 1 << 20, ..NodeOptions::default() };
    let mut one = Node::new(CLUSTER, node(1), key(1), options, Box::new(Dice(1)));
    for number in 2..=4 {
        one.handle(Moment(1), &state, Input::Reachable(node(number), true));
        one.handle(Moment(1), &state, Input::Peer(node(number), Message::Ping(None)));
    }
    let mut put = |number: u64, name: ItemName, bytes: Vec<u8>| {
        let request = Request::Put { name, bytes, expires_ms: 0 };
        one.handle(Moment(1), &state, Input::Client(Call(number), None, request))
    };
    let blob = |len: usize| (ItemName::of_blob(&vec![7; len]), vec![7; len]);
    let refused = |outputs: &[Output]| match outputs {
        [Output::Reply(_, Response::Refused(why))] => Some(why.clone()),
        _ => None,
    };
    let (name, bytes) = blob(ITEM_LEN_MAX + 1);
    assert_eq!(refused(&put(1, name, bytes)), Some(Refused::Item));
    assert_eq!(refused(&put(2, ItemName::of_blob(&[]), Vec::new())), Some(Refused::Item));
    assert_eq!(refused(&put(3, ItemName::of_blob(b"one"), b"other".to_vec())), Some(Refused::Item));
    // The first is on its way, the others wait, until there is no room.
    let full = (4..40).find_map(|number| {
        let bytes = vec![number as u8; 200_000];
        refused(&put(number, ItemName::of_blob(&bytes), bytes))
    });
    assert!(matches!(full, Some(Refused::Busy { bytes }) if bytes <= 2 << 20), "{full:?}");
}

/// Two leaders for a moment might each have another copy dropped; what the ledger names stays whoever says otherwise.
#[test]
fn a_shard_that_the_ledger_names_is_not_given_up() {
    let (state, mut one) = (with_a_stripe(), started());
    let mut told = |index: u8| {
        let message = Message::Drop(STRIPE, index);
        dropped(&one.handle(Moment(1), &state, Input::Peer(node(2), message)))
    };
    assert_eq!(told(0), [], "its own");
    assert_eq!(told(1), [(STRIPE, 1)], "a copy of another's");
}

/// A shard that no record names stays as long as a record might still come, also over a start of the node.
#[test]
fn a_nameless_shard_is_kept_as_long_as_its_receipt_is_good() {
    let (mut state, _) = founded(1);
    let nameless = Counted { stripe: STRIPE, index: 0, hash: ShardHash([0; 32]), sound: true };
    let mut one = started();
    assert_eq!(count(&mut one, &state, nameless), [], "it does not know yet how far the ledger is");
    let outputs = one.handle(Moment(1), &state, Input::Tick);
    let barrier = outputs.iter().find_map(|output| match output {
        Output::Barrier(call) => Some(*call),
        _ => None,
    });
    one.handle(Moment(1), &state, Input::Barrier(barrier.expect("the ledger is asked"), true));
    let since = state.applied();
    state.apply(since + RECEIPT_ENTRIES, &[]);
    assert_eq!(count(&mut one, &state, nameless), []);
    state.apply(since + RECEIPT_ENTRIES + 1, &[]);
    assert_eq!(count(&mut one, &state, nameless), [(STRIPE, 0)]);
}

/// What was forgotten while a node was away goes when it is counted next.
#[test]
fn shards_of_a_stripe_that_is_gone_go() {
    let mut state = with_a_stripe();
    let mut one = started();
    let own = Counted { stripe: STRIPE, index: 0, hash: ShardHash([0; 32]), sound: true };
    assert_eq!(count(&mut one, &state, own), []);
    let name = *state.items().next().unwrap().0;
    let gone = state.apply(state.applied() + 1, &Entry::Forget(vec![name]).encode()).gone;
    assert_eq!(gone, [STRIPE]);
    assert_eq!(count(&mut one, &state, own), [(STRIPE, 0)]);
}

/// What a node sends in place of a shard's receipt does not count as one.
#[test]
fn only_a_receipt_for_the_shard_by_its_holder_counts() {
    let (state, _) = founded(4);
    let wrong: [fn(&mut Receipt); 4] = [
        |receipt| receipt.hash.0[0] ^= 1,
        |receipt| receipt.node = node(1),
        |receipt| receipt.index ^= 1,
        |receipt| receipt.signature.0[0] ^= 1,
    ];
    for spoil in [None].into_iter().chain(wrong.map(Some)) {
        let mut one = started();
        for other in 2..=4 {
            one.handle(Moment(1), &state, Input::Reachable(node(other), true));
        }
        let bytes = vec![5; 900];
        let put = Request::Put { name: ItemName::of_blob(&bytes), bytes, expires_ms: 0 };
        let mut outputs = one.handle(Moment(1), &state, Input::Client(Call(1), None, put));
        let mut proposed = false;
        while let Some(output) = outputs.pop() {
            let input = match output {
                Output::Send(to, Message::Keep(call, bytes)) if to != node(4) => {
                    let shard = Shard::decode(&bytes).unwrap();
                    let about = (shard.stripe(), shard.index(), shard.hash());
                    let mut receipt = Receipt::sign(CLUSTER, about, to, u64::MAX, &key(to.0.get() as u8));
                    if let Some(spoil) = spoil.filter(|_| to == node(3)) {
                        spoil(&mut receipt);
                    }
                    Input::Peer(to, Message::Kept(call, Ok(receipt)))
                }
                Output::Disk(call, DiskWork::Keep(bytes)) => {
                    let shard = Shard::decode(&bytes).unwrap();
                    Input::Disk(call, DiskDone::Kept(shard.stripe(), shard.index(), shard.hash()))
                }
                Output::Propose(..) => {
                    proposed = true;
                    continue;
                }
                _ => continue,
            };
            outputs.extend(one.handle(Moment(2), &state, input));
        }
        assert_eq!(proposed, spoil.is_none(), "three of four have to be sound");
    }
}

/// A stripe that the ledger refuses for good is told to who waits; nothing is tried for ever.
#[test]
fn a_refusal_is_told() {
    let (state, _) = founded(1);
    let mut one = started();
    let bytes = vec![5; 900];
    let put = Request::Put { name: ItemName::of_blob(&bytes), bytes, expires_ms: 0 };
    let asked = one.handle(Moment(1), &state, Input::Client(Call(1), None, put));
    let Some(Output::Disk(call, DiskWork::Keep(bytes))) = asked.into_iter().next() else {
        panic!("its own shard")
    };
    let shard = Shard::decode(&bytes).unwrap();
    let done = DiskDone::Kept(shard.stripe(), shard.index(), shard.hash());
    let asked = one.handle(Moment(2), &state, Input::Disk(call, done));
    let Some(Output::Propose(call, _)) = asked.into_iter().next() else { panic!("the ledger is asked") };
    let told = one.handle(Moment(3), &state, Input::Proposed(call, Ok(Outcome::Refused(Refusal::Stripe))));
    assert_eq!(told, [Output::Reply(Call(1), Response::Refused(Refused::Ledger(Refusal::Stripe)))]);
}

/// A node with few shards does not read them again every second: once through, it rests until the time for the next.
#[test]
fn a_scrub_that_is_through_rests() {
    let (state, _) = founded(1);
    let options = NodeOptions { scrub_every: 60 * SECOND, ..NodeOptions::default() };
    let mut one = Node::new(CLUSTER, node(1), key(1), options, Box::new(Dice(1)));
    let mut steps = Vec::new();
    for second in 0..200u64 {
        let now = Moment(second * SECOND);
        let asked = one.handle(now, &state, Input::Tick);
        for output in asked {
            let Output::Disk(call, DiskWork::Reread { anew: false, .. }) = output else { continue };
            steps.push(second);
            // The first pass takes three steps.
            let bytes = NodeOptions::default().scrub_rate;
            let step = Scrubbed { bytes, through: steps.len() >= 3, ..Scrubbed::default() };
            one.handle(now, &state, Input::Disk(call, DiskDone::Reread(step, Usage::default())));
        }
    }
    assert_eq!(steps, [60, 61, 62, 120, 180], "what is there at the start is read to be counted");
}

/// Whoever has a shard of a stripe does not take another that is made anew, from however many leaders.
#[test]
fn a_node_has_one_shard_of_a_stripe() {
    let storage = Box::new(terachat_storage::MemoryStorage::default());
    let (mut store, _) = crate::SegmentStore::open(storage, crate::Options::default()).unwrap();
    let counts = Profile::new(4).unwrap().counts();
    let shard = |index: u8| Shard::new(STRIPE, counts, index, &payload(index)).unwrap().encode();
    let mut work = |work: DiskWork| perform(&mut store, vec![(Call(1), work)], &mut Dice(1)).remove(0).1;
    assert!(matches!(work(DiskWork::KeepAlone(shard(2))), DiskDone::Kept(STRIPE, 2, _)));
    assert!(matches!(work(DiskWork::KeepAlone(shard(2))), DiskDone::Kept(STRIPE, 2, _)), "it is the same");
    let refused = DiskDone::Failed(crate::Error::HasAnother { stripe: STRIPE, index: 2 });
    assert_eq!(work(DiskWork::KeepAlone(shard(3))), refused);
    work(DiskWork::Drop(vec![(STRIPE, 2)]));
    assert!(matches!(work(DiskWork::KeepAlone(shard(3))), DiskDone::Kept(STRIPE, 3, _)));
    store.condemn(STRIPE, 3);
    let mut work = |work: DiskWork| perform(&mut store, vec![(Call(1), work)], &mut Dice(1)).remove(0).1;
    assert!(
        matches!(work(DiskWork::KeepAlone(shard(1))), DiskDone::Kept(STRIPE, 1, _)),
        "a rotten one is in nobody's way"
    );
    // Nor two of them that come together.
    let pair = [2, 3].map(|index| {
        let shard = Shard::new(StripeId([9; 16]), counts, index, &payload(index)).unwrap().encode();
        (Call(u64::from(index)), DiskWork::KeepAlone(shard))
    });
    let done = perform(&mut store, pair.into(), &mut Dice(1));
    let kept = done.iter().filter(|(_, done)| matches!(done, DiskDone::Kept(..))).count();
    assert_eq!((kept, done.len()), (1, 2), "{done:?}");
}

/// What is asked for before a shard is given up finds it, what is asked for afterwards does not.
#[test]
fn reads_and_drops_keep_their_order() {
    let storage = Box::new(terachat_storage::MemoryStorage::default());
    let (mut store, _) = crate::SegmentStore::open(storage, crate::Options::default()).unwrap();
    let counts = Profile::new(4).unwrap().counts();
    let shard = Shard::new(STRIPE, counts, 1, &payload(1)).unwrap().encode();
    let work = [
        DiskWork::Fetch(STRIPE, 1),
        DiskWork::Drop(vec![(STRIPE, 1)]),
        DiskWork::Fetch(STRIPE, 1),
        DiskWork::Keep(shard.clone()),
    ];
    let calls = |work: &[DiskWork]| (1..).map(Call).zip(work.iter().cloned()).collect::<Vec<_>>();
    perform(&mut store, calls(&work[3..]), &mut Dice(1));
    let done: BTreeMap<Call, DiskDone> =
        perform(&mut store, calls(&work), &mut Dice(1)).into_iter().collect();
    assert_eq!(done[&Call(1)], DiskDone::Fetched(Some(shard)));
    assert_eq!(done[&Call(3)], DiskDone::Fetched(None));
    assert!(matches!(done[&Call(4)], DiskDone::Kept(STRIPE, 1, _)));
}

/// A shard that could not be read is read again before it counts, and while it cannot be nobody says what there is.
#[test]
fn what_could_not_be_read_counts_once_it_was_read() {
    let objects = crate::MemoryObjects::default();
    let (mut store, _) =
        crate::BucketStore::open(Box::new(objects.clone()), crate::BucketOptions::default()).unwrap();
    let counts = Profile::new(4).unwrap().counts();
    let mut work = |work: DiskWork| perform(&mut store, vec![(Call(1), work)], &mut Dice(1)).remove(0).1;
    work(DiskWork::Keep(Shard::new(STRIPE, counts, 1, &payload(1)).unwrap().encode()));
    let count = || DiskWork::Count(STRIPE, STRIPE);
    let is_sound =
        |done: DiskDone| matches!(done, DiskDone::Counted(found) if found.len() == 1 && found[0].sound);
    objects.fail_reads(true);
    assert!(is_sound(work(count())), "it was written just now");
    assert!(matches!(work(DiskWork::Fetch(STRIPE, 1)), DiskDone::Failed(_)));
    assert!(matches!(work(count()), DiskDone::Failed(_)));
    objects.fail_reads(false);
    assert!(is_sound(work(count())));
}

/// Bytes go over the wire as a derived sequence of bytes would: the format does not depend on how they are written.
#[test]
fn bytes_are_written_as_a_sequence() {
    let wire = |message: Message| message.encode();
    assert_eq!(wire(Message::Keep(Call(5), vec![7, 8])), [1, 1, 5, 2, 7, 8]);
    assert_eq!(wire(Message::Fetched(Call(5), Ok(vec![7, 8]))), [1, 4, 5, 0, 2, 7, 8]);
    assert_eq!(wire(Message::Fetched(Call(5), Err(Lack::Rotten))), [1, 4, 5, 1, 1]);
    assert_eq!(Response::Got(Some(vec![7, 8])).encode(), [1, 1, 1, 2, 7, 8]);
    assert_eq!(Response::Got(None).encode(), [1, 1, 0]);
}

/// The examples of `docs/format/cluster-message.md` and `cluster-ledger.md`.
#[test]
fn bytes_are_as_the_pages_say() {
    assert_eq!(Message::Clock(300).encode(), [1, 10, 0xac, 2]);
    assert_eq!(Request::Collect.encode(), [1, 5]);
    assert_eq!(Response::Collected { records: 2, more: false }.encode(), [1, 6, 2, 0]);
    assert_eq!(Entry::Expire { at_ms: 300 }.encode(), [2, 6, 0xac, 2]);
    let claim = Request::Claim { slot: Slot([1; 32]), value: [2; 32], life_ms: 300 };
    assert_eq!(claim.encode(), [&[1, 6][..], &[1; 32], &[2; 32], &[0xac, 2]].concat());
    let standing = crate::Standing { value: [2; 32], until_ms: 300 };
    assert_eq!(Response::Claimed(standing).encode(), [&[1, 7][..], &[2; 32], &[0xac, 2]].concat());
    let client = crate::ClientKey([3; 32]);
    let claim = SlotClaim { slot: Slot([1; 32]), value: [2; 32], until_ms: 300, client, at_ms: 5 };
    let bytes = [&[2, 7][..], &[1; 32], &[2; 32], &[0xac, 2], &[3; 32], &[5]].concat();
    assert_eq!(Entry::Claim(claim).encode(), bytes);
    let (key, digest, signature) = ([1; 32], [2; 32], crate::Signature([3; 64]));
    let renewal = crate::Renewal { key, digest, expires_ms: 300, signature, at_ms: 5 };
    let bytes = [&[2, 5][..], &key, &digest, &[0xac, 2], &[3; 64], &[5]].concat();
    assert_eq!(Entry::Renew(renewal).encode(), bytes);
}

/// One try was never answered, the last one certainly not taken: nobody may say that nothing is kept.
#[test]
fn what_may_have_been_taken_is_not_called_refused() {
    let (state, _) = founded(1);
    for (first, told) in
        [(Unproposed::NotTaken, Refused::NoMajority), (Unproposed::Unknown, Refused::Unknown)]
    {
        let mut one = started();
        let bytes = vec![5; 900];
        let put = Request::Put { name: ItemName::of_blob(&bytes), bytes, expires_ms: 0 };
        let asked = one.handle(Moment(1), &state, Input::Client(Call(1), None, put));
        let Some(Output::Disk(call, DiskWork::Keep(bytes))) = asked.into_iter().next() else {
            panic!("its own shard")
        };
        let shard = Shard::decode(&bytes).unwrap();
        let done = DiskDone::Kept(shard.stripe(), shard.index(), shard.hash());
        let proposal = |outputs: Vec<Output>| {
            let call = outputs.into_iter().find_map(|output| match output {
                Output::Propose(call, _) => Some(call),
                _ => None,
            });
            call.expect("the ledger is asked")
        };
        let call = proposal(one.handle(Moment(2), &state, Input::Disk(call, done)));
        assert_eq!(one.handle(Moment(3), &state, Input::Proposed(call, Err(first))), []);
        let late = Moment(NodeOptions::default().answer_within + 4);
        let call = proposal(one.handle(late, &state, Input::Tick));
        let outputs = one.handle(late, &state, Input::Proposed(call, Err(Unproposed::NotTaken)));
        assert_eq!(outputs, [Output::Reply(Call(1), Response::Refused(told))]);
    }
}
