//! Hashes of states: `docs/format/state-hash.md`.
use super::state_map::{Entity, StateMap};
use super::{MessageView, StateTree};
use crate::model::{Mention, SpaceState, Style};
use crate::store::space_logs::ChannelLog;
use crate::{Error, LocalStore};
use std::collections::BTreeMap;
use terachat_event::{ChannelId, EventRef, LogId, SpaceId, UserId};

/// In the number of a message's attachments: each is followed by where it is kept.
const ARE_STORED: usize = 1 << 31;

impl LocalStore {
    /// Hash of a log's state: of a space's members, roles and channels, or of a channel's messages as they stand.
    /// Replicas that have the same events have the same hash, whatever order they came in and however they are kept.
    ///
    /// Reads what has changed since it was last asked for: each change takes the messages of 64 Lamport times.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`].
    pub fn state_hash(&self, log: &LogId) -> Result<[u8; 32], Error> {
        if log.channel.is_none() {
            return self.space(&log.space).map(SpaceState::root).ok_or(Error::Unknown("the space"));
        }
        let channel = self.channel(log)?;
        self.complete_tree(channel);
        let mut tree = channel.hashes.tree.borrow_mut();
        tree.refresh(|leaf| self.hash_leaf(channel, leaf))
    }

    /// The same from the state alone, without the hashes at hand: reads the whole channel.
    ///
    /// # Errors
    /// As [`LocalStore::state_hash`].
    pub(crate) fn state_hash_anew(&self, log: &LogId) -> Result<[u8; 32], Error> {
        if log.channel.is_none() {
            return self.state_hash(log);
        }
        let channel = self.channel(log)?;
        stale_tree(channel).refresh(|leaf| self.hash_leaf(channel, leaf))
    }

    /// Hash over all states of a space.
    ///
    /// # Errors
    /// As [`LocalStore::state_hash`].
    pub fn space_hash(&self, space: &SpaceId) -> Result<[u8; 32], Error> {
        self.space_hash_over(space, |_| true)
    }

    /// The same over some of its channels: those that a device keeps. Only who names these can compare it.
    ///
    /// # Errors
    /// As [`LocalStore::state_hash`].
    pub fn space_hash_over(
        &self,
        space: &SpaceId,
        keeps: impl Fn(&ChannelId) -> bool,
    ) -> Result<[u8; 32], Error> {
        let logs = self.spaces.get(space).ok_or(Error::Unknown("the space"))?;
        // Not of `logs.channels`: there is more where the creation of a channel counted for a while.
        let channels = logs.control.state().channels.keys().filter(|id| keeps(id)).map(|id| {
            let hash = self.state_hash(&LogId::channel(*space, *id))?;
            Ok((*id, hash))
        });
        let channels: BTreeMap<_, _> = channels.collect::<Result<_, Error>>()?;
        Ok(hash_space(&self.state_hash(&LogId::control(*space))?, channels))
    }

    /// Everything of a space that has a hash of its own, to compare with another device's; of the channels those that a
    /// device keeps. Reads all of them.
    ///
    /// # Errors
    /// As [`LocalStore::state_hash`].
    pub fn state_map(&self, space: &SpaceId, keeps: impl Fn(&ChannelId) -> bool) -> Result<StateMap, Error> {
        let state = self.space(space).ok_or(Error::Unknown("the space"))?;
        let channels = state.channels.keys().filter(|id| keeps(id)).map(|id| {
            let channel = self.channel(&LogId::channel(*space, *id))?;
            let messages = channel.state.timeline.iter_from(0).map(|at| {
                let hash = hash_message(&self.view(channel, at)?);
                Ok((channel.index.stamp(at), hash))
            });
            Ok((*id, messages.collect::<Result<_, Error>>()?))
        });
        let channels = channels.collect::<Result<_, Error>>()?;
        Ok(StateMap { space: *space, control: state.root(), entities: entities(state), channels })
    }

    /// Makes the tree one of the whole state: from the snapshot, or with every leaf still to be computed.
    fn complete_tree(&self, channel: &ChannelLog) {
        if channel.hashes.is_whole.replace(true) {
            return;
        }
        let changed: Vec<u64> = channel.hashes.tree.borrow().leaves().map(|(leaf, _)| leaf).collect();
        let mut tree = self.stored_hashes(channel).unwrap_or_else(|| stale_tree(channel));
        changed.into_iter().for_each(|leaf| tree.touch(StateTree::times_of(leaf).0));
        channel.hashes.tree.replace(tree);
    }

    /// Reads the trees that the snapshot still holds, before another one takes its place.
    pub(crate) fn complete_stored_trees(&self) {
        let channels = self.spaces.values().flat_map(|logs| logs.channels.values());
        channels
            .filter(|channel| channel.hashes.stored.get().is_some())
            .for_each(|channel| self.complete_tree(channel));
    }

    fn hash_leaf(&self, channel: &ChannelLog, leaf: u64) -> Result<Option<[u8; 32]>, Error> {
        let (first, last) = StateTree::times_of(leaf);
        let lamport = |at: u32| channel.index.event(at).lamport;
        let timeline = &channel.state.timeline;
        let from = timeline.rank_where(|at| lamport(at) < first);
        let messages = timeline.iter_from(from).take_while(|at| lamport(*at) <= last);
        let hashes = messages.map(|at| Ok(hash_message(&self.view(channel, at)?)));
        Ok(hash_messages(hashes.collect::<Result<Vec<_>, Error>>()?))
    }
}

