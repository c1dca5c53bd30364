use crate::model::Mention;
use crate::store::space_logs::ChannelLog;
use crate::{Error, LocalStore};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use terachat_event::{DeviceId, EventRef, LogId, UserId};

/// More than so many unread messages are not counted.
pub const UNREAD_MAX: usize = 1_000;

/// What a user has not read of a channel yet: what others wrote behind the furthest mark of the user's devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unread {
    /// Messages; [`UNREAD_MAX`] may stand for more.
    pub messages: usize,
    /// Those that mention the user or everyone; [`UNREAD_MAX`] may stand for more.
    pub mentions: usize,
    /// The first of the messages: where to go on reading.
    pub first: Option<EventRef>,
}

impl LocalStore {
    /// What `user` has not read of a channel: behind the furthest mark of the user's devices, and behind `read`, up to where this
    /// device may know by itself that it was read. Costs what is counted, not what there is.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a channel that is not here.
    pub fn unread(&self, log: &LogId, user: &UserId, read: Option<&EventRef>) -> Result<Unread, Error> {
        let channel = self.channel(log)?;
        let devices = self.devices_of(log, user);
        let order = |a, b| channel.index.order(a, b);
        let marks = devices.iter().filter_map(|device| channel.state.read_mark(device));
        let timeline = &channel.state.timeline;
        let known = read.and_then(|read| channel.index.find(read)).filter(|at| timeline.contains(*at, order));
        let mark = marks.chain(known).max_by(|a, b| order(*a, *b));
        let from = mark.map_or(0, |mark| timeline.rank(mark, order) + 1);
        let others = |at: &u32| {
            let author = channel.index.device(channel.index.event(*at).chain);
            !devices.contains(author) && !channel.state.is_deleted(*at)
        };
        // Of one's own messages in between at most as many are passed over.
        let mut unread = timeline.iter_from(from).take(2 * UNREAD_MAX).filter(others).take(UNREAD_MAX);
        let first = unread.next();
        let messages = usize::from(first.is_some()) + unread.count();
        let mentions: BTreeSet<u32> = [Mention::Everyone, Mention::User(*user)]
            .iter()
            .flat_map(|mention| behind(channel, mention, mark))
            .filter(others)
            .collect();
        let first = first.map(|at| channel.index.event_ref(at));
        Ok(Unread { messages, mentions: mentions.len().min(UNREAD_MAX), first })
    }

    pub(super) fn devices_of(&self, log: &LogId, user: &UserId) -> BTreeSet<DeviceId> {
        let state = self.space(&log.space);
        let devices = state.into_iter().flat_map(|state| &state.devices);
        devices.filter(|(_, owner)| *owner == user).map(|(device, _)| *device).collect()
    }
}

/// The newest messages with this mention that lie behind a mark, at most [`UNREAD_MAX`].
fn behind(channel: &ChannelLog, mention: &Mention, mark: Option<u32>) -> impl Iterator<Item = u32> {
    let list = channel.state.mentions(mention);
    let from =
        mark.map_or(0, |mark| list.partition_point(|at| channel.index.order(*at, mark) != Ordering::Greater));
    list[from.max(list.len().saturating_sub(UNREAD_MAX))..].iter().copied()
}
