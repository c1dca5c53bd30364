use crate::model::{
    Attachment, BODY_LEN_MAX, ChannelOp, Extras, History, Kept, Mention, MessageState, Post, Sealed,
    StoredFile, Style, content_of,
};
use crate::store::index::LogIndex;
use crate::store::space_logs::ChannelLog;
use crate::{Error, LocalStore};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use terachat_event::{DeviceId, EventHash, EventRef, LogId, SpaceId};

/// Where a page of messages lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageStart {
    /// The newest messages.
    Newest,
    /// Those right before this one.
    Before(EventRef),
    /// Those right after this one.
    After(EventRef),
    /// This one in the middle, the later half the smaller. Where one side has too few, the other fills the page.
    Around(EventRef),
}

impl PageStart {
    /// Where a page of a timeline of `len` messages begins, and how many it has at most. `rank` says how many messages stand before
    /// one, and whether that one stands there itself.
    pub(super) fn range(
        self,
        len: usize,
        limit: usize,
        rank: impl Fn(&EventRef) -> Result<(usize, bool), Error>,
    ) -> Result<(usize, usize), Error> {
        Ok(match self {
            Self::Newest => (len.saturating_sub(limit), limit),
            Self::Before(event) => {
                let end = rank(&event)?.0;
                (end.saturating_sub(limit), limit.min(end))
            }
            Self::After(event) => {
                let (before, is_here) = rank(&event)?;
                (before + usize::from(is_here), limit)
            }
            Self::Around(event) => {
                let last_start = len.saturating_sub(limit);
                (rank(&event)?.0.saturating_sub(limit / 2).min(last_start), limit)
            }
        })
    }
}

/// A message as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageView {
    /// Its event.
    pub event: EventRef,
    /// Wall time as claimed by its author, in milliseconds since 1970.
    pub wall_ms: u64,
    /// How it is to be read.
    pub style: Style,
    /// Its current text.
    pub body: String,
    /// Whether the text was edited.
    pub edited: bool,
    /// The message it answers.
    pub reply_to: Option<EventRef>,
    /// Reactions with the devices that chose them, ascending.
    pub reactions: Vec<(String, DeviceId)>,
    /// Whether it is pinned.
    pub pinned: bool,
    /// Whether it was deleted: its place, author and time are left, and what it answers.
    pub deleted: bool,
    /// Whether content of it is missing: a peer sent the event without it, or a deletion that came to nothing had erased it.
    /// It is asked for, and until it comes the text is empty or an earlier one's place.
    pub missing: bool,
    /// Whether the text is sealed for those who were members when it was written, and was not opened here.
    pub sealed: bool,
    /// Where content is sealed message by message: what stands for that of this message. The same for those who read it and
    /// those who do not.
    pub bound: Option<[u8; 32]>,
    /// Original author and time in milliseconds since 1970, for a record of a foreign log.
    pub imported: Option<(String, i64)>,
    /// Its current title and tags, if it is a forum's post.
    pub heading: Option<(String, Vec<String>)>,
    /// Whom it mentions, ascending.
    pub mentions: Vec<Mention>,
    /// Files that belong to it.
    pub attachments: Vec<AttachmentView>,
    /// Devices whose users have read up to here, and not further.
    pub read_by: Vec<DeviceId>,
}

/// A file that belongs to a message, by description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentView {
    /// Its name.
    pub name: String,
    /// Its media type; empty when nobody knows.
    pub media_type: String,
    /// Its length in bytes.
    pub len: u64,
    /// BLAKE3 of its bytes.
    pub hash: [u8; 32],
    /// Where its bytes are kept, if they are in the organisation's cluster.
    pub stored: Option<StoredFile>,
}

impl LocalStore {
    /// Whether events of this space that are here are sealed under the epoch that the control event `commit` made.
    pub fn has_words_under(&self, space: &SpaceId, commit: &EventHash) -> bool {
        self.indexes_under(space, commit).next().is_some()
    }

    /// Whether one of the events at these positions is sealed under an epoch that one of these control events made.
    pub fn is_sealed_under(&self, log: &LogId, positions: Range<u32>, commits: &[EventHash]) -> bool {
        let Some(index) = self.index(log).filter(|_| !commits.is_empty()) else { return false };
        positions.into_iter().filter_map(|at| index.key(at)).any(|key| commits.contains(&key.commit))
    }

