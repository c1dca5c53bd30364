//! One node and a slot: what it brings before the ledger, and what it knows without.
use super::*;
use crate::{ClientKey, Slot, SlotClaim, Standing};

const DAY_MS: u64 = 24 * 3_600_000;
const NOW_MS: u64 = 1_800_000_000_000;
const CLIENT: ClientKey = ClientKey([3; 32]);

fn ask(one: &mut Node, state: &State, by: Option<ClientKey>, value: u8, life_ms: u64) -> Vec<Output> {
    let request = Request::Claim { slot: Slot([1; 32]), value: [value; 32], life_ms };
    one.handle(Moment(2), state, Input::Client(Call(1), by, request))
}

fn refused(why: Refused) -> Vec<Output> {
    vec![Output::Reply(Call(1), Response::Refused(why))]
}

fn stands(value: u8, life_ms: u64) -> Vec<Output> {
    let standing = Standing { value: [value; 32], until_ms: NOW_MS + life_ms };
    vec![Output::Reply(Call(1), Response::Claimed(standing))]
}

fn proposal(outputs: &[Output]) -> (Call, SlotClaim) {
    let [Output::Propose(call, entry)] = outputs else { panic!("{outputs:?}") };
    let Ok(Entry::Claim(claim)) = Entry::decode(entry) else { panic!("another entry") };
    (*call, claim)
}

#[test]
fn a_claim_goes_before_the_ledger_with_its_client_and_the_time() {
    let (mut state, _) = founded(1);
    let mut one = started();
    assert_eq!(ask(&mut one, &state, Some(CLIENT), 7, 10), refused(Refused::NoMajority), "what time is it?");
    one.handle(Moment(1), &state, Input::Clock(NOW_MS));
    assert_eq!(ask(&mut one, &state, None, 7, 10), refused(Refused::Stranger), "an operator claims nothing");
    for life_ms in [0, 90 * DAY_MS + 1, u64::MAX] {
        assert_eq!(ask(&mut one, &state, Some(CLIENT), 7, life_ms), refused(Refused::Lifetime));
    }
    let (call, claim) = proposal(&ask(&mut one, &state, Some(CLIENT), 7, 10));
    let until_ms = NOW_MS + 10;
    let expected = SlotClaim { slot: Slot([1; 32]), value: [7; 32], until_ms, client: CLIENT, at_ms: NOW_MS };
    assert_eq!(claim, expected);
    let outcome = state.apply(state.applied() + 1, &Entry::Claim(claim).encode()).outcome;
    assert_eq!(one.handle(Moment(3), &state, Input::Proposed(call, Ok(outcome))), stands(7, 10));
    // It ends too soon for this node to know that it stands at all others.
    let (call, _) = proposal(&ask(&mut one, &state, Some(CLIENT), 8, 10));
    for (unproposed, why) in
        [(Unproposed::NotTaken, Refused::NoMajority), (Unproposed::Unknown, Refused::Unknown)]
    {
        let (call, _) = proposal(&ask(&mut one, &state, Some(CLIENT), 8, 10));
        assert_eq!(one.handle(Moment(3), &state, Input::Proposed(call, Err(unproposed))), refused(why));
    }
    let outcome = Outcome::Refused(Refusal::Claims);
    let told = one.handle(Moment(3), &state, Input::Proposed(call, Ok(outcome)));
    assert_eq!(told, refused(Refused::Ledger(Refusal::Claims)));
}

/// What stands for long is known without a leader, so that all may ask for it.
#[test]
fn what_stands_for_long_is_told_at_once() {
    let (mut state, _) = founded(1);
    let mut one = started();
    one.handle(Moment(1), &state, Input::Clock(NOW_MS));
    let (_, claim) = proposal(&ask(&mut one, &state, Some(CLIENT), 7, DAY_MS));
    state.apply(state.applied() + 1, &Entry::Claim(claim).encode());
    for (value, life_ms) in [(7, DAY_MS), (7, 1), (8, 2 * DAY_MS)] {
        assert_eq!(ask(&mut one, &state, Some(CLIENT), value, life_ms), stands(7, DAY_MS));
    }
    let (_, claim) = proposal(&ask(&mut one, &state, Some(CLIENT), 7, 2 * DAY_MS));
    assert_eq!(claim.until_ms, NOW_MS + 2 * DAY_MS, "a longer life is the ledger's to give");
}
