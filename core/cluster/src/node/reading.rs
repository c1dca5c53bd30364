//! From a name to its bytes: the quickest k shards, others where one does not come, the batch, the item.
use super::message::{Lack, Message};
use super::request::{Refused, Response};
use super::{Asked, Call, DiskWork, Moment, Node, Output};
use crate::{ItemKind, ItemName, ItemPlace, PackageKey, State, package};
use std::collections::BTreeMap;
use terachat_shard::{NodeId, Shard, StripeId, StripeRecord, join};

/// Names that one request may list.
const LIST_MAX: u16 = 1024;

/// Who waits for a stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Waiter {
    /// A client, for this part of it.
    Client(Call, ItemPlace),
    /// The steward, for this shard of it.
    Mend(NodeId, Call, u8),
    /// The repacker, for all of it.
    Repack,
}

/// A stripe that is being read.
struct Reading {
    record: StripeRecord,
    package_key: PackageKey,
    waiters: Vec<Waiter>,
    /// Shards that were asked for and have not come.
    asked: BTreeMap<u8, Moment>,
    got: BTreeMap<u8, Vec<u8>>,
    lacks: BTreeMap<u8, Lack>,
    /// When another shard is asked for, though none was refused.
    hedge_at: Moment,
    until: Moment,
}

/// A shard that is copied from another node.
struct Copying {
    steward: (NodeId, Call),
    shard: (StripeId, u8),
    until: Moment,
}

/// What waits for the ledger.
enum Lookup {
    /// A name that is not known here yet.
    Name { client: Call, name: ItemName, bytes: bool },
    /// An item that could not be read where it was thought to be.
    Moved { client: Call, place: ItemPlace, refused: Refused },
    /// A list has to have all that was acknowledged.
    List { client: Call, after: Option<(u64, u32)>, max: u16 },
}

/// What is being read.
#[derive(Default)]
pub(super) struct Reader {
    readings: BTreeMap<StripeId, Reading>,
    fetches: BTreeMap<Call, (StripeId, u8)>,
    copies: BTreeMap<Call, Copying>,
    lookups: BTreeMap<Call, Lookup>,
}

impl Node {
    /// A client wants to have an item, or to know whether there is one. What is here and does not change is answered at once; what
    /// is not is looked for again when the ledger's newest entries are here.
    pub(super) fn look_up(&mut self, state: &State, client: Call, name: ItemName, bytes: bool) {
        match state.item(&name) {
            Some(place) if self.is_certain(state, place) => self.found(state, client, &name, bytes),
            _ => self.when_current(Lookup::Name { client, name, bytes }),
        }
    }

    pub(super) fn list(&mut self, client: Call, after: Option<(u64, u32)>, max: u16) {
        self.when_current(Lookup::List { client, after, max: max.min(LIST_MAX) });
    }

    fn when_current(&mut self, lookup: Lookup) {
        let call = self.call();
        self.reader.lookups.insert(call, lookup);
        self.out.push(Output::Barrier(call));
    }

    /// The ledger's newest entries are here, or cannot be had.
    pub(super) fn barrier(&mut self, state: &State, call: Call, reached: bool) {
        let Some(lookup) = self.reader.lookups.remove(&call) else {
            return self.keeper_is_current(state, call, reached);
        };
        match lookup {
            Lookup::Name { client, .. } | Lookup::List { client, .. } if !reached => {
                self.refuse(client, Refused::NoMajority);
            }
            Lookup::Moved { client, place, refused } => match state.item(&place.item.name) {
                None if reached => self.out.push(Output::Reply(client, Response::Got(None))),
                Some(now) if now.stripe != place.stripe => self.found(state, client, &place.item.name, true),
                _ => self.refuse(client, refused),
            },
            Lookup::Name { client, name, bytes } => self.found(state, client, &name, bytes),
            Lookup::List { client, after, max } => {
                // A place beyond all that was ever taken is of another history: whoever has it begins anew.
                let after = after.filter(|(index, _)| *index <= state.applied());
                let names = state.listed_after(after, usize::from(max));
                self.out.push(Output::Reply(client, Response::Listed(names)));
            }
        }
    }

