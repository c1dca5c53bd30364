//! From items to an acknowledged stripe: batch, seal, cut, send, receipts, ledger, acknowledgement.
use super::message::{Lack, Message};
use super::request::{ITEM_LEN_MAX, Refused, Response};
use super::{Call, MILLISECOND, Moment, Node, Output, Proposed, Unproposed};
use crate::{
    Entry, Fate, Item, ItemName, NewRecords, NewStripe, Outcome, PackageKey, Receipt, Refusal, Signature,
    State, package,
};
use std::collections::{BTreeMap, VecDeque};
use terachat_shard::{NodeId, Profile, Shard, ShardHash, StripeId, StripeRecord, cut, place};

/// Items of a batch at most. So many and their receipts fit an entry of the ledger by far.
const BATCH_ITEMS: usize = 1024;
/// How often a batch is cut anew because the cluster has changed.
const CUTS_MAX: u8 = 5;
/// Between two tries to put a stripe into the ledger.
const AGAIN_AFTER: u64 = 50 * MILLISECOND;

/// An item that waits to be written, and who waits for it.
pub(super) struct Pending {
    name: ItemName,
    bytes: Vec<u8>,
    digest: [u8; 32],
    expires_ms: u64,
    /// Of a board's record.
    signature: Option<Signature>,
    clients: Vec<Call>,
    cuts: u8,
}

impl Pending {
    /// What one client wants to be kept.
    pub(super) fn new(
        client: Call,
        name: ItemName,
        bytes: Vec<u8>,
        expires_ms: u64,
        signature: Option<Signature>,
    ) -> Self {
        let digest = *blake3::hash(&bytes).as_bytes();
        Self { name, bytes, digest, expires_ms, signature, clients: vec![client], cuts: 0 }
    }
}

/// A stripe under way.
struct Writing {
    items: Vec<Pending>,
    record: StripeRecord,
    package_key: PackageKey,
    receipts: BTreeMap<u8, Receipt>,
    lacks: BTreeMap<u8, Lack>,
    acknowledge_at: usize,
    replaces: Vec<StripeId>,
    begun: Moment,
    /// Whether a try to put it into the ledger was never answered.
    unsure: bool,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Shards are on their way to the nodes.
    Shards,
    /// The ledger is asked.
    Ledger,
    /// The ledger is to be asked again.
    Again(Moment),
}

/// What waits and what is under way.
#[derive(Default)]
pub(super) struct Writer {
    waiting: VecDeque<Pending>,
    waiting_bytes: usize,
    writing: BTreeMap<StripeId, Writing>,
    /// Those whose puts were just acknowledged commonly ask again, one after the other. Until so many items wait or this moment has
    /// come, a batch that is not full waits for them: a stripe costs much the same whatever is in it.
    expects: usize,
    gathers_until: Moment,
    /// Shards that were sent: which place of which stripe.
    sent: BTreeMap<Call, (StripeId, u8)>,
}

impl Writer {
    fn gathers(&self, now: Moment, batch_len: usize) -> bool {
        self.waiting.len() < self.expects && self.waiting_bytes < batch_len && now < self.gathers_until
    }

    fn no_longer_waiting(&mut self, items: &[Pending]) {
        let bytes: usize = items.iter().map(|item| item.bytes.len()).sum();
        self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes);
    }
}

impl Node {
    /// A client wants a blob kept.
    pub(super) fn put(
        &mut self,
        state: &State,
        client: Call,
        name: ItemName,
        bytes: Vec<u8>,
        expires_ms: u64,
    ) {
        let digest = *blake3::hash(&bytes).as_bytes();
        if bytes.is_empty() || bytes.len() > ITEM_LEN_MAX || name.key != digest {
            return self.refuse(client, Refused::Item);
        }
        if let Some(known) = state.item(&name) {
            let lasts = known.item.expires_ms == 0 || expires_ms != 0 && known.item.expires_ms >= expires_ms;
            match known.item.digest == digest {
                true if lasts => return self.out.push(Output::Reply(client, Response::Put(Fate::Known))),
                true => {}
                false => return self.out.push(Output::Reply(client, Response::Put(Fate::Taken))),
            }
        }
        self.enqueue(state, Pending::new(client, name, bytes, expires_ms, None));
    }

