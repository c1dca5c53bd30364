//! How a device that is to rejoin and meets nobody directly asks for its group by a board, and is answered
//! (`docs/adr/0029-rejoining.md`, `docs/format/board.md`).
//!
//! ```text
//! ask     in the device's own stream behind its door: a key for the answer alone, and how many control events it has made
//! answer  in a member's stream behind the same door: what a peer would show it (`rejoin.rs`), and the newest epochs' secrets
//! ```
use super::bucket;
use super::root::{EPOCHS_COUNTED, Root};
use crate::{Client, Error};
use std::collections::BTreeSet;
use terachat_core_store::store::Write;
use terachat_event::{DeviceId, EventHash, LogId, SpaceId, verify};
use terachat_group::Recipient;
use terachat_vault::{Secret, SecretBytes, derive_key};

/// Records of what this device asked, by space: how many control events it had made, and the seed of its key.
const ASKED: &[u8] = b"door-asked/";
/// Records of what others ask, by space and device: the bucket in which it was read, and the ask.
const HEARD: &[u8] = b"door-heard/";
/// Buckets for which an ask is answered.
const BUCKETS_MAX: u64 = 2;
const ASK_CONTEXT: &str = "terachat 2026-11 board ask";
const ANSWER_CONTEXT: &str = "terachat 2026-11 board answer";

/// What a device asks: its key, signed by it.
pub(crate) struct Ask<'a> {
    /// How many events the device had made in the control log. It counts until the device has made another one, as the commit
    /// is by which it rejoins; so nobody can have it answered again.
    seq: u64,
    key: &'a [u8],
    signature: &'a [u8; 64],
    /// What the signature is over, but for the space.
    said: &'a [u8],
}

impl<'a> Ask<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (said, signature) = bytes.split_last_chunk()?;
        let (seq, key) = said.split_first_chunk()?;
        Some(Self { seq: u64::from_le_bytes(*seq), key, signature, said })
    }

    fn is_of(&self, space: &SpaceId, device: &DeviceId) -> bool {
        verify(&device.0, ASK_CONTEXT, &[&space.0, self.said].concat(), self.signature)
    }
}

/// What a member answers, signed by it and sealed for whoever asked.
pub(crate) struct Answer<'a> {
    ask: &'a [u8; 32],
    /// The control event that made the epoch which is answered for.
    commit: EventHash,
    signature: &'a [u8; 64],
    sealed: &'a [u8],
}

impl<'a> Answer<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (ask, rest) = bytes.split_first_chunk()?;
        let (commit, rest) = rest.split_first_chunk()?;
        let (signature, sealed) = rest.split_first_chunk()?;
        Some(Self { ask, commit: EventHash(*commit), signature, sealed })
    }

    fn is_by(&self, space: &SpaceId, device: &DeviceId) -> bool {
        let said = answered(space, self.ask, &self.commit);
        verify(&device.0, ANSWER_CONTEXT, &[&said, self.sealed].concat(), self.signature)
    }
}

/// What an answer is about: its seal's context, and the beginning of what is signed.
fn answered(space: &SpaceId, ask: &[u8; 32], commit: &EventHash) -> Vec<u8> {
    [space.0, *ask, commit.0].concat()
}

/// What a member handed over.
pub(super) struct Handed {
    /// Of the epoch that was answered for and of those before it, the newest first.
    pub(super) secrets: Vec<Secret<32>>,
    /// Empty once it was tried.
    info: Vec<u8>,
    tree: Vec<u8>,
}

impl Handed {
    pub(super) fn was_tried(&self) -> bool {
        self.info.is_empty()
    }