    fn found(&mut self, state: &State, client: Call, name: &ItemName, bytes: bool) {
        match state.item(name).copied() {
            None if bytes => self.out.push(Output::Reply(client, Response::Got(None))),
            None => self.out.push(Output::Reply(client, Response::Has(None))),
            Some(place) if bytes => match self.cache.get(&place.stripe).and_then(|batch| part(batch, &place))
            {
                Some(bytes) => self.give(state, client, &place, bytes),
                None => self.read(state, place.stripe, Waiter::Client(client, place)),
            },
            Some(ItemPlace { item, .. }) => {
                let has = Response::Has(Some((item.len, item.expires_ms)));
                self.out.push(Output::Reply(client, has));
            }
        }
    }

    /// Reads a stripe for somebody; who wants the same one waits for the same reading.
    pub(super) fn read(&mut self, state: &State, id: StripeId, waiter: Waiter) {
        if let Some(reading) = self.reader.readings.get_mut(&id) {
            reading.waiters.push(waiter);
            return;
        }
        let Some(stripe) = state.stripes().get(&id) else {
            return self.unreadable(waiter, (0, 0), &[]);
        };
        let reading = Reading {
            record: stripe.record.clone(),
            package_key: stripe.key,
            waiters: vec![waiter],
            asked: BTreeMap::new(),
            got: BTreeMap::new(),
            lacks: BTreeMap::new(),
            hedge_at: self.now + self.options.hedge_after,
            until: self.now + self.options.answer_within,
        };
        self.reader.readings.insert(id, reading);
        self.ask_for_shards(id, 0);
    }

    /// Asks for as many shards as are needed, and so many more: from this node, then from who answers, the quickest first.
    fn ask_for_shards(&mut self, id: StripeId, more: usize) {
        let Some(reading) = self.reader.readings.get(&id) else { return };
        let record = &reading.record;
        let known = |index: &u8| {
            reading.asked.contains_key(index)
                || reading.got.contains_key(index)
                || reading.lacks.contains_key(index)
        };
        let mut open: Vec<(bool, bool, u64, u8, NodeId)> = (record.counts().indices())
            .filter(|index| !known(index))
            .filter_map(|index| {
                let node = record.holder(index)?;
                let order = (node != self.id, !self.answers(node), self.peers.answers_in(node));
                Some((order.0, order.1, order.2, index, node))
            })
            .collect();
        open.sort_unstable();
        let under_way = reading.asked.len() + reading.got.len();
        let wanted = (record.counts().data() + more).saturating_sub(under_way);
        let mut asked = Vec::new();
        for (_, _, _, index, node) in open {
            if asked.len() == wanted {
                break;
            }
            if node != self.id && !self.peers.is_reachable(node) {
                asked.push((index, None));
            } else {
                asked.push((index, Some(node)));
            }
        }
        // Those that cannot be reached are no help; the next ones are.
        let (reachable, not): (Vec<_>, Vec<_>) = asked.into_iter().partition(|(_, node)| node.is_some());
        let now = self.now;
        for (index, node) in reachable {
            let Some(node) = node else { continue };
            let call = self.call();
            self.reader.fetches.insert(call, (id, index));
            if let Some(reading) = self.reader.readings.get_mut(&id) {
                reading.asked.insert(index, now);
            }
            self.send(node, Message::Fetch(call, id, index));
        }
        if let Some(reading) = self.reader.readings.get_mut(&id)
            && !not.is_empty()
        {
            reading.lacks.extend(not.into_iter().map(|(index, _)| (index, Lack::Silent)));
            self.ask_for_shards(id, more);
        }
    }

    /// A shard came, or does not.
    pub(super) fn fetched(&mut self, state: &State, from: NodeId, call: Call, result: Result<Vec<u8>, Lack>) {
        if let Some(copying) = self.reader.copies.remove(&call) {
            return self.copied(state, copying, result);
        }
        let Some((id, index)) = self.reader.fetches.remove(&call) else { return };
        let now = self.now;
        let Some(reading) = self.reader.readings.get_mut(&id) else { return };
        if let Some(asked) = reading.asked.remove(&index) {
            self.peers.took(from, now.since(asked));
        }
        let accepted = result.and_then(|bytes| {
            let shard = reading.record.accept(index, &bytes).map_err(|_| Lack::Forged)?;
            Ok(Shard::payload(&shard).to_vec())
        });
        match accepted {
            Ok(payload) => {
                reading.got.insert(index, payload);
            }
            Err(lack) => {
                reading.lacks.insert(index, lack);
            }
        }
        self.go_on(state, id);
    }

