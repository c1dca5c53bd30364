//! The chain on disk.
use super::Event;
use crate::Error;
use crate::engine::{Engine, Space};
use crate::entropy::ThreadEntropy;
use terachat_event::{DeviceId, DeviceKey, EventHash, Header, Kind, LogId, SignedHead, SpaceId};
use terachat_event::{chain_start, link, payload_hash, prefix};
use terachat_vault::{Algorithm, RecordAddress, RecordHeader, RecordKeyId, Secret, derive_key};
use terachat_vault::{open_record, seal_record};

/// Most events that one signature waits for.
pub(crate) const SIGN_EVERY: u64 = 256;
const HASH_LEN: usize = 32;
/// An audit event's header has neither parents nor control heads.
const HEADER_LEN: usize = 36;

/// The newest event: its number and chain hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) hash: EventHash,
}

/// What seals and signs the log.
pub(crate) struct AuditKeys {
    device: DeviceKey,
    log: LogId,
    seal: Secret<32>,
}

impl AuditKeys {
    pub(crate) fn new(vault: &[u8; 16], seed: &Secret<32>) -> Self {
        let space = SpaceId(blake3::derive_key("terachat 2026-11 vault audit log", vault));
        let seal = derive_key("terachat 2026-11 vault audit log key", seed, &[]);
        Self { device: DeviceKey::from_seed(seed), log: LogId::control(space), seal }
    }

    pub(crate) fn id(&self) -> DeviceId {
        self.device.id()
    }

    pub(crate) fn device(&self) -> &DeviceKey {
        &self.device
    }

    /// The head before the first event.
    pub(crate) fn start(&self) -> Head {
        Head { seq: 0, hash: chain_start(&self.log, &self.id()) }
    }

    /// The row of the event after `head`, and the new head.
    pub(crate) fn append(&self, head: &Head, event: &Event) -> (Vec<u8>, Head) {
        let seq = head.seq + 1;
        let mut header = Vec::with_capacity(HEADER_LEN);
        let wall_ms = event.time_ms;
        Header { kind: Kind::Audit, seq, lamport: seq, wall_ms, epoch: None, parents: &[], control: &[] }
            .write(&mut header);
        let (record, address) = place(seq);
        let sealed = seal_record(&self.seal, &record, &address, &event.write(), &mut ThreadEntropy);
        let hash = link(&prefix(&head.hash, &header), &payload_hash(&sealed));
        let mut row = Vec::with_capacity(HASH_LEN + HEADER_LEN + sealed.len());
        row.extend_from_slice(&hash.0);
        row.extend_from_slice(&header);
        row.extend_from_slice(&sealed);
        (row, Head { seq, hash })
    }

    /// Opens a row and follows the chain through it.
    pub(crate) fn follow(&self, head: &Head, row: &[u8]) -> Result<(Event, Head), Error> {
        let (event, next) = self.open(head.seq + 1, row)?;
        let (header, sealed) = (&row[HASH_LEN..HASH_LEN + HEADER_LEN], &row[HASH_LEN + HEADER_LEN..]);
        if link(&prefix(&head.hash, header), &payload_hash(sealed)) != next.hash {
            return Err(broken(next.seq, "it does not follow the event before it"));
        }
        Ok((event, next))
    }

    /// Opens one row without looking at the one before.
    pub(crate) fn open(&self, seq: u64, row: &[u8]) -> Result<(Event, Head), Error> {
        let malformed = || broken(seq, "its row is cut short or changed");
        let (hash, rest) = row.split_first_chunk::<HASH_LEN>().ok_or_else(malformed)?;
        let (header, sealed) = rest.split_at_checked(HEADER_LEN).ok_or_else(malformed)?;
        let mut hashes = Vec::new();
        let header = Header::read(header, &mut hashes).map_err(|_| malformed())?;
        if header.kind != Kind::Audit || header.seq != seq {
            return Err(broken(seq, "it is another event"));
        }
        let (_, address) = place(seq);
        let (_, plain) =
            open_record(&self.seal, &address, sealed).map_err(|_| broken(seq, "it does not open"))?;
        let event = Event::read(plain.expose_secret()).map_err(|_| malformed())?;
        Ok((event, Head { seq, hash: EventHash(*hash) }))
    }

    pub(crate) fn sign(&self, head: &Head) -> SignedHead {
        self.device.sign_head(&self.log, head.seq, head.hash)
    }

    pub(crate) fn verify(&self, head: &SignedHead) -> Result<(), Error> {
        head.verify(&self.log, &self.id()).map_err(|_| broken(head.seq, "the signature on it does not hold"))
    }
}

fn place(seq: u64) -> (RecordHeader, RecordAddress) {
    let key = RecordKeyId { generation: 0, page: 0, slot: 0 };
    let header = RecordHeader { algorithm: Algorithm::Aes256Gcm, compressed: false, key };
    (header, RecordAddress { collection: [0; 16], record: [0; 16], version: seq })
}

pub(crate) fn broken(seq: u64, reason: &'static str) -> Error {
    Error::AuditBroken { seq, reason }
}

/// The stored events from number `seq` on, with their numbers.
pub(crate) fn read_from(
    engine: &Engine,
    seq: u64,
) -> impl DoubleEndedIterator<Item = Result<(u64, fjall::Slice), Error>> + use<> {
    engine.rows(Space::Audit, &[], &seq.to_be_bytes()).map(|row| {
        let (key, row) = row?;
        let number = key[..].try_into().map(u64::from_be_bytes);
        Ok((number.map_err(|_| broken(0, "a row has no number"))?, row))
    })
}
