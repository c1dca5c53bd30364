//! The store of somebody who has the whole conversation, and what is sent to a newcomer.
use crate::workload::Workload;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use terachat_core_store::LocalStore;
use terachat_core_store::model::{Card, ChannelOp, ControlOp, ControlTransaction, Post, Rank};
use terachat_core_store::store::storage::{MemoryStorage, Storage};
use terachat_core_store::sync::{Bundle, Draft, Frontier, KeyId, Limits};
use terachat_event::{ChannelId, DeviceKey, EventHash, EventRef, LogId, SpaceId};
use terachat_vault::{Entropy, Secret};

/// Admissions in one control event: about half of the 1 MiB it may hold.
const ADMITTED_AT_ONCE: usize = 3000;

/// Reproducible bytes: the same conversation is prepared alike every time. No use where secrets matter.
pub(crate) struct Seeded(blake3::OutputReader);

impl Seeded {
    /// The stream of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 benchmark entropy");
        Self(hasher.update(&seed.to_le_bytes()).finalize_xof())
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }
}

/// What a newcomer is sent, and the names it needs to take it in.
pub(crate) struct Prepared {
    /// The channel's log.
    pub(crate) log: LogId,
    /// The one epoch.
    pub(crate) key: KeyId,
    /// The control log's bundles.
    pub(crate) control: Vec<Vec<u8>>,
    /// The channel's bundles.
    pub(crate) channel: Vec<Vec<u8>>,
}

/// The device key of the author with this number; the owner's is [`OWNER`].
pub(crate) fn device(author: u32) -> DeviceKey {
    seeded_key(b"device", author)
}

/// The number under which [`device`] gives the owner's key.
pub(crate) const OWNER: u32 = u32::MAX;

fn seeded_key(kind: &[u8; 6], author: u32) -> DeviceKey {
    let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 benchmark keys");
    let mut seed = *hasher.update(kind).update(&author.to_le_bytes()).finalize().as_bytes();
    DeviceKey::from_seed(&Secret::take(&mut seed))
}

/// The secret of the one epoch.
pub(crate) fn epoch_secret() -> Secret<32> {
    Secret::take(&mut [5; 32])
}

/// An empty store in `storage`.
///
/// # Errors
/// The store's.
pub(crate) fn empty_store(storage: Box<dyn Storage>, seed: u64) -> Result<LocalStore> {
    Ok(LocalStore::open(storage, &Secret::take(&mut [9; 32]), Box::new(Seeded::new(seed)))?)
}

/// Founds the space, admits all authors and creates the channel.
///
/// # Errors
/// The store's.
pub(crate) fn found(store: &mut LocalStore, authors: &[String]) -> Result<(LogId, KeyId)> {
    let (owner, user) = (device(OWNER), seeded_key(b"user  ", OWNER));
    let card = Card::issue(&user, "owner", &owner);
    let genesis = ControlOp::Genesis { name: "benchmark".to_owned(), owner: card, salt: [3; 16] };
    let space = store.found_space(&owner, genesis, 0, |space| {
        Ok(vec![LocalStore::epoch_secret_record(&space, &EventHash(space.0), &epoch_secret())])
    })?;
    let cards: Vec<ControlOp> = (0..)
        .zip(authors)
        .map(|(n, name)| {
            // A nick may hold what a name may not.
            let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
            let name = if name.trim().is_empty() { format!("author {n}") } else { name };
            let card = Card::issue(&seeded_key(b"user  ", n), &name, &device(n));
            ControlOp::Admit { card, rank: Rank::MEMBER, key_package: Vec::new() }
        })
        .collect();
    let admissions = cards.chunks(ADMITTED_AT_ONCE).map(|ops| ControlTransaction(ops.to_vec()));
    let create = ControlTransaction(vec![ControlOp::CreateChannel { name: "talk".to_owned() }]);
    let log = LogId::control(space);
    for transaction in admissions.chain([create]) {
        let draft = Draft { log, payloads: vec![transaction.encode()], key: None, wall_ms: 0 };
        store.apply_local(&owner, &draft, |_| Vec::new())?;
    }
    let state = store.space(&space).context("the space was just founded")?;
    if state.devices.len() != authors.len() + 1 {
        bail!("{} of {} devices were admitted", state.devices.len() - 1, authors.len());
    }
    let channel = *state.channels.keys().next().context("the channel was just created")?;
    Ok((LogId::channel(space, channel), KeyId { commit: EventHash(space.0), epoch: 0 }))
}

