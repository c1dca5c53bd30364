//! How an epoch's message keys are stored: as parts under names of their own, so that a message changes a few of them.
//! Bytes: `docs/format/profile.md`, "Message keys".
//!
//! The devices are a part of their own, since many epochs have the same: whoever stores it may store it once.
use super::schedule::{MessageKey, Ratchet};
use crate::{DeviceId, Error};
use terachat_vault::{Secret, SecretBytes};

/// One stored part's new value, `None` to delete it; its name has 1 to 9 bytes.
pub type Part = (Vec<u8>, Option<SecretBytes>);

const VERSION: u8 = 2;
/// With the devices behind the rest.
const VERSION_WITH_DEVICES: u8 = 1;

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Epoch,
    Node(u32),
    Ratchet(u32),
    Skipped(u32, u32),
    Devices,
}

impl Name {
    pub(super) fn bytes(self) -> Vec<u8> {
        let (kind, numbers): (u8, &[u32]) = match &self {
            Self::Epoch => (0, &[]),
            Self::Node(node) => (1, &[*node]),
            Self::Ratchet(leaf) => (2, &[*leaf]),
            Self::Skipped(leaf, generation) => (3, &[*leaf, *generation]),
            Self::Devices => (4, &[]),
        };
        let numbers = numbers.iter().flat_map(|number| number.to_be_bytes());
        std::iter::once(kind).chain(numbers).collect()
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let numbers: Vec<u32> = rest
            .chunks(4)
            .map(|chunk| chunk.try_into().map(u32::from_be_bytes).ok())
            .collect::<Option<_>>()?;
        match (kind, &numbers[..]) {
            (0, []) => Some(Self::Epoch),
            (1, [node]) => Some(Self::Node(*node)),
            (2, [leaf]) => Some(Self::Ratchet(*leaf)),
            (3, [leaf, generation]) => Some(Self::Skipped(*leaf, *generation)),
            (4, []) => Some(Self::Devices),
            _ => None,
        }
    }
}

/// What does not change within an epoch.
pub(super) struct Epoch {
    pub(super) group_id: Vec<u8>,
    pub(super) number: u64,
    /// The GroupContext as it is signed.
    pub(super) context: Vec<u8>,
    pub(super) sender_data: Secret<32>,
    pub(super) own: u32,
    /// Leaves of the whole tree, a power of two.
    pub(super) leaves: u32,
    /// The devices by their leaves.
    pub(super) devices: Vec<Option<DeviceId>>,
}

impl Epoch {
    /// All but the devices.
    pub(super) fn write(&self) -> SecretBytes {
        let mut out = Vec::with_capacity(64 + self.group_id.len() + self.context.len());
        out.push(VERSION);
        out.push(u8::try_from(self.group_id.len()).expect("at most 255 bytes"));
        out.extend_from_slice(&self.group_id);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(self.sender_data.expose_secret());
        out.extend_from_slice(&self.own.to_le_bytes());
        out.extend_from_slice(&self.leaves.to_le_bytes());
        out.extend_from_slice(&length(self.context.len()).to_le_bytes());
        out.extend_from_slice(&self.context);
        SecretBytes::take(out)
    }

    pub(super) fn write_devices(&self) -> SecretBytes {
        // No device has this key: it is not that of any seed.
        let blank = [0; 32];
        let devices = self.devices.iter().flat_map(|device| device.unwrap_or(blank));
        SecretBytes::take(devices.collect())
    }

    /// Reads what was written; `devices` of a part of its own.
    pub(super) fn parse(bytes: &[u8], devices: Option<&[u8]>) -> Result<Self, Error> {
        let mut rest = bytes;
        let [version] = number::<1>(&mut rest)?;
        if ![VERSION, VERSION_WITH_DEVICES].contains(&version) {
            return Err(Error::Damaged("message keys of a newer terachat"));
        }
        let id_len = usize::from(number::<1>(&mut rest)?[0]);
        let group_id = take(&mut rest, id_len)?.to_vec();
        let epoch = u64::from_le_bytes(number(&mut rest)?);
        let sender_data = secret(take(&mut rest, 32)?)?;
        let (own, leaves) = (u32::from_le_bytes(number(&mut rest)?), u32::from_le_bytes(number(&mut rest)?));
        let context_len = u32::from_le_bytes(number(&mut rest)?) as usize;
        let context = take(&mut rest, context_len)?.to_vec();
        let table = if version == VERSION_WITH_DEVICES {
            let count = u32::from_le_bytes(number(&mut rest)?);
            take(&mut rest, (count as usize).saturating_mul(32))?
        } else {
            devices.ok_or(Error::Damaged("an epoch's message keys without its devices"))?
        };
        let (table, cut) = table.as_chunks::<32>();
        let fits = leaves.is_power_of_two()
            && leaves < 1 << 30
            && cut.is_empty()
            && table.len() <= leaves as usize
            && (own as usize) < table.len();
        if !fits || !rest.is_empty() {
            return Err(Error::Damaged("an epoch's message keys do not fit"));
        }
        let devices = table.iter().map(|device| Some(*device).filter(|device| *device != [0; 32])).collect();
        Ok(Self { group_id, number: epoch, context, sender_data, own, leaves, devices })
    }

    pub(super) fn device_at(&self, leaf: u32) -> Option<&DeviceId> {
        self.devices.get(leaf as usize)?.as_ref()
    }
}

impl Ratchet {
    pub(super) fn write(&self) -> SecretBytes {
        SecretBytes::generate(36, |out| {
            out[..4].copy_from_slice(&self.next.to_le_bytes());
            out[4..].copy_from_slice(self.secret.expose_secret());
        })
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut rest = bytes;
        let next = u32::from_le_bytes(number(&mut rest)?);
        Ok(Self { next, secret: secret(rest)? })
    }
}

pub(super) fn message_key(bytes: &[u8]) -> Result<MessageKey, Error> {
    secret(bytes)
}

pub(super) fn secret<const N: usize>(bytes: &[u8]) -> Result<Secret<N>, Error> {
    let bytes: &[u8; N] = bytes.try_into().map_err(|_| Error::Damaged("a message key of another length"))?;
    Ok(Secret::generate(|out| out.copy_from_slice(bytes)))
}

fn number<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Error> {
    Ok(take(rest, N)?.try_into().expect("as many as were asked for"))
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], Error> {
    let (head, tail) = rest.split_at_checked(len).ok_or(Error::Damaged("message keys that are cut short"))?;
    *rest = tail;
    Ok(head)
}

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("a group is far below 4 GiB")
}
