//! What somebody with a key of their own, a member's or none, may try against a store: one test an attack. What refuses
//! each and what is left of it: `docs/adversaries.md`.
mod bytes;
mod chains;
mod ranks;
mod scale;

use super::club;
use crate::model::{ChannelOp, EpochKey};
use crate::store::space_logs::CUT;
use crate::sync::{Batch, BatchAuthor, BatchEvent, BatchStub, Bundle, Frontier, Outcome};
use crate::testing::{Counter, Device, key_of, text};
use crate::wire::{Reader, put};
use crate::{Error, Wait};
use std::sync::Arc;
use terachat_event::{
    DeviceId, DeviceKey, EventHash, EventRef, Header, Kind, LogId, chain_start, link, prefix,
};

/// All of a store that an attack might change: state, memory, disk.
#[derive(Debug, PartialEq)]
struct Held {
    state: [u8; 32],
    logs: Vec<(LogId, Option<Frontier>, usize)>,
    void: usize,
    records: usize,
    proofs: usize,
    disk_len: u64,
}

impl Held {
    fn by(device: &Device, log: LogId) -> Self {
        let store = &device.store;
        let logs = store.logs().into_iter().map(|log| (log, store.frontier(&log), store.len(&log)));
        let channel = store.channel(&log).unwrap();
        Self {
            state: store.space_hash(&log.space).unwrap(),
            logs: logs.collect(),
            void: channel.void_by_right.len() + channel.void_by_cut.len(),
            records: store.records(b"").count(),
            proofs: store.proofs(&log.space).len(),
            disk_len: store.disk_len(),
        }
    }
}

/// The bytes come to exactly this, and nothing of the store is another than before.
#[track_caller]
fn comes_to(device: &mut Device, log: LogId, bytes: &[u8], expected: Result<Outcome, Error>) {
    let before = Held::by(device, log);
    assert_eq!(device.take(bytes), expected);
    assert_eq!(Held::by(device, log), before);
}

/// One event made by hand, right in all but what a test changes of it.
struct Forgery<'a> {
    by: &'a Device,
    signer: &'a DeviceKey,
    log: LogId,
    author: DeviceId,
    seq: u64,
    previous: EventHash,
    lamport: u64,
    wall_ms: u64,
    epoch: u64,
    parents: Vec<(EventRef, EventHash)>,
    stubs: Vec<BatchStub>,
    payload: Vec<u8>,
}

impl<'a> Forgery<'a> {
    /// What `by` would say next.
    fn next(by: &'a Device, log: LogId, op: &ChannelOp<'_>) -> Self {
        let index = by.store.index(&log).unwrap();
        let (author, head) = (by.id(), index.head(&by.id()));
        let heads = || index.heads().filter(|at| *index.device(index.event(*at).chain) != author);
        let own = index.chain_of(&author).and_then(|chain| index.position_of_last(chain));
        let seen = heads().chain(own).map(|at| index.event(at).lamport);
        Self {
            by,
            signer: &by.key,
            log,
            author,
            seq: head.map_or(0, |head| head.seq) + 1,
            previous: head.map_or(chain_start(&log, &author), |head| head.hash),
            lamport: seen.max().unwrap_or(0) + 1,
            wall_ms: 5,
            epoch: 0,
            parents: heads().map(|at| (index.event_ref(at), index.hash(at).unwrap())).collect(),
            stubs: Vec::new(),
            payload: op.encode(),
        }
    }

    fn key(&self) -> Arc<EpochKey> {
        self.by.store.epoch_key(&self.log, Some(&key_of(self.log.space))).unwrap()
    }

