//! Well-formed bytes of a cluster: what seeds of its targets are made of.
use crate::secret;
use std::num::NonZeroU32;
use terachat_cluster::wire::{
    Admission, Ask, AuditReport, Contact, DiskUsage, Ends, Frame, HealthCount, HealthDetail, Kind, LedgerAt,
    MemberReport, Report, ScrubReport, Ticket, Told, Unwelcome, Welcome,
};
use terachat_cluster::{
    ClientKey, ClusterId, Deed, Entry, Exhibit, Export, ExportManifest, ItemName, JoinConsent, Manifest,
    Message, NodeKey, NodeProfile, NodeStatus, PIECE_LEN, Piece, Request, Response, SignedDeed, State,
    TicketFor, What,
};
use terachat_event::DeviceKey;
use terachat_shard::{Domain, NodeId};

const CLUSTER: ClusterId = ClusterId([1; 16]);

fn key(number: u8) -> DeviceKey {
    DeviceKey::from_seed(&secret(number))
}

fn node() -> NodeId {
    NodeId(NonZeroU32::MIN)
}

fn contact() -> Contact {
    Contact { node: node(), key: NodeKey(key(1).id().0), address: "[::1]:4001".to_owned() }
}

fn profile(number: u8) -> NodeProfile {
    NodeProfile {
        key: NodeKey(key(number).id().0),
        address: "[::1]:4001".to_owned(),
        domain: Domain { site: 0, rack: 0, host: u32::from(number) },
        weight: NonZeroU32::MIN,
    }
}

fn exhibits() -> Vec<Exhibit> {
    let mut names = [b"one", b"two"].map(|bytes| ItemName::of_blob(bytes));
    names.sort();
    let [one, two] = names;
    vec![Exhibit { name: one, content: Some(([7; 32], 300)) }, Exhibit { name: two, content: None }]
}

fn export() -> Export {
    let (case, to) = ("case".to_owned(), "court".to_owned());
    Export { case, to, items: 1, digest: Exhibit::digest(&exhibits()) }
}

/// What was done to a cluster of two nodes and a client.
fn deeds() -> Vec<SignedDeed> {
    let mut state = State::default();
    let items = exhibits().iter().map(|exhibit| exhibit.name).collect();
    let client = ClientKey(key(3).id().0);
    let whats = [
        What::Founded { cluster: CLUSTER, profile: profile(1) },
        What::invite(&[2; 32], TicketFor::Node, u64::MAX),
        What::Joined(JoinConsent::sign(CLUSTER, [2; 32], profile(2), &key(2))),
        What::invite(&[3; 32], TicketFor::Client, u64::MAX),
        What::Admitted { client, ticket: [3; 32] },
        What::Held { case: "case".to_owned(), items },
        What::Exported(export()),
    ];
    for what in whats {
        let (seq, previous) = state.chronicle().next();
        let deed = Deed { seq, previous, at_ms: 5, by: node(), what };
        state.apply(seq + 1, &Entry::Deed(SignedDeed::sign(deed, &key(1))).encode());
    }
    state.chronicle().deeds().to_vec()
}

fn asks() -> Vec<Ask> {
    let ends = Ends { cluster: CLUSTER, node: [2; 32], connection: [3; 32] };
    let items = exhibits().iter().map(|exhibit| exhibit.name).collect();
    vec![
        Ask::Hello(ends.client(&key(3))),
        Ask::Hello(ends.operator(&key(4))),
        Ask::Join(JoinConsent::sign(CLUSTER, [2; 32], profile(2), &key(2))),
        Ask::Admit(Admission::sign(CLUSTER, [3; 32], &key(3))),
        Ask::Invite { role: TicketFor::Node, lifetime_ms: 1000 },
        Ask::Leave { node: node(), force: true },
        Ask::Hold { case: "case".to_owned(), items },
        Ask::Exhibits { case: "case".to_owned(), after: Some(ItemName::of_blob(b"one")) },
        Ask::Export(export()),
        Ask::History(300),
    ]
}