    fn encode(secrets: &[Secret<32>], info: &[u8], tree: &[u8]) -> SecretBytes {
        let count = u8::try_from(secrets.len()).expect("no more than are counted");
        let info_len = u32::try_from(info.len()).expect("a group info is far shorter").to_le_bytes();
        SecretBytes::generate(1 + 32 * secrets.len() + 4 + info.len() + tree.len(), |out| {
            let mut rest = out;
            let secrets = secrets.iter().map(|secret| &secret.expose_secret()[..]);
            for part in [&[count][..]].into_iter().chain(secrets).chain([&info_len, info, tree]) {
                let (place, behind) = rest.split_at_mut(part.len());
                place.copy_from_slice(part);
                rest = behind;
            }
        })
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (count, mut rest) = bytes.split_first()?;
        let mut secrets = Vec::new();
        for _ in 0..*count {
            let (secret, behind) = rest.split_first_chunk::<32>()?;
            secrets.push(Secret::generate(|out| out.copy_from_slice(secret)));
            rest = behind;
        }
        let (info_len, rest) = rest.split_first_chunk()?;
        let (info, tree) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*info_len)).ok()?)?;
        (!secrets.is_empty()).then(|| Self { secrets, info: info.to_vec(), tree: tree.to_vec() })
    }

    /// The group info and the tree, once; where they do not do, they are not tried again in this round.
    pub(super) fn take(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let group = (std::mem::take(&mut self.info), std::mem::take(&mut self.tree));
        Some(group).filter(|(info, _)| !info.is_empty())
    }
}

/// Reads what is handed over: for the fuzzer, who has no key that opens an answer. It has one encoding.
#[doc(hidden)]
pub fn fuzz_handed(bytes: &[u8]) {
    if let Some(Handed { secrets, info, tree }) = Handed::decode(bytes) {
        assert_eq!(Handed::encode(&secrets, &info, &tree).expose_secret(), bytes);
    }
}

/// What to make of an answer.
pub(super) enum Heard {
    /// Nothing: it is for another, or over.
    Over,
    /// By nobody who may.
    Refused(&'static str),
    /// To another device; by what it is known that it was answered.
    Elsewhere(Vec<u8>),
    /// To this device, for this epoch. Where it is not here already, with what was handed over.
    Mine(EventHash, Option<Handed>),
}

/// What a device's door opens to whoever knows the space and the device: former members, too. So nothing stands behind it in
/// clear but that the device asks, and who answers.
pub(crate) fn door(space: &SpaceId, device: &DeviceId) -> Root {
    let known = Secret::take(&mut { space.0 });
    Root::of(derive_key("terachat 2026-11 board door", &known, &[&device.0]), None, false)
}

impl Client {
    /// What this device is to ask for in a space: the same as long as nothing has come of it.
    pub(crate) fn own_ask(&mut self, space: &SpaceId) -> Result<Vec<u8>, Error> {
        let seq = self.control_events_by(space, &self.identity.device_id());
        if let Some((asked_at, seed)) = self.asked(space)
            && asked_at == seq
        {
            return Ok(self.ask_with(space, seq, seed));
        }
        let seed = Secret::generate(|out| self.store.entropy().fill(out));
        let record = SecretBytes::generate(40, |out| {
            let (at, rest) = out.split_at_mut(8);
            at.copy_from_slice(&seq.to_le_bytes());
            rest.copy_from_slice(seed.expose_secret());
        });
        self.store.write_records(vec![(asked_name(space), Some(record))])?;
        Ok(self.ask_with(space, seq, seed))
    }

    fn asked(&self, space: &SpaceId) -> Option<(u64, Secret<32>)> {
        let (seq, seed) = self.store.record(&asked_name(space))?.split_first_chunk()?;
        Some((u64::from_le_bytes(*seq), Secret::take(&mut seed.try_into().ok()?)))
    }

    fn ask_with(&self, space: &SpaceId, seq: u64, seed: Secret<32>) -> Vec<u8> {
        let mut said = seq.to_le_bytes().to_vec();
        said.extend(Recipient::new(seed).public_key());
        let signature = self.identity.device.sign(ASK_CONTEXT, &[&space.0[..], &said].concat());
        said.extend(signature);
        said
    }

    fn control_events_by(&self, space: &SpaceId, device: &DeviceId) -> u64 {
        let frontier = self.store.frontier(&LogId::control(*space));
        frontier.and_then(|frontier| Some(frontier.chain(device)?.seq)).unwrap_or(0)
    }

