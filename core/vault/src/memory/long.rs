use super::{Mapping, out_of_memory, wipe};
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Up to this, long values are locked if the system lets them; beyond, they are bulk data, and locking them would use
/// up what keys need.
pub(super) const LOCKED_LEN_MAX: usize = 256 * 1024;
const LEN_MIN: usize = 8 * 1024;
const CLASSES: usize = 6;
const _: () = assert!(LEN_MIN << (CLASSES - 1) == LOCKED_LEN_MAX);
/// What is kept of freed pages at most: mapping and locking 64 KiB takes 60 µs, and most of it is for the same few lengths.
const IDLE_LEN_MAX: usize = 1024 * 1024;

/// Freed pages by class, all zero.
static IDLE: Mutex<[Vec<Mapping>; CLASSES]> = Mutex::new([const { Vec::new() }; CLASSES]);

/// Pages of a value too long for a slot. Wiped on drop.
pub(crate) struct Long(Option<Mapping>);

impl Long {
    /// At least `len` bytes, all zero.
    pub(crate) fn new(len: usize) -> Self {
        let Some(class) = class(len) else {
            return Self(Some(Mapping::new(len).unwrap_or_else(|| out_of_memory(len))));
        };
        if let Some(pages) = idle()[class].pop() {
            return Self(Some(pages));
        }
        let mut pages = Mapping::new(LEN_MIN << class).unwrap_or_else(|| out_of_memory(len));
        pages.lock();
        Self(Some(pages))
    }
}

impl Deref for Long {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().expect("only drop takes the pages away")
    }
}

impl DerefMut for Long {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().expect("only drop takes the pages away")
    }
}

impl Drop for Long {
    fn drop(&mut self) {
        let Some(mut pages) = self.0.take() else { return };
        let Some(class) = class(pages.len()) else { return };
        wipe(&mut pages);
        let mut idle = idle();
        let kept: usize =
            idle.iter().enumerate().map(|(class, pages)| pages.len() * (LEN_MIN << class)).sum();
        if kept + pages.len() <= IDLE_LEN_MAX {
            idle[class].push(pages);
        }
    }
}

fn class(len: usize) -> Option<usize> {
    let class = len.max(LEN_MIN).checked_next_power_of_two()?.trailing_zeros() - LEN_MIN.trailing_zeros();
    Some(class as usize).filter(|class| *class < CLASSES)
}

fn idle() -> MutexGuard<'static, [Vec<Mapping>; CLASSES]> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}
