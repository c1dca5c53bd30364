//! Events of an index as bytes: `docs/format/store.md`, "Events". They stand in blocks that are read each by itself, and in
//! these in pages of columns, so that reading writes each event once, while its page is near.
use super::{EventMeta, LogIndex, STUB};
use crate::Error;
use crate::blocks::Stored;
use crate::wire::{Reader, put, unzigzag, zigzag};
use std::collections::BTreeMap;
use std::ops::Range;
use terachat_event::PARENTS_MAX;

/// The events of a block are 2 to the power of so many. Fewer in tests, so that their stories fill several.
pub(in crate::store) const BLOCK_BITS: u32 = if cfg!(test) { 4 } else { 12 };
/// More than this, and a place in a block would need more than 16 bits.
pub(in crate::store) const BLOCK_BITS_MAX: u32 = 16;
/// Events in a page.
const PAGE: usize = 1024;

/// Some events that follow each other.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct EventBlock {
    /// The position of the first.
    from: u32,
    events: Vec<EventMeta>,
    /// Parents of all of them in turn; where an event's end is counted from here.
    parents: Vec<u32>,
    /// Their chains, ascending.
    chains: Vec<InBlock>,
    /// Places in the block, chain by chain.
    by_chain: Vec<u16>,
}

/// A chain's events in a block.
#[derive(Debug, Clone, Copy)]
struct InBlock {
    chain: u32,
    /// The number of the first of them.
    first: u32,
    /// Where they end among all chains'.
    end: u32,
}

/// What the columns of a block may name.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Bounds {
    /// The position of the block's first event.
    pub(in crate::store) from: u32,
    pub(in crate::store) len: u32,
    pub(in crate::store) chains: u32,
    pub(in crate::store) controls: u32,
    pub(in crate::store) keys: u32,
    pub(in crate::store) chunks: u32,
    pub(in crate::store) stubs: u32,
}

impl EventBlock {
    /// The events at these positions of an index.
    pub(in crate::store) fn of(index: &LogIndex, positions: Range<u32>) -> Self {
        let mut block = Self { from: positions.start, ..Self::default() };
        for at in positions {
            block.parents.extend_from_slice(index.parents_of(at));
            block.events.push(EventMeta { parents_end: number(block.parents.len()), ..*index.event(at) });
        }
        let mut first = BTreeMap::new();
        for event in &block.events {
            first.entry(event.chain).or_insert((event.seq, 0)).1 += 1;
        }
        let mut end = 0;
        for (chain, (first, count)) in first {
            end += count;
            block.chains.push(InBlock { chain, first, end });
        }
        let locals: Vec<u16> = block.events.iter().map(|event| block.local(event.chain)).collect();
        block.sort(&locals);
        block
    }

    #[inline]
    pub(super) fn event(&self, at: u32) -> &EventMeta {
        &self.events[at as usize]
    }

    #[inline]
    pub(super) fn event_mut(&mut self, at: u32) -> &mut EventMeta {
        &mut self.events[at as usize]
    }

    pub(super) fn parents_of(&self, at: u32) -> &[u32] {
        let from = at.checked_sub(1).map_or(0, |before| self.event(before).parents_end);
        &self.parents[from as usize..self.event(at).parents_end as usize]
    }

    /// Places of a chain's events, with the number of the first.
    pub(super) fn of_chain(&self, chain: u32) -> (u32, &[u16]) {
        let Ok(at) = self.chains.binary_search_by_key(&chain, |other| other.chain) else { return (1, &[]) };
        let from = at.checked_sub(1).map_or(0, |before| self.chains[before].end);
        (self.chains[at].first, &self.by_chain[from as usize..self.chains[at].end as usize])
    }

    /// The chains that have events here, each with the number of the last.
    pub(super) fn chains(&self) -> impl Iterator<Item = (u32, u32)> {
        let mut from = 0;
        self.chains.iter().map(move |chain| {
            let len = chain.end - std::mem::replace(&mut from, chain.end);
            (chain.chain, chain.first + len - 1)
        })
    }

