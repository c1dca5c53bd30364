//! A cluster as a board: records are left at whichever node answers, and fetched from whichever does.
use crate::{ClientFolder, Error, PATIENCE};
use std::sync::mpsc as answers;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use terachat_cluster::{ClusterId, Fate, ItemKind, ItemName, Refused, Request, Response, Slot};
use terachat_core_store::sync::board::{
    Board, BoardError, BoardRecord, Cursor, Listing, Order, Published, RECORD_LEN_MAX, RecordKey,
};
use tokio::runtime::Builder;
use tokio::sync::mpsc;

/// Keys that one request lists at most, beside the one that tells whether there are more.
const LIST_MAX: usize = 1023;
/// How often a record is left again that ended or was forgotten while it was renewed.
const TRIES: usize = 3;
/// Bytes of a place in the list: the cluster's name, the ledger's entry, the place in its batch.
const CURSOR_LEN: usize = 16 + 8 + 4;

struct Job {
    request: Request,
    answer: answers::Sender<Result<Response, Error>>,
}

/// The board of a cluster, for one of its clients. The calls of [`Board`] wait for a node's answer, each as long as the client is
/// patient; the connections live on a thread of their own, so that they may be called from anywhere. Dropped, it leaves, and
/// remembers where the nodes are.
pub struct ClusterBoard {
    id: [u8; 16],
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl ClusterBoard {
    /// The board of this client's cluster; no node is asked yet.
    ///
    /// # Errors
    /// [`Error::Local`], [`Error::Net`], [`Error::Host`].
    pub fn open(folder: ClientFolder) -> Result<Self, Error> {
        Self::open_patient(folder, PATIENCE)
    }

    /// The same, trying a request for so long.
    ///
    /// # Errors
    /// As [`ClusterBoard::open`].
    pub fn open_patient(folder: ClientFolder, patience: Duration) -> Result<Self, Error> {
        let failed = |source| Error::Local { doing: "start a thread".to_owned(), source };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (jobs, inbox) = mpsc::unbounded_channel();
        let (begun, begins) = answers::channel();
        let work = move || runtime.block_on(serve(folder, patience, begun, inbox));
        let thread = thread::Builder::new().name("cluster board".to_owned()).spawn(work).map_err(failed)?;
        let ClusterId(id) = begins.recv().unwrap_or(Err(Error::Stopped))?;
        Ok(Self { id, jobs: Some(jobs), thread: Some(thread) })
    }

    fn ask(&self, request: Request) -> Result<Response, BoardError> {
        let (answer, answered) = answers::channel();
        let sent = self.jobs.as_ref().map(|jobs| jobs.send(Job { request, answer }));
        let answered = match sent {
            Some(Ok(())) => answered.recv().unwrap_or(Err(Error::Stopped)),
            _ => Err(Error::Stopped),
        };
        answered.map_err(|error| match error {
            Error::Refused(Refused::Lifetime) => BoardError::Lifetime,
            error => BoardError::Failed(error.to_string()),
        })
    }
}

impl Drop for ClusterBoard {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Connects, says to what, and asks the cluster until nobody asks here any more.
async fn serve(
    mut folder: ClientFolder,
    patience: Duration,
    begun: answers::Sender<Result<ClusterId, Error>>,
    mut inbox: mpsc::UnboundedReceiver<Job>,
) {
    let client = match folder.connect().await {
        Ok(client) => client.patient(patience),
        Err(error) => return drop(begun.send(Err(error))),
    };
    let _ = begun.send(Ok(client.cluster()));
    while let Some(Job { request, answer }) = inbox.recv().await {
        let _ = answer.send(client.request(&request).await);
    }
    // Where they were is good enough where it cannot be written.
    let _ = folder.remember(client.members());
    client.close().await;
}

impl Board for ClusterBoard {
    fn id(&self) -> [u8; 16] {
        self.id
    }

    fn record_len_max(&self) -> usize {
        RECORD_LEN_MAX
    }

