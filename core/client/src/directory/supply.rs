//! What a device leaves in its user's directory: `docs/format/board.md`.
use terachat_core_store::model::{Card, Revocation};
use terachat_event::{DeviceKey, UserId, verify};

const VERSION: u8 = 1;
const CONTEXT: &str = "terachat 2026-11 key supply";
/// A public key of HPKE with X-Wing.
const MAILBOX_LEN: usize = 1_216;
const LAST_RESORT: u8 = 1;
/// Most that one supply holds: those of both suites, several times over.
const PACKAGES_MAX: usize = 128;
/// Most revocations that one supply tells of, the newest.
pub(crate) const REVOCATIONS_MAX: usize = 32;

/// A public key package as it is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offered {
    /// Whether it may be used more than once.
    pub(crate) last_resort: bool,
    /// The MLS key package.
    pub(crate) bytes: Vec<u8>,
}

/// Key packages of one device, with what binds them to it and it to its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Supply {
    /// When it was made, by its device's clock, in milliseconds since 1970.
    pub(crate) issued_ms: u64,
    /// When none of it is to be used any more.
    pub(crate) expires_ms: u64,
    /// What is left for the device is sealed for this key.
    pub(crate) mailbox: Vec<u8>,
    pub(crate) card: Card,
    /// What the device knows of its user's revocations, so that who is in no common space hears of them.
    pub(crate) revocations: Vec<Revocation>,
    pub(crate) packages: Vec<Offered>,
}

impl Supply {
    /// The bytes, signed by the card's device.
    pub(crate) fn sign(&self, device: &DeviceKey) -> Vec<u8> {
        let mut bytes = self.said();
        let signature = device.sign(CONTEXT, &bytes);
        bytes.extend_from_slice(&signature);
        bytes
    }

    /// Reads it, if a device of `user` signed it and the user vouches for the device and for what it tells of others.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(bytes: &[u8], user: &UserId) -> Result<Self, &'static str> {
        let supply = Self::decode(bytes)?;
        let (said, signature) = bytes.split_last_chunk().ok_or("a supply that is cut short")?;
        if !verify(&supply.card.device.0, CONTEXT, said, signature) {
            return Err("a supply that its device did not sign");
        }
        if supply.card.user != *user || !supply.card.is_genuine() {
            return Err("a supply of a device that the person does not vouch for");
        }
        let is_own = |revocation: &Revocation| revocation.user == *user && revocation.is_genuine();
        if !supply.revocations.iter().all(is_own) {
            return Err("a revocation that the person did not sign");
        }
        Ok(supply)
    }

    /// Reads the shape alone; nothing is verified.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let [version, rest @ ..] = bytes else { return Err("an empty supply") };
        if *version != VERSION {
            return Err("a supply of another format version; update whichever device is older");
        }
        let (said, _) = rest.split_last_chunk::<64>().ok_or("a supply that is cut short")?;
        let supply = Self::read(said).ok_or("a malformed supply")?;
        match supply.packages.len() <= PACKAGES_MAX && supply.revocations.len() <= REVOCATIONS_MAX {
            true => Ok(supply),
            false => Err("a supply with too much in it"),
        }
    }

    fn read(said: &[u8]) -> Option<Self> {
        let (issued, rest) = said.split_first_chunk()?;
        let (expires, rest) = rest.split_first_chunk()?;
        let (mailbox, rest) = rest.split_at_checked(MAILBOX_LEN)?;
        let mut rest = rest;
        let card = plain(take(&mut rest)?)?;
        let mut revocations = Vec::new();
        for _ in 0..take_byte(&mut rest)? {
            revocations.push(plain(take(&mut rest)?)?);
        }
        let mut packages = Vec::new();
        for _ in 0..take_byte(&mut rest)? {
            let last_resort = match take_byte(&mut rest)? {
                0 => false,
                LAST_RESORT => true,
                _ => return None,
            };
            packages.push(Offered { last_resort, bytes: take(&mut rest)?.to_vec() });
        }
        rest.is_empty().then(|| Self {
            issued_ms: u64::from_le_bytes(*issued),
            expires_ms: u64::from_le_bytes(*expires),
            mailbox: mailbox.to_vec(),
            card,
            revocations,
            packages,
        })
    }

    fn said(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.issued_ms.to_le_bytes());
        bytes.extend_from_slice(&self.expires_ms.to_le_bytes());
        bytes.extend_from_slice(&self.mailbox);
        put(&mut bytes, &encoded(&self.card));
        bytes.push(u8::try_from(self.revocations.len()).expect("no more than are told"));
        self.revocations.iter().for_each(|revocation| put(&mut bytes, &encoded(revocation)));
        bytes.push(u8::try_from(self.packages.len()).expect("no more than are offered at once"));
        for offered in &self.packages {
            bytes.push(if offered.last_resort { LAST_RESORT } else { 0 });
            put(&mut bytes, &offered.bytes);
        }
        bytes
    }

    pub(super) fn said_len(&self) -> usize {
        self.said().len()
    }
}

