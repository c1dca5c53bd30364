//! The process that has a profile open for long: it stays connected, and serves other commands over a Unix socket.
//!
//! One thread, the desk, owns the client; everything else hands it jobs. So a slow audit never starves the network, and
//! a peer that does not read never delays a command.
mod desk;
mod options;
mod outbox;
mod redial;
#[cfg(unix)]
mod remote;
#[cfg(not(unix))]
mod remote_none;
mod service;
#[cfg(unix)]
mod socket;
#[cfg(not(unix))]
mod socket_none;
mod wire;

pub(crate) use options::Options;
#[cfg(unix)]
pub(crate) use remote::{Remote, Update};
#[cfg(not(unix))]
pub(crate) use remote_none::{Remote, Update};
pub(crate) use service::{Event, Service};
