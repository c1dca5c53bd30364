//! What the ledger takes and what it does not, and that what it does not take changes nothing.
mod exports;
mod placement;
mod records;
mod slots;

use super::*;
use crate::testing::{CLUSTER, Dice, deed, founded, joining, key, node, profile};
use crate::{ClientKey, Error, ItemKind, ItemName, PackageKey, RECEIPT_ENTRIES, Receipt};
use proptest::prelude::*;
use terachat_shard::{Profile, ShardHash, StripeId, StripeRecord};

/// Bytes of each stripe here, of which an item has 10.
const LEN: u64 = 100;

fn name(number: u8) -> ItemName {
    ItemName { kind: ItemKind::Blob, key: [number; 32] }
}

fn item(number: u8) -> Item {
    Item { name: name(number), digest: [number; 32], at: 0, len: 10, expires_ms: 5 }
}

/// A stripe of so many nodes, durable on those of these numbers.
fn stripe(id: u8, nodes: u32, durable: &[u32], items: Vec<Item>, until: u64) -> NewStripe {
    let counts = Profile::new(nodes as usize).unwrap().counts();
    let hash = |number: u32| ShardHash([number as u8; 32]);
    let shards = (1..=nodes).map(|number| (hash(number), Some(node(number)))).collect();
    let record = StripeRecord::new(StripeId([id; 16]), counts, LEN, shards).unwrap();
    let receipt = |number: u32| {
        let shard = (StripeId([id; 16]), number as u8 - 1, hash(number));
        let receipt = Receipt::sign(CLUSTER, shard, node(number), until, &key(number as u8));
        (receipt.index, receipt.until, receipt.signature)
    };
    NewStripe {
        record: record.encode(),
        key: PackageKey([id; 32]),
        items,
        receipts: durable.iter().map(|number| receipt(*number)).collect(),
        replaces: Vec::new(),
    }
}

fn take(state: &mut State, stripe: &NewStripe) -> Outcome {
    apply(state, &Entry::Stripe(stripe.clone()).encode())
}

/// Applies the next entry; one that is refused leaves all but the count of entries as it was.
fn apply(state: &mut State, entry: &[u8]) -> Outcome {
    let before = state.clone();
    let index = state.applied() + 1;
    let applied = state.apply(index, entry);
    if matches!(applied.outcome, Outcome::Refused(_)) {
        assert!(applied.gone.is_empty());
        let mut same = before;
        same.apply(index, &[]);
        assert_eq!(*state, same, "a refused entry has changed something");
    }
    assert_eq!(State::restore(&state.snapshot()).unwrap(), *state);
    applied.outcome
}

#[test]
fn a_stripe_is_taken_when_enough_nodes_vouch() {
    let (mut state, _) = founded(4);
    for durable in [&[][..], &[1, 2], &[1, 2, 2]] {
        let outcome = take(&mut state, &stripe(1, 4, durable, vec![item(1)], u64::MAX));
        let have = durable.iter().collect::<std::collections::BTreeSet<_>>().len() as u8;
        assert_eq!(outcome, Outcome::Refused(Refusal::Receipts { have, need: 3 }), "{durable:?}");
    }
    let sound = stripe(1, 4, &[1, 2, 4], vec![item(1), item(2)], u64::MAX);
    let mut forged = sound.clone();
    forged.receipts[1].2.0[5] ^= 1;
    assert_eq!(take(&mut state, &forged), Outcome::Refused(Refusal::Receipts { have: 2, need: 3 }));
    let mut late = sound.clone();
    late.receipts = stripe(1, 4, &[1, 2, 4], Vec::new(), state.applied()).receipts;
    assert_eq!(take(&mut state, &late), Outcome::Refused(Refusal::Receipts { have: 0, need: 3 }));
    let added = Outcome::Stripe(vec![Fate::Added, Fate::Added]);
    assert_eq!(take(&mut state, &sound), added);
    assert_eq!(take(&mut state, &sound), added, "a second time it is the same");
    assert_eq!(state.stripes().len(), 1);
    let mut other = sound;
    other.key = PackageKey([9; 32]);
    assert_eq!(take(&mut state, &other), Outcome::Refused(Refusal::Stripe), "the name is taken");
}

