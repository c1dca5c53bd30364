//! Contents of events, as they lie in the log, and hashes made anew from them.
use super::LocalStore;
use crate::Error;
use crate::store::BlockRef;
use crate::store::index::LogIndex;
use std::sync::Arc;
use terachat_event::{EventHash, LogId, Prefix, link, payload_hash, prefix};

/// Bytes of payload chunks kept unpacked, besides the last one that was asked for.
pub(super) const CACHE_BYTES: usize = 2 << 20;
/// Chunks kept at most. A message that came alone is a chunk of its own: a page shows more of them than large chunks are kept.
pub(super) const CACHE_LEN: usize = 128;

impl LocalStore {
    /// The payload of an event before sealing, or what is left of it.
    pub(crate) fn payload(&self, index: &LogIndex, at: u32) -> Result<Vec<u8>, Error> {
        let stored = self.stored_payload(index, at)?;
        Ok(self.restored(index, at, &stored).map_or(stored, <[u8]>::to_vec))
    }

    /// The same as it stands in its chunk.
    pub(in crate::store) fn stored_payload(&self, index: &LogIndex, at: u32) -> Result<Vec<u8>, Error> {
        let event = index.event(at);
        let chunk = self.chunk(index.chunk_of(at))?;
        let (from, to) = (event.offset as usize, (event.offset + event.len) as usize);
        chunk
            .get(from..to)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| Error::Corrupt(format!("event {} lies outside its chunk", index.event_ref(at))))
    }

    pub(crate) fn chunk(&self, at: BlockRef) -> Result<Arc<Vec<u8>>, Error> {
        let mut cache = self.cache.borrow_mut();
        if let Some(found) = cache.iter().rposition(|(key, _)| *key == at) {
            let entry = cache.remove(found);
            cache.push(entry);
        } else {
            let chunk = Arc::new(self.log.read(at)?);
            let mut held = cache.iter().map(|(_, chunk)| chunk.len()).sum::<usize>();
            while !cache.is_empty() && (cache.len() >= CACHE_LEN || held + chunk.len() > CACHE_BYTES) {
                held -= cache.remove(0).1.len();
            }
            cache.push((at, chunk));
        }
        Ok(Arc::clone(&cache.last().expect("one was just put there").1))
    }

    /// Forgets the chunks at hand: blocks have moved.
    pub(in crate::store) fn forget_chunks(&self) {
        self.cache.borrow_mut().clear();
    }

    /// Recomputes the hashes of all events of a log from its stored headers and payloads.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when they do not lead to the heads that were signed.
    pub(crate) fn recompute_hashes(&mut self, log: &LogId) -> Result<(), Error> {
        let Some(index) = self.index(log) else { return Ok(()) };
        let hashes = self.hashes(index)?;
        let index = self
            .spaces
            .get_mut(&log.space)
            .and_then(|logs| logs.index_mut(log))
            .expect("it was there a moment ago");
        index.hashes = hashes;
        index.hashes_from = 0;
        Ok(())
    }

    /// The same, if one of them is not at hand.
    pub(crate) fn recompute_missing(&mut self, log: &LogId) -> Result<(), Error> {
        let missing = |index: &LogIndex| (0..index.len()).any(|at| index.hash(at).is_none());
        if self.index(log).is_some_and(missing) { self.recompute_hashes(log) } else { Ok(()) }
    }

    fn hashes(&self, index: &LogIndex) -> Result<Vec<EventHash>, Error> {
        let mut hashes: Vec<EventHash> = Vec::with_capacity(index.len() as usize);
        let (mut header, mut scratch) = (Vec::new(), Vec::new());
        for at in 0..index.len() {
            let event = index.event(at);
            index
                .header(at, |parent| hashes.get(parent as usize).copied(), &mut header)
                .expect("parents come first");
            let before = match index.predecessor(at) {
                Some(before) => hashes[before as usize],
                None => index.start_of(at),
            };
            let prefix = prefix(&before, &header);
            let hash = link(&prefix, &self.hash_payload(index, at, &prefix, &mut scratch)?);
            let head = &index.chains[event.chain as usize].head;
            if head.seq == u64::from(event.seq) && head.hash != hash {
                return Err(Error::Corrupt(format!(
                    "event {} has another hash than its author signed",
                    index.event_ref(at)
                )));
            }
            hashes.push(hash);
        }
        Ok(hashes)
    }

    /// The hash by which the payload of the event at this position stands.
    pub(crate) fn hash_payload(
        &self,
        index: &LogIndex,
        at: u32,
        prefix: &Prefix,
        scratch: &mut Vec<u8>,
    ) -> Result<[u8; 32], Error> {
        let payload = self.payload(index, at)?;
        let Some(id) = index.key(at) else { return Ok(payload_hash(&payload)) };
        let key = self.epoch_key(&index.log, Some(id)).ok_or(Error::NoKey(id.epoch))?;
        Ok(key.commit_body(prefix, &payload, scratch))
    }
}
