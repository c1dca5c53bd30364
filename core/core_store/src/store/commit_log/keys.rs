use std::collections::BTreeMap;
use terachat_vault::memory::{HASH_CHUNK_DEPTH, burn_after};
use terachat_vault::{Algorithm, SealKey, Secret, derive_key};

use super::secrets::SNAPSHOT;

/// Random bytes that name a log, and random bytes that begin a session.
pub(super) type Id = [u8; 16];

/// The keys of one log: derived from the store's key and the log's id, and, for what is sealed, from secrets of the segments.
pub(super) struct LogKeys {
    log: Secret<32>,
    check: Secret<32>,
    /// The secrets of segments, and of the snapshot as segment 0. What has none was begun before there were any.
    pub(super) own: BTreeMap<u32, Secret<32>>,
}

impl LogKeys {
    pub(super) fn new(store: &Secret<32>, log_id: &Id) -> Self {
        let log = derive_key("terachat 2026-11 commit log", store, &[log_id]);
        let check = derive_key("terachat 2026-11 commit log frame check", &log, &[]);
        Self { log, check, own: BTreeMap::new() }
    }

    /// Tells the right key from a wrong one and authenticates a file header.
    pub(super) fn header_check(&self, header: &[u8]) -> [u8; 16] {
        let tag = derive_key("terachat 2026-11 commit log header", &self.log, &[header]);
        tag.expose_secret()[..16].try_into().expect("half of 32 bytes")
    }

    /// Tells a frame header of this place from anything else. Not a proof of authenticity: the seal is.
    pub(super) fn frame_check(&self, segment: u32, header: &[u8]) -> [u8; 4] {
        let mut input = [0; 24];
        input[..4].copy_from_slice(&segment.to_le_bytes());
        input[4..4 + header.len()].copy_from_slice(header);
        let input = &input[..4 + header.len()];
        let hash =
            burn_after::<HASH_CHUNK_DEPTH, _>(|| blake3::keyed_hash(self.check.expose_secret(), input));
        hash.as_bytes()[..4].try_into().expect("four bytes of 32")
    }

    /// The key that seals the blocks of one session, and only those.
    pub(super) fn session(&self, segment: u32, salt: &Id) -> SealKey {
        Self::session_of(self.own.get(&segment).unwrap_or(&self.log), segment, salt)
    }

    /// The same of a segment with this secret.
    pub(super) fn session_of(secret: &Secret<32>, segment: u32, salt: &Id) -> SealKey {
        SealKey::new(
            Algorithm::ChaCha20Poly1305,
            &derive_key("terachat 2026-11 commit log session", secret, &[&segment.to_le_bytes(), salt]),
        )
    }

    /// The key that seals the file of the secrets.
    pub(super) fn secrets(&self, salt: &Id) -> SealKey {
        SealKey::new(
            Algorithm::ChaCha20Poly1305,
            &derive_key("terachat 2026-11 commit log secrets", &self.log, &[salt]),
        )
    }

    /// The key that seals one snapshot.
    pub(super) fn snapshot(&self, salt: &Id) -> SealKey {
        SealKey::new(
            Algorithm::ChaCha20Poly1305,
            &derive_key(
                "terachat 2026-11 commit log snapshot",
                self.own.get(&SNAPSHOT).unwrap_or(&self.log),
                &[salt],
            ),
        )
    }
}

/// Fresh salts and secrets for as long as the log is open, from randomness drawn once.
pub(super) struct Salts {
    seed: Secret<32>,
    drawn: u64,
}

impl Salts {
    pub(super) fn new(seed: Secret<32>) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(super) fn next(&mut self) -> Id {
        self.drawn += 1;
        let salt = derive_key("terachat 2026-11 commit log salt", &self.seed, &[&self.drawn.to_le_bytes()]);
        salt.expose_secret()[..16].try_into().expect("half of 32 bytes")
    }

    pub(super) fn secret(&mut self) -> Secret<32> {
        self.drawn += 1;
        derive_key("terachat 2026-11 commit log segment secret", &self.seed, &[&self.drawn.to_le_bytes()])
    }
}