    fn local(&self, chain: u32) -> u16 {
        let at = self.chains.partition_point(|other| other.chain < chain);
        u16::try_from(at).expect("no more chains than events in a block")
    }

    /// Sorts the places by chain; `locals` says which of the block's chains each event is of.
    fn sort(&mut self, locals: &[u16]) {
        let starts = std::iter::once(0).chain(self.chains.iter().map(|chain| chain.end));
        let mut next: Vec<u32> = starts.take(self.chains.len()).collect();
        self.by_chain = vec![0; locals.len()];
        for (at, local) in (0..).zip(locals) {
            let slot = &mut next[usize::from(*local)];
            self.by_chain[*slot as usize] = at;
            *slot += 1;
        }
    }

    fn put_page(&self, out: &mut Vec<u8>, page: Range<usize>, before: Guess) -> Guess {
        let events = &self.events[page.clone()];
        let guesses = || std::iter::once(before).chain(events.iter().map(Guess::after));
        let column = |out: &mut Vec<u8>, value: &dyn Fn(Guess, &EventMeta) -> u64| {
            guesses().zip(events).for_each(|(guess, event)| put(out, value(guess, event)));
        };
        column(out, &|_, event| u64::from(self.local(event.chain)));
        column(out, &|guess, event| zigzag(guess.lamport + 1, event.lamport));
        column(out, &|guess, event| zigzag(guess.wall_ms, event.wall_ms));
        column(out, &|_, event| u64::from(event.len));
        let places = number(page.start)..number(page.end);
        places.clone().for_each(|at| put(out, self.parents_of(at).len() as u64));
        for at in places {
            for parent in self.parents_of(at) {
                if parent & STUB == 0 {
                    put(out, u64::from(self.from + at - parent));
                } else {
                    put(out, 0);
                    put(out, u64::from(parent & !STUB));
                }
            }
        }
        // What stays the same for long: each value, and how often it follows.
        let runs = |out: &mut Vec<u8>, value: &dyn Fn(Guess, &EventMeta) -> u64| {
            let values: Vec<u64> = guesses().zip(events).map(|(guess, event)| value(guess, event)).collect();
            for run in values.chunk_by(|a, b| a == b) {
                put(out, run[0]);
                put(out, run.len() as u64);
            }
        };
        runs(out, &|_, event| u64::from(event.control));
        runs(out, &|_, event| u64::from(event.key));
        runs(out, &|guess, event| u64::from(event.chunk - guess.chunk));
        runs(out, &|guess, event| zigzag(guess.offset(event.chunk), event.offset.into()));
        events.last().map_or(before, Guess::after)
    }

    fn read_page(
        &mut self,
        reader: &mut Reader<'_>,
        page: Range<usize>,
        bounds: &Bounds,
        mut last: Guess,
        locals: &mut Vec<u16>,
    ) -> Result<Guess, Error> {
        let mut columns = [[0u64; PAGE]; 4];
        let n = page.len();
        for column in &mut columns {
            for value in &mut column[..n] {
                *value = reader.number()?;
            }
        }
        let mut parents = [0u32; PAGE];
        for count in &mut parents[..n] {
            *count = checked(reader.count(PARENTS_MAX)? as u64)?;
        }
        for (at, count) in page.zip(&mut parents) {
            let at = bounds.from + number(at);
            for _ in 0..*count {
                let parent = match reader.index(at as usize + 1)? {
                    0 => LogIndex::nth_stub(reader.index(bounds.stubs as usize)?),
                    back => at - back,
                };
                self.parents.push(parent);
            }
            *count = checked(self.parents.len() as u64)?;
        }
        let mut runs = [[0u64; PAGE]; 4];
        for column in &mut runs {
            let mut rest = &mut column[..n];
            while !rest.is_empty() {
                let value = reader.number()?;
                let run = reader.count(rest.len())?;
                if run == 0 {
                    return Err(Error::Malformed("a run of nothing"));
                }
                let (head, behind) = rest.split_at_mut(run);
                head.fill(value);
                rest = behind;
            }
        }
        let ([chains, lamports, walls, lens], [controls, keys, chunks, offsets]) = (&columns, &runs);
        for at in 0..n {
            let local = below(chains[at], number(self.chains.len()))?;
            let chain = &mut self.chains[local as usize];
            let seq = chain.first.checked_add(chain.end).ok_or(Error::Malformed("a chain's length"))?;
            chain.end += 1;
            let chunk = checked(u64::from(last.chunk).saturating_add(chunks[at]))?;
            let event = EventMeta {
                chain: chain.chain,
                seq,
                lamport: unzigzag(last.lamport + 1, lamports[at]),
                wall_ms: unzigzag(last.wall_ms, walls[at]),
                control: below(controls[at], bounds.controls.max(1))?,
                key: below(keys[at], bounds.keys.max(1))?,
                parents_end: parents[at],
                chunk: below(u64::from(chunk), bounds.chunks)?,
                offset: checked(unzigzag(last.offset(chunk), offsets[at]))?,
                len: checked(lens[at])?,
            };
            if event.lamport == u64::MAX || event.offset.checked_add(event.len).is_none() {
                return Err(Error::Malformed("an event's time or place"));
            }
            last = Guess::after(&event);
            locals.push(u16::try_from(local).map_err(|_| Error::Malformed("too many chains"))?);
            self.events.push(event);
        }
        Ok(last)
    }
}

