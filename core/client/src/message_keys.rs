//! Keys to single messages, for channels that are read since joining: sealing one's own, opening others' (ADR 0028). What is
//! left of them is in the store's records; here is what was read of it.
mod epochs;

pub(crate) use epochs::NewKeys;
#[cfg(test)]
pub(crate) use epochs::{EPOCHS_MAX, KEPT_MS, stored};

use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::LocalStore;
use terachat_core_store::model::{ChannelOp, History, opened, sealable};
use terachat_core_store::store::{MESSAGE_KEYS, Write};
use terachat_core_store::sync::{KeyId, Opener};
use terachat_event::{DeviceId, EventHash, LogId, SpaceId};
use terachat_group::{Messages, Part};
use terachat_vault::SecretBytes;

/// Most epochs whose keys are held in memory.
const HELD_MAX: usize = 64;
/// Most generations that are reserved ahead of what is sealed at once.
const RESERVE_MAX: u32 = 64;

/// Keys as they were read from the store's records, and moved on since.
#[derive(Default)]
pub(crate) struct MessageKeys {
    held: BTreeMap<(SpaceId, EventHash), Messages>,
    /// How many generations are reserved next: the more, the more this process has sealed.
    ahead: u32,
    /// Spaces whose epochs are all noted.
    noted: BTreeSet<SpaceId>,
    /// When all spaces' keys were last looked through.
    pruned_ms: u64,
}

impl MessageKeys {
    fn of(&mut self, store: &LocalStore, space: &SpaceId, commit: &EventHash) -> Option<&mut Messages> {
        let place = (*space, *commit);
        if !self.held.contains_key(&place) {
            let messages = epochs::stored(store, space, commit)?;
            if self.held.len() >= HELD_MAX {
                self.held.clear();
            }
            self.held.insert(place, messages);
        }
        self.held.get_mut(&place)
    }
}

impl Opener for MessageKeys {
    fn open(
        &mut self,
        store: &LocalStore,
        space: &SpaceId,
        key: &KeyId,
        author: &DeviceId,
        message: &[u8],
    ) -> Option<SecretBytes> {
        // What it is refused for is between its author and nobody: others refuse it too.
        self.of(store, space, &key.commit)?.open(message, &author.0).ok().map(|opened| opened.text)
    }

    fn writes(&mut self) -> Vec<Write> {
        let all = self.held.iter_mut();
        all.flat_map(|((space, commit), messages)| records(space, commit, messages.changes())).collect()
    }

    fn forget(&mut self) {
        self.held.clear();
    }
}

impl Client {
    /// The payloads of operations as they are kept here, under the channel's history.
    pub(crate) fn payloads(
        &mut self,
        log: &LogId,
        key: &KeyId,
        ops: &[ChannelOp<'_>],
    ) -> Result<Vec<Vec<u8>>, Error> {
        if self.store.history(log) == History::Shared {
            return Ok(ops.iter().map(ChannelOp::encode).collect());
        }
        let mut texts = Vec::with_capacity(ops.len());
        for op in ops {
            let mut blinding = [0; 32];
            self.store.entropy().fill(&mut blinding);
            texts.push(sealable(op, &blinding).map(SecretBytes::take));
        }
        self.reserve(&log.space, key, count(&texts))?;
        let mut payloads = Vec::with_capacity(ops.len());
        for (op, text) in ops.iter().zip(&texts) {
            let Some(text) = text else {
                payloads.push(op.encode());
                continue;
            };
            let Some(messages) = self.keys.held.get_mut(&(log.space, key.commit)) else {
                return Err(Error::NoMessageKeys(self.space_name(&log.space)));
            };
            let text = text.expose_secret();
            let message = messages.seal(&self.identity.signer, text, self.store.entropy())?;
            payloads.push(opened(text, &message));
        }
        Ok(payloads)
    }

    /// Whether there is a channel in which messages are sealed one by one.
    pub(crate) fn seals_messages(&self) -> bool {
        let spaces = self.store.spaces().filter_map(|space| self.store.space(&space));
        let mut channels = spaces.flat_map(|state| state.channels.values());
        channels.any(|channel| channel.history == History::SinceJoin)
    }

    /// Makes another epoch if the present one has no room for so many sealed messages of this device.
    pub(crate) fn make_room(&mut self, log: &LogId, ops: &[ChannelOp<'_>]) -> Result<(), Error> {
        if self.store.history(log) == History::Shared {
            return Ok(());
        }
        let key = self.epoch(&log.space)?;
        let left = self.keys.of(&self.store, &log.space, &key.commit).map_or(0, |messages| messages.left());
        // Also where the keys are not here: those of the next epoch will be.
        if (left as usize) < ops.len() { self.commit_anew(log.space) } else { Ok(()) }
    }

    /// Reserves what sealing so many messages takes, durably, so that no crash leads back to a key that was used.
    fn reserve(&mut self, space: &SpaceId, key: &KeyId, count: u32) -> Result<(), Error> {
        let ahead = self.keys.ahead;
        let Some(messages) = self.keys.of(&self.store, space, &key.commit) else {
            return Err(Error::NoMessageKeys(self.space_name(space)));
        };
        let reserved = messages.reserved();
        if reserved >= count {
            return Ok(());
        }
        // The first of a process alone, for many processes say one thing and end.
        let more = (count - reserved).saturating_add(ahead);
        let room = messages.left() - reserved;
        let reserve = messages.reserve(more.min(room).max(count - reserved))?;
        self.store.write_records(records(space, &key.commit, reserve.changes()).collect())?;
        self.keys.ahead = (2 * self.keys.ahead).clamp(1, RESERVE_MAX);
        if let Some(messages) = self.keys.of(&self.store, space, &key.commit) {
            messages.grant(reserve);
        }
        Ok(())
    }
}

fn records<'a>(
    space: &'a SpaceId,
    commit: &'a EventHash,
    parts: Vec<Part>,
) -> impl Iterator<Item = Write> + 'a {
    parts.into_iter().map(|(part, value)| (name(space, commit, &part), value))
}

/// The record of one part of the keys to an epoch's messages.
fn name(space: &SpaceId, commit: &EventHash, part: &[u8]) -> Vec<u8> {
    [MESSAGE_KEYS, &space.0, &commit.0, part].concat()
}

fn count(texts: &[Option<SecretBytes>]) -> u32 {
    u32::try_from(texts.iter().flatten().count()).unwrap_or(u32::MAX)
}
