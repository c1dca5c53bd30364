//! Slots that clients claim: the first value that is claimed for one stays until it ends.
use super::State;
use crate::ledger::{CLAIMS_MAX, EXPIRED_MAX};
use crate::{ClientKey, Outcome, Refusal, Slot, SlotClaim, Standing};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A claim that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// What stands in its slot by it.
    pub standing: Standing,
    /// Whose it is, and who may have only so many.
    pub client: ClientKey,
}

/// All slots that are claimed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Slots {
    claimed: BTreeMap<Slot, Claimed>,
    /// By their ends, the earliest first.
    ends: BTreeSet<(u64, Slot)>,
    /// How many each client has.
    counts: BTreeMap<ClientKey, usize>,
}

impl Slots {
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&Slot, &Claimed)> {
        self.claimed.iter()
    }

    fn count(&self, client: &ClientKey) -> usize {
        self.counts.get(client).copied().unwrap_or(0)
    }

    /// Puts a claim into an empty slot. False if the slot is not, or the client has as many as one may, which a snapshot may not say.
    pub(super) fn put(&mut self, slot: Slot, claimed: Claimed) -> bool {
        if self.claimed.contains_key(&slot) || self.count(&claimed.client) >= CLAIMS_MAX {
            return false;
        }
        self.ends.insert((claimed.standing.until_ms, slot));
        *self.counts.entry(claimed.client).or_default() += 1;
        self.claimed.insert(slot, claimed);
        true
    }

    fn take_out(&mut self, slot: &Slot) {
        let Some(claimed) = self.claimed.remove(slot) else { return };
        self.ends.remove(&(claimed.standing.until_ms, *slot));
        if let Some(count) = self.counts.get_mut(&claimed.client) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&claimed.client);
            }
        }
    }

    pub(super) fn have_ended(&self, at_ms: u64) -> bool {
        self.ends.first().is_some_and(|(end, _)| *end <= at_ms)
    }

    /// Empties what ends by then, the earliest ends first, as much as one entry may: how many that were.
    pub(super) fn expire(&mut self, at_ms: u64) -> u32 {
        let over = self.ends.iter().take_while(|(end, _)| *end <= at_ms).take(EXPIRED_MAX);
        let over: Vec<Slot> = over.map(|(_, slot)| *slot).collect();
        over.iter().for_each(|slot| self.take_out(slot));
        u32::try_from(over.len()).unwrap_or(u32::MAX)
    }

    /// What stands in the slot now: the claim's own value if nothing stood there, or what did had ended.
    fn claim(&mut self, claim: &SlotClaim) -> Result<Standing, Refusal> {
        let SlotClaim { slot, value, until_ms, client, at_ms } = *claim;
        let known = self.claimed.get(&slot).copied();
        let stands = known.filter(|known| known.standing.until_ms > at_ms);
        let asked = Standing { value, until_ms };
        match stands {
            Some(Claimed { standing, .. }) if standing.value != value || standing.until_ms >= until_ms => {
                return Ok(standing);
            }
            // A longer life for the same value, whoever asks for it; it stays the first one's.
            Some(known) => {
                self.take_out(&slot);
                self.put(slot, Claimed { standing: asked, ..known });
                return Ok(asked);
            }
            None => {}
        }
        let freed = usize::from(known.is_some_and(|known| known.client == client));
        if until_ms <= at_ms || self.count(&client) - freed >= CLAIMS_MAX {
            return Err(Refusal::Claims);
        }
        self.take_out(&slot);
        self.put(slot, Claimed { standing: asked, client });
        Ok(asked)
    }
}

impl State {
    /// What stands in a slot. It may have ended, and not be forgotten yet.
    pub fn slot(&self, slot: &Slot) -> Option<&Claimed> {
        self.slots.claimed.get(slot)
    }

    /// Slots in which something stands.
    pub fn slots(&self) -> usize {
        self.slots.claimed.len()
    }

    pub(super) fn claim_slot(&mut self, claim: &SlotClaim) -> Result<Outcome, Refusal> {
        self.slots.claim(claim).map(Outcome::Claimed)
    }
}
