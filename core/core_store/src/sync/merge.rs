//! Bundles put together as one batch, as they come; `merged.rs` judges it.
use super::{Batch, BatchAuthor, BatchEvent, Bundle, ChunkLen, KeyId, Outcome};
use crate::Error;
use crate::model::EpochKey;
use crate::store::index::LogIndex;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use terachat_event::{DeviceId, EventHash, EventRef, LogId};

/// Most events put together. A proof of equivocation holds twice as many, so that a chain that forked inside shows it.
pub(crate) const MERGED_EVENTS_MAX: usize = 2048;
/// Most bytes of payloads put together, but for a single event that is larger.
pub(crate) const MERGED_PAYLOADS_MAX: usize = 512 << 10;

/// Bundles of one log and one epoch, one behind the other, as one batch that nobody has judged yet.
pub(super) struct Merge {
    pub(super) batch: Batch,
    /// Of all events in turn.
    payloads: Vec<u8>,
    /// Where each event's payload ends in them, and its parents in the batch's.
    ends: Vec<(usize, usize)>,
    authors: HashMap<DeviceId, u32>,
    controls: HashMap<Vec<EventHash>, u32>,
    /// Each author's events by number, from its first one here.
    positions: Vec<Vec<u32>>,
    pub(super) bundles: Vec<Part>,
    /// Places of bundles between these that are not among them, and what became of them, if these are what they seem to be.
    pub(super) asides: Vec<(usize, Result<Outcome, Error>)>,
}

/// One bundle of a merge.
pub(super) struct Part {
    /// Its place among those that were handed in.
    pub(super) number: usize,
    /// Where its events end in the batch.
    pub(super) end: usize,
    /// How many of its events bundles before it had brought, byte for byte.
    pub(super) repeated: usize,
}

/// What became of a bundle that was to be put with others.
pub(super) enum Joined {
    /// It is among them.
    Yes,
    /// It begins behind an event that is neither here nor among them.
    Gap(EventRef),
    /// It does not fit with these: it is full, or of another epoch, or something else is to be judged by itself.
    No,
}

impl Merge {
    pub(super) fn new(log: LogId, key: Option<KeyId>) -> Self {
        let batch = Batch {
            log,
            key,
            authors: Vec::new(),
            controls: Vec::new(),
            chunk_len: ChunkLen::Short,
            events: Vec::new(),
            parents: Vec::new(),
            stubs: Vec::new(),
            skeletons: Vec::new(),
        };
        Self {
            batch,
            payloads: Vec::new(),
            ends: Vec::new(),
            authors: HashMap::new(),
            controls: HashMap::new(),
            positions: Vec::new(),
            bundles: Vec::new(),
            asides: Vec::new(),
        }
    }

    pub(super) fn payload_len(&self) -> usize {
        self.payloads.len()
    }

    /// Puts a bundle behind the others, if it fits; otherwise nothing changes.
    ///
    /// # Errors
    /// [`Error::Sealed`], [`Error::Malformed`]: its payloads do not open.
    pub(super) fn join(
        &mut self,
        number: usize,
        bundle: &Bundle,
        index: &LogIndex,
        key: Option<&EpochKey>,
    ) -> Result<Joined, Error> {
        let other = &bundle.batch;
        let len = other.events.iter().map(|event| event.payload_len as usize).sum::<usize>();
        let fits = self.bundles.is_empty()
            || self.batch.events.len() + other.events.len() <= MERGED_EVENTS_MAX
                && self.payloads.len() + len <= MERGED_PAYLOADS_MAX;
        if !fits || self.batch.key != other.key {
            return Ok(Joined::No);
        }
        let before = self.payloads.len();
        let mut opened = std::mem::take(&mut self.payloads);
        let result = bundle.open_onto(key, &mut opened);
        self.payloads = opened;
        if let Err(error) = result {
            self.payloads.truncate(before);
            return Err(error);
        }
        let joined = self.append(number, other, before, index);
        if !matches!(joined, Joined::Yes) {
            self.payloads.truncate(before);
        }
        Ok(joined)
    }

