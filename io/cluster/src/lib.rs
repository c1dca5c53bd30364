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
mod control;
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
mod frame;
mod guard;
mod history;
mod join;
mod keys;
mod links;
mod machine;
mod meters;
mod report;
mod runtime;
#[cfg(test)]
mod testing;
mod ticket;
mod voters;
mod watch;

pub use attachments::{get_attachment, put_attachment};
pub use blobs::Progress;
pub use board::ClusterBoard;
pub use bucket::{BadBucket, Bucket};
pub use client::{Client, PATIENCE};
pub use client_folder::ClientFolder;
pub use control::{Admission, Ask, Contact, HISTORY_MAX, Hello, Told, Unwelcome, Welcome};
pub use driver::{Driver, LedgerAt};
pub use error::Error;
pub use etcd::{BadPrefix, Etcd, EtcdAccess};
pub use export::{check_export, export_case, open_exported};
pub use files::{get_file, items_of_file, put_file, stream_file};
pub use folder::{NodeFolder, Plan};
pub use history::{history, history_of};
pub use keys::Keys;
pub use meters::{Metered, SECONDS, Verb};
pub use report::{
    AuditReport, DiskUsage, HealthCount, HealthDetail, MemberReport, Mending, Report, ScrubReport,
};
pub use runtime::{RunOptions, Running, contact_of};
pub use terachat_ledger::etcd::{BadEndpoint, Endpoint};
pub use ticket::{BadTicket, Ticket};
pub use watch::Watch;
