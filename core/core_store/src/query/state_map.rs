use super::StateTree;
use super::state_hash::{hash_messages, hash_space};
use crate::Error;
use crate::crdt::Stamp;
use crate::wire::{Reader, put};
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::{ChannelId, DeviceId, EventRef, SpaceId, UserId};
use terachat_vault::{Algorithm, Entropy, NONCE_LEN, Secret, derive_key, open_once, seal_once};

const MAGIC: &[u8; 8] = b"TCstmap\x01";
const TAG_LEN: usize = 16;
const HEADER_LEN: usize = MAGIC.len() + TAG_LEN + NONCE_LEN;

/// The hashes of everything in a space that can be named: what two devices compare to learn where they differ. Bytes:
/// `docs/format/state-hash.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateMap {
    pub(super) space: SpaceId,
    pub(super) control: [u8; 32],
    pub(super) entities: BTreeMap<Entity, [u8; 32]>,
    pub(super) channels: BTreeMap<ChannelId, BTreeMap<Stamp, [u8; 32]>>,
}

/// A part of a control state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entity {
    /// A member, present or former, with rank and devices.
    Member(UserId),
    /// A channel's name.
    Channel(ChannelId),
}

/// Something that is not the same on two devices. `Some(true)`: it is only here, `Some(false)`: only there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// A part of the control state.
    Control(Entity, Option<bool>),
    /// Something of the control state that is neither member nor channel: the space's name, where chains are cut.
    Rest,
    /// A message.
    Message {
        /// Its channel.
        channel: ChannelId,
        /// Its event.
        event: EventRef,
        /// Its place in the order.
        lamport: u64,
        /// On which side it is alone; `None` when both have it and it does not read the same.
        only: Option<bool>,
    },
}

impl StateMap {
    /// Of which space it is.
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// The root: what [`crate::LocalStore::space_hash`] gives.
    pub fn hash(&self) -> [u8; 32] {
        let channels = self.channels.iter().map(|(id, messages)| (*id, channel_tree(messages).1));
        hash_space(&self.control, channels)
    }

    /// The channels that both maps are over.
    pub fn common<'a>(&'a self, there: &'a Self) -> impl Iterator<Item = &'a ChannelId> {
        self.channels.keys().filter(|id| there.channels.contains_key(id))
    }

    /// Where the space here is not what it is there, in the channels that both maps are over: from the root down, into what
    /// differs only. That a channel is known to one side alone is a difference of the control states.
    ///
    /// # Errors
    /// [`Error::Unknown`] for maps of two spaces.
    pub fn differences(&self, there: &Self) -> Result<Vec<Difference>, Error> {
        if self.space != there.space {
            return Err(Error::Unknown("the space of the other state map"));
        }
        if self.hash() == there.hash() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        if self.control != there.control {
            let differing = differing(&self.entities, &there.entities);
            found.extend(differing.into_iter().map(|(entity, only)| Difference::Control(entity, only)));
            if found.is_empty() {
                found.push(Difference::Rest);
            }
        }
        for id in self.common(there) {
            let (here, there) = (&self.channels[id], &there.channels[id]);
            let (ours, theirs) = (channel_tree(here), channel_tree(there));
            if ours.1 == theirs.1 {
                continue;
            }
            for leaf in ours.0.differing(&theirs.0) {
                let messages = differing(&within(here, leaf), &within(there, leaf)).into_iter();
                found.extend(messages.map(|(stamp, only)| Difference::Message {
                    channel: *id,
                    event: stamp.event(),
                    lamport: stamp.lamport,
                    only,
                }));
            }
        }
        Ok(found)
    }

