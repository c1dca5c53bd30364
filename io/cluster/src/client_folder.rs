use crate::{Client, Error, Keys};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use terachat_cluster::ClusterId;
use terachat_cluster::wire::{Contact, decode, encode};
use terachat_host::Disk;
use terachat_storage::Storage;
use terachat_vault::Entropy;

const FILE: &str = "access";
const LEN_MAX: u64 = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Access {
    cluster: ClusterId,
    members: Vec<Contact>,
}

/// A client's folder: its keys, and where the cluster is. `docs/format/node-folder.md`.
pub struct ClientFolder {
    path: PathBuf,
    keys: Keys,
    access: Access,
}

impl ClientFolder {
    pub(crate) fn make(
        path: &Path,
        mut keys: Keys,
        cluster: ClusterId,
        members: Vec<Contact>,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, Error> {
        let _lock = crate::folder::empty(path)?;
        let mut disk = Disk::open(path)?;
        keys.save(&mut disk, entropy)?;
        let access = Access { cluster, members };
        disk.replace(FILE, &encode(&access))?;
        Ok(Self { path: path.to_owned(), keys, access })
    }

    /// Opens a folder that was made, with its keys.
    ///
    /// # Errors
    /// [`Error::NotThere`], [`Error::Damaged`].
    pub fn open(path: &Path, keys: Keys) -> Result<Self, Error> {
        let none = || Error::NotThere {
            what: "client",
            folder: path.to_owned(),
            how: "terachat cluster join TICKET, or terachat cluster up",
        };
        let file = path.join(FILE);
        let len = std::fs::metadata(&file).map_err(|_| none())?.len();
        let read = std::fs::read(&file).map_err(|_| none())?;
        let access = decode(&read).filter(|_| len <= LEN_MAX).ok_or(Error::Damaged(file))?;
        Ok(Self { path: path.to_owned(), keys, access })
    }

    /// The client's keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// A connection to the cluster; no node is asked yet.
    ///
    /// # Errors
    /// [`Error::Net`], [`Error::Host`].
    pub async fn connect(&self) -> Result<Client, Error> {
        Client::new(self.access.cluster, self.access.members.clone(), &self.keys).await
    }

    /// Remembers where the members are now.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Host`].
    pub fn remember(&mut self, members: Vec<Contact>) -> Result<(), Error> {
        if members != self.access.members {
            let access = Access { members, ..self.access.clone() };
            // Two commands at once write the same thing, or one of two that are both true.
            let beside = self.path.join(format!(".{FILE}-{}", std::process::id()));
            let failed = |source| Error::Local { doing: format!("write {}", beside.display()), source };
            std::fs::write(&beside, encode(&access)).map_err(failed)?;
            std::fs::rename(&beside, self.path.join(FILE)).map_err(failed)?;
            self.access = access;
        }
        Ok(())
    }
}
