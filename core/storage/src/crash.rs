//! Files on a disk whose power can be cut: what survives is drawn from a seed.
use super::{Operation, Storage, StorageError, StorageErrorKind, check_name, memory::range};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The unit a disk writes or does not write.
const SECTOR: usize = 512;

/// What goes wrong at a chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full: an append leaves a part of its bytes, a sync leaves everything since the last one in
    /// doubt for good, the rest changes nothing.
    Full,
    /// The medium fails, with the same effects.
    Io,
    /// The power goes: the operation may or may not have happened, and every later call fails until
    /// [`CrashStorage::crash`] starts the machine again.
    PowerCut,
}

/// A storage whose power can be cut, deterministic from its seed.
///
/// The value is a handle: clones share the files, so that a test keeps one while the store under test owns the
/// other. On [`CrashStorage::crash`], each file for itself keeps what was synced, and of what was not any of:
/// nothing, a prefix cut at any byte, or a length that was reached with some sectors of earlier versions (which
/// beyond their end read as zeros). Unsynced removals and creations may or may not have happened.
#[derive(Clone)]
pub struct CrashStorage(Arc<Mutex<Machine>>);

struct Machine {
    files: BTreeMap<String, File>,
    random: SplitMix64,
    operations: u64,
    syncs: u64,
    faults: BTreeMap<u64, Fault>,
    down: bool,
}

/// Each version is the file after one more change; `None` where it does not exist. The first is durable.
struct File {
    versions: Vec<Option<Vec<u8>>>,
    /// Ranges a failed sync dropped: readable from memory, never to reach the disk.
    dropped: Vec<(usize, usize)>,
}

impl File {
    fn now(&self) -> Option<&Vec<u8>> {
        self.versions.last().and_then(Option::as_ref)
    }
}

impl CrashStorage {
    /// An empty disk. The same seed and the same calls give the same survivors.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Machine {
            files: BTreeMap::new(),
            random: SplitMix64(seed),
            operations: 0,
            syncs: 0,
            faults: BTreeMap::new(),
            down: false,
        })))
    }

    /// Changing operations (append, sync, truncate, replace, remove) so far; the next has this number.
    pub fn operations(&self) -> u64 {
        self.machine().operations
    }

    /// Calls of `sync` so far.
    pub fn syncs(&self) -> u64 {
        self.machine().syncs
    }

    /// Lets the changing operation with this number fail.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.machine().faults.insert(operation, fault);
    }

    /// Cuts the power, now or where a [`Fault::PowerCut`] already did, and starts again with what survived. This
    /// handle and its clones stay dead.
    pub fn crash(&self) -> Self {
        let mut machine = self.machine();
        machine.down = true;
        let mut random = SplitMix64(machine.random.next());
        let files = std::mem::take(&mut machine.files)
            .into_iter()
            .filter_map(|(name, file)| Some((name, survivor(&file.versions, &mut random)?)))
            .map(|(name, bytes)| (name, File { versions: vec![Some(bytes)], dropped: Vec::new() }))
            .collect();
        let after = Self::new(random.next());
        after.machine().files = files;
        after
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a changing operation and finds out whether it is to fail.
    fn begin(
        &self,
        operation: Operation,
        file: &str,
    ) -> Result<(MutexGuard<'_, Machine>, Option<Fault>), StorageError> {
        check_name(operation, file)?;
        let mut machine = self.up(operation, file)?;
        let number = machine.operations;
        machine.operations += 1;
        let fault = machine.faults.remove(&number);
        machine.down = fault == Some(Fault::PowerCut);
        Ok((machine, fault))
    }

    fn up(&self, operation: Operation, file: &str) -> Result<MutexGuard<'_, Machine>, StorageError> {
        let machine = self.machine();
        if machine.down {
            return Err(StorageError::new(StorageErrorKind::Io, operation, file).detail("the power is off"));
        }
        Ok(machine)
    }
}

impl Machine {
    fn existing(&mut self, operation: Operation, file: &str) -> Result<&mut File, StorageError> {
        self.files
            .get_mut(file)
            .filter(|f| f.now().is_some())
            .ok_or_else(|| StorageError::new(StorageErrorKind::NotFound, operation, file))
    }

    fn file(&mut self, file: &str) -> &mut File {
        let fresh = || File { versions: vec![None], dropped: Vec::new() };
        self.files.entry(file.to_owned()).or_insert_with(fresh)
    }
}

