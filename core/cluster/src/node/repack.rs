//! What the leader does off peak: small stripes are put together into larger ones, and stripes that were cut for another number
//! of nodes are cut anew. What was forgotten is not taken along.
use super::reading::Waiter;
use super::{Moment, Node};
use crate::{Item, State};
use std::collections::{BTreeMap, BTreeSet};
use terachat_shard::StripeId;

/// Items that are put together at once at most.
const ITEMS: usize = 1024;
/// Stripes that are put together at once at most.
const STRIPES: usize = 64;

/// What is being put together.
#[derive(Debug, Default)]
pub(super) struct Repacker {
    /// When the ledger was last seen to move, and to where.
    moved: (Moment, u64),
    asked: Moment,
    reading: BTreeSet<StripeId>,
    read: BTreeMap<StripeId, Vec<(Item, Vec<u8>)>>,
    /// It is being written, or was given up a moment ago.
    busy_until: Option<Moment>,
}

impl Repacker {
    pub(super) fn somebody_asked(&mut self, now: Moment) {
        self.asked = now;
    }

    /// What was put together is written, or will not be; the next count of the ledger decides.
    pub(super) fn over(&mut self, now: Moment) {
        (self.reading, self.read) = (BTreeSet::new(), BTreeMap::new());
        self.busy_until = Some(now);
    }
}

impl Node {
    pub(super) fn tick_repacking(&mut self, state: &State) {
        if self.repacker.moved.1 != state.applied() {
            self.repacker.moved = (self.now, state.applied());
        }
        let quiet_for = self.options.quiet_for;
        let quiet = |since: Moment| self.now.since(since) >= quiet_for;
        let rested = self.repacker.busy_until.is_none_or(quiet);
        let idle = self.repacker.reading.is_empty() && self.repacker.read.is_empty();
        if !self.leading || !idle || !rested || !quiet(self.repacker.asked) || !quiet(self.repacker.moved.0) {
            return;
        }
        // While somebody is away stripes would come out with a shard less.
        let all_answer = state.roster().members().all(|(node, _)| self.answers(node));
        if !all_answer {
            return;
        }
        let chosen = self.choose(state);
        self.repacker.busy_until = Some(self.now);
        if chosen.is_empty() {
            return;
        }
        self.repacker.reading = chosen.iter().copied().collect();
        for id in chosen {
            self.read(state, id, Waiter::Repack);
        }
    }

    /// Stripes to be put together into one: cut for another number of nodes, or small, at least two.
    fn choose(&self, state: &State) -> Vec<StripeId> {
        let nodes = state.roster().active().count();
        let (mut chosen, mut bytes, mut items, mut misfits) = (Vec::new(), 0, 0, 0);
        for (id, stripe) in state.stripes() {
            let places = stripe.items.iter().filter_map(|name| state.item(name));
            let live: usize = places.map(|place| place.item.len as usize).sum();
            let fits = stripe.record.counts().total() == nodes;
            let small = stripe.record.len() < self.options.batch_len as u64 / 2;
            let room = bytes + live <= self.options.batch_len && items + stripe.items.len() <= ITEMS;
            if (!fits || small) && (room || chosen.is_empty()) && stripe.items.len() <= ITEMS {
                chosen.push(*id);
                bytes += live;
                items += stripe.items.len();
                misfits += usize::from(!fits);
            }
            if chosen.len() == STRIPES || bytes >= self.options.batch_len {
                break;
            }
        }
        if misfits == 0 && chosen.len() < 2 { Vec::new() } else { chosen }
    }

    /// A stripe that is to be put together was read.
    pub(super) fn repack_read(&mut self, state: &State, id: StripeId, batch: Option<&[u8]>) {
        if !self.repacker.reading.remove(&id) {
            return;
        }
        let (Some(batch), Some(stripe)) = (batch, state.stripes().get(&id)) else {
            return self.repacker.over(self.now);
        };
        let mut parts = Vec::with_capacity(stripe.items.len());
        for place in stripe.items.iter().filter_map(|name| state.item(name)) {
            let from = place.item.at as usize;
            match batch.get(from..from + place.item.len as usize) {
                Some(part) if *blake3::hash(part).as_bytes() == place.item.digest => {
                    parts.push((place.item, part.to_vec()));
                }
                // The ledger refuses a stripe that has less than those it replaces; the count shows what is wrong.
                _ => return self.repacker.over(self.now),
            }
        }
        self.repacker.read.insert(id, parts);
        if self.repacker.reading.is_empty() {
            let read = std::mem::take(&mut self.repacker.read);
            let replaces: Vec<StripeId> = read.keys().copied().collect();
            self.repacker.busy_until = Some(self.now);
            self.put_again(state, read.into_values().flatten().collect(), replaces);
        }
    }
}
