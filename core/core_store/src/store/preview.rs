//! The newest of a channel whose past is not here: beside the log, never in it. `docs/format/newest.md`; why: ADR 0020.
use super::local_store::LocalStore;
use super::records::Write;
use super::space_logs::{Standing, permission_for};
use super::validator::Payloads;
use crate::crdt::Stamp;
use crate::model::{ChannelOp, ChannelState, History, Kept, SpaceState, Surroundings, same_user};
use crate::sync::{Bundle, NewestPage, Reader, Want, put};
use crate::{Error, Wait};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use terachat_event::{
    DeviceId, EventHash, EventRef, Header, Kind, LogId, SignedHead, chain_start, link, prefix, verify_heads,
};
use terachat_vault::SecretBytes;

/// Names of records with the pages of a channel begin so.
const PREFIX: &[u8] = b"newest/";
/// Most events of one channel ahead of its past, and most bytes of their payloads: whoever wants more takes the channel whole.
const EVENTS_MAX: usize = 2 << 10;
const PAYLOAD_LEN_MAX: usize = 1 << 20;
/// Most bytes of its pages as they came.
const WIRE_LEN_MAX: usize = 3 << 20;
/// Most pages.
const PAGES_MAX: usize = 256;

/// What became of a page that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Its events are readable: so many. Older and first ones are durable, unless the channel is kept.
    Read(usize),
    /// It cannot be judged yet; nothing changed.
    Waits(Wait),
    /// It goes with no page that is here (any more); nothing changed.
    Stale,
    /// There would be too much ahead of the past. Of an older page nothing changed; behind a newer one all pages are gone, and the
    /// newest are to be asked for anew.
    Full,
}

/// Pages of one channel, judged together: every event is its author's, whole, in its place of a chain that is signed, and at
/// the time that follows from those before it.
pub(crate) struct Preview {
    /// Oldest first; those behind `durable` came since a reader last asked for more, and are not on disk.
    pages: Vec<NewestPage>,
    durable: usize,
    /// In an order in which each stands behind all it builds on.
    pub(crate) events: Vec<Ahead>,
    names: BTreeMap<EventRef, u32>,
    pub(crate) state: ChannelState,
    heads: BTreeMap<DeviceId, (u64, EventHash)>,
}

/// An event ahead of its channel's past.
pub(crate) struct Ahead {
    pub(crate) stamp: Stamp,
    pub(crate) hash: EventHash,
    pub(crate) wall_ms: u64,
    pub(crate) epoch: Option<u64>,
    /// Parents other than the predecessor.
    pub(crate) parents: Vec<EventRef>,
    pub(crate) payload: Vec<u8>,
    pub(crate) control: Vec<EventHash>,
    pub(crate) void: Option<&'static str>,
}

/// Events that are proven, and where their chains end.
#[derive(Default)]
struct Followed {
    events: Vec<Ahead>,
    heads: BTreeMap<DeviceId, (u64, EventHash)>,
}

/// Where a chain stands while pages are followed.
struct Cursor {
    next: u64,
    hash: EventHash,
    /// Of the newest event, unless that is older than all pages.
    lamport: Option<u64>,
    signature: [u8; 64],
}

impl Preview {
    /// The least time of its events.
    pub(crate) fn from(&self) -> u64 {
        self.pages.first().map_or(1, |page| page.from)
    }

    pub(crate) fn find(&self, event: &EventRef) -> Option<u32> {
        self.names.get(event).copied()
    }

    pub(crate) fn order(&self, a: u32, b: u32) -> Ordering {
        self.events[a as usize].stamp.cmp(&self.events[b as usize].stamp)
    }

    /// Whether its author's newest signature here is on this very event.
    pub(crate) fn is_signed(&self, event: &EventRef) -> bool {
        self.heads.get(&event.author).is_some_and(|(seq, _)| *seq == event.seq)
    }