    /// Has an item written with the next ones, if there is room.
    pub(super) fn enqueue(&mut self, state: &State, item: Pending) {
        let waiting = self.writer.waiting_bytes;
        if waiting + item.bytes.len() > self.options.waiting_max {
            let busy = Refused::Busy { bytes: waiting as u64 };
            return item.clients.into_iter().for_each(|client| self.refuse(client, busy.clone()));
        }
        self.writer.waiting_bytes += item.bytes.len();
        self.writer.waiting.push_back(item);
        self.start_batches(state);
    }

    /// Items of stripes that are to be replaced by one.
    pub(super) fn put_again(&mut self, state: &State, items: Vec<(Item, Vec<u8>)>, replaces: Vec<StripeId>) {
        let pending = items.into_iter().map(|(item, bytes)| Pending {
            name: item.name,
            bytes,
            digest: item.digest,
            expires_ms: item.expires_ms,
            signature: None,
            clients: Vec::new(),
            cuts: CUTS_MAX,
        });
        self.start(state, pending.collect(), replaces);
    }

    pub(super) fn tick_writing(&mut self, state: &State) {
        let late = self.options.answer_within;
        let ids: Vec<StripeId> = self.writer.writing.keys().copied().collect();
        for id in ids {
            let writing = &self.writer.writing[&id];
            let over = self.now.since(writing.begun) >= late;
            match writing.stage {
                Stage::Shards if over => self.fail_durable(id),
                Stage::Again(at) if at <= self.now => self.propose_stripe(state, id),
                _ => {}
            }
        }
        self.start_batches(state);
    }

    fn start_batches(&mut self, state: &State) {
        while self.writer.writing.len() < self.options.batches && !self.writer.waiting.is_empty() {
            if self.writer.gathers(self.now, self.options.batch_len) {
                return;
            }
            let batch = self.next_batch();
            self.start(state, batch, Vec::new());
        }
    }

    /// The next items, as many as fit a batch. Who wants the same thing kept waits for the same item.
    fn next_batch(&mut self) -> Vec<Pending> {
        let (mut batch, mut len): (Vec<Pending>, usize) = (Vec::new(), 0);
        while let Some(next) = self.writer.waiting.front() {
            let known = batch.iter().position(|item| item.name == next.name);
            let full = len + next.bytes.len() > self.options.batch_len || batch.len() == BATCH_ITEMS;
            let differs = known
                .is_some_and(|at| batch[at].digest != next.digest || batch[at].expires_ms != next.expires_ms);
            if !batch.is_empty() && (full && known.is_none() || differs) {
                break;
            }
            let Some(next) = self.writer.waiting.pop_front() else { break };
            match known {
                Some(at) => {
                    self.writer.waiting_bytes -= next.bytes.len();
                    batch[at].clients.extend(next.clients);
                }
                None => {
                    len += next.bytes.len();
                    batch.push(next);
                }
            }
        }
        batch
    }

    /// Seals and cuts a batch, and sends each node its shard.
    fn start(&mut self, state: &State, items: Vec<Pending>, replaces: Vec<StripeId>) {
        let active: Vec<NodeId> = state.roster().active().map(|(node, _)| node).collect();
        let reached =
            active.iter().filter(|node| **node == self.id || self.peers.is_reachable(**node)).count();
        let Ok(profile) = Profile::new(active.len()) else {
            return self.not_begun(items, &replaces, &Refused::NoMajority);
        };
        if reached < profile.acknowledge_at() {
            let small = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
            let away = active.iter().filter(|node| **node != self.id && !self.peers.is_reachable(**node));
            let without = away.map(|node| (*node, Lack::Silent)).collect();
            let need = small(profile.acknowledge_at());
            return self.not_begun(
                items,
                &replaces,
                &Refused::NotDurable { have: small(reached), need, without },
            );
        }
        let mut id = StripeId([0; 16]);
        self.entropy.fill(&mut id.0);
        let batch = items.iter().flat_map(|item| &item.bytes).copied().collect();
        let (package, package_key) = package::wrap(id, batch, self.entropy.as_mut());
        let counts = profile.counts();
        let members = self.members(state, |_| false);
        let nodes = place(id, counts.total(), &members);
        let payloads = cut(self.code(counts), &package);
        let (Ok(nodes), Ok(payloads)) = (nodes, payloads) else {
            return self.not_begun(items, &replaces, &Refused::Item);
        };
        let shards: Vec<(ShardHash, Vec<u8>)> = (0u8..)
            .zip(&payloads)
            .filter_map(|(index, payload)| Shard::new(id, counts, index, payload).ok())
            .map(|shard| (shard.hash(), shard.encode()))
            .collect();
        let holders = shards.iter().zip(&nodes).map(|((hash, _), node)| (*hash, Some(*node))).collect();
        let Ok(record) = StripeRecord::new(id, counts, package.len() as u64, holders) else {
            return self.not_begun(items, &replaces, &Refused::Item);
        };
        let mut lacks = BTreeMap::new();
        for ((index, node), (_, shard)) in (0u8..).zip(nodes).zip(shards) {
            if node == self.id || self.peers.is_reachable(node) {
                let call = self.call();
                self.writer.sent.insert(call, (id, index));
                self.send(node, Message::Keep(call, shard));
            } else {
                lacks.insert(index, Lack::Silent);
            }
        }
        let writing = Writing {
            items,
            record,
            package_key,
            receipts: BTreeMap::new(),
            lacks,
            acknowledge_at: profile.acknowledge_at(),
            replaces,
            begun: self.now,
            unsure: false,
            stage: Stage::Shards,
        };
        self.writer.writing.insert(id, writing);
    }

