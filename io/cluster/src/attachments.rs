//! Attachments into the cluster and out of it, chunk by chunk (ADR 0037): what is there already is not sent again, and what came is
//! verified before it is written.
use crate::blobs::{Progress, Uploading, fetch, fill, get, put, read_failed, write_failed};
use crate::{Client, Error};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use terachat_attachment::{CHUNK_LEN, CHUNK_OVERHEAD, ChunkName, FileKey, Opener, Sealer, Stored};
use terachat_cluster::{ItemKind, ItemName};

/// Puts a file of this length, sealed under a key that is only for it. Put again under the same key after it was broken off, it
/// goes on where it was. When this returns all of it is acknowledged, and not before.
///
/// # Errors
/// [`Error::Local`], [`Error::Attachment`], [`Error::Refused`], [`Error::NoNode`]; what was put until then stays.
pub async fn put_attachment(
    client: &Arc<Client>,
    key: FileKey,
    from: &mut (impl Read + Send),
    len: u64,
    told: impl FnMut(Progress),
) -> Result<(Stored, Progress), Error> {
    let mut sealer = Sealer::new(key, len)?;
    let mut uploading = Uploading::new(client, 0, len, told);
    while let Some(len) = sealer.next_len() {
        let mut bytes = Vec::with_capacity(CHUNK_LEN + CHUNK_OVERHEAD);
        from.by_ref().take(len as u64).read_to_end(&mut bytes).map_err(read_failed)?;
        let sealed = sealer.seal(bytes)?;
        uploading.put(blob(sealed.name), sealed.bytes, len as u64).await?;
    }
    // Somebody still writes to it.
    if fill(from, &mut [0]).map_err(read_failed)? > 0 {
        return Err(terachat_attachment::Error::Changed.into());
    }
    let progress = uploading.finish().await?;
    let (stored, manifest) = sealer.finish()?;
    put(client, blob(manifest.name), manifest.bytes, 0).await?;
    Ok((stored, progress))
}

/// Gets a file that is as its message says. What an earlier try left in `out` is looked through and gone on with; what does not
/// belong there is cut off.
///
/// # Errors
/// [`Error::Local`], [`Error::Attachment`], [`Error::Unlike`], [`Error::NoFile`], [`Error::Missing`], [`Error::Refused`],
/// [`Error::NoNode`]; what is in `out` then is the beginning of the file.
pub async fn get_attachment(
    client: &Arc<Client>,
    said: &Stored,
    key: FileKey,
    out: &mut File,
    told: impl FnMut(Progress),
) -> Result<Progress, Error> {
    let sealed = get(client, blob(said.address.manifest())).await?.ok_or(Error::NoFile)?;
    let mut opener = Opener::new(&said.address, key, sealed)?;
    if opener.file_len() != said.len {
        return Err(Error::Unlike);
    }
    let known = known(&mut opener, out)?;
    out.set_len(known).and_then(|()| out.seek(SeekFrom::End(0))).map_err(write_failed)?;
    let names: Vec<_> = (0..opener.count()).filter_map(|index| opener.name(index)).map(blob).collect();
    let from = usize::try_from(opener.next_index()).unwrap_or(usize::MAX);
    let progress = Progress { done: known, len: said.len, known };
    let open = |_, sealed| Ok(opener.accept(sealed)?);
    let progress = fetch(client, &names, from, out, open, progress, told).await?;
    if opener.finish()? == said.hash { Ok(progress) } else { Err(Error::Unlike) }
}

/// How many bytes at the file's beginning are those of the attachment.
fn known(opener: &mut Opener, file: &mut File) -> Result<u64, Error> {
    let mut buffer = vec![0; CHUNK_LEN];
    let mut known = 0;
    while let Some(len) = opener.next_len() {
        let filled = fill(file, &mut buffer[..len]).map_err(write_failed)?;
        if !opener.resume(&buffer[..filled]) {
            break;
        }
        known += filled as u64;
    }
    Ok(known)
}

fn blob(name: ChunkName) -> ItemName {
    ItemName { kind: ItemKind::Blob, key: name.0 }
}
