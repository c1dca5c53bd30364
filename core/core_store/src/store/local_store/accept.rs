//! What was judged is made durable, and then seen.
use super::{CHUNK, LocalStore, META, RECORDS};
use crate::model::SpaceState;
use crate::store::erasure::Stripped;
use crate::store::records::{self, Write};
use crate::store::space_logs::{ChannelLog, SpaceLogs};
use crate::store::validator::{Beside, Staged, Staging, Trust, stage};
use crate::store::{Block, BlockRef, compress};
use crate::sync::{Batch, Frames, encode_batch};
use crate::{Error, Wait};
use terachat_event::{ChannelId, SpaceId};

/// How hard what was put together as it came is compressed (Zstandard).
const MERGED_LEVEL: i32 = 1;

impl LocalStore {
    /// Judges a batch, recomputing old hashes where that takes them.
    pub(crate) fn stage(
        &mut self,
        batch: &Batch,
        chunks: &[Vec<u8>],
        trust: Trust,
    ) -> Result<Staging, Error> {
        self.stage_counting(batch, chunks, trust, &mut 0)
    }

    /// The same; `followed` becomes the number of events before the one that is why the batch is not ready.
    pub(crate) fn stage_counting(
        &mut self,
        batch: &Batch,
        chunks: &[Vec<u8>],
        trust: Trust,
        followed: &mut usize,
    ) -> Result<Staging, Error> {
        let (empty, blank);
        let trust = if trust == Trust::Peer && self.bares_opened { Trust::Backup } else { trust };
        self.load_cited(batch)?;
        let key = self.epoch_key(&batch.log, batch.key.as_ref());
        if batch.key.is_some() && key.is_none() {
            return Ok(Staging::Waits(Wait::Epoch(batch.key.map_or(0, |key| key.epoch))));
        }
        let index = match self.index(&batch.log) {
            Some(index) => index,
            // What is on disk may be of a channel whose creation became void since.
            None if batch.log.channel.is_none() || !trust.is_foreign() => {
                empty = self.blank_index(&batch.log);
                &empty
            }
            None => {
                return Ok(Staging::Waits(Wait::Channel(batch.log.channel.unwrap_or(ChannelId([0; 32])))));
            }
        };
        let beside = match &batch.log.channel {
            Some(_) => Beside::Channel(self.channel(&batch.log).ok(), self.holding(&batch.log)),
            None => match self.control(&batch.log.space)? {
                Some(control) => Beside::Control(control),
                None => {
                    blank = self.blank_control(&batch.log.space);
                    Beside::Control(&blank)
                }
            },
        };
        match stage(index, batch, chunks, key.as_deref(), beside, trust, followed)? {
            Staging::NeedsHashes => {
                self.recompute_hashes(&batch.log)?;
                let index = self.index(&batch.log).expect("it was there a moment ago");
                let beside = match &batch.log.channel {
                    Some(_) => Beside::Channel(self.channel(&batch.log).ok(), self.holding(&batch.log)),
                    None => {
                        Beside::Control(self.control(&batch.log.space)?.expect("it was there a moment ago"))
                    }
                };
                stage(index, batch, chunks, key.as_deref(), beside, trust, followed)
            }
            staging => Ok(staging),
        }
    }

    /// Makes a staged batch durable, together with `writes`, and then visible. Gives back the positions of the new events.
    pub(crate) fn accept(
        &mut self,
        batch: &Batch,
        chunks: &[Vec<u8>],
        frames: &Frames,
        staged: &Staged,
        mut writes: Vec<Write>,
    ) -> Result<std::ops::Range<u32>, Error> {
        writes.extend(self.skeleton_records(&batch.log.space, &staged.skeletons));
        let stripped = Stripped::of(batch, chunks, staged);
        let none = Frames::default();
        let (batch, chunks, frames) = match &stripped {
            Some(stripped) => (&stripped.batch, &stripped.chunks[..], &none),
            None => (batch, chunks, frames),
        };
        let record_block = (!writes.is_empty()).then(|| records::encode(&writes));
        // What came compressed is stored as it came; one batch has one encoding, so these are its bytes.
        let meta = if frames.meta.is_none() { encode_batch(batch) } else { Vec::new() };
        let mut blocks = vec![match &frames.meta {
            Some(frame) => Block::packed(META, frame),
            None => Block::plain(META, &meta),
        }];
        blocks.extend(chunks.iter().enumerate().map(|(at, chunk)| match frames.chunks.get(at) {
            Some(Some(frame)) => Block::packed(CHUNK, frame),
            _ => Block::plain(CHUNK, chunk),
        }));
        blocks.extend(record_block.iter().map(|body| Block::plain(RECORDS, body.expose_secret())));
        let refs = self.commit(&blocks)?;
        self.records.apply(writes);
        self.show(batch, chunks, staged, &refs[..=chunks.len()])
    }

