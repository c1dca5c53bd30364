//! Links: an earlier epoch's secret, sealed under a later one's and carried by a commit.
use super::commit_of;
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::LocalStore;
use terachat_core_store::model::EpochLink;
use terachat_core_store::store::Write;
use terachat_event::{EventHash, SpaceId};
use terachat_vault::{Algorithm, NONCE_LEN, SealKey, Secret, derive_key};

impl Client {
    /// Opens earlier epochs' secrets by the links that later commits carry.
    pub(super) fn walk_links(&mut self, space: SpaceId, chain: &[EventHash]) -> Result<bool, Error> {
        let mut opened: BTreeMap<EventHash, Secret<32>> = BTreeMap::new();
        for hash in chain.iter().rev() {
            let known = self.store.epoch_secret(&space, hash);
            let Some(secret) = known.or_else(|| opened.get(hash).map(Secret::duplicate_secret)) else {
                continue;
            };
            let commit =
                self.store.control(&space)?.and_then(|control| control.event(hash)).and_then(commit_of);
            for link in commit.map(|commit| commit.links.as_slice()).unwrap_or_default() {
                if self.store.epoch_secret(&space, &link.commit).is_none()
                    && let Some(earlier) = open_link(&secret, link)
                {
                    opened.insert(link.commit, earlier);
                }
            }
        }
        let writes: Vec<Write> = opened
            .iter()
            .map(|(commit, secret)| LocalStore::epoch_secret_record(&space, commit, secret))
            .collect();
        self.store.write_records(writes)?;
        Ok(!opened.is_empty())
    }

    /// Epochs that no commit leads back to: of commits that lost their race or became void, and those that a device left
    /// behind when it rejoined without their secrets. As far as their secrets are here.
    pub(crate) fn unlinked_epochs(
        &self,
        space: &SpaceId,
        chain: &[EventHash],
    ) -> Result<Vec<EventHash>, Error> {
        let Some(control) = self.store.control(space)? else { return Ok(Vec::new()) };
        let linked: BTreeSet<EventHash> = chain
            .iter()
            .filter_map(|hash| commit_of(control.event(hash)?))
            .flat_map(|commit| commit.links.iter().map(|link| link.commit))
            .collect();
        let won: BTreeSet<&EventHash> = chain.iter().collect();
        let lost = control
            .events()
            .filter(|(event, _)| commit_of(event).is_some())
            .map(|(event, _)| event.hash)
            .filter(|hash| !won.contains(hash) && !linked.contains(hash));
        let mut unlinked: Vec<EventHash> =
            lost.filter(|hash| self.store.epoch_secret(space, hash).is_some()).collect();
        unlinked.extend(self.gaps(space, chain)?);
        Ok(unlinked)
    }
}

/// Seals an earlier epoch's secret under a later one's.
pub(crate) fn seal_link(later: &Secret<32>, earlier: &Secret<32>, commit: &EventHash) -> EpochLink {
    let mut sealed = earlier.expose_secret().to_vec();
    // One key seals one link, so the nonce never repeats.
    link_key(later, commit).seal(&[0; NONCE_LEN], &commit.0, &mut sealed);
    EpochLink { commit: *commit, sealed }
}

fn open_link(later: &Secret<32>, link: &EpochLink) -> Option<Secret<32>> {
    let opened = link_key(later, &link.commit).open(&[0; NONCE_LEN], &link.commit.0, &link.sealed).ok()?;
    let mut bytes: [u8; 32] = opened.try_into().ok()?;
    Some(Secret::take(&mut bytes))
}

fn link_key(later: &Secret<32>, commit: &EventHash) -> SealKey {
    SealKey::new(Algorithm::ChaCha20Poly1305, &derive_key("terachat 2026-11 epoch link", later, &[&commit.0]))
}