/// A tree of which every leaf is still to be computed.
fn stale_tree(channel: &ChannelLog) -> StateTree {
    let times = channel.state.timeline.iter_from(0).map(|at| channel.index.event(at).lamport);
    StateTree::of(times.map(|lamport| (StateTree::leaf_of(lamport), None)))
}

/// A leaf: its messages' hashes in the total order; `None` without any.
pub(super) fn hash_messages(hashes: impl IntoIterator<Item = [u8; 32]>) -> Option<[u8; 32]> {
    let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 state leaf");
    hashes.into_iter().for_each(|hash| _ = hasher.update(&hash));
    (hasher.count() > 0).then(|| *hasher.finalize().as_bytes())
}

/// A space's root over its control state's and its channels'.
pub(super) fn hash_space(
    control: &[u8; 32],
    channels: impl IntoIterator<Item = (ChannelId, [u8; 32])>,
) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 space state");
    hasher.update(control);
    for (id, hash) in channels {
        hasher.update(&id.0).update(&hash);
    }
    *hasher.finalize().as_bytes()
}

/// What of a control state can be named.
fn entities(state: &SpaceState) -> BTreeMap<Entity, [u8; 32]> {
    let mut devices: BTreeMap<&UserId, Vec<_>> = BTreeMap::new();
    state.devices.iter().for_each(|(device, user)| devices.entry(user).or_default().push(device));
    let members = state
        .members
        .iter()
        .map(|(user, member)| (Entity::Member(*user), hash_plain(&(member, devices.get(user)))));
    let channels = state.channels.iter().map(|(id, channel)| (Entity::Channel(*id), hash_plain(channel)));
    members.chain(channels).collect()
}

fn hash_plain(value: &impl serde::Serialize) -> [u8; 32] {
    let bytes = postcard::to_allocvec(value).expect("plain values encode into a growing buffer");
    blake3::derive_key("terachat 2026-11 state entity", &bytes)
}

pub(crate) fn hash_message(message: &MessageView) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(message.body.len() + 256);
    put_message(&mut bytes, message);
    blake3::derive_key("terachat 2026-11 state message", &bytes)
}

/// Everything of a message in one fixed layout; lengths before texts, so that no two messages share bytes.
fn put_message(out: &mut Vec<u8>, message: &MessageView) {
    put_event(out, &message.event);
    out.extend_from_slice(&message.wall_ms.to_le_bytes());
    let stands = match message.bound {
        _ if message.missing => 2,
        Some(_) => 3,
        None => u8::from(message.deleted),
    };
    let flags = [u8::from(message.edited), u8::from(message.pinned), stands];
    // Who may not read a message has the same hash of it as who may.
    let blank = message.bound.map(|bound| (bound, without_content(message)));
    let message = blank.as_ref().map_or(message, |(_, blank)| blank);
    out.push(message.style as u8);
    out.extend_from_slice(&flags);
    match &blank {
        Some((bound, _)) => out.extend_from_slice(bound),
        None => put_text(out, &message.body),
    }
    out.push(u8::from(message.reply_to.is_some()));
    message.reply_to.iter().for_each(|event| put_event(out, event));
    put_len(out, message.reactions.len());
    for (emoji, device) in &message.reactions {
        put_text(out, emoji);
        out.extend_from_slice(&device.0);
    }
    out.push(u8::from(message.imported.is_some()));
    if let Some((author, ts_ms)) = &message.imported {
        put_text(out, author);
        out.extend_from_slice(&ts_ms.to_le_bytes());
    }
    out.push(u8::from(message.heading.is_some()));
    if let Some((title, tags)) = &message.heading {
        put_text(out, title);
        put_len(out, tags.len());
        tags.iter().for_each(|tag| put_text(out, tag));
    }
    put_len(out, message.mentions.len());
    for mention in &message.mentions {
        match mention {
            Mention::Everyone => out.push(0),
            Mention::User(user) => {
                out.push(1);
                out.extend_from_slice(&user.0);
            }
        }
    }
    // Stored are all of them or none: a message of before has the hash it always had.
    let are_stored = message.attachments.iter().any(|file| file.stored.is_some());
    put_len(out, message.attachments.len() | if are_stored { ARE_STORED } else { 0 });
    for file in &message.attachments {
        put_text(out, &file.name);
        put_text(out, &file.media_type);
        out.extend_from_slice(&file.len.to_le_bytes());
        out.extend_from_slice(&file.hash);
        if let Some(stored) = &file.stored {
            out.extend_from_slice(&stored.address);
            out.extend_from_slice(&stored.key);
        }
    }
    put_len(out, message.read_by.len());
    message.read_by.iter().for_each(|device| out.extend_from_slice(&device.0));
}

/// A message as those see it who cannot read it.
fn without_content(message: &MessageView) -> MessageView {
    MessageView {
        style: Style::Message,
        body: String::new(),
        imported: None,
        heading: None,
        mentions: Vec::new(),
        attachments: Vec::new(),
        ..message.clone()
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&(len as u64).to_le_bytes());
}

fn put_event(out: &mut Vec<u8>, event: &EventRef) {
    out.extend_from_slice(&event.author.0);
    out.extend_from_slice(&event.seq.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}
