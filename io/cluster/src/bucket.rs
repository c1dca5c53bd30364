//! The bucket that a node keeps its shards in instead of its own disk: which one, and how its service is reached.
mod credentials;
#[cfg(feature = "s3")]
mod s3;
#[cfg(all(test, feature = "s3"))]
pub(crate) mod server;
#[cfg(all(test, feature = "s3"))]
mod tests;

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use terachat_cluster::wire::{decode, encode};
use terachat_cluster::{ClusterId, ShardStore};
use terachat_host::Disk;
use terachat_shard::NodeId;
use terachat_storage::Storage;

/// The file of a node's folder that names it: `docs/format/node-folder.md`.
const FILE: &str = "bucket";
/// Longest file that is read, in bytes.
const LEN_MAX: u64 = 64 << 10;
const SCHEME: &str = "s3://";

/// A part of a bucket, and how the service is reached that has it. It names credentials and holds none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    name: String,
    /// What all names there begin with; empty for the whole bucket.
    prefix: String,
    /// The service, as `https://s3.example.org`; `None` for Amazon's of the region.
    pub endpoint: Option<String>,
    /// Where the bucket is; most services take any.
    pub region: String,
    /// The file with the credentials, in the form of AWS's own; `None` takes the environment's. Read when the node starts.
    pub credentials: Option<String>,
}

/// Why a text names no bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this names no bucket; write s3://BUCKET or s3://BUCKET/PREFIX, without .. and empty parts")]
pub struct BadBucket;

impl Bucket {
    /// The region that is taken without one.
    pub const REGION: &'static str = "us-east-1";

    /// The bucket of `s3://BUCKET/PREFIX`, at Amazon's service, with the environment's credentials.
    ///
    /// # Errors
    /// [`BadBucket`].
    pub fn parse(text: &str) -> Result<Self, BadBucket> {
        let rest = text.strip_prefix(SCHEME).ok_or(BadBucket)?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let part = |part: &str| !part.is_empty() && part.chars().all(plain) && !matches!(part, "." | "..");
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !part(name) || !prefix.is_empty() && !prefix.split('/').all(part) {
            return Err(BadBucket);
        }
        Ok(Self {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: None,
            region: Self::REGION.to_owned(),
            credentials: None,
        })
    }

    /// Puts, reads, lists and removes something under the prefix. Blocks until the service has answered, or for a minute.
    ///
    /// # Errors
    /// [`Error::NoS3`], [`Error::NoCredentials`], [`Error::Bucket`], [`Error::Shards`].
    #[cfg(feature = "s3")]
    pub fn try_out(&self) -> Result<(), Error> {
        let mut number = [0; 8];
        terachat_vault::Entropy::fill(&mut terachat_host::OsEntropy::new()?, &mut number);
        let name = format!("trial-{:016x}", u64::from_le_bytes(number));
        let mut objects = s3::S3::connect(self, &self.prefix)?;
        s3::try_out(&mut objects, &name).map_err(|error| Error::Shards(error.into()))
    }

    /// The same without S3 in this build.
    ///
    /// # Errors
    /// [`Error::NoS3`].
    #[cfg(not(feature = "s3"))]
    pub fn try_out(&self) -> Result<(), Error> {
        Err(Error::NoS3(self.to_string()))
    }

    /// Opens a node's store there. Blocks while it is read, and must not be called where other tasks wait for this thread.
    #[cfg(feature = "s3")]
    pub(crate) fn open(
        &self,
        cluster: ClusterId,
        node: NodeId,
        options: terachat_cluster::BucketOptions,
    ) -> Result<Box<dyn ShardStore>, Error> {
        let own = format!("{cluster}/node-{}", node.0);
        let prefix = if self.prefix.is_empty() { own } else { format!("{}/{own}", self.prefix) };
        let objects = s3::S3::connect(self, &prefix)?;
        let (store, opened) = terachat_cluster::BucketStore::open(Box::new(objects), options)?;
        tracing::info!(?opened, bucket = %self, "the shards are open");
        Ok(Box::new(store))
    }

    #[cfg(not(feature = "s3"))]
    pub(crate) fn open(
        &self,
        _: ClusterId,
        _: NodeId,
        _: terachat_cluster::BucketOptions,
    ) -> Result<Box<dyn ShardStore>, Error> {
        Err(Error::NoS3(self.to_string()))
    }

    /// Writes into a node's folder that its shards are here, durable on return.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), Error> {
        Ok(Disk::open(folder)?.replace(FILE, &encode(self))?)
    }

    /// What a node's folder says; `None` if its shards are in the folder.
    pub(crate) fn of(folder: &Path) -> Result<Option<Self>, Error> {
        let disk = Disk::open(folder)?;
        let damaged = || Error::Damaged(folder.join(FILE));
        match disk.size(FILE)? {
            None => Ok(None),
            Some(len) if len > LEN_MAX => Err(damaged()),
            Some(len) => {
                let bytes = disk.read(FILE, 0, usize::try_from(len).unwrap_or(usize::MAX))?;
                decode(&bytes).map(Some).ok_or_else(damaged)
            }
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.name)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod parse_tests {
    use super::*;

    #[test]
    fn a_bucket_is_a_name_and_a_prefix() {
        for text in ["s3://shards", "s3://shards/a", "s3://my.bucket-1/a/b_c"] {
            assert_eq!(Bucket::parse(text).map(|bucket| bucket.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(Bucket::parse("s3://b/a/"), Bucket::parse("s3://b/a"));
        for text in [
            "",
            "b",
            "s3:/b",
            "s3://",
            "s3:///a",
            "s3://b//a",
            "s3://b/../a",
            "s3://b/a?x",
            "http://b/a",
            "s3://b/a b",
        ] {
            assert_eq!(Bucket::parse(text), Err(BadBucket), "{text}");
        }
    }

    #[test]
    fn what_a_folder_says_is_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Bucket::of(folder.path()).unwrap(), None);
        let mut bucket = Bucket::parse("s3://b/a").unwrap();
        bucket.endpoint = Some("http://127.0.0.1:1".to_owned());
        bucket.credentials = Some("/etc/terachat/s3".to_owned());
        bucket.save(folder.path()).unwrap();
        assert_eq!(Bucket::of(folder.path()).unwrap(), Some(bucket));
        std::fs::write(folder.path().join(FILE), b"\x02").unwrap();
        assert!(matches!(Bucket::of(folder.path()), Err(Error::Damaged(_))));
    }
}
