//! What a node does for others with its disk: shards kept, given, counted, dropped; and what it does for itself.
use super::message::{Lack, Message};
use super::reading::Waiter;
use super::{Asked, Call, Counted, DiskDone, DiskWork, Moment, Node, Output, SECOND};
use crate::{Error, RECEIPT_ENTRIES, Receipt, State};
use std::collections::BTreeMap;
use terachat_shard::{NodeId, Shard, ShardHash, StripeId};

/// Bytes that are read again at once: whoever puts or gets waits for so many.
const SCRUB_LEN: u64 = 1 << 20;
/// After a step of the scrub that did not succeed.
const SCRUB_PAUSE: u64 = SECOND;
/// Nobody has asked for a shard for so long before what is to be counted is read as fast as the disk does.
const IDLE_AFTER: u64 = SECOND / 10;
/// Between two looks at what need not be remembered.
const SWEEP_EVERY: u64 = SECOND;
/// Between two steps that have space back.
const COMPACT_EVERY: u64 = 5 * SECOND;

/// What a node remembers of its own shards beside the disk.
#[derive(Default)]
pub(super) struct Keeper {
    /// Asked once after the start: how far the ledger has come. Receipts that were given before it are good for
    /// [`RECEIPT_ENTRIES`] from there at most.
    current: Option<Call>,
    since: Option<u64>,
    /// Receipts given since: a shard that no record names is kept until the ledger has gone on beyond.
    promised: BTreeMap<(StripeId, u8), u64>,
    /// When a member last asked for a shard, or for one to be kept.
    pub(super) asked: Moment,
    /// Who waits for a count for which more has to be read, and from when on that is done: one of each member.
    counts: BTreeMap<NodeId, (Moment, Call, (StripeId, StripeId))>,
    /// Which count each member knows to be under way.
    known_counts: BTreeMap<NodeId, Call>,
    swept: Moment,
    /// A step of the scrub is under way, and from when on the next one may be.
    scrubbing: bool,
    scrub_next: Moment,
    /// When the scrub began that is under way or rests, and until when it rests: one that began anew at once would read the few
    /// shards of a small node again and again.
    scrub_begun: Moment,
    /// Not set before the first tick: what is there after a start is read to be counted.
    scrub_rests_until: Option<Moment>,
    compacted: Moment,
}

impl Node {
    /// The disk has done something.
    pub(super) fn disk_done(&mut self, state: &State, call: Call, done: DiskDone) {
        let Some(asked) = self.disk.remove(&call) else { return };
        match (asked, done) {
            (Asked::Keep(to, call), done) => {
                let kept = self.receipt(state, done);
                self.send(to, Message::Kept(call, kept));
            }
            (Asked::Mend(to, call), done) => {
                let kept = self.receipt(state, done);
                self.send(to, Message::Mended(call, kept));
            }
            (Asked::Vouch(to, call), done) => {
                let head = match &done {
                    DiskDone::Fetched(Some(bytes)) => bytes.first_chunk().map(Shard::peek),
                    _ => None,
                };
                let kept = match head {
                    Some((stripe, index, hash)) => self.receipt(state, DiskDone::Kept(stripe, index, hash)),
                    None => Err(Lack::Missing),
                };
                self.send(to, Message::Mended(call, kept));
            }
            (Asked::Fetch(to, call), done) => {
                let fetched = match done {
                    DiskDone::Fetched(Some(bytes)) => Ok(bytes),
                    DiskDone::Fetched(None) => Err(Lack::Missing),
                    DiskDone::Failed(error) => Err(lack(&error)),
                    _ => Err(Lack::Disk),
                };
                self.send(to, Message::Fetched(call, fetched));
            }
            (Asked::Count(to, call, _), DiskDone::Counted(counted)) => {
                self.sweep(state, &counted);
                self.send(to, Message::Counted(call, counted));
            }
            (Asked::Count(to, call, stripes), DiskDone::Uncounted(read)) => {
                if self.keeper.known_counts.insert(to, call) != Some(call) {
                    self.send(to, Message::Counting(call));
                }
                let idle = self.now.since(self.keeper.asked) >= IDLE_AFTER;
                let pause = if idle { 0 } else { lasts(read, self.options.repair_rate) };
                // Whoever has asked for something else meanwhile does not wait for this.
                self.keeper.counts.entry(to).or_insert((self.now + pause, call, stripes));
                self.go_on_counting();
            }
            (Asked::Scrub, DiskDone::Reread(step, _)) => {
                self.keeper.scrubbing = false;
                self.keeper.scrub_next = self.now + lasts(step.bytes, self.options.scrub_rate);
                if step.through {
                    let next = self.keeper.scrub_begun + self.options.scrub_every;
                    self.keeper.scrub_rests_until = Some(next);
                    self.keeper.scrub_begun = next.max(self.now);
                }
            }
            (Asked::Scrub, _) => {
                (self.keeper.scrubbing, self.keeper.scrub_next) = (false, self.now + SCRUB_PAUSE)
            }
            // Who cannot count says nothing, and counts as away in time.
            (Asked::Count(..) | Asked::Upkeep, _) => {}
        }
    }

    /// A member wants to know what is here of these stripes. What it asked before it does not want any more.
    pub(super) fn count_for(&mut self, from: NodeId, call: Call, stripes: (StripeId, StripeId)) {
        self.keeper.counts.insert(from, (self.now, call, stripes));
        self.go_on_counting();
    }