    /// The event's hash and the batch that holds it alone, signed.
    fn batch(&self) -> (EventHash, Batch) {
        let control = self.by.store.spaces[&self.log.space].control.heads();
        let mut hashes: Vec<EventHash> = self.parents.iter().map(|(_, hash)| *hash).collect();
        hashes.sort_unstable();
        let header = Header {
            kind: Kind::Sealed,
            seq: self.seq,
            lamport: self.lamport,
            wall_ms: self.wall_ms,
            epoch: Some(self.epoch),
            parents: &hashes,
            control: &control,
        };
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        let prefix = prefix(&self.previous, &bytes);
        let hash = link(&prefix, &self.key().commit_body(&prefix, &self.payload, &mut Vec::new()));
        let signature = self.signer.sign_head(&self.log, self.seq, hash).signature;
        let mut authors = vec![BatchAuthor { device: self.author, first_seq: self.seq, count: 1, signature }];
        let mut parents = Vec::new();
        for (EventRef { author: device, seq }, _) in &self.parents {
            let at = authors.iter().position(|author| author.device == *device).unwrap_or(authors.len());
            if at == authors.len() {
                let named = BatchAuthor { device: *device, first_seq: *seq, count: 0, signature: [0; 64] };
                authors.push(named);
            }
            parents.push((at as u32, *seq));
        }
        let event = BatchEvent {
            author: 0,
            control: 0,
            lamport: self.lamport,
            wall_ms: self.wall_ms,
            parents: parents.len() as u32,
            payload_len: self.payload.len() as u32,
        };
        let key = crate::sync::KeyId { epoch: self.epoch, ..key_of(self.log.space) };
        let batch = Batch {
            log: self.log,
            key: Some(key),
            authors,
            controls: vec![control],
            chunk_len: crate::sync::ChunkLen::Short,
            events: vec![event],
            parents,
            stubs: self.stubs.clone(),
            skeletons: Vec::new(),
        };
        (hash, batch)
    }

    /// The bytes that travel.
    fn bundle(&self) -> Vec<u8> {
        self.pack(self.batch().1, std::slice::from_ref(&self.payload))
    }

    fn pack(&self, batch: Batch, chunks: &[Vec<u8>]) -> Vec<u8> {
        Bundle::pack(batch, chunks, Some(&self.key()), &mut Counter::default()).encode()
    }
}

/// A bundle's version and salt, and its parts: the batch's description, and the chunks.
fn parts(bundle: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (head, rest) = bundle.split_at(17);
    let (mut reader, mut parts) = (Reader::new(rest), Vec::new());
    while !reader.rest().is_empty() {
        let len = reader.count(rest.len()).unwrap();
        parts.push(reader.bytes(len).unwrap().to_vec());
    }
    (head.to_vec(), parts)
}

fn join(head: &[u8], parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = head.to_vec();
    for part in parts {
        put(&mut out, part.len() as u64);
        out.extend_from_slice(part);
    }
    out
}

/// Why the event counts for nothing, if so.
fn void(device: &Device, log: LogId, event: &EventRef) -> Option<&'static str> {
    let channel = device.store.channel(&log).unwrap();
    channel.void(channel.index.find(event).unwrap())
}

/// The table and the suite speak of the same tests.
#[test]
fn every_attack_stands_in_the_table() {
    let table = include_str!("../../../../../../docs/adversaries.md");
    let files = [
        include_str!("adversaries/bytes.rs"),
        include_str!("adversaries/chains.rs"),
        include_str!("adversaries/ranks.rs"),
        include_str!("adversaries/scale.rs"),
        include_str!("permissions.rs"),
        include_str!("revocation.rs"),
        include_str!("../../../model/authority/tests/devices.rs"),
        include_str!("../../../model/authority/tests/permissions.rs"),
    ];
    let tests = files.iter().flat_map(|file| file.split("#[test]\nfn ").skip(1));
    let mut tests: Vec<&str> = tests.filter_map(|test| test.split('(').next()).collect();
    // The last cell of a row names one test or several.
    let cells = table.lines().filter_map(|row| row.strip_suffix("` |")?.rsplit(" | ").next());
    let mut rows: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    tests.sort_unstable();
    rows.sort_unstable();
    assert_eq!(tests, rows);
    assert!(!tests.is_empty());
}
