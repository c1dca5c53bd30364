//! A control log: what judging an event costs, in a row and where several decide at once.
use crate::measure::{Spread, time};
use crate::report::Figure;
use anyhow::{Result, ensure};
use terachat_core_store::crdt::Stamp;
use terachat_core_store::model::{
    Card, ControlEvent, ControlLog, ControlOp, ControlTransaction, Rank, Verdict,
};
use terachat_event::{DeviceId, DeviceKey, EventHash, UserId};
use terachat_vault::Secret;

const NAME: &str = "control";
const MEMBERS: [u32; 3] = [100, 1_000, 10_000];
/// Administrators who decide without hearing of each other, and how much each does before they do.
const ADMINS: u32 = 4;
const BRANCH: usize = 25;
/// Microseconds an event.
const AIM: f64 = 50.0;
/// How often each of two administrators demotes the other.
const DUEL: u64 = 500;

fn device_key(n: u32) -> DeviceKey {
    let mut seed = *blake3::hash(&n.to_le_bytes()).as_bytes();
    DeviceKey::from_seed(&Secret::take(&mut seed))
}

fn device(n: u32) -> DeviceId {
    device_key(n).id()
}

fn user(n: u32) -> DeviceKey {
    let mut seed = *blake3::hash(&[&[1][..], &n.to_le_bytes()].concat()).as_bytes();
    DeviceKey::from_seed(&Secret::take(&mut seed))
}

fn card(n: u32) -> Card {
    Card::issue(&user(n), &format!("member {n}"), &device_key(n))
}

/// Events of several authors, each upon the heads that it is said to have seen.
#[derive(Default)]
struct Talk {
    events: Vec<ControlEvent>,
    seqs: std::collections::BTreeMap<DeviceId, u64>,
}

impl Talk {
    fn act(&mut self, by: u32, parents: Vec<EventHash>, lamport: u64, op: ControlOp) -> EventHash {
        let author = device(by);
        let seq = self.seqs.entry(author).or_default();
        *seq += 1;
        let stamp = Stamp { lamport, author, seq: *seq };
        let hash = EventHash(*blake3::hash(&[&author.0[..], &seq.to_le_bytes()].concat()).as_bytes());
        let transaction = ControlTransaction(vec![op]);
        self.events.push(ControlEvent { stamp, hash, parents, transaction, wall_ms: 0, vouched: true });
        hash
    }
}

fn admit(n: u32, rank: Rank) -> ControlOp {
    ControlOp::Admit { card: card(n), rank, key_package: Vec::new() }
}

fn set_rank(n: u32, rank: Rank) -> ControlOp {
    ControlOp::SetRank { user: UserId(user(n).id().0), rank, pins: Vec::new() }
}

/// A space of so many members, then branches by several administrators at once; and how many events are before them.
fn talk(members: u32) -> (Vec<ControlEvent>, usize) {
    let mut talk = Talk::default();
    let owner = card(0);
    let mut head =
        talk.act(0, Vec::new(), 1, ControlOp::Genesis { name: "space".into(), owner, salt: [0; 16] });
    let mut lamport = 1;
    for n in 1..members {
        lamport += 1;
        let rank = if n <= ADMINS { Rank::ADMIN } else { Rank::MEMBER };
        head = talk.act(0, vec![head], lamport, admit(n, rank));
    }
    let before = talk.events.len();
    let mut heads = vec![head; ADMINS as usize];
    // In turn, as they would arrive; each knows its own branch only.
    for step in 0..BRANCH {
        for admin in 1..=ADMINS {
            let at = admin as usize - 1;
            let other = members + step as u32 * ADMINS + admin;
            let op = match step % 5 {
                4 => set_rank(ADMINS + admin + step as u32, Rank::new(20).unwrap_or(Rank::MEMBER)),
                _ => admit(other, Rank::MEMBER),
            };
            heads[at] = talk.act(admin, vec![heads[at]], lamport + 1 + step as u64, op);
        }
    }
    (talk.events, before)
}

/// Two who demote each other over and over and never hear of it: what an administrator can do to make others work. And how many
/// events are before that.
fn duel() -> (Vec<ControlEvent>, usize) {
    let mut talk = Talk::default();
    let owner = card(0);
    let mut head =
        talk.act(0, Vec::new(), 1, ControlOp::Genesis { name: "space".into(), owner, salt: [0; 16] });
    for n in 1..=2 {
        head = talk.act(0, vec![head], u64::from(n) + 1, admit(n, Rank::ADMIN));
    }
    // Each outranks the other by what it alone has heard.
    let rank = |n: u8| Rank::new(n).unwrap_or(Rank::MEMBER);
    head = talk.act(0, vec![head], 4, set_rank(1, rank(99)));
    let mut heads = [head, talk.act(0, vec![head], 5, set_rank(2, Rank::OWNER))];
    let before = talk.events.len();
    for step in 0..DUEL {
        for (head, (by, whom)) in heads.iter_mut().zip([(1, 2), (2, 1)]) {
            let left = rank(20 + u8::from(step % 2 == 0));
            *head = talk.act(by, vec![*head], 6 + step, set_rank(whom, left));
        }
    }
    (talk.events, before)
}

/// Measures.
///
/// # Errors
/// When an event does not count that should.
pub(crate) fn run(runs: usize) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for members in MEMBERS {
        let (events, before) = talk(members);
        let (mut row, mut forks) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let mut log = ControlLog::default();
            let (first, second) = (events[..before].to_vec(), events[before..].to_vec());
            let count = second.len();
            row.push(
                time(|| first.into_iter().for_each(|event| log.insert(event))).1.cpu / before as f64 * 1e6,
            );
            let looked = time(|| {
                for event in second {
                    log.insert(event);
                    std::hint::black_box(log.state());
                }
            });
            forks.push(looked.1.cpu / count as f64 * 1e6);
            let admitted = members as usize + BRANCH / 5 * 4 * ADMINS as usize;
            ensure!(log.state().members.len() == admitted, "not everybody was admitted");
        }
        let figure = |what: &str, values: Vec<f64>| {
            Figure::new(NAME, format!("{members} members, {what}"), "us an event", Spread::of(values))
                .at_most(AIM)
        };
        figures.push(figure("one after the other", row));
        figures.push(figure("four at once", forks));
    }
    for (what, looks) in [("in one batch", false), ("one by one", true)] {
        let (events, before) = duel();
        let mut cost = Vec::new();
        for _ in 0..runs {
            let mut log = ControlLog::default();
            let (first, second) = (events[..before].to_vec(), events[before..].to_vec());
            first.into_iter().for_each(|event| log.insert(event));
            let judged = time(|| {
                for event in second {
                    log.insert(event);
                    if looks {
                        std::hint::black_box(log.state());
                    }
                }
                log.events().filter(|(_, verdict)| *verdict == Verdict::Counts).count()
            });
            ensure!(judged.0 == before + DUEL as usize, "one of two who demote each other holds");
            cost.push(judged.1.cpu / (2 * DUEL) as f64 * 1e6);
        }
        let name = format!("two demote each other {DUEL} times, {what}");
        figures.push(Figure::new(NAME, name, "us an event", Spread::of(cost)));
    }
    Ok(figures)
}
