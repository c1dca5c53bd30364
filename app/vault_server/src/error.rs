use crate::token::TokenError;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the server does not start, or ended badly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's: a configuration value outside its range.
    #[error("{setting}: out of range; {allowed} is allowed")]
    Config {
        /// Which one.
        setting: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The caller's: plain HTTP beyond this machine.
    #[error(
        "plain HTTP on {0} would show tokens and templates to whoever listens; give --tls-cert and --tls-key, listen on 127.0.0.1 behind a proxy, or say --insecure-plain-http"
    )]
    Plain(SocketAddr),
    /// The machine's: the address cannot be had.
    #[error("cannot listen on {address}: {reason}; choose another address, or stop who has it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        reason: std::io::Error,
    },
    /// The caller's: a certificate or key that cannot be used.
    #[error("cannot use {path}: {reason}; check that it is PEM and that key and certificate belong together", path = .path.display())]
    Tls {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The machine's: no threads, no signals.
    #[error("the system refused to {doing}: {reason}; free some of its resources")]
    System {
        /// What was tried.
        doing: &'static str,
        /// The system's words.
        reason: std::io::Error,
    },
    /// The tokens in the vault.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// The vault's: closing it failed.
    #[error(transparent)]
    Vault(#[from] terachat_vault_store::Error),
}