pub(super) fn put(out: &mut Vec<u8>, part: &[u8]) {
    let len = u16::try_from(part.len()).expect("cards, revocations and key packages are far shorter");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(part);
}

pub(super) fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, behind) = rest.split_first_chunk()?;
    let (part, behind) = behind.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    *rest = behind;
    Some(part)
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    let (byte, behind) = rest.split_first()?;
    *rest = behind;
    Some(*byte)
}

pub(super) fn encoded(value: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("plain values encode into a growing buffer")
}

/// The value that these bytes are, whole.
pub(super) fn plain<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use terachat_vault::Secret;

    fn key(n: u8) -> DeviceKey {
        DeviceKey::from_seed(&Secret::take(&mut [n; 32]))
    }

    fn user(n: u8) -> UserId {
        UserId(key(n).id().0)
    }

    fn supply() -> Supply {
        Supply {
            issued_ms: 7,
            expires_ms: 9,
            mailbox: vec![3; MAILBOX_LEN],
            card: Card::issue(&key(1), "Ada", &key(2)),
            revocations: vec![Revocation::issue(&key(1), key(5).id(), None)],
            packages: vec![
                Offered { last_resort: false, bytes: b"one".to_vec() },
                Offered { last_resort: true, bytes: b"last".to_vec() },
            ],
        }
    }

    #[test]
    fn it_holds_as_its_device_signed_it_and_for_its_user_only() {
        let bytes = supply().sign(&key(2));
        assert_eq!(Supply::parse(&bytes, &user(1)), Ok(supply()));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Supply::parse(&changed, &user(1)).is_err(), "byte {at}");
            assert!(Supply::parse(&bytes[..at], &user(1)).is_err(), "cut at {at}");
        }
        assert!(Supply::parse(&[&bytes[..], &[0]].concat(), &user(1)).is_err());
        let refused =
            |supply: &Supply, by: &DeviceKey| Supply::parse(&supply.sign(by), &user(1)).unwrap_err();
        assert!(refused(&supply(), &key(3)).contains("did not sign"));
        let others = Supply { card: Card::issue(&key(4), "Ada", &key(2)), ..supply() };
        assert!(refused(&others, &key(2)).contains("does not vouch"));
        let told = Supply { revocations: vec![Revocation::issue(&key(4), key(5).id(), None)], ..supply() };
        assert!(refused(&told, &key(2)).contains("did not sign"));
    }

    #[test]
    fn what_is_too_much_or_of_another_version_is_refused() {
        let many = Supply { packages: vec![supply().packages[0].clone(); PACKAGES_MAX + 1], ..supply() };
        assert!(Supply::parse(&many.sign(&key(2)), &user(1)).unwrap_err().contains("too much"));
        let mut newer = supply().sign(&key(2));
        newer[0] = VERSION + 1;
        assert!(Supply::parse(&newer, &user(1)).unwrap_err().contains("version"));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Supply::decode(&[&[VERSION][..], &bytes].concat());
        }
    }
}