    /// The same of a bundle whose payloads stand behind the others, from `payload` on.
    fn append(&mut self, number: usize, other: &Batch, payload: usize, index: &LogIndex) -> Joined {
        for author in other.authors.iter().filter(|author| author.count > 0) {
            let known = index.chain_of(&author.device).map_or(0, |chain| index.chain_len(chain));
            let entry = self.authors.get(&author.device).map(|at| &self.batch.authors[*at as usize]);
            let entry = entry.filter(|entry| entry.count > 0);
            let next = entry.map(|entry| entry.first_seq + u64::from(entry.count));
            let here = next.unwrap_or(0).max(known + 1);
            if author.first_seq > here {
                return Joined::Gap(EventRef { author: author.device, seq: here });
            }
            // One that repeats what was long here is not followed by its author's next one.
            if next.is_some_and(|next| author.first_seq > next)
                || entry.is_some_and(|entry| author.first_seq < entry.first_seq)
            {
                return Joined::No;
            }
        }
        let marks = self.marks();
        let authors: Vec<u32> = other.authors.iter().map(|author| self.author(author)).collect();
        let controls: Vec<u32> = other.controls.iter().map(|list| self.control(list)).collect();
        let counts: Vec<(u32, u64, u32)> = authors
            .iter()
            .map(|at| (*at, &self.batch.authors[*at as usize]))
            .map(|(at, entry)| (at, entry.first_seq, entry.count))
            .collect();
        let mut named = authors.clone();
        named.sort_unstable();
        let is_once = named.windows(2).all(|pair| pair[0] != pair[1]);
        let repeated =
            if is_once { self.append_events(other, payload, &authors, &controls, index) } else { None };
        let Some(repeated) = repeated else {
            self.take_back(marks, &counts);
            return Joined::No;
        };
        for (author, at) in other.authors.iter().zip(&authors).filter(|(author, _)| author.count > 0) {
            let entry = &mut self.batch.authors[*at as usize];
            // The newest signature covers what is before it.
            if author.first_seq + u64::from(author.count) == entry.first_seq + u64::from(entry.count) {
                entry.signature = author.signature;
            }
        }
        self.bundles.push(Part { number, end: self.batch.events.len(), repeated });
        Joined::Yes
    }

    fn marks(&self) -> [usize; 4] {
        let batch = &self.batch;
        [batch.events.len(), batch.parents.len(), batch.authors.len(), batch.controls.len()]
    }

    /// Takes back what was appended since these marks, when `counts` were its authors' first numbers and counts.
    fn take_back(&mut self, [events, parents, authors, controls]: [usize; 4], counts: &[(u32, u64, u32)]) {
        self.batch.events.truncate(events);
        self.ends.truncate(events);
        self.batch.parents.truncate(parents);
        for (at, first_seq, count) in counts {
            let entry = &mut self.batch.authors[*at as usize];
            (entry.first_seq, entry.count) = (*first_seq, *count);
            self.positions[*at as usize].truncate(*count as usize);
        }
        for author in self.batch.authors.drain(authors..) {
            self.authors.remove(&author.device);
        }
        self.positions.truncate(authors);
        for list in self.batch.controls.drain(controls..) {
            self.controls.remove(&list);
        }
    }