#[test]
fn a_stripe_is_cut_as_the_cluster_is() {
    let (mut state, _) = founded(4);
    let all = |nodes: u32| (1..=nodes).collect::<Vec<_>>();
    for nodes in [1, 2] {
        let outcome = take(&mut state, &stripe(1, nodes, &all(nodes), vec![item(1)], u64::MAX));
        assert_eq!(outcome, Outcome::Refused(Refusal::Profile(nodes as u8)));
    }
    joining(&mut state, &mut vec![Vec::new(); 99], 5);
    for (id, nodes) in [(1, 4), (2, 5)] {
        let taken = take(&mut state, &stripe(id, nodes, &all(nodes), vec![item(id)], u64::MAX));
        assert_eq!(taken, Outcome::Stripe(vec![Fate::Added]), "who cut it may not know of the change yet");
    }
    let left = deed(&state, 1, 0, What::Left(node(5)));
    assert_eq!(apply(&mut state, &left), Outcome::Done);
    let outcome = take(&mut state, &stripe(3, 5, &all(5), vec![item(3)], u64::MAX));
    assert_eq!(outcome, Outcome::Refused(Refusal::NoMember(node(5))));
}

#[test]
fn items_are_inside_and_once() {
    let (mut state, _) = founded(1);
    let long = |number: u8, len: u32| Item { len, ..item(number) };
    let (whole, huge) = (LEN as u32 - 16, u32::MAX);
    for (items, refused) in [
        (vec![long(1, whole + 1)], Refusal::Stripe),
        (vec![item(1), long(2, whole - 9)], Refusal::Stripe),
        (vec![long(1, huge)], Refusal::Stripe),
        (vec![item(1), item(1)], Refusal::Stripe),
        (vec![long(1, huge), long(2, 1)], Refusal::Malformed),
        (Vec::new(), Refusal::Malformed),
    ] {
        let outcome = take(&mut state, &stripe(1, 1, &[1], items, u64::MAX));
        assert_eq!(outcome, Outcome::Refused(refused));
    }
    let items = vec![item(1), long(2, whole - 10)];
    assert_eq!(take(&mut state, &stripe(1, 1, &[1], items, u64::MAX)), Outcome::Stripe(vec![Fate::Added; 2]));
    let places = [name(1), name(2)].map(|name| state.item(&name).unwrap().item.at);
    assert_eq!(places, [0, 10], "one behind the other");
}

/// The examples of `docs/format/cluster-ledger.md`: what an item of 1 KiB costs each node.
#[test]
fn an_item_is_told_in_few_bytes() {
    let record = ItemName { kind: ItemKind::Board, key: [8; 32] };
    let blob = |number| Item { len: 1024, expires_ms: 0, ..item(number) };
    let board = Item { name: record, digest: [9; 32], at: 0, len: 1024, expires_ms: 300 };
    let told = |items: Vec<Item>| {
        Entry::Stripe(NewStripe {
            record: Vec::new(),
            key: PackageKey([0; 32]),
            items,
            receipts: Vec::new(),
            replaces: Vec::new(),
        })
        .encode()
    };
    let one = told(vec![blob(7)]);
    let both = told(vec![blob(7), board]);
    let items =
        [&[2, 0][..], &[7; 32], &[0x80, 8, 0], &[1], &[8; 32], &[9; 32], &[0x80, 8, 0xac, 2]].concat();
    assert_eq!(both[35..both.len() - 2], items);
    assert_eq!(one.len(), 35 + 1 + 36 + 2);
    let (mut one, _) = founded(1);
    let mut two = one.clone();
    take(&mut one, &stripe(1, 1, &[1], vec![item(1)], u64::MAX));
    take(&mut two, &stripe(1, 1, &[1], vec![item(1), item(2)], u64::MAX));
    assert_eq!(two.snapshot().len() - one.snapshot().len(), 36);
}

