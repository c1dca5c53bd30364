//! What has an end, and the records of boards: listed in the order in which they came, renewed, and forgotten when they are over.
use super::{State, later};
use crate::ledger::EXPIRED_MAX;
use crate::{
    Fate, ItemKind, ItemName, ItemPlace, NewRecords, NewStripe, Outcome, Refusal, Renewal, Signature,
};
use std::collections::BTreeMap;
use std::ops::Bound;
use terachat_shard::StripeId;

/// What is known of a board's record beside its item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) key: [u8; 32],
    pub(super) signature: Signature,
}

/// What a batch says of the records in it.
pub(super) struct Signed {
    pub(super) at_ms: Option<u64>,
    signatures: BTreeMap<ItemName, Signature>,
}

impl Signed {
    /// Of a batch without any that is new.
    pub(super) fn none() -> Self {
        Self { at_ms: None, signatures: BTreeMap::new() }
    }

    /// None if there is not one signature for each record, or one that never ends.
    pub(super) fn of(new: &NewRecords) -> Option<Self> {
        let records = || new.stripe.items.iter().filter(|item| item.name.kind == ItemKind::Board);
        let sound = records().count() == new.signatures.len()
            && records().all(|item| item.expires_ms != 0)
            && new.stripe.replaces.is_empty();
        let signatures = records().map(|item| item.name).zip(new.signatures.iter().copied());
        sound.then(|| Self { at_ms: Some(new.at_ms), signatures: signatures.collect() })
    }

    /// That no record comes without a signature, unless it is one that was there and is put together with others.
    ///
    /// # Errors
    /// [`Refusal::Stripe`].
    pub(super) fn check(&self, new: &NewStripe) -> Result<(), Refusal> {
        let bare = |name: &ItemName| name.kind == ItemKind::Board && !self.signatures.contains_key(name);
        let sound = !new.replaces.is_empty() || !new.items.iter().any(|item| bare(&item.name));
        sound.then_some(()).ok_or(Refusal::Stripe)
    }

    pub(super) fn of_item(&self, name: &ItemName) -> Option<Signature> {
        self.signatures.get(name).copied()
    }
}

impl State {
    /// Records of boards that came after this place of the order, at most `max`.
    pub fn listed_after(&self, after: Option<(u64, u32)>, max: usize) -> Vec<((u64, u32), ItemName)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let listed = self.listed.range((from, Bound::Unbounded));
        let name = |listed: &Listed| ItemName { kind: ItemKind::Board, key: listed.key };
        listed.take(max).map(|(order, listed)| (*order, name(listed))).collect()
    }

    /// The signature of a board's record.
    pub fn signature(&self, record: &ItemPlace) -> Option<Signature> {
        self.listed.get(&record.order?).map(|listed| listed.signature)
    }

    /// Whether something has ended by then, in milliseconds since 1970, and may be forgotten.
    pub fn has_ended(&self, at_ms: u64) -> bool {
        self.ended(at_ms).next().is_some() || self.slots.have_ended(at_ms)
    }

    fn ended(&self, at_ms: u64) -> impl Iterator<Item = ItemName> + '_ {
        let over = self.ends.iter().take_while(move |(end, _)| *end <= at_ms);
        over.map(|(_, name)| *name).filter(|name| !self.roster.is_held(name))
    }

    /// Whether a board's record is there that had ended when another came, and is in nobody's way.
    pub(super) fn is_over(&self, name: &ItemName, at_ms: Option<u64>) -> bool {
        let Some(at_ms) = at_ms.filter(|_| name.kind == ItemKind::Board) else { return false };
        let ends = self.items.get(name).map(|place| place.item.expires_ms);
        ends.is_some_and(|ends| ends <= at_ms) && !self.roster.is_held(name)
    }

    /// An item that is there came again, perhaps with a later end. A record's end is changed with its signature only.
    pub(super) fn keep_longer(
        &mut self,
        name: &ItemName,
        expires_ms: u64,
        signature: Option<Signature>,
    ) -> Fate {
        let Some(known) = self.items.get_mut(name) else { return Fate::Gone };
        let (before, after) = (known.item.expires_ms, later(known.item.expires_ms, expires_ms));
        let is_record = name.kind == ItemKind::Board;
        if after == before || is_record && signature.is_none() {
            return Fate::Known;
        }
        known.item.expires_ms = after;
        self.ends.remove(&(before, *name));
        if after != 0 {
            self.ends.insert((after, *name));
        }
        match (signature, known.order.and_then(|order| self.listed.get_mut(&order))) {
            (Some(signature), Some(listed)) => {
                listed.signature = signature;
                Fate::Renewed
            }
            _ => Fate::Known,
        }
    }

    pub(super) fn renew(&mut self, renewal: &Renewal) -> Fate {
        let name = ItemName { kind: ItemKind::Board, key: renewal.key };
        match self.items.get(&name) {
            None => Fate::Gone,
            Some(_) if self.is_over(&name, Some(renewal.at_ms)) => Fate::Gone,
            Some(known) if known.item.digest != renewal.digest => Fate::Taken,
            // None is without an end.
            Some(_) if renewal.expires_ms == 0 => Fate::Known,
            Some(_) => self.keep_longer(&name, renewal.expires_ms, Some(renewal.signature)),
        }
    }

    pub(super) fn expire(&mut self, at_ms: u64, gone: &mut Vec<StripeId>) -> Outcome {
        let over: Vec<ItemName> = self.ended(at_ms).take(EXPIRED_MAX).collect();
        let (mut items, mut records) = (0, 0);
        for name in over {
            if self.drop_item(&name, gone).is_some() {
                items += 1;
                records += u32::from(name.kind == ItemKind::Board);
            }
        }
        Outcome::Expired { items, records, claims: self.slots.expire(at_ms) }
    }
}