    /// The doors of a space that this device looks behind, with whose streams there: its own, if it is to rejoin, for answers; if it is
    /// in the group, everybody's for what is asked, and, where something is, for what was answered.
    pub(super) fn doors(&self, space: &SpaceId) -> Result<Vec<(Root, Vec<DeviceId>)>, Error> {
        let Some(state) = self.store.space(space) else { return Ok(Vec::new()) };
        let me = self.identity.device_id();
        let all = || state.devices.keys().copied();
        let mut doors = Vec::new();
        if self.rejoins_at(space)?.is_some() {
            doors.push((door(space, &me), all().filter(|device| *device != me).collect()));
        }
        if self.epoch(space).is_ok() {
            let heard = self.heard(space);
            doors.extend(state.present_devices().filter(|device| **device != me).map(|device| {
                let behind = if heard.contains(device) { all().collect() } else { vec![*device] };
                (door(space, device), behind)
            }));
        }
        Ok(doors)
    }

    /// Keeps what another device asks, to answer it with the next that is published. Gives back what is wrong with it.
    pub(super) fn hear(
        &mut self,
        space: &SpaceId,
        device: &DeviceId,
        bytes: &[u8],
    ) -> Result<Option<&'static str>, Error> {
        let Some(ask) = Ask::decode(bytes).filter(|ask| ask.is_of(space, device)) else {
            return Ok(Some("an ask for the group that is not by the device whose it is said to be"));
        };
        if self.is_to_be_answered(space, device, &ask)? {
            let value = [&bucket(self.now_ms).to_le_bytes(), bytes].concat();
            self.store.write_records(vec![(heard_name(space, device), Some(SecretBytes::take(value)))])?;
        }
        Ok(None)
    }

    /// Whether a device is a member's and has done nothing in the control log since it asked.
    fn is_to_be_answered(&self, space: &SpaceId, device: &DeviceId, ask: &Ask<'_>) -> Result<bool, Error> {
        let decides = self.store.control(space)?.is_some_and(|control| control.decides(device));
        Ok(decides && self.is_member(space, device) && self.control_events_by(space, device) <= ask.seq)
    }

    /// Devices whose asks were heard and may still be without an answer.
    pub(super) fn heard(&self, space: &SpaceId) -> BTreeSet<DeviceId> {
        let prefix = [HEARD, &space.0].concat();
        let names = self.store.records(&prefix).map(|(name, _)| &name[prefix.len()..]);
        names.filter_map(|device| device.try_into().ok().map(DeviceId)).collect()
    }

    /// What is to be answered, by device; what is over is forgotten.
    pub(super) fn still_asked(&mut self, space: &SpaceId) -> Result<Vec<(DeviceId, Vec<u8>)>, Error> {
        let now = bucket(self.now_ms);
        let (mut asks, mut done): (Vec<_>, Vec<Write>) = Default::default();
        for device in self.heard(space) {
            let name = heard_name(space, &device);
            let Some((at, bytes)) = self.store.record(&name).and_then(|value| value.split_first_chunk())
            else {
                continue;
            };
            let is_old = now.saturating_sub(u64::from_le_bytes(*at)) >= BUCKETS_MAX;
            let ask = Ask::decode(bytes).filter(|_| !is_old);
            if ask.map_or(Ok(false), |ask| self.is_to_be_answered(space, &device, &ask))? {
                asks.push((device, bytes.to_vec()));
            } else {
                done.push((name, None));
            }
        }
        self.store.write_records(done)?;
        Ok(asks)
    }

    /// By what an answer to this ask for an epoch is known.
    pub(super) fn answer_name(ask: &[u8], commit: &EventHash) -> Vec<u8> {
        [*blake3::hash(ask).as_bytes(), commit.0].concat()
    }