    /// Has the disk count what is due, of each member one thing at a time.
    fn go_on_counting(&mut self) {
        let now = self.now;
        let under_way =
            |asked: &Asked, member: NodeId| matches!(asked, Asked::Count(to, ..) if *to == member);
        let due: Vec<NodeId> = (self.keeper.counts.iter())
            .filter(|(_, (at, ..))| *at <= now)
            .map(|(member, _)| *member)
            .filter(|member| !self.disk.values().any(|asked| under_way(asked, *member)))
            .collect();
        for member in due {
            if let Some((_, call, (first, last))) = self.keeper.counts.remove(&member) {
                self.ask_disk(Asked::Count(member, call, (first, last)), DiskWork::Count(first, last));
            }
        }
    }

    fn receipt(&mut self, state: &State, done: DiskDone) -> Result<Receipt, Lack> {
        match done {
            DiskDone::Kept(stripe, index, hash) => {
                let until = state.applied() + RECEIPT_ENTRIES;
                self.keeper.promised.insert((stripe, index), until);
                Ok(self.sign((stripe, index, hash), until))
            }
            DiskDone::Failed(error) => Err(lack(&error)),
            _ => Err(Lack::Disk),
        }
    }

    fn sign(&self, shard: (StripeId, u8, ShardHash), until: u64) -> Receipt {
        Receipt::sign(self.cluster, shard, self.id, until, &self.key)
    }

    /// The steward wants a shard of a stripe to be here, or this node's word that it is.
    pub(super) fn mend(
        &mut self,
        state: &State,
        steward: NodeId,
        call: Call,
        (stripe, index): (StripeId, u8),
        copy: Option<NodeId>,
    ) {
        match copy {
            Some(from) if from == self.id => {
                self.ask_disk(Asked::Vouch(steward, call), DiskWork::Fetch(stripe, index));
            }
            Some(from) if self.answers(from) => {
                self.copy(from, (steward, call), (stripe, index));
            }
            _ => self.read(state, stripe, Waiter::Mend(steward, call, index)),
        }
    }

    /// Gives up a shard that counts elsewhere; not one that the ledger says is here.
    pub(super) fn drop_surplus(&mut self, state: &State, stripe: StripeId, index: u8) {
        let named = state.stripes().get(&stripe).and_then(|stripe| stripe.record.holder(index));
        if named != Some(self.id) {
            self.ask_disk(Asked::Upkeep, DiskWork::Drop(vec![(stripe, index)]));
        }
    }

    /// The ledger has forgotten stripes: what is here of them goes.
    pub(super) fn gone(&mut self, stripes: &[StripeId]) {
        self.keeper.promised.retain(|(stripe, _), _| !stripes.contains(stripe));
        stripes.iter().for_each(|stripe| self.cache.forget(stripe));
        let shards = stripes.iter().flat_map(|stripe| (0..=u8::MAX).map(|index| (*stripe, index)));
        self.ask_disk(Asked::Upkeep, DiskWork::Drop(shards.collect()));
    }

    pub(super) fn tick_keeping(&mut self, state: &State) {
        if self.keeper.since.is_none() && self.keeper.current.is_none() {
            let call = self.call();
            self.keeper.current = Some(call);
            self.out.push(Output::Barrier(call));
        }
        self.go_on_counting();
        let Keeper { scrub_begun, scrub_rests_until, scrub_next, .. } = &mut self.keeper;
        let rests_until = *scrub_rests_until.get_or_insert_with(|| {
            *scrub_begun = self.now + self.options.scrub_every;
            *scrub_begun
        });
        if rests_until.max(*scrub_next) <= self.now && !self.keeper.scrubbing {
            self.keeper.scrubbing = true;
            let budget = SCRUB_LEN.min(self.options.scrub_rate);
            self.ask_disk(Asked::Scrub, DiskWork::Reread { budget, anew: false });
        }
        if self.now.since(self.keeper.swept) >= SWEEP_EVERY {
            self.keeper.swept = self.now;
            // Of stripes that are in the ledger nothing needs to be remembered.
            let applied = state.applied();
            self.keeper
                .promised
                .retain(|(stripe, _), until| !state.stripes().contains_key(stripe) && *until >= applied);
        }
        if self.now.since(self.keeper.compacted) >= COMPACT_EVERY {
            self.keeper.compacted = self.now;
            self.ask_disk(Asked::Upkeep, DiskWork::Compact);
        }
    }

    pub(super) fn keeper_is_current(&mut self, state: &State, call: Call, reached: bool) {
        if self.keeper.current == Some(call) {
            self.keeper.current = None;
            self.keeper.since = reached.then_some(state.applied());
        }
    }

    /// Gives up shards that no record names, and none will: their stripe is gone, or all receipts for them are too old.
    fn sweep(&mut self, state: &State, counted: &[Counted]) {
        let nameless = counted.iter().filter(|shard| !state.stripes().contains_key(&shard.stripe));
        let over = nameless.filter(|shard| {
            let promised = self.keeper.promised.get(&(shard.stripe, shard.index)).copied();
            let until = promised.or_else(|| Some(self.keeper.since? + RECEIPT_ENTRIES));
            state.is_gone(&shard.stripe) || until.is_some_and(|until| state.applied() > until)
        });
        let over: Vec<(StripeId, u8)> = over.map(|shard| (shard.stripe, shard.index)).collect();
        if !over.is_empty() {
            self.ask_disk(Asked::Upkeep, DiskWork::Drop(over));
        }
    }
}

/// Microseconds that so many bytes take at so many a second.
fn lasts(bytes: u64, rate: u64) -> u64 {
    bytes.saturating_mul(SECOND) / rate.max(1)
}

fn lack(error: &Error) -> Lack {
    match error {
        Error::Rotten { .. } => Lack::Rotten,
        Error::Shard(_) | Error::Taken { .. } => Lack::Forged,
        _ => Lack::Disk,
    }
}
