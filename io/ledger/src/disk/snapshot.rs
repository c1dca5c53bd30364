use super::manifest::{Manifest, SnapshotRecord};
use super::{Disk, DiskError};
use crate::raft::types::{Id, StoredMembers};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use terachat_storage::Storage;

const VERSION: u8 = 1;
/// Bytes that are written or read while others wait for the disk.
const CHUNK_LEN: usize = 4 << 20;

/// Up to where a snapshot goes, and who the members were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotMeta {
    pub(crate) last: Option<Id>,
    pub(crate) members: StoredMembers,
}

/// The file's name.
pub(super) fn snapshot_name(number: u32) -> String {
    format!("ledger-snapshot-{number:08x}")
}

impl Disk {
    /// Makes a snapshot durable in the place of the one before. Others get the disk in between, so that a large one does
    /// not keep the log from being written.
    pub(crate) fn save_snapshot(
        disk: &Mutex<Self>,
        meta: &SnapshotMeta,
        content: &[u8],
    ) -> Result<(), DiskError> {
        let head = postcard::to_allocvec(meta).expect("a vector takes everything");
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&u32::try_from(head.len()).expect("a short head").to_le_bytes());
        bytes.extend(head);
        let hash = *blake3::Hasher::new().update(&bytes).update(content).finalize().as_bytes();
        let len = (bytes.len() + content.len()) as u64;
        let number = lock(disk).begin_snapshot()?;
        let name = snapshot_name(number);
        for chunk in std::iter::once(bytes.as_slice()).chain(content.chunks(CHUNK_LEN)) {
            lock(disk).guarded(|disk| {
                disk.storage.append(&name, chunk)?;
                Ok(disk.storage.sync(&name)?)
            })?;
            std::thread::yield_now();
        }
        lock(disk).end_snapshot(SnapshotRecord { number, last: meta.last, len, hash })
    }

    fn begin_snapshot(&mut self) -> Result<u32, DiskError> {
        let number = self.manifest.next;
        // Taken at once: two snapshots may be written at a time, an own one and a leader's.
        self.replace(Manifest { next: number + 1, ..self.manifest.clone() })?;
        Ok(number)
    }

    fn end_snapshot(&mut self, snapshot: SnapshotRecord) -> Result<(), DiskError> {
        self.counters.snapshots.fetch_add(1, Ordering::Relaxed);
        let old = match self.manifest.snapshot {
            // A leader's came in while this one was written.
            Some(newer) if newer.last > snapshot.last => Some(snapshot),
            before => {
                self.replace(Manifest { snapshot: Some(snapshot), ..self.manifest.clone() })?;
                before
            }
        };
        match old {
            Some(old) => self.guarded(|disk| Ok(disk.storage.remove(&snapshot_name(old.number))?)),
            None => Ok(()),
        }
    }

    /// The snapshot that counts.
    pub(crate) fn snapshot(&self) -> Result<Option<(SnapshotMeta, Vec<u8>)>, DiskError> {
        read(self.storage.as_ref(), &self.manifest)
    }
}

pub(super) fn read(
    storage: &dyn Storage,
    manifest: &Manifest,
) -> Result<Option<(SnapshotMeta, Vec<u8>)>, DiskError> {
    let Some(record) = manifest.snapshot else { return Ok(None) };
    let file = snapshot_name(record.number);
    let rot = |what| DiskError::Rot { file: file.clone(), at: 0, what };
    match storage.size(&file)? {
        None => return Err(DiskError::Lost { file }),
        Some(len) if len != record.len => return Err(rot("its length")),
        Some(_) => {}
    }
    let len = usize::try_from(record.len).map_err(|_| rot("too long"))?;
    let bytes = storage.read(&file, 0, len)?;
    if *blake3::hash(&bytes).as_bytes() != record.hash {
        return Err(rot("its hash"));
    }
    let (&version, rest) = bytes.split_first().ok_or_else(|| rot("too short"))?;
    if version != VERSION {
        return Err(DiskError::Version { file, version });
    }
    let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(|| rot("too short"))?;
    let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| rot("its head's length"))?;
    let (head, content) = rest.split_at_checked(len).ok_or_else(|| rot("its head's length"))?;
    let meta = postcard::from_bytes(head).map_err(|_| rot("its head"))?;
    Ok(Some((meta, content.to_vec())))
}

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}
