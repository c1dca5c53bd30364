//! Decides whether a batch may be taken in: shape, causality, hashes, signatures. Changes nothing.
use super::hold::Holding;
use super::index::LogIndex;
use super::space_logs::ChannelLog;
use crate::model::{Bones, ChannelOp, ControlLog, EpochKey, Kept, Skeleton};
use crate::sync::{Batch, BatchEvent, BatchStub};
use crate::{Error, Wait};
use hashbrown::HashMap;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::{
    Branch, DeviceId, EventHash, EventRef, Header, Kind, LogId, SignedHead, Step, link, payload_hash, prefix,
    verify_heads,
};

/// How far ahead of all times that are known a fork's hidden branch may lead: more events than any holds. What lies further
/// ahead is waited for, so that nobody carries a log's clock to its end.
const LEAP_MAX: u64 = 1 << 24;

/// What a batch turned out to be.
pub(crate) enum Staging {
    /// Valid, from the first event to the last.
    Ready(Staged),
    /// It cannot be judged yet.
    Waits(Wait),
    /// Valid, but an author signed another event with a number that is taken here: half of a proof.
    Forked(Vec<Fork>),
    /// Hashes of older events have to be recomputed before it can be judged.
    NeedsHashes,
}

/// A batch whose every event is proven.
pub(crate) struct Staged {
    /// Hash of each event.
    pub(crate) hashes: Vec<EventHash>,
    /// Whether each event is new here.
    pub(crate) fresh: Vec<bool>,
    /// Skeletons that are new here and that the causal past of these events leads through.
    pub(crate) skeletons: Vec<Skeleton>,
    /// Payloads that are not to be written as they came, by place in the batch, with what is left of them: content that is
    /// here already or was erased, and that of a message which is deleted.
    pub(crate) stripped: Vec<(usize, Vec<u8>)>,
    /// Payloads that are missing here and are to be shown, by position.
    pub(crate) found: Vec<(u32, Vec<u8>)>,
}

/// The other branch of a chain that is held here differently.
pub(crate) struct Fork {
    pub(crate) author: DeviceId,
    pub(crate) seq: u64,
    pub(crate) branch: Branch,
}

/// Where one author of the batch stands while its events are followed.
struct Cursor {
    chain: Option<u32>,
    /// Events of the author that are here already.
    known: u64,
    next: u64,
    hash: EventHash,
    lamport: u64,
    /// Where the author's events begin in `Stage::slots`.
    slots: usize,
    forked_at: Option<u64>,
}

/// How far the bytes are to be trusted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// They come from a peer: every author's newest signature is checked.
    Peer,
    /// They come from a backup of the own user's: as from a peer, but what was opened stands as it was opened.
    Backup,
    /// They come from the own disk and are checked like a peer's, but for stubs, whose proofs are beside them.
    Audit,
    /// They come from the own disk, which sealed them: signatures were checked before they were written.
    Disk,
}

impl Trust {
    /// Whether somebody else may have made them.
    pub(crate) fn is_foreign(self) -> bool {
        matches!(self, Self::Peer | Self::Backup)
    }
}

/// What a batch is held against beside the index of its log.
#[derive(Clone, Copy)]
pub(super) enum Beside<'a> {
    /// Of a control log: the log itself.
    Control(&'a ControlLog),
    /// Of a channel: what became of its events, unless nothing of it is here, and what of them is held.
    Channel(Option<&'a ChannelLog>, Holding<'a>),
}