fn failed(fault: Option<Fault>, operation: Operation, file: &str) -> Result<(), StorageError> {
    let kind = match fault {
        None => return Ok(()),
        Some(Fault::Full) => StorageErrorKind::Full,
        Some(Fault::Io | Fault::PowerCut) => StorageErrorKind::Io,
    };
    Err(StorageError::new(kind, operation, file).detail("injected"))
}

impl Storage for CrashStorage {
    fn append(&mut self, file: &str, bytes: &[u8]) -> Result<u64, StorageError> {
        let (mut machine, fault) = self.begin(Operation::Append, file)?;
        let written = match fault {
            None | Some(Fault::PowerCut) => bytes.len(),
            Some(_) => machine.random.below(bytes.len() + 1),
        };
        let entry = machine.file(file);
        let mut content = entry.now().cloned().unwrap_or_default();
        let offset = content.len() as u64;
        content.extend_from_slice(&bytes[..written]);
        entry.versions.push(Some(content));
        failed(fault, Operation::Append, file).map(|()| offset)
    }

    fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        check_name(Operation::Read, file)?;
        let mut machine = self.up(Operation::Read, file)?;
        let entry = machine.existing(Operation::Read, file)?;
        Ok(range(entry.now().map_or(&[], Vec::as_slice), file, offset, len)?.to_vec())
    }

    fn size(&self, file: &str) -> Result<Option<u64>, StorageError> {
        check_name(Operation::Size, file)?;
        let machine = self.up(Operation::Size, file)?;
        Ok(machine.files.get(file).and_then(File::now).map(|content| content.len() as u64))
    }

    fn sync(&mut self, file: &str) -> Result<(), StorageError> {
        let (mut machine, fault) = self.begin(Operation::Sync, file)?;
        machine.syncs += 1;
        let mut random = SplitMix64(machine.random.next());
        let entry = machine.existing(Operation::Sync, file)?;
        match fault {
            None => {
                let now = entry.versions.pop().flatten().unwrap_or_default();
                // What an earlier failed sync dropped stays dropped, though this one reports success.
                let mut durable = now.clone();
                for &(start, end) in &entry.dropped {
                    lose_sectors(&mut durable, start, end, &mut random);
                }
                entry.versions = vec![Some(durable)];
                if !entry.dropped.is_empty() {
                    entry.versions.push(Some(now));
                }
            }
            Some(Fault::PowerCut) => {}
            Some(Fault::Full | Fault::Io) => {
                let durable = entry.versions[0].as_ref().map_or(0, Vec::len);
                let now = entry.now().map_or(0, Vec::len);
                entry.dropped.push((durable.min(now), now));
            }
        }
        failed(fault, Operation::Sync, file)
    }

    fn truncate(&mut self, file: &str, len: u64) -> Result<(), StorageError> {
        let (mut machine, fault) = self.begin(Operation::Truncate, file)?;
        let entry = machine.existing(Operation::Truncate, file)?;
        if matches!(fault, None | Some(Fault::PowerCut)) {
            let mut content = entry.now().cloned().unwrap_or_default();
            content.truncate(usize::try_from(len).unwrap_or(usize::MAX));
            let len = content.len();
            entry.dropped.retain_mut(|(start, end)| {
                *end = len.min(*end);
                start < end
            });
            entry.versions.push(Some(content));
        }
        failed(fault, Operation::Truncate, file)
    }

    fn replace(&mut self, file: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let (mut machine, fault) = self.begin(Operation::Replace, file)?;
        let happens = match fault {
            None => true,
            Some(Fault::PowerCut) => machine.random.below(2) == 0,
            Some(_) => false,
        };
        if happens {
            let entry = machine.file(file);
            *entry = File { versions: vec![Some(bytes.to_vec())], dropped: Vec::new() };
        }
        failed(fault, Operation::Replace, file)
    }

    fn remove(&mut self, file: &str) -> Result<(), StorageError> {
        let (mut machine, fault) = self.begin(Operation::Remove, file)?;
        if matches!(fault, None | Some(Fault::PowerCut)) {
            let entry = machine.file(file);
            entry.versions.push(None);
            entry.dropped.clear();
        }
        failed(fault, Operation::Remove, file)
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        let machine = self.up(Operation::List, "")?;
        let present = machine.files.iter().filter(|(_, file)| file.now().is_some());
        Ok(present.map(|(name, _)| name.clone()).collect())
    }
}

