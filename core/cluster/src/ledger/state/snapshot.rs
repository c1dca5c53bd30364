//! A state as bytes: what cannot be had from the rest.
use super::{
    Chronicle, Claimed, Item, ItemPlace, PackageKey, Placement, PlacementClaim, PlacementMark, State, Stripe,
};
use crate::{Error, ItemKind, ItemName, Signature, Slot};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use terachat_shard::{StripeId, StripeRecord};

/// Earlier versions were never published.
const VERSION: u8 = 5;

#[derive(Serialize, Deserialize)]
struct Snapshot {
    applied: u64,
    chronicle: Chronicle,
    stripes: Vec<KeptStripe>,
    gone: BTreeMap<StripeId, u64>,
    /// In the order of slots.
    slots: Vec<(Slot, Claimed)>,
    marks: Vec<PlacementMark>,
    claim: Option<PlacementClaim>,
}

#[derive(Serialize, Deserialize)]
struct KeptStripe {
    #[serde(with = "serde_bytes")]
    record: Vec<u8>,
    key: PackageKey,
    /// In the order of names.
    items: Vec<KeptItem>,
}

/// An item where it is, by its kind.
#[derive(Serialize, Deserialize)]
enum KeptItem {
    Blob {
        digest: [u8; 32],
        at: u32,
        len: u32,
        expires_ms: u64,
    },
    Board {
        key: [u8; 32],
        digest: [u8; 32],
        at: u32,
        len: u32,
        expires_ms: u64,
        order: (u64, u32),
        signature: Signature,
    },
}

impl KeptItem {
    /// None of a board's record that is not listed, which there is not.
    fn of(state: &State, place: &ItemPlace) -> Option<Self> {
        let Item { name: ItemName { kind, key }, digest, at, len, expires_ms } = place.item;
        Some(match kind {
            ItemKind::Blob => Self::Blob { digest: key, at, len, expires_ms },
            ItemKind::Board => {
                let (order, signature) = (place.order?, state.signature(place)?);
                Self::Board { key, digest, at, len, expires_ms, order, signature }
            }
        })
    }

    fn placed(self, stripe: StripeId) -> (ItemPlace, Option<Signature>) {
        match self {
            Self::Blob { digest, at, len, expires_ms } => {
                let name = ItemName { kind: ItemKind::Blob, key: digest };
                let item = Item { name, digest, at, len, expires_ms };
                (ItemPlace { stripe, item, order: None }, None)
            }
            Self::Board { key, digest, at, len, expires_ms, order, signature } => {
                let name = ItemName { kind: ItemKind::Board, key };
                let item = Item { name, digest, at, len, expires_ms };
                (ItemPlace { stripe, item, order: Some(order) }, Some(signature))
            }
        }
    }
}

impl State {
    /// The whole state as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let kept = |stripe: &Stripe| KeptStripe {
            record: stripe.record.encode(),
            key: stripe.key,
            items: (stripe.items.iter()).filter_map(|name| KeptItem::of(self, self.item(name)?)).collect(),
        };
        let snapshot = Snapshot {
            applied: self.applied,
            chronicle: self.chronicle.clone(),
            stripes: self.stripes.values().map(kept).collect(),
            gone: self.gone.clone(),
            slots: self.slots.iter().map(|(slot, claimed)| (*slot, *claimed)).collect(),
            marks: self.placement.marks().iter().copied().collect(),
            claim: self.claim,
        };
        postcard::to_extend(&snapshot, vec![VERSION]).expect("a value in memory can be written")
    }

    /// The state of such bytes.
    ///
    /// # Errors
    /// [`Error::Snapshot`].
    pub fn restore(bytes: &[u8]) -> Result<Self, Error> {
        let Some((&VERSION, rest)) = bytes.split_first() else { return Err(Error::Snapshot) };
        let (snapshot, rest): (Snapshot, _) = postcard::take_from_bytes(rest).map_err(|_| Error::Snapshot)?;
        if !rest.is_empty() {
            return Err(Error::Snapshot);
        }
        let Snapshot { applied, chronicle, stripes, gone, slots, marks, claim } = snapshot;
        let roster = chronicle.replay().map_err(|_| Error::Snapshot)?;
        let placement = Placement::with_marks(marks).ok_or(Error::Snapshot)?;
        let mut state = Self { applied, chronicle, roster, gone, placement, claim, ..Self::default() };
        let ordered = slots.is_sorted_by(|(one, _), (next, _)| one < next);
        if !ordered || !slots.into_iter().all(|(slot, claimed)| state.slots.put(slot, claimed)) {
            return Err(Error::Snapshot);
        }
        for KeptStripe { record, key, items } in stripes {
            let record = StripeRecord::decode(&record).map_err(|_| Error::Snapshot)?;
            let id = record.stripe();
            let mut stripe = Stripe { record, key, items: Vec::with_capacity(items.len()) };
            for item in items {
                let (place, signature) = item.placed(id);
                stripe.items.push(place.item.name);
                if state.place(place, signature).is_some() {
                    return Err(Error::Snapshot);
                }
            }
            let ordered = stripe.items.is_sorted() && !stripe.items.is_empty();
            state.placement.add(&stripe.record);
            if !ordered || state.stripes.insert(id, stripe).is_some() {
                return Err(Error::Snapshot);
            }
        }
        let records = state.items.values().filter(|place| place.order.is_some()).count();
        // A record has a place of the list for itself, and stripes stand as they last came to stand.
        let sound = state.listed.len() == records && state.placement.settle();
        sound.then_some(state).ok_or(Error::Snapshot)
    }
}