/// Checks a batch against the log it belongs to. `chunks` are its payloads before sealing; `followed` becomes the number of events that were found good by themselves: where it is not
/// all of them, the next one is why the batch is not ready.
///
/// # Errors
/// A refusal, with its reason.
pub(super) fn stage(
    index: &LogIndex,
    batch: &Batch,
    chunks: &[Vec<u8>],
    key: Option<&EpochKey>,
    beside: Beside<'_>,
    trust: Trust,
    followed: &mut usize,
) -> Result<Staging, Error> {
    *followed = 0;
    let (control, channel) = match beside {
        Beside::Control(control) => (Some(control), None),
        Beside::Channel(channel, holding) => {
            (None, channel.filter(|_| trust.is_foreign()).map(|channel| (channel, holding)))
        }
    };
    let mut cursors = Vec::with_capacity(batch.authors.len());
    let mut slots = 0;
    for author in &batch.authors {
        let chain = index.chain_of(&author.device);
        let known = chain.map_or(0, |chain| index.chain_len(chain));
        let cursor = Cursor {
            chain,
            known,
            next: author.first_seq,
            hash: EventHash([0; 32]),
            lamport: 0,
            slots,
            forked_at: None,
        };
        slots += author.count as usize;
        if author.count > 0 && author.first_seq > known + 1 {
            return Ok(Staging::Waits(Wait::Event(EventRef { author: author.device, seq: known + 1 })));
        }
        cursors.push(cursor);
    }
    for (author, cursor) in batch.authors.iter().zip(&mut cursors).filter(|(author, _)| author.count > 0) {
        if author.first_seq == 1 {
            cursor.hash = index.start(&author.device, false);
        } else {
            let chain = cursor.chain.expect("a first number above 1 was compared with a known chain");
            let at = index.position(chain, author.first_seq - 1).expect("the predecessor is known");
            match index.hash(at) {
                Some(hash) => cursor.hash = hash,
                None => return Ok(Staging::NeedsHashes),
            }
            cursor.lamport = index.event(at).lamport;
        }
    }
    let mut stage = Stage {
        index,
        batch,
        cursors,
        slots: vec![u32::MAX; slots],
        hashes: Vec::with_capacity(batch.events.len()),
        fresh: Vec::with_capacity(batch.events.len()),
        steps: Vec::new(),
        header: Vec::with_capacity(256),
        parents: Vec::new(),
        trust,
        scratch: Vec::new(),
        control,
        channel,
        stripped: Vec::new(),
        found: Vec::new(),
        offered: offered(batch)?,
        names: BTreeMap::new(),
        lacking: BTreeSet::new(),
        entries: OnceCell::new(),
        latest: if batch.stubs.is_empty() { 0 } else { index.latest() },
    };
    let result = stage.follow(chunks, key);
    *followed = stage.hashes.len();
    if let Some(unready) = result? {
        return Ok(unready);
    }
    if trust != Trust::Disk {
        stage.verify_signatures()?;
    }
    stage.finish()
}

struct Stage<'a> {
    index: &'a LogIndex,
    batch: &'a Batch,
    cursors: Vec<Cursor>,
    /// Positions in the batch by author and number.
    slots: Vec<u32>,
    hashes: Vec<EventHash>,
    fresh: Vec<bool>,
    /// Events of forked authors from the fork on.
    steps: Vec<(u32, EventHash, Step)>,
    header: Vec<u8>,
    parents: Vec<EventHash>,
    trust: Trust,
    scratch: Vec<u8>,
    control: Option<&'a ControlLog>,
    /// Of a batch from a peer.
    channel: Option<(&'a ChannelLog, Holding<'a>)>,
    stripped: Vec<(usize, Vec<u8>)>,
    found: Vec<(u32, Vec<u8>)>,
    offered: BTreeMap<EventHash, Bones>,
    /// The batch's events so far by hash, where there are skeletons that may name them.
    names: BTreeMap<EventHash, EventRef>,
    /// Skeletons that have to be taken in.
    lacking: BTreeSet<EventHash>,
    /// Which authors of the batch have events in it, and where in `cursors`.
    entries: OnceCell<HashMap<DeviceId, usize>>,
    /// The largest Lamport time here or in the batch so far, if the batch has stubs.
    latest: u64,
}

/// What the skeletons in a batch say, by hash.
///
/// # Errors
/// [`Error::Event`], [`Error::Malformed`].
pub(crate) fn offered(batch: &Batch) -> Result<BTreeMap<EventHash, Bones>, Error> {
    let control = LogId::control(batch.log.space);
    batch.skeletons.iter().map(|skeleton| Ok((skeleton.hash(), skeleton.bones(&control)?))).collect()
}

