//! Where a test lets the process end: what follows does not happen, not even the closing. At a point with a name, or at any write
//! by its number; and what a power cut leaves of the journal.
use crate::Error;
use crate::disk::Kind;
use crate::store::Store;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Error as IoError, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where each vault dies, by its folder; and whether it did.
static DEATHS: Mutex<Option<HashMap<PathBuf, Death>>> = Mutex::new(None);

struct Death {
    at: At,
    dead: bool,
}

enum At {
    /// At a point with this name, after so many passes.
    Point(&'static str, u32),
    /// At a write.
    Write(Writes),
}

struct Writes {
    /// Which one, counted from 0.
    number: usize,
    end: End,
    seen: usize,
    /// How much of each journal there is, and how much of it the disk is known to have.
    ends: HashMap<PathBuf, (u64, u64)>,
}

/// How a life ends at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The process is killed before it.
    KilledBefore,
    /// The process is killed after it, before anybody hears of it.
    KilledAfter,
    /// The power fails before it: of the journal there is what was synced.
    PowerBefore,
    /// The power fails in the middle of it: of what it appends to the journal there is a half.
    PowerWithin,
}

fn deaths() -> MutexGuard<'static, Option<HashMap<PathBuf, Death>>> {
    DEATHS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn arrange(folder: &Path, at: At) {
    deaths().get_or_insert_default().insert(folder.to_owned(), Death { at, dead: false });
}

/// Lets the vault in this folder die when it comes to `point` for the `passes`-th time, counted from 0.
pub(crate) fn die_at(folder: &Path, point: &'static str, passes: u32) {
    arrange(folder, At::Point(point, passes));
}

/// Lets the vault in this folder die at its `number`-th write from now on, counted from 0.
pub(crate) fn die_at_write(folder: &Path, number: usize, end: End) {
    let mut ends = HashMap::new();
    grow(folder, &mut ends, true);
    arrange(folder, At::Write(Writes { number, end, seen: 0, ends }));
}

/// Whether it died; it lives again afterwards. After a power cut the journal is what the disk had of it. To be called once nobody
/// has the vault open any more.
pub(crate) fn revive(folder: &Path) -> bool {
    let Some(death) = deaths().get_or_insert_default().remove(folder) else { return false };
    if let (true, At::Write(writes)) = (death.dead, &death.at) {
        for (path, (len, synced)) in &writes.ends {
            let left = match writes.end {
                End::KilledBefore | End::KilledAfter => continue,
                End::PowerBefore => *synced,
                // What was appended before it came in order; the last append has a hole in it.
                End::PowerWithin => len - len.saturating_sub(*synced).div_ceil(2),
            };
            OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(left)).unwrap();
        }
    }
    death.dead
}

pub(crate) fn point(store: &Store, name: &'static str) -> Result<(), Error> {
    let mut deaths = deaths();
    let Some(death) = deaths.get_or_insert_default().get_mut(&store.config.path) else { return Ok(()) };
    if let (false, At::Point(point, passes)) = (death.dead, &mut death.at)
        && *point == name
    {
        death.dead = *passes == 0;
        *passes = passes.saturating_sub(1);
    }
    if death.dead { Err(store.stop_writing(&"the process ended")) } else { Ok(()) }
}

/// Does a write, unless the process is to end at it.
pub(crate) fn write<T, E: From<IoError>>(
    folder: &Path,
    kind: Kind,
    write: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let ended = || E::from(IoError::other("the process ended"));
    let end = {
        let mut deaths = deaths();
        match deaths.get_or_insert_default().get_mut(folder) {
            None | Some(Death { at: At::Point(..), dead: false }) => None,
            Some(Death { dead: true, .. }) => return Err(ended()),
            Some(Death { at: At::Write(writes), dead }) => {
                let end = (writes.seen == writes.number).then_some(writes.end);
                writes.seen += 1;
                *dead = matches!(end, Some(End::KilledBefore | End::PowerBefore));
                if *dead {
                    return Err(ended());
                }
                if end == Some(End::PowerWithin) {
                    // All that was appended before it stands behind what is cut off.
                    grow(folder, &mut writes.ends, true);
                }
                Some(end)
            }
        }
    };
    let done = write();
    if let Some(end) = end
        && let Some(Death { at: At::Write(writes), dead }) = deaths().get_or_insert_default().get_mut(folder)
    {
        *dead = end.is_some();
        grow(folder, &mut writes.ends, kind == Kind::Sync && end.is_none());
        if *dead {
            return Err(ended());
        }
    }
    done
}

/// Notes how long the journals are, and if they are on the disk.
fn grow(folder: &Path, ends: &mut HashMap<PathBuf, (u64, u64)>, synced: bool) {
    let Ok(entries) = std::fs::read_dir(folder.join("db")) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let known = ends.entry(path.clone()).or_default();
            known.0 = end_of(&path, known.0);
            if synced {
                known.1 = known.0;
            }
        }
    }
}

/// Where a journal's last batch ends, which is no earlier than `from`: zeros follow, for it is made longer than it is.
fn end_of(path: &Path, from: u64) -> u64 {
    let (mut file, mut end, mut part) = (File::open(path).unwrap(), from, vec![0; 64 << 10]);
    file.seek(SeekFrom::Start(from)).unwrap();
    let mut at = from;
    loop {
        let len = file.read(&mut part).unwrap();
        let Some(last) = part[..len].iter().rposition(|byte| *byte != 0) else { return end };
        end = at + last as u64 + 1;
        at += len as u64;
    }
}

/// Whether the vault died, so that nothing is written when it is dropped.
pub(crate) fn dropped(store: &Store) -> bool {
    let deaths = deaths();
    deaths.as_ref().and_then(|deaths| deaths.get(&store.config.path)).is_some_and(|death| death.dead)
}