#[test]
fn a_name_keeps_its_first_bytes() {
    let (mut state, _) = founded(1);
    take(&mut state, &stripe(1, 1, &[1], vec![item(1)], u64::MAX));
    let longer = Item { expires_ms: 7, ..item(1) };
    let fates = take(&mut state, &stripe(2, 1, &[1], vec![longer, item(2)], u64::MAX));
    assert_eq!(fates, Outcome::Stripe(vec![Fate::Known, Fate::Added]));
    let fates = take(&mut state, &stripe(3, 1, &[1], vec![item(2)], u64::MAX));
    assert_eq!(fates, Outcome::Stripe(vec![Fate::Known]));
    assert_eq!(state.item(&name(1)).unwrap().item.expires_ms, 7);
    assert_eq!(state.item(&name(1)).unwrap().item.digest, name(1).key);
    assert_eq!(state.stripes().len(), 2, "a stripe of which nothing was new is not kept");
}

/// A second try to put a stripe into the ledger, after its items were forgotten, does not bring it back: its shards are gone.
#[test]
fn what_is_forgotten_stays_forgotten() {
    let (mut state, _) = founded(1);
    let new = stripe(1, 1, &[1], vec![item(1), item(2)], u64::MAX);
    take(&mut state, &new);
    let forget = |names: Vec<ItemName>| Entry::Forget(names).encode();
    let index = state.applied() + 1;
    assert_eq!(state.apply(index, &forget(vec![name(1)])).gone, []);
    assert_eq!(take(&mut state, &new), Outcome::Stripe(vec![Fate::Gone, Fate::Added]));
    let index = state.applied() + 1;
    assert_eq!(state.apply(index, &forget(vec![name(2), name(7)])).gone, [StripeId([1; 16])]);
    assert_eq!(take(&mut state, &new), Outcome::Stripe(vec![Fate::Gone; 2]));
    assert!(state.stripes().is_empty() && state.item(&name(2)).is_none());
    let held = |state: &State, case: &str, items: Vec<ItemName>| {
        deed(state, 1, 0, What::Held { case: case.to_owned(), items })
    };
    for case in ["one", "another"] {
        let held = held(&state, case, vec![name(3), name(4)]);
        assert_eq!(apply(&mut state, &held), Outcome::Done);
    }
    take(&mut state, &stripe(2, 1, &[1], vec![item(3)], u64::MAX));
    assert_eq!(apply(&mut state, &forget(vec![name(3)])), Outcome::Refused(Refusal::Held));
    assert_eq!(state.roster().holds().collect::<Vec<_>>(), [("another", 2), ("one", 2)]);
    let released = |state: &State, case: &str| deed(state, 1, 0, What::Released(case.to_owned()));
    let first = released(&state, "one");
    assert_eq!(apply(&mut state, &first), Outcome::Done);
    assert_eq!(apply(&mut state, &forget(vec![name(3)])), Outcome::Refused(Refusal::Held), "the other case");
    let second = released(&state, "another");
    assert_eq!(apply(&mut state, &second), Outcome::Done);
    assert_eq!(apply(&mut state, &forget(vec![name(3)])), Outcome::Done);
    let again = released(&state, "one");
    assert_eq!(apply(&mut state, &again), Outcome::Refused(Refusal::NoCase));
    for (case, items) in [
        ("", vec![name(1)]),
        ("a case of far too many letters, which nobody would ever want to type", vec![name(1)]),
        ("two\nlines", vec![name(1)]),
        ("nothing", vec![]),
        ("too much", vec![name(1); HELD_ITEMS_MAX + 1]),
    ] {
        let before = state.roster().clone();
        let held = held(&state, case, items);
        assert_eq!(apply(&mut state, &held), Outcome::Refused(Refusal::Case), "{case:?}");
        assert_eq!(*state.roster(), before);
    }
}