    /// Asks another node for its own shard, to have it here.
    pub(super) fn copy(&mut self, from: NodeId, steward: (NodeId, Call), shard: (StripeId, u8)) {
        let call = self.call();
        let until = self.now + self.options.answer_within;
        self.reader.copies.insert(call, Copying { steward, shard, until });
        self.send(from, Message::Fetch(call, shard.0, shard.1));
    }

    fn copied(&mut self, state: &State, copying: Copying, result: Result<Vec<u8>, Lack>) {
        let Copying { steward, shard: (stripe, index), .. } = copying;
        let record = state.stripes().get(&stripe).map(|stripe| &stripe.record);
        match (result, record) {
            (Ok(bytes), Some(record)) if record.accept(index, &bytes).is_ok() => {
                self.ask_disk(Asked::Mend(steward.0, steward.1), DiskWork::KeepAlone(bytes));
            }
            // It can be made anew still.
            _ => self.read(state, stripe, Waiter::Mend(steward.0, steward.1, index)),
        }
    }

    pub(super) fn tick_reading(&mut self, state: &State) {
        let now = self.now;
        self.reader.copies.retain(|_, copying| copying.until > now);
        let ids: Vec<StripeId> = self.reader.readings.keys().copied().collect();
        for id in ids {
            let Some(reading) = self.reader.readings.get_mut(&id) else { continue };
            // A stripe that is not in the ledger any more has no shards that could come.
            let is_gone = reading.hedge_at <= self.now && !state.stripes().contains_key(&id);
            if reading.until <= self.now || is_gone {
                for (index, _) in std::mem::take(&mut reading.asked) {
                    reading.lacks.entry(index).or_insert(Lack::Silent);
                }
                let open: Vec<u8> = reading.record.counts().indices().collect();
                for index in open.into_iter().filter(|index| !reading.got.contains_key(index)) {
                    reading.lacks.entry(index).or_insert(Lack::Silent);
                }
                self.go_on(state, id);
            } else if reading.hedge_at <= self.now {
                // Who lets others wait counts as slow before it answers.
                let late: Vec<(u8, Moment)> = reading.asked.iter().map(|(index, at)| (*index, *at)).collect();
                let record = reading.record.clone();
                let more = late.len();
                reading.hedge_at = self.now + self.options.hedge_after;
                for (index, asked) in late {
                    if let Some(node) = record.holder(index).filter(|node| *node != self.id) {
                        self.peers.took(node, self.now.since(asked));
                    }
                }
                self.ask_for_shards(id, more);
            }
        }
    }

    /// A node cannot be reached any more: what it was asked for will not come.
    pub(super) fn will_not_answer(&mut self, state: &State, node: NodeId) {
        let mut lost = Vec::new();
        for (id, reading) in &mut self.reader.readings {
            let Reading { record, asked, lacks, .. } = reading;
            let before = asked.len();
            asked.retain(|index, _| {
                record.holder(*index) != Some(node) || lacks.insert(*index, Lack::Silent).is_some()
            });
            if asked.len() < before {
                lost.push(*id);
            }
        }
        lost.into_iter().for_each(|id| self.go_on(state, id));
    }

    /// Ends a reading that has enough, or that cannot have; asks for more otherwise.
    fn go_on(&mut self, state: &State, id: StripeId) {
        let Some(reading) = self.reader.readings.get(&id) else { return };
        let need = reading.record.counts().data();
        if reading.got.len() < need {
            self.ask_for_shards(id, 0);
            let Some(reading) = self.reader.readings.get(&id) else { return };
            if !reading.asked.is_empty() {
                return;
            }
            let small = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
            let (have, record) = (small(reading.got.len()), &reading.record);
            let lacking = reading.lacks.iter().map(|(index, lack)| (*index, record.holder(*index), *lack));
            let lacking: Vec<_> = lacking.collect();
            for waiter in self.end_reading(id).map(|reading| reading.waiters).unwrap_or_default() {
                self.unreadable(waiter, (have, small(need)), &lacking);
            }
            return;
        }
        let Some(reading) = self.end_reading(id) else { return };
        self.deliver(state, id, reading);
    }

