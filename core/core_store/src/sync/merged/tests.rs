use super::*;
use crate::model::{ChannelOp, ControlOp, ControlTransaction, Rank};
use crate::sync::{Draft, Limits};
use crate::testing::{Device, Dice, seeds, text};
use std::sync::Arc;
use terachat_event::SpaceId;

/// Four devices that talk, one of them twice, and every flush of theirs as a bundle.
struct Story {
    dice: Dice,
    devices: Vec<Device>,
    space: SpaceId,
    told: Vec<Vec<u8>>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut devices: Vec<Device> = (1..4).map(Device::new).collect();
        let space = devices[0].found();
        let (first, others) = devices.split_at_mut(1);
        first[0].admit(space, &others[0], Rank::MODERATOR);
        first[0].admit(space, &others[1], Rank::MEMBER);
        first[0].create_channel(space, "general");
        // The last device's disk may be copied.
        devices.push(Device::new(3));
        let (first, others) = devices.split_at_mut(1);
        for other in others {
            other.learn_epoch(space);
            other.pull(&mut first[0]).unwrap();
        }
        Self { dice: Dice(seed << 20), devices, space, told: Vec::new() }
    }

    /// Does something, and notes what was said.
    fn step(&mut self, twin_speaks: bool) {
        let speakers = if twin_speaks { 4 } else { 3 };
        let at = self.dice.below(speakers) as usize;
        if self.dice.below(3) == 0 {
            let from = self.dice.below(speakers) as usize;
            if from != at {
                let [to, from] = self.devices.get_disjoint_mut([at, from]).unwrap();
                for log in from.store.logs() {
                    for bundle in from.bundles_for(to, log) {
                        let _ = to.take(&bundle);
                    }
                }
            }
            return;
        }
        let speaker = &mut self.devices[at];
        let logs = speaker.store.logs();
        let before: Vec<_> = logs.iter().map(|log| speaker.store.frontier(log).unwrap()).collect();
        if at == 0 && self.dice.below(12) == 0 {
            let name = format!("room {}", speaker.clock);
            let payloads = vec![ControlTransaction(vec![ControlOp::CreateChannel { name }]).encode()];
            let draft =
                Draft { log: LogId::control(self.space), payloads, key: None, wall_ms: speaker.clock };
            speaker.store.apply_local(&speaker.key, &draft, |_| Vec::new()).unwrap();
        } else {
            let channels: Vec<LogId> = logs.iter().filter(|log| log.channel.is_some()).copied().collect();
            let log = *self.dice.pick(&channels).unwrap();
            let events = speaker.store.event_refs(&log, 0..speaker.store.len(&log) as u32);
            let body = format!("{} of {at}", speaker.clock);
            let op = match self.dice.pick(&events) {
                Some(target) if self.dice.below(3) == 0 => {
                    ChannelOp::React { target: *target, emoji: "👍" }
                }
                _ => text(&body),
            };
            let more = text("and more");
            let ops = if self.dice.below(4) == 0 { vec![op, more] } else { vec![op] };
            // A device that knows of its own fork says nothing more.
            let _ = speaker.post(log, &ops);
        }
        for before in before {
            let bundles = speaker.store.bundles_since(&before, Limits::PEER).unwrap();
            self.told.extend(bundles.iter().map(Bundle::encode));
        }
    }

    fn listener(&mut self) -> Device {
        let mut listener = Device::new(9);
        listener.learn_epoch(self.space);
        listener
    }

    fn key(&self, batch: &crate::sync::Batch) -> Option<Arc<EpochKey>> {
        self.devices[0].store.epoch_key(&batch.log, batch.key.as_ref())
    }

    /// What arrives: most of it in order, some of it twice, late, never, or damaged; with the damage that only a signature of
    /// its own would show if `forges`.
    fn arrives(&mut self, forges: bool) -> Vec<Bundle> {
        let mut out: Vec<Vec<u8>> = Vec::new();
        for at in 0..self.told.len() {
            let bytes = self.told[at].clone();
            match self.dice.below(16) {
                0 => {
                    let again = self.dice.below(at as u64 + 1) as usize;
                    out.push(bytes);
                    out.push(self.told[again].clone());
                }
                1 => {
                    let behind = out.len() - self.dice.below(3).min(out.len() as u64) as usize;
                    out.insert(behind, bytes);
                }
                2 if self.dice.below(3) == 0 => {}
                3 => out.push(self.damage(&bytes, forges)),
                4 => {
                    out.push(self.damage(&bytes, forges));
                    out.push(bytes);
                }
                _ => out.push(bytes),
            }
        }
        out.iter().filter_map(|bytes| Bundle::decode(bytes, Limits::PEER).ok()).collect()
    }

    fn damage(&mut self, bytes: &[u8], forges: bool) -> Vec<u8> {
        let bundle = Bundle::decode(bytes, Limits::PEER).unwrap();
        let key = self.key(&bundle.batch);
        let Ok(mut chunks) = bundle.open_chunks(key.as_deref()) else { return bytes.to_vec() };
        let mut batch = bundle.batch;
        match self.dice.below(if forges { 5 } else { 4 }) {
            0 => {
                let mut bytes = bytes.to_vec();
                *bytes.last_mut().unwrap() ^= 1;
                return bytes;
            }
            1 => batch.events[0].lamport += 1,
            2 => *chunks[0].last_mut().unwrap() ^= 1,
            3 => batch.events[0].wall_ms ^= 1,
            _ => {
                let author = batch.authors.iter_mut().find(|author| author.count > 0).unwrap();
                author.signature[3] ^= 1;
            }
        }
        Bundle::pack(batch, &chunks, key.as_deref(), &mut crate::testing::Counter::default()).encode()
    }
}

