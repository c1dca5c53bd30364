//! One object of a bucket: `docs/format/shard-object.md`.
use crate::Error;
use crate::shards::Key;
use std::fmt;
use std::str::FromStr;
use terachat_shard::{SHARD_HEADER_LEN, SHARD_LEN_MAX, Shard, ShardHash, StripeId};

const VERSION: u8 = 1;
const CONTEXT: &str = "terachat 2026-11 shard object";
/// Bytes before the lists.
pub(super) const BEGIN: usize = 40;
const SHARD: usize = 56;
const DROP: usize = 17;
const HASH: usize = 32;
/// Most shards, and most shards that are given up, in one object.
pub(super) const ENTRIES_MAX: usize = 1 << 16;

/// What an object is called. They are in the order in which they were put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ObjectName {
    pub(super) number: u64,
    /// Drawn at random, so that nothing is ever put under a name twice.
    pub(super) salt: [u8; 16],
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:032x}", self.number, u128::from_be_bytes(self.salt))
    }
}

impl FromStr for ObjectName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (number, salt) = text.split_once('-').ok_or(())?;
        let name = Self {
            number: u64::from_str_radix(number, 16).map_err(|_| ())?,
            salt: u128::from_str_radix(salt, 16).map_err(|_| ())?.to_be_bytes(),
        };
        (name.to_string() == text).then_some(name).ok_or(())
    }
}

/// A shard in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// Where it begins in the object.
    pub(super) at: u32,
    /// Its bytes, its header with them.
    pub(super) len: u32,
    pub(super) hash: ShardHash,
}

/// What an object has before its shards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// In the order in which they stand.
    pub(super) shards: Vec<Entry>,
    /// Shards of which all copies in earlier objects do not count.
    pub(super) drops: Vec<Key>,
}

/// Bytes of a head with so many shards and drops.
fn head_len(shards: usize, drops: usize) -> usize {
    BEGIN + shards * SHARD + drops * DROP + HASH
}

impl Head {
    /// Bytes of the whole object.
    pub(super) fn object_len(&self) -> u64 {
        let shards: u64 = self.shards.iter().map(|entry| u64::from(entry.len)).sum();
        head_len(self.shards.len(), self.drops.len()) as u64 + shards
    }

    /// How long the head is that begins so; `None` if none does.
    pub(super) fn len(begin: &[u8; BEGIN]) -> Option<usize> {
        let [shards, drops] = [4, 8].map(|at| usize::try_from(u32_at(begin, at)).unwrap_or(usize::MAX));
        (shards <= ENTRIES_MAX && drops <= ENTRIES_MAX).then(|| head_len(shards, drops))
    }

    /// Reads the head of an object of this name. `None` if it is not what was written.
    ///
    /// # Errors
    /// [`Error::Version`]: a newer program's.
    pub(super) fn decode(name: &ObjectName, bytes: &[u8]) -> Result<Option<Self>, Error> {
        let Some(len) = bytes.first_chunk().and_then(Self::len) else { return Ok(None) };
        let Some((said, hash)) = bytes.get(..len).and_then(|head| head.split_last_chunk::<HASH>()) else {
            return Ok(None);
        };
        if blake3::derive_key(CONTEXT, said) != *hash {
            return Ok(None);
        }
        if said[0] != VERSION {
            return Err(Error::Version { file: name.to_string(), found: said[0] });
        }
        if said[..BEGIN] != begin(name, u32_at(said, 4), u32_at(said, 8)) {
            return Ok(None);
        }
        let shards = usize::try_from(u32_at(said, 4)).unwrap_or(usize::MAX) * SHARD;
        let (shards, drops) = said[BEGIN..].split_at(shards);
        let mut at = u32::try_from(len).unwrap_or(u32::MAX);
        let shard = |bytes: &[u8; SHARD]| {
            let entry = Entry {
                key: key(bytes.first_chunk().expect("17 of 56 bytes")),
                at,
                len: u32_at(bytes, 20),
                hash: ShardHash(*bytes.last_chunk().expect("32 of 56 bytes")),
            };
            let bounds = SHARD_HEADER_LEN..=SHARD_HEADER_LEN + SHARD_LEN_MAX;
            let fits = usize::try_from(entry.len).is_ok_and(|len| bounds.contains(&len));
            at = at.checked_add(entry.len).filter(|_| fits && bytes[17..20] == [0; 3])?;
            Some(entry)
        };
        let Some(shards) = shards.as_chunks().0.iter().map(shard).collect() else { return Ok(None) };
        Ok(Some(Self { shards, drops: drops.as_chunks().0.iter().map(key).collect() }))
    }
}