    /// Appends what is new among a bundle's events and gives how many are not; `None` where one differs from its namesake
    /// here, or has a parent that is not here before it.
    fn append_events(
        &mut self,
        other: &Batch,
        payload: usize,
        authors: &[u32],
        controls: &[u32],
        index: &LogIndex,
    ) -> Option<usize> {
        let mut next: Vec<u64> = other.authors.iter().map(|author| author.first_seq).collect();
        let (mut parents, mut from, mut to, mut repeated) = (other.parents.iter(), payload, payload, 0);
        let mut mine: Vec<(u32, u64)> = Vec::new();
        for event in &other.events {
            let author = authors[event.author as usize];
            let seq = next[event.author as usize];
            next[event.author as usize] += 1;
            let end = from + event.payload_len as usize;
            mine.clear();
            let named = parents.by_ref().take(event.parents as usize);
            mine.extend(named.map(|(author, seq)| (authors[*author as usize], *seq)));
            let event = BatchEvent {
                author,
                control: controls.get(event.control as usize).copied().unwrap_or(0),
                ..*event
            };
            let entry = &mut self.batch.authors[author as usize];
            if entry.count == 0 {
                entry.first_seq = seq;
            }
            let slot = usize::try_from(seq - entry.first_seq).ok()?;
            if let Some(at) = self.positions[author as usize].get(slot) {
                if !self.is_same(*at, &event, &mut mine, from..end) {
                    return None;
                }
                repeated += 1;
            } else {
                entry.count += 1;
                if mine.iter().any(|(author, seq)| !self.holds(*author, *seq, index)) {
                    return None;
                }
                let at = u32::try_from(self.batch.events.len()).ok()?;
                self.positions[author as usize].push(at);
                self.batch.parents.append(&mut mine);
                self.batch.events.push(event);
                // What was left out leaves a gap before it.
                self.payloads.copy_within(from..end, to);
                to += end - from;
                self.ends.push((to, self.batch.parents.len()));
            }
            from = end;
        }
        self.payloads.truncate(to);
        Some(repeated)
    }

    /// Whether an event is here or was there before.
    fn holds(&self, author: u32, seq: u64, index: &LogIndex) -> bool {
        let entry = &self.batch.authors[author as usize];
        let slot = seq.checked_sub(entry.first_seq).and_then(|slot| usize::try_from(slot).ok());
        // Inside the batch first, as whoever judges it does.
        if slot.is_some_and(|slot| slot < self.positions[author as usize].len()) {
            return true;
        }
        index.find(&EventRef { author: entry.device, seq }).is_some()
    }

    /// Whether the event at this position says what this one does, and so has its hash.
    fn is_same(
        &self,
        at: u32,
        event: &BatchEvent,
        parents: &mut [(u32, u64)],
        payload: std::ops::Range<usize>,
    ) -> bool {
        let at = at as usize;
        let from = at.checked_sub(1).map_or((0, 0), |before| self.ends[before]);
        let to = self.ends[at];
        let mut held = self.batch.parents[from.1..to.1].to_vec();
        // The header names them by hash, so their order here says nothing.
        held.sort_unstable();
        parents.sort_unstable();
        self.batch.events[at] == *event
            && held == parents
            && self.payloads.get(from.0..to.0) == self.payloads.get(payload)
    }

    fn author(&mut self, author: &BatchAuthor) -> u32 {
        match self.authors.entry(author.device) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(free) => {
                let at =
                    u32::try_from(self.batch.authors.len()).expect("each costs more than a byte of input");
                self.batch.authors.push(BatchAuthor { count: 0, signature: [0; 64], ..*author });
                self.positions.push(Vec::new());
                *free.insert(at)
            }
        }
    }

    fn control(&mut self, list: &[EventHash]) -> u32 {
        if let Some(known) = self.controls.get(list) {
            return *known;
        }
        let at = u32::try_from(self.batch.controls.len()).expect("each costs more than a byte of input");
        self.batch.controls.push(list.to_vec());
        self.controls.insert(list.to_vec(), at);
        at
    }

    /// Which of the bundles holds the event at this position.
    pub(super) fn bundle_of(&self, at: usize) -> usize {
        self.bundles.partition_point(|part| part.end <= at)
    }

    /// Nothing more is put to it: gives the payloads, cut into chunks.
    pub(super) fn chunks(&mut self) -> Vec<Vec<u8>> {
        self.batch.chunk_len = ChunkLen::for_history(self.payloads.len());
        let mut from = 0;
        let cut = |end: usize| {
            let to = self.ends[end - 1].0;
            let chunk = self.payloads[from..to].to_vec();
            from = to;
            chunk
        };
        self.batch.chunk_ends().into_iter().map(cut).collect()
    }
}