    /// How many events of this space's channels are sealed under the epoch that the control event `commit` made, from where
    /// `through` says that each log was gone through; it then says that all were.
    pub fn count_under(
        &self,
        space: &SpaceId,
        commit: &EventHash,
        through: &mut BTreeMap<LogId, u32>,
    ) -> u32 {
        let mut count = 0;
        for index in self.indexes_under(space, commit) {
            let (log, len) = (index.log, index.len());
            let from = through.insert(log, len).unwrap_or(0).min(len);
            let under = |at: &u32| index.key(*at).is_some_and(|key| key.commit == *commit);
            count += u32::try_from((from..len).filter(under).count()).unwrap_or(u32::MAX);
        }
        count
    }

    /// The channels' logs with events under this epoch. A log notes an epoch with its first event under it.
    fn indexes_under(&self, space: &SpaceId, commit: &EventHash) -> impl Iterator<Item = &LogIndex> {
        let channels = self.spaces.get(space).into_iter().flat_map(|logs| logs.channels.values());
        channels.map(|channel| &channel.index).filter(move |index| index.knows_epoch(commit))
    }

    /// The devices whose events of this space, as far as they are here, are sealed under the epoch that the control event
    /// `commit` made.
    pub fn writers_under(&self, space: &SpaceId, commit: &EventHash) -> BTreeSet<DeviceId> {
        let under = self.indexes_under(space, commit).flat_map(|index| {
            let wrote = |device: &&DeviceId| {
                let own = index.positions_from(device, 1);
                own.iter().rev().any(|at| index.key(*at).is_some_and(|key| key.commit == *commit))
            };
            index.devices().filter(wrote)
        });
        under.copied().collect()
    }

    /// Each device with the control event that made the epoch of its last event, for each channel of this space.
    pub fn newest_epochs(&self, space: &SpaceId) -> Vec<(DeviceId, EventHash)> {
        let channels = self.spaces.get(space).into_iter().flat_map(|logs| logs.channels.values());
        let newest = channels.flat_map(|channel| {
            let index = &channel.index;
            index.devices().filter_map(|device| {
                let last = index.position_of_last(index.chain_of(device)?)?;
                Some((*device, index.key(last)?.commit))
            })
        });
        newest.collect()
    }

    /// A page of at most `limit` messages, oldest first.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a channel or message that is not here, [`Error::Store`].
    pub fn page(&self, log: &LogId, start: PageStart, limit: usize) -> Result<Vec<MessageView>, Error> {
        let channel = self.channel(log)?;
        let timeline = &channel.state.timeline;
        let rank = |event: &EventRef| {
            let at = channel.index.find(event).ok_or(Error::Unknown("that message"))?;
            let rank = timeline.rank(at, |a, b| channel.index.order(a, b));
            Ok((rank, timeline.iter_from(rank).next() == Some(at)))
        };
        let (from, len) = start.range(timeline.len(), limit, rank)?;
        timeline.iter_from(from).take(len).map(|at| self.view(channel, at)).collect()
    }

    /// A message and everything that answers it, directly or not, depth first in the total order, with the depth.
    ///
    /// # Errors
    /// As [`LocalStore::page`].
    pub fn thread(
        &self,
        log: &LogId,
        root: &EventRef,
        limit: usize,
    ) -> Result<Vec<(usize, MessageView)>, Error> {
        let channel = self.channel(log)?;
        let mut stack = vec![(0, channel.index.find(root).ok_or(Error::Unknown("that message"))?)];
        let mut thread = Vec::new();
        while let Some((depth, at)) = stack.pop() {
            if thread.len() == limit {
                break;
            }
            thread.push((depth, self.view(channel, at)?));
            let mut replies: Vec<u32> = channel.state.replies(at).collect();
            replies.sort_by(|a, b| channel.index.order(*b, *a));
            stack.extend(replies.into_iter().map(|reply| (depth + 1, reply)));
        }
        Ok(thread)
    }

    /// The pinned messages in the total order.
    ///
    /// # Errors
    /// As [`LocalStore::page`].
    pub fn pinned(&self, log: &LogId, limit: usize) -> Result<Vec<MessageView>, Error> {
        let channel = self.channel(log)?;
        // Whatever else somebody pins is none.
        let is_message = |at: &u32| channel.state.timeline.contains(*at, |a, b| channel.index.order(a, b));
        let mut pinned: Vec<u32> = channel.state.pinned().filter(is_message).collect();
        pinned.sort_by(|a, b| channel.index.order(*a, *b));
        let skip = pinned.len().saturating_sub(limit);
        pinned.into_iter().skip(skip).map(|at| self.view(channel, at)).collect()
    }

    /// One message.
    ///
    /// # Errors
    /// As [`LocalStore::page`].
    pub fn message(&self, log: &LogId, event: &EventRef) -> Result<MessageView, Error> {
        let channel = self.channel(log)?;
        self.view(channel, channel.index.find(event).ok_or(Error::Unknown("that message"))?)
    }