#[test]
fn stripes_are_put_together_whole() {
    let (mut state, _) = founded(1);
    take(&mut state, &stripe(1, 1, &[1], vec![item(1), item(2)], u64::MAX));
    take(&mut state, &stripe(2, 1, &[1], vec![item(3)], u64::MAX));
    let replaced = |id: u8, items: Vec<Item>| NewStripe {
        replaces: vec![StripeId([1; 16]), StripeId([2; 16])],
        ..stripe(id, 1, &[1], items, u64::MAX)
    };
    let short = replaced(3, vec![item(1), item(3)]);
    assert_eq!(take(&mut state, &short), Outcome::Refused(Refusal::Repack));
    let index = state.applied() + 1;
    state.apply(index, &Entry::Forget(vec![name(2)]).encode());
    let together = replaced(3, vec![item(1), item(2), item(3)]);
    let index = state.applied() + 1;
    let applied = state.apply(index, &Entry::Stripe(together).encode());
    assert_eq!(applied.outcome, Outcome::Stripe(vec![Fate::Added, Fate::Gone, Fate::Added]));
    assert_eq!(applied.gone, [StripeId([1; 16]), StripeId([2; 16])]);
    assert!(state.item(&name(2)).is_none(), "what was forgotten meanwhile does not come back");
    assert_eq!(state.item(&name(3)).unwrap().stripe, StripeId([3; 16]));
}

#[test]
fn a_shard_has_another_holder_by_its_receipt() {
    let (mut state, _) = founded(4);
    take(&mut state, &stripe(1, 4, &[1, 2, 3, 4], vec![item(1)], u64::MAX));
    joining(&mut state, &mut vec![Vec::new(); 99], 5);
    let receipt = |index: u8, by: u32, until: u64| {
        let shard = (StripeId([1; 16]), index, ShardHash([index + 1; 32]));
        Receipt::sign(CLUSTER, shard, node(by), until, &key(by as u8))
    };
    let moved = |state: &mut State, receipt: Receipt| apply(state, &Entry::Holder(receipt).encode());
    assert_eq!(moved(&mut state, receipt(2, 5, 1)), Outcome::Refused(Refusal::Stripe), "too old");
    let forged = Receipt { signature: receipt(2, 4, u64::MAX).signature, ..receipt(2, 5, u64::MAX) };
    assert_eq!(moved(&mut state, forged), Outcome::Refused(Refusal::Signature));
    let other = Receipt { hash: ShardHash([0; 32]), ..receipt(2, 5, u64::MAX) };
    assert_eq!(moved(&mut state, other), Outcome::Refused(Refusal::Stripe));
    assert_eq!(moved(&mut state, receipt(2, 5, u64::MAX)), Outcome::Done);
    assert_eq!(moved(&mut state, receipt(0, 4, u64::MAX)), Outcome::Done);
    let record = &state.stripes()[&StripeId([1; 16])].record;
    let holders: Vec<_> = (0..4).map(|index| record.holder(index)).collect();
    assert_eq!(
        holders,
        [Some(node(4)), Some(node(2)), Some(node(5)), None],
        "a node has one shard of a stripe"
    );
}

#[test]
fn deeds_follow_each_other_and_are_signed() {
    let (mut state, _) = founded(2);
    let stale = deed(&state, 2, 0, What::Draining(node(1)));
    let first = deed(&state, 1, 0, What::Draining(node(2)));
    assert_eq!(apply(&mut state, &first), Outcome::Done);
    assert_eq!(apply(&mut state, &stale), Outcome::Refused(Refusal::Stale));
    let by_nobody = deed(&state, 3, 0, What::Returned(node(2)));
    assert_eq!(apply(&mut state, &by_nobody), Outcome::Refused(Refusal::NoMember(node(3))));
    let Ok(Entry::Deed(mut forged)) = Entry::decode(&deed(&state, 1, 0, What::Returned(node(2)))) else {
        panic!()
    };
    forged.deed.by = node(2);
    assert_eq!(apply(&mut state, &Entry::Deed(forged).encode()), Outcome::Refused(Refusal::Signature));
    let last = deed(&state, 2, 0, What::Left(node(1)));
    assert_eq!(apply(&mut state, &last), Outcome::Refused(Refusal::LastNode(node(1))));
    let again = deed(&state, 1, 0, What::Founded { cluster: CLUSTER, profile: profile(1) });
    assert_eq!(apply(&mut state, &again), Outcome::Refused(Refusal::AlreadyFounded));
    assert_eq!(state.chronicle().audit(state.roster()), Ok(()));
    let (other, _) = founded(2);
    assert_eq!(state.chronicle().audit(other.roster()), Err(ChronicleError::Roster));
}

