use serde::{Deserialize, Serialize};
use terachat_event::{DeviceId, EventHash, LogId};

/// Where one chain stands: enough to see what is missing, and whether two replicas hold the same branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// The device.
    pub device: DeviceId,
    /// Number of its newest event.
    pub seq: u64,
    /// That event's hash.
    pub hash: EventHash,
}

/// All chains of a log, ascending by device: what a replica has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontier {
    /// The log.
    pub log: LogId,
    /// Its chains.
    pub chains: Vec<ChainHead>,
}

impl Frontier {
    /// 32 bytes that are equal where two replicas have the same events.
    pub fn root(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 frontier");
        for chain in &self.chains {
            hasher.update(&chain.device.0).update(&chain.seq.to_le_bytes()).update(&chain.hash.0);
        }
        *hasher.finalize().as_bytes()
    }

    /// The chain of `device`, if it has events.
    pub fn chain(&self, device: &DeviceId) -> Option<&ChainHead> {
        self.chains.binary_search_by(|chain| chain.device.cmp(device)).ok().map(|at| &self.chains[at])
    }
}
