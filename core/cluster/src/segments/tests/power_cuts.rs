//! The power goes at any operation of whatever is done, on a disk that loses and mixes what was not synced; or the disk is full, or
//! fails. What was acknowledged is there, what was given up stays away.
use super::*;
use terachat_storage::{CrashStorage, Fault};

const SEEDS: std::ops::Range<u64> = 0..300;
const STEPS: u64 = 40;
const CUTS: u64 = 4;

struct Story {
    dice: Dice,
    disk: CrashStorage,
    store: SegmentStore,
    /// What was acknowledged.
    kept: BTreeMap<Key, Vec<u8>>,
    next: u64,
    /// Puts, drops and compactions that ended, and errors.
    done: [u32; 4],
}

/// What a step that failed may have done, in part or as a whole.
#[derive(Default)]
struct Attempt {
    put: BTreeMap<Key, Vec<u8>>,
    given_up: Vec<Key>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let disk = CrashStorage::new(seed);
        Self { dice: Dice(seed), store: open(&disk), disk, kept: BTreeMap::new(), next: 0, done: [0; 4] }
    }

    fn fresh(&mut self) -> (Key, Vec<u8>) {
        // Names that were given up come again.
        let name = self.dice.below(40);
        let (stripe, index) = (name as u8, (name / 16) as u8);
        let len = 1 + self.dice.below(3000) as usize;
        let key = (StripeId([stripe; 16]), index);
        let bytes = self.kept.get(&key).cloned().unwrap_or_else(|| shard(stripe, index, len));
        (key, bytes)
    }

    /// One step; what it would have done, if it failed.
    fn step(&mut self) -> Option<Attempt> {
        let mut attempt = Attempt::default();
        let (kind, failed) = match self.dice.below(10) {
            0..5 => {
                for _ in 0..1 + self.dice.below(5) {
                    let (key, bytes) = self.fresh();
                    // Two of one name in one call are one shard.
                    attempt.put.entry(key).or_insert(bytes);
                }
                let shards: Vec<&[u8]> = attempt.put.values().map(|bytes| &bytes[..]).collect();
                (0, put(&mut self.store, &shards, &mut self.dice).is_err())
            }
            5..8 => {
                let chosen: Vec<Key> = self.kept.keys().copied().collect();
                attempt.given_up = chosen.into_iter().filter(|_| self.dice.below(3) == 0).collect();
                (1, self.store.give_up(&attempt.given_up, &mut self.dice).is_err())
            }
            _ => {
                let (percent, budget) = (self.dice.below(101) as u8, self.dice.below(6000));
                (2, self.store.compact(percent, budget, &mut self.dice).is_err())
            }
        };
        if failed {
            self.done[3] += 1;
            return Some(attempt);
        }
        self.done[kind] += 1;
        self.kept.extend(attempt.put);
        attempt.given_up.iter().for_each(|key| drop(self.kept.remove(key)));
        None
    }

    /// That everything acknowledged is there, and nothing but what was acknowledged or tried.
    fn check(&mut self, attempt: Option<Attempt>) {
        let attempt = attempt.unwrap_or_default();
        let mut held = BTreeMap::new();
        for one in self.store.held() {
            let key = (one.stripe, one.index);
            match self.store.get(one.stripe, one.index) {
                Ok(bytes) => drop(held.insert(key, bytes.unwrap())),
                // Never acknowledged: written in part when the power went, and something behind it whole.
                Err(error) => {
                    assert!(
                        matches!(error, crate::Error::Rotten { .. }) && !self.kept.contains_key(&key),
                        "{error}"
                    )
                }
            }
        }
        for (key, bytes) in &self.kept {
            match held.get(key) {
                Some(found) => assert_eq!(found, bytes, "{key:?} is another"),
                None => assert!(attempt.given_up.contains(key), "{key:?} was acknowledged and is lost"),
            }
        }
        for (key, bytes) in &held {
            let known = self.kept.get(key).or_else(|| attempt.put.get(key));
            assert_eq!(known, Some(bytes), "{key:?} is back");
        }
        self.kept = held;
    }

    fn restart(&mut self, attempt: Option<Attempt>) {
        self.disk = self.disk.crash();
        self.store = open(&self.disk);
        self.check(attempt);
        self.next += 1;
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_any_operation() {
    let mut done = [0; 4];
    for seed in crate::testing::seeds("TERACHAT_SEGMENT_SEEDS", SEEDS) {
        let mut story = Story::new(seed);
        for _ in 0..CUTS {
            let at = story.disk.operations() + story.dice.below(STEPS * 3);
            story.disk.fail_at(at, Fault::PowerCut);
            let attempt = (0..STEPS).find_map(|_| story.step());
            story.restart(attempt);
        }
        done.iter_mut().zip(story.done).for_each(|(sum, done)| *sum += done);
    }
    assert!(done.iter().all(|done| *done > 0), "{done:?}: something never happened");
}

/// The disk is full or fails for a moment: a typed error, and the same store goes on, before and after it is opened anew.
#[test]
fn a_disk_that_fails_for_a_moment_costs_nothing_that_was_acknowledged() {
    for seed in crate::testing::seeds("TERACHAT_SEGMENT_SEEDS", SEEDS) {
        let mut story = Story::new(seed);
        for _ in 0..CUTS {
            let fault = if story.dice.below(2) == 0 { Fault::Full } else { Fault::Io };
            let at = story.disk.operations() + story.dice.below(STEPS * 2);
            story.disk.fail_at(at, fault);
            for _ in 0..STEPS {
                let attempt = story.step();
                if attempt.is_some() {
                    story.check(attempt);
                }
            }
            story.check(None);
            story.restart(None);
        }
    }
}