    /// The payload of an event; of a deleted message, and of what changed one, what is kept when its content is erased.
    pub(crate) fn shown_payload(&self, at: u32) -> Vec<u8> {
        let payload = &self.events[at as usize].payload;
        let kept = ChannelOp::decode(payload).ok().as_ref().and_then(Kept::of);
        let message = kept.as_ref().map(|kept| kept.target().map_or(Some(at), |target| self.find(target)));
        match (kept, message.flatten()) {
            (Some(kept), Some(message)) if self.state.is_deleted(message) => {
                ChannelOp::Erased { content: [0; 32], kept }.encode()
            }
            _ => payload.clone(),
        }
    }
}

impl LocalStore {
    /// Takes in a page of a channel that somebody asked for by `want`: judged together with those that are here, and then
    /// readable by [`LocalStore::preview_page`]. The channel's log does not know of it, so nothing is signed on it. Where the channel
    /// `is_kept` its past is on its way, and nothing is written.
    ///
    /// # Errors
    /// A refusal with its reason: the sender is broken, lying, or stands on another branch of a chain that forked.
    /// [`Error::Store`]: it can be tried again. Nothing changed.
    pub fn take_newest(&mut self, want: &Want, page: NewestPage, is_kept: bool) -> Result<Taken, Error> {
        let log = page.log;
        let events = page.events();
        let end = NewestPage::end_of_time();
        let fits = match want {
            Want::First { .. } => page.below == end,
            Want::Older { below, .. } => page.below == *below,
            Want::Newer { from, .. } => page.below == end && page.from == *from,
        };
        if !fits {
            return Err(Error::Malformed("a page of other times than were asked for"));
        }
        let here = self.previews.get(&log).map(Preview::from);
        let is_stale = match want {
            Want::First { .. } => false,
            Want::Older { below: time, .. } | Want::Newer { from: time, .. } => here != Some(*time),
        };
        if is_stale {
            return Ok(Taken::Stale);
        }
        if matches!(want, Want::Newer { .. }) && events == 0 {
            return Ok(Taken::Read(0));
        }
        let before = self.previews.remove(&log);
        let (mut pages, mut durable) =
            before.map_or((Vec::new(), 0), |before| (before.pages, before.durable));
        let was = (pages.len(), durable);
        let mut replaced = Vec::new();
        match want {
            Want::First { .. } => {
                replaced = std::mem::replace(&mut pages, vec![page]);
                durable = usize::from(!is_kept);
            }
            Want::Older { .. } => {
                pages.insert(0, page);
                // A chain of the older page may be signed in one that came since only.
                durable = if is_kept { durable } else { pages.len() };
            }
            Want::Newer { .. } => pages.push(page),
        }
        let judged = self.judge_pages(&log, &pages);
        let result = match judged {
            Ok(Ok(followed)) => {
                let is_known = is_kept || matches!(want, Want::Newer { .. });
                let written =
                    if is_known { Ok(()) } else { self.write_records(vec![record(&log, &pages[..durable])]) };
                match written {
                    Ok(()) => {
                        self.show_preview(log, pages, durable, followed);
                        return Ok(Taken::Read(events));
                    }
                    Err(error) => Err(error),
                }
            }
            Ok(Err(Unready::Full)) if matches!(want, Want::Newer { .. }) => {
                self.drop_preview(&log)?;
                return Ok(Taken::Full);
            }
            Ok(Err(Unready::Full)) => Ok(Taken::Full),
            Ok(Err(Unready::Waits(wait))) => Ok(Taken::Waits(wait)),
            Err(error) => Err(error),
        };
        // As it was.
        match want {
            Want::First { .. } => pages = replaced,
            Want::Older { .. } => drop(pages.remove(0)),
            Want::Newer { .. } => drop(pages.pop()),
        }
        if was.0 > 0
            && let Ok(Ok(followed)) = self.judge_pages(&log, &pages)
        {
            self.show_preview(log, pages, was.1, followed);
        }
        result
    }

