//! What keeps a cluster's ledger: chosen when the cluster is founded, and the same ever after.
use crate::carrier::LinkCarrier;
use crate::machine::StateMachine;
use crate::{Error, Etcd, EtcdAccess, RunOptions};
use std::path::Path;
use std::sync::Arc;
use terachat_cluster::ClusterId;
use terachat_cluster::wire::{LedgerAt, decode, encode};
use terachat_host::Disk;
use terachat_ledger::{EtcdLedger, Head, Ledger, RaftLedger, Remembered};
use terachat_shard::NodeId;
use terachat_storage::Storage;

/// The file of a node's folder that names the etcd: `docs/format/node-folder.md`.
const FILE: &str = "etcd";
/// Longest file that is read, in bytes.
const LEN_MAX: u64 = 64 << 10;

/// What keeps a cluster's ledger, as one node reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Driver {
    /// The nodes themselves, over openraft.
    #[default]
    Openraft,
    /// The organisation's etcd.
    Etcd(Etcd),
}

impl Driver {
    /// What all nodes of its cluster have in common.
    pub fn ledger(&self) -> LedgerAt {
        match self {
            Self::Openraft => LedgerAt::Nodes,
            Self::Etcd(etcd) => LedgerAt::Etcd(etcd.prefix().to_owned()),
        }
    }

    /// That this is the one that a cluster has whose ledger is there.
    ///
    /// # Errors
    /// [`Error::LedgerInEtcd`], [`Error::LedgerOnNodes`].
    pub fn require(&self, ledger: &LedgerAt) -> Result<(), Error> {
        match ledger {
            own if *own == self.ledger() => Ok(()),
            LedgerAt::Nodes => Err(Error::LedgerOnNodes),
            LedgerAt::Etcd(prefix) => Err(Error::LedgerInEtcd(prefix.clone())),
        }
    }

    /// That a newcomer finds the cluster's ledger there.
    ///
    /// # Errors
    /// [`Error::NoLedger`], [`Error::Etcd`].
    pub(crate) async fn find(&self, cluster: ClusterId) -> Result<(), Error> {
        match self {
            Self::Openraft => Ok(()),
            Self::Etcd(etcd) if etcd.has(cluster).await? => Ok(()),
            Self::Etcd(etcd) => Err(no_ledger(etcd, cluster)),
        }
    }

    /// The same, reached as the options of a run say.
    ///
    /// # Errors
    /// [`Error::LedgerOnNodes`].
    pub(crate) fn reached(self, access: Option<&EtcdAccess>) -> Result<Self, Error> {
        match (self, access) {
            (own, None) => Ok(own),
            (Self::Openraft, Some(_)) => Err(Error::LedgerOnNodes),
            (Self::Etcd(etcd), Some(access)) => {
                Ok(Self::Etcd(Etcd::new(etcd.prefix().to_owned(), access.clone())))
            }
        }
    }

    /// Opens the ledger of a node. One in etcd is waited for.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Etcd`], [`Error::NoLedger`].
    pub(crate) async fn open(
        &self,
        folder: &Path,
        (cluster, node, founding): (ClusterId, NodeId, bool),
        options: &RunOptions,
        carrier: LinkCarrier,
        machine: StateMachine,
    ) -> Result<Arc<dyn Ledger>, Error> {
        match self {
            Self::Openraft => {
                let storage = Box::new(Disk::open(&folder.join("ledger"))?);
                let settings = options.ledger.clone();
                Ok(Arc::new(RaftLedger::open(node, storage, Arc::new(carrier), machine, settings).await?))
            }
            Self::Etcd(etcd) => {
                let mut settings = etcd.settings(cluster)?;
                settings.leader_seconds = options.lease_seconds;
                let opened = EtcdLedger::open(node, machine, settings).await;
                let ledger = opened.map_err(|error| etcd.unusable(&error))?;
                let founded = ledger.is_founded().await;
                if !founded.map_err(|_| Error::LedgerStopped(ledger.status().stopped.unwrap_or_default()))?
                    && !founding
                {
                    ledger.shutdown().await;
                    return Err(no_ledger(etcd, cluster));
                }
                Ok(Arc::new(ledger))
            }
        }
    }

