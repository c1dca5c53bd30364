//! What tests draw and name, and the simulation of whole clusters.
mod simulation;
pub(crate) mod steps;

use crate::{
    ClusterId, Deed, Entry, JoinConsent, NodeKey, NodeProfile, Outcome, SignedDeed, State, TicketFor, What,
};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::ops::Range;
use terachat_event::{DeviceKey, Statement};
use terachat_shard::{Domain, NodeId};
use terachat_vault::{Entropy, Secret};

/// The seeds that a test plays: `few` of them, or those that this variable of the environment names, as FROM..TO.
pub(crate) fn seeds(variable: &str, few: Range<u64>) -> Range<u64> {
    let Ok(asked) = std::env::var(variable) else { return few };
    let wrong = || panic!("{variable}=FROM..TO, not {asked}");
    let Some((from, to)) = asked.split_once("..") else { wrong() };
    from.parse().unwrap_or_else(|_| wrong())..to.parse().unwrap_or_else(|_| wrong())
}

/// SplitMix64: what a test draws, and the randomness of what is under test.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

impl Entropy for Dice {
    fn fill(&mut self, out: &mut [u8]) {
        out.iter_mut().for_each(|byte| *byte = self.next() as u8);
    }
}

/// A key of its own for each number.
pub(crate) fn key(number: u8) -> DeviceKey {
    DeviceKey::from_seed(&Secret::take(&mut [number; 32]))
}

pub(crate) fn node(number: u32) -> NodeId {
    NodeId(NonZeroU32::new(number).unwrap())
}

/// Signs the next deed of this state's chronicle, by the node of this number, whose key has the same number.
pub(crate) fn deed(state: &State, by: u32, at_ms: u64, what: What) -> Vec<u8> {
    let (seq, previous) = state.chronicle().next();
    let deed = Deed { seq, previous, at_ms, by: node(by), what };
    Entry::Deed(SignedDeed::sign(deed, &key(by as u8))).encode()
}

/// What the node of this number says of itself.
pub(crate) fn profile(number: u32) -> NodeProfile {
    NodeProfile {
        key: NodeKey(key(number as u8).id().0),
        address: format!("node-{number}:4100"),
        domain: Domain { site: 0, rack: 0, host: number },
        weight: NonZeroU32::MIN,
    }
}

/// Entries by which the next node comes in: an invitation by node 1, and the join.
pub(crate) fn joining(state: &mut State, entries: &mut Vec<Vec<u8>>, number: u32) {
    joining_by(state, entries, 1, number);
}

/// The same by another node.
pub(crate) fn joining_by(state: &mut State, entries: &mut Vec<Vec<u8>>, by: u32, number: u32) {
    joining_as(state, entries, by, (number, profile(number)));
}

fn joining_as(state: &mut State, entries: &mut Vec<Vec<u8>>, by: u32, (number, profile): (u32, NodeProfile)) {
    let secret = [number as u8; 32];
    let ticket = crate::ledger::ticket_hash(&secret);
    let invited = What::Invited { ticket, role: TicketFor::Node, until_ms: u64::MAX };
    take(state, entries, |state| deed(state, by, 0, invited));
    let consent = JoinConsent::sign(CLUSTER, secret, profile, &key(number as u8));
    take(state, entries, |state| deed(state, by, 0, What::Joined(consent)));
}

/// A cluster of so many nodes.
pub(crate) fn founded(nodes: u32) -> (State, Vec<Vec<u8>>) {
    founded_of(nodes, profile)
}

/// The same, of nodes that say this of themselves.
pub(crate) fn founded_of(nodes: u32, profile: impl Fn(u32) -> NodeProfile) -> (State, Vec<Vec<u8>>) {
    let (mut state, mut entries) = (State::default(), Vec::new());
    let founded = What::Founded { cluster: CLUSTER, profile: profile(1) };
    take(&mut state, &mut entries, |state| deed(state, 1, 0, founded));
    for number in 2..=nodes {
        joining_as(&mut state, &mut entries, 1, (number, profile(number)));
    }
    (state, entries)
}

fn take(state: &mut State, entries: &mut Vec<Vec<u8>>, entry: impl FnOnce(&State) -> Vec<u8>) {
    let entry = entry(state);
    let outcome = state.apply(entries.len() as u64 + 1, &entry).outcome;
    assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    entries.push(entry);
}

pub(crate) const CLUSTER: ClusterId = ClusterId([0xc1; 16]);

thread_local! {
    /// Signed statements that were found to be so.
    static SIGNED: RefCell<BTreeSet<[u8; 32]>> = const { RefCell::new(BTreeSet::new()) };
}

/// [`terachat_event::verify_all`], which a simulation asks as many times as it has nodes: what was signed once is not looked at again.
/// Half of a run's time is spent in it otherwise.
pub(crate) fn verify_all(statements: &[Statement<'_>]) -> Vec<usize> {
    let name = |statement: &Statement<'_>| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&statement.signer).update(&statement.signature).update(statement.context.as_bytes());
        *hasher.update(statement.bytes).finalize().as_bytes()
    };
    SIGNED.with_borrow_mut(|signed| {
        let names: Vec<[u8; 32]> = statements.iter().map(name).collect();
        let new: Vec<usize> = (0..names.len()).filter(|at| !signed.contains(&names[*at])).collect();
        let asked: Vec<Statement<'_>> = new.iter().map(|at| statements[*at]).collect();
        let wrong: Vec<usize> = terachat_event::verify_all(&asked).into_iter().map(|at| new[at]).collect();
        // A run's worth.
        if signed.len() > 1 << 16 {
            signed.clear();
        }
        signed.extend(new.into_iter().filter(|at| !wrong.contains(at)).map(|at| names[at]));
        wrong
    })
}