    /// Channels of which something is here ahead of their past.
    pub fn previews(&self) -> Vec<LogId> {
        self.previews.keys().copied().collect()
    }

    /// Whether something of what is ahead of a channel's past is on disk.
    pub fn is_preview_durable(&self, log: &LogId) -> bool {
        self.previews.get(log).is_some_and(|preview| preview.durable > 0)
    }

    /// Whether there is something of a channel ahead of its past.
    pub fn has_preview(&self, log: &LogId) -> bool {
        self.previews.contains_key(log)
    }

    /// Whether what is ahead of a channel's past reaches back to its first event: then nothing is missing before it.
    pub fn is_preview_whole(&self, log: &LogId) -> bool {
        self.previews.get(log).is_some_and(|preview| preview.from() == 1)
    }

    /// What to ask for: the messages before those that are here. `None` where nothing is here, or nothing is before it.
    pub fn want_older(&self, log: &LogId, messages: u16) -> Option<Want> {
        let below = self.previews.get(log)?.from();
        (below > 1).then_some(Want::Older { messages, below })
    }

    /// What to ask for to be at the newest: all that came since, or the newest messages where nothing is here.
    pub fn want_newest(&self, log: &LogId, messages: u16) -> Want {
        let Some(preview) = self.previews.get(log) else { return Want::First { messages } };
        let heads: Vec<_> = preview.heads.iter().map(|(device, (seq, _))| (*device, *seq)).collect();
        let want = Want::Newer { from: preview.from(), heads };
        if want.is_bounded() { want } else { Want::First { messages } }
    }

    /// Forgets what is here of a channel ahead of its past, also on disk. Where it shows numbers of this device's own chain that are not
    /// here, these stay known as taken, by the record of a dropped log: [`LocalStore::belongs_to`].
    ///
    /// # Errors
    /// [`Error::Store`]; nothing changed.
    pub fn drop_preview(&mut self, log: &LogId) -> Result<(), Error> {
        let name = name(log);
        let own = self.owner.and_then(|me| {
            let (seq, hash) = *self.previews.get(log)?.heads.get(&me)?;
            self.taken_ahead(log, &me, seq, hash)
        });
        let gone = self.record(&name).is_some().then_some((name, None));
        let writes: Vec<Write> = own.into_iter().chain(gone).collect();
        if !writes.is_empty() {
            self.write_records(writes)?;
        }
        self.previews.remove(log);
        Ok(())
    }

    /// Forgets what is ahead of a channel's past once the log itself has come as far.
    ///
    /// # Errors
    /// As [`LocalStore::drop_preview`].
    pub fn settle_preview(&mut self, log: &LogId) -> Result<(), Error> {
        let Some(preview) = self.previews.get(log) else { return Ok(()) };
        let Some(index) = self.index(log) else { return Ok(()) };
        let has = |(device, (seq, _)): (&DeviceId, &(u64, EventHash))| {
            index.frozen.contains_key(device) || index.head(device).is_some_and(|head| head.seq >= *seq)
        };
        if preview.heads.iter().all(has) { self.drop_preview(log) } else { Ok(()) }
    }

