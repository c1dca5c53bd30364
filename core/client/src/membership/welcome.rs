//! Joining by a welcome, and how long the private parts of the key packages that open one are kept.
use super::{EPOCH_LABEL, commit_of, group_name, group_record};
use crate::directory::STOCK;
use crate::message_keys::NewKeys;
use crate::reinit::reinit_of;
use crate::rejoin::rejoin_name;
use crate::{Client, Error};
use terachat_core_store::LocalStore;
use terachat_core_store::model::{ControlOp, GroupCommit};
use terachat_core_store::store::Write;
use terachat_event::{EventHash, SpaceId};
use terachat_group::Group;
use terachat_vault::SecretBytes;

/// Records of key packages' private parts, by age.
pub(crate) const KEY_PACKAGES: &[u8] = b"key-package/";
/// Records of key packages that were used to join, with the commit that did.
const JOINED: &[u8] = b"joined/";

/// What opened a welcome.
enum Opener {
    /// The private part in this record.
    Card(Vec<u8>),
    /// That of a key package from a board, by hash.
    Stock([u8; 32]),
}

impl Client {
    /// Joins by the newest welcome that is for this device and has its tree here.
    pub(super) fn join_by_welcome(&mut self, space: SpaceId) -> Result<bool, Error> {
        let chain = self.epochs(&space)?;
        let held = chain.iter().rposition(|commit| self.store.record(&group_name(&space, commit)).is_some());
        let Some(control) = self.store.control(&space)? else { return Ok(false) };
        let me = self.identity.device_id();
        // A group held that leads no further was left by a commit that took this device out. If it is a member all the
        // same, its removal became void and a later commit lets it in again.
        let ahead = &chain[held.map_or(0, |at| at + 1)..];
        if ahead.is_empty() || held.is_some() && control.state().member_of(&me).is_none() {
            self.memberships.entry(space).or_default().wanted_tree = None;
            return Ok(false);
        }
        let mut welcomes: Vec<(bool, EventHash, GroupCommit)> = ahead
            .iter()
            .rev()
            .filter_map(|hash| {
                let event = control.event(hash)?;
                let admits_me = event
                    .transaction
                    .0
                    .iter()
                    .any(|op| matches!(op, ControlOp::Admit { card, .. } if card.device == me));
                Some((admits_me, *hash, commit_of(event)?.clone()))
            })
            // Into a group that took another's place only the former one's members follow.
            .filter(|(_, hash, commit)| {
                !commit.welcome.is_empty()
                    && control.event(hash).is_some_and(|event| reinit_of(event).is_none())
            })
            .collect();
        // The commit that came with this device's own admission is the likeliest; then the newest.
        welcomes.sort_by_key(|(admits_me, ..)| !admits_me);
        let mut wanted = None;
        for (_, hash, commit) in welcomes {
            let Some(tree) = self.tree(&space, &commit.tree) else {
                wanted.get_or_insert(commit.tree);
                continue;
            };
            if let Some((mut group, used)) = self.try_join(&commit, &tree) {
                if group.group_id() != self.group_id(&space, &hash)? {
                    continue;
                }
                let mut writes = vec![
                    group_record(&space, &hash, &group),
                    LocalStore::epoch_secret_record(&space, &hash, &group.epoch_secret(EPOCH_LABEL)),
                    match used {
                        Opener::Card(name) => joined_record(&space, &name, &hash),
                        Opener::Stock(key_package) => Self::stock_joined_record(&space, &key_package, &hash),
                    },
                ];
                let is_new = self.store.epoch_secret(&space, &hash).is_none();
                if is_new && !self.has_message_keys(&space, &hash) {
                    let keys = NewKeys::take(&self.store, &writes, &space, &mut group);
                    writes.extend(keys.records(&space, &hash));
                }
                writes.extend(self.tree_records(&space, &group));
                self.store.write_records(writes)?;
                self.memberships.entry(space).or_default().wanted_tree = None;
                self.process_commits(space)?;
                return Ok(true);
            }
        }
        let has_keys =
            self.store.records(KEY_PACKAGES).next().is_some() || self.store.records(STOCK).next().is_some();
        self.memberships.entry(space).or_default().wanted_tree = wanted.filter(|_| has_keys);
        Ok(false)
    }

