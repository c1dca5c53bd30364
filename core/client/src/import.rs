use crate::api::{Answer, ImportRecord, Place};
use crate::{Client, Error};
use terachat_core_store::model::{BODY_LEN_MAX, ChannelOp, Imported, Post};
use terachat_event::EventRef;

/// Most records in one call.
const RECORDS_MAX: usize = 4096;

impl Client {
    pub(crate) fn import_position(&self, place: &Place, source: u64) -> Result<Answer, Error> {
        let log = self.place(place)?;
        Ok(Answer::ImportPosition {
            last_id: self.store.import_position(&log, &self.identity.device_id(), source),
        })
    }

    /// Appends records as events of this device, in one commit; the original author, time and reply links are kept.
    pub(crate) fn import(
        &mut self,
        place: &Place,
        source: u64,
        records: &[ImportRecord],
    ) -> Result<Answer, Error> {
        if records.len() > RECORDS_MAX || records.windows(2).any(|pair| pair[0].id >= pair[1].id) {
            return Err(Error::Input("an import takes at most 4,096 records at once, with ascending ids"));
        }
        if records
            .iter()
            .any(|record| record.body.len() > BODY_LEN_MAX || record.author.len() > 1024 || record.id == 0)
        {
            return Err(Error::Input("a record has id 0, a body over 64 KiB or an author over 1 KiB"));
        }
        let log = self.place(place)?;
        let me = self.identity.device_id();
        let last = self.store.import_position(&log, &me, source);
        let fresh = &records[records.partition_point(|record| record.id <= last)..];
        if !fresh.is_empty() {
            let first_seq =
                self.store.frontier(&log).and_then(|f| f.chain(&me).map(|chain| chain.seq)).unwrap_or(0) + 1;
            let ops: Vec<ChannelOp<'_>> = fresh
                .iter()
                .map(|record| {
                    let reply_to =
                        record.reply_to.and_then(|id| self.answered(&log, source, id, fresh, first_seq));
                    let origin =
                        Imported { source, id: record.id, ts_ms: record.ts_ms, author: &record.author };
                    let (style, body) = (record.style, record.body.as_str());
                    ChannelOp::Post(Post { style, body, reply_to, imported: Some(origin) })
                })
                .collect();
            self.post_all(log, &ops)?;
        }
        Ok(Answer::Imported { added: fresh.len(), skipped: records.len() - fresh.len() })
    }

    /// The event of the record `id`: imported before, or about to be with this call.
    fn answered(
        &self,
        log: &terachat_event::LogId,
        source: u64,
        id: u64,
        fresh: &[ImportRecord],
        first_seq: u64,
    ) -> Option<EventRef> {
        let me = self.identity.device_id();
        match fresh.binary_search_by_key(&id, |record| record.id) {
            Ok(at) => Some(EventRef { author: me, seq: first_seq + at as u64 }),
            Err(_) => self.store.imported(log, &me, source, id),
        }
    }
}