impl Stored for EventBlock {
    type Context = Bounds;

    fn pack(&self, out: &mut Vec<u8>) {
        put(out, self.chains.len() as u64);
        let mut next = 0;
        for chain in &self.chains {
            put(out, u64::from(chain.chain - next));
            put(out, u64::from(chain.first));
            next = chain.chain + 1;
        }
        let mut last = Guess::default();
        for from in (0..self.events.len()).step_by(PAGE) {
            last = self.put_page(out, from..(from + PAGE).min(self.events.len()), last);
        }
    }

    fn unpack(bytes: &[u8], bounds: Bounds) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let len = bounds.len as usize;
        let mut block = Self { from: bounds.from, ..Self::default() };
        let mut next = 0;
        for _ in 0..reader.count(len)? {
            let chain = next + reader.index(bounds.chains.saturating_sub(next) as usize)?;
            let first = checked(reader.number()?)?;
            // Counted up while the events are read.
            block.chains.push(InBlock { chain, first, end: 0 });
            next = chain + 1;
        }
        block.events.reserve_exact(len);
        block.parents.reserve(len);
        let mut locals = Vec::with_capacity(len);
        let mut last = Guess::default();
        for from in (0..len).step_by(PAGE) {
            last = block.read_page(&mut reader, from..(from + PAGE).min(len), &bounds, last, &mut locals)?;
        }
        reader.end()?;
        let mut end = 0;
        for chain in &mut block.chains {
            if chain.first == 0 || chain.end == 0 {
                return Err(Error::Malformed("a chain's events"));
            }
            end += chain.end;
            chain.end = end;
        }
        block.sort(&locals);
        Ok(block)
    }

    fn blank(bounds: Bounds) -> Self {
        let nothing = EventMeta {
            chain: 0,
            seq: 1,
            lamport: 0,
            wall_ms: 0,
            control: 0,
            key: 0,
            parents_end: 0,
            chunk: 0,
            offset: 0,
            len: 0,
        };
        Self { from: bounds.from, events: vec![nothing; bounds.len as usize], ..Self::default() }
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).expect("a block has few events")
}

fn checked(value: u64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::Malformed("a number is beyond 32 bits"))
}

fn below(value: u64, end: u32) -> Result<u32, Error> {
    if value < u64::from(end) { checked(value) } else { Err(Error::Malformed("an index points nowhere")) }
}

/// What the next event most likely looks like.
#[derive(Default, Clone, Copy)]
struct Guess {
    lamport: u64,
    wall_ms: u64,
    chunk: u32,
    end: u32,
}

impl Guess {
    fn after(event: &EventMeta) -> Self {
        Self {
            lamport: event.lamport,
            wall_ms: event.wall_ms,
            chunk: event.chunk,
            end: event.offset + event.len,
        }
    }

    fn offset(&self, chunk: u32) -> u64 {
        if chunk == self.chunk { self.end.into() } else { 0 }
    }
}
