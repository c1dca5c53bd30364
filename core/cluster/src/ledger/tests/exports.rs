//! What is given out, and what nodes run, stands in the history.
use super::*;

/// Two items, the second of which is not there, held for a case.
fn held() -> State {
    let (mut state, _) = founded(1);
    take(&mut state, &stripe(1, 1, &[1], vec![item(1), item(3)], u64::MAX));
    act(&mut state, What::Held { case: "17".to_owned(), items: vec![name(2), name(1)] }, Outcome::Done);
    state
}

fn act(state: &mut State, what: What, expected: Outcome) {
    let entry = deed(state, 1, 0, what);
    assert_eq!(apply(state, &entry), expected);
}

fn export(case: &str, to: &str, items: u64) -> What {
    What::Exported(Export { case: case.to_owned(), to: to.to_owned(), items, digest: [7; 32] })
}

#[test]
fn a_case_is_told_of_in_the_order_of_names_from_any_on() {
    let state = held();
    let there = Exhibit { name: name(1), content: Some(([1; 32], 10)) };
    let absent = Exhibit { name: name(2), content: None };
    let all = |after: Option<ItemName>| state.exhibits("17", after.as_ref()).collect::<Vec<_>>();
    assert_eq!(all(None), [there, absent]);
    assert_eq!(all(Some(name(1))), [absent]);
    assert_eq!(all(Some(name(2))), []);
    assert_eq!(state.exhibits("18", None).count(), 0);
}

#[test]
fn an_exports_digest_binds_what_was_there_and_what_was_not() {
    let one = Exhibit { name: name(1), content: Some(([1; 32], 10)) };
    let absent = Exhibit { name: name(2), content: None };
    let digest = Exhibit::digest(&[one]);
    for other in [
        Exhibit { name: name(2), ..one },
        Exhibit { name: ItemName { kind: ItemKind::Board, ..one.name }, ..one },
        Exhibit { content: Some(([2; 32], 10)), ..one },
        Exhibit { content: Some(([1; 32], 11)), ..one },
        Exhibit { content: None, ..one },
    ] {
        assert_ne!(Exhibit::digest(&[other]), digest, "{other:?}");
    }
    // `docs/format/cluster-ledger.md`.
    let hex: String = Exhibit::digest(&[one, absent]).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "ad9952af195266417f2da8636545ef80e2c93fc27b9696a2ddc127b8af19c24a");
}

#[test]
fn an_export_is_of_a_case_and_for_somebody() {
    let mut state = held();
    act(&mut state, export("18", "the court", 0), Outcome::Refused(Refusal::NoCase));
    for (to, items) in [("", 1), ("a\nb", 1), (&*"x".repeat(257), 1), ("the court", 3)] {
        act(&mut state, export("17", to, items), Outcome::Refused(Refusal::Recipient));
    }
    act(&mut state, export("17", "the court", 2), Outcome::Done);
    act(&mut state, export("17", &"x".repeat(256), 0), Outcome::Done);
    act(&mut state, What::Released("17".to_owned()), Outcome::Done);
    act(&mut state, export("17", "the court", 0), Outcome::Refused(Refusal::NoCase));
    assert_eq!(state.chronicle().audit(state.roster()), Ok(()), "which stays so when the case is over");
}

#[test]
fn a_node_says_what_itself_runs() {
    let (mut state, _) = founded(2);
    let program = |version: &str| Program { version: version.to_owned(), hash: [9; 32] };
    let runs = |state: &State, number: u32| state.roster().node(node(number)).unwrap().program.clone();
    assert_eq!(runs(&state, 1), None);
    act(&mut state, What::Deployed(program("1.0")), Outcome::Done);
    assert_eq!((runs(&state, 1), runs(&state, 2)), (Some(program("1.0")), None));
    act(&mut state, What::Deployed(program("1.1")), Outcome::Done);
    assert_eq!(runs(&state, 1), Some(program("1.1")));
    for version in ["", "1\t0", &*"1".repeat(65)] {
        act(&mut state, What::Deployed(program(version)), Outcome::Refused(Refusal::Version));
    }
}

/// Who is told a history deed by deed comes to the same; a deed that was changed, left out or put in is named.
#[test]
fn a_history_is_replayed_by_whoever_is_told_it() {
    let mut state = held();
    act(&mut state, export("17", "the court", 2), Outcome::Done);
    let deeds = state.chronicle().deeds();
    let replay = |deeds: &[SignedDeed]| {
        let (mut chronicle, mut roster) = (Chronicle::default(), Roster::default());
        let told = deeds.iter().map(|deed| SignedDeed::decode(&deed.encode()).unwrap());
        told.map(|deed| chronicle.append(deed, &mut roster)).collect::<Result<Vec<()>, _>>().map(|_| roster)
    };
    assert_eq!(replay(deeds).as_ref(), Ok(state.roster()));
    for at in 0..deeds.len() {
        let mut changed = deeds.to_vec();
        changed[at].deed.at_ms += 1;
        let seq = at as u64;
        assert_eq!(replay(&changed).unwrap_err(), ChronicleError::Deed { seq, why: Refusal::Signature });
        if at + 1 < deeds.len() {
            let mut left_out = deeds.to_vec();
            left_out.remove(at);
            assert_eq!(replay(&left_out).unwrap_err(), ChronicleError::Deed { seq, why: Refusal::Stale });
        }
    }
    let whole = deeds[0].encode();
    assert_eq!(SignedDeed::decode(&whole[..whole.len() - 1]), Err(crate::Error::Entry));
    assert_eq!(SignedDeed::decode(&[&whole[..], &[0]].concat()), Err(crate::Error::Entry));
}
