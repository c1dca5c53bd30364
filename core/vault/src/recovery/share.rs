use crate::{Entropy, Secret, SecretBytes, VaultId};
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const PREFIX: &str = "tcshare";
const FINGERPRINT_LEN: usize = 4;
const SET_LEN: usize = 4;
pub(super) const CHECK_LEN: usize = 4;
const VALUE_AT: usize = 3 + FINGERPRINT_LEN + SET_LEN + CHECK_LEN;
const PAYLOAD_LEN: usize = VALUE_AT + 32;
/// Characters without the spaces: the longest for which bech32m's promise of finding four wrong ones holds.
const TEXT_LEN: usize = 90;
const GROUP_LEN: usize = 6;
const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// What all shares of one split have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SetId {
    threshold: u8,
    fingerprint: [u8; FINGERPRINT_LEN],
    set: [u8; SET_LEN],
}

impl SetId {
    pub(super) fn generate(vault: &VaultId, threshold: u8, entropy: &mut dyn Entropy) -> Self {
        let mut set = [0; SET_LEN];
        entropy.fill(&mut set);
        Self { threshold, fingerprint: fingerprint(vault), set }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        [&[VERSION, self.threshold][..], &self.fingerprint, &self.set].concat()
    }
}

fn fingerprint(vault: &VaultId) -> [u8; FINGERPRINT_LEN] {
    let hash = blake3::derive_key("terachat 2026-11 vault fingerprint", &vault.0);
    std::array::from_fn(|at| hash[at])
}

/// One person's part of a split [`RecoveryKey`](super::RecoveryKey). Secret: as many as the threshold are the key.
pub struct RecoveryShare {
    set: SetId,
    number: u8,
    check: [u8; CHECK_LEN],
    value: Secret<32>,
}

impl RecoveryShare {
    pub(super) fn new(set: SetId, number: u8, check: [u8; CHECK_LEN], value: Secret<32>) -> Self {
        Self { set, number, check, value }
    }

    /// Reads a share as it was typed: in either case, with spaces, line ends and hyphens anywhere.
    ///
    /// # Errors
    /// [`ShareError`] says what is wrong, and where as far as that can be known.
    pub fn parse(text: &str) -> Result<Self, ShareError> {
        let mut letters = Zeroizing::new(String::with_capacity(TEXT_LEN));
        for letter in text.chars().filter(|letter| !letter.is_whitespace() && *letter != '-') {
            if letters.len() == TEXT_LEN {
                let len = text.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').count();
                return Err(ShareError::Length { len });
            }
            let position = letters.len() + 1;
            let known =
                |letter: &char| position <= PREFIX.len() + 1 || u8::try_from(*letter).is_ok_and(in_alphabet);
            let letter =
                Some(letter.to_ascii_lowercase()).filter(|letter| letter.is_ascii() && known(letter));
            letters.push(letter.ok_or(ShareError::Character { position })?);
        }
        if !letters.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('1')) {
            return Err(ShareError::Foreign);
        }
        if letters.len() != TEXT_LEN {
            return Err(ShareError::Length { len: letters.len() });
        }
        let Ok(checked) = CheckedHrpstring::new::<Bech32m>(&letters) else {
            return Err(ShareError::Typo { position: single_typo(&letters) });
        };
        let mut payload = Zeroizing::new(Vec::with_capacity(PAYLOAD_LEN));
        payload.extend(checked.byte_iter());
        let share = Self::from_payload(&payload)?;
        // Of the four bits that fill the last character up, one form only is a share's.
        if *share.letters() != *letters {
            return Err(ShareError::Content("unused bits are set"));
        }
        Ok(share)
    }

    fn from_payload(payload: &[u8]) -> Result<Self, ShareError> {
        if payload.len() != PAYLOAD_LEN {
            return Err(ShareError::Content("it has another length than its form says"));
        }
        if payload[0] != VERSION {
            return Err(ShareError::Version { version: payload[0] });
        }
        let (threshold, number) = (payload[1], payload[2]);
        if threshold < 2 || number == 0 {
            return Err(ShareError::Content("its threshold or its number is impossible"));
        }
        let four = |at: usize| -> [u8; 4] { std::array::from_fn(|byte| payload[at + byte]) };
        let set = SetId { threshold, fingerprint: four(3), set: four(3 + FINGERPRINT_LEN) };
        let check = four(3 + FINGERPRINT_LEN + SET_LEN);
        let value = Secret::generate(|value| value.copy_from_slice(&payload[VALUE_AT..]));
        Ok(Self { set, number, check, value })
    }

    /// The share as a person writes it down: 15 groups of six capitals and digits, five groups a line. ASCII.
    pub fn expose_text(&self) -> SecretBytes {
        let letters = self.letters();
        let groups = TEXT_LEN / GROUP_LEN;
        let mut text = Vec::with_capacity(TEXT_LEN + groups);
        for (at, group) in (1..).zip(letters.as_bytes().chunks(GROUP_LEN)) {
            text.extend(group.iter().map(u8::to_ascii_uppercase));
            text.push(if at % 5 == 0 { b'\n' } else { b' ' });
        }
        SecretBytes::take(text)
    }

    fn letters(&self) -> Zeroizing<String> {
        let mut payload = Zeroizing::new(Vec::with_capacity(PAYLOAD_LEN));
        payload.extend_from_slice(&[VERSION, self.set.threshold, self.number]);
        payload.extend_from_slice(&self.set.fingerprint);
        payload.extend_from_slice(&self.set.set);
        payload.extend_from_slice(&self.check);
        payload.extend_from_slice(self.value.expose_secret());
        let mut letters = Zeroizing::new(String::with_capacity(TEXT_LEN));
        bech32::encode_lower_to_fmt::<Bech32m, _>(&mut *letters, Hrp::parse_unchecked(PREFIX), &payload)
            .expect("47 bytes are within bech32m's length, and a string takes them");
        letters
    }

    /// Its number in its set, from 1.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// How many shares of its set give the key.
    pub fn threshold(&self) -> u8 {
        self.set.threshold
    }

    /// Whether it was made for this vault; another vault's is so with a chance of one in 2^32.
    pub fn is_of(&self, vault: &VaultId) -> bool {
        self.set.fingerprint == fingerprint(vault)
    }

    pub(super) fn set(&self) -> &SetId {
        &self.set
    }

    pub(super) fn check(&self) -> [u8; CHECK_LEN] {
        self.check
    }

    pub(super) fn value(&self) -> &[u8; 32] {
        self.value.expose_secret()
    }

    /// Number and value, as the interpolation takes them.
    pub(super) fn point(&self) -> Vec<u8> {
        let mut point = Vec::with_capacity(33);
        point.push(self.number);
        point.extend_from_slice(self.value.expose_secret());
        point
    }
}

