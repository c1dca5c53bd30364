//! What this node says in the history of where shards stand, and what it hears others say.
use super::{Engine, Event};
use terachat_cluster::{PlacementClaim, Verdict, What};

impl Engine {
    /// Says what there is to say, one thing after the other. What was not taken is due again with the next look.
    pub(super) fn claim(&mut self) {
        if self.claiming {
            return;
        }
        let every_ms = u64::try_from(self.parts.claim_every.as_millis()).unwrap_or(u64::MAX);
        let now_ms = (self.parts.clock)();
        let due = self.state.read().to_claim(self.own, self.status.is_leader, now_ms, every_ms);
        let Some(mark) = due else { return };
        self.claiming = true;
        let (doer, events) = (self.parts.doer.clone(), self.parts.events.clone());
        tokio::spawn(async move {
            if let Err(error) = doer.act(What::Placed(mark)).await {
                tracing::debug!(%error, "where shards stand is not in the history yet");
            }
            let _ = events.send(Event::Claimed);
        });
    }

    /// Says aloud when another node has seen shards placed otherwise.
    pub(super) fn hear_claim(&mut self) {
        let Some((claim, verdict)) = self.state.read().claim() else { return };
        if self.heard.replace(claim) == Some(claim) || verdict != Verdict::Differs {
            return;
        }
        let PlacementClaim { by, mark, .. } = claim;
        tracing::error!(
            member = by.0.get(),
            entry = mark.entry,
            "a node has seen shards placed otherwise than this one: memory or a ledger is not sound; see which it is: terachat \
             cluster audit"
        );
    }
}