    /// Refuses to go on with a chain of which more was seen ahead of the past than is here: those numbers are taken.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub(crate) fn require_none_ahead(&self, log: &LogId, author: &DeviceId) -> Result<(), Error> {
        let ahead = self.previews.get(log).and_then(|preview| preview.heads.get(author));
        let here = self.index(log).and_then(|index| index.head(author)).map_or(0, |head| head.seq);
        if ahead.is_some_and(|(seq, _)| *seq > here) {
            return Err(Error::Forbidden(
                "this device wrote more in this channel than is here; keep the channel and sync with a device that keeps it",
            ));
        }
        Ok(())
    }

    /// Judges anew what is ahead in a space: its control log went on, or a fork was proven. What does not hold any more is not
    /// shown.
    pub fn rejudge_previews(&mut self, space: &terachat_event::SpaceId) {
        let logs: Vec<LogId> = self.previews.keys().filter(|log| log.space == *space).copied().collect();
        for log in logs {
            let Some(Preview { pages, durable, .. }) = self.previews.remove(&log) else { continue };
            if let Ok(Ok(followed)) = self.judge_pages(&log, &pages) {
                self.show_preview(log, pages, durable, followed);
            }
        }
    }

    /// What was ahead when the store was closed, judged as if it came now. What cannot be is not shown.
    pub(super) fn restore_previews(&mut self) {
        let stored = self.records(PREFIX).map(|(_, value)| value.to_vec()).collect::<Vec<_>>();
        for value in stored {
            let Ok(pages) = read_record(&value) else { continue };
            let Some(log) = pages.first().map(|page| page.log) else { continue };
            if let Ok(Ok(followed)) = self.judge_pages(&log, &pages) {
                let durable = pages.len();
                self.show_preview(log, pages, durable, followed);
            }
        }
    }

    fn judge_pages(&self, log: &LogId, pages: &[NewestPage]) -> Result<Result<Followed, Unready>, Error> {
        let events: usize = pages.iter().map(NewestPage::events).sum();
        let payload_len: usize = pages.iter().map(NewestPage::payload_len).sum();
        let wire_len: usize = pages.iter().map(|page| page.wire_len).sum();
        let is_much = payload_len > PAYLOAD_LEN_MAX || wire_len > WIRE_LEN_MAX;
        if events > EVENTS_MAX || is_much || pages.len() > PAGES_MAX {
            return Ok(Err(Unready::Full));
        }
        if self.history(log) != History::Shared {
            return Err(Error::Payload("a part of a channel that is read since joining only"));
        }
        let mut outside = BTreeMap::new();
        for head in pages.iter().flat_map(|page| &page.outside) {
            let name = EventRef { author: head.device, seq: head.seq };
            if outside.insert(name, head.hash).is_some_and(|before| before != head.hash) {
                return Err(Error::Malformed("two hashes for one event"));
            }
        }
        let oldest = pages.first().map_or(1, |page| page.from);
        let mut walk = Walk {
            store: self,
            log,
            oldest,
            outside,
            inside: BTreeMap::new(),
            cursors: BTreeMap::new(),
            events: Vec::new(),
        };
        for page in pages {
            for bundle in &page.bundles {
                if let Err(wait) = walk.bundle(bundle, page.from..page.below)? {
                    return Ok(Err(Unready::Waits(wait)));
                }
            }
        }
        walk.finish().map(Ok)
    }

    /// Judges what is proven by the control log, and makes a state of what counts.
    fn show_preview(&mut self, log: LogId, pages: Vec<NewestPage>, durable: usize, followed: Followed) {
        let Followed { mut events, heads } = followed;
        let frozen = self.index(&log).map(|index| index.frozen.clone()).unwrap_or_default();
        let (Some(logs), Some(channel)) = (self.spaces.get_mut(&log.space), log.channel) else { return };
        let mut state = ChannelState::default();
        let names: BTreeMap<EventRef, u32> =
            (0..).zip(&events).map(|(at, event)| (event.stamp.event(), at)).collect();
        for at in 0..events.len() {
            let Ahead { stamp, control, payload, .. } = &events[at];
            let op = ChannelOp::decode(payload);
            let permission = permission_for(op.as_ref().ok());
            let frozen = frozen.get(&stamp.author).copied();
            let standing =
                Standing::of(&mut logs.control, &channel, &stamp.author, control, permission, frozen);
            let void = standing.void(stamp.seq).or(History::Shared.misfit(payload));
            let place = u32::try_from(at).unwrap_or(u32::MAX);
            if let (None, Ok(op)) = (void, op) {
                let around = Among { events: &events, names: &names, space: logs.control.state() };
                state.apply(place, stamp, op, &around);
            }
            events[at].void = void;
        }
        self.previews.insert(log, Preview { pages, durable, events, names, state, heads });
    }
}

