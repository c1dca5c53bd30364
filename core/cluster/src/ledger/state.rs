mod records;
mod slots;
mod snapshot;

use super::entry::{Entry, Fate, Item, ItemPlace, NewStripe, Outcome, Refusal};
use super::placement::{Placement, PlacementClaim, PlacementMark, Verdict};
use super::roster::{NodeStatus, Roster};
use super::{Chronicle, Deed, SignedDeed, What};
use crate::{ItemName, NodeKey, PackageKey, RECEIPT_ENTRIES, Receipt, Signature};
use records::{Listed, Signed};
use slots::Slots;
use std::collections::{BTreeMap, BTreeSet};
use terachat_shard::{NodeId, Profile, StripeId, StripeRecord};

pub use slots::Claimed;

/// Entries between two times at which stripes that are long gone are not remembered any more.
const SWEEP_EVERY: u64 = 1024;

/// What the metadata has of a stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stripe {
    /// Its code, the hashes of its shards, and who is to hold each.
    pub record: StripeRecord,
    /// What opens it.
    pub key: PackageKey,
    /// Items in it that are not forgotten. A stripe of which there are none is not there any more.
    pub items: Vec<ItemName>,
}

/// What all entries so far come to: the same on every node that has applied as many.
///
/// All of it is in memory: some 150 bytes a stripe and 36 a shard, and 200 bytes an item; 60 more if it has an end, and 150 more if
/// it is a board's record; and 200 bytes a claim.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    applied: u64,
    chronicle: Chronicle,
    roster: Roster,
    stripes: BTreeMap<StripeId, Stripe>,
    items: BTreeMap<ItemName, ItemPlace>,
    /// Board records in the order in which they came.
    listed: BTreeMap<(u64, u32), Listed>,
    /// Items that end, the earliest first.
    ends: BTreeSet<(u64, ItemName)>,
    /// Stripes that are gone, each until receipts for it are too old to bring it back.
    gone: BTreeMap<StripeId, u64>,
    slots: Slots,
    placement: Placement,
    claim: Option<PlacementClaim>,
}

/// What an entry did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The answer to whoever proposed it.
    pub outcome: Outcome,
    /// Stripes that are not in the ledger any more, whose shards go.
    pub gone: Vec<StripeId>,
}

impl State {
    /// Takes the entry of this number. What it may not do it does not, and says why: the state is the same as without it then.
    pub fn apply(&mut self, index: u64, entry: &[u8]) -> Applied {
        self.applied = index;
        if index.is_multiple_of(SWEEP_EVERY) {
            self.gone.retain(|_, until| *until >= index);
        }
        let mut gone = Vec::new();
        let taken = match Entry::decode(entry) {
            Err(_) => Err(Refusal::Malformed),
            Ok(Entry::Deed(deed)) => self.deed(index, deed),
            Ok(Entry::Stripe(stripe)) => self.stripe(index, &stripe, &Signed::none(), &mut gone),
            Ok(Entry::Holder(receipt)) => self.holder(&receipt),
            Ok(Entry::Forget(names)) => self.forget(&names, &mut gone),
            Ok(Entry::Records(new)) => Signed::of(&new)
                .ok_or(Refusal::Stripe)
                .and_then(|signed| self.stripe(index, &new.stripe, &signed, &mut gone)),
            Ok(Entry::Renew(renewal)) => Ok(Outcome::Renewed(self.renew(&renewal))),
            Ok(Entry::Expire { at_ms }) => Ok(self.expire(at_ms, &mut gone)),
            Ok(Entry::Claim(claim)) => self.claim_slot(&claim),
        };
        self.placement.mark(index);
        Applied { outcome: taken.unwrap_or_else(Outcome::Refused), gone }
    }

    /// The number of the last entry.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The cluster's history of itself.
    pub fn chronicle(&self) -> &Chronicle {
        &self.chronicle
    }

    /// Who belongs to it.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// All stripes.
    pub fn stripes(&self) -> &BTreeMap<StripeId, Stripe> {
        &self.stripes
    }