/// In pieces, as a queue is drained.
fn in_pieces(store: &mut LocalStore, dice: &mut Dice, mut rest: &[Bundle]) -> Vec<Result<Outcome, Error>> {
    let mut outcomes = Vec::new();
    while !rest.is_empty() {
        let (some, behind) = rest.split_at((1 + dice.below(60) as usize).min(rest.len()));
        outcomes.extend(store.apply_backlog(some));
        rest = behind;
    }
    outcomes
}

#[track_caller]
fn same(a: &Device, b: &Device, seed: u64) {
    assert_eq!(a.store.logs(), b.store.logs(), "seed {seed}");
    for log in a.store.logs() {
        assert_eq!(a.store.frontier(&log), b.store.frontier(&log), "seed {seed}");
        assert_eq!(a.store.len(&log), b.store.len(&log), "seed {seed}");
    }
    let space = a.store.spaces().next().unwrap();
    assert_eq!(a.store.space_hash(&space), b.store.space_hash(&space), "seed {seed}");
}

#[test]
fn a_backlog_comes_to_the_same_as_one_bundle_after_the_other() {
    let (mut merged, mut forked) = (0, 0);
    for seed in seeds("TERACHAT_BACKLOG_SEEDS", 0..60) {
        let mut story = Story::new(seed);
        let founding = story.devices[0].bundles_for(&Device::new(8), LogId::control(story.space));
        (0..40 + story.dice.below(80)).for_each(|_| story.step(seed % 3 == 0));
        let (mut one, mut all) = (story.listener(), story.listener());
        for device in [&mut one, &mut all] {
            founding.iter().for_each(|bytes| drop(device.take(bytes).unwrap()));
        }
        let bundles = story.arrives(false);
        let expected: Vec<_> = bundles.iter().map(|bundle| one.store.apply_remote(bundle)).collect();
        let outcomes = in_pieces(&mut all.store, &mut story.dice, &bundles);
        assert_eq!(outcomes, expected, "seed {seed}");
        same(&one, &all, seed);
        forked += all.store.equivocations().count();
        let batches = |device: &Device| -> usize {
            device.store.logs().iter().map(|log| device.store.index(log).unwrap().metas.len()).sum()
        };
        merged += batches(&one) - batches(&all);
        assert_eq!(all.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new(), "seed {seed}");
        // What was put together is handed on, and read again.
        let mut late = story.listener();
        for proof in all.store.proofs(&story.space) {
            late.store.apply_proof(&proof).unwrap();
        }
        for _ in 0..3 {
            for log in all.store.logs() {
                for bundle in all.bundles_for(&late, log) {
                    let _ = late.take(&bundle);
                }
            }
            for proof in all.store.proofs(&story.space) {
                late.store.apply_proof(&proof).unwrap();
            }
        }
        if all.store.equivocations().count() == 0 {
            same(&all, &late, seed);
        }
        let opened = Device::over(9, all.store.into_storage()).unwrap();
        same(&one, &opened, seed);
    }
    assert!(merged > 200 && forked > 5, "{merged} {forked}");
}

