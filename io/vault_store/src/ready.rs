//! What of a batch is done before it waits for the writer: records are looked up, and sealed under the version that they will
//! most likely get.
use crate::apply::{Change, Step};
use crate::collection::Collection;
use crate::plain::{self, Encoded};
use crate::store::{Source, Store};
use crate::{Error, Expect};

impl Store {
    /// Makes steps ready, and gives the number of writes before it looked anything up. What is found otherwise by whoever holds the
    /// writer is looked up and sealed again.
    ///
    /// # Errors
    /// [`Error::Batch`] when two of them are of one record; [`Error::TooLarge`], [`Error::Storage`]. Nothing is written.
    pub(crate) fn make_ready(&self, collection: &Collection, steps: &mut [Step]) -> Result<u64, Error> {
        let since = self.engine.writes();
        let mut steps: Vec<&mut Step> = steps.iter_mut().collect();
        // Records that stand beside each other are found on nearly the same way.
        steps.sort_unstable_by_key(|step| step.record);
        if steps.windows(2).any(|pair| pair[0].record == pair[1].record) {
            return Err(Error::Batch("names one record twice"));
        }
        self.helpers
            .share(&mut steps, |part| part.iter_mut().try_for_each(|step| self.ready(collection, step)))?;
        Ok(since)
    }

    fn ready(&self, collection: &Collection, step: &mut Step) -> Result<(), Error> {
        let head = self.head_to_change(&collection.id, &step.record)?;
        if let Change::Put { expect, keep_until_ms, stored_ms, content, compress, sealed } = &mut step.change
            && collection.exists
        {
            let version = match (*expect, &head) {
                (Expect::Version(version), _) => version.saturating_add(1),
                (_, Some(head)) => head.last + 1,
                (_, None) => 1,
            };
            let plain = plain::Head {
                id: &step.id,
                stored_ms: *stored_ms,
                keep_until_ms: *keep_until_ms,
                restored_from: None,
            };
            let content = Encoded::of(content)?;
            let source = Source::Parts(&plain, &content);
            *sealed = Some(self.seal(collection, &step.record, version, &source, *compress)?);
        }
        step.seen = Some(head);
        Ok(())
    }
}