    /// The message that an event posted, edited, reacted to, pinned or deleted.
    ///
    /// # Errors
    /// As [`LocalStore::page`]; `None` for an event that concerns no message that counts.
    pub fn concerns(&self, log: &LogId, event: &EventRef) -> Result<Option<EventRef>, Error> {
        let channel = self.channel(log)?;
        let at = channel.index.find(event).ok_or(Error::Unknown("that event"))?;
        if channel.void(at).is_some() {
            return Ok(None);
        }
        let payload = self.payload(&channel.index, at)?;
        let Ok(op) = ChannelOp::decode(&payload) else { return Ok(None) };
        let message = *op.target().unwrap_or(event);
        let counts = |at| channel.void(at).is_none();
        Ok(channel.index.find(&message).is_some_and(counts).then_some(message))
    }

    /// The events whose names start with `text`: the first digits of a device's id, a dash, the number.
    pub fn find_events(&self, log: &LogId, text: &str) -> Vec<EventRef> {
        let Some(index) = self.index(log) else { return Vec::new() };
        let Some((device, seq)) = text.rsplit_once('-') else { return Vec::new() };
        let Ok(seq) = seq.parse() else { return Vec::new() };
        let named = index.devices().filter(|id| !device.is_empty() && id.to_string().starts_with(device));
        named
            .map(|author| EventRef { author: *author, seq })
            .filter(|event| index.find(event).is_some())
            .collect()
    }

    /// Number of messages that count.
    pub fn message_count(&self, log: &LogId) -> usize {
        self.channel(log).map_or(0, |channel| channel.state.timeline.len())
    }

    /// How far `device` has imported the foreign log `source` into this channel: the largest id; 0 for none.
    pub fn import_position(&self, log: &LogId, device: &DeviceId, source: u64) -> u64 {
        self.channel(log).map_or(0, |channel| channel.state.import_position(device, source))
    }

    /// The message that `device` imported as the record `id` of `source`.
    pub fn imported(&self, log: &LogId, device: &DeviceId, source: u64, id: u64) -> Option<EventRef> {
        let channel = self.channel(log).ok()?;
        channel.state.imported(device, source, id).map(|at| channel.index.event_ref(at))
    }

    /// What taking back a reaction has to name.
    pub fn reaction_dots(
        &self,
        log: &LogId,
        message: &EventRef,
        emoji: &str,
        device: &DeviceId,
    ) -> Vec<EventRef> {
        let Ok(channel) = self.channel(log) else { return Vec::new() };
        channel.index.find(message).map_or_else(Vec::new, |at| channel.state.reaction_dots(at, emoji, device))
    }

    /// What unpinning has to name.
    pub fn pin_dots(&self, log: &LogId, message: &EventRef) -> Vec<EventRef> {
        let Ok(channel) = self.channel(log) else { return Vec::new() };
        channel.index.find(message).map_or_else(Vec::new, |at| channel.state.pin_dots(at))
    }

    pub(crate) fn channel(&self, log: &LogId) -> Result<&ChannelLog, Error> {
        let logs = self.spaces.get(&log.space).ok_or(Error::Unknown("the space"))?;
        let id = log.channel.ok_or(Error::Unknown("a channel without an id"))?;
        logs.channels.get(&id).ok_or(Error::Unknown("the channel"))
    }

