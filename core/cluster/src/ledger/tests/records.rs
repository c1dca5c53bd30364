//! Records of boards: the first content of a key until it ends, in the order in which they came.
use super::*;
use crate::Signature;

/// A stripe of one node with these records: key, content, end.
fn records(id: u8, at_ms: u64, records: &[(u8, u8, u64)]) -> NewRecords {
    let item = |(key, content, expires_ms): (u8, u8, u64)| Item {
        name: record(key),
        digest: [content; 32],
        at: 0,
        len: 10,
        expires_ms,
    };
    let items = records.iter().map(|new| item(*new)).collect();
    NewRecords {
        stripe: stripe(id, 1, &[1], items, u64::MAX),
        at_ms,
        signatures: records.iter().map(|(_, _, end)| signed(*end)).collect(),
    }
}

fn record(key: u8) -> ItemName {
    ItemName { kind: ItemKind::Board, key: [key; 32] }
}

/// Nobody looks at it here.
fn signed(end: u64) -> Signature {
    Signature([end as u8; 64])
}

#[track_caller]
fn leave(state: &mut State, new: &NewRecords, expected: &[Fate]) {
    let outcome = apply(state, &Entry::Records(new.clone()).encode());
    assert_eq!(outcome, Outcome::Stripe(expected.to_vec()));
}

#[track_caller]
fn renew(state: &mut State, at_ms: u64, (key, content, end): (u8, u8, u64), expected: Fate) {
    let renewal =
        Renewal { key: [key; 32], digest: [content; 32], expires_ms: end, signature: signed(end), at_ms };
    assert_eq!(apply(state, &Entry::Renew(renewal).encode()), Outcome::Renewed(expected));
}

fn listed(state: &State) -> Vec<u8> {
    state.listed_after(None, 99).into_iter().map(|(_, name)| name.key[0]).collect()
}

/// Its end and its signature, which belong together.
#[track_caller]
fn ends(state: &State, key: u8, end: u64) {
    let place = state.item(&record(key)).expect("it is there");
    assert_eq!((place.item.expires_ms, state.signature(place)), (end, Some(signed(end))));
}

#[test]
fn the_first_content_stays_until_it_ends() {
    let (mut state, _) = founded(1);
    leave(&mut state, &records(1, 0, &[(1, 1, 10), (2, 2, 20)]), &[Fate::Added; 2]);
    leave(&mut state, &records(2, 9, &[(1, 7, 90)]), &[Fate::Taken]);
    leave(&mut state, &records(3, 9, &[(1, 1, 10), (3, 3, 30)]), &[Fate::Known, Fate::Added]);
    assert_eq!(listed(&state), [1, 2, 3]);
    leave(&mut state, &records(4, 10, &[(1, 7, 90), (2, 7, 90)]), &[Fate::Added, Fate::Taken]);
    assert_eq!(listed(&state), [2, 3, 1], "who follows is told of it anew");
    assert_eq!(state.item(&record(1)).unwrap().item.digest, [7; 32]);
    // The only one of a stripe that is in nobody's way any more.
    leave(&mut state, &records(5, 30, &[(3, 8, 90)]), &[Fate::Added]);
    assert!(state.is_gone(&StripeId([3; 16])) && !state.stripes().contains_key(&StripeId([3; 16])));
}

#[test]
fn a_renewal_keeps_it_longer_and_never_shorter() {
    let (mut state, _) = founded(1);
    leave(&mut state, &records(1, 0, &[(1, 1, 10), (2, 2, 10)]), &[Fate::Added; 2]);
    renew(&mut state, 0, (1, 1, 20), Fate::Renewed);
    ends(&state, 1, 20);
    renew(&mut state, 0, (1, 1, 15), Fate::Known);
    renew(&mut state, 0, (1, 1, 0), Fate::Known);
    renew(&mut state, 0, (1, 7, 90), Fate::Taken);
    ends(&state, 1, 20);
    leave(&mut state, &records(2, 0, &[(1, 1, 30), (3, 3, 30)]), &[Fate::Renewed, Fate::Added]);
    ends(&state, 1, 30);
    renew(&mut state, 30, (1, 1, 90), Fate::Gone);
    renew(&mut state, 0, (9, 9, 90), Fate::Gone);
    assert_eq!(listed(&state), [1, 2, 3], "a renewal is not listed anew");
    // Proposed a second time: what the stripe says of those that it has not.
    leave(&mut state, &records(2, 0, &[(1, 1, 30), (3, 3, 30)]), &[Fate::Known, Fate::Added]);
}

