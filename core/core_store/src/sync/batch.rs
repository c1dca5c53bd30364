use crate::model::Skeleton;
use terachat_event::{DeviceId, EventHash, LogId};

/// Payloads are cut into chunks, compressed and sealed one by one: what a reader has to open to show one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChunkLen {
    /// Chunks of about 64 KiB: what is wanted soon, and what was written before there was another.
    #[default]
    Short,
    /// Chunks of about 256 KiB, for batches that fill more than a short one: an eighth smaller, and four
    /// times as much to open for one message (ADR 0021).
    Long,
}

impl ChunkLen {
    /// Bytes of payload in a chunk, but for a single event that is larger.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Short => 64 << 10,
            Self::Long => 256 << 10,
        }
    }

    /// What history is kept and handed on in, by how many bytes of payload there are.
    pub const fn for_history(payload_len: usize) -> Self {
        if payload_len > Self::Short.bytes() { Self::Long } else { Self::Short }
    }
}

/// Bounds on what one batch may hold, so that no peer decides how much memory is spent.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most events.
    pub events: usize,
    /// Most payload bytes.
    pub payload_len: usize,
}

impl Limits {
    /// What is accepted from peers: a quarter of a million events, 64 MiB of payload.
    pub const PEER: Self = Self { events: 1 << 18, payload_len: 64 << 20 };
}

/// The epoch under whose secret a batch's payloads are sealed: its number, and the control event whose commit (or
/// genesis) made it, since concurrent commits can make two epochs of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId {
    /// The event that made the epoch.
    pub commit: EventHash,
    /// The epoch's number.
    pub epoch: u64,
}

/// Events of one log in causal order, as columns; each author's last event is signed, which covers the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The log.
    pub log: LogId,
    /// The epoch of all its events; `None` in a control log.
    pub key: Option<KeyId>,
    /// Authors of its events and of parents outside it.
    pub authors: Vec<BatchAuthor>,
    /// Lists of control heads that its events cite.
    pub controls: Vec<Vec<EventHash>>,
    /// How its payloads are cut.
    pub chunk_len: ChunkLen,
    /// The events.
    pub events: Vec<BatchEvent>,
    /// Parents of all events, in the events' order.
    pub parents: Vec<(u32, u64)>,
    /// Parents that stand for themselves by hash and time: events of chains that forked, which count for nothing and
    /// of which the reader may hold the other branch. None in an honest history.
    pub stubs: Vec<BatchStub>,
    /// Control events behind forks, through which the causal past of these events or of the control heads they cite
    /// leads. None in an honest history.
    pub skeletons: Vec<Skeleton>,
}

/// A parent that does not travel: enough to follow the header that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchStub {
    /// Index into the authors.
    pub author: u32,
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: EventHash,
    /// Its Lamport time.
    pub lamport: u64,
}

/// One author of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchAuthor {
    /// The device.
    pub device: DeviceId,
    /// Number of its first event here.
    pub first_seq: u64,
    /// How many events it has here; 0 for one that is only named as a parent.
    pub count: u32,
    /// Its signature on the last of them.
    pub signature: [u8; 64],
}

/// One event of a batch; its `seq` follows from its author's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchEvent {
    /// Index into the authors.
    pub author: u32,
    /// Index into the control head lists; 0 in a control log.
    pub control: u32,
    /// Lamport time.
    pub lamport: u64,
    /// Wall time as claimed.
    pub wall_ms: u64,
    /// How many of the batch's parents are this event's.
    pub parents: u32,
    /// Bytes of its payload before sealing.
    pub payload_len: u32,
}

impl Batch {
    /// The stub for this parent, if it has one.
    pub(crate) fn stub(&self, author: u32, seq: u64) -> Option<&BatchStub> {
        self.stubs.iter().find(|stub| stub.author == author && stub.seq == seq)
    }

    /// Bytes of all payloads before sealing.
    pub fn payload_len(&self) -> usize {
        self.events.iter().map(|event| event.payload_len as usize).sum()
    }

    /// Where chunks end: positions in the events, ascending, the last one being their number. Follows from the
    /// payload lengths and [`Batch::chunk_len`].
    pub fn chunk_ends(&self) -> Vec<usize> {
        let mut ends = Vec::new();
        let mut len = 0;
        for (at, event) in self.events.iter().enumerate() {
            let payload_len = event.payload_len as usize;
            if len > 0 && len + payload_len > self.chunk_len.bytes() {
                ends.push(at);
                len = 0;
            }
            len += payload_len;
        }
        if !self.events.is_empty() {
            ends.push(self.events.len());
        }
        ends
    }
}