    /// What it means that the ledger does not have a head that was applied on this node once.
    pub(crate) fn forgot(&self, folder: &Path, head: &Head, remembered: Remembered) -> Error {
        match self {
            Self::Openraft => {
                let why =
                    format!("its ledger does not reach entry {}, which was applied here once", head.index);
                Error::OlderCopy { folder: folder.to_owned(), why }
            }
            Self::Etcd(etcd) => Error::OlderLedger {
                etcd: etcd.access.to_string(),
                why: match remembered {
                    Remembered::Other => format!("entry {} there is another one", head.index),
                    _ => format!("it does not reach entry {}", head.index),
                },
            },
        }
    }

    /// Writes into a node's folder what the ledger is in, durable on return.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), Error> {
        match self {
            Self::Openraft => Ok(()),
            Self::Etcd(etcd) => Ok(Disk::open(folder)?.replace(FILE, &encode(etcd))?),
        }
    }

    /// What a node's folder says, also while the node runs.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Local`].
    pub fn of(folder: &Path) -> Result<Self, Error> {
        let file = folder.join(FILE);
        let failed = |source| Error::Local { doing: format!("read {}", file.display()), source };
        match std::fs::metadata(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::Openraft),
            Err(error) => return Err(failed(error)),
            Ok(found) if found.len() > LEN_MAX => return Err(Error::Damaged(file)),
            Ok(_) => {}
        }
        let etcd = decode(&std::fs::read(&file).map_err(failed)?);
        etcd.map(Self::Etcd).ok_or(Error::Damaged(file))
    }
}

fn no_ledger(etcd: &Etcd, cluster: ClusterId) -> Error {
    Error::NoLedger { etcd: etcd.access.to_string(), prefix: etcd.prefix().to_owned(), cluster }
}

#[cfg(test)]
mod over_etcd;

#[cfg(test)]
mod tests {
    use super::*;

    fn etcd(prefix: &str) -> Driver {
        let access = EtcdAccess {
            endpoints: vec!["https://etcd:2379".parse().unwrap()],
            authority: Some("/etc/ca.pem".to_owned()),
            identity: Some(("/etc/node.pem".to_owned(), "/etc/node.key".to_owned())),
            credentials: Some("/etc/etcd-user".to_owned()),
        };
        Driver::Etcd(Etcd::new(prefix.to_owned(), access))
    }

    #[test]
    fn what_a_folder_says_is_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        Driver::Openraft.save(folder.path()).unwrap();
        assert_eq!(Driver::of(folder.path()).unwrap(), Driver::Openraft);
        etcd("a/b").save(folder.path()).unwrap();
        assert_eq!(Driver::of(folder.path()).unwrap(), etcd("a/b"));
        let file = folder.path().join(FILE);
        let bytes = std::fs::read(&file).unwrap();
        for cut in 0..bytes.len() {
            std::fs::write(&file, &bytes[..cut]).unwrap();
            assert!(matches!(Driver::of(folder.path()), Err(Error::Damaged(_))), "{cut}");
        }
    }

    #[test]
    fn a_clusters_driver_does_not_change() {
        assert!(etcd("a").require(&LedgerAt::Etcd("a".to_owned())).is_ok());
        assert!(Driver::Openraft.require(&LedgerAt::Nodes).is_ok());
        assert!(matches!(etcd("a").require(&LedgerAt::Nodes), Err(Error::LedgerOnNodes)));
        for other in [etcd("b"), Driver::Openraft] {
            let error = other.require(&LedgerAt::Etcd("a".to_owned())).unwrap_err();
            assert!(matches!(&error, Error::LedgerInEtcd(prefix) if prefix == "a"), "{error}");
        }
        let Driver::Etcd(one) = etcd("a") else { panic!("an etcd") };
        let elsewhere = EtcdAccess { endpoints: vec!["http://127.0.0.1".parse().unwrap()], ..one.access };
        assert!(matches!(Driver::Openraft.reached(Some(&elsewhere)), Err(Error::LedgerOnNodes)));
        let moved = etcd("a").reached(Some(&elsewhere)).unwrap();
        assert_eq!(moved, Driver::Etcd(Etcd::new("a".to_owned(), elsewhere)));
        assert_eq!(etcd("a").reached(None).unwrap(), etcd("a"));
    }
}
