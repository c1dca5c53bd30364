//! Files into the cluster and out of it, piece by piece: several at once, and none that is there already.
use crate::blobs::{Progress, Uploading, fetch, fill, get, put, read_failed, write_failed};
use crate::{Client, Error, Keys};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use terachat_cluster::{ItemName, Manifest, PIECE_LEN, Piece, Reference};

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
    told: impl FnMut(Progress),
) -> Result<(Reference, Progress), Error> {
    let owner = keys.files();
    let mut uploading = Uploading::new(client, expires_ms, len, told);
    let mut manifest = Manifest { len: 0, pieces: Vec::new() };
    let mut buffer = vec![0; PIECE_LEN];
    loop {
        let len = fill(from, &mut buffer).map_err(read_failed)?;
        if len == 0 {
            break;
        }
        let (piece, sealed) = Piece::seal(&owner, buffer[..len].to_vec());
        manifest.len += len as u64;
        manifest.pieces.push(piece);
        uploading.put(piece.name(), sealed, len as u64).await?;
        if len < PIECE_LEN {
            break;
        }
    }
    let progress = uploading.finish().await?;
    let (reference, sealed) = manifest.seal(&owner)?;
    put(client, reference.name(), sealed, expires_ms).await?;
    Ok((reference, Progress { len: manifest.len, ..progress }))
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
    get_from(client, &manifest, next, out, progress, told).await
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
    get_from(client, &manifest, 0, out, progress, |_| {}).await
}

/// Under which names a file is kept: its manifest's, then its pieces'.
///
/// # Errors
/// [`Error::NoFile`], [`Error::File`], [`Error::Refused`], [`Error::NoNode`].
pub async fn items_of_file(client: &Client, reference: &Reference) -> Result<Vec<ItemName>, Error> {
    let manifest = manifest(client, reference).await?;
    Ok(std::iter::once(reference.name()).chain(manifest.pieces.iter().map(Piece::name)).collect())
}

async fn manifest(client: &Client, reference: &Reference) -> Result<Manifest, Error> {
    let sealed = get(client, reference.name()).await?.ok_or(Error::NoFile)?;
    Ok(reference.open(sealed)?)
}

/// Gets the pieces from this one on.
async fn get_from(
    client: &Arc<Client>,
    manifest: &Manifest,
    from: usize,
    out: &mut (impl Write + Send),
    progress: Progress,
    told: impl FnMut(Progress),
) -> Result<Progress, Error> {
    let names: Vec<_> = manifest.pieces.iter().map(Piece::name).collect();
    let open = |number: usize, sealed| Ok(manifest.pieces[number].open(sealed)?);
    fetch(client, &names, from, out, open, progress, told).await
}