fn in_alphabet(letter: u8) -> bool {
    ALPHABET.contains(&letter.to_ascii_lowercase())
}

/// The one character whose replacement makes the checksum right; `None` when it takes more. Two shares differ in at least
/// five characters, so there is no second such place. Only its place is told: a person looks at the paper, a program
/// does not guess at keys.
fn single_typo(letters: &str) -> Option<usize> {
    let mut candidate = Zeroizing::new(String::with_capacity(TEXT_LEN));
    for at in PREFIX.len() + 1..letters.len() {
        for letter in ALPHABET {
            candidate.clear();
            candidate.push_str(&letters[..at]);
            candidate.push(char::from(*letter));
            candidate.push_str(&letters[at + 1..]);
            if CheckedHrpstring::new::<Bech32m>(&candidate).is_ok() {
                return Some(at + 1);
            }
        }
    }
    None
}

/// Why a text is not a share. Positions count characters from 1, without spaces and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// It does not begin as a share does.
    #[error("this is not a recovery share: it does not begin with TCSHARE1")]
    Foreign,
    /// Characters are missing or too many.
    #[error(
        "the share has {len} characters where {TEXT_LEN} belong; compare its 15 groups of {GROUP_LEN} with the paper"
    )]
    Length {
        /// Characters given.
        len: usize,
    },
    /// A character that no share has.
    #[error("character {position} (group {}) is none that a share has; a share has no B, I, O and no 1 but the first", group(*position))]
    Character {
        /// Which.
        position: usize,
    },
    /// The checksum is wrong.
    #[error("the share was mistyped{}; compare it with the paper", place(*position))]
    Typo {
        /// The wrong character, if it is only one.
        position: Option<usize>,
    },
    /// Made by a later version.
    #[error("the share is of version {version}, which this terachat does not read; use a newer one")]
    Version {
        /// Its version.
        version: u8,
    },
    /// Well typed, and yet no share.
    #[error("this is not a share that terachat made: {0}")]
    Content(&'static str),
}

fn group(position: usize) -> usize {
    (position - 1) / GROUP_LEN + 1
}

fn place(position: Option<usize>) -> String {
    match position {
        Some(position) => format!(" at character {position} (group {})", group(position)),
        None => " in more than one place".into(),
    }
}
