//! The service refuses, does not answer, does it later all the same, or the process ends, at any call of whatever is done. What was
//! acknowledged is there, what was given up stays away.
use super::super::ObjectsFault as Fault;
use super::*;

const SEEDS: std::ops::Range<u64> = 0..100;
const STEPS: u64 = 40;
const LIVES: u64 = 4;

struct Story {
    dice: Dice,
    objects: MemoryObjects,
    store: BucketStore,
    /// What was acknowledged.
    kept: BTreeMap<Key, Vec<u8>>,
    /// What was tried without an answer since the store was opened: it may be found when it is opened anew.
    tried: BTreeMap<Key, Vec<Vec<u8>>>,
    /// What may be found to be gone then.
    leaving: BTreeMap<Key, Vec<u8>>,
    /// Puts, drops and compactions that ended, and errors.
    done: [u32; 4],
}

impl Story {
    fn new(seed: u64) -> Self {
        let objects = MemoryObjects::default();
        Self {
            dice: Dice(seed),
            store: open(&objects),
            objects,
            kept: BTreeMap::new(),
            tried: BTreeMap::new(),
            leaving: BTreeMap::new(),
            done: [0; 4],
        }
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

    fn step(&mut self) {
        let failed = match self.dice.below(10) {
            0..5 => {
                let mut fresh = BTreeMap::new();
                for _ in 0..1 + self.dice.below(5) {
                    let (key, bytes) = self.fresh();
                    fresh.entry(key).or_insert(bytes);
                }
                let shards: Vec<&[u8]> = fresh.values().map(|bytes| &bytes[..]).collect();
                let failed = put(&mut self.store, &shards, &mut self.dice).is_err();
                for (key, bytes) in fresh {
                    if failed {
                        self.tried.entry(key).or_default().push(bytes);
                    } else {
                        self.kept.insert(key, bytes);
                        self.leaving.remove(&key);
                    }
                }
                self.done[0] += u32::from(!failed);
                failed
            }
            5..8 => {
                let chosen: Vec<Key> = self.kept.keys().chain(self.leaving.keys()).copied().collect();
                let chosen: Vec<Key> = chosen.into_iter().filter(|_| self.dice.below(3) == 0).collect();
                let failed = self.store.give_up(&chosen, &mut self.dice).is_err();
                for key in chosen {
                    let bytes = self.kept.remove(&key).or_else(|| self.leaving.remove(&key)).unwrap();
                    if failed {
                        self.leaving.insert(key, bytes);
                    } else {
                        // An object that nobody answered for was removed before; one that came late all the same may bring it back.
                        self.tried.entry(key).or_default().push(bytes);
                    }
                }
                self.done[1] += u32::from(!failed);
                failed
            }
            _ => {
                let (percent, budget) = (self.dice.below(101) as u8, self.dice.below(20_000));
                let failed = self.store.compact(percent, budget, &mut self.dice).is_err();
                self.done[2] += u32::from(!failed);
                failed
            }
        };
        self.done[3] += u32::from(failed);
    }

    /// That the store holds what was acknowledged. What is being given up may be told of until it is.
    fn check(&self) {
        let held: BTreeMap<Key, u32> =
            self.store.held().map(|held| ((held.stripe, held.index), held.len)).collect();
        for (key, bytes) in &self.kept {
            assert!(held.contains_key(key), "{key:?} was acknowledged and is lost");
            assert_eq!(get(&self.store, *key), Ok(Some(bytes.clone())));
        }
        for key in held.keys() {
            assert!(self.kept.contains_key(key) || self.leaving.contains_key(key), "{key:?} is back");
        }
    }

    /// Another process opens what is there. `late`: what came late may have brought something back.
    fn restart(&mut self, late: bool) {
        self.objects = self.objects.restart();
        self.store = open(&self.objects);
        let mut held = BTreeMap::new();
        for one in self.store.held() {
            let key = (one.stripe, one.index);
            held.insert(key, get(&self.store, key).unwrap().unwrap());
        }
        for (key, bytes) in &self.kept {
            assert_eq!(held.get(key), Some(bytes), "{key:?} was acknowledged");
        }
        for (key, bytes) in &held {
            let known = self.kept.get(key).into_iter().chain(self.leaving.get(key));
            let tried = self.tried.get(key).into_iter().flatten();
            assert!(known.chain(tried).any(|known| known == bytes), "{key:?} is back");
        }
        if !late {
            self.tried.clear();
        }
        self.leaving.clear();
        self.kept = held;
        let usage = self.store.usage();
        assert_eq!(usage.shards, self.kept.len() as u64);
    }
}

#[test]
fn what_was_acknowledged_survives_the_end_of_the_process_at_any_call() {
    let mut done = [0; 4];
    for seed in crate::testing::seeds("TERACHAT_BUCKET_SEEDS", SEEDS) {
        let mut story = Story::new(seed);
        for _ in 0..LIVES {
            let at = story.objects.calls() + story.dice.below(STEPS * 2);
            story.objects.fail_at(at, Fault::Stopped(at));
            for _ in 0..STEPS {
                story.step();
                if story.done[3] > 0 {
                    break;
                }
            }
            done.iter_mut().zip(std::mem::take(&mut story.done)).for_each(|(sum, done)| *sum += done);
            story.restart(false);
        }
    }
    assert!(done.iter().all(|done| *done > 0), "{done:?}: something never happened");
}

#[test]
fn a_service_that_fails_for_a_moment_costs_nothing_that_was_acknowledged() {
    for seed in crate::testing::seeds("TERACHAT_BUCKET_SEEDS", SEEDS) {
        let mut story = Story::new(seed);
        for _ in 0..LIVES {
            for _ in 0..3 {
                let at = story.objects.calls() + story.dice.below(STEPS * 2);
                let fault = match story.dice.below(3) {
                    0 => Fault::Refused,
                    1 => Fault::Unanswered,
                    _ => Fault::Late(story.dice.below(6)),
                };
                story.objects.fail_at(at, fault);
            }
            for _ in 0..STEPS {
                story.step();
                story.check();
            }
            story.restart(true);
        }
    }
}

/// A shard whose giving up was not answered is not told of any more: what comes late could take it away.
#[test]
fn what_may_be_given_up_is_not_told_to_be_kept() {
    let (objects, mut dice) = (MemoryObjects::default(), Dice(1));
    let mut store = open(&objects);
    let (key, bytes) = ((StripeId([1; 16]), 0), shard(1, 0, 100));
    put(&mut store, &[&bytes], &mut dice).unwrap();
    objects.fail_at(1, Fault::Late(5));
    assert!(matches!(store.give_up(&[key], &mut dice), Err(Error::Objects(_))));
    assert_eq!((get(&store, key), store.places(key.0)), (Ok(None), vec![]));
    assert_eq!(store.usage().shards, 0);
    // Put again it is kept, whatever comes late.
    put(&mut store, &[&bytes], &mut dice).unwrap();
    let store = open(&objects.restart());
    assert_eq!(get(&store, key), Ok(Some(bytes)));
}

#[test]
fn nothing_is_acknowledged_while_the_service_is_away() {
    let (objects, mut dice) = (MemoryObjects::default(), Dice(1));
    let mut store = open(&objects);
    let (one, other) = (shard(1, 0, 100), shard(2, 0, 100));
    put(&mut store, &[&one], &mut dice).unwrap();
    (1..20).for_each(|call| objects.fail_at(call, Fault::Refused));
    for _ in 0..5 {
        assert!(matches!(put(&mut store, &[&other], &mut dice), Err(Error::Objects(_))));
        assert!(matches!(store.compact(60, 1000, &mut dice), Err(Error::Objects(_))));
        assert_eq!(store.usage().shards, 1);
    }
    objects.fail_reads(true);
    assert!(
        matches!(get(&store, (StripeId([1; 16]), 0)), Err(Error::Objects(_))),
        "out of reach is not rotten"
    );
    assert!(matches!(store.scrub(1000), Err(Error::Objects(_))));
    assert_eq!(store.usage().rotten, 0);
    let refused = BucketStore::open(Box::new(objects.clone()), BucketOptions::default()).err();
    assert!(matches!(refused, Some(Error::Objects(_))), "what cannot be listed is not empty");
    objects.fail_reads(false);
    (1..20).for_each(|_| drop(store.compact(60, 1000, &mut dice)));
    put(&mut store, &[&other], &mut dice).unwrap();
    assert_eq!(open(&objects).usage().shards, 2);
}
