//! The organisation's own etcd that a cluster's ledger may be in: where it is, and how it is reached.
use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use terachat_cluster::ClusterId;
use terachat_ledger::EtcdSettings;
use terachat_ledger::etcd::{Access, Endpoint, EtcdError, Tls, User, look};
use terachat_vault::SecretBytes;

/// Longest file of a certificate, key or password that is read, in bytes.
const LEN_MAX: u64 = 1 << 20;
/// Longest prefix, in bytes.
const PREFIX_LEN_MAX: usize = 200;

/// An etcd, and what of it is the organisation's clusters'. It names files with secrets and holds none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Etcd {
    prefix: String,
    /// How it is reached.
    pub access: EtcdAccess,
}

/// How an etcd is reached from one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdAccess {
    /// Its nodes.
    pub endpoints: Vec<Endpoint>,
    /// The file with the certificates of the authorities whose word counts, as PEM; needed with TLS.
    pub authority: Option<String>,
    /// The files with this node's own certificate and its key, as PEM, where etcd asks for one.
    pub identity: Option<(String, String)>,
    /// The file with USER:PASSWORD, where etcd asks for that. Read when the node starts.
    pub credentials: Option<String>,
}

/// Why a text is no prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no prefix; write 1 to 200 letters, digits and . - _ /, without .. and empty parts")]
pub struct BadPrefix;

impl Etcd {
    /// The prefix that is taken without one.
    pub const PREFIX: &'static str = "terachat";

    /// The ledgers of clusters below `prefix`: what [`Etcd::parse_prefix`] gave.
    pub fn new(prefix: String, access: EtcdAccess) -> Self {
        Self { prefix, access }
    }

    /// A prefix as it is kept, without a slash at its end.
    ///
    /// # Errors
    /// [`BadPrefix`].
    pub fn parse_prefix(text: &str) -> Result<String, BadPrefix> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let part = |part: &str| !part.is_empty() && part.chars().all(plain) && !matches!(part, "." | "..");
        let text = text.strip_suffix('/').unwrap_or(text);
        let fits = text.len() <= PREFIX_LEN_MAX && text.split('/').all(part);
        if fits { Ok(text.to_owned()) } else { Err(BadPrefix) }
    }

    /// What the names of all keys of all clusters there begin with, without the slash.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Asks etcd, changing nothing, whether it answers and knows this node.
    ///
    /// # Errors
    /// [`Error::Etcd`], [`Error::Local`].
    pub async fn try_out(&self) -> Result<(), Error> {
        self.has(ClusterId([0; 16])).await.map(drop)
    }

    /// Whether etcd has the ledger of this cluster.
    ///
    /// # Errors
    /// As [`Etcd::try_out`].
    pub(crate) async fn has(&self, cluster: ClusterId) -> Result<bool, Error> {
        look(&self.settings(cluster)?).await.map_err(|error| self.unusable(&error))
    }

    /// The settings of a ledger's driver. Reads the files that are named.
    ///
    /// # Errors
    /// [`Error::Etcd`], [`Error::Local`].
    pub(crate) fn settings(&self, cluster: ClusterId) -> Result<EtcdSettings, Error> {
        // The cluster's name is in every key, so that clusters may have the same etcd and prefix.
        let prefix = format!("{}/{cluster}/ledger/", self.prefix);
        Ok(EtcdSettings::new(self.access.open()?, prefix))
    }

    pub(crate) fn unusable(&self, error: &EtcdError) -> Error {
        Error::Etcd { etcd: self.access.to_string(), why: error.to_string() }
    }
}

impl EtcdAccess {
    fn open(&self) -> Result<Access, Error> {
        let wrong = |why: String| Error::Etcd { etcd: self.to_string(), why };
        let own = match &self.identity {
            None => None,
            Some((certificate, key)) => Some((read(certificate)?, SecretBytes::take(read(key)?))),
        };
        let tls = match &self.authority {
            None if self.endpoints.iter().any(Endpoint::is_tls) => {
                return Err(wrong("it is not said which authority its certificate is from".to_owned()));
            }
            None => None,
            Some(authority) => {
                let own =
                    own.as_ref().map(|(certificate, key)| (certificate.as_slice(), key.expose_secret()));
                Some(Tls::new(&read(authority)?, own).map_err(|error| wrong(error.to_string()))?)
            }
        };
        let user = match &self.credentials {
            None => None,
            Some(_) if self.endpoints.iter().any(|one| !one.is_tls() && !one.is_local()) => {
                return Err(wrong("a password is not sent to another machine without TLS".to_owned()));
            }
            Some(file) => {
                let user = user(read(file)?);
                Some(Arc::new(user.ok_or_else(|| wrong(format!("{file} does not say USER:PASSWORD")))?))
            }
        };
        Ok(Access { endpoints: self.endpoints.clone(), tls, user })
    }
}

