//! What tests of several modules share.
use crate::model::{Card, ChannelOp, ControlOp, ControlTransaction, Pin, Post, Rank, Style};
use crate::query::PageStart;
use crate::store::Storage;
use crate::store::storage::{CrashStorage, MemoryStorage};
use crate::sync::{Bundle, Draft, Frontier, KeyId, Limits, Outcome};
use crate::{Error, LocalStore};
use std::ops::Range;
use terachat_event::{DeviceId, DeviceKey, EventHash, EventRef, LogId, SpaceId, UserId};
use terachat_vault::{Entropy, Secret};

/// Entropy that repeats in every run.
#[derive(Default)]
pub(crate) struct Counter(u64);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for part in out.chunks_mut(32) {
            self.0 += 1;
            part.copy_from_slice(&blake3::hash(&self.0.to_le_bytes()).as_bytes()[..part.len()]);
        }
    }
}

/// A device with its own store in memory.
pub(crate) struct Device {
    pub(crate) key: DeviceKey,
    pub(crate) user: DeviceKey,
    pub(crate) name: String,
    pub(crate) store: LocalStore,
    pub(crate) clock: u64,
}

/// The key under which test stores are sealed.
pub(crate) fn store_key() -> Secret<32> {
    Secret::take(&mut [7; 32])
}

impl Device {
    pub(crate) fn new(n: u8) -> Self {
        Self::over(n, Box::new(MemoryStorage::new())).expect("an empty storage opens")
    }

    pub(crate) fn over(n: u8, storage: Box<dyn Storage>) -> Result<Self, Error> {
        Ok(Self {
            key: DeviceKey::from_seed(&Secret::take(&mut [n; 32])),
            user: DeviceKey::from_seed(&Secret::take(&mut [n ^ 0x80; 32])),
            name: format!("user{n}"),
            store: LocalStore::open(storage, &store_key(), Box::new(Counter(u64::from(n) << 32)))?,
            clock: 1_000,
        })
    }

    pub(crate) fn id(&self) -> DeviceId {
        self.key.id()
    }

    pub(crate) fn user_id(&self) -> UserId {
        UserId(self.user.id().0)
    }

    pub(crate) fn card(&self) -> Card {
        Card::issue(&self.user, &self.name, &self.key)
    }

    fn now(&mut self) -> u64 {
        self.clock += 1_000;
        self.clock
    }

    pub(crate) fn found(&mut self) -> SpaceId {
        let genesis = ControlOp::Genesis { name: "club".into(), owner: self.card(), salt: [1; 16] };
        let now = self.now();
        let space = self.store.found_space(&self.key, genesis, now, |_| Ok(Vec::new())).unwrap();
        self.learn_epoch(space);
        space
    }

    /// Stands for joining the group: every test space has one epoch, whose secret its members know.
    pub(crate) fn learn_epoch(&mut self, space: SpaceId) {
        let key = key_of(space);
        let secret = Secret::take(&mut [9; 32]);
        self.store
            .write_records(vec![LocalStore::epoch_secret_record(&space, &key.commit, &secret)])
            .unwrap();
    }

    pub(crate) fn control(&mut self, space: SpaceId, ops: Vec<ControlOp>) -> Result<EventRef, Error> {
        let payloads = vec![ControlTransaction(ops).encode()];
        let draft = Draft { log: LogId::control(space), payloads, key: None, wall_ms: self.now() };
        Ok(self.store.apply_local(&self.key, &draft, |_| Vec::new())?[0])
    }

    pub(crate) fn admit(&mut self, space: SpaceId, other: &Device, rank: Rank) {
        self.control(space, vec![ControlOp::Admit { card: other.card(), rank, key_package: Vec::new() }])
            .unwrap();
    }

    pub(crate) fn create_channel(&mut self, space: SpaceId, name: &str) -> LogId {
        let before: Vec<_> = self.store.logs();
        self.control(space, vec![ControlOp::CreateChannel { name: name.into() }]).unwrap();
        *self.store.logs().iter().find(|log| !before.contains(log)).unwrap()
    }

    /// Pins for all chains of `device` as this store has them.
    pub(crate) fn pins(&self, space: SpaceId, device: DeviceId) -> Vec<Pin> {
        self.store
            .logs()
            .into_iter()
            .filter(|log| log.space == space)
            .filter_map(|log| {
                let head = *self.store.frontier(&log)?.chain(&device)?;
                Some(Pin { channel: log.channel, device, seq: head.seq, hash: head.hash })
            })
            .collect()
    }

