//! What was kept, opened in a process of its own: how this program calls itself.
use super::PAGE;
#[cfg(feature = "peers")]
use super::peer::Peer;
use crate::measure::{memory, time};
use crate::sender::empty_store;
use crate::talk::Shown;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;
use terachat_core_store::query::PageStart;
use terachat_host::Disk;

/// What this program calls itself here.
pub(super) const OWN: &str = "terachat";

/// What to open.
#[derive(Debug, clap::Args)]
pub(crate) struct Child {
    program: String,
    path: PathBuf,
}

/// What the child saw.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) wall_s: f64,
    pub(super) memory_before: Option<u64>,
    pub(super) memory_most: Option<u64>,
    pub(super) count: usize,
    pub(super) digest: String,
}

/// Opens it in a fresh process.
///
/// # Errors
/// The child's.
pub(super) fn open_again(program: &str, path: &Path) -> Result<Seen> {
    let output = Command::new(std::env::current_exe()?).arg("crdt-child").arg(program).arg(path).output()?;
    if !output.status.success() {
        bail!("opening failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Opens it, shows the newest messages, says what that took.
///
/// # Errors
/// The program's whose it is.
pub(crate) fn run_child(child: &Child) -> Result<String> {
    let memory_before = memory("VmRSS");
    let (shown, took) = time(|| match child.program.as_str() {
        OWN => own(&child.path),
        #[cfg(feature = "peers")]
        other => peer(other, &child.path),
        #[cfg(not(feature = "peers"))]
        other => bail!("no program {other}"),
    });
    let memory_most = memory("VmHWM");
    let (shown, count) = shown?;
    let seen = Seen { wall_s: took.wall, memory_before, memory_most, count, digest: digest(&shown) };
    Ok(serde_json::to_string(&seen)?)
}

/// Names what a page shows, but for authors, who are device ids here and names elsewhere.
pub(super) fn digest(page: &[Shown]) -> String {
    let mut hasher = blake3::Hasher::new();
    for message in page {
        hasher.update(&message.body.len().to_le_bytes());
        hasher.update(message.body.as_bytes());
        hasher.update(&[message.reactions.len() as u8, message.pinned.into()]);
    }
    hasher.finalize().to_hex().to_string()
}

fn own(folder: &Path) -> Result<(Vec<Shown>, usize)> {
    let store = empty_store(Box::new(Disk::open(folder)?), 4)?;
    let log = *store.logs().iter().find(|log| log.channel.is_some()).context("no channel in the store")?;
    let page = store.page(&log, PageStart::Newest, PAGE)?;
    let shown = page.into_iter().map(|message| Shown {
        author: message.event.author.to_string(),
        body: message.body,
        reactions: message.reactions.iter().map(|(emoji, device)| format!("{emoji} {device}")).collect(),
        pinned: message.pinned,
    });
    // The store stays open until the memory is read: the process ends right after.
    let (shown, count) = (shown.collect(), store.message_count(&log));
    std::mem::forget(store);
    Ok((shown, count))
}

#[cfg(feature = "peers")]
fn peer(program: &str, path: &Path) -> Result<(Vec<Shown>, usize)> {
    use super::peers::{Automerge, Loro, Yrs};
    match program {
        Automerge::NAME => peers_own::<Automerge>(path),
        Loro::NAME => peers_own::<Loro>(path),
        Yrs::NAME => peers_own::<Yrs>(path),
        other => bail!("no program {other}"),
    }
}

#[cfg(feature = "peers")]
fn peers_own<P: Peer>(path: &Path) -> Result<(Vec<Shown>, usize)> {
    let document = P::load(&std::fs::read(path)?)?;
    let shown = P::last(&document, PAGE)?;
    let count = P::count(&document)?;
    // Freeing it is no part of showing.
    std::mem::forget(document);
    Ok((shown, count))
}