/// An object with these shards and drops, at most [`ENTRIES_MAX`] of each and less than 4 GiB: its head, and all its bytes.
pub(super) fn encode(name: &ObjectName, shards: &[&Shard<'_>], drops: &[Key]) -> (Head, Vec<u8>) {
    let count = |len: usize| u32::try_from(len).expect("whoever writes keeps to ENTRIES_MAX");
    let mut bytes = begin(name, count(shards.len()), count(drops.len())).to_vec();
    let mut at = count(head_len(shards.len(), drops.len()));
    let mut entries = Vec::with_capacity(shards.len());
    for shard in shards {
        let entry = Entry {
            key: (shard.stripe(), shard.index()),
            at,
            len: count(SHARD_HEADER_LEN + shard.payload().len()),
            hash: shard.hash(),
        };
        bytes.extend_from_slice(&entry.key.0.0);
        bytes.extend_from_slice(&[entry.key.1, 0, 0, 0]);
        bytes.extend_from_slice(&entry.len.to_le_bytes());
        bytes.extend_from_slice(&entry.hash.0);
        at = at.checked_add(entry.len).expect("an object has less than 4 GiB");
        entries.push(entry);
    }
    for (stripe, index) in drops {
        bytes.extend_from_slice(&stripe.0);
        bytes.push(*index);
    }
    let hash = blake3::derive_key(CONTEXT, &bytes);
    bytes.extend_from_slice(&hash);
    for shard in shards {
        bytes.extend_from_slice(&shard.header());
        bytes.extend_from_slice(shard.payload());
    }
    (Head { shards: entries, drops: drops.to_vec() }, bytes)
}

fn begin(name: &ObjectName, shards: u32, drops: u32) -> [u8; BEGIN] {
    let mut begin = [0; BEGIN];
    begin[0] = VERSION;
    begin[4..8].copy_from_slice(&shards.to_le_bytes());
    begin[8..12].copy_from_slice(&drops.to_le_bytes());
    begin[16..24].copy_from_slice(&name.number.to_le_bytes());
    begin[24..].copy_from_slice(&name.salt);
    begin
}

fn key(bytes: &[u8; DROP]) -> Key {
    let (stripe, index) = bytes.split_at(16);
    (StripeId(stripe.try_into().expect("16 of 17 bytes")), index[0])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use terachat_shard::Counts;

    const NAME: ObjectName = ObjectName { number: 0x1_0001, salt: [0xab; 16] };

    fn example() -> (Head, Vec<u8>) {
        let counts = Counts::new(2, 2).unwrap();
        let shard = |index: u8| Shard::new(StripeId([1; 16]), counts, index, b"payload").unwrap();
        encode(&NAME, &[&shard(0), &shard(3)], &[(StripeId([2; 16]), 1)])
    }

    /// The vector of `docs/format/shard-object.md`.
    #[test]
    fn its_bytes_are_those_of_the_page() {
        let (head, bytes) = example();
        assert_eq!(bytes.len() as u64, head.object_len());
        assert_eq!(bytes.len(), 40 + 2 * 56 + 17 + 32 + 2 * 63);
        assert_eq!(NAME.to_string(), "0000000000010001-abababababababababababababababab");
        assert_eq!(
            bytes[..40],
            [&[1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0][..], &[0xab; 16]]
                .concat()
        );
        assert_eq!(
            blake3::hash(&bytes).to_hex().as_str(),
            "d09612f9083066597775be98372943d68b0e1936b573e6d6bd24df598e40027e"
        );
    }

    #[test]
    fn a_head_is_read_as_it_was_written_or_not_at_all() {
        let (head, bytes) = example();
        let len = Head::len(bytes.first_chunk().unwrap()).unwrap();
        assert_eq!(Head::decode(&NAME, &bytes[..len]).unwrap(), Some(head.clone()));
        assert_eq!(Head::decode(&NAME, &bytes).unwrap(), Some(head));
        for cut in 0..len {
            assert_eq!(Head::decode(&NAME, &bytes[..cut]).unwrap(), None, "{cut}");
        }
        for at in 0..len {
            let mut rotten = bytes.clone();
            rotten[at] ^= 0x10;
            assert_eq!(Head::decode(&NAME, &rotten).unwrap(), None, "{at}");
        }
        let other = ObjectName { number: 1, ..NAME };
        assert_eq!(Head::decode(&other, &bytes).unwrap(), None, "it was copied to another name");
    }

    #[test]
    fn what_a_newer_program_wrote_is_refused() {
        let (_, mut bytes) = example();
        let len = Head::len(bytes.first_chunk().unwrap()).unwrap();
        bytes[0] = 2;
        let hash = blake3::derive_key(CONTEXT, &bytes[..len - HASH]);
        bytes[len - HASH..len].copy_from_slice(&hash);
        assert!(matches!(Head::decode(&NAME, &bytes), Err(Error::Version { found: 2, .. })));
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        assert_eq!(NAME.to_string().parse(), Ok(NAME));
        for text in [
            "",
            "a",
            "1-2",
            "0000000000010001-ABababababababababababababababab",
            "-",
            "+000000000010001-abababababababababababababababab",
        ] {
            assert_eq!(text.parse::<ObjectName>(), Err(()), "{text}");
        }
        assert!(ObjectName { number: 9, ..NAME } < ObjectName { number: 10, salt: [0; 16] });
    }
}
