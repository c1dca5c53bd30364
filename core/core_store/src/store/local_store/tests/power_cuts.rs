//! Stories of a store whose power is cut at some operation of whatever it does, on a disk that loses and mixes what was not
//! synced. `TERACHAT_CRASH_SEEDS=FROM..TO` plays others than the few hundred of each run.
use crate::model::{ChannelOp, Rank};
use crate::store::storage::{CrashStorage, Fault};
use crate::testing::{Device, Dice, seeds, text};
use crate::{Error, LocalStore};
use std::ops::Range;
use terachat_event::{EventRef, LogId};
use terachat_vault::SecretBytes;

const SEEDS: Range<u64> = 0..300;
/// Power cuts in a story.
const CUTS: u64 = 4;

/// What a store must hold: every message's text as acknowledged, and one record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Model {
    messages: Vec<(EventRef, String)>,
    record: Option<Vec<u8>>,
}

struct Story {
    dice: Dice,
    storage: CrashStorage,
    device: Device,
    log: LogId,
    /// What was acknowledged.
    model: Model,
    /// What the step that failed would have led to: durable or not, whole.
    attempted: Option<Model>,
    written: u64,
    /// Steps of each kind that ended, to see that the story tells something.
    done: [u32; 6],
}

const NAME: &[u8] = b"name";

impl Story {
    fn begin(seed: u64) -> Self {
        let storage = CrashStorage::new(seed);
        let mut device = Device::over(1, Box::new(storage.clone())).unwrap();
        let space = device.found();
        let log = device.create_channel(space, "general");
        let (model, attempted) = (Model::default(), None);
        Self { dice: Dice(seed << 32), storage, device, log, model, attempted, written: 0, done: [0; 6] }
    }

    /// Acts until the power goes at some operation ahead.
    fn until_the_power_goes(&mut self) {
        let ahead = self.dice.below(60);
        self.storage.fail_at(self.storage.operations() + ahead, Fault::PowerCut);
        while self.step().is_ok() {}
    }

    fn step(&mut self) -> Result<(), Error> {
        let kind = self.dice.below(12);
        let result = match kind {
            0..=4 => self.say(1),
            5 => self.flush_of_many(),
            6 | 7 if !self.model.messages.is_empty() => self.edit(),
            8 => self.record(),
            9 if self.dice.below(2) == 0 => self.device.store.snapshot(),
            9 => self.slices(),
            10 => self.device.store.rewrite_segments(12, 6, 3, 1).map(drop),
            11 => self.deferred(),
            _ => self.say(1),
        };
        if result.is_ok() {
            let kinds = [0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5];
            self.done[kinds[usize::try_from(kind).unwrap()]] += 1;
        }
        result
    }

    /// Does something of which the model knows what it leads to.
    fn attempt(
        &mut self,
        goal: impl FnOnce(&mut Model),
        act: impl FnOnce(&mut Device) -> Result<Vec<EventRef>, Error>,
    ) -> Result<Vec<EventRef>, Error> {
        let mut after = self.model.clone();
        goal(&mut after);
        self.attempted = Some(after.clone());
        let events = act(&mut self.device)?;
        (self.model, self.attempted) = (after, None);
        Ok(events)
    }

    fn say(&mut self, count: u64) -> Result<(), Error> {
        let bodies: Vec<String> = (0..count).map(|_| self.body()).collect();
        let ops: Vec<ChannelOp<'_>> = bodies.iter().map(|body| text(body)).collect();
        let (log, next, author) = (self.log, self.next_seq(), self.device.id());
        let named = (next..).map(|seq| EventRef { author, seq }).zip(bodies.clone());
        self.attempt(|model| model.messages.extend(named), |device| device.post(log, &ops)).map(drop)
    }

    fn flush_of_many(&mut self) -> Result<(), Error> {
        let count = 2 + self.dice.below(20);
        self.say(count)
    }

    fn edit(&mut self) -> Result<(), Error> {
        let at = usize::try_from(self.dice.below(self.model.messages.len() as u64)).unwrap();
        let (log, target, body) = (self.log, self.model.messages[at].0, self.body());
        let op = [ChannelOp::Edit { target, body: &body }];
        self.attempt(|model| model.messages[at].1.clone_from(&body), |device| device.post(log, &op)).map(drop)
    }

    /// A snapshot in slices, with messages between them.
    fn slices(&mut self) -> Result<(), Error> {
        // Due, whatever there is.
        self.device.store.tail_len = 1 << 20;
        for _ in 0..self.dice.below(4) {
            if !self.device.store.go_on_with_snapshot()? {
                break;
            }
            self.say(1)?;
        }
        Ok(())
    }

