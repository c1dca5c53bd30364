//! The program from outside: what it prints, where, and how it ends. Real processes, real folders, loopback only.
#![allow(clippy::unwrap_used)] // A test that finds something else than it looks for is to panic.
mod damage;
mod import;
mod keys;
#[cfg(unix)]
mod killed;
mod side_by_side;
mod store;
mod support;
mod usage;
mod vault;
mod whole;
