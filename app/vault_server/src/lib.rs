//! The vault over HTTP: bearer tokens with scopes, conditional and idempotent requests, problems that say what to do,
//! limits, metrics, and an OpenAPI document made from the routes themselves.
//!
//! ```no_run
//! use terachat_vault::{PassphraseCost, PassphraseSource, SecretBytes};
//! use terachat_vault_server::{Scopes, ServerConfig, TokenStore, serve};
//! use terachat_vault_store::{Config, TemplateVault};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut source = PassphraseSource::new(SecretBytes::take(b"correct horse".to_vec()), PassphraseCost::RECOMMENDED);
//! let vault = TemplateVault::open(&Config::new("/srv/vault"), &mut source)?;
//! let day = std::time::Duration::from_secs(24 * 3600);
//! let token = TokenStore::open(&vault)?.create("cli:ada", "door", Scopes::full(), day)?;
//! println!("{}", token.expose_token());
//! serve(vault, ServerConfig::new("127.0.0.1:8443".parse()?), |server| println!("{}", server.url()))?;
//! # Ok(()) }
//! ```
//!
//! # What it does not do
//! It opens no vault, reads no environment, and decides nothing about keys. It speaks HTTP/1.1 only: one parser of
//! requests from outside, and clients of an access control system need no more.
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "tests cut numbers they made small"))]

mod caller;
mod condition;
mod config;
mod error;
mod extract;
mod hex;
mod idempotency;
mod limits;
mod metrics;
mod openapi;
mod page;
mod problem;
mod rate;
mod routes;
mod scopes;
mod server;
mod state;
mod tls;
mod token;
pub mod view;
mod wire;

pub use config::{ServerConfig, TlsFiles};
pub use error::Error;
pub use rate::Rate;
pub use scopes::{Right, ScopeVerb, Scopes};
pub use server::{Server, serve};
pub use token::{NewToken, ROTATION_GRACE_MAX, TOKEN_AGE_MAX, TokenError, TokenInfo, TokenStore};

/// Whether a collection's name is the vault's own: callers see none of those, and make none.
pub fn reserved(collection: &str) -> bool {
    collection.starts_with('.')
}
