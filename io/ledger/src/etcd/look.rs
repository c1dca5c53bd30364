//! Whether an etcd can be used at all.
use super::client::{Client, Failed};
use super::keys::Keys;
use super::settings::EtcdSettings;

/// An etcd that cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EtcdError {
    /// It refuses this node: a user, a password or a right.
    #[error("etcd refuses: {0}")]
    Refused(String),
    /// It does not answer, or not in time.
    #[error("etcd does not answer: {0}")]
    Unreachable(String),
}

/// Whether etcd answers, and has a ledger below the settings' prefix. Changes nothing.
///
/// # Errors
/// [`EtcdError`].
pub async fn look(settings: &EtcdSettings) -> Result<bool, EtcdError> {
    let client = Client::new(settings.access.clone(), settings.ask_limit);
    let mut last = Failed::NotSent;
    for _ in &settings.access.endpoints {
        match client.range(&Keys::new(&settings.prefix).tail(), &[], 1).await {
            Ok(found) => return Ok(!found.is_empty()),
            Err(failed) => last = failed,
        }
    }
    Err(unusable(&client, last))
}

pub(super) fn unusable(client: &Client, failed: Failed) -> EtcdError {
    let words = client.words().unwrap_or_else(|| "its answer is not understood".to_owned());
    match failed {
        Failed::Refused => EtcdError::Refused(words),
        Failed::NotSent | Failed::NoAnswer => EtcdError::Unreachable(words),
    }
}