/// The whole conversation in a store, posted record by record by its authors' devices.
///
/// # Errors
/// The store's.
pub(crate) fn converse(workload: &Workload, storage: Box<dyn Storage>) -> Result<(LocalStore, LogId, KeyId)> {
    let mut store = empty_store(storage, 1)?;
    store.defer();
    let (log, key) = found(&mut store, &workload.authors)?;
    let devices: Vec<DeviceKey> = (0..).zip(&workload.authors).map(|(n, _)| device(n)).collect();
    let mut events: Vec<EventRef> = Vec::with_capacity(workload.records.len());
    for record in &workload.records {
        let reply_to = record.reply_to.map(|at| events[at as usize]);
        let post =
            ChannelOp::Post(Post { style: record.style, body: &record.body, reply_to, imported: None });
        let wall_ms = u64::try_from(record.ts_ms)?;
        let made = store.post(&devices[record.author as usize], log, key, wall_ms, &[post])?;
        events.push(made[0]);
    }
    store.flush()?;
    Ok((store, log, key))
}

/// All bundles of a log for somebody who has nothing of it.
///
/// # Errors
/// The store's.
pub(crate) fn all_bundles(store: &mut LocalStore, log: LogId, limits: Limits) -> Result<Vec<Vec<u8>>> {
    let bundles = store.bundles_since(&Frontier { log, chains: Vec::new() }, limits)?;
    Ok(bundles.iter().map(Bundle::encode).collect())
}

/// The conversation as one newcomer's download, from the cache if this very program made it before.
///
/// # Errors
/// The store's and the disk's.
pub(crate) fn prepare(workload: &Workload) -> Result<Prepared> {
    let cache = cache_file(workload)?;
    if let Some(known) = std::fs::read(&cache).ok().and_then(|bytes| Prepared::from_bytes(&bytes)) {
        return Ok(known);
    }
    eprintln!("preparing {} messages by {} devices", workload.records.len(), workload.authors.len());
    let (mut store, log, key) = converse(workload, Box::new(MemoryStorage::new()))?;
    let control = all_bundles(&mut store, LogId::control(log.space), Limits::PEER)?;
    let channel = all_bundles(&mut store, log, Limits::PEER)?;
    let prepared = Prepared { log, key, control, channel };
    std::fs::write(&cache, prepared.to_bytes()).with_context(|| format!("writing {}", cache.display()))?;
    Ok(prepared)
}

/// Named after the conversation and this program, so that no figure comes from another version's bytes.
fn cache_file(workload: &Workload) -> Result<PathBuf> {
    let program = blake3::hash(&std::fs::read(std::env::current_exe()?)?).to_hex()[..16].to_owned();
    let folder = std::env::temp_dir().join("terachat-bench");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{}-{program}", workload.fingerprint)))
}

impl Prepared {
    /// Bytes that travel.
    pub(crate) fn len(&self) -> usize {
        self.control.iter().chain(&self.channel).map(Vec::len).sum()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out =
            [self.log.space.0, self.log.channel.map_or([0; 32], |id| id.0), self.key.commit.0].concat();
        out.extend_from_slice(&self.key.epoch.to_le_bytes());
        for list in [&self.control, &self.channel] {
            out.extend_from_slice(&(list.len() as u64).to_le_bytes());
            for part in list {
                out.extend_from_slice(&(part.len() as u64).to_le_bytes());
                out.extend_from_slice(part);
            }
        }
        let check = *blake3::hash(&out).as_bytes();
        out.extend_from_slice(&check);
        out
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, check) = bytes.split_last_chunk::<32>()?;
        if blake3::hash(body) != *check {
            return None;
        }
        let mut rest = body;
        let ids: [[u8; 32]; 3] = [take(&mut rest)?, take(&mut rest)?, take(&mut rest)?];
        let epoch = u64::from_le_bytes(take(&mut rest)?);
        let mut list = || {
            let count = u64::from_le_bytes(take(&mut rest)?);
            (0..count)
                .map(|_| {
                    let len = usize::try_from(u64::from_le_bytes(take(&mut rest)?)).ok()?;
                    let (part, behind) = rest.split_at_checked(len)?;
                    rest = behind;
                    Some(part.to_vec())
                })
                .collect::<Option<Vec<_>>>()
        };
        let (control, channel) = (list()?, list()?);
        let log = LogId::channel(SpaceId(ids[0]), ChannelId(ids[1]));
        Some(Self { log, key: KeyId { commit: EventHash(ids[2]), epoch }, control, channel })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*head)
}