    pub(crate) fn post(&mut self, log: LogId, ops: &[ChannelOp<'_>]) -> Result<Vec<EventRef>, Error> {
        let now = self.now();
        self.store.post(&self.key, log, key_of(log.space), now, ops)
    }

    /// Posts what an honest device would refuse to: operations on events that are not here.
    pub(crate) fn post_blindly(&mut self, log: LogId, ops: &[ChannelOp<'_>]) -> Result<Vec<EventRef>, Error> {
        let payloads = ops.iter().map(ChannelOp::encode).collect();
        let draft = Draft { log, payloads, key: Some(key_of(log.space)), wall_ms: self.now() };
        self.store.apply_unchecked(&self.key, &draft, |_| Vec::new())
    }

    pub(crate) fn say(&mut self, log: LogId, body: &str) -> EventRef {
        self.post(log, &[text(body)]).unwrap()[0]
    }

    pub(crate) fn bodies(&self, log: LogId) -> Vec<String> {
        self.store.page(&log, PageStart::Newest, usize::MAX).unwrap().into_iter().map(|m| m.body).collect()
    }

    /// Everything this device has that `other` lacks, as bytes.
    pub(crate) fn bundles_for(&mut self, other: &Device, log: LogId) -> Vec<Vec<u8>> {
        let theirs = other.store.frontier(&log).unwrap_or(Frontier { log, chains: Vec::new() });
        self.store.bundles_since(&theirs, Limits::PEER).unwrap().iter().map(Bundle::encode).collect()
    }

    /// Takes in bytes as from a peer.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Outcome, Error> {
        self.store.apply_remote(&Bundle::decode(bytes, Limits::PEER)?)
    }

    /// Asks for content that is missing here, as devices do once they are in sync.
    pub(crate) fn ask_missing(&mut self, other: &mut Device, log: LogId) {
        let missing = self.store.missing_bodies(&log);
        for bundle in other.store.bundles_with(&log, &missing).unwrap() {
            self.take(&bundle.encode()).unwrap();
        }
    }

    /// Pulls the control log alone.
    pub(crate) fn pull_control(&mut self, other: &mut Device, space: SpaceId) {
        for bundle in other.bundles_for(self, LogId::control(space)) {
            self.take(&bundle).unwrap();
        }
    }

    /// Pulls all that `other` has and this device lacks.
    pub(crate) fn pull(&mut self, other: &mut Device) -> Result<(), Error> {
        for log in other.store.logs() {
            for bundle in other.bundles_for(self, log) {
                self.take(&bundle)?;
            }
        }
        Ok(())
    }
}

/// The one epoch of a test space.
pub(crate) fn key_of(space: SpaceId) -> KeyId {
    KeyId { commit: EventHash(space.0), epoch: 0 }
}

pub(crate) fn text(body: &str) -> ChannelOp<'_> {
    ChannelOp::Post(Post { style: Style::Message, body, reply_to: None, imported: None })
}

/// Numbers that follow from a seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 += 1;
        let hash = blake3::hash(&self.0.to_le_bytes());
        u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap()) % end
    }

    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        (!list.is_empty()).then(|| &list[self.below(list.len() as u64) as usize])
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        (1..list.len()).for_each(|at| list.swap(at, self.below(at as u64 + 1) as usize));
    }
}

/// The seeds that an environment variable names as `FROM..TO`, or those of each run.
pub(crate) fn seeds(variable: &str, usual: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var(variable) else { return usual };
    let (from, to) = text.split_once("..").unwrap_or_else(|| panic!("{variable} is FROM..TO"));
    from.parse().expect("a number")..to.parse().expect("a number")
}

/// Everybody tells everybody what they have, until nobody learns anything.
pub(crate) fn gossip(devices: &mut [&mut Device], space: SpaceId) {
    for _ in 0..4 {
        for to in 0..devices.len() {
            for from in 0..devices.len() {
                let (low, high) = devices.split_at_mut(to.max(from));
                let (to, from) = match to.cmp(&from) {
                    std::cmp::Ordering::Less => (&mut *low[to], &mut *high[0]),
                    std::cmp::Ordering::Greater => (&mut *high[0], &mut *low[from]),
                    std::cmp::Ordering::Equal => continue,
                };
                for proof in from.store.proofs(&space) {
                    to.store.apply_proof(&proof).unwrap();
                }
                for log in from.store.logs() {
                    for bundle in from.bundles_for(to, log) {
                        // What does not fit yet fits when the proof is here.
                        let _ = to.take(&bundle);
                    }
                }
            }
        }
    }
}

/// All files, as they are.
pub(crate) fn copy(storage: &dyn Storage) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| {
        let len = storage.size(&name).unwrap().unwrap();
        let bytes = storage.read(&name, 0, len as usize).unwrap();
        (name, bytes)
    };
    storage.list().unwrap().into_iter().map(read).collect()
}

/// A disk with these files, whose power can be cut.
pub(crate) fn disk(files: &[(String, Vec<u8>)], seed: u64) -> CrashStorage {
    let mut disk = CrashStorage::new(seed);
    files.iter().for_each(|(name, bytes)| disk.replace(name, bytes).unwrap());
    disk
}
