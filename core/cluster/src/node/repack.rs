//! What the leader does off peak: small stripes are put together into larger ones, stripes that were cut for another number of nodes
//! are cut anew, and stripes of which something was forgotten are written anew without it: only then their key is gone, and with
//! it what was forgotten.
use super::reading::Waiter;
use super::{Moment, Node};
use crate::{Item, PACKAGE_OVERHEAD, State, Stripe};
use std::collections::{BTreeMap, BTreeSet};
use terachat_shard::StripeId;

/// Items that are put together at once at most.
const ITEMS: usize = 1024;
/// Stripes that are put together at once at most.
const STRIPES: usize = 64;

/// What is being put together.
#[derive(Debug, Default)]
pub(super) struct Repacker {
    /// When the ledger was last seen to move by others, and to where.
    moved: (Moment, u64),
    asked: Moment,
    reading: BTreeSet<StripeId>,
    read: BTreeMap<StripeId, Vec<(Item, Vec<u8>)>>,
    /// What was put together is being written.
    writing: bool,
    /// Its own entry moves the ledger next.
    moves: bool,
    not_before: Moment,
}

impl Repacker {
    pub(super) fn somebody_asked(&mut self, now: Moment) {
        self.asked = now;
    }

    /// What was put together is in the ledger.
    pub(super) fn written(&mut self) {
        (self.writing, self.moves) = (false, true);
    }

    /// It could not be read or written; later it may be.
    pub(super) fn give_up(&mut self, again_at: Moment) {
        (self.reading, self.read, self.writing) = (BTreeSet::new(), BTreeMap::new(), false);
        self.not_before = again_at;
    }

    fn is_idle(&self) -> bool {
        self.reading.is_empty() && self.read.is_empty() && !self.writing
    }
}

impl Node {
    pub(super) fn tick_repacking(&mut self, state: &State) {
        if self.repacker.moved.1 != state.applied() {
            let at = if self.repacker.moves { self.repacker.moved.0 } else { self.now };
            (self.repacker.moved, self.repacker.moves) = ((at, state.applied()), false);
        }
        if !self.leads() || !self.repacker.is_idle() || self.repacker.not_before > self.now {
            return;
        }
        // While somebody is away stripes would come out with a shard less.
        let all_answer = state.roster().members().all(|(node, _)| self.answers(node));
        let quiet = |since: Moment| self.now.since(since) >= self.options.quiet_for;
        let chosen = match all_answer {
            true => self.choose(state, quiet(self.repacker.asked) && quiet(self.repacker.moved.0)),
            false => Vec::new(),
        };
        if chosen.is_empty() {
            self.repacker.not_before = self.now + self.options.quiet_for;
            return;
        }
        self.repacker.reading = chosen.iter().copied().collect();
        for id in chosen {
            self.read(state, id, Waiter::Repack);
        }
    }

    pub(super) fn repack_fails(&mut self) {
        self.repacker.give_up(self.now + self.options.quiet_for);
    }

    /// Stripes to be put together into one: first those that are cut for another number of nodes; off peak those of which something
    /// was forgotten, and small ones, if it is not one alone.
    fn choose(&self, state: &State, off_peak: bool) -> Vec<StripeId> {
        let nodes = state.roster().active().count();
        let fits = |stripe: &Stripe| stripe.record.counts().total() == nodes;
        let has_forgotten =
            |stripe: &Stripe| fits(stripe) && state.live_bytes(stripe) + PACKAGE_OVERHEAD < bytes_of(stripe);
        let small = |stripe: &Stripe| {
            fits(stripe) && !has_forgotten(stripe) && bytes_of(stripe) < self.options.batch_len / 2
        };
        let misfits = state.stripes().iter().filter(|(_, stripe)| !fits(stripe));
        let forgotten = state.stripes().iter().filter(|(_, stripe)| off_peak && has_forgotten(stripe));
        let smalls = state.stripes().iter().filter(|(_, stripe)| off_peak && small(stripe));
        let (mut chosen, mut bytes, mut items, mut alone) = (Vec::new(), 0, 0, false);
        for (id, stripe) in misfits.chain(forgotten).chain(smalls) {
            let live = state.live_bytes(stripe);
            let room = bytes + live <= self.options.batch_len && items + stripe.items.len() <= ITEMS;
            if room || chosen.is_empty() {
                chosen.push(*id);
                bytes += live;
                items += stripe.items.len();
                alone |= !fits(stripe) || has_forgotten(stripe);
            }
            if chosen.len() == STRIPES || bytes >= self.options.batch_len {
                break;
            }
        }
        if alone || chosen.len() > 1 { chosen } else { Vec::new() }
    }

    /// A stripe that is to be put together was read.
    pub(super) fn repack_read(&mut self, state: &State, id: StripeId, batch: Option<&[u8]>) {
        if !self.repacker.reading.remove(&id) {
            return;
        }
        let (Some(batch), Some(stripe)) = (batch, state.stripes().get(&id)) else {
            return self.repack_fails();
        };
        let mut parts = Vec::with_capacity(stripe.items.len());
        for place in stripe.items.iter().filter_map(|name| state.item(name)) {
            let from = place.item.at as usize;
            match batch.get(from..from + place.item.len as usize) {
                Some(part) if *blake3::hash(part).as_bytes() == place.item.digest => {
                    parts.push((place.item, part.to_vec()));
                }
                // The ledger refuses a stripe that has less than those it replaces; the count shows what is wrong.
                _ => return self.repack_fails(),
            }
        }
        self.repacker.read.insert(id, parts);
        if self.repacker.reading.is_empty() {
            let read = std::mem::take(&mut self.repacker.read);
            let replaces: Vec<StripeId> = read.keys().copied().collect();
            self.repacker.writing = true;
            self.put_again(state, read.into_values().flatten().collect(), replaces);
        }
    }
}

/// Bytes of a stripe's package.
fn bytes_of(stripe: &Stripe) -> usize {
    usize::try_from(stripe.record.len()).unwrap_or(usize::MAX)
}
