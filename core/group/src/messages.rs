//! Sealing single messages: PrivateMessage (RFC 9420, section 6.3) with forward secrecy per message, at a few durable bytes
//! each. Why it is not the MLS library's: `docs/adr/0028-history-since-join.md`.
mod frame;
mod parts;
mod schedule;
#[cfg(test)]
mod vectors;

pub use parts::Part;

use crate::engine::{Engine, MessageRoot, Seed};
use crate::{DeviceId, DeviceSigner, Error, Group};
use ed25519_zebra::{Signature, VerificationKey};
use frame::{Frame, SENDER_LEN, SIGNATURE_LEN, content, parse_content};
use openmls_traits::{OpenMlsProvider as _, random::OpenMlsRand as _, signatures::Signer as _};
use parts::{Epoch, Name, message_key};
use schedule::{Descent, MessageKey, Ratchet, descend, expand};
use std::collections::{BTreeMap, BTreeSet};
use terachat_vault::{Algorithm, Entropy, Secret, SecretBytes, TAG_LEN, open_once, seal_once};

/// The longest text that is sealed in one message, in bytes.
pub const SEALED_TEXT_LEN_MAX: usize = 256 << 10;
/// The longest sealed message that is looked at, in bytes.
pub const SEALED_LEN_MAX: usize = SEALED_TEXT_LEN_MAX + 1024;
/// Messages that one device seals in one epoch. A device that needs more makes another epoch first; others open none beyond.
/// So whatever order messages come in, no key has to be given up and no ratchet runs further than this.
pub const GENERATIONS_MAX: u32 = 8192;

/// What seals and opens the messages of one epoch, for one of its members.
///
/// A key that was used is gone here. It is gone from the disk when the caller has stored the [`Messages::changes`] and has
/// destroyed what stood there before. After an error nothing has changed.
pub struct Messages {
    epoch: Epoch,
    /// Secrets of the tree's nodes below which nothing was used yet.
    nodes: BTreeMap<u32, Secret<32>>,
    /// Where each sender stands; the own one behind what is reserved.
    ratchets: BTreeMap<u32, Ratchet>,
    /// Keys of messages that others overtook.
    skipped: BTreeMap<(u32, u32), MessageKey>,
    /// The own ratchet, within what is reserved.
    own: Option<Ratchet>,
    changed: BTreeSet<Name>,
}

/// Generations that are to be sealed with, once this is durable.
#[must_use = "what is reserved is sealed with after it was made durable and granted"]
pub struct Reserve {
    descent: Option<Descent>,
    /// Where sealing goes on, and where the reserve ends.
    begin: Ratchet,
    end: Ratchet,
    leaf: u32,
}

/// A message that was opened.
pub struct Opened {
    /// Its text.
    pub text: SecretBytes,
    /// Its number among what its sender sealed in this epoch.
    pub generation: u32,
}

impl Group {
    /// Takes the keys of this epoch's messages out of the group: once, and not of one that [`Group::to_bytes`] wrote, where
    /// they are not. `None` if they are not here.
    pub fn take_messages(&mut self) -> Option<Messages> {
        let MessageRoot { sender_data, encryption, context, leaves, own } = self.root.take()?;
        let mut devices = Vec::new();
        for (leaf, device) in self.leaves() {
            let at = leaf.usize();
            devices.resize(devices.len().max(at + 1), None);
            devices[at] = Some(device);
        }
        let group_id = self.group_id().to_vec();
        let epoch = Epoch { group_id, number: self.epoch(), context, sender_data, own, leaves, devices };
        let root = leaves - 1;
        Some(Messages {
            epoch,
            nodes: BTreeMap::from([(root, encryption)]),
            ratchets: BTreeMap::new(),
            skipped: BTreeMap::new(),
            own: None,
            changed: BTreeSet::from([Name::Epoch, Name::Node(root), Name::Devices]),
        })
    }
}