    fn publish(&mut self, record: &BoardRecord, now_ms: u64) -> Result<Published, BoardError> {
        // What no board takes is not sent. The cluster judges by its own clocks, too.
        record.admit(None, self.record_len_max(), now_ms)?;
        let expires_ms = record.expires_ms();
        for _ in 0..TRIES {
            let put = Request::Put { name: name(&record.key()), bytes: record.bytes().to_vec(), expires_ms };
            match self.ask(put)? {
                Response::Put(Fate::Added) => return Ok(Published::Added),
                Response::Put(Fate::Renewed) => return Ok(Published::Renewed),
                Response::Put(Fate::Known) => return Ok(Published::Known),
                Response::Put(Fate::Taken) => return Err(BoardError::Taken),
                // It was there when the node looked, and had ended when the ledger did.
                Response::Put(Fate::Gone) => {}
                _ => return Err(misfit()),
            }
        }
        Err(BoardError::Failed(
            "the record ended while it was left; check the clocks of the nodes".to_owned(),
        ))
    }

    fn fetch(&self, key: &RecordKey, now_ms: u64) -> Result<Option<BoardRecord>, BoardError> {
        let Response::Got(bytes) = self.ask(Request::Get(name(key)))? else { return Err(misfit()) };
        let Some(bytes) = bytes else { return Ok(None) };
        match BoardRecord::decode(bytes) {
            Ok(record) if record.key() != *key => Err(BoardError::Damaged("it is another key's")),
            Ok(record) => Ok(Some(record).filter(|record| record.expires_ms() > now_ms)),
            Err(BoardError::Record(why)) => Err(BoardError::Damaged(why)),
            Err(_) => Err(BoardError::Damaged("it is too long")),
        }
    }

    fn list(&self, after: &Cursor, max: usize) -> Result<Listing, BoardError> {
        let place = place(&after.0, &self.id);
        let max = max.min(LIST_MAX);
        // One more tells whether there are more.
        let ask = u16::try_from(max + 1).unwrap_or(u16::MAX);
        let Response::Listed(mut listed) = self.ask(Request::List { after: place, max: ask })? else {
            return Err(misfit());
        };
        let more = listed.len() > max;
        listed.truncate(max);
        let next = listed.last().map(|(order, _)| *order).or(place);
        let next = Cursor(next.map(|order| cursor(&self.id, order)).unwrap_or_default());
        let keys = listed.into_iter().filter(|(_, name)| name.kind == ItemKind::Board);
        Ok(Listing { keys: keys.map(|(_, name)| RecordKey(name.key)).collect(), next, more })
    }

    fn collect(&mut self, _now_ms: u64) -> Result<usize, BoardError> {
        let mut removed = 0;
        loop {
            let Response::Collected { records, more } = self.ask(Request::Collect)? else {
                return Err(misfit());
            };
            removed += records as usize;
            if !more {
                return Ok(removed);
            }
        }
    }

    fn order(&self) -> Option<&dyn Order> {
        Some(self)
    }
}

impl Order for ClusterBoard {
    fn claim(&self, slot: &[u8; 32], value: &[u8; 32], life_ms: u64) -> Result<[u8; 32], BoardError> {
        match self.ask(Request::Claim { slot: Slot(*slot), value: *value, life_ms })? {
            Response::Claimed(standing) => Ok(standing.value),
            _ => Err(misfit()),
        }
    }
}

fn name(key: &RecordKey) -> ItemName {
    ItemName { kind: ItemKind::Board, key: key.0 }
}

fn misfit() -> BoardError {
    BoardError::Failed(Error::Answer.to_string())
}

fn cursor(cluster: &[u8; 16], (index, at): (u64, u32)) -> Vec<u8> {
    [&cluster[..], &index.to_le_bytes(), &at.to_le_bytes()].concat()
}

/// The place in this cluster's order that a cursor means.
fn place(cursor: &[u8], cluster: &[u8; 16]) -> Option<(u64, u32)> {
    let place = cursor.strip_prefix(cluster).filter(|_| cursor.len() == CURSOR_LEN)?;
    let (index, at) = place.split_at_checked(8)?;
    Some((u64::from_le_bytes(index.try_into().ok()?), u32::from_le_bytes(at.try_into().ok()?)))
}

#[cfg(test)]
mod tests;