    /// Tries the private parts of all key packages; gives back the group and the one that was used.
    fn try_join(&self, commit: &GroupCommit, tree: &[u8]) -> Option<(Group, Opener)> {
        let cards = self
            .store
            .records(KEY_PACKAGES)
            .map(|(name, private)| (Opener::Card(name.to_vec()), SecretBytes::take(private.to_vec())));
        let stock = self.stock_halves().map(|(hash, private)| (Opener::Stock(hash), private));
        cards.chain(stock).find_map(|(opener, private)| {
            let group = Group::join(&self.identity.signer, &commit.welcome, tree, &private).ok()?;
            Some((group, opener))
        })
    }

    /// Has this device take its place by itself where it was admitted by key packages whose private parts it has destroyed.
    pub(super) fn note_admitted_too_late(&mut self, space: SpaceId) -> Result<(), Error> {
        let name = rejoin_name(&space);
        let is_in = self.memberships.get(&space).is_some_and(|membership| membership.current.is_some());
        if !is_in && self.store.record(&name).is_none() && self.was_admitted_too_late(&space)? {
            self.store.write_records(vec![(name, Some(SecretBytes::take(Vec::new())))])?;
            self.peers_in(&space).into_iter().for_each(|peer| self.want_group(peer, space));
        }
        Ok(())
    }

    /// Whether this device joined some space by this key package, so that it may have to be let in by it again.
    pub(crate) fn joined_by(&self, key_package: &[u8]) -> bool {
        self.store.records(JOINED).any(|(name, _)| name.ends_with(&key_package[KEY_PACKAGES.len()..]))
    }

    /// Destroys the private part of a key package once its device is no member any more and the epoch it opened has a
    /// successor. Until then the device may have to be let in again by it: the commit may lose its race, or a removal
    /// that was committed may become void. Of what the key package opens, the device keeps the secrets anyway.
    pub(super) fn forget_key_packages(&mut self, space: SpaceId, chain: &[EventHash]) -> Result<(), Error> {
        let me = self.identity.device_id();
        if self.store.space(&space).is_none_or(|state| state.member_of(&me).is_some()) {
            return Ok(());
        }
        let prefix = [JOINED, &space.0].concat();
        let settled = chain.split_last().map(|(_, before)| before).unwrap_or_default();
        let done: Vec<Vec<u8>> = self
            .store
            .records(&prefix)
            .filter(|(_, commit)| {
                let offered = !settled.is_empty() && !chain.iter().any(|hash| hash.0 == **commit);
                offered || settled.iter().any(|hash| hash.0 == **commit)
            })
            .map(|(name, _)| name.to_vec())
            .collect();
        let writes = done.into_iter().flat_map(|name| {
            let key_package = [KEY_PACKAGES, &name[prefix.len()..]].concat();
            [(key_package, None), (name, None)]
        });
        Ok(self.store.write_records(writes.collect())?)
    }
}

fn joined_name(space: &SpaceId, key_package: &[u8]) -> Vec<u8> {
    [JOINED, &space.0, &key_package[KEY_PACKAGES.len()..]].concat()
}

/// What keeps the private part of a key package, by its record's name: the commit by which it let this device in, or the event
/// that asked for it.
pub(crate) fn joined_record(space: &SpaceId, key_package: &[u8], event: &EventHash) -> Write {
    (joined_name(space, key_package), Some(SecretBytes::take(event.0.to_vec())))
}

pub(crate) fn key_package_name(now_ms: u64, key_package: &[u8]) -> Vec<u8> {
    let hash = blake3::hash(key_package);
    [KEY_PACKAGES, &now_ms.to_be_bytes(), &hash.as_bytes()[..16]].concat()
}
