//! A bucket in memory that can fail as services do: what a test is told to happen, happens.
use super::objects::{Objects, ObjectsError, ObjectsErrorKind, ObjectsVerb, Part};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes wrong at a chosen put or removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectsFault {
    /// The service refuses: nothing happens.
    Refused,
    /// It happens, and the answer is lost.
    Unanswered,
    /// No answer comes, and it happens behind so many further puts and removals.
    Late(u64),
    /// The process ends: it may or may not have happened, by whether the number is even, and every later call fails until
    /// [`MemoryObjects::restart`].
    Stopped(u64),
}

/// Objects in memory. The value is a handle: clones share the objects, so that a test keeps one while the store under test owns the
/// other.
#[derive(Clone, Default)]
pub struct MemoryObjects(Arc<Mutex<Bucket>>);

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Vec<u8>>,
    calls: u64,
    faults: BTreeMap<u64, ObjectsFault>,
    /// What happens later, by the number of the call before which it does.
    late: BTreeMap<u64, Change>,
    stopped: bool,
    unread: bool,
    /// Objects that are there and cannot be read.
    held_back: BTreeSet<String>,
}

enum Change {
    Put(String, Vec<u8>),
    Remove(Vec<String>),
}

impl MemoryObjects {
    /// Puts and removals so far; the next has this number.
    pub fn calls(&self) -> u64 {
        self.bucket().calls
    }

    /// Lets the put or removal with this number fail.
    pub fn fail_at(&self, call: u64, fault: ObjectsFault) {
        self.bucket().faults.insert(call, fault);
    }

    /// Lets all reads fail, or no longer.
    pub fn fail_reads(&self, fail: bool) {
        self.bucket().unread = fail;
    }

    /// Lets reads of this object fail from now on.
    pub fn hold_back(&self, name: &str) {
        self.bucket().held_back.insert(name.to_owned());
    }

    /// The bucket as another process finds it. What was late has happened by then; this handle and its clones stay dead.
    #[must_use]
    pub fn restart(&self) -> Self {
        let mut bucket = self.bucket();
        let late = std::mem::take(&mut bucket.late);
        late.into_values().for_each(|change| bucket.happen(change));
        bucket.stopped = true;
        let (objects, calls) = (std::mem::take(&mut bucket.objects), bucket.calls);
        Self(Arc::new(Mutex::new(Bucket { objects, calls, ..Bucket::default() })))
    }

    /// All bytes of an object.
    pub fn object(&self, name: &str) -> Option<Vec<u8>> {
        self.bucket().objects.get(name).cloned()
    }

    /// Puts other bytes in an object's place, as rot and strangers do; none removes it.
    pub fn replace(&self, name: &str, bytes: Option<Vec<u8>>) {
        let mut bucket = self.bucket();
        match bytes {
            Some(bytes) => drop(bucket.objects.insert(name.to_owned(), bytes)),
            None => drop(bucket.objects.remove(name)),
        }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, verb: ObjectsVerb, name: &str, change: Change) -> Result<(), ObjectsError> {
        let mut bucket = self.bucket();
        let failed = |detail| Err(ObjectsError::new(ObjectsErrorKind::Failed, verb, name).detail(detail));
        if bucket.stopped {
            return failed("the process has ended");
        }
        let call = bucket.calls;
        bucket.calls += 1;
        let late = bucket.late.split_off(&(call + 1));
        let now = std::mem::replace(&mut bucket.late, late);
        now.into_values().for_each(|change| bucket.happen(change));
        match bucket.faults.remove(&call) {
            None => {
                bucket.happen(change);
                return Ok(());
            }
            Some(ObjectsFault::Refused) => {}
            Some(ObjectsFault::Unanswered) => bucket.happen(change),
            Some(ObjectsFault::Late(behind)) => drop(bucket.late.insert(call + 1 + behind, change)),
            Some(ObjectsFault::Stopped(number)) => {
                if number.is_multiple_of(2) {
                    bucket.happen(change);
                }
                bucket.stopped = true;
            }
        }
        failed("as the test wants it")
    }
}

impl Bucket {
    fn happen(&mut self, change: Change) {
        match change {
            Change::Put(name, bytes) => drop(self.objects.insert(name, bytes)),
            Change::Remove(names) => names.iter().for_each(|name| drop(self.objects.remove(name))),
        }
    }
}

impl Objects for MemoryObjects {
    fn put(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), ObjectsError> {
        self.change(ObjectsVerb::Put, name, Change::Put(name.to_owned(), bytes))
    }

    fn read(&self, parts: &[Part]) -> Vec<Result<Vec<u8>, ObjectsError>> {
        let bucket = self.bucket();
        let read = |part: &Part| {
            let error = |kind| ObjectsError::new(kind, ObjectsVerb::Read, &part.name);
            if bucket.stopped || bucket.unread || bucket.held_back.contains(&part.name) {
                return Err(error(ObjectsErrorKind::Failed));
            }
            let bytes = bucket.objects.get(&part.name).ok_or_else(|| error(ObjectsErrorKind::Missing))?;
            let from = usize::try_from(part.from).unwrap_or(usize::MAX);
            let part = bytes.get(from..from.saturating_add(part.len));
            part.map(<[u8]>::to_vec).ok_or_else(|| error(ObjectsErrorKind::Short))
        };
        parts.iter().map(read).collect()
    }

    fn remove(&mut self, names: &[String]) -> Result<(), ObjectsError> {
        let first = names.first().cloned().unwrap_or_default();
        self.change(ObjectsVerb::Remove, &first, Change::Remove(names.to_vec()))
    }

    fn list(&self) -> Result<Vec<(String, u64)>, ObjectsError> {
        let bucket = self.bucket();
        if bucket.stopped || bucket.unread {
            return Err(ObjectsError::new(ObjectsErrorKind::Failed, ObjectsVerb::List, ""));
        }
        Ok(bucket.objects.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conforms() {
        super::super::objects::suite::conforms(&mut || Box::new(MemoryObjects::default()));
    }

    #[test]
    fn fails_as_it_is_told() {
        let mut objects = MemoryObjects::default();
        objects.fail_at(0, ObjectsFault::Refused);
        objects.fail_at(1, ObjectsFault::Unanswered);
        objects.fail_at(2, ObjectsFault::Late(1));
        for name in ["a", "b", "c"] {
            assert!(objects.put(name, vec![1]).is_err());
        }
        let names = |objects: &MemoryObjects| {
            objects.list().unwrap().into_iter().map(|(name, _)| name).collect::<String>()
        };
        assert_eq!(names(&objects), "b");
        objects.put("d", vec![1]).unwrap();
        assert_eq!(names(&objects), "bd");
        objects.put("e", vec![1]).unwrap();
        assert_eq!(names(&objects), "bcde");
        objects.fail_at(5, ObjectsFault::Stopped(1));
        assert!(objects.put("f", vec![1]).is_err() && objects.list().is_err());
        let mut after = objects.restart();
        after.put("g", vec![1]).unwrap();
        assert_eq!(names(&after), "bcdeg");
        assert!(objects.put("h", vec![1]).is_err());
    }
}
