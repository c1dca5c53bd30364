use super::{Board, BoardError, BoardRecord, Cursor, DHT_RECORD_LEN, Listing, Published, RecordKey};
use std::collections::BTreeMap;

/// A board in memory with a DHT's limit: for tests and simulations. Nothing outlives the value.
#[derive(Debug, Clone)]
pub struct MemoryBoard {
    id: [u8; 16],
    records: BTreeMap<RecordKey, BoardRecord>,
    came: Vec<RecordKey>,
}

impl MemoryBoard {
    /// No records.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same under another name: another board.
    pub fn renamed(self, id: [u8; 16]) -> Self {
        Self { id, ..self }
    }

    /// Keys of the records here, ascending.
    pub fn keys(&self) -> impl Iterator<Item = RecordKey> + '_ {
        self.records.keys().copied()
    }

    /// Loses a record, as boards may.
    pub fn lose(&mut self, key: &RecordKey) -> Option<BoardRecord> {
        self.records.remove(key)
    }
}

impl Default for MemoryBoard {
    fn default() -> Self {
        Self { id: *b"board in memory.", records: BTreeMap::new(), came: Vec::new() }
    }
}

impl Board for MemoryBoard {
    fn id(&self) -> [u8; 16] {
        self.id
    }

    fn record_len_max(&self) -> usize {
        DHT_RECORD_LEN
    }

    fn publish(&mut self, record: &BoardRecord, now_ms: u64) -> Result<Published, BoardError> {
        let published = record.admit(self.records.get(&record.key()), self.record_len_max(), now_ms)?;
        if published == Published::Added {
            self.came.push(record.key());
        }
        if published != Published::Known {
            self.records.insert(record.key(), record.clone());
        }
        Ok(published)
    }

    fn fetch(&self, key: &RecordKey, now_ms: u64) -> Result<Option<BoardRecord>, BoardError> {
        Ok(self.records.get(key).filter(|record| record.expires_ms() > now_ms).cloned())
    }

    fn list(&self, after: &Cursor, max: usize) -> Result<Listing, BoardError> {
        let place = after.0.as_slice().try_into().ok().map(u64::from_le_bytes);
        let from = place.and_then(|at| usize::try_from(at).ok()).filter(|at| *at <= self.came.len());
        let from = from.unwrap_or(0);
        let to = self.came.len().min(from.saturating_add(max));
        let next = Cursor((to as u64).to_le_bytes().to_vec());
        Ok(Listing { keys: self.came[from..to].to_vec(), next, more: to < self.came.len() })
    }

    fn collect(&mut self, now_ms: u64) -> Result<usize, BoardError> {
        let before = self.records.len();
        self.records.retain(|_, record| record.expires_ms() > now_ms);
        Ok(before - self.records.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conforms() {
        super::super::suite::conforms(&mut || Box::new(MemoryBoard::new()));
    }
}
