use super::{MessageView, PageStart};
use crate::model::{Mention, Rank, SpaceState};
use crate::store::index::LogIndex;
use crate::store::space_logs::ChannelLog;
use crate::{Error, LocalStore};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::ops::Range;
use terachat_event::{DeviceId, EventRef, LogId};

/// Which messages a page gives: those that meet every condition that is set, so all of them without any.
///
/// A deleted message meets conditions on its author and time only: nothing else is left of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// It is signed by one of these devices.
    pub authors: Option<BTreeSet<DeviceId>>,
    /// Its author's user is a present member of at least this rank now, whatever the rank was when it was written.
    pub min_rank: Option<Rank>,
    /// It was written then or later: wall time as claimed by its author, in milliseconds since 1970. For a record of a
    /// foreign log this is when it was imported.
    pub since_ms: Option<u64>,
    /// It was written earlier than then; as above.
    pub until_ms: Option<u64>,
    /// It has an attachment.
    pub has_attachment: bool,
    /// It has one of these mentions.
    pub mentions: Option<BTreeSet<Mention>>,
    /// It is of this kind.
    pub kind: Option<MessageKind>,
}

/// Where a message stands in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A forum's post, with a heading.
    Post,
    /// An answer to another message, in a forum or not.
    Answer,
}

impl LocalStore {
    /// A page of at most `limit` messages that the filter lets through, oldest first: what [`LocalStore::page`] would
    /// give if there were no others. The message that the page starts from need not be one of them.
    ///
    /// Looks at messages one after the other from the start on, in memory, until the page is full; where the named
    /// authors or mentions have fewer, at theirs only. Reads what it gives from disk, and nothing else.
    ///
    /// # Errors
    /// As [`LocalStore::page`].
    pub fn page_where(
        &self,
        log: &LogId,
        start: PageStart,
        limit: usize,
        filter: &Filter,
    ) -> Result<Vec<MessageView>, Error> {
        let channel = self.channel(log)?;
        let index = &channel.index;
        let find = |event: &EventRef| index.find(event).ok_or(Error::Unknown("that message"));
        let walk = Walk::new(channel, self.space(&log.space), filter);
        let (mut earlier, mut later) = (Vec::new(), Vec::new());
        match start {
            PageStart::Newest => earlier.extend(walk.earlier(|_| true).take(limit)),
            PageStart::Before(event) => {
                let start = find(&event)?;
                earlier.extend(walk.earlier(|at| index.order(at, start).is_lt()).take(limit));
            }
            PageStart::After(event) => {
                let start = find(&event)?;
                later.extend(walk.later(|at| index.order(at, start).is_le()).take(limit));
            }
            PageStart::Around(event) => {
                let start = find(&event)?;
                let mut rest = walk.later(|at| index.order(at, start).is_lt());
                later.extend(rest.by_ref().take(limit - limit / 2));
                // Where the later half has too few, the earlier one fills the page, and the other way round.
                earlier.extend(walk.earlier(|at| index.order(at, start).is_lt()).take(limit - later.len()));
                later.extend(rest.take(limit - later.len() - earlier.len()));
            }
        }
        let found = earlier.into_iter().rev().chain(later);
        found.map(|at| self.view(channel, at)).collect()
    }
}

/// A channel's messages that a filter lets through, found one by one.
struct Walk<'a> {
    channel: &'a ChannelLog,
    space: Option<&'a SpaceState>,
    filter: &'a Filter,
    /// Positions among which all that fit are, each list in the total order; `None`: the timeline.
    lists: Option<Vec<List<'a>>>,
    /// Whether the filter lets a chain's author through, once that was asked for.
    authors: RefCell<Vec<Option<bool>>>,
}

impl<'a> Walk<'a> {
    fn new(channel: &'a ChannelLog, space: Option<&'a SpaceState>, filter: &'a Filter) -> Self {
        let by = |devices: &'a BTreeSet<DeviceId>| -> Vec<List<'a>> {
            devices.iter().map(|device| List::by(&channel.index, device)).collect()
        };
        let naming = |mentions: &'a BTreeSet<Mention>| -> Vec<List<'a>> {
            mentions.iter().map(|mention| List::of(channel.state.mentions(mention))).collect()
        };
        let len = |lists: &Vec<List<'_>>| lists.iter().map(List::len).sum::<u64>();
        let all =
            [filter.authors.as_ref().map(by), filter.mentions.as_ref().map(naming)].into_iter().flatten();
        let lists = all.filter(|lists| len(lists) < channel.state.timeline.len() as u64).min_by_key(len);
        let authors = RefCell::new(vec![None; channel.index.chains.len()]);
        Self { channel, space, filter, lists, authors }
    }