    /// A record written over, or erased.
    fn record(&mut self) -> Result<(), Error> {
        let value = (self.dice.below(3) > 0).then(|| self.body().into_bytes());
        let write = (NAME.to_vec(), value.clone().map(SecretBytes::take));
        let act = |device: &mut Device| device.store.write_records(vec![write]).map(|()| Vec::new());
        self.attempt(|model| model.record = value, act).map(drop)
    }

    /// Several commits under one sync: acknowledged when that is done, any prefix of them durable when it is not.
    fn deferred(&mut self) -> Result<(), Error> {
        let (log, count, next, author) =
            (self.log, 1 + self.dice.below(5), self.next_seq(), self.device.id());
        let bodies: Vec<String> = (0..count).map(|_| self.body()).collect();
        let named: Vec<_> = (next..).map(|seq| EventRef { author, seq }).zip(bodies.clone()).collect();
        let act = |device: &mut Device| {
            device.store.defer();
            for body in &bodies {
                device.post(log, &[text(body)])?;
            }
            device.store.flush().map(|()| Vec::new())
        };
        self.attempt(|model| model.messages.extend(named), act).map(drop)
    }

    fn body(&mut self) -> String {
        self.written += 1;
        // Some are long, so that commits are of many sectors.
        let tail = "long ".repeat(usize::try_from(self.dice.below(8)).unwrap().pow(3));
        format!("message {} {tail}", self.written)
    }

    fn next_seq(&self) -> u64 {
        let chain = self.device.store.frontier(&self.log).and_then(|f| f.chain(&self.device.id()).copied());
        chain.map_or(1, |head| head.seq + 1)
    }

    /// Starts again and compares with what was acknowledged.
    fn start_again(&mut self) {
        self.storage = self.storage.crash();
        self.device = Device::over(1, Box::new(self.storage.clone())).unwrap();
        let found = self.found();
        let attempted = self.attempted.take().unwrap_or_else(|| self.model.clone());
        let whole = found == self.model || found == attempted;
        // Of deferred commits a prefix may be there.
        let prefix = found.record == attempted.record
            && found.messages.len() >= self.model.messages.len()
            && attempted.messages.starts_with(&found.messages);
        assert!(whole || prefix, "{found:?}\nacknowledged {:?}\nattempted {attempted:?}", self.model);
        self.model = found;
    }

    fn found(&self) -> Model {
        let start = crate::query::PageStart::Newest;
        let page = self.device.store.page(&self.log, start, usize::MAX).unwrap();
        let messages = page.into_iter().map(|message| (message.event, message.body)).collect();
        Model { messages, record: self.device.store.record(NAME).map(<[u8]>::to_vec) }
    }

    /// Everything follows from its events, and another device gets all of it.
    fn end(&mut self) {
        assert_eq!(self.device.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
        let mut other = Device::new(2);
        self.device.admit(self.log.space, &other, Rank::MEMBER);
        other.learn_epoch(self.log.space);
        // The one epoch's secret is a record of the first device; the second one has its own.
        other.pull(&mut self.device).unwrap();
        let space = self.log.space;
        assert_eq!(other.store.space_hash(&space).unwrap(), self.device.store.space_hash(&space).unwrap());
        self.storage = self.storage.crash();
        let report = LocalStore::check(
            Box::new(self.storage.clone()),
            &crate::testing::store_key(),
            Box::new(crate::testing::Counter::default()),
        );
        assert!(report.as_ref().is_ok_and(crate::store::CheckReport::is_sound), "{report:?}");
    }
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_goes() {
    let mut done = [0; 6];
    for seed in seeds("TERACHAT_CRASH_SEEDS", SEEDS) {
        let told = std::panic::catch_unwind(|| {
            let mut story = Story::begin(seed);
            for _ in 0..CUTS {
                story.until_the_power_goes();
                story.start_again();
            }
            story.end();
            story.done
        });
        let told = told.unwrap_or_else(|_| {
            panic!("seed {seed}: run it alone by TERACHAT_CRASH_SEEDS={seed}..{}", seed + 1)
        });
        done.iter_mut().zip(told).for_each(|(sum, more)| *sum += more);
    }
    if seeds("TERACHAT_CRASH_SEEDS", SEEDS) == SEEDS {
        assert!(done.iter().all(|count| *count > 100), "a kind of step hardly ever succeeds: {done:?}");
    }
}