    /// Whether a stripe was in the ledger and is not any more, as long as that is remembered: for [`RECEIPT_ENTRIES`].
    pub fn is_gone(&self, stripe: &StripeId) -> bool {
        self.gone.contains_key(stripe)
    }

    /// Where an item is.
    pub fn item(&self, name: &ItemName) -> Option<&ItemPlace> {
        self.items.get(name)
    }

    /// Bytes of what a stripe has that is not forgotten.
    pub fn live_bytes(&self, stripe: &Stripe) -> usize {
        stripe.items.iter().filter_map(|name| self.item(name)).map(|place| place.item.len as usize).sum()
    }

    /// Items that there are.
    pub fn items(&self) -> impl ExactSizeIterator<Item = (&ItemName, &ItemPlace)> {
        self.items.iter()
    }

    /// Where shards are to stand, as it last changed; `None` before the first stripe.
    pub fn placement(&self) -> Option<PlacementMark> {
        self.placement.marks().back().copied()
    }

    /// The same after each of the last changes, the oldest first: [`crate::PLACEMENT_MARKS_MAX`] at most.
    pub fn placements(&self) -> impl ExactSizeIterator<Item = PlacementMark> + '_ {
        self.placement.marks().iter().copied()
    }

    /// What a node last said of it in the history, and whether that is so by what is known here.
    pub fn claim(&self) -> Option<(PlacementClaim, Verdict)> {
        self.claim.map(|claim| (claim, self.placement.judge(&claim.mark)))
    }

    /// What a node is to say of the placement in the history now: if it leads, once in so many milliseconds in which something changed;
    /// if not, what it knows of an entry of which another said what is not so here. All that know better follow, so that the history
    /// has who stands against whom.
    pub fn to_claim(&self, node: NodeId, leads: bool, now_ms: u64, every_ms: u64) -> Option<PlacementMark> {
        let said = self.roster.node(node)?.placed;
        let Some((claim, verdict)) = self.claim() else { return self.placement().filter(|_| leads) };
        if verdict == Verdict::Differs && said < claim.mark.entry {
            return self.placement.at(claim.mark.entry);
        }
        let is_due = leads && now_ms.abs_diff(claim.at_ms) >= every_ms;
        self.placement().filter(|mark| is_due && mark.entry > claim.mark.entry)
    }

    fn deed(&mut self, index: u64, deed: SignedDeed) -> Result<Outcome, Refusal> {
        let Deed { by, at_ms, ref what, .. } = deed.deed;
        let claim = match what {
            What::Placed(mark) if mark.entry >= index => return Err(Refusal::Placed),
            What::Placed(mark) => Some(PlacementClaim { by, at_ms, mark: *mark }),
            _ => None,
        };
        let joined = self.chronicle.take(deed, &mut self.roster)?;
        self.claim = claim.or(self.claim);
        Ok(joined.map_or(Outcome::Done, Outcome::Joined))
    }

    fn stripe(
        &mut self,
        index: u64,
        new: &NewStripe,
        signed: &Signed,
        gone: &mut Vec<StripeId>,
    ) -> Result<Outcome, Refusal> {
        let record = StripeRecord::decode(&new.record).map_err(|_| Refusal::Malformed)?;
        let id = record.stripe();
        let same = |stripe: &Stripe| stripe.key == new.key && stripe.record.len() == record.len();
        match self.stripes.get(&id) {
            // Proposed a second time, because nobody knew what became of it.
            Some(known) if !same(known) => return Err(Refusal::Stripe),
            // Or it was taken, and what was in it forgotten or put elsewhere; its shards are on no disk any more.
            known if known.is_some() || self.gone.contains_key(&id) => {
                return Ok(Outcome::Stripe(new.items.iter().map(|item| self.fate(id, item)).collect()));
            }
            _ => {}
        }
        self.check_durable(&record, new, index)?;
        check_items(&record, &new.items)?;
        signed.check(new)?;
        self.check_replaced(new)?;
        for old in &new.replaces {
            self.remove(*old, gone);
        }
        let mut stripe = Stripe { record, key: new.key, items: Vec::new() };
        let mut fates = Vec::with_capacity(new.items.len());
        for (at, item) in (0u32..).zip(&new.items) {
            if self.is_over(&item.name, signed.at_ms) {
                self.drop_item(&item.name, gone);
            }
            let fate = match self.items.get_mut(&item.name) {
                // Forgotten while its stripe was put together with others.
                None if !new.replaces.is_empty() => Fate::Gone,
                None => Fate::Added,
                Some(known) if known.item.digest != item.digest => Fate::Taken,
                Some(known) if new.replaces.contains(&known.stripe) => {
                    known.stripe = id;
                    (known.item.at, known.item.len) = (item.at, item.len);
                    Fate::Added
                }
                Some(_) => self.keep_longer(&item.name, item.expires_ms, signed.of_item(&item.name)),
            };
            if fate == Fate::Added {
                stripe.items.push(item.name);
                if !self.items.contains_key(&item.name) {
                    let signature = signed.of_item(&item.name);
                    let place = ItemPlace { stripe: id, item: *item, order: signature.map(|_| (index, at)) };
                    self.place(place, signature);
                }
            }
            fates.push(fate);
        }
        if !stripe.items.is_empty() {
            stripe.items.sort_unstable();
            self.placement.add(&stripe.record);
            self.stripes.insert(id, stripe);
        } else {
            self.remove(id, gone);
        }
        Ok(Outcome::Stripe(fates))
    }

    /// The fate of an item whose stripe was taken already.
    fn fate(&self, stripe: StripeId, item: &Item) -> Fate {
        match self.items.get(&item.name) {
            Some(place) if place.stripe == stripe => Fate::Added,
            Some(place) if place.item.digest == item.digest => Fate::Known,
            Some(_) => Fate::Taken,
            None => Fate::Gone,
        }
    }

    /// Takes a stripe and its key out. Its name is remembered as long as a receipt for it may be good.
    fn remove(&mut self, stripe: StripeId, gone: &mut Vec<StripeId>) {
        if let Some(old) = self.stripes.remove(&stripe) {
            self.placement.take_out(&old.record);
        }
        self.gone.insert(stripe, self.applied + RECEIPT_ENTRIES);
        gone.push(stripe);
    }

    /// Puts an item in, and gives back what was there under its name; a record's place in the order comes with its signature.
    fn place(&mut self, place: ItemPlace, signature: Option<Signature>) -> Option<ItemPlace> {
        if let (Some(order), Some(signature)) = (place.order, signature) {
            self.listed.insert(order, Listed { key: place.item.name.key, signature });
        }
        if place.item.expires_ms != 0 {
            self.ends.insert((place.item.expires_ms, place.item.name));
        }
        self.items.insert(place.item.name, place)
    }

    /// That a stripe is cut as the cluster is, stands on members, and is durable on as many as have to be.
    fn check_durable(&self, record: &StripeRecord, new: &NewStripe, index: u64) -> Result<(), Refusal> {
        let cluster = self.roster.cluster().ok_or(Refusal::NotFounded)?;
        let total = record.counts().total();
        let nodes = u8::try_from(total).unwrap_or(u8::MAX);
        let profile = Profile::new(total).ok().filter(|profile| profile.counts() == record.counts());
        let profile = profile.filter(|_| self.roster.fits(total)).ok_or(Refusal::Profile(nodes))?;
        for place in record.counts().indices() {
            let holder = record.holder(place).ok_or(Refusal::Stripe)?;
            let member = self.roster.members().any(|(node, _)| node == holder);
            member.then_some(()).ok_or(Refusal::NoMember(holder))?;
        }
        let mut receipts: BTreeMap<u8, (Receipt, NodeKey)> = BTreeMap::new();
        for &(place, until, signature) in &new.receipts {
            let (Some(hash), Some(node)) = (record.hash(place), record.holder(place)) else {
                return Err(Refusal::Stripe);
            };
            let key = self.roster.node(node).ok_or(Refusal::NoMember(node))?.profile.key;
            let receipt = Receipt { stripe: record.stripe(), index: place, hash, node, until, signature };
            if until >= index {
                receipts.insert(place, (receipt, key));
            }
        }
        let receipts: Vec<(Receipt, NodeKey)> = receipts.into_values().collect();
        let durable = receipts.len() - Receipt::not_signed(cluster, &receipts).len();
        let need = profile.acknowledge_at();
        if durable >= need {
            return Ok(());
        }
        let small = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        Err(Refusal::Receipts { have: small(durable), need: small(need) })
    }

    /// That nothing of the stripes that are replaced is missing in the new one.
    fn check_replaced(&self, new: &NewStripe) -> Result<(), Refusal> {
        let here: BTreeMap<ItemName, [u8; 32]> =
            new.items.iter().map(|item| (item.name, item.digest)).collect();
        for old in &new.replaces {
            let old = self.stripes.get(old).ok_or(Refusal::Repack)?;
            let same = |name: &ItemName| {
                let digest = self.items.get(name).map(|place| place.item.digest);
                digest.is_some() && here.get(name).copied() == digest
            };
            if !old.items.iter().all(same) {
                return Err(Refusal::Repack);
            }
        }
        Ok(())
    }

    fn holder(&mut self, receipt: &Receipt) -> Result<Outcome, Refusal> {
        let cluster = self.roster.cluster().ok_or(Refusal::NotFounded)?;
        let member = self.roster.node(receipt.node).filter(|record| record.status != NodeStatus::Left);
        let key = member.ok_or(Refusal::NoMember(receipt.node))?.profile.key;
        let stripe = self.stripes.get_mut(&receipt.stripe).ok_or(Refusal::NoStripe)?;
        if stripe.record.hash(receipt.index) != Some(receipt.hash) || receipt.until < self.applied {
            return Err(Refusal::Stripe);
        }
        if !receipt.is_signed_by(cluster, &key) {
            return Err(Refusal::Signature);
        }
        // A node has one shard of a stripe: the one of its newest receipt.
        let (node, mut record) = (receipt.node, stripe.record.clone());
        let before = record.counts().indices().find(|index| record.holder(*index) == Some(node));
        if let Some(before) = before {
            record.set_holder(before, None).map_err(|_| Refusal::Stripe)?;
        }
        record.set_holder(receipt.index, Some(node)).map_err(|_| Refusal::Stripe)?;
        self.placement.take_out(&stripe.record);
        self.placement.add(&record);
        stripe.record = record;
        Ok(Outcome::Done)
    }

    fn forget(&mut self, names: &[ItemName], gone: &mut Vec<StripeId>) -> Result<Outcome, Refusal> {
        if names.iter().any(|name| self.roster.is_held(name)) {
            return Err(Refusal::Held);
        }
        for name in names {
            self.drop_item(name, gone);
        }
        Ok(Outcome::Done)
    }

    /// Takes an item out, and its stripe if nothing else is in it.
    fn drop_item(&mut self, name: &ItemName, gone: &mut Vec<StripeId>) -> Option<ItemPlace> {
        let place = self.items.remove(name)?;
        place.order.and_then(|order| self.listed.remove(&order));
        self.ends.remove(&(place.item.expires_ms, *name));
        if let Some(stripe) = self.stripes.get_mut(&place.stripe) {
            stripe.items.retain(|item| item != name);
            if stripe.items.is_empty() {
                self.remove(place.stripe, gone);
            }
        }
        Some(place)
    }
}

/// The later of two ends, of which 0 is none.
fn later(one: u64, other: u64) -> u64 {
    if one == 0 || other == 0 { 0 } else { one.max(other) }
}

/// That items are parts of the batch, and none stands twice.
fn check_items(record: &StripeRecord, items: &[Item]) -> Result<(), Refusal> {
    let batch = record.len().checked_sub(crate::package::PACKAGE_OVERHEAD as u64).ok_or(Refusal::Stripe)?;
    let inside = |item: &Item| u64::from(item.at) + u64::from(item.len) <= batch;
    let names: std::collections::BTreeSet<ItemName> = items.iter().map(|item| item.name).collect();
    if items.iter().all(inside) && names.len() == items.len() { Ok(()) } else { Err(Refusal::Stripe) }
}
