//! A node's folder: its keys, what it has to know before the ledger tells it, its shards and its part of the ledger.
//! `docs/format/node-folder.md`.
use crate::{Bucket, Driver, Error, Keys};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use terachat_cluster::ClusterId;
use terachat_cluster::wire::{Contact, decode, encode};
use terachat_host::{Disk, Lock};
use terachat_shard::{Domain, NodeId};
use terachat_storage::Storage;
use terachat_vault::Entropy;

const FILE: &str = "node";
/// Longest file that is read, in bytes: 255 members with the longest addresses there are.
const LEN_MAX: u64 = 1 << 20;

/// What a node is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where it listens: `0.0.0.0:4701`, or `127.0.0.1:0` for any free port, which is kept.
    pub listen: String,
    /// Where others dial it, if that is another address than where it listens.
    pub address: Option<String>,
    /// Where it stands.
    pub domain: Domain,
    /// How much it takes beside others.
    pub weight: NonZeroU32,
    /// Where it keeps its shards instead of its folder.
    pub bucket: Option<Bucket>,
    /// What keeps the cluster's ledger; of a node that joins, what keeps it already.
    pub ledger: Driver,
}

/// What is written of a node beside the ledger. None of it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    /// It has to found the cluster before it does anything else.
    pub(crate) founding: bool,
    pub(crate) listen: String,
    pub(crate) address: String,
    pub(crate) domain: Domain,
    pub(crate) weight: NonZeroU32,
    /// All members it knows, for the time before the ledger's state is there again.
    pub(crate) members: Vec<Contact>,
}

/// A node's folder with the right to work in it.
pub struct NodeFolder {
    pub(crate) path: PathBuf,
    pub(crate) keys: Keys,
    pub(crate) place: Place,
    pub(crate) bucket: Option<Bucket>,
    pub(crate) ledger: Driver,
    pub(crate) _lock: Lock,
}

impl NodeFolder {
    /// Makes the folder of a cluster's first node. The cluster is founded when it first runs.
    ///
    /// # Errors
    /// [`Error::Used`], [`Error::Host`], [`Error::Storage`].
    pub fn found(path: &Path, keys: Keys, plan: &Plan, entropy: &mut dyn Entropy) -> Result<Self, Error> {
        let mut cluster = ClusterId([0; 16]);
        entropy.fill(&mut cluster.0);
        Self::make(path, keys, plan, entropy, |_| Place {
            cluster,
            node: NodeId(NonZeroU32::MIN),
            founding: true,
            listen: plan.listen.clone(),
            address: plan.address.clone().unwrap_or_default(),
            domain: plan.domain,
            weight: plan.weight,
            members: Vec::new(),
        })
    }

    pub(crate) fn make(
        path: &Path,
        mut keys: Keys,
        plan: &Plan,
        entropy: &mut dyn Entropy,
        place: impl FnOnce(&Keys) -> Place,
    ) -> Result<Self, Error> {
        let lock = empty(path)?;
        let place = place(&keys);
        let mut disk = Disk::open(path)?;
        keys.save(&mut disk, entropy)?;
        if let Some(bucket) = &plan.bucket {
            bucket.save(path)?;
        }
        plan.ledger.save(path)?;
        let (bucket, ledger) = (plan.bucket.clone(), plan.ledger.clone());
        let folder = Self { path: path.to_owned(), keys, place, bucket, ledger, _lock: lock };
        // Last: a folder without it is none of a node's.
        folder.save()?;
        Ok(folder)
    }

    /// Opens a folder that was made, with its keys.
    ///
    /// # Errors
    /// [`Error::NotThere`], [`Error::Damaged`], [`Error::Host`] when it is in use.
    pub fn open(path: &Path, keys: Keys) -> Result<Self, Error> {
        let place = read(path)?;
        let lock = Lock::acquire(path)?;
        let (bucket, ledger) = (Bucket::of(path)?, Driver::of(path)?);
        Ok(Self { path: path.to_owned(), keys, place, bucket, ledger, _lock: lock })
    }

    /// The node's number and cluster.
    pub fn names(&self) -> (ClusterId, NodeId) {
        (self.place.cluster, self.place.node)
    }

    /// Where it is reached; empty as long as it has not run and takes any port.
    pub fn address(&self) -> &str {
        &self.place.address
    }

    /// Writes what is known, durable on return.
    pub(crate) fn save(&self) -> Result<(), Error> {
        save(&self.path, &self.place)
    }
}

/// Writes what is known of a node, durable on return.
pub(crate) fn save(path: &Path, place: &Place) -> Result<(), Error> {
    Ok(Disk::open(path)?.replace(FILE, &encode(place))?)
}

/// What a folder says of its node, also while the node runs.
pub(crate) fn read(path: &Path) -> Result<Place, Error> {
    let file = path.join(FILE);
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => Error::NotThere {
            what: "node",
            folder: path.to_owned(),
            how: "terachat node init or terachat node join",
        },
        _ => Error::Local { doing: format!("read {}", file.display()), source },
    };
    if std::fs::metadata(&file).map_err(failed)?.len() > LEN_MAX {
        return Err(Error::Damaged(file));
    }
    let bytes = std::fs::read(&file).map_err(failed)?;
    decode(&bytes).ok_or(Error::Damaged(file))
}

/// Takes the lock of a folder in which nothing else is.
pub(crate) fn empty(path: &Path) -> Result<Lock, Error> {
    let lock = Lock::acquire(path)?;
    let mut entries = std::fs::read_dir(path)
        .map_err(|source| Error::Local { doing: format!("read {}", path.display()), source })?;
    if entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != ".lock")) {
        return Err(Error::Used(path.to_owned()));
    }
    Ok(lock)
}
