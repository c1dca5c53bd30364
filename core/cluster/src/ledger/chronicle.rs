use super::deed::{SignedDeed, What};
use super::roster::Roster;
use crate::{NodeKey, Refusal};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use terachat_shard::NodeId;

/// The cluster's history of itself: every deed since it was founded, each signed and naming the one before. Nothing is ever taken
/// out of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Chronicle {
    deeds: Vec<SignedDeed>,
}

/// Where a history is not what its nodes signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChronicleError {
    /// A deed that could not have been taken.
    #[error("deed {seq} of the cluster's history does not follow from those before it: {why}")]
    Deed {
        /// Its place.
        seq: u64,
        /// Why it could not.
        why: Refusal,
    },
    /// What this node works by is not what the history says.
    #[error(
        "the cluster's history is sound, but the members that this node works by are not what it says; stop the node and start it \
         again from the ledger"
    )]
    Roster,
}

impl Chronicle {
    /// All deeds, in their order.
    pub fn deeds(&self) -> &[SignedDeed] {
        &self.deeds
    }

    /// What the next deed has to name: its number and the last one's hash.
    pub fn next(&self) -> (u64, [u8; 32]) {
        (self.deeds.len() as u64, self.deeds.last().map_or([0; 32], SignedDeed::hash))
    }

    /// Takes a deed up, if it follows and whoever signed may, and changes `roster` by it.
    ///
    /// # Errors
    /// Any [`Refusal`] of a deed; nothing is changed then.
    pub(super) fn take(&mut self, deed: SignedDeed, roster: &mut Roster) -> Result<Option<NodeId>, Refusal> {
        if (deed.deed.seq, deed.deed.previous) != self.next() {
            return Err(Refusal::Stale);
        }
        let signer = signer(&deed, roster).ok_or(Refusal::NoMember(deed.deed.by))?;
        if !deed.is_signed_by(&signer) {
            return Err(Refusal::Signature);
        }
        let joined = roster.apply(&deed.deed)?;
        self.deeds.push(deed);
        Ok(joined)
    }

    /// Replays the history from its beginning: what it comes to.
    ///
    /// # Errors
    /// [`ChronicleError::Deed`].
    pub fn replay(&self) -> Result<Roster, ChronicleError> {
        let (mut replayed, mut roster) = (Self::default(), Roster::default());
        for deed in &self.deeds {
            replayed.append(deed.clone(), &mut roster)?;
        }
        Ok(roster)
    }

    /// Replays one deed more, which somebody else said is the next.
    ///
    /// # Errors
    /// [`ChronicleError::Deed`]; nothing is changed then.
    pub fn append(&mut self, deed: SignedDeed, roster: &mut Roster) -> Result<(), ChronicleError> {
        let seq = self.deeds.len() as u64;
        self.take(deed, roster).map(drop).map_err(|why| ChronicleError::Deed { seq, why })
    }

    /// What nodes have said of the placement after the latest entry of which any has: all the same, or memory or a ledger is not sound.
    pub fn last_claims(&self) -> (u64, BTreeMap<[u8; 32], BTreeSet<NodeId>>) {
        let claims = self.deeds.iter().filter_map(|SignedDeed { deed, .. }| match &deed.what {
            What::Placed(mark) => Some((deed.by, mark)),
            _ => None,
        });
        let last = claims.clone().map(|(_, mark)| mark.entry).max().unwrap_or(0);
        let mut said: BTreeMap<[u8; 32], BTreeSet<NodeId>> = BTreeMap::new();
        for (by, mark) in claims.filter(|(_, mark)| mark.entry == last) {
            said.entry(mark.digest).or_default().insert(by);
        }
        (last, said)
    }

    /// Replays the history and compares what comes out with what the node works by.
    ///
    /// # Errors
    /// [`ChronicleError`].
    pub fn audit(&self, roster: &Roster) -> Result<(), ChronicleError> {
        if self.replay()? == *roster { Ok(()) } else { Err(ChronicleError::Roster) }
    }
}

/// Whose signature a deed needs: the founder vouches for itself.
fn signer(deed: &SignedDeed, roster: &Roster) -> Option<NodeKey> {
    if let What::Founded { profile, .. } = &deed.deed.what {
        return Some(profile.key);
    }
    let (_, record) = roster.members().find(|(node, _)| *node == deed.deed.by)?;
    Some(record.profile.key)
}