impl Messages {
    /// What the parts say that were stored under the names that [`Messages::changes`] gave.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn from_parts<'a>(parts: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Result<Self, Error> {
        let (mut epoch, mut devices, mut nodes) = (None, None, BTreeMap::new());
        let (mut ratchets, mut skipped) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in parts {
            match Name::parse(name).ok_or(Error::Damaged("a message key without a name"))? {
                Name::Epoch => epoch = Some(value),
                Name::Devices => devices = Some(value),
                Name::Node(node) => _ = nodes.insert(node, parts::secret(value)?),
                Name::Ratchet(leaf) => _ = ratchets.insert(leaf, Ratchet::parse(value)?),
                Name::Skipped(leaf, number) => _ = skipped.insert((leaf, number), message_key(value)?),
            }
        }
        let epoch = Epoch::parse(epoch.ok_or(Error::Damaged("message keys of no epoch"))?, devices)?;
        Ok(Self { epoch, nodes, ratchets, skipped, own: None, changed: BTreeSet::new() })
    }

    /// What is to be stored since the last call: for a message a part of 36 bytes, and for the first of a sender one of 32
    /// for each level of the tree. Beside what was opened, at once with it; if that fails, the value is to be dropped and
    /// read anew.
    pub fn changes(&mut self) -> Vec<Part> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|name| (name.bytes(), self.value(name))).collect()
    }

    /// The epoch's number.
    pub fn epoch(&self) -> u64 {
        self.epoch.number
    }

    /// How many messages can be sealed before more have to be reserved.
    pub fn reserved(&self) -> u32 {
        let end = self.ratchets.get(&self.epoch.own).map_or(0, |ratchet| ratchet.next);
        self.own.as_ref().map_or(0, |own| end - own.next)
    }

    /// How many this device may still seal in this epoch.
    pub fn left(&self) -> u32 {
        let begun = self.own.as_ref().or_else(|| self.ratchets.get(&self.epoch.own));
        GENERATIONS_MAX.saturating_sub(begun.map_or(0, |ratchet| ratchet.next))
    }

    /// Reserves `count` further generations: make [`Reserve::changes`] durable, then [`Messages::grant`] it. What was
    /// reserved and not used when a process ends is never used.
    ///
    /// # Errors
    /// [`Error::EpochUsedUp`].
    pub fn reserve(&self, count: u32) -> Result<Reserve, Error> {
        let leaf = self.epoch.own;
        let (descent, begin) = match self.ratchets.get(&leaf) {
            Some(ratchet) => (None, ratchet.duplicate()),
            None => {
                let descent = self.descend(leaf)?;
                let begin = descent.ratchet.duplicate();
                (Some(descent), begin)
            }
        };
        if count > GENERATIONS_MAX.saturating_sub(begin.next) {
            return Err(Error::EpochUsedUp);
        }
        let mut end = begin.duplicate();
        (0..count).for_each(|_| end.skip());
        Ok(Reserve { descent, begin, end, leaf })
    }

    /// Lets what was reserved be sealed with. Only after its changes are durable.
    pub fn grant(&mut self, reserve: Reserve) {
        let Reserve { descent, begin, end, leaf } = reserve;
        if let Some(Descent { used, beside, .. }) = descent {
            self.nodes.remove(&used);
            self.nodes.extend(beside);
        }
        self.ratchets.insert(leaf, end);
        self.own.get_or_insert(begin);
    }

    /// Seals a text for the members of the epoch: an MLSMessage with a PrivateMessage.
    ///
    /// # Errors
    /// [`Error::OtherDevice`], [`Error::Oversized`], [`Error::NotReserved`].
    pub fn seal(
        &mut self,
        signer: &DeviceSigner,
        text: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, Error> {
        let leaf = self.epoch.own;
        if self.epoch.device_at(leaf) != Some(&signer.device()) {
            return Err(Error::OtherDevice);
        }
        if text.len() > SEALED_TEXT_LEN_MAX {
            return Err(Error::Oversized { len: text.len(), max: SEALED_TEXT_LEN_MAX });
        }
        if self.reserved() == 0 {
            return Err(Error::NotReserved);
        }
        let engine = Engine::new(Default::default(), Seed::draw(entropy));
        let guard: [u8; 4] = engine.rand().random_array().map_err(|error| Error::bug("sealing", error))?;
        let Epoch { group_id, number, .. } = &self.epoch;
        let mut frame = Frame { group_id, epoch: *number, sender: &[], ciphertext: &[] };
        let signed = frame.signed(leaf, text, &self.epoch.context);
        let signature =
            signer.engine().sign(&signed).map_err(|_| Error::bug("sealing", "it does not sign"))?;
        let signature: [u8; SIGNATURE_LEN] = signature.try_into().expect("Ed25519 signatures have 64 bytes");

        let own = self.own.as_mut().expect("something is reserved");
        let generation = own.next;
        let key = own.step();
        let mut ciphertext = content(text, &signature);
        let (secret, nonce) = guarded(&key, &guard);
        let frame_aad = frame.content_aad();
        seal_once(Algorithm::ChaCha20Poly1305, &secret, &nonce, &frame_aad, &mut ciphertext);
        let (secret, nonce) = sender_key(&self.epoch.sender_data, &ciphertext);
        let mut sender = Vec::with_capacity(SENDER_LEN + TAG_LEN);
        sender.extend_from_slice(&leaf.to_be_bytes());
        sender.extend_from_slice(&generation.to_be_bytes());
        sender.extend_from_slice(&guard);
        seal_once(Algorithm::ChaCha20Poly1305, &secret, &nonce, &frame.sender_aad(), &mut sender);
        (frame.sender, frame.ciphertext) = (&sender, &ciphertext);
        Ok(frame.write())
    }

    /// Who sealed a message, and which of its sender's it is; as far as the message says so. Whoever asks is a member, and
    /// nothing changes.
    ///
    /// # Errors
    /// Of those of [`Messages::open`] what can be told without opening it.
    pub fn place(&self, message: &[u8]) -> Result<(DeviceId, u32), Error> {
        let (leaf, generation, _) = self.sender(&self.addressed(message)?)?;
        let device = self.epoch.device_at(leaf).ok_or(Error::UnknownMember)?;
        Ok((*device, generation))
    }

    /// Opens a message that `from` is said to have sealed, once: its key is gone afterwards. Messages may come in any order.
    ///
    /// # Errors
    /// [`Error::Oversized`], [`Error::Malformed`], [`Error::Unsupported`], [`Error::WrongGroup`], [`Error::StaleEpoch`],
    /// [`Error::FutureEpoch`], [`Error::Forged`], [`Error::UnknownMember`], [`Error::OwnMessage`], [`Error::Replayed`],
    /// [`Error::TooFarAhead`].
    pub fn open(&mut self, message: &[u8], from: &DeviceId) -> Result<Opened, Error> {
        let frame = self.addressed(message)?;
        let (leaf, generation, guard) = self.sender(&frame)?;
        if self.epoch.device_at(leaf).ok_or(Error::UnknownMember)? != from {
            return Err(Error::Forged("sender"));
        }
        if leaf == self.epoch.own {
            return Err(Error::OwnMessage);
        }
        if generation >= GENERATIONS_MAX {
            return Err(Error::TooFarAhead { generation, max: GENERATIONS_MAX });
        }
        let reach = self.reach(leaf, generation)?;
        let text = self.unseal(&frame, leaf, self.key(leaf, generation, reach.as_ref())?, &guard)?;
        self.pass(leaf, generation, reach);
        Ok(Opened { text, generation })
    }

    /// The message, if it is for this group and epoch; nothing in it is verified yet.
    fn addressed<'a>(&self, message: &'a [u8]) -> Result<Frame<'a>, Error> {
        if message.len() > SEALED_LEN_MAX {
            return Err(Error::Oversized { len: message.len(), max: SEALED_LEN_MAX });
        }
        let frame = Frame::parse(message)?;
        if frame.group_id != self.epoch.group_id {
            return Err(Error::WrongGroup);
        }
        let (theirs, ours) = (frame.epoch, self.epoch.number);
        match theirs.cmp(&ours) {
            std::cmp::Ordering::Less => Err(Error::StaleEpoch { message: theirs, group: ours }),
            std::cmp::Ordering::Greater => Err(Error::FutureEpoch { message: theirs, group: ours }),
            std::cmp::Ordering::Equal => Ok(frame),
        }
    }

    /// Leaf, generation and reuse guard.
    fn sender(&self, frame: &Frame<'_>) -> Result<(u32, u32, [u8; 4]), Error> {
        let (secret, nonce) = sender_key(&self.epoch.sender_data, frame.ciphertext);
        let mut sender = frame.sender.to_vec();
        let opened =
            open_once(Algorithm::ChaCha20Poly1305, &secret, &nonce, &frame.sender_aad(), &mut sender);
        if opened.map_err(|_| Error::Forged("sender data"))? != SENDER_LEN {
            return Err(Error::Malformed("sender data"));
        }
        let number = |at: usize| -> [u8; 4] { sender[at..at + 4].try_into().expect("four of twelve bytes") };
        Ok((u32::from_be_bytes(number(0)), u32::from_be_bytes(number(4)), number(8)))
    }

    /// What has to be gone through to a generation that was not reached yet; `None` if it was.
    fn reach(&self, leaf: u32, generation: u32) -> Result<Option<Reach>, Error> {
        let (descent, mut ratchet) = match self.ratchets.get(&leaf) {
            Some(ratchet) if generation < ratchet.next => return Ok(None),
            Some(ratchet) => (None, ratchet.duplicate()),
            None => {
                let descent = self.descend(leaf)?;
                let ratchet = descent.ratchet.duplicate();
                (Some(descent), ratchet)
            }
        };
        let mut skipped = Vec::new();
        while ratchet.next < generation {
            skipped.push((ratchet.next, ratchet.step()));
        }
        let key = ratchet.step();
        Ok(Some(Reach { descent, skipped, key, ratchet }))
    }

    fn key<'a>(
        &'a self,
        leaf: u32,
        generation: u32,
        reach: Option<&'a Reach>,
    ) -> Result<&'a MessageKey, Error> {
        let kept = || self.skipped.get(&(leaf, generation));
        reach.map(|reach| &reach.key).or_else(kept).ok_or(Error::Replayed { generation })
    }

    fn unseal(
        &self,
        frame: &Frame<'_>,
        leaf: u32,
        key: &MessageKey,
        guard: &[u8; 4],
    ) -> Result<SecretBytes, Error> {
        let (secret, nonce) = guarded(key, guard);
        let mut buffer = Wiped(frame.ciphertext.to_vec());
        let len =
            open_once(Algorithm::ChaCha20Poly1305, &secret, &nonce, &frame.content_aad(), &mut buffer.0)
                .map_err(|_| Error::Forged("ciphertext"))?;
        let (text, signature) = parse_content(&buffer.0[..len])?;
        let signed = Wiped(frame.signed(leaf, text, &self.epoch.context));
        let device = self.epoch.device_at(leaf).ok_or(Error::UnknownMember)?;
        VerificationKey::try_from(*device)
            .and_then(|key| key.verify(&Signature::from(*signature), &signed.0))
            .map_err(|_| Error::Forged("signature"))?;
        Ok(SecretBytes::copy_from(text))
    }

    /// Forgets a message's key, and keeps those of the messages that it overtook.
    fn pass(&mut self, leaf: u32, generation: u32, reach: Option<Reach>) {
        let Some(Reach { descent, skipped, ratchet, .. }) = reach else {
            self.skipped.remove(&(leaf, generation));
            self.changed.insert(Name::Skipped(leaf, generation));
            return;
        };
        if let Some(Descent { used, beside, .. }) = descent {
            self.nodes.remove(&used);
            self.changed.insert(Name::Node(used));
            self.changed.extend(beside.iter().map(|(node, _)| Name::Node(*node)));
            self.nodes.extend(beside);
        }
        for (number, key) in skipped {
            self.skipped.insert((leaf, number), key);
            self.changed.insert(Name::Skipped(leaf, number));
        }
        self.ratchets.insert(leaf, ratchet);
        self.changed.insert(Name::Ratchet(leaf));
    }

    fn descend(&self, leaf: u32) -> Result<Descent, Error> {
        if leaf >= self.epoch.leaves {
            return Err(Error::UnknownMember);
        }
        descend(&self.nodes, self.epoch.leaves, leaf).ok_or(Error::Damaged("a secret of the tree is missing"))
    }

    fn value(&self, name: Name) -> Option<SecretBytes> {
        match name {
            Name::Epoch => Some(self.epoch.write()),
            Name::Devices => Some(self.epoch.write_devices()),
            Name::Node(node) => {
                self.nodes.get(&node).map(|secret| SecretBytes::copy_from(secret.expose_secret()))
            }
            Name::Ratchet(leaf) => self.ratchets.get(&leaf).map(Ratchet::write),
            Name::Skipped(leaf, number) => {
                self.skipped.get(&(leaf, number)).map(|key| SecretBytes::copy_from(key.expose_secret()))
            }
        }
    }
}