#[test]
fn tickets_are_for_one_thing_once_and_for_a_while() {
    let (mut state, _) = founded(1);
    let secret = [7; 32];
    let join =
        |number: u32| What::Joined(JoinConsent::sign(CLUSTER, secret, profile(number), &key(number as u8)));
    let admit = What::Admitted { client: ClientKey([1; 32]), ticket: secret };
    let ticket = deed::ticket_hash(&secret);
    let mut act = |at_ms: u64, what: What| {
        let entry = deed(&state, 1, at_ms, what);
        apply(&mut state, &entry)
    };
    assert_eq!(act(0, join(2)), Outcome::Refused(Refusal::Ticket));
    assert_eq!(act(0, What::Invited { ticket, role: TicketFor::Node, until_ms: 10 }), Outcome::Done);
    assert_eq!(act(0, admit.clone()), Outcome::Refused(Refusal::Ticket));
    assert_eq!(act(11, join(2)), Outcome::Refused(Refusal::Ticket), "too late");
    assert_eq!(act(10, join(2)), Outcome::Joined(node(2)));
    assert_eq!(act(10, join(2)), Outcome::Joined(node(2)), "who asks again is who it is");
    assert_eq!(act(10, join(3)), Outcome::Refused(Refusal::Ticket), "used up");
    assert_eq!(act(10, What::Invited { ticket, role: TicketFor::Client, until_ms: 20 }), Outcome::Done);
    assert_eq!(act(15, admit), Outcome::Done);
    assert_eq!(act(15, What::Left(node(2))), Outcome::Done);
    assert_eq!(act(15, What::Invited { ticket, role: TicketFor::Node, until_ms: 20 }), Outcome::Done);
    assert_eq!(act(15, join(2)), Outcome::Refused(Refusal::KeyUsed));
    assert_eq!(act(15, join(3)), Outcome::Joined(node(3)), "a number is not given twice");
    let mut wrong = JoinConsent::sign(CLUSTER, secret, profile(4), &key(4));
    wrong.profile.address = "elsewhere:1".to_owned();
    assert_eq!(act(15, What::Joined(wrong)), Outcome::Refused(Refusal::Signature));
    assert!(state.roster().admits(&ClientKey([1; 32])) && !state.roster().admits(&ClientKey([2; 32])));
}

/// Names of stripes that are gone are forgotten themselves, once no receipt can bring them back.
#[test]
fn names_of_the_gone_do_not_pile_up() {
    let (mut state, _) = founded(1);
    take(&mut state, &stripe(1, 1, &[1], vec![item(1)], u64::MAX));
    let index = state.applied() + 1;
    state.apply(index, &Entry::Forget(vec![name(1)]).encode());
    let with = state.snapshot().len();
    state.apply(index + RECEIPT_ENTRIES - RECEIPT_ENTRIES % 1024, &[]);
    assert!(state.snapshot().len() >= with, "still within the receipts' time");
    state.apply(2 * RECEIPT_ENTRIES, &[]);
    assert!(state.snapshot().len() < with);
}

proptest! {
    #[test]
    fn any_bytes_are_an_entry_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..400), seed: u64) {
        let (mut state, entries) = founded(2);
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        let before = state.snapshot();
        let outcome = state.apply(state.applied() + 1, &bytes).outcome;
        if Entry::decode(&bytes).is_err() {
            prop_assert_eq!(outcome, Outcome::Refused(Refusal::Malformed));
        }
        // And real ones with a byte changed: taken or refused, never a panic.
        let mut dice = Dice(seed);
        let mut entry = entries[dice.below(entries.len() as u64) as usize].clone();
        let at = dice.below(entry.len() as u64) as usize;
        entry[at] ^= 1 << dice.below(8);
        let _ = state.apply(state.applied() + 1, &entry);
        let mut snapshot = before;
        let at = dice.below(snapshot.len() as u64) as usize;
        snapshot[at] ^= 1 << dice.below(8);
        let _ = State::restore(&snapshot);
    }
}