    /// A batch for which nothing was sent.
    fn not_begun(&mut self, items: Vec<Pending>, replaces: &[StripeId], refused: &Refused) {
        if replaces.is_empty() {
            self.writer.no_longer_waiting(&items);
        }
        self.give_up(items, replaces, refused);
    }

    /// A node has made a shard durable, or has not.
    pub(super) fn kept(&mut self, state: &State, from: NodeId, call: Call, result: Result<Receipt, Lack>) {
        let Some((id, index)) = self.writer.sent.remove(&call) else { return };
        let cluster = self.cluster;
        // Who comes late is not needed any more; its shard is there, and counted.
        let Some(writing) = self.writer.writing.get_mut(&id).filter(|writing| writing.stage == Stage::Shards)
        else {
            return;
        };
        let key = state.roster().node(from).map(|record| record.profile.key);
        let is_sound = |receipt: &Receipt| {
            let about = (receipt.stripe, receipt.index, receipt.node) == (id, index, from);
            let holds = writing.record.holder(index) == Some(from);
            let hash = writing.record.hash(index) == Some(receipt.hash);
            about && holds && hash && key.is_some_and(|key| receipt.is_signed_by(cluster, &key))
        };
        match result {
            Ok(receipt) if is_sound(&receipt) => {
                writing.receipts.insert(index, receipt);
            }
            Ok(_) => {
                writing.lacks.insert(index, Lack::Forged);
            }
            Err(lack) => {
                writing.lacks.insert(index, lack);
            }
        }
        let left = writing.record.counts().total() - writing.lacks.len();
        if writing.receipts.len() >= writing.acknowledge_at {
            self.propose_stripe(state, id);
        } else if left < writing.acknowledge_at {
            self.fail_durable(id);
            self.start_batches(state);
        }
    }

    /// A node cannot be reached any more: it will not say whether it has kept what was sent to it.
    pub(super) fn will_not_keep(&mut self, state: &State, node: NodeId) {
        let lost: Vec<Call> = (self.writer.sent.iter())
            .filter(|(_, (id, index))| {
                let writing = self.writer.writing.get(id);
                writing.and_then(|writing| writing.record.holder(*index)) == Some(node)
            })
            .map(|(call, _)| *call)
            .collect();
        lost.into_iter().for_each(|call| self.kept(state, node, call, Err(Lack::Silent)));
    }

    fn propose_stripe(&mut self, state: &State, id: StripeId) {
        let at_ms = self.proposed_at_ms(state);
        let Some(writing) = self.writer.writing.get_mut(&id) else { return };
        writing.stage = Stage::Ledger;
        let mut at = 0;
        let items = writing.items.iter().map(|item| {
            let len = u32::try_from(item.bytes.len()).unwrap_or(u32::MAX);
            let part = Item { name: item.name, digest: item.digest, at, len, expires_ms: item.expires_ms };
            at += len;
            part
        });
        let signatures: Vec<Signature> = writing.items.iter().filter_map(|item| item.signature).collect();
        let stripe = NewStripe {
            record: writing.record.encode(),
            key: writing.package_key,
            items: items.collect(),
            receipts: writing
                .receipts
                .iter()
                .map(|(at, receipt)| (*at, receipt.until, receipt.signature))
                .collect(),
            replaces: writing.replaces.clone(),
        };
        let entry = match signatures.is_empty() {
            true => Entry::Stripe(stripe),
            false => Entry::Records(NewRecords { stripe, at_ms, signatures }),
        };
        self.propose(Proposed::Stripe(id), &entry);
    }

