//! Pages of what is here of a channel ahead of its past.
use super::query_engine::attached;
use super::{MessageView, PageStart};
use crate::model::{ChannelOp, Extras, Kept, Post, Style};
use crate::store::Preview;
use crate::{Error, LocalStore};
use terachat_event::{EventRef, LogId};

impl LocalStore {
    /// A page of at most `limit` messages, oldest first, of what is here of a channel ahead of its past. They read as in the whole
    /// channel: whatever changes a message is newer than the message. What a message answers may be older, and not here.
    ///
    /// # Errors
    /// [`Error::Unknown`] where nothing is here, or not the message that `start` names.
    pub fn preview_page(
        &self,
        log: &LogId,
        start: PageStart,
        limit: usize,
    ) -> Result<Vec<MessageView>, Error> {
        let preview = self.preview(log)?;
        let timeline = &preview.state.timeline;
        let rank = |event: &EventRef| {
            let at = preview.find(event).ok_or(Error::Unknown("that message"))?;
            let rank = timeline.rank(at, |a, b| preview.order(a, b));
            Ok((rank, timeline.iter_from(rank).next() == Some(at)))
        };
        let (from, len) = start.range(timeline.len(), limit, rank)?;
        timeline.iter_from(from).take(len).map(|at| preview.view(at)).collect()
    }

    /// Whether a message is the oldest that is here of a channel, ahead of a past that is not here.
    pub fn begins_preview(&self, log: &LogId, event: &EventRef) -> bool {
        self.previews.get(log).filter(|preview| preview.from() > 1).is_some_and(|preview| {
            let oldest = preview.state.timeline.iter_from(0).next();
            oldest.is_some() && oldest == preview.find(event)
        })
    }

    /// The messages ahead of a channel's past whose names start with `text`, as of [`LocalStore::find_events`].
    pub fn find_ahead(&self, log: &LogId, text: &str) -> Vec<EventRef> {
        let Some((device, seq)) = text.rsplit_once('-') else { return Vec::new() };
        let Ok(seq) = seq.parse::<u64>() else { return Vec::new() };
        let events = self.previews.get(log).into_iter().flat_map(|preview| &preview.events);
        let named = events.map(|event| event.stamp.event());
        let is_meant = |event: &EventRef| {
            !device.is_empty() && event.seq == seq && event.author.to_string().starts_with(device)
        };
        named.filter(is_meant).collect()
    }
}

impl Preview {
    /// A message as [`LocalStore::page`] shows it.
    pub(super) fn view(&self, at: u32) -> Result<MessageView, Error> {
        let event = &self.events[at as usize];
        let state = self.state.message(at);
        let op = ChannelOp::decode(&event.payload).map_err(|_| Error::Unknown("that message"))?;
        let mut missing = matches!(op, ChannelOp::Erased { .. });
        let named = named(&op);
        // Of one that is here it is known whether it counts.
        let answered = match named {
            Some(older) if self.find(&older).is_none() => Some(older),
            _ => state.reply_to.map(|at| self.events[at as usize].stamp.event()),
        };
        let mut view = MessageView {
            event: event.stamp.event(),
            wall_ms: event.wall_ms,
            style: Style::Message,
            body: String::new(),
            edited: false,
            reply_to: answered,
            reactions: Vec::new(),
            pinned: false,
            deleted: state.deleted,
            missing: false,
            sealed: false,
            bound: None,
            imported: None,
            heading: None,
            mentions: Vec::new(),
            attachments: Vec::new(),
            read_by: state.read_by.iter().map(|device| **device).collect(),
        };
        if state.deleted {
            return Ok(view);
        }
        let mut stored = Vec::new();
        let blank = Post { style: Style::Message, body: "", reply_to: None, imported: None };
        let (post, extras) = match op {
            ChannelOp::Post(post) => (post, Extras::default()),
            ChannelOp::PostWith(post, extras) => (post, extras),
            ChannelOp::PostStored(post, extras, files) => {
                stored = files;
                (post, extras)
            }
            _ => (blank, Extras::default()),
        };
        view.body = post.body.to_owned();
        if let Some(edit) = state.edited_by {
            (view.body, view.edited) = (String::new(), true);
            match self.op(edit) {
                Some(ChannelOp::Edit { body, .. }) => view.body = body.to_owned(),
                _ => missing = true,
            }
        }
        if let Some(by) = state.headed_by {
            let heading = self.op(by);
            missing |= matches!(heading, Some(ChannelOp::Erased { .. }));
            let owned = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
            let heading = heading.as_ref().and_then(ChannelOp::heading);
            view.heading = heading.map(|heading| (heading.title.to_owned(), owned(&heading.tags)));
        }
        view.style = post.style;
        view.reactions =
            state.reactions.iter().map(|(emoji, device)| ((*emoji).to_owned(), **device)).collect();
        view.pinned = state.pinned;
        view.missing = missing;
        view.imported = post.imported.map(|imported| (imported.author.to_owned(), imported.ts_ms));
        view.mentions = extras.mentions;
        view.attachments = attached(&extras.attachments, stored);
        Ok(view)
    }

    /// Whether a message answers another one, be that older than all that is here.
    pub(super) fn answers(&self, at: u32) -> bool {
        self.state.is_answer(at)
            || self.op(at).as_ref().and_then(named).is_some_and(|older| self.find(&older).is_none())
    }

    fn op(&self, at: u32) -> Option<ChannelOp<'_>> {
        ChannelOp::decode(&self.events.get(at as usize)?.payload).ok()
    }
}

/// What a message says it answers.
fn named(op: &ChannelOp<'_>) -> Option<EventRef> {
    match op {
        ChannelOp::Erased { kept: Kept::Message { reply_to, .. }, .. } => *reply_to,
        op => op.post().and_then(|post| post.reply_to),
    }
}