#[test]
fn what_has_ended_is_forgotten_and_nothing_else() {
    let (mut state, _) = founded(1);
    let held = deed(&state, 1, 0, What::Held { case: "case".to_owned(), items: vec![record(4)] });
    apply(&mut state, &held);
    leave(&mut state, &records(1, 0, &[(1, 1, 10), (2, 2, 20)]), &[Fate::Added; 2]);
    leave(&mut state, &records(2, 0, &[(3, 3, 10)]), &[Fate::Added]);
    leave(&mut state, &records(3, 0, &[(4, 4, 5)]), &[Fate::Added]);
    let blobs = [Item { expires_ms: 10, ..item(1) }, Item { expires_ms: 0, ..item(2) }];
    take(&mut state, &stripe(4, 1, &[1], blobs.to_vec(), u64::MAX));
    renew(&mut state, 0, (1, 1, 11), Fate::Renewed);
    assert!(!state.has_ended(9), "what is held is not over");
    let mut expire = |at_ms: u64| {
        let index = state.applied() + 1;
        let applied = state.apply(index, &Entry::Expire { at_ms }.encode());
        assert_eq!(State::restore(&state.snapshot()).unwrap(), state);
        (applied.outcome, applied.gone)
    };
    assert_eq!(expire(9), (Outcome::Expired { items: 0, records: 0, claims: 0 }, vec![]));
    assert_eq!(expire(10), (Outcome::Expired { items: 2, records: 1, claims: 0 }, vec![StripeId([2; 16])]));
    assert_eq!(expire(11), (Outcome::Expired { items: 1, records: 1, claims: 0 }, vec![]));
    assert_eq!(listed(&state), [2, 4]);
    assert!(state.item(&name(2)).is_some() && state.item(&name(1)).is_none());
    leave(&mut state, &records(5, 50, &[(4, 7, 90)]), &[Fate::Taken]);
}

#[test]
fn one_entry_ends_so_many_and_no_more() {
    let (mut state, _) = founded(1);
    let key = |number: u16| ItemName {
        kind: ItemKind::Board,
        key: *blake3::hash(&number.to_le_bytes()).as_bytes(),
    };
    let item = |number| Item { name: key(number), digest: [1; 32], at: 0, len: 0, expires_ms: 10 };
    let many = EXPIRED_MAX as u16 + 1;
    let stripe = stripe(1, 1, &[1], (0..many).map(item).collect(), u64::MAX);
    let new = NewRecords { stripe, at_ms: 0, signatures: vec![signed(10); usize::from(many)] };
    leave(&mut state, &new, &vec![Fate::Added; usize::from(many)]);
    let end = Entry::Expire { at_ms: 10 }.encode();
    let (items, records) = (EXPIRED_MAX as u32, EXPIRED_MAX as u32);
    assert_eq!(apply(&mut state, &end), Outcome::Expired { items, records, claims: 0 });
    assert_eq!(apply(&mut state, &end), Outcome::Expired { items: 1, records: 1, claims: 0 });
    assert!(state.stripes().is_empty());
}

#[test]
fn a_record_comes_with_one_signature_and_an_end() {
    let (mut state, _) = founded(1);
    let sound = records(1, 0, &[(1, 1, 10), (2, 2, 10)]);
    let changes: [fn(&mut NewRecords); 4] = [
        |new| new.signatures.truncate(1),
        |new| new.signatures.push(Signature([0; 64])),
        |new| new.stripe.items[0].expires_ms = 0,
        |new| new.stripe.replaces.push(StripeId([9; 16])),
    ];
    for change in changes {
        let mut changed = sound.clone();
        change(&mut changed);
        let outcome = apply(&mut state, &Entry::Records(changed).encode());
        assert_eq!(outcome, Outcome::Refused(Refusal::Stripe));
    }
    let bare = Entry::Stripe(sound.stripe.clone()).encode();
    assert_eq!(apply(&mut state, &bare), Outcome::Refused(Refusal::Stripe));
    leave(&mut state, &sound, &[Fate::Added; 2]);
}

/// Where they stand changes, what they are does not; one that came anew meanwhile is not what is put together.
#[test]
fn records_are_put_together_as_they_are() {
    let (mut state, _) = founded(1);
    leave(&mut state, &records(1, 0, &[(1, 1, 10), (2, 2, 20)]), &[Fate::Added; 2]);
    leave(&mut state, &records(2, 0, &[(3, 3, 30)]), &[Fate::Added]);
    let mut together = records(4, 0, &[(1, 1, 10), (2, 2, 20), (3, 3, 30)]).stripe;
    together.replaces = vec![StripeId([1; 16]), StripeId([2; 16])];
    let mut other = together.clone();
    other.items[2].digest = [0; 32];
    assert_eq!(take(&mut state, &other), Outcome::Refused(Refusal::Repack));
    renew(&mut state, 0, (2, 2, 25), Fate::Renewed);
    leave(&mut state, &records(3, 10, &[(1, 7, 90)]), &[Fate::Added]);
    let outcome = take(&mut state, &together);
    assert_eq!(outcome, Outcome::Stripe(vec![Fate::Taken, Fate::Added, Fate::Added]));
    assert_eq!(listed(&state), [2, 3, 1]);
    ends(&state, 2, 25);
    assert_eq!(state.item(&record(2)).unwrap().stripe, StripeId([4; 16]));
}
