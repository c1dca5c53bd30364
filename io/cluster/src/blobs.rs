//! Blobs into the cluster and out of it, several at once: what files and attachments are made of.
use crate::{Client, Error};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;
use terachat_cluster::{Fate, ItemName, Request, Response};
use tokio::task::JoinSet;

/// Blobs under way at once; so many, some times over, are in memory.
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

type Step = Result<(u64, bool), Error>;

/// A file's blobs on their way in. What is there already is asked and not sent again.
pub(crate) struct Uploading<'a, F> {
    client: &'a Arc<Client>,
    expires_ms: u64,
    progress: Progress,
    told: F,
    /// Whether the first blob was there. Of a file whose first is not there none is asked for.
    begun_before: Option<bool>,
    under_way: JoinSet<Step>,
}

impl<'a, F: FnMut(Progress)> Uploading<'a, F> {
    pub(crate) fn new(client: &'a Arc<Client>, expires_ms: u64, len: u64, told: F) -> Self {
        let progress = Progress { len, ..Progress::default() };
        Self { client, expires_ms, progress, told, begun_before: None, under_way: JoinSet::new() }
    }

    /// Puts a blob that has so many bytes of the file, as soon as few enough others are under way.
    pub(crate) async fn put(&mut self, name: ItemName, sealed: Vec<u8>, len: u64) -> Result<(), Error> {
        let begun_before = match self.begun_before {
            Some(begun) => begun,
            None => *self.begun_before.insert(has(self.client, name).await?),
        };
        if self.under_way.len() >= TOGETHER {
            self.one_over().await?;
        }
        let (client, expires_ms) = (Arc::clone(self.client), self.expires_ms);
        self.under_way.spawn(async move {
            let known = begun_before && has(&client, name).await?
                || put(&client, name, sealed, expires_ms).await? == Fate::Known;
            Ok((len, known))
        });
        Ok(())
    }

    /// Waits until the cluster has acknowledged all of them.
    pub(crate) async fn finish(mut self) -> Result<Progress, Error> {
        while !self.under_way.is_empty() {
            self.one_over().await?;
        }
        Ok(self.progress)
    }

    async fn one_over(&mut self) -> Result<(), Error> {
        if let Some(step) = self.under_way.join_next().await {
            let (len, known) = step.map_err(|_| Error::Stopped)??;
            self.progress.done += len;
            self.progress.known += if known { len } else { 0 };
            (self.told)(self.progress);
        }
        Ok(())
    }
}

/// Fetches the blobs from this one on, several at once, and writes what `open` makes of them in their order.
pub(crate) async fn fetch(
    client: &Arc<Client>,
    names: &[ItemName],
    from: usize,
    out: &mut (impl Write + Send),
    mut open: impl FnMut(usize, Vec<u8>) -> Result<Vec<u8>, Error>,
    mut progress: Progress,
    mut told: impl FnMut(Progress),
) -> Result<Progress, Error> {
    let (mut next, mut asked) = (from, from);
    let (mut under_way, mut arrived) = (JoinSet::new(), BTreeMap::new());
    while next < names.len() {
        while asked < names.len().min(next + TOGETHER) {
            let (client, number, name) = (Arc::clone(client), asked, names[asked]);
            under_way.spawn(async move { (number, get(&client, name).await) });
            asked += 1;
        }
        let Some(came) = under_way.join_next().await else { break };
        let (number, sealed) = came.map_err(|_| Error::Stopped)?;
        arrived.insert(number, sealed?.ok_or(Error::Missing(number as u64))?);
        while let Some(sealed) = arrived.remove(&next) {
            let bytes = open(next, sealed)?;
            out.write_all(&bytes).map_err(write_failed)?;
            progress.done += bytes.len() as u64;
            told(progress);
            next += 1;
        }
    }
    Ok(progress)
}

pub(crate) fn read_failed(source: std::io::Error) -> Error {
    Error::Local { doing: "read the file".to_owned(), source }
}

pub(crate) fn write_failed(source: std::io::Error) -> Error {
    Error::Local { doing: "write the file".to_owned(), source }
}

/// Reads until the buffer is full or the file ends.
pub(crate) fn fill(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
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

pub(crate) async fn put(
    client: &Client,
    name: ItemName,
    bytes: Vec<u8>,
    expires_ms: u64,
) -> Result<Fate, Error> {
    match client.request(&Request::Put { name, bytes, expires_ms }).await? {
        Response::Put(fate) => Ok(fate),
        _ => Err(Error::Answer),
    }
}

pub(crate) async fn get(client: &Client, name: ItemName) -> Result<Option<Vec<u8>>, Error> {
    match client.request(&Request::Get(name)).await? {
        Response::Got(bytes) => Ok(bytes),
        _ => Err(Error::Answer),
    }
}
