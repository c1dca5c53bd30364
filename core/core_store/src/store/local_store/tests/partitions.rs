//! A week in which the network falls apart and comes together at random while everybody writes: in the end all have one state.
//! `TERACHAT_PARTITION_EVENTS=1000000` plays it with so many events; with `--nocapture` the run says what it took.
use crate::model::{ChannelOp, ControlOp, Named, Rank};
use crate::query::PageStart;
use crate::testing::{Device, Dice, text};
use std::time::Instant;
use terachat_event::{EventRef, LogId, SpaceId};

const EVENTS: u64 = 4_000;
const HOURS: u64 = 7 * 24;
const DEVICES: usize = 6;
const CHANNELS: usize = 3;
/// Most events of one flush.
const FLUSH_MAX: u64 = 256;

struct Week {
    dice: Dice,
    space: SpaceId,
    channels: Vec<LogId>,
    devices: Vec<Device>,
    /// Which part of the network each device is in; parts hear nothing of each other.
    parts: Vec<u64>,
    events: u64,
    partitions: u64,
    meetings: u64,
}

impl Week {
    fn begin(seed: u64) -> Self {
        let mut devices: Vec<Device> = (1..=DEVICES as u8).map(Device::new).collect();
        let (owner, others) = devices.split_first_mut().unwrap();
        let space = owner.found();
        for (other, rank) in others.iter().zip([80, 50, 50, 30, 10]) {
            owner.admit(space, other, Rank::new(rank).unwrap());
        }
        let channels = (0..CHANNELS).map(|n| owner.create_channel(space, &format!("channel {n}"))).collect();
        for other in others {
            other.learn_epoch(space);
            other.pull(owner).unwrap();
        }
        let parts = vec![0; DEVICES];
        Self { dice: Dice(seed), space, channels, devices, parts, events: 0, partitions: 0, meetings: 0 }
    }

    /// Links break and come back: mostly one device is moved, at times everything changes.
    fn shift(&mut self) {
        let before = self.parts.clone();
        match self.dice.below(6) {
            0 => self.parts = (0..DEVICES).map(|_| self.dice.below(3)).collect(),
            1..4 => {
                let whom = self.dice.below(DEVICES as u64) as usize;
                self.parts[whom] = self.dice.below(3);
            }
            _ => {}
        }
        self.partitions += u64::from(before != self.parts);
    }

    /// A device says so much, in flushes.
    fn speak(&mut self, at: usize, mut left: u64) {
        // Some clocks lie, each in its own way.
        self.devices[at].clock = self.dice.below(1 << (20 + 4 * at));
        while left > 0 {
            let log = self.channels[self.dice.below(CHANNELS as u64) as usize];
            let page = self.devices[at].store.page(&log, PageStart::Newest, 50).unwrap();
            let seen: Vec<EventRef> = page.iter().map(|message| message.event).collect();
            let count = (1 + self.dice.below(FLUSH_MAX)).min(left);
            let ops: Vec<ChannelOp<'_>> = (0..count).map(|_| operation(&mut self.dice, &seen)).collect();
            self.events += self.devices[at].post(log, &ops).unwrap().len() as u64;
            left -= count;
        }
    }

    /// At times somebody decides something that not everybody hears of.
    fn decide(&mut self, at: usize) {
        let whom = self.dice.below(DEVICES as u64) as usize;
        let op = if self.dice.below(2) == 0 {
            let pins = self.devices[at].pins(self.space, self.devices[whom].id());
            let rank = Rank::new([30, 50, 60][self.dice.below(3) as usize]).unwrap();
            ControlOp::SetRank { user: self.devices[whom].user_id(), rank, pins }
        } else {
            let of = Named::Channel(self.channels[0].channel.unwrap());
            ControlOp::SetName { of, name: format!("named by {at}") }
        };
        // What is forbidden is signed all the same, and everybody judges it.
        self.events += u64::from(self.devices[at].control(self.space, vec![op]).is_ok());
    }

    /// Everybody asks one other in the same part for news.
    fn meet(&mut self) {
        for to in 0..DEVICES {
            let near: Vec<usize> =
                (0..DEVICES).filter(|from| *from != to && self.parts[*from] == self.parts[to]).collect();
            if let Some(from) = self.dice.pick(&near).copied() {
                self.pull(to, from);
            }
        }
    }

    fn pull(&mut self, to: usize, from: usize) {
        let [to, from] = self.devices.get_disjoint_mut([to, from]).expect("two devices");
        to.pull(from).unwrap();
        self.meetings += 1;
    }

    /// Everything is connected again.
    fn heal(&mut self) {
        (1..DEVICES).for_each(|from| self.pull(0, from));
        (1..DEVICES).for_each(|to| self.pull(to, 0));
    }
}

fn operation(dice: &mut Dice, seen: &[EventRef]) -> ChannelOp<'static> {
    const TEXTS: [&str; 4] =
        ["yes", "who has the key of the lab?", "see the minutes of last week", "ok, then at nine"];
    match (dice.below(20), dice.pick(seen).copied()) {
        (0, Some(target)) => ChannelOp::Edit { target, body: "what was meant" },
        (1, Some(target)) => ChannelOp::React { target, emoji: "+1" },
        (2, Some(target)) => ChannelOp::Unreact { target, emoji: "+1", seen: vec![target] },
        _ => text(TEXTS[dice.below(4) as usize]),
    }
}

/// The most memory that this process ever had, in MB, where the system says so.
fn peak_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1024)
}

#[test]
fn after_a_week_of_partitions_all_have_one_state() {
    let named = std::env::var("TERACHAT_PARTITION_EVENTS").ok();
    let total = named.map_or(EVENTS, |text| text.parse().expect("a number of events"));
    let (began, mut week) = (Instant::now(), Week::begin(20_261_126));
    let mut differed = 0;
    for hour in 0..HOURS {
        week.shift();
        let due = total * (hour + 1) / HOURS;
        for at in 0..DEVICES {
            let left = due.saturating_sub(week.events) / (DEVICES - at) as u64;
            week.speak(at, left);
        }
        if week.dice.below(4) == 0 {
            let at = week.dice.below(4) as usize;
            week.decide(at);
        }
        week.meet();
        let hashes = || week.devices.iter().map(|device| device.store.space_hash(&week.space).unwrap());
        differed += u64::from(hashes().any(|hash| hash != hashes().next().unwrap()));
    }
    let spoken = began.elapsed();
    week.heal();
    let hashes: Vec<_> =
        week.devices.iter().map(|device| device.store.space_hash(&week.space).unwrap()).collect();
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
    for log in week.devices[0].store.logs() {
        let roots: Vec<_> = week.devices.iter().map(|device| device.store.frontier_root(&log)).collect();
        assert!(roots.iter().all(|root| *root == roots[0]), "{log:?}: {roots:?}");
    }
    eprintln!(
        "{} events on {DEVICES} devices, {} partitions, {} meetings, hours in which they differed {differed}: {:.1} s, \
         healed in {:.1} s, most memory {:?} MB",
        week.events,
        week.partitions,
        week.meetings,
        spoken.as_secs_f64(),
        (began.elapsed() - spoken).as_secs_f64(),
        peak_mb(),
    );
    assert!(
        week.events >= total && week.partitions > HOURS / 4 && differed > HOURS / 2,
        "or this tests little"
    );
}
