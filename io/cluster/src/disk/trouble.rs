//! Whether a disk or a bucket keeps shards and gives them: what the last works of each kind came to.
use std::collections::BTreeMap;
use terachat_cluster::{Call, DiskDone, DiskWork, Error};
use terachat_shard::StripeId;

/// What was last tried in vain. That something is given does not say that there is room, so the two are told apart.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    keeping: Option<String>,
    /// And the stripes, first and last, of which something was to be read.
    reading: Option<(String, [StripeId; 2])>,
}

/// What a work asks of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// To write.
    Keeps,
    /// To read of these stripes, first and last.
    Reads([StripeId; 2]),
}

/// The kinds of these works.
pub(super) fn kinds(works: &[(Call, DiskWork)]) -> BTreeMap<Call, Kind> {
    let kind = |work: &DiskWork| match work {
        DiskWork::Keep(_) | DiskWork::KeepAlone(_) | DiskWork::Drop(_) | DiskWork::Compact => Kind::Keeps,
        DiskWork::Fetch(stripe, _) => Kind::Reads([*stripe, *stripe]),
        DiskWork::Count(first, last) => Kind::Reads([*first, *last]),
        DiskWork::Reread { .. } => Kind::Reads([StripeId([0; 16]), StripeId([u8::MAX; 16])]),
    };
    works.iter().map(|(call, work)| (*call, kind(work))).collect()
}

impl Trouble {
    /// Takes in what was done, and gives what is to be said if that is news: why it fails, or `None` for that it does no longer. The log is
    /// told, too, with the first failure and the last; other nodes only hear that this one does not keep or give.
    pub(super) fn learn(
        &mut self,
        kinds: &BTreeMap<Call, Kind>,
        done: &[(Call, DiskDone)],
    ) -> Option<Option<String>> {
        let before = self.now().cloned();
        for (call, done) in done {
            match (kinds.get(call), done) {
                (Some(Kind::Keeps), DiskDone::Failed(error)) if is_the_disks(error) => {
                    self.keeping.get_or_insert_with(|| told("shards are not kept", error));
                }
                (Some(Kind::Reads(stripes)), DiskDone::Failed(error)) if is_the_disks(error) => {
                    self.reading.get_or_insert_with(|| (told("shards are not read", error), *stripes));
                }
                // What takes as much room as what failed. Giving shards up needs next to none.
                (_, DiskDone::Kept(..)) => self.keeping = None,
                (_, DiskDone::Fetched(Some(_)) | DiskDone::Uncounted(1..)) => self.reading = None,
                (_, DiskDone::Reread(step, _)) if step.bytes > 0 => self.reading = None,
                // What could not be read is read again before it is counted.
                (Some(Kind::Reads([first, last])), DiskDone::Counted(_)) => {
                    self.reading.take_if(|(_, failed)| *first <= failed[1] && failed[0] <= *last);
                }
                _ => {}
            }
        }
        let now = self.now();
        if before.is_some() && now.is_none() {
            tracing::info!("shards are kept and read again");
        }
        (before.as_ref() != now).then(|| now.cloned())
    }

    fn now(&self) -> Option<&String> {
        self.keeping.as_ref().or(self.reading.as_ref().map(|(why, _)| why))
    }
}

/// The disk's or the bucket's, and not a shard's.
fn is_the_disks(error: &Error) -> bool {
    matches!(error, Error::Storage(_) | Error::Objects(_))
}

fn told(what: &str, error: &Error) -> String {
    tracing::warn!(%error, "{what}");
    format!("{what}: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use terachat_cluster::{Scrubbed, Usage};
    use terachat_shard::{ShardHash, StripeId};
    use terachat_storage::{Operation, StorageError, StorageErrorKind};

    const STRIPE: StripeId = StripeId([1; 16]);

    fn keep() -> DiskWork {
        DiskWork::Keep(vec![1])
    }

    fn fetch() -> DiskWork {
        DiskWork::Fetch(STRIPE, 0)
    }

    fn failed(operation: Operation) -> DiskDone {
        DiskDone::Failed(StorageError::new(StorageErrorKind::Io, operation, "1.segment").into())
    }

    #[test]
    fn what_is_given_does_not_hide_that_nothing_is_kept() {
        let mut trouble = Trouble::default();
        let mut learn = |work: DiskWork, done: DiskDone| {
            let works = [(Call(7), work)];
            trouble.learn(&kinds(&works), &[(Call(7), done)])
        };
        let kept = || DiskDone::Kept(STRIPE, 0, ShardHash([2; 32]));
        let given = || DiskDone::Fetched(Some(vec![1]));
        assert_eq!(learn(keep(), kept()), None, "nothing is new");
        let why = learn(keep(), failed(Operation::Append)).flatten().unwrap();
        assert!(why.contains("not kept") && why.contains("1.segment"), "{why}");
        assert_eq!(learn(keep(), failed(Operation::Sync)), None, "it is said already");
        for (work, done) in [
            (fetch(), given()),
            (DiskWork::Drop(vec![(STRIPE, 0)]), DiskDone::Done(Usage::default())),
            (fetch(), DiskDone::Fetched(None)),
            (fetch(), DiskDone::Failed(Error::Rotten { stripe: STRIPE, index: 0 })),
        ] {
            assert_eq!(learn(work, done), None);
        }
        assert_eq!(learn(keep(), kept()), Some(None), "there is room again");
        let why = learn(fetch(), failed(Operation::Read)).flatten().unwrap();
        assert!(why.contains("not read"), "{why}");
        assert_eq!(learn(keep(), kept()), None, "what is written may be unreadable");
        let count = |first, last| DiskWork::Count(StripeId([first; 16]), StripeId([last; 16]));
        assert_eq!(learn(count(2, 9), DiskDone::Counted(Vec::new())), None, "that was of others");
        assert_eq!(learn(count(0, 9), DiskDone::Counted(Vec::new())), Some(None));
        assert!(learn(count(0, 9), failed(Operation::Read)).flatten().is_some());
        let works = DiskWork::Reread { budget: 1, anew: false };
        let read = |bytes| DiskDone::Reread(Scrubbed { bytes, ..Scrubbed::default() }, Usage::default());
        assert_eq!(learn(works.clone(), read(0)), None, "nothing was read");
        assert_eq!(learn(works, read(1)), Some(None));
    }
}
