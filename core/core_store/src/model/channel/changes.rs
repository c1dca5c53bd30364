use crate::Error;
use crate::blocks::{Lazy, Places, Stored, Values};
use crate::crdt::{LwwRegister, OrMap};
use crate::wire::{Reader, put, unzigzag, zigzag};
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::DeviceId;

/// The changes of so many positions stand together, as a power of two. Fewer in tests, so that their stories fill several.
const BLOCK_BITS: u32 = if cfg!(test) { 3 } else { 11 };
const BLOCK_BITS_MAX: u32 = 16;

/// What was said of a channel's messages, in blocks by their positions.
#[derive(Debug, Clone)]
pub(super) struct AllChanges {
    blocks: Vec<Lazy<Changes>>,
    block_bits: u32,
}

impl Default for AllChanges {
    fn default() -> Self {
        Self { blocks: Vec::new(), block_bits: BLOCK_BITS }
    }
}

impl AllChanges {
    /// What was said of the message at this position, with others.
    pub(super) fn of(&self, at: u32) -> Option<&Changes> {
        self.blocks.get((at >> self.block_bits) as usize).map(Lazy::get)
    }

    pub(super) fn of_mut(&mut self, at: u32) -> &mut Changes {
        let block = (at >> self.block_bits) as usize;
        if block >= self.blocks.len() {
            self.blocks.resize_with(block + 1, Lazy::default);
        }
        self.blocks[block].get_mut()
    }

    pub(super) fn put(&self, out: &mut Vec<u8>, values: &mut Values) {
        put(out, u64::from(self.block_bits));
        put(out, self.blocks.len() as u64);
        self.blocks.iter().for_each(|block| values.put(out, block));
    }

    /// Reads what [`AllChanges::put`] wrote for a log of `events` events.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(super) fn read(reader: &mut Reader<'_>, places: &mut Places<'_>, events: u32) -> Result<Self, Error> {
        let block_bits = reader.index(BLOCK_BITS_MAX as usize + 1)?;
        let count = reader.count(events.div_ceil(1 << block_bits) as usize)?;
        let blocks = (0..count).map(|_| places.next(reader, events)).collect::<Result<_, _>>()?;
        Ok(Self { blocks, block_bits })
    }
}

/// What was said of some messages that follow each other by position, so that a page takes those of its own messages alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    /// The message that each of them answers.
    pub(super) reply_to: BTreeMap<u32, u32>,
    /// Each answer to one of them, behind it.
    pub(super) replies: BTreeSet<(u32, u32)>,
    pub(super) edits: BTreeMap<u32, LwwRegister<u32>>,
    pub(super) reactions: OrMap<u32, (String, DeviceId)>,
    pub(super) pins: OrMap<u32, ()>,
    /// Messages with attachments.
    pub(super) attached: BTreeSet<u32>,
}

impl Changes {
    /// Every event that is named here.
    fn names(&self) -> impl Iterator<Item = u32> {
        let edits = self.edits.iter().flat_map(|(at, edit)| [*at, *edit.value()]);
        edits.chain(self.reactions.keys().chain(self.pins.keys()).chain(&self.attached).copied())
    }
}

impl Stored for Changes {
    /// How many events there are to name.
    type Context = u32;

    fn pack(&self, out: &mut Vec<u8>) {
        let replies = self.replies.iter().map(|(target, answer)| (*target, *answer));
        put_pairs(out, self.reply_to.len(), self.reply_to.iter().map(|(at, target)| (*at, *target)));
        put_pairs(out, self.replies.len(), replies);
        let rest = (&self.edits, &self.reactions, &self.pins, &self.attached);
        out.extend(postcard::to_allocvec(&rest).expect("plain values encode into a growing buffer"));
    }

    fn unpack(bytes: &[u8], events: u32) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let reply_to = read_pairs(&mut reader, events)?;
        let replies = read_pairs(&mut reader, events)?;
        let malformed = Error::Malformed("a channel's changes");
        let (edits, reactions, pins, attached) = match postcard::take_from_bytes(reader.rest()) {
            Ok((rest, [])) => rest,
            _ => return Err(malformed),
        };
        let (reply_to, replies) = (reply_to.into_iter().collect(), replies.into_iter().collect());
        let changes = Self { reply_to, replies, edits, reactions, pins, attached };
        let known = changes.names().all(|at| at < events);
        if known { Ok(changes) } else { Err(malformed) }
    }

    fn blank(_: u32) -> Self {
        Self::default()
    }
}

/// Pairs of positions, ascending: the first as a distance from the former pair's, the second as a difference after it.
fn put_pairs(out: &mut Vec<u8>, len: usize, pairs: impl Iterator<Item = (u32, u32)>) {
    put(out, len as u64);
    let mut last = 0;
    for (first, second) in pairs {
        put(out, u64::from(first - last));
        put(out, zigzag(first.into(), second.into()));
        last = first;
    }
}

fn read_pairs(reader: &mut Reader<'_>, events: u32) -> Result<Vec<(u32, u32)>, Error> {
    let mut last = 0;
    let known = |at: u64| {
        let at = u32::try_from(at).ok().filter(|at| *at < events);
        at.ok_or(Error::Malformed("a message that is no event"))
    };
    let pairs = (0..reader.count(events as usize)?).map(|_| {
        let first = known(reader.number()?.saturating_add(last))?;
        last = first.into();
        Ok((first, known(unzigzag(last, reader.number()?))?))
    });
    pairs.collect()
}
