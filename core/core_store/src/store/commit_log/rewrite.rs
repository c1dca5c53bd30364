//! Puts a closed segment's content in fewer, larger blocks: `docs/format/commit-log.md`, "Rewriting".
use super::block::{Block, BlockRef};
use super::blocks::Blocks;
use super::frame::{self, COMMIT, SYNCED};
use super::keys::LogKeys;
use super::recover::End;
use super::secrets::SNAPSHOT;
use super::segment::{HEADER_LEN, Rewritten, SegmentHeader, file_name};
use super::segments::Place;
use super::{Closed, CommitLog, check_len};
use crate::store::Error;

impl CommitLog {
    /// How often segments were rewritten: when it changes, what named places before may name others now.
    pub(crate) fn rewritten(&self) -> u32 {
        super::rewrites(&self.closed)
    }

    /// Bytes of the log before this block.
    pub(crate) fn bytes_before(&self, at: BlockRef) -> u64 {
        let closed = self.closed.iter().take((at.segment as usize).saturating_sub(1));
        closed.map(|closed| closed.len).sum::<u64>() + u64::from(at.offset)
    }

    /// Number of segments that nothing is added to any more; they are numbered from 1.
    pub(crate) fn closed_segments(&self) -> u32 {
        u32::try_from(self.closed.len()).expect("segments are counted in 32 bits")
    }

    /// Whether a segment was rewritten already.
    pub(crate) fn is_rewritten(&self, segment: u32) -> bool {
        let slot = (segment as usize).checked_sub(1);
        slot.and_then(|slot| self.closed.get(slot)).is_some_and(|closed| closed.rewritten > 0)
    }

    /// The blocks of one segment in the order they were committed.
    ///
    /// # Errors
    /// Each item can fail: see [`Blocks`].
    pub(crate) fn blocks_of(&self, segment: u32) -> Blocks<'_> {
        let mut lens = self.closed_lens();
        lens.push(self.end.place.offset);
        lens.truncate(segment as usize);
        Blocks::new(&self.segments, lens, End::empty(segment, None).place)
    }

    /// Puts `commits` in the place of all that a closed segment holds, atomically and durably, and says where their
    /// blocks are now, and destroys the secret of what it held. The last snapshot is void from then on. References into the
    /// segment lead nowhere any more.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::TooLarge`], [`Error::NoSuchBlock`] for a segment that is not closed; [`Error::Storage`]:
    /// mostly the old segment is still there, but only opening the log anew tells.
    pub(crate) fn rewrite(
        &mut self,
        segment: u32,
        commits: &[Vec<Block<'_>>],
    ) -> Result<Vec<Vec<BlockRef>>, Error> {
        let none = Error::NoSuchBlock { segment, offset: 0 };
        let slot = (segment as usize).checked_sub(1).filter(|slot| *slot < self.closed.len()).ok_or(none)?;
        commits.iter().try_for_each(|commit| check_len(commit))?;
        let file = file_name(segment);
        let head = self.segments.storage.read(&file, 0, HEADER_LEN)?;
        let (mut header, _) = SegmentHeader::parse(&head, &file, segment, &self.store_key)?;
        let times = self.closed[slot].rewritten + 1;
        let [secret, of_snapshot] = [self.salts.secret(), self.salts.secret()];
        // Beside the former ones, since a crash may come before the segment is replaced.
        let of_all = (SNAPSHOT, self.rewritten().saturating_add(1));
        self.write_secrets(&[((segment, times), &secret), (of_all, &of_snapshot)])?;
        let salt = self.salts.next();
        let key = LogKeys::session_of(&secret, segment, &salt);
        let with = (segment, &self.segments.keys, &key);
        // The header comes first and says where all ends: its place is kept free.
        let mut bytes = vec![0; HEADER_LEN];
        let mut place = End::empty(segment, None).place;
        frame::write_session(&mut bytes, with, (place.number, SYNCED), &salt);
        place.session = Some(u32::try_from(place.offset).expect("a header's length"));
        let mut places = Vec::with_capacity(commits.len());
        for commit in commits {
            let mut of_commit = Vec::with_capacity(commit.len());
            for (at, block) in commit.iter().enumerate() {
                let first = if at == 0 && !places.is_empty() { SYNCED } else { 0 };
                let last = if at + 1 == commit.len() { COMMIT } else { 0 };
                place = Place { offset: bytes.len() as u64, number: place.number + 1, ..place };
                frame::write_block(&mut bytes, with, (place.number, first | last), block);
                of_commit.push(place.reference());
            }
            places.push(of_commit);
        }
        let last = *places.last().and_then(|of_commit| of_commit.last()).ok_or(Error::Empty)?;
        let len =
            u32::try_from(bytes.len()).map_err(|_| Error::TooLarge { len: bytes.len(), max: 1 << 30 })?;
        header.rewritten = Some(Rewritten { times, len, last });
        bytes[..HEADER_LEN].copy_from_slice(&header.to_bytes(&self.segments.keys));
        self.segments.storage.replace(&file, &bytes)?;
        self.segments.forget(segment, 0);
        self.segments.keys.own.extend([(segment, secret), (SNAPSHOT, of_snapshot)]);
        self.closed[slot] = Closed { len: u64::from(len), rewritten: times };
        for end in [&mut self.end, &mut self.synced] {
            if end.last.is_some_and(|block| block.segment == segment) {
                end.last = Some(last);
            }
        }
        // What the segment held, and the snapshot of then, opens with no key any more.
        self.write_secrets(&[])?;
        Ok(places)
    }
}
