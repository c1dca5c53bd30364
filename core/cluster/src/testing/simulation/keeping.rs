//! Where a node of the simulation keeps its shards: on a disk, or in a bucket.
use super::trace::{Trace, Traced};
use crate::testing::Dice;
use crate::{
    BucketOptions, BucketStore, MemoryObjects, Objects, ObjectsFault, Options, SegmentStore, ShardStore,
};
use terachat_storage::{CrashStorage, Fault, Storage};

/// A handle: clones are the same place.
#[derive(Clone)]
pub(super) enum Keeping {
    Disk(CrashStorage),
    Bucket(MemoryObjects),
}

impl Keeping {
    pub(super) fn disk(seed: u64) -> Self {
        Self::Disk(CrashStorage::new(seed))
    }

    pub(super) fn bucket() -> Self {
        Self::Bucket(MemoryObjects::default())
    }

    /// Opens it for this node, while `trace` looks on.
    pub(super) fn open(&self, of: u32, trace: &Trace) -> Box<dyn ShardStore> {
        let trace = trace.clone();
        match self {
            Self::Disk(disk) => {
                let options = Options { segment_len: 64 << 10 };
                let disk = Traced { inner: disk.clone(), of, trace };
                Box::new(SegmentStore::open(Box::new(disk), options).unwrap().0)
            }
            Self::Bucket(objects) => {
                let options = BucketOptions { object_len: 16 << 10 };
                let objects = Traced { inner: objects.clone(), of, trace };
                Box::new(BucketStore::open(Box::new(objects), options).unwrap().0)
            }
        }
    }

    /// What is left when the machine stops at once.
    pub(super) fn crash(&self) -> Self {
        match self {
            Self::Disk(disk) => Self::Disk(disk.crash()),
            Self::Bucket(objects) => Self::Bucket(objects.restart()),
        }
    }

    /// Changes so far.
    pub(super) fn operations(&self) -> u64 {
        match self {
            Self::Disk(disk) => disk.operations(),
            Self::Bucket(objects) => objects.calls(),
        }
    }

    pub(super) fn fail_at(&self, operation: u64, fault: Fault) {
        match self {
            Self::Disk(disk) => disk.fail_at(operation, fault),
            Self::Bucket(objects) => objects.fail_at(
                operation,
                match fault {
                    Fault::Full => ObjectsFault::Refused,
                    Fault::Io if operation.is_multiple_of(2) => ObjectsFault::Unanswered,
                    Fault::Io => ObjectsFault::Late(3),
                    Fault::PowerCut => ObjectsFault::Stopped(operation),
                },
            ),
        }
    }

    /// Flips a bit of a file or an object.
    pub(super) fn rot(self, dice: &mut Dice) {
        match self {
            Self::Disk(mut disk) => {
                let files = disk.list().unwrap();
                let Some(file) = pick(&files, dice) else { return };
                let len = disk.size(file).unwrap().unwrap_or(0);
                let mut bytes = disk.read(file, 0, len as usize).unwrap();
                flip(&mut bytes, dice);
                // A fault that was meant for the node may hit this instead.
                let _ = disk.replace(file, &bytes);
            }
            Self::Bucket(objects) => {
                let Ok(listed) = objects.list() else { return };
                let Some((name, _)) = pick(&listed, dice) else { return };
                let mut bytes = objects.object(name).unwrap();
                flip(&mut bytes, dice);
                objects.replace(name, Some(bytes));
            }
        }
    }
}

fn pick<'a, T>(all: &'a [T], dice: &mut Dice) -> Option<&'a T> {
    (!all.is_empty()).then(|| &all[dice.below(all.len() as u64) as usize])
}

fn flip(bytes: &mut [u8], dice: &mut Dice) {
    if !bytes.is_empty() {
        let at = dice.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << dice.below(8);
    }
}