    fn end_reading(&mut self, id: StripeId) -> Option<Reading> {
        self.reader.fetches.retain(|_, (stripe, _)| *stripe != id);
        self.reader.readings.remove(&id)
    }

    /// Gives everybody who waits what it waits for.
    fn deliver(&mut self, state: &State, id: StripeId, reading: Reading) {
        let Reading { record, package_key, waiters, mut got, .. } = reading;
        let counts = record.counts();
        let mut shards: Vec<Option<Vec<u8>>> = counts.indices().map(|index| got.remove(&index)).collect();
        let needs_batch = waiters.iter().any(|waiter| !matches!(waiter, Waiter::Mend(..)));
        let data = counts.indices().filter(|index| needs_batch && counts.is_data(*index));
        let mended = waiters.iter().filter_map(|waiter| match waiter {
            Waiter::Mend(_, _, index) => Some(*index),
            _ => None,
        });
        let mut wanted: Vec<u8> = data.chain(mended).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let rebuilt = self.code(counts).reconstruct_only(&mut shards, &wanted);
        let batch = (rebuilt.is_ok() && needs_batch)
            .then(|| {
                let data: Vec<&[u8]> = shards[..counts.data()].iter().flatten().map(Vec::as_slice).collect();
                let package = join(self.code(counts), &data, record.len()).ok()?;
                package::unwrap(id, package, &package_key).ok()
            })
            .flatten();
        for waiter in waiters {
            match waiter {
                Waiter::Client(client, place) => match batch.as_ref().and_then(|batch| part(batch, &place)) {
                    Some(bytes) => self.give(state, client, &place, bytes),
                    None => self.refuse(client, Refused::Damaged),
                },
                Waiter::Mend(steward, call, index) => {
                    let payload = shards.get(usize::from(index)).and_then(Option::as_ref);
                    let shard = payload.and_then(|payload| Shard::new(id, counts, index, payload).ok());
                    match shard.filter(|shard| record.hash(index) == Some(shard.hash())) {
                        Some(shard) => {
                            self.ask_disk(Asked::Mend(steward, call), DiskWork::KeepAlone(shard.encode()));
                        }
                        None => self.send(steward, Message::Mended(call, Err(Lack::Unreadable))),
                    }
                }
                Waiter::Repack => self.repack_read(state, id, batch.as_deref()),
            }
        }
        if let Some(batch) = batch.filter(|_| state.stripes().contains_key(&id)) {
            self.cache.keep(id, batch);
        }
    }

    /// Gives a client an item that was read, of a board's record all of it.
    fn give(&mut self, state: &State, client: Call, place: &ItemPlace, bytes: Vec<u8>) {
        let bytes = match place.item.name.kind {
            ItemKind::Blob => Some(bytes),
            ItemKind::Board => self.whole_record(state, &bytes, place),
        };
        match bytes {
            Some(bytes) => self.out.push(Output::Reply(client, Response::Got(Some(bytes)))),
            // It ended while it was read; another may be there.
            None => self.look_up(state, client, place.item.name, true),
        }
    }

    fn unreadable(&mut self, waiter: Waiter, (have, need): (u8, u8), lacking: &[(u8, Option<NodeId>, Lack)]) {
        match waiter {
            // The item may be in another stripe by now, and this one gone.
            Waiter::Client(client, place) => {
                let refused = Refused::Unreadable { have, need, lacking: lacking.to_vec() };
                self.when_current(Lookup::Moved { client, place, refused });
            }
            Waiter::Mend(steward, call, _) => {
                self.send(steward, Message::Mended(call, Err(Lack::Unreadable)))
            }
            Waiter::Repack => self.repack_fails(),
        }
    }
}

/// The item of a batch, if it is what was put.
fn part(batch: &[u8], place: &ItemPlace) -> Option<Vec<u8>> {
    let from = place.item.at as usize;
    let bytes = batch.get(from..from.checked_add(place.item.len as usize)?)?;
    (*blake3::hash(bytes).as_bytes() == place.item.digest).then(|| bytes.to_vec())
}
