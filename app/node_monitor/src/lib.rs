//! How a node of the organisation's storage does, over HTTP: is it alive, is it ready, its numbers for Prometheus, and a page for
//! people. Only to be looked at: nothing can be changed through it, and no item can be read.
//!
//! It has no tokens and no TLS. It says who the members are and how much they hold, so it belongs on the machine's own address or on
//! the network that the monitoring is on, never on the open one.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests"))]

mod metrics;
mod page;
mod readiness;
mod server;

pub use server::{Error, Monitor};
