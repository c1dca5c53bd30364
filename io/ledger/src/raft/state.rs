use super::log::{Durable, on_disk};
use super::types::{Applied, Entry, Id, LogId, StoredMembers, Types};
use crate::disk::{Disk, DiskError, SnapshotMeta};
use crate::{BadSnapshot, Head, Machine};
use openraft::storage::RaftStateMachine;
use openraft::{
    AnyError, EmptyNode, EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, StorageError,
    StorageIOError, StoredMembership,
};
use std::io::Cursor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Bytes before the machine's own in a snapshot: the head's index and hash.
const HEAD_LEN: usize = 40;

type StoredNodes = StoredMembership<u64, EmptyNode>;

/// openraft's state machine: the caller's machine, the head, and who the members were.
#[derive(Clone)]
pub(crate) struct State {
    inner: Arc<Mutex<Inner>>,
    disk: Arc<Mutex<Disk>>,
    head: Arc<watch::Sender<Head>>,
    durable: Arc<watch::Sender<Durable>>,
}

struct Inner {
    machine: Box<dyn Machine>,
    last: Option<LogId>,
    members: StoredNodes,
    head: Head,
}

impl State {
    /// The machine as the snapshot on the disk has it.
    pub(crate) fn new(
        disk: Arc<Mutex<Disk>>,
        machine: Box<dyn Machine>,
        snapshot: Option<&(SnapshotMeta, Vec<u8>)>,
    ) -> Result<Self, BadSnapshot> {
        let mut inner =
            Inner { machine, last: None, members: StoredMembership::default(), head: Head::START };
        if let Some((meta, content)) = snapshot {
            inner.restore(meta, content)?;
        }
        let head = Arc::new(watch::Sender::new(inner.head));
        let durable = Arc::new(watch::Sender::new(Ok(inner.last.map(Id::from))));
        Ok(Self { inner: Arc::new(Mutex::new(inner)), disk, head, durable })
    }

    /// The snapshot that is durable.
    pub(crate) fn durable(&self) -> watch::Receiver<Durable> {
        self.durable.subscribe()
    }

    /// Makes a snapshot durable, and says so.
    fn save(&self, disk: &Mutex<Disk>, meta: &SnapshotMeta, content: &[u8]) -> Result<(), DiskError> {
        let result = Disk::save_snapshot(disk, meta, content);
        match &result {
            Ok(()) => self.durable.send_modify(|durable| {
                if let Ok(last) = durable {
                    *last = meta.last.max(*last);
                }
            }),
            Err(_) => drop(self.durable.send_replace(Err(()))),
        }
        result
    }

    pub(crate) fn head(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    async fn install(&self, meta: SnapshotMeta, id: &str, content: Vec<u8>) -> Result<(), AnyError> {
        if snapshot_id(&content) != id {
            return Err(AnyError::error("the leader's snapshot did not arrive as it was sent"));
        }
        let head = {
            let mut inner = self.inner();
            inner.restore(&meta, &content).map_err(|error| AnyError::new(&error))?;
            inner.head
        };
        let state = self.clone();
        on_disk(&self.disk, move |disk| state.save(disk, &meta, &content)).await?;
        self.head.send_replace(head);
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn restore(&mut self, meta: &SnapshotMeta, content: &[u8]) -> Result<(), BadSnapshot> {
        let (head, machine) =
            split(content).ok_or_else(|| BadSnapshot("it is shorter than its head".to_owned()))?;
        self.machine.restore(head.index, machine)?;
        (self.head, self.last) = (head, meta.last.map(LogId::from));
        self.members = meta.members.clone().into();
        Ok(())
    }

    fn snapshot(&self) -> (SnapshotMeta, Vec<u8>) {
        let meta =
            SnapshotMeta { last: self.last.map(Id::from), members: StoredMembers::from(&self.members) };
        let mut content = self.head.index.to_le_bytes().to_vec();
        content.extend_from_slice(&self.head.hash);
        content.extend(self.machine.snapshot());
        (meta, content)
    }

    fn apply(&mut self, entry: Entry) -> Applied {
        self.last = Some(entry.log_id);
        let first = self.head.index + 1;
        let answers = match entry.payload {
            EntryPayload::Blank => Vec::new(),
            EntryPayload::Normal(batch) => batch
                .entries()
                .map(|entry| {
                    self.head = self.head.after(entry);
                    self.machine.apply(self.head.index, entry)
                })
                .collect(),
            EntryPayload::Membership(members) => {
                self.members = StoredMembership::new(Some(entry.log_id), members);
                Vec::new()
            }
        };
        Applied { first, answers }
    }
}

/// The head of a snapshot's content, and the machine's own.
pub(crate) fn split(content: &[u8]) -> Option<(Head, &[u8])> {
    let (head, machine) = content.split_first_chunk::<HEAD_LEN>()?;
    let (index, hash) = head.split_first_chunk::<8>()?;
    Some((Head { index: u64::from_le_bytes(*index), hash: hash.try_into().ok()? }, machine))
}

fn openraft_meta(meta: &SnapshotMeta, content: &[u8]) -> openraft::SnapshotMeta<u64, EmptyNode> {
    openraft::SnapshotMeta {
        last_log_id: meta.last.map(LogId::from),
        last_membership: meta.members.clone().into(),
        snapshot_id: snapshot_id(content),
    }
}

/// A snapshot's name, by which the receiver checks that it came over whole.
fn snapshot_id(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}

impl RaftSnapshotBuilder<Types> for State {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError<u64>> {
        let state = self.clone();
        let (meta, content) = on_disk(&self.disk, move |disk| {
            let (meta, content) = state.inner().snapshot();
            state.save(disk, &meta, &content)?;
            Ok((meta, content))
        })
        .await
        .map_err(|error| StorageIOError::write_snapshot(None, error))?;
        Ok(Snapshot { meta: openraft_meta(&meta, &content), snapshot: Box::new(Cursor::new(content)) })
    }
}

impl RaftStateMachine<Types> for State {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredNodes), StorageError<u64>> {
        let inner = self.inner();
        Ok((inner.last, inner.members.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut inner = self.inner();
        let applied = entries.into_iter().map(|entry| inner.apply(entry)).collect();
        self.head.send_replace(inner.head);
        Ok(applied)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError<u64>> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(
        &mut self,
        meta: &openraft::SnapshotMeta<u64, EmptyNode>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError<u64>> {
        let own = SnapshotMeta {
            last: meta.last_log_id.map(Id::from),
            members: StoredMembers::from(&meta.last_membership),
        };
        let installed = self.install(own, &meta.snapshot_id, snapshot.into_inner()).await;
        installed.map_err(|error| {
            let _ = self.durable.send_replace(Err(()));
            StorageIOError::write_snapshot(Some(meta.signature()), error).into()
        })
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError<u64>> {
        let found =
            on_disk(&self.disk, |disk| disk.lock().unwrap_or_else(PoisonError::into_inner).snapshot())
                .await
                .map_err(|error| StorageIOError::read_snapshot(None, error))?;
        Ok(found.map(|(meta, content)| Snapshot {
            meta: openraft_meta(&meta, &content),
            snapshot: Box::new(Cursor::new(content)),
        }))
    }
}
