//! A node of the organisation's storage as a process, and its clients: `docs/adr/0034-a-node-as-a-process.md`.
//!
//! [`NodeFolder::run`] puts together what others decide and do: the sans-I/O node of `terachat_cluster`, the ledger's driver, the
//! shards on the disk and the connections. [`Client`] asks the nodes, and goes on to another one by itself.
//!
//! It decides nothing about shards, stripes or members: it carries out. Who somebody is on a connection is what its key is in the
//! roster; strangers can do nothing but show a ticket.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests"))]

mod attachments;
mod blobs;
mod board;
mod bucket;
mod carrier;
mod client;
mod client_folder;
mod deeds;
mod dialler;
mod directory;
mod disk;
mod driver;
mod engine;
mod error;
mod etcd;
mod export;
mod files;
mod folder;
mod guard;
mod history;
mod join;
mod keys;
mod links;
mod machine;
mod meters;
mod runtime;
#[cfg(test)]
mod testing;
mod voters;
mod watch;

pub use attachments::{get_attachment, put_attachment};
pub use blobs::Progress;
pub use board::ClusterBoard;
pub use bucket::{BadBucket, Bucket};
pub use client::{Client, PATIENCE};
pub use client_folder::ClientFolder;
pub use driver::Driver;
pub use error::Error;
pub use etcd::{BadPrefix, Etcd, EtcdAccess};
pub use export::{check_export, export_case, open_exported};
pub use files::{get_file, items_of_file, put_file, stream_file};
pub use folder::{NodeFolder, Plan};
pub use history::{history, history_of};
pub use keys::Keys;
pub use meters::{Metered, SECONDS, Verb};
pub use runtime::{RunOptions, Running, contact_of};
pub use terachat_cluster::wire::{
    Admission, Ask, AuditReport, BadTicket, Contact, DiskUsage, HISTORY_MAX, HealthCount, HealthDetail,
    Hello, LedgerAt, MemberReport, Mending, Report, ScrubReport, Ticket, Told, Unwelcome, Welcome,
};
pub use terachat_ledger::etcd::{BadEndpoint, Endpoint};
pub use watch::Watch;
