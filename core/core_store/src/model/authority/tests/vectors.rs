//! The stories of `docs/format/authority-vectors.txt`, by which another implementation can be checked. `TERACHAT_WRITE_VECTORS=1` writes
//! the file anew.
use super::*;
use std::fmt::Write;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/format/authority-vectors.txt");

struct Story {
    name: &'static str,
    events: Vec<ControlEvent>,
    frozen: BTreeMap<DeviceId, u64>,
}

impl Story {
    fn log(&self) -> ControlLog {
        let mut log = ControlLog::default();
        self.frozen.iter().for_each(|(device, seq)| log.freeze(*device, *seq));
        self.events.iter().for_each(|event| log.insert(event.clone()));
        log
    }

    fn lines(&self) -> String {
        let log = self.log();
        let verdicts: BTreeMap<EventHash, Verdict> =
            log.events().map(|(event, verdict)| (event.hash, verdict)).collect();
        let (state, plain) = naive::resolve(&self.events, &self.frozen);
        let plain: BTreeMap<EventHash, Verdict> = plain.into_iter().collect();
        assert_eq!(verdicts, plain, "{}", self.name);
        assert_eq!(log.state().root(), state.root(), "{}", self.name);
        let mut out = format!("story {}\n", self.name);
        for event in &self.events {
            let parents: Vec<String> = event.parents.iter().map(|hash| hex(&hash.0)).collect();
            let parents = if parents.is_empty() { "-".to_owned() } else { parents.join(",") };
            let counts = if verdicts[&event.hash] == Verdict::Counts { "counts" } else { "void" };
            let (hash, author) = (hex(&event.hash.0), hex(&event.stamp.author.0));
            let (seq, lamport) = (event.stamp.seq, event.stamp.lamport);
            let payload = hex(&event.transaction.encode());
            writeln!(out, "event {hash} {author} {seq} {lamport} {parents} {payload} {counts}").unwrap();
        }
        for (device, seq) in &self.frozen {
            writeln!(out, "frozen {} {seq}", hex(&device.0)).unwrap();
        }
        writeln!(out, "root {}", hex(&log.state().root())).unwrap();
        out
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn id(text: &str) -> [u8; 32] {
    unhex(text).try_into().unwrap()
}

fn channel(name: &str) -> ControlOp {
    ControlOp::CreateChannel { name: name.into() }
}

fn set_rank(person: &Person, rank: u8) -> ControlOp {
    ControlOp::SetRank { user: person.card.user, rank: Rank::new(rank).unwrap(), pins: Vec::new() }
}

fn admit(person: &Person, rank: u8) -> ControlOp {
    ControlOp::Admit { card: person.card.clone(), rank: Rank::new(rank).unwrap(), key_package: Vec::new() }
}

/// Four people of ranks 100, 80, 80 and 50, who part after the beginning, do things, and meet.
fn parted(name: &'static str, acts: &[(usize, Vec<ControlOp>)]) -> Story {
    let people: Vec<Person> = (1..=4).map(person).collect();
    let before = founded(&people, &[80, 80, 50]);
    let mut all = before.clone();
    let mut sides: Vec<Replica> = people.iter().map(|_| before.clone()).collect();
    for (who, ops) in acts {
        sides[*who].append(&people[*who], ops.clone());
    }
    sides.iter().for_each(|side| all.merge(side));
    Story { name, events: all.events, frozen: BTreeMap::new() }
}

fn stories() -> Vec<Story> {
    let people: Vec<Person> = (1..=5).map(person).collect();
    let [ann, bob, cid, dan, eve] = [0, 1, 2, 3, 4].map(|at| &people[at]);
    let take = |rank, take: Permission| ControlOp::ChangeRole {
        rank: Rank::new(rank).unwrap(),
        give: Permissions::NONE,
        take: take.into(),
        pins: Vec::new(),
    };
    let mut stories = vec![
        parted(
            "a removal against what its target did meanwhile",
            &[(0, vec![remove(bob)]), (1, vec![channel("bobs")]), (1, vec![admit(eve, 10)])],
        ),
        parted(
            "two of different ranks remove each other",
            &[(1, vec![remove(dan)]), (0, vec![remove(bob)]), (1, vec![remove(cid)])],
        ),
        parted(
            "two of one rank remove each other, the senior holds",
            &[(2, vec![remove(bob)]), (1, vec![remove(cid)])],
        ),
        parted(
            "a demotion leaves what the new rank permits",
            &[
                (0, vec![set_rank(bob, 50)]),
                (1, vec![channel("as a moderator might")]),
                (
                    1,
                    vec![ControlOp::SetName {
                        of: crate::model::Named::Space,
                        name: "as one might not".into(),
                    }],
                ),
            ],
        ),
        parted(
            "demoted and promoted again",
            &[(0, vec![set_rank(bob, 10)]), (0, vec![set_rank(bob, 80)]), (1, vec![channel("in between")])],
        ),
        parted(
            "a role loses a permission while its holder is away",
            &[(0, vec![take(50, Permission::ManageChannels)]), (3, vec![channel("dans")])],
        ),
        parted(
            "rank 50 tries to rise",
            &[(3, vec![set_rank(dan, 80)]), (3, vec![admit(eve, 50)]), (3, vec![remove(cid)])],
        ),
        parted(
            "a device is taken back by its user's word against what it does",
            &[(0, vec![revoke(cid)]), (2, vec![remove(dan)])],
        ),
        parted("an event counts whole or not at all", &[(3, vec![channel("allowed"), set_rank(dan, 100)])]),
        parted("whom only a void event admits", &[(0, vec![remove(bob)]), (1, vec![admit(eve, 50)])]),
    ];
    // Ann crowns Bob, who removes her; then both are heard by all.
    let mut crowned = founded(&people[..4], &[80, 80, 50]);
    crowned.append(ann, vec![set_rank(bob, 100)]);
    crowned.append(bob, vec![set_rank(bob, 90)]);
    crowned.append(bob, vec![remove(dan)]);
    stories.push(Story {
        name: "an ownership changes hands",
        events: crowned.events,
        frozen: BTreeMap::new(),
    });
    // Bob signs two events with one number; what he did from there on is void, and in nobody's past.
    let mut forked = parted(
        "a fork",
        &[(1, vec![admit(eve, 10)]), (1, vec![channel("behind the fork")]), (0, vec![channel("beside")])],
    );
    forked.frozen.insert(bob.device.id(), 1);
    stories.push(forked);
    stories
}

#[test]
fn they_are_what_the_code_says() {
    let written: String = stories().iter().map(Story::lines).collect();
    if std::env::var_os("TERACHAT_WRITE_VECTORS").is_some() {
        std::fs::write(FILE, &written).unwrap();
    }
    let read = std::fs::read_to_string(FILE).unwrap();
    assert!(written == read, "docs/format/authority-vectors.txt says otherwise");
}

/// From the file alone, as another implementation would, in another order.
#[test]
fn they_can_be_followed_from_the_file_alone() {
    let text = std::fs::read_to_string(FILE).unwrap();
    let (mut counted, mut void, mut stories) = (0, 0, 0);
    for story in text.split("story ").filter(|story| !story.is_empty()) {
        let mut log = ControlLog::default();
        let mut expected = Vec::new();
        let mut root = String::new();
        let mut events = Vec::new();
        for line in story.lines().skip(1) {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["event", hash, author, seq, lamport, parents, payload, verdict] => {
                    let stamp = Stamp {
                        lamport: lamport.parse().unwrap(),
                        author: DeviceId(id(author)),
                        seq: seq.parse().unwrap(),
                    };
                    let parents = parents.split(',').filter(|parent| *parent != "-");
                    let transaction = ControlTransaction::decode(&unhex(payload)).unwrap();
                    let vouched = vouched(std::iter::once(&transaction))[0];
                    let hash = EventHash(id(hash));
                    let parents = parents.map(|parent| EventHash(id(parent))).collect();
                    events.push(ControlEvent { stamp, hash, parents, transaction, wall_ms: 0, vouched });
                    expected.push((hash, verdict == "counts"));
                }
                ["frozen", device, seq] => log.freeze(DeviceId(id(device)), seq.parse().unwrap()),
                ["root", hash] => hash.clone_into(&mut root),
                _ => panic!("{line}"),
            }
        }
        // By time, the later author first: another order than the file's, and a causal one.
        events.sort_by_key(|event| (event.stamp.lamport, std::cmp::Reverse(event.stamp.author)));
        events.into_iter().for_each(|event| log.insert(event));
        for (hash, counts) in expected {
            assert_eq!(log.why_void(&hash).is_none(), counts, "{}", story.lines().next().unwrap());
            if counts { counted += 1 } else { void += 1 }
        }
        assert_eq!(hex(&log.state().root()), root, "{}", story.lines().next().unwrap());
        stories += 1;
    }
    assert!(stories >= 12 && counted > 50 && void >= 10, "{stories} {counted} {void}");
}