    /// What fits and lies before a place in the total order, the last first.
    fn earlier(&self, is_before: impl Fn(u32) -> bool) -> Box<dyn Iterator<Item = u32> + '_> {
        let index = &self.channel.index;
        let timeline = &self.channel.state.timeline;
        let Some(lists) = &self.lists else {
            return self.fitting(timeline.iter_before(timeline.rank_where(is_before)));
        };
        let before = lists.iter().map(|list| list.before(list.partition_point(&is_before)));
        self.fitting(merged(before.collect(), List::take_last, |at| index.stamp(at)))
    }

    /// What fits and does not lie before a place in the total order, the first first.
    fn later(&self, is_before: impl Fn(u32) -> bool) -> Box<dyn Iterator<Item = u32> + '_> {
        let index = &self.channel.index;
        let timeline = &self.channel.state.timeline;
        let Some(lists) = &self.lists else {
            return self.fitting(timeline.iter_from(timeline.rank_where(is_before)));
        };
        let behind = lists.iter().map(|list| list.from(list.partition_point(&is_before)));
        self.fitting(merged(behind.collect(), List::take_first, |at| Reverse(index.stamp(at))))
    }

    fn fitting<'b>(&'b self, all: impl Iterator<Item = u32> + 'b) -> Box<dyn Iterator<Item = u32> + 'b> {
        Box::new(all.filter(|at| self.fits(*at)))
    }

    fn fits(&self, at: u32) -> bool {
        let (filter, state) = (self.filter, &self.channel.state);
        let index: &LogIndex = &self.channel.index;
        let event = index.event(at);
        let in_time = filter.since_ms.is_none_or(|since| event.wall_ms >= since)
            && filter.until_ms.is_none_or(|until| event.wall_ms < until);
        // A chain has other events than messages, and events that do not count.
        let is_message = || self.lists.is_none() || state.timeline.contains(at, |a, b| index.order(a, b));
        in_time && self.is_by(event.chain) && self.holds(at) && is_message()
    }

    /// Whether the filter lets a chain's author through.
    fn is_by(&self, chain: u32) -> bool {
        let Filter { authors, min_rank, .. } = self.filter;
        if authors.is_none() && min_rank.is_none() {
            return true;
        }
        *self.authors.borrow_mut()[chain as usize].get_or_insert_with(|| {
            let device = self.channel.index.device(chain);
            let rank = || self.space.and_then(|space| space.rank_of(device));
            authors.as_ref().is_none_or(|authors| authors.contains(device))
                && min_rank.is_none_or(|least| rank().is_some_and(|rank| rank >= least))
        })
    }

    /// Whether a message meets the conditions that nothing deleted meets.
    fn holds(&self, at: u32) -> bool {
        let Filter { min_rank, has_attachment, mentions, kind, .. } = self.filter;
        if min_rank.is_none() && !has_attachment && mentions.is_none() && kind.is_none() {
            return true;
        }
        let state = &self.channel.state;
        !state.is_deleted(at)
            && (!has_attachment || state.has_attachment(at))
            && mentions.as_ref().is_none_or(|mentions| mentions.iter().any(|one| self.has_mention(at, one)))
            && kind.is_none_or(|kind| match kind {
                MessageKind::Post => state.is_post(at),
                MessageKind::Answer => state.is_answer(at),
            })
    }

    fn has_mention(&self, at: u32, mention: &Mention) -> bool {
        let index = &self.channel.index;
        self.channel.state.mentions(mention).binary_search_by(|other| index.order(*other, at)).is_ok()
    }
}

/// Positions in the total order, read when they are asked for.
#[derive(Clone)]
struct List<'a> {
    of: Of<'a>,
    range: Range<u64>,
}

#[derive(Clone, Copy)]
enum Of<'a> {
    Slice(&'a [u32]),
    Chain(&'a LogIndex, u32),
}

impl<'a> List<'a> {
    fn of(positions: &'a [u32]) -> Self {
        Self { of: Of::Slice(positions), range: 0..positions.len() as u64 }
    }

    /// A device's events.
    fn by(index: &'a LogIndex, device: &DeviceId) -> Self {
        let Some(chain) = index.chain_of(device) else { return Self::of(&[]) };
        Self { of: Of::Chain(index, chain), range: 0..index.chain_len(chain) }
    }

    fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn at(&self, place: u64) -> Option<u32> {
        match self.of {
            Of::Slice(positions) => positions.get(usize::try_from(place).ok()?).copied(),
            Of::Chain(index, chain) => index.position(chain, place + 1),
        }
    }

    /// The first place whose position is not before something.
    fn partition_point(&self, is_before: impl Fn(u32) -> bool) -> u64 {
        let Range { mut start, mut end } = self.range;
        while start < end {
            let middle = start.midpoint(end);
            if self.at(middle).is_some_and(&is_before) { start = middle + 1 } else { end = middle }
        }
        start
    }

    fn before(&self, end: u64) -> Self {
        Self { range: self.range.start..end, ..*self }
    }

    fn from(&self, start: u64) -> Self {
        Self { range: start..self.range.end, ..*self }
    }

    fn take_first(&mut self) -> Option<u32> {
        self.range.next().and_then(|place| self.at(place))
    }

    fn take_last(&mut self) -> Option<u32> {
        self.range.next_back().and_then(|place| self.at(place))
    }
}

/// Lists in one, by the largest key first; `take` takes the one of a list whose key is the largest. What stands in
/// several is given once.
fn merged<'a, K: Ord + 'a>(
    mut lists: Vec<List<'a>>,
    take: impl Fn(&mut List<'a>) -> Option<u32> + 'a,
    key: impl Fn(u32) -> K + 'a,
) -> impl Iterator<Item = u32> + 'a {
    let head = |(list, rest): (usize, &mut List<'a>)| take(rest).map(|at| (key(at), at, list));
    let mut heads: BinaryHeap<(K, u32, usize)> = lists.iter_mut().enumerate().filter_map(head).collect();
    let mut given = None;
    std::iter::from_fn(move || {
        loop {
            let (_, at, list) = heads.pop()?;
            if let Some(next) = take(&mut lists[list]) {
                heads.push((key(next), next, list));
            }
            if given.replace(at) != Some(at) {
                return Some(at);
            }
        }
    })
}
