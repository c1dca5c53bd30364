//! Slots: the first value stays until it ends, whoever claims it, and no client has more than its share.
use super::*;
use crate::{Claimed, Slot, Standing};
use std::collections::BTreeMap;

fn claim(slot: u8, value: u8, until_ms: u64, client: u8, at_ms: u64) -> SlotClaim {
    SlotClaim { slot: Slot([slot; 32]), value: [value; 32], until_ms, client: ClientKey([client; 32]), at_ms }
}

#[track_caller]
fn told(state: &mut State, claim: SlotClaim, value: u8, until_ms: u64) {
    assert_eq!(apply(state, &Entry::Claim(claim).encode()), stood(value, until_ms), "{claim:?}");
}

fn stood(value: u8, until_ms: u64) -> Outcome {
    Outcome::Claimed(Standing { value: [value; 32], until_ms })
}

fn stands(state: &State, slot: u8) -> Option<(u8, u64, u8)> {
    let Claimed { standing: Standing { value, until_ms }, client } = *state.slot(&Slot([slot; 32]))?;
    Some((value[0], until_ms, client.0[0]))
}

#[test]
fn the_first_value_stays_until_it_ends() {
    let (mut state, _) = founded(1);
    told(&mut state, claim(1, 7, 10, 1, 0), 7, 10);
    told(&mut state, claim(1, 8, 90, 2, 9), 7, 10);
    told(&mut state, claim(2, 8, 90, 2, 9), 8, 90);
    assert_eq!((stands(&state, 1), stands(&state, 2)), (Some((7, 10, 1)), Some((8, 90, 2))));
    told(&mut state, claim(1, 9, 90, 2, 10), 9, 90);
    assert_eq!((stands(&state, 1), state.slots()), (Some((9, 90, 2)), 2));
}

/// Whoever did not hear the answer claims once more, and whoever has the same value may keep it longer, never shorter.
#[test]
fn the_same_claim_again_is_the_same_claim() {
    let (mut state, _) = founded(1);
    for (until_ms, client, end) in [(10, 1, 10), (10, 1, 10), (5, 2, 10), (20, 2, 20), (15, 1, 20)] {
        told(&mut state, claim(1, 7, until_ms, client, 0), 7, end);
        assert_eq!(stands(&state, 1), Some((7, end, 1)), "it stays the first one's");
    }
    let end = Entry::Expire { at_ms: 19 }.encode();
    assert_eq!(apply(&mut state, &end), Outcome::Expired { items: 0, records: 0, claims: 0 });
}

#[test]
fn what_has_ended_is_forgotten_with_its_share() {
    let (mut state, _) = founded(1);
    let share = CLAIMS_MAX as u64;
    let numbered = |number: u64, until_ms: u64, client: u8, at_ms: u64| SlotClaim {
        slot: Slot(*blake3::hash(&number.to_le_bytes()).as_bytes()),
        ..claim(0, 1, until_ms, client, at_ms)
    };
    let mut claimed = |claim: SlotClaim| {
        let index = state.applied() + 1;
        state.apply(index, &Entry::Claim(claim).encode()).outcome
    };
    for number in 0..share {
        assert_eq!(claimed(numbered(number, 10 + number / 2_000, 1, 0)), stood(1, 10 + number / 2_000));
    }
    assert_eq!(claimed(numbered(share, 99, 1, 0)), Outcome::Refused(Refusal::Claims));
    assert_eq!(claimed(numbered(share, 99, 2, 0)), stood(1, 99), "another has a share of its own");
    assert_eq!(claimed(numbered(0, 99, 1, 0)), stood(1, 99), "what is there already costs nothing");
    assert_eq!(claimed(numbered(1, 99, 1, 10)), stood(1, 99), "nor one in the place of its own");
    assert_eq!(claimed(numbered(2, 99, 2, 10)), stood(1, 99), "another's place is free for it");
    assert_eq!(claimed(numbered(share + 1, 99, 1, 0)), stood(1, 99));
    assert_eq!(claimed(numbered(share + 2, 99, 1, 0)), Outcome::Refused(Refusal::Claims));
    assert!(!state.has_ended(9) && state.has_ended(10));
    let mut expire = |at_ms: u64| apply(&mut state, &Entry::Expire { at_ms }.encode());
    let max = EXPIRED_MAX as u32;
    for claims in [max, 1_997 - max, 0] {
        assert_eq!(expire(10), Outcome::Expired { items: 0, records: 0, claims });
    }
    assert!(!state.has_ended(10));
    told(&mut state, claim(7, 3, 99, 1, 0), 3, 99);
}

#[test]
fn a_claim_without_a_life_is_none() {
    let (mut state, _) = founded(1);
    for (until_ms, at_ms) in [(0, 0), (5, 5), (5, 6)] {
        let outcome = apply(&mut state, &Entry::Claim(claim(1, 7, until_ms, 1, at_ms)).encode());
        assert_eq!(outcome, Outcome::Refused(Refusal::Claims));
    }
    assert_eq!(state.slots(), 0);
}

/// What a snapshot says of slots is what there can be.
#[test]
fn a_snapshot_has_slots_in_their_order_once() {
    let (mut state, _) = founded(1);
    for slot in [1, 2] {
        told(&mut state, claim(slot, 7, 10, 1, 0), 7, 10);
    }
    let bytes = state.snapshot();
    let at = |slot: u8| bytes.windows(32).position(|window| window == [slot; 32]).unwrap();
    let (one, two) = (at(1), at(2));
    for (place, slot) in [(one, 2), (one, 3), (two, 1)] {
        let mut wrong = bytes.clone();
        wrong[place..place + 32].fill(slot);
        assert_eq!(State::restore(&wrong), Err(Error::Snapshot));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Claim(SlotClaim),
    Expire(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let claimed = (0u8..4, 0u8..3, 0u64..12, 0u8..3, 0u64..12);
    let step = prop_oneof![
        4 => claimed.prop_map(|(slot, value, until, client, at)| Step::Claim(claim(slot, value, until, client, at))),
        1 => (0u64..12).prop_map(Step::Expire),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    /// Beside a map that does what the page says, in as many words.
    #[test]
    fn slots_are_as_a_plain_map_has_them(steps in steps()) {
        let (mut state, _) = founded(1);
        let mut model: BTreeMap<u8, (u8, u64, u8)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Expire(at_ms) => {
                    let before = model.len();
                    model.retain(|_, (_, end, _)| *end > at_ms);
                    let claims = (before - model.len()) as u32;
                    let expired = Outcome::Expired { items: 0, records: 0, claims };
                    prop_assert_eq!(apply(&mut state, &Entry::Expire { at_ms }.encode()), expired);
                }
                Step::Claim(claim) => {
                    let (slot, value, until) = (claim.slot.0[0], claim.value[0], claim.until_ms);
                    let expected = match model.get_mut(&slot).filter(|(_, end, _)| *end > claim.at_ms) {
                        Some((known, end, _)) => {
                            if *known == value {
                                *end = until.max(*end);
                            }
                            stood(*known, *end)
                        }
                        None if until <= claim.at_ms => Outcome::Refused(Refusal::Claims),
                        None => {
                            model.insert(slot, (value, until, claim.client.0[0]));
                            stood(value, until)
                        }
                    };
                    prop_assert_eq!(apply(&mut state, &Entry::Claim(claim).encode()), expected);
                }
            }
            for slot in 0..4 {
                prop_assert_eq!(stands(&state, slot), model.get(&slot).copied());
            }
        }
    }
}