impl Stage<'_> {
    /// Follows every event in turn; gives back why it had to stop, if it had to.
    fn follow(&mut self, chunks: &[Vec<u8>], key: Option<&EpochKey>) -> Result<Option<Staging>, Error> {
        let mut parents = self.batch.parents.iter();
        let mut payloads = Payloads::new(self.batch, chunks);
        for (at, event) in self.batch.events.iter().enumerate() {
            let mut lamport = 0;
            self.parents.clear();
            for parent in parents.by_ref().take(event.parents as usize) {
                match self.parent(event, *parent)? {
                    Parent::Known(hash, time) => {
                        self.parents.push(hash);
                        lamport = lamport.max(time);
                    }
                    Parent::Missing(parent) => return Ok(Some(Staging::Waits(Wait::Event(parent)))),
                    Parent::NeedsHashes => return Ok(Some(Staging::NeedsHashes)),
                }
            }
            let payload = payloads.next(at, event);
            // It stays with whoever opened it.
            if self.trust == Trust::Peer && ChannelOp::is_opened(payload) {
                return Err(Error::Payload("a text that somebody else opened"));
            }
            let op = self.batch.log.channel.and_then(|_| ChannelOp::decode(payload).ok());
            if let Some(named) = op.as_ref().and_then(|op| self.unknown_name(op)) {
                return Ok(Some(Staging::Waits(Wait::Event(named))));
            }
            let sealed = key.map(|key| (key, op.as_ref()));
            if let Some(unready) = self.event(at, event, lamport, payload, sealed)? {
                return Ok(Some(unready));
            }
        }
        Ok(None)
    }

    fn parent(&mut self, event: &BatchEvent, (author, seq): (u32, u64)) -> Result<Parent, Error> {
        let batch = self.batch;
        let entry = &batch.authors[author as usize];
        if author == event.author {
            let seq = self.cursors[author as usize].next;
            return Err(Error::Parents(EventRef { author: entry.device, seq }));
        }
        if let Some(stub) = batch.stub(author, seq) {
            let name = EventRef { author: entry.device, seq };
            // Only where the fork is proven does anybody take a parent at its word; what it says is under the signature
            // of the event that names it.
            let (hash, lamport) = (stub.hash, stub.lamport);
            let is_near = lamport <= self.latest.saturating_add(LEAP_MAX);
            let proven = !self.trust.is_foreign()
                || is_near && self.index.is_frozen(&name) && self.traces(&name, stub);
            return Ok(if proven { Parent::Known(hash, lamport) } else { Parent::Missing(name) });
        }
        let cursor = &self.cursors[author as usize];
        // Inside the batch first: an overlap with what is known here must be judged by the batch's own branch.
        if let Some(slot) = seq.checked_sub(entry.first_seq).filter(|slot| *slot < u64::from(entry.count)) {
            return Ok(match self.slots[cursor.slots + usize::try_from(slot).expect("below a count")] {
                u32::MAX => return Err(Error::Malformed("an event stands before its parent")),
                at => Parent::Known(self.hashes[at as usize], self.batch.events[at as usize].lamport),
            });
        }
        match cursor.chain.and_then(|chain| self.index.position(chain, seq)) {
            None => Ok(Parent::Missing(EventRef { author: entry.device, seq })),
            Some(at) => Ok(match self.index.hash(at) {
                Some(hash) => Parent::Known(hash, self.index.event(at).lamport),
                None => Parent::NeedsHashes,
            }),
        }
    }

    /// An event that a channel operation speaks of and that is not here yet. Its author may have left it out of the
    /// event's parents, so that some devices would hear of it first and others last; as nobody applies the operation
    /// before it, all come to the same. What a forked author signed from the fork on counts nowhere and is not everywhere:
    /// nobody waits for it.
    fn unknown_name(&self, op: &ChannelOp<'_>) -> Option<EventRef> {
        if !self.trust.is_foreign() {
            return None;
        }
        op.names().copied().find(|named| {
            !(self.index.find(named).is_some() || self.stands_before(named) || self.index.is_frozen(named))
        })
    }

    /// Whether the batch has brought this event already.
    fn stands_before(&self, named: &EventRef) -> bool {
        let authors = || self.batch.authors.iter().enumerate().filter(|(_, author)| author.count > 0);
        let entries =
            self.entries.get_or_init(|| authors().map(|(at, author)| (author.device, at)).collect());
        entries.get(&named.author).is_some_and(|at| {
            (self.batch.authors[*at].first_seq..self.cursors[*at].next).contains(&named.seq)
        })
    }

    /// Whether the causal past of an event behind a fork of a control log is known, be it by the batch's skeletons. A
    /// channel's events are judged by the control log's past, not by their own.
    fn traces(&mut self, name: &EventRef, stub: &BatchStub) -> bool {
        let Some(control) = self.control else { return true };
        let said = (*name, stub.lamport);
        if let Some(known) = control.place_of(&stub.hash) {
            return known == said;
        }
        if self.offered.get(&stub.hash).is_none_or(|bones| (bones.event, bones.lamport) != said) {
            return false;
        }
        if self.lacking.contains(&stub.hash) {
            return true;
        }
        let lacking = control.lacks_of(&[stub.hash], &self.offered, &self.names);
        lacking.map(|lacking| self.lacking.extend(lacking)).is_ok()
    }

    fn event(
        &mut self,
        at: usize,
        event: &BatchEvent,
        parents_lamport: u64,
        payload: &[u8],
        sealed: Option<(&EpochKey, Option<&ChannelOp<'_>>)>,
    ) -> Result<Option<Staging>, Error> {
        let author = self.batch.authors[event.author as usize];
        let cursor = &mut self.cursors[event.author as usize];
        let seq = cursor.next;
        let name = EventRef { author: author.device, seq };
        if Some(event.lamport) != parents_lamport.max(cursor.lamport).checked_add(1) {
            return Err(Error::Lamport(name));
        }
        self.parents.sort_unstable();
        let sealed_kind = self.batch.log.channel.is_some();
        let header = Header {
            kind: if sealed_kind { Kind::Sealed } else { Kind::Control },
            seq,
            lamport: event.lamport,
            wall_ms: event.wall_ms,
            epoch: self.batch.key.map(|key| key.epoch),
            parents: &self.parents,
            control: self.batch.controls.get(event.control as usize).map_or(&[], Vec::as_slice),
        };
        header.check()?;
        self.header.clear();
        header.write(&mut self.header);
        // The only event with nothing before it in a control log is the genesis, which is hashed without the
        // space's id because it gives it.
        let founds = !sealed_kind && seq == 1 && self.parents.is_empty();
        if founds {
            cursor.hash = self.index.start(&author.device, true);
        }
        let prefix = prefix(&cursor.hash, &self.header);
        let payload_hash = match sealed {
            Some((key, op)) => key.commit_op(&prefix, payload, op, &mut self.scratch),
            None => payload_hash(payload),
        };
        let hash = link(&prefix, &payload_hash);
        if founds && hash.0 != self.batch.log.space.0 {
            return Err(Error::Genesis);
        }
        let known = if seq <= cursor.known {
            let position = cursor.chain.and_then(|chain| self.index.position(chain, seq));
            match position.and_then(|position| self.index.hash(position)) {
                None => return Ok(Some(Staging::NeedsHashes)),
                Some(known) => Some(known),
            }
        } else {
            None
        };
        if cursor.forked_at.is_none() && known.is_some_and(|known| known != hash) {
            cursor.forked_at = Some(seq);
        }
        if cursor.forked_at.is_some() {
            self.steps.push((event.author, cursor.hash, Step { header: self.header.clone(), payload_hash }));
        }
        let here = known.filter(|known| *known == hash).and(cursor.chain);
        let here = here.and_then(|chain| self.index.position(chain, seq));
        if let (Some((channel, holding)), Some((key, Some(op)))) = (self.channel, sealed)
            && ChannelOp::is_erasable(payload)
        {
            let revised = Kept::of(op).and_then(|kept| self.index.find(kept.target()?));
            let writer = |message: u32| self.index.device(self.index.event(message).chain);
            let is_erased = |message: u32| {
                channel.state.is_deleted(message) && !holding.covers([writer(message), &author.device])
            };
            if here.is_some() || revised.is_some_and(is_erased) {
                let left = key.erase(&prefix, payload, Some(op), &mut self.scratch);
                self.stripped.extend(left.map(|left| (at, left)));
            }
            let is_missing = |at: &u32| channel.bare.contains(at) && !channel.is_condemned(*at);
            if let Some(here) = here.filter(is_missing) {
                self.found.push((here, payload.to_vec()));
            }
        }
        cursor.hash = hash;
        cursor.lamport = event.lamport;
        self.latest = self.latest.max(event.lamport);
        cursor.next += 1;
        let slot = cursor.slots + usize::try_from(seq - author.first_seq).expect("below a count");
        self.slots[slot] = u32::try_from(at).expect("a batch's events are counted in 32 bits");
        if !self.offered.is_empty() {
            self.names.insert(hash, name);
        }
        self.hashes.push(hash);
        self.fresh.push(known.is_none());
        Ok(None)
    }

    /// Checks the newest signature of every author who brings something new, or something else.
    fn verify_signatures(&self) -> Result<(), Error> {
        let signed: Vec<(DeviceId, SignedHead)> = self
            .batch
            .authors
            .iter()
            .zip(&self.cursors)
            .filter(|(author, cursor)| {
                author.count > 0 && (cursor.next - 1 > cursor.known || cursor.forked_at.is_some())
            })
            .map(|(author, cursor)| {
                let head =
                    SignedHead { seq: cursor.next - 1, hash: cursor.hash, signature: author.signature };
                (author.device, head)
            })
            .collect();
        match verify_heads(&self.batch.log, &signed).first() {
            None => Ok(()),
            Some(bad) => {
                let (author, head) = signed[*bad];
                let event = EventRef { author, seq: head.seq };
                let forked = self
                    .cursors
                    .iter()
                    .zip(&self.batch.authors)
                    .find(|(_, entry)| entry.count > 0 && entry.device == author);
                match forked.and_then(|(cursor, _)| cursor.forked_at) {
                    Some(seq) => Err(Error::Replay(EventRef { author, seq })),
                    None => Err(terachat_event::Error::Signature(event).into()),
                }
            }
        }
    }

    fn finish(self) -> Result<Staging, Error> {
        if self.steps.is_empty() {
            let taken =
                |skeleton: &&Skeleton| !self.trust.is_foreign() || self.lacking.contains(&skeleton.hash());
            let skeletons = self.batch.skeletons.iter().filter(taken).cloned().collect();
            return Ok(Staging::Ready(Staged {
                hashes: self.hashes,
                fresh: self.fresh,
                skeletons,
                stripped: self.stripped,
                found: self.found,
            }));
        }
        let forked = (0..).zip(&self.cursors).filter_map(|(at, cursor)| Some((at, cursor.forked_at?)));
        Ok(Staging::Forked(
            forked
                .map(|(at, seq)| {
                    let author = self.batch.authors[at as usize];
                    let mine = self.steps.iter().filter(|(author, ..)| *author == at);
                    let previous = mine.clone().next().expect("a fork begins with a step").1;
                    let steps = mine.map(|(.., step)| step.clone()).collect();
                    Fork {
                        author: author.device,
                        seq,
                        branch: Branch { previous, steps, signature: author.signature },
                    }
                })
                .collect(),
        ))
    }
}

enum Parent {
    Known(EventHash, u64),
    Missing(EventRef),
    NeedsHashes,
}

/// Cuts chunks into payloads.
pub(crate) struct Payloads<'a> {
    ends: Vec<usize>,
    chunks: &'a [Vec<u8>],
    chunk: usize,
    offset: usize,
}

impl<'a> Payloads<'a> {
    pub(crate) fn new(batch: &Batch, chunks: &'a [Vec<u8>]) -> Self {
        Self { ends: batch.chunk_ends(), chunks, chunk: 0, offset: 0 }
    }

    /// The payload of the event at position `at` of the batch; called for each in turn.
    pub(crate) fn next(&mut self, at: usize, event: &BatchEvent) -> &'a [u8] {
        if at == self.ends[self.chunk] {
            self.chunk += 1;
            self.offset = 0;
        }
        let from = self.offset;
        self.offset += event.payload_len as usize;
        self.chunks.get(self.chunk).and_then(|chunk| chunk.get(from..self.offset)).unwrap_or(&[])
    }
}