impl fmt::Display for EtcdAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            write!(f, "{}{endpoint}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// The first line as `USER:PASSWORD`.
fn user(text: Vec<u8>) -> Option<User> {
    let text = SecretBytes::take(text);
    let line = text.expose_secret().split(|byte| matches!(byte, b'\n' | b'\r')).next()?;
    let at = line.iter().position(|byte| *byte == b':').filter(|at| *at > 0)?;
    let (name, password) = (&line[..at], &line[at + 1..]);
    std::str::from_utf8(password).ok().filter(|password| !password.is_empty())?;
    Some(User::new(std::str::from_utf8(name).ok()?.to_owned(), SecretBytes::copy_from(password)))
}

fn read(file: &str) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Local { doing: format!("read {file}"), source };
    if std::fs::metadata(Path::new(file)).map_err(failed)?.len() > LEN_MAX {
        return Err(Error::Damaged(PathBuf::from(file)));
    }
    std::fs::read(file).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(endpoints: &[&str]) -> EtcdAccess {
        let endpoints = endpoints.iter().map(|text| text.parse().unwrap()).collect();
        EtcdAccess { endpoints, authority: None, identity: None, credentials: None }
    }

    #[track_caller]
    fn refused(access: &EtcdAccess, why: &str) {
        let error = access.open().map(drop).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("--etcd"), "{error}");
    }

    #[test]
    fn a_prefix_is_made_of_plain_parts() {
        for (text, kept) in [("terachat", "terachat"), ("a/b-c/", "a/b-c"), ("x.y_z", "x.y_z")] {
            assert_eq!(Etcd::parse_prefix(text).as_deref(), Ok(kept));
        }
        for text in ["", "/", "a//b", "/a", "a/../b", ".", "a b", "ä", &"a".repeat(201)] {
            assert_eq!(Etcd::parse_prefix(text), Err(BadPrefix), "{text}");
        }
    }

    #[test]
    fn clusters_of_one_prefix_have_no_key_in_common() {
        let etcd = Etcd::new("terachat".to_owned(), access(&["http://127.0.0.1:1"]));
        let prefix = |byte: u8| etcd.settings(ClusterId([byte; 16])).unwrap().prefix;
        assert_eq!(prefix(1), format!("terachat/{}/ledger/", ClusterId([1; 16])));
        assert!(!prefix(1).starts_with(&prefix(2)) && !prefix(2).starts_with(&prefix(1)));
    }

    #[test]
    fn what_would_be_sent_in_the_clear_or_to_anybody_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            Some(folder.path().join(name).to_str().unwrap().to_owned())
        };
        assert!(access(&["http://10.0.0.1:2379"]).open().is_ok());
        refused(&access(&["http://127.0.0.1:1", "https://etcd:1"]), "which authority");
        let password = file("password", "node:secret word\n");
        let with = |endpoints: &[&str], credentials: &Option<String>| EtcdAccess {
            credentials: credentials.clone(),
            ..access(endpoints)
        };
        refused(&with(&["http://127.0.0.1:1", "http://10.0.0.1:1"], &password), "without TLS");
        assert!(with(&["http://[::1]:1"], &password).open().is_ok());
        for text in ["", "node", ":secret", "node:", "\nnode:secret"] {
            let error = with(&["http://127.0.0.1:1"], &file("other", text)).open().map(drop).unwrap_err();
            assert!(error.to_string().contains("USER:PASSWORD"), "{error}");
        }
        let authority = EtcdAccess { authority: file("ca", "none"), ..access(&["https://etcd:1"]) };
        refused(&authority, "the authority's certificate");
        let absent =
            EtcdAccess { authority: Some("/no/such/file".to_owned()), ..access(&["https://etcd:1"]) };
        assert!(matches!(absent.open(), Err(Error::Local { .. })));
    }
}
