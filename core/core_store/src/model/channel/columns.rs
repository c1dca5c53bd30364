//! A channel's state as bytes: `docs/format/store.md`, "Channel state".
use super::{ChannelState, Timeline};
use crate::Error;
use crate::wire::{Reader, put, unzigzag, zigzag};

impl ChannelState {
    /// Appends the state.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put(out, self.timeline.len() as u64);
        let mut next = 0;
        for at in self.timeline.iter_from(0) {
            put(out, zigzag(next, at.into()));
            next = u64::from(at) + 1;
        }
        put(out, self.reply_to.len() as u64);
        let mut next = 0;
        for (at, target) in &self.reply_to {
            put(out, u64::from(*at) - next);
            put(out, zigzag((*target).into(), (*at).into()));
            next = u64::from(*at) + 1;
        }
        let few = (&self.edits, &self.reactions, &self.pins, &self.imports, &self.deleted);
        let more = (&self.threads, &self.mentions, &self.attached, &self.read);
        let few = (few, more);
        out.extend(postcard::to_allocvec(&few).expect("plain values encode into a growing buffer"));
    }

    /// Reads what [`ChannelState::put`] wrote, to the end of the bytes, for a log of `events` events.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(crate) fn read(reader: &mut Reader<'_>, events: usize) -> Result<Self, Error> {
        let known = |at: u64| {
            let at = u32::try_from(at).ok().filter(|at| (*at as usize) < events);
            at.ok_or(Error::Malformed("a message that is no event"))
        };
        let mut next = 0;
        let mut positions = Vec::with_capacity(reader.count(events)?);
        for _ in 0..positions.capacity() {
            let at = known(unzigzag(next, reader.number()?))?;
            next = u64::from(at) + 1;
            positions.push(at);
        }
        let timeline = Timeline::from_ordered(&positions);
        let mut next = 0;
        let mut answers = Vec::with_capacity(reader.count(events)?);
        for _ in 0..answers.capacity() {
            let at = known(reader.number()?.saturating_add(next))?;
            // Undoes the difference from the target to the answer.
            let target = known(u64::from(at).wrapping_sub(unzigzag(0, reader.number()?)))?;
            next = u64::from(at) + 1;
            answers.push((at, target));
        }
        let ((edits, reactions, pins, imports, deleted), (threads, mentions, attached, read)) =
            postcard::from_bytes(reader.rest()).map_err(|_| Error::Malformed("a channel's state"))?;
        let state = Self {
            timeline,
            replies: answers.iter().map(|(at, target)| (*target, *at)).collect(),
            reply_to: answers.into_iter().collect(),
            edits,
            reactions,
            pins,
            imports,
            deleted,
            threads,
            mentions,
            attached,
            read,
        };
        state.keys().try_for_each(|at| known(at.into()).map(drop))?;
        Ok(state)
    }

    /// Every event that the parts in postcard name.
    fn keys(&self) -> impl Iterator<Item = u32> {
        let edits = self.edits.iter().flat_map(|(at, edit)| [*at, *edit.value()]);
        let imported = self.imports.values().flatten().map(|(_, at)| *at);
        let named = self.reactions.keys().chain(self.pins.keys()).chain(&self.deleted).copied();
        let mentioned = self.mentions.values().flatten().chain(&self.attached).copied();
        let threads = self.threads.keys().chain(self.read.keys());
        edits.chain(named).chain(imported).chain(mentioned).chain(threads)
    }
}
