//! The server from outside: real HTTP over loopback, a real vault in a folder of its own.
#![allow(clippy::unwrap_used)] // A test that finds something else than it looks for is to panic.
mod documents;
mod limits;
mod operators;
mod records;
mod stop;
mod support;
mod templates;
mod tls;
mod tokens;