/// Why pages cannot be shown.
enum Unready {
    Waits(Wait),
    Full,
}

/// Follows pages, oldest first.
struct Walk<'a> {
    store: &'a LocalStore,
    log: &'a LogId,
    /// The least time of all pages.
    oldest: u64,
    outside: BTreeMap<EventRef, EventHash>,
    /// Hash and time of what was followed.
    inside: BTreeMap<EventRef, (EventHash, u64)>,
    cursors: BTreeMap<DeviceId, Cursor>,
    events: Vec<Ahead>,
}

const NO_BASE: Error = Error::Malformed("a page lacks the hash of an event that it builds on");

impl Walk<'_> {
    fn bundle(&mut self, bundle: &Bundle, times: std::ops::Range<u64>) -> Result<Result<(), Wait>, Error> {
        let batch = &bundle.batch;
        self.store.load_cited(batch)?;
        if let Err(wait) = self.store.prepare(batch)? {
            return Ok(Err(wait));
        }
        let Some(key) = self.store.epoch_key(self.log, batch.key.as_ref()) else {
            return Ok(Err(Wait::Epoch(batch.key.map_or(0, |key| key.epoch))));
        };
        for author in batch.authors.iter().filter(|author| author.count > 0) {
            self.begin(author.device, author.first_seq, author.signature)?;
        }
        let chunks = bundle.open_chunks(Some(&key))?;
        let mut payloads = Payloads::new(batch, &chunks);
        let mut named = batch.parents.iter();
        let (mut header_bytes, mut scratch, mut parents) = (Vec::new(), Vec::new(), Vec::new());
        for (at, event) in batch.events.iter().enumerate() {
            let payload = payloads.next(at, event);
            let device = batch.authors[event.author as usize].device;
            let cursor = self.cursors.get(&device).ok_or(NO_BASE)?;
            let name = EventRef { author: device, seq: cursor.next };
            let mut latest = cursor.lamport;
            let mut builds_outside = cursor.lamport.is_none() && cursor.next > 1;
            parents.clear();
            let mut parents_named = Vec::new();
            for (author, seq) in named.by_ref().take(event.parents as usize) {
                let parent = EventRef { author: batch.authors[*author as usize].device, seq: *seq };
                if parent.author == device {
                    return Err(Error::Parents(name));
                }
                parents_named.push(parent);
                if let Some((hash, lamport)) = self.inside.get(&parent) {
                    parents.push(*hash);
                    latest = latest.max(Some(*lamport));
                } else {
                    parents.push(*self.outside.get(&parent).ok_or(NO_BASE)?);
                    builds_outside = true;
                }
            }
            // What is outside is older than all pages, so it decides the time of no event but one right behind it.
            let follows = match latest {
                Some(latest) => event.lamport == latest + 1,
                None if builds_outside => event.lamport == self.oldest,
                None => event.lamport == 1,
            };
            if !follows || !times.contains(&event.lamport) || builds_outside && self.oldest == 1 {
                return Err(Error::Lamport(name));
            }
            if ChannelOp::is_opened(payload) {
                return Err(Error::Payload("a text that somebody else opened"));
            }
            parents.sort_unstable();
            let control = batch.controls.get(event.control as usize).map_or(&[][..], Vec::as_slice);
            let header = Header {
                kind: Kind::Sealed,
                seq: name.seq,
                lamport: event.lamport,
                wall_ms: event.wall_ms,
                epoch: batch.key.map(|key| key.epoch),
                parents: &parents,
                control,
            };
            header.check()?;
            header_bytes.clear();
            header.write(&mut header_bytes);
            let prefix = prefix(&cursor.hash, &header_bytes);
            let op = ChannelOp::decode(payload).ok();
            let hash = link(&prefix, &key.commit_op(&prefix, payload, op.as_ref(), &mut scratch));
            self.require_same(&name, &hash)?;
            let stamp = Stamp { lamport: event.lamport, author: device, seq: name.seq };
            self.inside.insert(name, (hash, event.lamport));
            if let Some(cursor) = self.cursors.get_mut(&device) {
                (cursor.hash, cursor.lamport) = (hash, Some(event.lamport));
                cursor.next += 1;
            }
            self.events.push(Ahead {
                stamp,
                hash,
                wall_ms: event.wall_ms,
                epoch: batch.key.map(|key| key.epoch),
                parents: parents_named,
                payload: payload.to_vec(),
                control: control.to_vec(),
                void: None,
            });
        }
        Ok(Ok(()))
    }

    /// A bundle goes on with a chain, or begins with it.
    fn begin(&mut self, device: DeviceId, first_seq: u64, signature: [u8; 64]) -> Result<(), Error> {
        if let Some(cursor) = self.cursors.get_mut(&device) {
            cursor.signature = signature;
            return if cursor.next == first_seq { Ok(()) } else { Err(NO_BASE) };
        }
        let hash = match first_seq - 1 {
            0 => chain_start(self.log, &device),
            seq => *self.outside.get(&EventRef { author: device, seq }).ok_or(NO_BASE)?,
        };
        self.cursors.insert(device, Cursor { next: first_seq, hash, lamport: None, signature });
        Ok(())
    }

    /// Of what is in the log already, the same has to be ahead of it.
    fn require_same(&self, name: &EventRef, hash: &EventHash) -> Result<(), Error> {
        let index = self.store.index(self.log);
        let known = index.and_then(|index| index.hash(index.find(name)?));
        if known.is_some_and(|known| known != *hash) { Err(Error::Replay(*name)) } else { Ok(()) }
    }

    fn finish(self) -> Result<Followed, Error> {
        let signed: Vec<(DeviceId, SignedHead)> = self
            .cursors
            .iter()
            .map(|(device, cursor)| {
                let Cursor { next, hash, signature, .. } = *cursor;
                (*device, SignedHead { seq: next - 1, hash, signature })
            })
            .collect();
        if let Some(bad) = verify_heads(self.log, &signed).first() {
            let (author, head) = signed[*bad];
            return Err(terachat_event::Error::Signature(EventRef { author, seq: head.seq }).into());
        }
        let heads = signed.into_iter().map(|(device, head)| (device, (head.seq, head.hash))).collect();
        Ok(Followed { events: self.events, heads })
    }
}

