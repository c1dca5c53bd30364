use crate::membership::commit_of;
use crate::{Client, Error};
use std::collections::BTreeSet;
use terachat_event::{EventHash, SpaceId};
use terachat_vault::{Secret, derive_key};

/// Newest epochs of a space whose streams are read, and as many of commits that did not come to count.
const EPOCHS_READ: usize = 64;
/// Newest epochs under which what stands on a board need not be published again: their streams are read for a while yet.
pub(super) const EPOCHS_COUNTED: usize = 32;

/// Names a root without telling it.
pub(crate) type RootId = [u8; 16];

/// The secret that a set of streams is derived from: an epoch's, or a ticket's.
pub(crate) struct Root {
    pub(crate) id: RootId,
    pub(crate) secret: Secret<32>,
    /// The event that made the epoch, if it is known here.
    pub(crate) commit: Option<EventHash>,
    /// Whether what stands under it counts as being there for everybody.
    pub(crate) counts: bool,
}

impl Root {
    pub(super) fn of(secret: Secret<32>, commit: Option<EventHash>, counts: bool) -> Self {
        let id = derive_key("terachat 2026-11 board root", &secret, &[]);
        let id = *id.expose_secret().first_chunk().expect("a key is longer");
        Self { id, secret, commit, counts }
    }
}

impl Client {
    /// The epochs of a space whose secrets are here: the newest first, then those of commits that do not count.
    pub(crate) fn roots(&self, space: &SpaceId) -> Result<Vec<Root>, Error> {
        let chain = self.epochs(space)?;
        let counted = self.counted(&chain);
        let newest = chain.iter().rev().take(EPOCHS_READ);
        let mut commits: Vec<EventHash> = newest.copied().collect();
        let on_chain: BTreeSet<EventHash> = chain.iter().copied().collect();
        if let Some(control) = self.store.control(space)? {
            let made = control.events().filter(|(event, _)| commit_of(event).is_some());
            let mut beside: Vec<EventHash> =
                made.map(|(event, _)| event.hash).filter(|hash| !on_chain.contains(hash)).collect();
            beside.drain(..beside.len().saturating_sub(EPOCHS_READ));
            commits.append(&mut beside);
        }
        let root = |commit: EventHash| {
            let secret = self.store.epoch_secret(space, &commit)?;
            Some(Root::of(secret, Some(commit), counted.contains(&commit)))
        };
        Ok(commits.into_iter().filter_map(root).collect())
    }

    /// The epochs under which what stands on a board counts as being there.
    pub(super) fn counted(&self, chain: &[EventHash]) -> BTreeSet<EventHash> {
        chain.iter().rev().take(EPOCHS_COUNTED).copied().collect()
    }
}
