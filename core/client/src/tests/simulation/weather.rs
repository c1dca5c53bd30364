//! What networks, disks, boards and adversaries do.
use super::world::{World, key};
use crate::Error;
use crate::api::{Answer, Request};
use terachat_core_store::store::storage::Fault;

/// Calls to a board that one exchange may take.
const CALLS_MAX: usize = 100;

impl World {
    pub(super) fn step(&mut self) {
        let at = self.random.below(self.devices.len());
        let other = self.random.below(self.devices.len());
        match self.random.below(115) {
            0..22 => self.speak(at),
            22..27 => self.import(at),
            27..32 => self.invite(at, other),
            32..35 => self.join(at),
            35..39 => self.remove(at, other),
            39..44 => self.rank(at, other),
            44..47 => self.channel(at),
            47..55 => self.connect(at, other),
            55..61 => self.cut(at, other),
            61..64 => self.reboot(at, true),
            64..70 => self.fault(at),
            70..74 => self.carry(at, other),
            74..77 => self.replay(),
            77..81 => self.damage(),
            81..83 => self.speak_at_once(at),
            83..85 => self.lose_group(at),
            85..87 => self.reinit(at),
            87..90 => self.add_device(at),
            90..92 => self.revoke(at),
            92..95 => self.renew(at),
            95..97 => self.archive(at, other),
            97..103 if self.cast.board => self.board(at),
            _ => {
                for _ in 0..self.random.within(1..=40) {
                    self.deliver();
                }
            }
        }
    }

    /// A device reads the board or leaves there what it has, or the board loses records.
    fn board(&mut self, at: usize) {
        match self.random.below(7) {
            0..3 => self.publish(at),
            3..6 => self.fetch(at),
            _ => {
                let keys: Vec<_> = self.board.keys().collect();
                for _ in 0..self.random.within(1..=3) {
                    let lost = self.random.pick(&keys).and_then(|key| self.board.lose(&key));
                    self.note(|| format!("the board loses {}", usize::from(lost.is_some())));
                }
            }
        }
    }

    pub(super) fn publish(&mut self, at: usize) {
        for call in 0.. {
            assert!(call < CALLS_MAX, "d{at} never ends publishing");
            self.now += 1;
            let told = self.devices[at].client.board_publish(&mut self.board, self.now);
            self.note(|| format!("d{at} publishes {told:?}"));
            let more = told.as_ref().is_ok_and(|told| told.more);
            self.follows(at, told.map(drop));
            if !more {
                return;
            }
        }
    }

    pub(super) fn fetch(&mut self, at: usize) {
        for call in 0.. {
            assert!(call < CALLS_MAX, "d{at} never ends fetching");
            self.now += 1;
            let told = self.devices[at].client.board_fetch(&self.board, self.now);
            self.note(|| format!("d{at} fetches {told:?}"));
            let more = told.as_ref().is_ok_and(|told| told.more);
            self.follows(at, told.map(drop));
            if !more {
                return;
            }
        }
    }

    fn follows(&mut self, at: usize, result: Result<(), Error>) {
        let fault = self.fired(at);
        if let Err(error) = result {
            let disk = matches!(&error, Error::Store(terachat_core_store::Error::Store(_)));
            assert!(disk && fault.is_some(), "d{at} and the board: {error} ({fault:?})");
        }
        self.after(at, fault);
    }

    /// The liar and its twin each say or decide something, and somebody hears of it.
    pub(super) fn lie(&mut self) {
        let Some((liar, twin)) = self.liar else { return };
        for at in [liar, twin] {
            let other = self.random.below(liar.max(3));
            match self.random.below(8) {
                0..3 => self.channel(at),
                3..5 => self.rank(at, other),
                5 => self.invite(at, other),
                6 => self.remove(at, other),
                _ => self.speak(at),
            }
            let other = self.random.below(self.devices.len());
            self.connect(at, other);
            for _ in 0..self.random.within(1..=30) {
                self.deliver();
            }
        }
    }

    fn fault(&mut self, at: usize) {
        if self.devices[at].fault.is_none() {
            let fault = self.random.pick(&[Fault::PowerCut, Fault::Full, Fault::Full]).unwrap_or(Fault::Full);
            let write = self.random.below(12) as u64;
            self.plan(at, fault, write);
        }
    }

    /// Has one of a device's next operations on its disk fail.
    pub(super) fn plan(&mut self, at: usize, fault: Fault, write: u64) {
        let operation = self.devices[at].storage.operations() + write;
        self.note(|| format!("d{at} will meet {fault:?}"));
        self.devices[at].storage.fail_at(operation, fault);
        self.devices[at].fault = Some((operation, fault));
    }

    /// A bundle file goes from hand to hand, at times scratched on the way.
    fn carry(&mut self, from: usize, to: usize) {
        let Ok(Answer::Bundle { mut bytes, .. }) = self.ask(from, Request::BundleExport { space: None })
        else {
            return;
        };
        let damaged = self.random.one_in(3);
        if damaged {
            self.spoil(&mut bytes);
        }
        let expected = !damaged
            && !self.lies(from)
            && !self.lies(to)
            && self.devices[to].joined
            && self.devices[to].fault.is_none();
        if let Ok(Answer::BundleApplied { refused, .. }) = self.ask(to, Request::BundleImport { bytes }) {
            assert!(!expected || refused.is_empty(), "d{to} refuses an honest file of d{from}: {refused:?}");
        }
    }

    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        let at = self.random.below(bytes.len());
        match self.random.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.push(self.random.next() as u8),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.random.below(8);
                }
            }
        }
    }

    /// A peer says again what it, or somebody else, said before.
    fn replay(&mut self) {
        let lanes: Vec<(usize, usize)> = self.lanes.keys().copied().collect();
        let Some((from, to)) = self.random.pick(&lanes) else { return };
        let Some((.., frame)) = self.random.pick(&self.old) else { return };
        self.note(|| format!("d{from} replays"));
        self.tainted.insert(key(from, to));
        self.hand(from, to, frame);
    }

    /// A peer garbles, keeps back, repeats or overtakes what it says.
    fn damage(&mut self) {
        let full: Vec<(usize, usize)> =
            self.lanes.iter().filter(|(_, lane)| !lane.frames.is_empty()).map(|(at, _)| *at).collect();
        let Some((from, to)) = self.random.pick(&full) else { return };
        self.tainted.insert(key(from, to));
        let how = self.random.below(5);
        let Some(lane) = self.lanes.get_mut(&(from, to)) else { return };
        let frame = lane.frames.pop_front().unwrap();
        match how {
            0 => self.note(|| format!("d{from} keeps back")),
            1 => lane.frames.push_back(frame),
            2 => {
                lane.frames.push_front(frame.clone());
                lane.frames.push_front(frame);
            }
            _ => {
                let mut frame = frame;
                self.note(|| format!("d{from} garbles"));
                self.spoil(&mut frame);
                self.hand(from, to, frame);
            }
        }
    }
}