    /// Makes staged batches of different channels, which came in pieces, durable in one commit, and then visible.
    pub(crate) fn accept_merged(&mut self, parts: &[(&Batch, &[Vec<u8>], &Staged)]) -> Result<(), Error> {
        let packed = |bytes: &[u8]| compress(bytes, MERGED_LEVEL);
        let stripped: Vec<Option<Stripped>> =
            parts.iter().map(|(batch, chunks, staged)| Stripped::of(batch, chunks, staged)).collect();
        let parts: Vec<(&Batch, &[Vec<u8>], &Staged)> = parts
            .iter()
            .zip(&stripped)
            .map(|((batch, chunks, staged), stripped)| match stripped {
                Some(stripped) => (&stripped.batch, &stripped.chunks[..], *staged),
                None => (*batch, *chunks, *staged),
            })
            .collect();
        let metas: Vec<Vec<u8>> = parts.iter().map(|(batch, ..)| packed(&encode_batch(batch))).collect();
        let chunks: Vec<Vec<Vec<u8>>> =
            parts.iter().map(|(_, chunks, _)| chunks.iter().map(|chunk| packed(chunk)).collect()).collect();
        let blocks: Vec<Block<'_>> = metas
            .iter()
            .zip(&chunks)
            .flat_map(|(meta, chunks)| {
                let chunks = chunks.iter().map(|chunk| Block::packed(CHUNK, chunk));
                std::iter::once(Block::packed(META, meta)).chain(chunks)
            })
            .collect();
        let refs = self.commit(&blocks)?;
        let mut rest = &refs[..];
        for (batch, chunks, staged) in parts {
            let (mine, behind) = rest.split_at(1 + chunks.len());
            rest = behind;
            self.show(batch, chunks, staged, mine)?;
        }
        Ok(())
    }

    /// Makes a durable batch visible: index, control log, channel state.
    pub(in crate::store) fn show(
        &mut self,
        batch: &Batch,
        chunks: &[Vec<u8>],
        staged: &Staged,
        refs: &[BlockRef],
    ) -> Result<std::ops::Range<u32>, Error> {
        let space = batch.log.space;
        self.spaces.entry(space).or_insert_with(|| SpaceLogs::new(space));
        self.know(&space, &staged.skeletons)?;
        let logs = self.spaces.get_mut(&space).expect("it was just put there");
        if let Some(id) = batch.log.channel {
            logs.channels.entry(id).or_insert_with(|| ChannelLog::new(batch.log));
        }
        let index = logs.index_mut(&batch.log).ok_or(Error::Unknown("the channel"))?;
        let from = index.len();
        index.insert(batch, &staged.fresh, &staged.hashes, refs);
        let to = index.len();
        match &batch.log.channel {
            Some(id) => logs.take_channel(id, from, batch, chunks, &staged.fresh),
            None => {
                let upset = logs.take_control(from, batch, chunks, &staged.fresh);
                if upset.cuts {
                    self.recut(batch.log.space, upset.before.as_deref())?;
                }
                // Of a fork one may have heard before the log it is in was here.
                self.adopt_proofs(&batch.log.space)?;
            }
        }
        Ok(from..to)
    }

    /// Builds a channel's state anew from its events.
    pub(crate) fn rebuild(&mut self, space: SpaceId, channel: &ChannelId) -> Result<(), Error> {
        let Some(mut logs) = self.spaces.remove(&space) else { return Ok(()) };
        let result = logs.rebuild(channel, |index, at| self.payload(index, at));
        self.spaces.insert(space, logs);
        result
    }

    /// Judges a space's channels by what its control log says now that a chain forked, and no longer as `before`.
    pub(crate) fn rejudge(&mut self, space: SpaceId, before: &SpaceState) -> Result<(), Error> {
        self.control(&space)?;
        let Some(mut logs) = self.spaces.remove(&space) else { return Ok(()) };
        let changed = logs.rejudge(|index, at| self.payload(index, at));
        self.spaces.insert(space, logs);
        changed?.into_iter().try_for_each(|id| self.rebuild(space, &id))?;
        self.recut(space, Some(before))
    }

    /// Cuts chains off where the control log says so now.
    fn recut(&mut self, space: SpaceId, before: Option<&SpaceState>) -> Result<(), Error> {
        self.control(&space)?;
        let Some(mut logs) = self.spaces.remove(&space) else { return Ok(()) };
        let changed = logs.recut(before, |index, at| self.payload(index, at));
        self.spaces.insert(space, logs);
        changed?.into_iter().try_for_each(|id| self.rebuild(space, &id))
    }
}
