use crate::Error;
use terachat_event::{DeviceId, EventHash, EventRef, Header, LogId, Step, chain_start, link, prefix};

/// A control event behind a fork, without its payload: it counts for nothing, and is carried for what others built on it.
/// Its hash follows from it, so it cannot say anything but what its author said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skeleton {
    /// The device that signed the chain it stands in.
    pub author: DeviceId,
    /// Hash of the event before it in that chain, or where the chain starts.
    pub previous: EventHash,
    /// Its header and its payload's hash.
    pub step: Step,
}

/// What a skeleton says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bones {
    pub(crate) event: EventRef,
    pub(crate) lamport: u64,
    /// The event before it in its chain, unless it is the first.
    pub(crate) previous: Option<EventHash>,
    /// All it builds on, the event before it included.
    pub(crate) parents: Vec<EventHash>,
}

impl Skeleton {
    /// The event's hash.
    pub fn hash(&self) -> EventHash {
        link(&prefix(&self.previous, &self.step.header), &self.step.payload_hash)
    }

    /// Reads what it says.
    ///
    /// # Errors
    /// [`Error::Event`] for a header that is none, [`Error::Malformed`] for a first event that does not start the chain.
    pub(crate) fn bones(&self, log: &LogId) -> Result<Bones, Error> {
        let mut hashes = Vec::new();
        let header = Header::read(&self.step.header, &mut hashes)?;
        let event = EventRef { author: self.author, seq: header.seq };
        if event.seq == 1 && self.previous != chain_start(log, &self.author) {
            return Err(Error::Malformed("a skeleton's chain starts elsewhere"));
        }
        let previous = (event.seq > 1).then_some(self.previous);
        let lamport = header.lamport;
        Ok(Bones {
            event,
            lamport,
            previous,
            parents: header.parents.iter().copied().chain(previous).collect(),
        })
    }

    /// The bytes of a record.
    pub(crate) fn to_record(&self) -> Vec<u8> {
        [&self.author.0[..], &self.previous.0, &self.step.payload_hash, &self.step.header].concat()
    }

    /// Reads what [`Skeleton::to_record`] wrote.
    pub(crate) fn from_record(bytes: &[u8]) -> Option<Self> {
        let (author, rest) = bytes.split_first_chunk()?;
        let (previous, rest) = rest.split_first_chunk()?;
        let (payload_hash, header) = rest.split_first_chunk()?;
        let step = Step { header: header.to_vec(), payload_hash: *payload_hash };
        Some(Self { author: DeviceId(*author), previous: EventHash(*previous), step })
    }
}