    /// The answer of this device for its present epoch.
    pub(crate) fn own_answer(&mut self, space: &SpaceId, asked: &[u8]) -> Result<Vec<u8>, Error> {
        let commit = self.epoch(space)?.commit;
        let group = self.current_group(space)?;
        let chain = self.epochs(space)?;
        let newest = chain.iter().rev().skip_while(|hash| **hash != commit).take(EPOCHS_COUNTED);
        let secrets: Vec<_> = newest.map_while(|hash| self.store.epoch_secret(space, hash)).collect();
        let handed =
            Handed::encode(&secrets, &group.group_info(&self.identity.signer)?, &group.ratchet_tree());
        let ask = *blake3::hash(asked).as_bytes();
        let about = answered(space, &ask, &commit);
        let key = Ask::decode(asked).map(|ask| ask.key).unwrap_or_default();
        let sealed = Recipient::seal(key, &about, &handed, self.store.entropy())?;
        let signature = self.identity.device.sign(ANSWER_CONTEXT, &[&about[..], &sealed].concat());
        Ok([&ask[..], &commit.0, &signature, &sealed].concat())
    }

    /// Looks at an answer that stands in `by`'s stream behind the door of `asking`. `known` is whether what it hands over is here.
    pub(super) fn judge_answer(
        &mut self,
        space: &SpaceId,
        asking: &DeviceId,
        by: &DeviceId,
        bytes: &[u8],
        known: impl Fn(&EventHash) -> bool,
    ) -> Result<Heard, Error> {
        let is_by = |answer: &Answer<'_>| self.is_member(space, by) && answer.is_by(space, by);
        let Some(answer) = Answer::decode(bytes).filter(is_by) else {
            return Ok(Heard::Refused(
                "an answer about the group that is not by the member whose it is said to be",
            ));
        };
        let commit = answer.commit;
        if *asking != self.identity.device_id() {
            return Ok(Heard::Elsewhere([*answer.ask, commit.0].concat()));
        }
        let Some((seq, seed)) = self.asked(space) else { return Ok(Heard::Over) };
        let ask = self.ask_with(space, seq, seed.duplicate_secret());
        let is_mine = blake3::hash(&ask) == *answer.ask && self.rejoins_at(space)?.is_some();
        let is_past = self.store.control(space)?.is_some_and(|control| control.event(&commit).is_some())
            && self.epochs(space)?.last() != Some(&commit);
        if !is_mine || is_past || self.is_in_after_all(space, &commit)? {
            return Ok(Heard::Over);
        }
        if known(&commit) {
            return Ok(Heard::Mine(commit, None));
        }
        let opened = Recipient::new(seed).open(&answered(space, answer.ask, &commit), answer.sealed);
        let handed = opened.ok().and_then(|text| Handed::decode(text.expose_secret()));
        Ok(handed.map_or(Heard::Refused("an answer about the group that does not open"), |handed| {
            Heard::Mine(commit, Some(handed))
        }))
    }
}

/// The record of what this device asked; of no use once it has rejoined.
pub(crate) fn asked_name(space: &SpaceId) -> Vec<u8> {
    [ASKED, &space.0].concat()
}

fn heard_name(space: &SpaceId, device: &DeviceId) -> Vec<u8> {
    [HEARD, &space.0, &device.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_comes_out_again() {
        let secrets: Vec<Secret<32>> = (1..4).map(|n| Secret::take(&mut [n; 32])).collect();
        let bytes = Handed::encode(&secrets, b"info", b"the tree");
        let mut handed = Handed::decode(bytes.expose_secret()).unwrap();
        assert_eq!(handed.secrets.len(), 3);
        assert_eq!(handed.secrets[2].expose_secret(), &[3; 32]);
        assert_eq!(handed.take(), Some((b"info".to_vec(), b"the tree".to_vec())));
        assert_eq!(handed.take(), None);
        for len in 0..bytes.expose_secret().len() - b"the tree".len() {
            assert!(Handed::decode(&bytes.expose_secret()[..len]).is_none(), "{len}");
        }
        assert!(Handed::decode(&[0; 9]).is_none(), "of no epoch");
    }
}