    /// What the ledger made of a stripe.
    pub(super) fn stripe_proposed(
        &mut self,
        state: &State,
        id: StripeId,
        result: Result<Outcome, Unproposed>,
    ) {
        let over = |writing: &Writing| self.now.since(writing.begun) >= self.options.answer_within;
        let Some(writing) = self.writer.writing.get_mut(&id) else { return };
        match result.clone() {
            Ok(Outcome::Stripe(fates)) if fates.len() == writing.items.len() => {
                let Some(writing) = self.end(id) else { return };
                if !writing.replaces.is_empty() {
                    self.repacker.written();
                }
                // Who writes alone waits for nobody.
                let expects = writing.items.len() + self.writer.waiting.len();
                if expects > 1 {
                    self.writer.expects = expects;
                    self.writer.gathers_until = self.now + self.options.gather_for;
                }
                for (item, fate) in writing.items.into_iter().zip(fates) {
                    let replies =
                        item.clients.into_iter().map(|client| Output::Reply(client, Response::Put(fate)));
                    self.out.extend(replies);
                }
            }
            // The cluster has changed since the batch was cut, or a receipt came too late to count.
            Ok(Outcome::Refused(Refusal::Profile(_) | Refusal::NoMember(_) | Refusal::Receipts { .. }))
                if !over(writing) =>
            {
                let Some(writing) = self.end(id) else { return };
                let (again, never): (Vec<_>, Vec<_>) =
                    writing.items.into_iter().partition(|item| item.cuts < CUTS_MAX);
                for mut item in again.into_iter().rev() {
                    item.cuts += 1;
                    self.writer.waiting_bytes += item.bytes.len();
                    self.writer.waiting.push_front(item);
                }
                self.give_up(never, &writing.replaces, &Refused::NoMajority);
            }
            Ok(Outcome::Refused(refusal)) => {
                let Some(writing) = self.end(id) else { return };
                self.give_up(writing.items, &writing.replaces, &Refused::Ledger(refusal));
            }
            // An earlier try of which nothing was heard may have been taken, whatever became of the last one.
            why if over(writing) => {
                let Some(writing) = self.end(id) else { return };
                let certain = why == Err(Unproposed::NotTaken) && !writing.unsure;
                let refused = if certain { Refused::NoMajority } else { Refused::Unknown };
                self.give_up(writing.items, &writing.replaces, &refused);
            }
            // The same entry again: the ledger takes a stripe once.
            Ok(_) | Err(_) => {
                writing.unsure |= result == Err(Unproposed::Unknown);
                writing.stage = Stage::Again(self.now + AGAIN_AFTER);
            }
        }
        self.start_batches(state);
    }

    fn end(&mut self, id: StripeId) -> Option<Writing> {
        let writing = self.writer.writing.remove(&id)?;
        self.writer.sent.retain(|_, (stripe, _)| *stripe != id);
        if writing.replaces.is_empty() {
            self.writer.no_longer_waiting(&writing.items);
        }
        Some(writing)
    }

    /// Too few nodes have their shard. What some have is named by no record, and goes.
    fn fail_durable(&mut self, id: StripeId) {
        let Some(writing) = self.end(id) else { return };
        let lacking = writing.record.counts().indices().filter(|index| !writing.receipts.contains_key(index));
        let without = lacking.filter_map(|index| {
            let lack = writing.lacks.get(&index).copied().unwrap_or(Lack::Silent);
            Some((writing.record.holder(index)?, lack))
        });
        let small = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        let (have, need) = (small(writing.receipts.len()), small(writing.acknowledge_at));
        let refused = Refused::NotDurable { have, need, without: without.collect() };
        self.give_up(writing.items, &writing.replaces, &refused);
    }

    /// Tells everybody who waits for these items that they are not kept.
    fn give_up(&mut self, items: Vec<Pending>, replaces: &[StripeId], refused: &Refused) {
        if !replaces.is_empty() {
            self.repack_fails();
        }
        for client in items.into_iter().flat_map(|item| item.clients) {
            self.refuse(client, refused.clone());
        }
    }
}
