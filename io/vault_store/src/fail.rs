//! Points at which a test lets the process end: what follows does not happen, not even the closing.
use crate::Error;
use crate::store::Store;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// At which point, and after how many passes, each vault dies; and whether it did.
static DEATHS: Mutex<Option<HashMap<PathBuf, Death>>> = Mutex::new(None);

struct Death {
    point: &'static str,
    passes: u32,
    dead: bool,
}

/// Lets the vault in this folder die when it comes to `point` for the `passes`-th time, counted from 0.
pub(crate) fn die_at(folder: &std::path::Path, point: &'static str, passes: u32) {
    let mut deaths = DEATHS.lock().unwrap_or_else(PoisonError::into_inner);
    deaths.get_or_insert_default().insert(folder.to_owned(), Death { point, passes, dead: false });
}

/// Whether it died; it lives again afterwards.
pub(crate) fn revive(folder: &std::path::Path) -> bool {
    let mut deaths = DEATHS.lock().unwrap_or_else(PoisonError::into_inner);
    deaths.get_or_insert_default().remove(folder).is_some_and(|death| death.dead)
}

pub(crate) fn point(store: &Store, name: &'static str) -> Result<(), Error> {
    let mut deaths = DEATHS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(death) = deaths.get_or_insert_default().get_mut(&store.config.path) else { return Ok(()) };
    if !death.dead && death.point == name {
        death.dead = death.passes == 0;
        death.passes = death.passes.saturating_sub(1);
    }
    if death.dead { Err(store.stop_writing(&"the process ended")) } else { Ok(()) }
}

/// Whether the vault died, so that nothing is written when it is dropped.
pub(crate) fn dropped(store: &Store) -> bool {
    let deaths = DEATHS.lock().unwrap_or_else(PoisonError::into_inner);
    deaths.as_ref().and_then(|deaths| deaths.get(&store.config.path)).is_some_and(|death| death.dead)
}