struct Among<'a> {
    events: &'a [Ahead],
    names: &'a BTreeMap<EventRef, u32>,
    space: &'a SpaceState,
}

impl Surroundings for Among<'_> {
    fn find(&self, event: &EventRef) -> Option<u32> {
        self.names.get(event).copied()
    }

    fn order(&self, a: u32, b: u32) -> Ordering {
        self.events[a as usize].stamp.cmp(&self.events[b as usize].stamp)
    }

    fn same_user(&self, a: &EventRef, b: &EventRef) -> bool {
        same_user(self.space, a, b)
    }

    fn is_void(&self, at: u32) -> bool {
        self.events[at as usize].void.is_some()
    }
}

fn name(log: &LogId) -> Vec<u8> {
    [PREFIX, &log.space.0, &log.channel.map_or([0; 32], |channel| channel.0)].concat()
}

fn record(log: &LogId, pages: &[NewestPage]) -> Write {
    let mut out = Vec::new();
    put(&mut out, pages.len() as u64);
    for page in pages {
        let bytes = page.encode();
        put(&mut out, bytes.len() as u64);
        out.extend_from_slice(&bytes);
    }
    (name(log), Some(SecretBytes::take(out)))
}

fn read_record(value: &[u8]) -> Result<Vec<NewestPage>, Error> {
    let mut reader = Reader::new(value);
    let count = reader.count(PAGES_MAX)?;
    let page = |_| {
        let len = reader.count(value.len())?;
        NewestPage::decode(reader.bytes(len)?)
    };
    (0..count).map(page).collect()
}

#[cfg(test)]
mod tests;
