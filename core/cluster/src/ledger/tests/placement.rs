//! What nodes say in the history of where shards stand, and what others make of it.
use super::*;

const HOUR: u64 = 3_600_000;

/// Four nodes with one stripe of this name.
fn placed(id: u8) -> State {
    let (mut state, _) = founded(4);
    take(&mut state, &stripe(id, 4, &[1, 2, 3, 4], vec![item(id)], u64::MAX));
    state
}

fn claim(state: &mut State, by: u32, at_ms: u64, mark: PlacementMark) -> Outcome {
    let entry = deed(state, by, at_ms, What::Placed(mark));
    apply(state, &entry)
}

fn verdict(state: &State) -> Option<Verdict> {
    state.claim().map(|(_, verdict)| verdict)
}

#[test]
fn every_change_of_where_shards_stand_is_another_mark() {
    let mut state = placed(1);
    let mut marks = vec![state.placement().unwrap()];
    joining(&mut state, &mut vec![Vec::new(); 99], 5);
    assert_eq!(state.placement(), Some(marks[0]), "nothing stands otherwise");
    let shard = (StripeId([1; 16]), 0, ShardHash([1; 32]));
    let receipt = Receipt::sign(CLUSTER, shard, node(5), u64::MAX, &key(5));
    apply(&mut state, &Entry::Holder(receipt).encode());
    marks.extend(state.placement());
    take(&mut state, &stripe(2, 5, &[1, 2, 3, 4, 5], vec![item(2)], u64::MAX));
    marks.extend(state.placement());
    apply(&mut state, &Entry::Forget(vec![name(2)]).encode());
    let last = state.placement().unwrap();
    assert_eq!(last.digest, marks[1].digest, "what is gone leaves nothing behind");
    marks.push(last);
    assert!(marks.is_sorted_by_key(|mark| mark.entry));
    for mark in marks {
        assert_eq!(claim(&mut state, 2, 0, mark), Outcome::Done);
        assert_eq!(verdict(&state), Some(Verdict::Agrees));
    }
}

#[test]
fn who_leads_says_it_when_something_changed_and_not_too_often() {
    let (mut state, _) = founded(4);
    assert_eq!(state.to_claim(node(1), true, 0, HOUR), None, "there is nothing");
    take(&mut state, &stripe(1, 4, &[1, 2, 3], vec![item(1)], u64::MAX));
    let first = state.placement().unwrap();
    assert_eq!(state.to_claim(node(1), false, HOUR, HOUR), None);
    assert_eq!(state.to_claim(node(9), true, HOUR, HOUR), None, "no member");
    assert_eq!(state.to_claim(node(1), true, HOUR, HOUR), Some(first));
    assert_eq!(claim(&mut state, 1, HOUR, first), Outcome::Done);
    assert_eq!(state.to_claim(node(2), true, 3 * HOUR, HOUR), None, "nothing changed");
    take(&mut state, &stripe(2, 4, &[1, 2, 3], vec![item(2)], u64::MAX));
    let second = state.placement();
    for (now, due) in [(HOUR, false), (2 * HOUR - 1, false), (2 * HOUR, true), (1, false), (0, true)] {
        assert_eq!(state.to_claim(node(2), true, now, HOUR), second.filter(|_| due), "{now}");
    }
}

#[test]
fn who_sees_it_otherwise_says_so_and_who_knows_better_follows() {
    // The same entries to the eyes of the ledger, and not to one node.
    let (mut sound, mut odd) = (placed(1), placed(2));
    let mark = sound.placement().unwrap();
    for state in [&mut sound, &mut odd] {
        assert_eq!(claim(state, 1, 0, mark), Outcome::Done);
    }
    assert_eq!((verdict(&sound), verdict(&odd)), (Some(Verdict::Agrees), Some(Verdict::Differs)));
    let said = |state: &State| state.claim().map(|(claim, _)| claim);
    assert_eq!(said(&sound), said(&odd), "what was said is the same on all, whatever they make of it");
    let other = odd.placement().unwrap();
    assert_eq!(other.entry, mark.entry);
    assert_eq!(odd.to_claim(node(4), false, 0, HOUR), Some(other));
    assert_eq!(sound.to_claim(node(2), false, 0, HOUR), None);
    for state in [&mut sound, &mut odd] {
        claim(state, 4, 0, other);
    }
    assert_eq!(odd.to_claim(node(4), false, 0, HOUR), None, "once");
    for by in [2, 3] {
        let said = sound.to_claim(node(by), false, 0, HOUR);
        assert_eq!(said, Some(mark));
        for state in [&mut sound, &mut odd] {
            assert_eq!(claim(state, by, 0, mark), Outcome::Done);
        }
        claim(&mut sound, 4, 0, other);
        claim(&mut odd, 4, 0, other);
    }
    for by in 1..=4 {
        assert_eq!(sound.to_claim(node(by), true, 0, HOUR), None, "all have said it");
    }
    assert_eq!(sound.chronicle(), odd.chronicle(), "the history is one");
    let (entry, said) = sound.chronicle().last_claims();
    let by = |mark: &PlacementMark| said[&mark.digest].iter().map(|node| node.0.get()).collect::<Vec<_>>();
    assert_eq!((entry, by(&mark), by(&other)), (mark.entry, vec![1, 2, 3], vec![4]));
    take(&mut sound, &stripe(3, 4, &[1, 2, 3], vec![item(3)], u64::MAX));
    let later = sound.placement().unwrap();
    claim(&mut sound, 1, 0, later);
    assert_eq!(
        sound.chronicle().last_claims().1.len(),
        1,
        "a dispute is over when nobody speaks against what follows"
    );
}

#[test]
fn nobody_speaks_of_what_is_to_come_or_takes_back() {
    let mut state = placed(1);
    let mark = state.placement().unwrap();
    let next = state.applied() + 1;
    let early = PlacementMark { entry: next, ..mark };
    assert_eq!(claim(&mut state, 1, 0, early), Outcome::Refused(Refusal::Placed));
    assert_eq!(claim(&mut state, 1, 0, PlacementMark { entry: next, ..mark }), Outcome::Done);
    assert_eq!(verdict(&state), Some(Verdict::Unknown), "nothing changed with that entry");
    assert_eq!(claim(&mut state, 1, 0, mark), Outcome::Refused(Refusal::Placed));
    assert_eq!(claim(&mut state, 2, 0, mark), Outcome::Done);
}

/// A snapshot in which a shard stands elsewhere than nodes have seen it is none.
#[test]
fn a_snapshot_stands_by_what_was_seen() {
    let bytes = placed(1).snapshot();
    let (hash, holder) = ([1; 32], 1u32.to_le_bytes());
    let at = bytes.windows(36).position(|part| part == [&hash[..], &holder].concat()).unwrap();
    let mut changed = bytes.clone();
    changed[at + 32] = 9;
    assert!(State::restore(&bytes).is_ok());
    assert_eq!(State::restore(&changed), Err(crate::Error::Snapshot));
}