    pub(crate) fn view(&self, channel: &ChannelLog, at: u32) -> Result<MessageView, Error> {
        let index = &channel.index;
        let state = channel.state.message(at);
        let read_by = state.read_by.iter().map(|device| **device).collect();
        if state.deleted {
            return Ok(MessageView { read_by, ..deleted(index, at, state.reply_to) });
        }
        let payload = self.payload(index, at)?;
        let (mut missing, mut sealed) = (false, false);
        let mut stored = Vec::new();
        let (post, extras) = match ChannelOp::decode(&payload) {
            Ok(ChannelOp::Post(post)) => (post, Extras::default()),
            Ok(ChannelOp::PostWith(post, extras)) => (post, extras),
            Ok(ChannelOp::PostStored(post, extras, files)) => {
                stored = files;
                (post, extras)
            }
            Ok(ChannelOp::Erased { kept: Kept::Message { .. }, .. }) => {
                missing = true;
                (Post { style: Style::Message, body: "", reply_to: None, imported: None }, Extras::default())
            }
            Ok(ChannelOp::Sealed(Sealed { kept: Kept::Message { .. }, .. })) => {
                sealed = true;
                (Post { style: Style::Message, body: "", reply_to: None, imported: None }, Extras::default())
            }
            _ => return Err(Error::Unknown("that message")),
        };
        let since_join = self.history(&index.log) == History::SinceJoin;
        let bound = since_join.then(|| self.bound(index, at, &payload, &state)).transpose()?;
        if let Some(edit) = state.edited_by.filter(|_| since_join) {
            sealed = matches!(ChannelOp::decode(&self.payload(index, edit)?), Ok(ChannelOp::Sealed(_)));
        }
        let body = match state.edited_by {
            Some(edit) => self.text(channel, edit)?,
            None => post.body.to_owned(),
        };
        for revision in [state.edited_by, state.headed_by].into_iter().flatten() {
            missing |=
                channel.bare.contains(&revision) && ChannelOp::is_erased(&self.payload(index, revision)?);
        }
        debug_assert!(body.len() <= BODY_LEN_MAX);
        Ok(MessageView {
            event: index.event_ref(at),
            wall_ms: index.event(at).wall_ms,
            style: post.style,
            body,
            edited: state.edited_by.is_some(),
            reply_to: state.reply_to.map(|at| index.event_ref(at)),
            reactions: state
                .reactions
                .iter()
                .map(|(emoji, device)| ((*emoji).to_owned(), **device))
                .collect(),
            pinned: state.pinned,
            deleted: false,
            missing,
            sealed,
            bound,
            imported: post.imported.map(|imported| (imported.author.to_owned(), imported.ts_ms)),
            heading: state.headed_by.map(|by| self.heading(channel, by)).transpose()?.flatten(),
            mentions: extras.mentions,
            attachments: attached(&extras.attachments, stored),
            read_by,
        })
    }

    /// What stands for a message's content where that is sealed message by message: of its first text, its current one, and its
    /// current heading.
    fn bound(
        &self,
        index: &LogIndex,
        at: u32,
        payload: &[u8],
        state: &MessageState<'_>,
    ) -> Result<[u8; 32], Error> {
        let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 sealed message");
        hasher.update(&content(payload));
        for revision in [state.edited_by, state.headed_by] {
            match revision.filter(|revision| *revision != at) {
                Some(revision) => hasher.update(&content(&self.payload(index, revision)?)),
                None => hasher.update(&[0; 32]),
            };
        }
        Ok(*hasher.finalize().as_bytes())
    }

    /// Title and tags that the event at this position brought.
    fn heading(&self, channel: &ChannelLog, at: u32) -> Result<Option<(String, Vec<String>)>, Error> {
        let payload = self.payload(&channel.index, at)?;
        let Ok(op) = ChannelOp::decode(&payload) else { return Ok(None) };
        let owned = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
        Ok(op.heading().map(|heading| (heading.title.to_owned(), owned(&heading.tags))))
    }

    /// The text that the event at this position brought; empty for events without.
    pub(crate) fn text(&self, channel: &ChannelLog, at: u32) -> Result<String, Error> {
        let payload = self.payload(&channel.index, at)?;
        Ok(match ChannelOp::decode(&payload) {
            Ok(ChannelOp::Edit { body, .. }) => body.to_owned(),
            Ok(op) => op.post().map(|post| post.body.to_owned()).unwrap_or_default(),
            Err(_) => String::new(),
        })
    }
}

/// What stands in an event for content that is sealed by itself, whether it is here or not.
fn content(payload: &[u8]) -> [u8; 32] {
    let erased = || match ChannelOp::decode(payload) {
        Ok(ChannelOp::Erased { content, .. }) => content,
        _ => [0; 32],
    };
    content_of(payload).unwrap_or_else(erased)
}

/// What is shown in a deleted message's place. Nothing of it is from the payload, which may not be there any more.
fn deleted(index: &LogIndex, at: u32, reply_to: Option<u32>) -> MessageView {
    MessageView {
        event: index.event_ref(at),
        wall_ms: index.event(at).wall_ms,
        style: Style::Message,
        body: String::new(),
        edited: false,
        reply_to: reply_to.map(|at| index.event_ref(at)),
        reactions: Vec::new(),
        pinned: false,
        deleted: true,
        missing: false,
        sealed: false,
        bound: None,
        imported: None,
        heading: None,
        mentions: Vec::new(),
        attachments: Vec::new(),
        read_by: Vec::new(),
    }
}

/// The files of a message, with where they are kept; of all, or of none.
pub(super) fn attached(files: &[Attachment<'_>], stored: Vec<StoredFile>) -> Vec<AttachmentView> {
    let stored = stored.into_iter().map(Some).chain(std::iter::repeat(None));
    let view = |(file, stored): (&Attachment<'_>, _)| {
        let Attachment { name, media_type, len, hash } = *file;
        AttachmentView { name: name.to_owned(), media_type: media_type.to_owned(), len, hash, stored }
    };
    files.iter().zip(stored).map(view).collect()
}