fn report() -> Report {
    let member = MemberReport {
        contact: contact(),
        status: NodeStatus::Active,
        voter: true,
        silent_ms: Some(5),
        shards: 9,
    };
    Report {
        cluster: CLUSTER,
        node: node(),
        process: 7,
        leader: Some(node()),
        term: 2,
        stopped: Some("full".to_owned()),
        head: (9, [4; 32]),
        members: vec![member],
        health: Some(HealthCount { shards: 9, in_place: 8, detail: Some(HealthDetail::default()) }),
        stripes: 3,
        items: 4,
        bytes: 5000,
        deeds: 6,
        disk_trouble: Some("it is full".to_owned()),
        disk: DiskUsage::default(),
        etcd: false,
    }
}

fn tolds() -> Vec<Told> {
    let deeds = deeds();
    let audit = AuditReport {
        node: node(),
        deeds: 7,
        last: [5; 32],
        wrong: None,
        placements: Vec::new(),
        head: (9, [4; 32]),
    };
    let last = deeds.last().cloned().expect("there are deeds");
    vec![
        Told::Welcome(Welcome { cluster: CLUSTER, members: vec![contact()], joined: Some(node()) }),
        Told::Status(Box::new(report())),
        Told::Audit(audit),
        Told::Ticket([9; 32]),
        Told::Refused(Unwelcome::NotEmpty { node: node(), shards: 8 }),
        Told::Scrub(ScrubReport { node: node(), bytes: 8, through: true, disk: DiskUsage::default() }),
        Told::Holds(vec![("case".to_owned(), 2)]),
        Told::Exhibits(exhibits()),
        Told::Exported(Box::new(last)),
        Told::History(deeds),
    ]
}

/// Target, name and bytes of each.
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut seed = |target, name: String, bytes| seeds.push((target, name, bytes));
    for (n, ask) in asks().iter().enumerate() {
        seed("cluster_question", format!("ask-{n}"), ask.encode());
        let frame = Frame { kind: Kind::Ask, call: 300, body: &ask.encode() };
        seed("cluster_frame", format!("ask-{n}"), frame.encode());
    }
    for (n, told) in tolds().iter().enumerate() {
        seed("cluster_question", format!("told-{n}"), told.encode());
    }
    for role in [TicketFor::Node, TicketFor::Client] {
        let ticket = Ticket {
            role,
            cluster: CLUSTER,
            secret: [2; 32],
            members: vec![contact(), contact()],
            ledger: LedgerAt::Nodes,
        };
        seed("cluster_ticket", format!("{role:?}").to_lowercase(), ticket.to_string().into_bytes());
    }
    let content = terachat_cluster::wire::encode(&(
        CLUSTER,
        [2_u8; 32],
        vec![contact()],
        LedgerAt::Etcd("prefix".to_owned()),
    ));
    seed("cluster_ticket", "content".to_owned(), content);
    let piece = Piece::seal(&secret(1), b"piece".to_vec()).0;
    let manifest = Manifest { len: PIECE_LEN as u64 + 5, pieces: vec![piece; 2] };
    let bytes = postcard::to_extend(&manifest, vec![1]).expect("a value in memory can be written");
    seed("cluster_file", "manifest".to_owned(), bytes);
    let (reference, _) = manifest.seal(&secret(1)).expect("two pieces");
    seed("cluster_file", "reference".to_owned(), reference.to_string().into_bytes());
    wire(&mut seed);
    seeds
}

/// What nodes and clients send each other, and what stands in the ledger.
fn wire(seed: &mut impl FnMut(&'static str, String, Vec<u8>)) {
    let mut state = State::default();
    for (number, deed) in (1..).zip(deeds()) {
        seed("cluster_wire", format!("deed-{number}"), deed.encode());
        let entry = Entry::Deed(deed).encode();
        seed("cluster_wire", format!("entry-{number}"), entry.clone());
        state.apply(number, &entry);
    }
    seed("cluster_wire", "state".to_owned(), state.snapshot());
    let last = state.chronicle().deeds().last().cloned().expect("there are deeds");
    let list = ExportManifest::new(CLUSTER, NodeKey(key(1).id().0), last, exhibits()).expect("signed");
    seed("cluster_wire", "export".to_owned(), list.encode());
    let name = ItemName::of_blob(b"bytes");
    let put = Request::Put { name, bytes: b"bytes".to_vec(), expires_ms: 0 };
    seed("cluster_wire", "put".to_owned(), put.encode());
    seed("cluster_wire", "got".to_owned(), Response::Got(Some(b"bytes".to_vec())).encode());
    seed("cluster_wire", "ping".to_owned(), Message::Ping(Some((1, 300))).encode());
}
