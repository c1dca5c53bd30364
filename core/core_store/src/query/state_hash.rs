use super::MessageView;
use crate::{Error, LocalStore};
use terachat_event::{EventRef, LogId, SpaceId};

impl LocalStore {
    /// Hash of a log's state: of a space's members, roles and channels, or of a channel's messages as they stand.
    /// Replicas that have the same events have the same hash, whatever order they came in and however they are kept.
    /// Reads the whole channel.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`].
    pub fn state_hash(&self, log: &LogId) -> Result<[u8; 32], Error> {
        if log.channel.is_none() {
            return self
                .space(&log.space)
                .map(crate::model::SpaceState::root)
                .ok_or(Error::Unknown("the space"));
        }
        let channel = self.channel(log)?;
        let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 channel state");
        let mut bytes = Vec::new();
        for at in channel.state.timeline.iter_from(0) {
            bytes.clear();
            put_message(&mut bytes, &self.view(channel, at)?);
            hasher.update(&bytes);
        }
        Ok(*hasher.finalize().as_bytes())
    }

    /// Hash over all states of a space.
    ///
    /// # Errors
    /// As [`LocalStore::state_hash`].
    pub fn space_hash(&self, space: &SpaceId) -> Result<[u8; 32], Error> {
        let logs = self.spaces.get(space).ok_or(Error::Unknown("the space"))?;
        let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 space state");
        hasher.update(&self.state_hash(&LogId::control(*space))?);
        // Not of `logs.channels`: there is more where the creation of a channel counted for a while.
        for id in logs.control.state().channels.keys() {
            hasher.update(&id.0).update(&self.state_hash(&LogId::channel(*space, *id))?);
        }
        Ok(*hasher.finalize().as_bytes())
    }
}

/// Everything of a message in one fixed layout; lengths before texts, so that no two messages share bytes.
fn put_message(out: &mut Vec<u8>, message: &MessageView) {
    put_event(out, &message.event);
    out.extend_from_slice(&message.wall_ms.to_le_bytes());
    let flags = [message.edited, message.pinned, message.deleted].map(u8::from);
    out.push(message.style as u8);
    out.extend_from_slice(&flags);
    put_text(out, &message.body);
    out.push(u8::from(message.reply_to.is_some()));
    message.reply_to.iter().for_each(|event| put_event(out, event));
    out.extend_from_slice(&(message.reactions.len() as u64).to_le_bytes());
    for (emoji, device) in &message.reactions {
        put_text(out, emoji);
        out.extend_from_slice(&device.0);
    }
    out.push(u8::from(message.imported.is_some()));
    if let Some((author, ts_ms)) = &message.imported {
        put_text(out, author);
        out.extend_from_slice(&ts_ms.to_le_bytes());
    }
}

fn put_event(out: &mut Vec<u8>, event: &EventRef) {
    out.extend_from_slice(&event.author.0);
    out.extend_from_slice(&event.seq.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}