    /// As a file for other members: whoever does not know the space's id learns nothing from it but its length.
    pub fn seal(&self, entropy: &mut dyn Entropy) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.extend_from_slice(&tag(&self.space));
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        file.extend_from_slice(&nonce);
        let mut body = self.encode();
        seal_once(Algorithm::ChaCha20Poly1305, &key(&self.space), &nonce, &file, &mut body);
        file.append(&mut body);
        file
    }

    /// Reads a file of one of these spaces.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a file that is no state map or was changed, [`Error::Unknown`] for one of another space.
    pub fn open(file: &[u8], spaces: impl IntoIterator<Item = SpaceId>) -> Result<Self, Error> {
        let (header, sealed) =
            file.split_at_checked(HEADER_LEN).ok_or(Error::Malformed("it is no state map"))?;
        let rest = header.strip_prefix(MAGIC).ok_or(Error::Malformed("it is no state map"))?;
        let (named, nonce) = rest.split_at(TAG_LEN);
        let mut spaces = spaces.into_iter();
        let space =
            spaces.find(|space| tag(space) == named).ok_or(Error::Unknown("the space of the state map"))?;
        let nonce = nonce.try_into().expect("the header ends with it");
        let mut body = sealed.to_vec();
        let len = open_once(Algorithm::ChaCha20Poly1305, &key(&space), nonce, header, &mut body)
            .map_err(|_| Error::Malformed("the state map was changed"))?;
        Self::decode(space, &body[..len])
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = self.control.to_vec();
        put(&mut out, self.entities.len() as u64);
        for (entity, hash) in &self.entities {
            let (kind, id) = match entity {
                Entity::Member(user) => (0, user.0),
                Entity::Channel(channel) => (1, channel.0),
            };
            out.push(kind);
            out.extend_from_slice(&id);
            out.extend_from_slice(hash);
        }
        let authors: BTreeSet<DeviceId> =
            self.channels.values().flat_map(BTreeMap::keys).map(|stamp| stamp.author).collect();
        let authors: BTreeMap<DeviceId, u64> = authors.into_iter().zip(0..).collect();
        put(&mut out, authors.len() as u64);
        authors.keys().for_each(|author| out.extend_from_slice(&author.0));
        put(&mut out, self.channels.len() as u64);
        for (id, messages) in &self.channels {
            out.extend_from_slice(&id.0);
            put(&mut out, messages.len() as u64);
            let mut before = 0;
            for (stamp, hash) in messages {
                put(&mut out, stamp.lamport - before);
                put(&mut out, authors[&stamp.author]);
                put(&mut out, stamp.seq);
                out.extend_from_slice(hash);
                before = stamp.lamport;
            }
        }
        out
    }

    /// Reads what [`StateMap::encode`] wrote.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn decode(space: SpaceId, bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let control = reader.array()?;
        let mut entities = BTreeMap::new();
        for _ in 0..reader.count(bytes.len() / 65)? {
            let entity = match reader.array()? {
                [0] => Entity::Member(UserId(reader.array()?)),
                [1] => Entity::Channel(ChannelId(reader.array()?)),
                _ => return Err(Error::Malformed("an unknown part of a control state")),
            };
            put_last(&mut entities, entity, reader.array()?)?;
        }
        let authors = (0..reader.count(bytes.len() / 32)?).map(|_| reader.array().map(DeviceId));
        let authors: Vec<DeviceId> = authors.collect::<Result<_, _>>()?;
        let mut channels = BTreeMap::new();
        for _ in 0..reader.count(bytes.len() / 33)? {
            let id = ChannelId(reader.array()?);
            let mut messages = BTreeMap::new();
            let mut lamport = 0u64;
            for _ in 0..reader.count(bytes.len() / 35)? {
                lamport =
                    lamport.checked_add(reader.number()?).ok_or(Error::Malformed("a time is too large"))?;
                let author = authors[reader.index(authors.len())? as usize];
                let stamp = Stamp { lamport, author, seq: reader.number()? };
                put_last(&mut messages, stamp, reader.array()?)?;
            }
            put_last(&mut channels, id, messages)?;
        }
        reader.end()?;
        Ok(Self { space, control, entities, channels })
    }
}

/// Appends to a map what is behind everything in it.
fn put_last<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) -> Result<(), Error> {
    if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
        return Err(Error::Malformed("a state map out of order"));
    }
    map.insert(key, value);
    Ok(())
}

/// A channel's tree and its root.
fn channel_tree(messages: &BTreeMap<Stamp, [u8; 32]>) -> (StateTree, [u8; 32]) {
    let mut leaves: BTreeMap<u64, Vec<[u8; 32]>> = BTreeMap::new();
    for (stamp, hash) in messages {
        leaves.entry(StateTree::leaf_of(stamp.lamport)).or_default().push(*hash);
    }
    let mut tree = StateTree::of(leaves.into_iter().map(|(leaf, hashes)| (leaf, hash_messages(hashes))));
    let root = tree.refresh(|_| Ok::<_, std::convert::Infallible>(None));
    let Ok(root) = root;
    (tree, root)
}

fn within(messages: &BTreeMap<Stamp, [u8; 32]>, leaf: u64) -> BTreeMap<Stamp, [u8; 32]> {
    let (first, last) = StateTree::times_of(leaf);
    let from = Stamp { lamport: first, author: DeviceId([0; 32]), seq: 0 };
    let found = messages.range(from..).take_while(|(stamp, _)| stamp.lamport <= last);
    found.map(|(stamp, hash)| (*stamp, *hash)).collect()
}

/// What is not the same in both, and on which side it is alone.
fn differing<K: Ord + Copy>(
    here: &BTreeMap<K, [u8; 32]>,
    there: &BTreeMap<K, [u8; 32]>,
) -> Vec<(K, Option<bool>)> {
    let keys: BTreeSet<&K> = here.keys().chain(there.keys()).collect();
    let differing = keys.into_iter().filter(|key| here.get(key) != there.get(key));
    let only = |key: &K| (here.contains_key(key) != there.contains_key(key)).then(|| here.contains_key(key));
    differing.map(|key| (*key, only(key))).collect()
}

fn key(space: &SpaceId) -> Secret<32> {
    derive_key("terachat 2026-11 state map", &Secret::take(&mut space.0.clone()), &[])
}

fn tag(space: &SpaceId) -> [u8; TAG_LEN] {
    let hash = blake3::derive_key("terachat 2026-11 state map tag", &space.0);
    *hash.first_chunk().expect("a hash is longer")
}

#[cfg(test)]
mod tests;