impl Reserve {
    /// What is to be durable before it is granted.
    pub fn changes(&self) -> Vec<Part> {
        let mut changes = Vec::new();
        if let Some(descent) = &self.descent {
            changes.push((Name::Node(descent.used).bytes(), None));
            changes.extend(descent.beside.iter().map(|(node, secret)| {
                (Name::Node(*node).bytes(), Some(SecretBytes::copy_from(secret.expose_secret())))
            }));
        }
        changes.push((Name::Ratchet(self.leaf).bytes(), Some(self.end.write())));
        changes
    }
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages").field("epoch", &self.epoch.number).finish_non_exhaustive()
    }
}

/// The way to a generation ahead.
struct Reach {
    descent: Option<Descent>,
    skipped: Vec<(u32, MessageKey)>,
    key: MessageKey,
    /// Behind it.
    ratchet: Ratchet,
}

/// Plain bytes that are wiped.
struct Wiped(Vec<u8>);

impl Drop for Wiped {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// A message's key, and its nonce with the reuse guard (section 6.3.1).
fn guarded(key: &MessageKey, guard: &[u8; 4]) -> (Secret<32>, [u8; 12]) {
    let (secret, nonce) = key.expose_secret().split_at(32);
    let mut nonce: [u8; 12] = nonce.try_into().expect("what is left of 44 bytes");
    nonce.iter_mut().zip(guard).for_each(|(byte, guard)| *byte ^= guard);
    (Secret::generate(|out| out.copy_from_slice(secret)), nonce)
}

/// Key and nonce of the sender data (section 6.3.2), from the ciphertext's first 32 bytes.
fn sender_key(secret: &Secret<32>, ciphertext: &[u8]) -> (Secret<32>, [u8; 12]) {
    let sample = &ciphertext[..ciphertext.len().min(32)];
    let nonce: Secret<12> = expand(secret, "nonce", sample);
    (expand(secret, "key", sample), *nonce.expose_secret())
}
