//! What a case holds, out of the cluster into a folder, and what such a folder says: `docs/format/cluster-export.md`.
#[cfg(test)]
mod tests;

use crate::blobs::{Progress, get, write_failed};
use crate::{Client, Error};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use terachat_cluster::wire::{Ask, Contact, Told};
use terachat_cluster::{Exhibit, Export, ExportManifest, ItemName, Manifest, Piece, Reference, Refused};
use terachat_host::Disk;
use terachat_storage::Storage;
use tokio::task::JoinSet;

/// The list and its deed.
const LIST: &str = "export";
/// Where the items are.
const ITEMS: &str = "items";
/// Items under way at once; so many are in memory.
const TOGETHER: usize = 8;
/// Bytes of a list at most: some two million items.
const LIST_LEN_MAX: u64 = 256 << 20;

/// Has the node of this operator give out what a case holds, into a folder. Before the first item leaves, the cluster's history says so.
/// Broken off, it is said again and goes on; each time is a deed.
///
/// # Errors
/// [`Error::NothingHeld`], [`Error::BrokenOff`], [`Error::Unwelcome`], [`Error::Local`], [`Error::Missing`], [`Error::NoNode`].
pub async fn export_case(
    operator: &Arc<Client>,
    node: &Contact,
    (case, to): (&str, &str),
    folder: &Path,
    told: impl FnMut(Progress),
) -> Result<ExportManifest, Error> {
    let exhibits = exhibits(operator, case).await?;
    let items = exhibits.iter().filter(|exhibit| exhibit.content.is_some()).count() as u64;
    if items == 0 {
        return Err(Error::NothingHeld(case.to_owned()));
    }
    let mut list = Disk::open(folder)?;
    let digest = Exhibit::digest(&exhibits);
    let export = Export { case: case.to_owned(), to: to.to_owned(), items, digest };
    let Told::Exported(deed) = operator.ask(&Ask::Export(export)).await? else { return Err(Error::Answer) };
    let made = ExportManifest::new(operator.cluster(), node.key, *deed, exhibits)?;
    fetch_items(operator, &made, &folder.join(ITEMS), told).await?;
    list.replace(LIST, &made.encode())?;
    Ok(made)
}

/// Gets what is given out and is not there yet, several at once; each is durable before the list is.
async fn fetch_items(
    operator: &Arc<Client>,
    made: &ExportManifest,
    folder: &Path,
    mut told: impl FnMut(Progress),
) -> Result<(), Error> {
    let mut files = Disk::open(folder)?;
    let len = made.there().map(|(_, _, len)| u64::from(len)).sum();
    let mut progress = Progress { len, ..Progress::default() };
    let (mut under_way, mut to_come) = (JoinSet::new(), made.there());
    loop {
        while under_way.len() < TOGETHER
            && let Some((name, hash, len)) = to_come.next()
        {
            if is_there(&folder.join(name.file_name()), hash) {
                progress.known += u64::from(len);
                progress.done += u64::from(len);
                continue;
            }
            let operator = Arc::clone(operator);
            under_way.spawn(async move { (name, hash, get(&operator, name).await) });
        }
        told(progress);
        let Some(came) = under_way.join_next().await else { return Ok(()) };
        let (name, hash, got) = came.map_err(|_| Error::Stopped)?;
        let bytes = match got {
            Err(Error::Refused(Refused::Stranger)) => return Err(Error::BrokenOff),
            // What is held is not forgotten, so a node that has nothing under the name is as wrong as one that has something else.
            got => got?.filter(|bytes| *blake3::hash(bytes).as_bytes() == hash).ok_or(Error::Forged)?,
        };
        files.replace(&name.file_name(), &bytes)?;
        progress.done += bytes.len() as u64;
    }
}

/// All that a case holds.
async fn exhibits(operator: &Client, case: &str) -> Result<Vec<Exhibit>, Error> {
    let mut all: Vec<Exhibit> = Vec::new();
    loop {
        let after = all.last().map(|exhibit| exhibit.name);
        let ask = Ask::Exhibits { case: case.to_owned(), after };
        let Told::Exhibits(page) = operator.ask(&ask).await? else { return Err(Error::Answer) };
        if page.is_empty() {
            return Ok(all);
        }
        // A node that tells the same again and again would never end.
        if page.iter().any(|exhibit| after.is_some_and(|after| exhibit.name <= after)) {
            return Err(Error::Answer);
        }
        all.extend(page);
    }
}

/// Reads a folder that was exported and compares each file with what the deed says.
///
/// # Errors
/// [`Error::Export`], [`Error::NotExported`] naming the first file that is another one or is not there, [`Error::Local`].
pub fn check_export(folder: &Path, mut told: impl FnMut(Progress)) -> Result<ExportManifest, Error> {
    let made = read_list(folder)?;
    let len = made.there().map(|(_, _, len)| u64::from(len)).sum();
    let mut progress = Progress { len, ..Progress::default() };
    for (name, hash, len) in made.there() {
        let file = item(folder, &name);
        if !is_there(&file, hash) {
            return Err(Error::NotExported(file));
        }
        progress.done += u64::from(len);
        told(progress);
    }
    Ok(made)
}

/// Writes a file whose items were exported; what the folder says of them is not looked at, for the reference binds each byte.
///
/// # Errors
/// [`Error::NotExported`], [`Error::File`], [`Error::Local`].
pub fn open_exported(folder: &Path, reference: &Reference, out: &mut File) -> Result<u64, Error> {
    let read = |name: ItemName| {
        let file = item(folder, &name);
        std::fs::read(&file).map_err(|_| Error::NotExported(file))
    };
    let manifest: Manifest = reference.open(read(reference.name())?)?;
    out.set_len(0).map_err(write_failed)?;
    for piece in &manifest.pieces {
        let bytes = Piece::open(piece, read(piece.name())?)?;
        out.write_all(&bytes).map_err(write_failed)?;
    }
    Ok(manifest.len)
}

fn item(folder: &Path, name: &ItemName) -> PathBuf {
    folder.join(ITEMS).join(name.file_name())
}

fn read_list(folder: &Path) -> Result<ExportManifest, Error> {
    let file = folder.join(LIST);
    let failed = |source: std::io::Error| Error::Local { doing: format!("read {}", file.display()), source };
    if std::fs::metadata(&file).map_err(failed)?.len() > LIST_LEN_MAX {
        return Err(Error::Damaged(file));
    }
    Ok(ExportManifest::decode(&std::fs::read(&file).map_err(failed)?)?)
}

/// Whether a file is there with these bytes.
fn is_there(file: &Path, hash: [u8; 32]) -> bool {
    std::fs::read(file).is_ok_and(|bytes| *blake3::hash(&bytes).as_bytes() == hash)
}
