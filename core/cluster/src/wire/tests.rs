//! Every kind of value, and what is none.
use super::*;
use crate::testing::{CLUSTER, key, node, profile};
use crate::{
    ClientKey, Deed, Exhibit, Export, ItemName, JoinConsent, NodeKey, NodeStatus, Refusal, SignedDeed,
    TicketFor, What,
};
use std::collections::BTreeSet;

#[test]
fn values_are_read_whole_or_not_at_all() {
    let bytes = Ask::Status.encode();
    assert_eq!(Ask::decode(&bytes), Some(Ask::Status));
    assert_eq!(Ask::decode(&[&bytes[..], &[0]].concat()), None);
    assert_eq!(Ask::decode(&bytes[..1]), None);
    assert_eq!(Ask::decode(&[2, 3]), None, "another version");
}

fn contact() -> Contact {
    Contact { node: node(1), key: NodeKey([7; 32]), address: "[::1]:4001".to_owned() }
}

/// A question of each kind.
fn asks() -> Vec<Ask> {
    let ends = Ends { cluster: CLUSTER, node: [2; 32], connection: [3; 32] };
    let case = || "case".to_owned();
    vec![
        Ask::Hello(ends.client(&key(4))),
        Ask::Join(JoinConsent::sign(CLUSTER, [2; 32], profile(3), &key(3))),
        Ask::Admit(Admission::sign(CLUSTER, [2; 32], &key(3))),
        Ask::Status,
        Ask::Audit,
        Ask::Invite { role: TicketFor::Client, lifetime_ms: 5 },
        Ask::Drain(node(2)),
        Ask::Return(node(2)),
        Ask::Leave { node: node(2), force: true },
        Ask::Dismiss(ClientKey([9; 32])),
        Ask::Scrub { anew: true },
        Ask::Hold { case: case(), items: vec![ItemName::of_blob(b"one"), ItemName::of_blob(b"two")] },
        Ask::Release(case()),
        Ask::Holds,
        Ask::Exhibits { case: case(), after: Some(ItemName::of_blob(b"one")) },
        Ask::Export(Export { case: case(), to: "court".to_owned(), items: 2, digest: [7; 32] }),
        Ask::History(300),
        Ask::Hello(ends.operator(&key(4))),
    ]
}

fn report() -> Report {
    let member = MemberReport {
        contact: contact(),
        status: NodeStatus::Draining,
        voter: true,
        silent_ms: Some(400),
        shards: 70_000,
    };
    let detail = HealthDetail { unreadable: 1, missing: 2, ..HealthDetail::default() };
    Report {
        cluster: CLUSTER,
        node: node(1),
        process: 300,
        leader: Some(node(2)),
        term: 4,
        stopped: Some("its disk is full".to_owned()),
        head: (500, [6; 32]),
        members: vec![member],
        health: Some(HealthCount { shards: 300, in_place: 299, detail: Some(detail) }),
        stripes: 100,
        items: 1000,
        bytes: 1 << 40,
        deeds: 12,
        disk: DiskUsage { shards: 300, rotten: 1, live_bytes: 1 << 30, disk_bytes: 1 << 31 },
        disk_trouble: Some("its disk is full".to_owned()),
        etcd: true,
    }
}

/// An answer of each kind.
fn tolds() -> Vec<Told> {
    let welcome = Welcome { cluster: CLUSTER, members: vec![contact(), contact()], joined: Some(node(3)) };
    let what = What::Released("case".to_owned());
    let deed = SignedDeed::sign(Deed { seq: 300, previous: [4; 32], at_ms: 5, by: node(1), what }, &key(5));
    let wrong = Some("deed 3 is not signed".to_owned());
    vec![
        Told::Welcome(welcome),
        Told::Status(Box::new(report())),
        Told::Audit(AuditReport {
            node: node(1),
            deeds: 9,
            last: [8; 32],
            wrong,
            placements: vec![crate::PlacementMark { entry: 6, digest: [5; 32] }],
            head: (7, [6; 32]),
        }),
        Told::Ticket([9; 32]),
        Told::Done,
        Told::Refused(Unwelcome::Ledger(Refusal::Held)),
        Told::Scrub(ScrubReport { node: node(1), bytes: 300, through: true, disk: DiskUsage::default() }),
        Told::Holds(vec![("case".to_owned(), 2)]),
        Told::Exhibits(vec![
            Exhibit { name: ItemName::of_blob(b"one"), content: Some(([7; 32], 300)) },
            Exhibit { name: ItemName::of_blob(b"two"), content: None },
        ]),
        Told::Exported(Box::new(deed.clone())),
        Told::History(vec![deed.clone(), deed]),
        Told::Refused(Unwelcome::NotEmpty { node: node(2), shards: 300 }),
    ]
}

/// The byte behind the version is the kind: `docs/format/cluster-message.md` numbers them in this order.
#[test]
fn a_value_of_each_kind_is_read_as_it_was_written() {
    for ask in asks() {
        assert_eq!(Ask::decode(&ask.encode()), Some(ask));
    }
    for told in tolds() {
        assert_eq!(Told::decode(&told.encode()), Some(told));
    }
    let kinds = |bytes: Vec<Vec<u8>>| bytes.iter().map(|bytes| bytes[1]).collect::<BTreeSet<u8>>();
    assert!(kinds(asks().iter().map(Ask::encode).collect()).into_iter().eq(0..17));
    assert!(kinds(tolds().iter().map(Told::encode).collect()).into_iter().eq(0..11));
    let beyond = |kind: u8| [&[1, kind][..], &[0; 200]].map(<[u8]>::to_vec).concat();
    assert_eq!(
        (Ask::decode(&beyond(17)), Told::decode(&beyond(11))),
        (None, None),
        "a new kind belongs into these lists"
    );
}

#[test]
fn a_question_that_is_too_long_is_none() {
    let hold =
        |items: usize| Ask::Hold { case: "case".to_owned(), items: vec![ItemName::of_blob(b"one"); items] };
    let longest =
        Ask::Hold { case: "c".repeat(64), items: vec![ItemName::of_blob(b"one"); crate::HELD_ITEMS_MAX] };
    assert_eq!(Ask::decode(&longest.encode()), Some(longest));
    assert_eq!(Ask::decode(&hold(ASK_LEN_MAX / 33 + 1).encode()), None);
}

/// Whatever comes, it is a value that is written as it was read, or none.
#[test]
fn any_bytes_are_a_value_or_none() {
    let reads = |bytes: &[u8]| {
        if let Some(ask) = Ask::decode(bytes) {
            assert_eq!(Ask::decode(&ask.encode()), Some(ask));
        }
        if let Some(told) = Told::decode(bytes) {
            assert_eq!(Told::decode(&told.encode()), Some(told));
        }
    };
    let samples = asks().iter().map(Ask::encode).chain(tolds().iter().map(Told::encode)).collect::<Vec<_>>();
    for sample in samples {
        for at in 0..sample.len() {
            reads(&sample[..at]);
            for value in 0..=u8::MAX {
                let mut bytes = sample.clone();
                bytes[at] = value;
                reads(&bytes);
            }
            // A length that is far too long.
            reads(&[&sample[..at], &[0xff; 9], &sample[at..]].concat());
        }
    }
}
