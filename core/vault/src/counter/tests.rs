use super::*;
use proptest::prelude::*;

/// A chip whose answers can be lost before or after it acts.
struct Chip {
    value: u64,
    fails: Option<Fail>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fail {
    Read,
    BeforeAdvance,
    AfterAdvance,
}

impl Chip {
    fn lost<T>() -> Result<T, CounterError> {
        Err(CounterError { reason: "the answer was lost".into() })
    }
}

impl RollbackCounter for Chip {
    fn read(&mut self) -> Result<u64, CounterError> {
        if self.fails.take_if(|fail| *fail == Fail::Read).is_some() { Self::lost() } else { Ok(self.value) }
    }

    fn advance(&mut self) -> Result<u64, CounterError> {
        match self.fails.take() {
            Some(Fail::BeforeAdvance) => return Self::lost(),
            Some(Fail::AfterAdvance) => {
                self.value += 1;
                return Self::lost();
            }
            _ => {}
        }
        self.value += 1;
        Ok(self.value)
    }
}

#[test]
fn verdicts() {
    #[track_caller]
    fn case(stored: u64, counter: u64, expected: Freshness) {
        assert_eq!(Freshness::judge(stored, counter), expected);
    }
    case(5, 5, Freshness::Fresh);
    case(6, 5, Freshness::Unfinished);
    case(4, 5, Freshness::RolledBack { by: 1 });
    case(0, u64::MAX, Freshness::RolledBack { by: u64::MAX });
    case(7, 5, Freshness::CounterSetBack { by: 1 });
    case(u64::MAX, 0, Freshness::CounterSetBack { by: u64::MAX - 1 });
}

#[test]
fn a_counter_that_someone_else_advances_is_told() {
    struct Shared(u64);
    impl RollbackCounter for Shared {
        fn read(&mut self) -> Result<u64, CounterError> {
            Ok(self.0)
        }
        fn advance(&mut self) -> Result<u64, CounterError> {
            self.0 += 2;
            Ok(self.0)
        }
    }
    let error = settle(6, &mut Shared(5)).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
}

/// Where a checkpoint, or the opening, is cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Never,
    BeforeWrite,
    AfterWrite,
    Chip(Fail),
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Checkpoint(Stop),
    /// The process starts again, from the disk as it is or from an earlier copy of it; each of the opening's
    /// checkpoints may be cut short.
    Open {
        earlier: Option<prop::sample::Index>,
        settle: Option<Fail>,
        checkpoints: [Stop; 2],
    },
}

fn fail() -> impl Strategy<Value = Fail> {
    prop_oneof![Just(Fail::Read), Just(Fail::BeforeAdvance), Just(Fail::AfterAdvance)]
}

fn stop() -> impl Strategy<Value = Stop> {
    prop_oneof![
        4 => Just(Stop::Never),
        1 => Just(Stop::BeforeWrite),
        1 => Just(Stop::AfterWrite),
        1 => fail().prop_map(Stop::Chip)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let open = (prop::option::of(any::<prop::sample::Index>()), prop::option::of(fail()), [stop(), stop()]);
    prop_oneof![
        stop().prop_map(Step::Checkpoint),
        open.prop_map(|(earlier, settle, checkpoints)| Step::Open { earlier, settle, checkpoints }),
    ]
}

struct World {
    chip: Chip,
    /// The counter value of every head that was ever written, in order; a copy of each is kept by the adversary.
    written: Vec<u64>,
    /// Which of them is on disk.
    disk: usize,
    /// The newest head that a process went on to acknowledge things under.
    acknowledged: usize,
    running: bool,
}

impl World {
    /// Returns whether it was completed.
    fn checkpoint(&mut self, stop: Stop) -> bool {
        self.running = false;
        let value = self.written[self.disk] + 1;
        if stop == Stop::BeforeWrite {
            return false;
        }
        self.written.push(value);
        self.disk = self.written.len() - 1;
        if stop == Stop::AfterWrite {
            return false;
        }
        self.chip.fails = if let Stop::Chip(fail) = stop { Some(fail) } else { None };
        self.running = settle(value, &mut self.chip).is_ok();
        self.chip.fails = None;
        self.running
    }

    fn open(&mut self, from: usize, lost: Option<Fail>, checkpoints: [Stop; 2]) -> Result<(), RollbackError> {
        self.running = false;
        self.chip.fails = lost;
        let first = settle(self.written[from], &mut self.chip);
        self.chip.fails = None;
        // Trying again after a lost answer gives what an answer would have given.
        match first {
            Err(RollbackError::Counter(_)) => settle(self.written[from], &mut self.chip)?,
            first => first?,
        }
        self.disk = from;
        if checkpoints.into_iter().all(|stop| self.checkpoint(stop)) {
            self.acknowledged = self.disk;
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever crashes where: the disk as it was left always opens, and one set back behind what was acknowledged
    /// never does.
    #[test]
    fn crashes_and_old_copies_at_every_step(start in 0..1000u64, steps in prop::collection::vec(step(), 0..60)) {
        let mut world = World {
            chip: Chip { value: start, fails: None }, written: vec![start], disk: 0, acknowledged: 0, running: false,
        };
        for step in steps {
            match step {
                Step::Checkpoint(stop) if world.running => {
                    if world.checkpoint(stop) { world.acknowledged = world.disk; }
                }
                Step::Checkpoint(_) => {}
                Step::Open { earlier, settle, checkpoints } => {
                    let from = earlier.map_or(world.disk, |earlier| earlier.index(world.written.len()));
                    let (chip, newest) = (world.chip.value, world.acknowledged);
                    match world.open(from, settle, checkpoints) {
                        Ok(()) => prop_assert!(from >= newest, "head {from} opened, {newest} was acknowledged"),
                        Err(error) => {
                            prop_assert!(from != world.disk, "the disk as it was left: {error}");
                            prop_assert_eq!(error, RollbackError::RolledBack { by: chip - world.written[from] });
                            prop_assert_eq!(world.chip.value, chip, "a refusal does not wear the chip");
                        }
                    }
                }
            }
        }
    }

    /// A chip set back beyond what a crash explains is told, whatever the disk.
    #[test]
    fn a_counter_set_back(stored in 2..u64::MAX, by in 1..1000u64) {
        let counter = stored.saturating_sub(1 + by);
        let by = stored - counter - 1;
        prop_assert_eq!(settle(stored, &mut Chip { value: counter, fails: None }), Err(RollbackError::CounterSetBack { by }));
    }
}
