//! All that ever left a device: nothing of it is sealed twice with one key and nonce, and whoever listened has it.
use super::random::Random;
use crate::Client;
use crate::protocol::Frame;
use crate::tests::since_join::keys;
use std::collections::BTreeMap;
use terachat_core_store::model::{ChannelOp, EpochKey, History};
use terachat_core_store::sync::{Bundle, Limits};
use terachat_event::{DeviceId, EventHash, LogId};

/// Bundles that are kept to be tried.
const BUNDLES_MAX: usize = 200;

/// A message that was sealed for the members of one epoch.
pub(super) struct Sealed {
    pub(super) commit: EventHash,
    pub(super) author: DeviceId,
    pub(super) message: Vec<u8>,
}

/// A bundle of a channel, sealed under an epoch's secret.
pub(super) struct Carried {
    pub(super) commit: EventHash,
    pub(super) bytes: Vec<u8>,
}

/// What whoever listened on every link has.
pub(super) struct Wire {
    random: Random,
    /// Bundles by what their key is made of: epoch, channel and salt.
    salts: BTreeMap<(EventHash, LogId, [u8; 16]), [u8; 32]>,
    /// Sealed messages by what their key and nonce are made of: epoch, sender and generation.
    places: BTreeMap<(EventHash, [u8; 32], u32), [u8; 32]>,
    pub(super) sealed: BTreeMap<[u8; 32], Sealed>,
    pub(super) carried: Vec<Carried>,
    seen: usize,
    happened: blake3::Hasher,
}

impl Wire {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::of(seed, "wire", 0),
            salts: BTreeMap::new(),
            places: BTreeMap::new(),
            sealed: BTreeMap::new(),
            carried: Vec::new(),
            seen: 0,
            happened: blake3::Hasher::new(),
        }
    }

    /// A hash of all that was noted.
    pub(super) fn happened(&self) -> [u8; 32] {
        *self.happened.finalize().as_bytes()
    }

    pub(super) fn note(&mut self, what: &[u8]) {
        self.happened.update(what);
    }

    /// Looks at a frame that leaves a device, which is honest.
    pub(super) fn carries(&mut self, from: &Client, frame: &[u8], liar: Option<DeviceId>) {
        let Ok(Frame::Bundle { bytes, .. }) = Frame::decode(frame) else { return };
        let Ok(bundle) = Bundle::decode(&bytes, Limits::PEER) else { panic!("it cannot be read") };
        let (log, Some(key)) = (bundle.batch.log, bundle.batch.key) else { return };
        let hash = *blake3::hash(&bytes).as_bytes();
        let salt = bytes[1..17].try_into().expect("sixteen bytes behind the version");
        let before = self.salts.insert((key.commit, log, salt), hash);
        assert!(before.is_none_or(|before| before == hash), "two bundles under one key");
        if from.store.history(&log) == History::SinceJoin {
            self.note_sealed(from, &bundle, key.commit, liar);
        }
        self.seen += 1;
        if self.carried.len() < BUNDLES_MAX {
            self.carried.push(Carried { commit: key.commit, bytes });
        } else if let Some(slot) = self.carried.get_mut(self.random.below(self.seen)) {
            *slot = Carried { commit: key.commit, bytes };
        }
    }

    fn note_sealed(&mut self, from: &Client, bundle: &Bundle, commit: EventHash, liar: Option<DeviceId>) {
        let batch = &bundle.batch;
        let (log, space) = (batch.log, batch.log.space);
        let (Some(secret), Some(channel)) = (from.store.epoch_secret(&space, &commit), log.channel) else {
            return;
        };
        let chunks = bundle.open_chunks(Some(&EpochKey::derive(&secret, &channel)));
        let bytes = chunks.expect("who packed it has its key").concat();
        let mut rest = &bytes[..];
        for event in &batch.events {
            let (payload, behind) = rest.split_at(event.payload_len as usize);
            rest = behind;
            let author = batch.authors[event.author as usize].device;
            match ChannelOp::decode(payload) {
                // Two devices that speak in one name have one ratchet.
                Ok(ChannelOp::Sealed(_)) if Some(author) == liar => {}
                Ok(ChannelOp::Sealed(sealed)) => {
                    self.note_message(from, &log, commit, author, sealed.message)
                }
                Ok(ChannelOp::Post(_) | ChannelOp::Edit { .. }) => panic!("in clear"),
                _ => {}
            }
        }
    }

    fn note_message(
        &mut self,
        from: &Client,
        log: &LogId,
        commit: EventHash,
        author: DeviceId,
        message: &[u8],
    ) {
        let hash = *blake3::hash(message).as_bytes();
        if self.sealed.contains_key(&hash) {
            return;
        }
        // Whoever hands on what it cannot open itself does not know the place; its author showed it before.
        if from.has_message_keys(&log.space, &commit)
            && let Ok((device, generation)) = keys(from, &log.space, &commit).place(message)
        {
            let before = self.places.insert((commit, device, generation), hash);
            assert_eq!(before, None, "generation {generation} of {author:?} sealed two messages");
        }
        self.sealed.insert(hash, Sealed { commit, author, message: message.to_vec() });
    }
}
