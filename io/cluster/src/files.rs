//! Files into the cluster and out of it, piece by piece: several at once, and none that is there already.
use crate::{Client, Error, Keys};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use terachat_cluster::{Fate, ItemName, Manifest, PIECE_LEN, Piece, Reference, Request, Response};
use tokio::task::JoinSet;

/// Pieces under way at once.
const TOGETHER: usize = 8;

/// How far a file is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the file that are over.
    pub done: u64,
    /// Bytes of the file.
    pub len: u64,
    /// Bytes that were there before.
    pub known: u64,
}

/// Puts what a reader gives; `len` is for the progress. Put again after it was broken off, it goes on where it was.
///
/// # Errors
/// [`Error::Local`], [`Error::File`], [`Error::Refused`], [`Error::NoNode`]; what was put until then stays.
pub async fn put_file(
    client: &Arc<Client>,
    keys: &Keys,
    from: &mut (impl Read + Send),
    len: u64,
    expires_ms: u64,
    mut told: impl FnMut(Progress),
) -> Result<(Reference, Progress), Error> {
    let failed = |source| Error::Local { doing: "read the file".to_owned(), source };
    let owner = keys.files();
    let mut progress = Progress { len, ..Progress::default() };
    let mut manifest = Manifest { len: 0, pieces: Vec::new() };
    let mut under_way = JoinSet::new();
    let mut begun_before = false;
    let mut buffer = vec![0; PIECE_LEN];
    loop {
        let len = fill(from, &mut buffer).map_err(failed)?;
        if len == 0 {
            break;
        }
        let (piece, sealed) = Piece::seal(&owner, buffer[..len].to_vec());
        // Of a file whose first piece is not there none is asked for.
        if manifest.pieces.is_empty() {
            begun_before = has(client, piece.name()).await?;
        }
        manifest.len += len as u64;
        manifest.pieces.push(piece);
        if under_way.len() >= TOGETHER {
            over(&mut under_way, &mut progress, &mut told).await?;
        }
        let client = Arc::clone(client);
        under_way.spawn(async move {
            let known = begun_before && has(&client, piece.name()).await?
                || put(&client, piece.name(), sealed, expires_ms).await? == Fate::Known;
            Ok((len as u64, known))
        });
        if len < PIECE_LEN {
            break;
        }
    }
    while !under_way.is_empty() {
        over(&mut under_way, &mut progress, &mut told).await?;
    }
    let (reference, sealed) = manifest.seal(&owner)?;
    put(client, reference.name(), sealed, expires_ms).await?;
    progress.len = manifest.len;
    Ok((reference, progress))
}

type Step = Result<(u64, bool), Error>;

async fn over(
    under_way: &mut JoinSet<Step>,
    progress: &mut Progress,
    told: &mut impl FnMut(Progress),
) -> Result<(), Error> {
    if let Some(step) = under_way.join_next().await {
        let (len, known) = step.map_err(|_| Error::Stopped)??;
        progress.done += len;
        progress.known += if known { len } else { 0 };
        told(*progress);
    }
    Ok(())
}

/// Gets a file. What an earlier try left in `out` is looked through and gone on with; what does not belong there is cut off.
///
/// # Errors
/// [`Error::Local`], [`Error::File`], [`Error::Missing`], [`Error::Refused`], [`Error::NoNode`].
pub async fn get_file(
    client: &Arc<Client>,
    reference: &Reference,
    out: &mut File,
    told: impl FnMut(Progress),
) -> Result<Progress, Error> {
    let manifest = manifest(client, reference).await?;
    let mut progress = Progress { len: manifest.len, ..Progress::default() };
    let mut buffer = vec![0; PIECE_LEN];
    let mut next = 0;
    for piece in &manifest.pieces {
        let len = fill(out, &mut buffer).map_err(write_failed)?;
        if len == 0 || !piece.is(buffer[..len].to_vec()) {
            break;
        }
        progress.known += len as u64;
        next += 1;
    }
    progress.done = progress.known;
    out.set_len(progress.known).and_then(|()| out.seek(SeekFrom::End(0))).map_err(write_failed)?;
    fetch(client, &manifest, next, out, progress, told).await
}

/// Gets a file and writes it from the beginning.
///
/// # Errors
/// As [`get_file`].
pub async fn stream_file(
    client: &Arc<Client>,
    reference: &Reference,
    out: &mut (impl Write + Send),
) -> Result<Progress, Error> {
    let manifest = manifest(client, reference).await?;
    let progress = Progress { len: manifest.len, ..Progress::default() };
    fetch(client, &manifest, 0, out, progress, |_| {}).await
}

async fn manifest(client: &Client, reference: &Reference) -> Result<Manifest, Error> {
    let sealed = get(client, reference.name()).await?.ok_or(Error::NoFile)?;
    Ok(reference.open(sealed)?)
}

/// Fetches the pieces from this one on, several at once, and writes them in their order.
async fn fetch(
    client: &Arc<Client>,
    manifest: &Manifest,
    from: usize,
    out: &mut (impl Write + Send),
    mut progress: Progress,
    mut told: impl FnMut(Progress),
) -> Result<Progress, Error> {
    let (mut next, mut asked) = (from, from);
    let (mut under_way, mut arrived) = (JoinSet::new(), BTreeMap::new());
    while next < manifest.pieces.len() {
        while asked < manifest.pieces.len().min(next + TOGETHER) {
            let (client, number, name) = (Arc::clone(client), asked, manifest.pieces[asked].name());
            under_way.spawn(async move { (number, get(&client, name).await) });
            asked += 1;
        }
        let Some(came) = under_way.join_next().await else { break };
        let (number, sealed) = came.map_err(|_| Error::Stopped)?;
        arrived.insert(number, sealed?.ok_or(Error::Missing(number as u64))?);
        while let Some(sealed) = arrived.remove(&next) {
            let bytes = manifest.pieces[next].open(sealed)?;
            out.write_all(&bytes).map_err(write_failed)?;
            progress.done += bytes.len() as u64;
            told(progress);
            next += 1;
        }
    }
    Ok(progress)
}

fn write_failed(source: std::io::Error) -> Error {
    Error::Local { doing: "write the file".to_owned(), source }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            len => filled += len,
        }
    }
    Ok(filled)
}

async fn has(client: &Client, name: ItemName) -> Result<bool, Error> {
    match client.request(&Request::Has(name)).await? {
        Response::Has(there) => Ok(there.is_some()),
        _ => Err(Error::Answer),
    }
}

async fn put(client: &Client, name: ItemName, bytes: Vec<u8>, expires_ms: u64) -> Result<Fate, Error> {
    match client.request(&Request::Put { name, bytes, expires_ms }).await? {
        Response::Put(fate) => Ok(fate),
        _ => Err(Error::Answer),
    }
}

async fn get(client: &Client, name: ItemName) -> Result<Option<Vec<u8>>, Error> {
    match client.request(&Request::Get(name)).await? {
        Response::Got(bytes) => Ok(bytes),
        _ => Err(Error::Answer),
    }
}