#[test]
fn a_forged_signature_takes_no_other_bundle_with_it_and_brings_nothing_that_is_not_proven() {
    let mut covered = 0;
    for seed in seeds("TERACHAT_BACKLOG_SEEDS", 0..30) {
        let mut story = Story::new(seed);
        (0..80).for_each(|_| story.step(false));
        let founding = story.devices[0].bundles_for(&Device::new(8), LogId::control(story.space));
        let (mut one, mut all) = (story.listener(), story.listener());
        for device in [&mut one, &mut all] {
            founding.iter().for_each(|bytes| drop(device.take(bytes).unwrap()));
        }
        let bundles = story.arrives(true);
        let expected: Vec<_> = bundles.iter().map(|bundle| one.store.apply_remote(bundle)).collect();
        let outcomes = in_pieces(&mut all.store, &mut story.dice, &bundles);
        for (outcome, expected) in outcomes.iter().zip(&expected) {
            let applied = |outcome: &Result<Outcome, Error>| matches!(outcome, Ok(Outcome::Applied { .. }));
            assert!(!applied(expected) || applied(outcome), "seed {seed}: {expected:?}, {outcome:?}");
            covered += usize::from(applied(outcome) && !applied(expected));
        }
        assert_eq!(all.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new(), "seed {seed}");
        // Once everything has come as it was said, nothing tells which way it came.
        let told: Vec<Bundle> =
            story.told.iter().map(|bytes| Bundle::decode(bytes, Limits::PEER).unwrap()).collect();
        for _ in 0..2 {
            told.iter().for_each(|bundle| drop(one.store.apply_remote(bundle)));
            all.store.apply_backlog(&told);
        }
        same(&one, &all, seed);
    }
    assert!(covered > 0);
}

#[test]
fn whoever_sends_bad_ones_among_good_ones_wastes_a_share_of_the_work() {
    let mut story = Story::new(1);
    let log = *story.devices[0].store.logs().iter().find(|log| log.channel.is_some()).unwrap();
    let founding = story.devices[0].bundles_for(&Device::new(8), LogId::control(story.space));
    for n in 0..600 {
        let speaker = &mut story.devices[n % 3];
        let before = speaker.store.frontier(&log).unwrap();
        speaker.say(log, "hello");
        let bundles = speaker.store.bundles_since(&before, Limits::PEER).unwrap();
        story.told.extend(bundles.iter().map(Bundle::encode));
    }
    for every in [0, 1, 2, 3, 7, 50, 300] {
        let mut bundles = Vec::new();
        for (n, bytes) in story.told.clone().iter().enumerate() {
            if every > 0 && n % every == 0 {
                // Each kind of damage in turn: told from the event, from the signature, at the seal.
                let kind = n / every % 3;
                let bundle = Bundle::decode(bytes, Limits::PEER).unwrap();
                let key = story.key(&bundle.batch);
                let (chunks, mut batch) = (bundle.open_chunks(key.as_deref()).unwrap(), bundle.batch);
                match kind {
                    0 => batch.events[0].lamport += 1,
                    1 => batch.events[0].wall_ms ^= 1,
                    _ => batch.authors[0].signature[0] ^= 1,
                }
                bundles.push(Bundle::pack(
                    batch,
                    &chunks,
                    key.as_deref(),
                    &mut crate::testing::Counter::default(),
                ));
            }
            bundles.push(Bundle::decode(bytes, Limits::PEER).unwrap());
        }
        let mut listener = story.listener();
        founding.iter().for_each(|bytes| drop(listener.take(bytes).unwrap()));
        let mut opener = NoOpener;
        let backlog = listener.store.work_off(&bundles, &mut opener);
        assert!(backlog.tries <= 4 * bundles.len(), "{} tries for {} bundles", backlog.tries, bundles.len());
        assert_eq!(listener.store.len(&log), 600, "every {every}");
        if every == 0 {
            assert_eq!(listener.store.index(&log).unwrap().metas.len(), 1);
        }
    }
}
