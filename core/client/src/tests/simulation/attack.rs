//! What a device tries that keeps all it ever had and listened on every link: each key that it has or can derive, on all that
//! was not for it.
use super::wire::{Carried, Sealed};
use super::world::World;
use crate::membership::commit_of;
use crate::tests::since_join::{epochs_of, keys};
use std::collections::BTreeMap;
use terachat_core_store::model::EpochKey;
use terachat_core_store::sync::{Bundle, Limits};
use terachat_event::{DeviceId, EventHash, SpaceId};
use terachat_group::{Group, Messages};
use terachat_vault::SecretBytes;

/// Bundles under other epochs that are tried with all of a device's secrets.
const TRIES_MAX: usize = 12;

/// What an attack opened of what was for the device: one that opens nothing proves nothing.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Loot {
    pub(super) messages: usize,
    pub(super) bundles: usize,
}

impl Loot {
    pub(super) fn add(&mut self, more: Self) {
        self.messages += more.messages;
        self.bundles += more.bundles;
    }
}

impl World {
    /// Tries to open all that was ever sealed, with all that a device has.
    pub(super) fn attack(&self, at: usize) -> Loot {
        let mut loot = Loot::default();
        let device = &self.devices[at];
        let Some(space) = device.client.store.spaces().next() else { return loot };
        let may = self.may_know(at);
        let mut tried = 0;
        for Carried { commit, bytes } in &self.wire.carried {
            let bundle = Bundle::decode(bytes, Limits::PEER).unwrap();
            let opens = |commit: &EventHash| {
                let secret = device.client.store.epoch_secret(&space, commit)?;
                let channel = bundle.batch.log.channel?;
                bundle.open_chunks(Some(&EpochKey::derive(&secret, &channel))).ok()
            };
            if may.contains(commit) {
                loot.bundles += usize::from(opens(commit).is_some());
            } else if tried < TRIES_MAX {
                tried += 1;
                let opened = self.commits(at).into_iter().find(|key| opens(key).is_some());
                assert_eq!(opened, None, "d{at} opens a bundle of {commit:?}");
            }
        }
        let mut stock = self.stock(at, &space);
        for Sealed { commit, author, message } in self.wire.sealed.values() {
            let is_for = self.was_in(at, commit);
            if author.0 == device.id || is_for && loot.messages > 20 {
                continue;
            }
            for (from, messages) in &mut stock {
                let opens = messages.open(message, &author.0).is_ok();
                assert!(is_for || !opens, "d{at} opens what was sealed in {commit:?} with keys of {from:?}");
                loot.messages += usize::from(opens);
            }
        }
        loot
    }

    /// The keys to single messages that a device has, and those that follow from its states of the group, its key packages,
    /// and all commits, welcomes and trees that anybody has.
    fn stock(&self, at: usize, space: &SpaceId) -> Vec<(EventHash, Messages)> {
        let client = &self.devices[at].client;
        let mut stock: Vec<(EventHash, Messages)> = epochs_of(client)
            .into_iter()
            .filter(|(of, _)| of == space)
            .map(|(_, commit)| (commit, keys(client, space, &commit)))
            .collect();
        let mut commits = BTreeMap::new();
        for device in &self.devices {
            let Ok(Some(control)) = device.client.store.control(space) else { continue };
            for (event, commit) in control.events().filter_map(|(event, _)| Some((event, commit_of(event)?)))
            {
                commits.entry(event.hash).or_insert_with(|| (event.stamp.author, commit.clone()));
            }
        }
        let trees: BTreeMap<[u8; 32], Vec<u8>> = self
            .devices
            .iter()
            .flat_map(|device| device.client.trees(space))
            .map(|tree| (*blake3::hash(&tree).as_bytes(), tree))
            .collect();
        let mut todo: Vec<(EventHash, Group)> = Vec::new();
        let prefix = [b"group/".as_slice(), &space.0].concat();
        for (name, state) in client.store.records(&prefix) {
            let commit = EventHash(name[prefix.len()..].try_into().unwrap());
            todo.extend(Group::from_bytes(state).ok().map(|group| (commit, group)));
        }
        for (hash, (_, commit)) in &commits {
            let Some(tree) = trees.get(&commit.tree).filter(|_| !commit.welcome.is_empty()) else { continue };
            for (_, private) in client.store.records(b"key-package/") {
                let private = SecretBytes::take(private.to_vec());
                let joined = Group::join(&client.identity.signer, &commit.welcome, tree, &private);
                todo.extend(joined.ok().map(|group| (*hash, group)));
            }
        }
        let mut reached = std::collections::BTreeSet::new();
        while let Some((at, mut group)) = todo.pop() {
            if !reached.insert(at) {
                continue;
            }
            for (hash, (author, commit)) in commits.iter().filter(|(_, (_, commit))| commit.previous == at) {
                let next = step(&group, author, &commit.message);
                todo.extend(next.map(|next| (*hash, next)));
            }
            stock.extend(group.take_messages().map(|messages| (at, messages)));
        }
        stock
    }
}

fn step(group: &Group, author: &DeviceId, commit: &[u8]) -> Option<Group> {
    match group.process(commit) {
        Err(terachat_group::Error::Rejoins) => {
            group.process_rejoin(commit, &author.0).ok().map(|(next, _)| next)
        }
        processed => processed.ok()?.0,
    }
}
