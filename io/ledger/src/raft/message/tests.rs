//! Whatever a peer sends, it is one message or none.
use super::*;
use crate::raft::batch::Batch;
use crate::raft::types::{Body, Members};
use proptest::prelude::*;

fn id(index: u64) -> Id {
    Id { term: 9, node: 2, index }
}

fn ballot() -> Ballot {
    Ballot { term: 9, node: 2, leads: true }
}

fn members() -> Members {
    Members { voters: vec![BTreeSet::from([1, 2, 300])], nodes: BTreeSet::from([1, 2, 3, 300]) }
}

/// A request of each kind, as node 2 makes it.
pub(crate) fn requests() -> Vec<Request> {
    let entries = vec![
        LogEntry { id: id(8), body: Body::Blank },
        LogEntry { id: id(9), body: Body::Batch(Batch::new([b"one".as_slice(), b"", b"three"])) },
        LogEntry { id: id(10), body: Body::Members(members()) },
    ];
    let meta = Meta {
        last: Some(id(7)),
        members: StoredMembers { id: Some(id(3)), members: members() },
        id: "a snapshot".to_owned(),
    };
    vec![
        Request::Append { ballot: ballot(), previous: Some(id(7)), entries, committed: Some(id(6)) },
        Request::Vote { ballot: Ballot { leads: false, ..ballot() }, last: Some(id(7)) },
        Request::Snapshot { ballot: ballot(), meta, offset: 0, data: Bytes(vec![5; 20]), done: false },
        Request::Propose { entry: Bytes(b"entry".to_vec()) },
        Request::ReadIndex,
        Request::SetMembers { voters: BTreeSet::from([1, 2]), learners: BTreeSet::from([3]) },
        Request::PreVote { last: Some(id(7)) },
    ]
}

/// An answer of each kind.
fn answers() -> Vec<Answer> {
    vec![
        Answer::Append(Appended::Higher(ballot())),
        Answer::Vote { ballot: ballot(), granted: true, last: Some(id(7)) },
        Answer::Snapshot { ballot: ballot() },
        Answer::SnapshotMismatch,
        Answer::Proposed(Ok(Proposed { index: 300, answer: Bytes(vec![1; 9]) })),
        Answer::Proposed(Err(Denial::Failed(ProposeDenial::Unknown))),
        Answer::ReadIndex(Err(Denial::NotLeader(Some(300)))),
        Answer::Members(Ok(300)),
        Answer::Refused(Refusal::Sender),
        Answer::PreVote { granted: true },
    ]
}

fn valid() -> Vec<Vec<u8>> {
    requests().iter().map(encode).chain(answers().iter().map(encode)).collect()
}

/// One whole message or none, and what is read is written so that it is read again.
fn reads(bytes: &[u8]) {
    if let Some(request) = decode::<Request>(bytes) {
        request.is_sound();
        request.claims();
        assert_eq!(decode(&encode(&request)), Some(request));
    }
    if let Some(answer) = decode::<Answer>(bytes) {
        assert_eq!(decode(&encode(&answer)), Some(answer));
    }
}

#[test]
fn a_message_of_each_kind_is_read_as_it_was_written() {
    for request in requests() {
        assert!(request.is_sound(), "{request:?}");
        assert_eq!(decode(&encode(&request)), Some(request));
    }
    for answer in answers() {
        assert_eq!(decode(&encode(&answer)), Some(answer));
    }
    let kinds = |messages: Vec<Vec<u8>>| messages.iter().map(|bytes| bytes[1]).collect::<BTreeSet<u8>>();
    assert!(kinds(requests().iter().map(encode).collect()).into_iter().eq(0..7), "{:?}", requests());
    assert!(kinds(answers().iter().map(encode).collect()).into_iter().eq(0..9), "{:?}", answers());
    let beyond = |kind: u8| [&[VERSION, kind][..], &[0; 200]].concat();
    let (request, answer) = (decode::<Request>(&beyond(7)), decode::<Answer>(&beyond(9)));
    assert_eq!((request, answer), (None, None), "a new kind belongs into these lists");
}

#[test]
fn what_is_changed_anywhere_is_a_message_or_none() {
    for bytes in requests().iter().map(encode) {
        assert!((0..bytes.len()).all(|at| decode::<Request>(&bytes[..at]).is_none()), "a part of one");
        assert_eq!(decode::<Request>(&[&bytes[..], &[0]].concat()), None, "more than one");
    }
    for bytes in answers().iter().map(encode) {
        assert!((0..bytes.len()).all(|at| decode::<Answer>(&bytes[..at]).is_none()), "a part of one");
    }
    for bytes in valid() {
        for at in 0..bytes.len() {
            for value in 0..=u8::MAX {
                let mut changed = bytes.clone();
                changed[at] = value;
                reads(&changed);
            }
            // A length that is far too long.
            reads(&[&bytes[..at], &[0xff; 9], &bytes[at..]].concat());
        }
    }
}

#[test]
fn a_message_that_is_too_long_is_none() {
    let propose = |len| encode(&Request::Propose { entry: Bytes(vec![0; len]) });
    let head = propose(MESSAGE_LEN_MAX).len() - MESSAGE_LEN_MAX;
    assert!(decode::<Request>(&propose(MESSAGE_LEN_MAX - head)).is_some());
    assert_eq!(decode::<Request>(&propose(MESSAGE_LEN_MAX - head + 1)), None);
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_none(kind in 0..12u8, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        reads(&bytes);
        reads(&[&[VERSION, kind], &bytes[..]].concat());
    }

    #[test]
    fn what_is_put_together_of_two_is_a_message_or_none(
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        go_on in any::<prop::sample::Index>(),
    ) {
        let valid = valid();
        let (from, to) = (from.get(&valid), to.get(&valid));
        reads(&[&from[..cut.index(from.len() + 1)], &to[go_on.index(to.len() + 1)..]].concat());
    }
}