/// What the disk holds of a file after the power went, given all its versions since the durable one.
fn survivor(versions: &[Option<Vec<u8>>], random: &mut SplitMix64) -> Option<Vec<u8>> {
    let reached = random.below(versions.len());
    let mut content = versions[reached].clone()?;
    if reached == 0 {
        return Some(content);
    }
    let before = versions[reached - 1].as_ref().map_or(0, Vec::len);
    match random.below(4) {
        // Torn: the last change reached the disk in part.
        0 if content.len() > before => content.truncate(before + random.below(content.len() - before + 1)),
        // Reordered: the length is there, but any sector may still be one of its earlier versions.
        1 | 2 => {
            for start in (0..content.len()).step_by(SECTOR) {
                let end = content.len().min(start + SECTOR);
                let old = versions[random.below(reached + 1)].as_deref().unwrap_or_default();
                for (at, byte) in content[start..end].iter_mut().enumerate() {
                    *byte = old.get(start + at).copied().unwrap_or(0);
                }
            }
        }
        _ => {}
    }
    Some(content)
}

fn lose_sectors(content: &mut [u8], start: usize, end: usize, random: &mut SplitMix64) {
    let end = end.min(content.len());
    let mut at = start;
    while at < end {
        let next = end.min((at / SECTOR + 1) * SECTOR);
        if random.below(2) == 0 {
            content[at..next].fill(0);
        }
        at = next;
    }
}

/// Steele, Lea and Flood's SplitMix64: for simulation only, nothing secret comes from here.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or 0 for a bound of 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = (bound as u64).max(1);
        usize::try_from(self.next() % bound).expect("smaller than a usize")
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn conforms() {
        crate::suite::conforms(&mut || Box::new(CrashStorage::new(1)));
    }

    fn content(s: &CrashStorage, file: &str) -> Option<Vec<u8>> {
        let len = s.size(file).unwrap()?;
        Some(s.read(file, 0, len as usize).unwrap())
    }

    #[test]
    fn synced_bytes_and_replaced_files_survive_and_the_rest_is_open() {
        let mut outcomes = BTreeSet::new();
        for seed in 0..400 {
            let mut s = CrashStorage::new(seed);
            s.append("a", b"durable").unwrap();
            s.sync("a").unwrap();
            s.replace("r", b"replaced").unwrap();
            s.append("a", &[7; 600]).unwrap();
            s.append("b", b"created").unwrap();
            let after = s.crash();
            assert!(s.size("a").is_err(), "the old handle is dead");
            assert_eq!(content(&after, "r").unwrap(), b"replaced");
            let a = content(&after, "a").unwrap();
            assert_eq!(&a[..7], b"durable");
            assert!(a[7..].iter().all(|&byte| byte == 7 || byte == 0));
            outcomes.insert((
                a.len() > 7,
                a.len() == 607,
                a[7..].contains(&0),
                content(&after, "b").is_some(),
            ));
        }
        assert!(outcomes.len() >= 8, "all that may happen does: {outcomes:?}");
        let states = |seed| {
            let mut s = CrashStorage::new(seed);
            s.append("a", &[7; 2000]).unwrap();
            content(&s.crash(), "a")
        };
        assert_eq!(states(9), states(9), "deterministic");
    }

    #[test]
    fn faults_strike_where_they_were_put() {
        let mut s = CrashStorage::new(3);
        s.fail_at(1, Fault::Full);
        s.append("a", b"one").unwrap();
        assert_eq!(s.append("a", b"two").unwrap_err().kind, StorageErrorKind::Full);
        assert_eq!(s.operations(), 2);
        s.fail_at(2, Fault::PowerCut);
        s.append("a", b"three").unwrap_err();
        assert_eq!(s.list().unwrap_err().kind, StorageErrorKind::Io, "the power is off");
        s.crash().list().unwrap();
    }

    /// The kernel forgets what a failed fsync could not write: the next fsync succeeds and the bytes are gone.
    #[test]
    fn a_failed_sync_loses_bytes_though_the_next_succeeds() {
        let lost = (0..50).filter(|&seed| {
            let mut s = CrashStorage::new(seed);
            s.append("a", &[7; 2000]).unwrap();
            s.fail_at(1, Fault::Io);
            s.sync("a").unwrap_err();
            s.sync("a").unwrap();
            assert_eq!(content(&s, "a").unwrap(), [7; 2000]);
            content(&s.crash(), "a").unwrap() != [7; 2000]
        });
        assert!(lost.count() > 10);
    }
}
