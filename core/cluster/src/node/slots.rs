//! Slots that clients claim: brought before the ledger, unless what stands there is known and stays for long.
use super::request::{Refused, Response};
use super::{Call, Node, Output, Proposed, Unproposed};
use crate::{ClientKey, Entry, Outcome, Slot, SlotClaim, State};
use terachat_core_store::sync::board::RECORD_LIFETIME_MS_MAX;

impl Node {
    /// A client wants a value to be the first in a slot.
    pub(super) fn claim(
        &mut self,
        state: &State,
        (call, by): (Call, Option<ClientKey>),
        slot: Slot,
        value: [u8; 32],
        life_ms: u64,
    ) {
        let Some(client) = by else { return self.refuse(call, Refused::Stranger) };
        let Some(at_ms) = self.now_ms(state) else { return self.refuse(call, Refused::NoMajority) };
        if life_ms == 0 || life_ms > RECORD_LIFETIME_MS_MAX {
            return self.refuse(call, Refused::Lifetime);
        }
        let until_ms = at_ms.saturating_add(life_ms);
        // What stands somewhere stands everywhere, until it ends.
        let known = state.slot(&slot).map(|claimed| claimed.standing);
        let known = known.filter(|known| self.lasts(state, known.until_ms));
        match known.filter(|known| known.value != value || known.until_ms >= until_ms) {
            Some(known) => self.out.push(Output::Reply(call, Response::Claimed(known))),
            None => {
                let claim = SlotClaim { slot, value, until_ms, client, at_ms };
                self.propose(Proposed::Claim(call), &Entry::Claim(claim));
            }
        }
    }

    /// What the ledger made of a claim. Whoever does not hear it may claim once more: that is the same claim.
    pub(super) fn claim_proposed(&mut self, client: Call, result: Result<Outcome, Unproposed>) {
        let response = match result {
            Ok(Outcome::Claimed(standing)) => Response::Claimed(standing),
            Ok(Outcome::Refused(refusal)) => Response::Refused(Refused::Ledger(refusal)),
            Err(Unproposed::NotTaken) => Response::Refused(Refused::NoMajority),
            Ok(_) | Err(Unproposed::Unknown) => Response::Refused(Refused::Unknown),
        };
        self.out.push(Output::Reply(client, response));
    }
}
