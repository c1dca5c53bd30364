use super::*;
use proptest::prelude::*;

const ID: StripeId = StripeId([3; 16]);

fn counts() -> Counts {
    Counts::new(2, 2).unwrap()
}

fn shard(payload: &[u8]) -> Shard<'_> {
    Shard::new(ID, counts(), 1, payload).unwrap()
}

/// The bytes as `docs/format/shard.md` says them. Whoever changes them changes the version.
#[test]
fn the_bytes() {
    let bytes = shard(b"payload").encode();
    let said = [&[1, 2, 2, 1][..], &[3; 16], &[7, 0, 0, 0]].concat();
    let hash = blake3::Hasher::new_derive_key(CONTEXT).update(&said).update(b"payload").finalize();
    assert_eq!(bytes, [&said[..], hash.as_bytes(), b"payload"].concat());
    assert_eq!(hash.to_hex().as_str(), "17154531ae5047c639d6467cb226cef9b675320d2225cddfd11db1fc51e989d7");
}

#[test]
fn what_is_no_shard_is_refused() {
    let bytes = shard(b"payload").encode();
    assert_eq!(Shard::decode(&bytes), Ok(shard(b"payload")));
    for len in 0..bytes.len() {
        assert!(matches!(Shard::decode(&bytes[..len]), Err(Error::Truncated { .. })), "{len}");
    }
    let decode = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        Shard::decode(&bytes).map(|_| ())
    };
    assert_eq!(decode(0, 9), Err(Error::Version { what: WHAT, found: 9 }));
    assert_eq!(decode(1, 0), Err(Error::Counts { data: 0, parity: 2 }));
    assert_eq!(decode(2, 255), Err(Error::Counts { data: 2, parity: 255 }));
    assert_eq!(decode(3, 4), Err(Error::Index(4)));
    assert_eq!(decode(4, 4), Err(Error::Rotten { index: 1 }));
    assert_eq!(decode(20, 6), Err(Error::Trailing { what: WHAT, extra: 1 }));
    assert_eq!(decode(23, 1), Err(Error::Oversized { len: (1 << 24) + 7 }));
    assert_eq!(decode(60, 0), Err(Error::Rotten { index: 1 }));
    assert_eq!(Shard::new(ID, counts(), 4, b"x"), Err(Error::Index(4)));
    assert_eq!(Shard::new(ID, counts(), 0, b""), Err(Error::StripeLen { len: 0 }));
}

#[test]
fn a_sound_shard_at_the_wrong_place() {
    let other = Counts::new(3, 1).unwrap();
    let hashes =
        (0..4).map(|index| (Shard::new(ID, counts(), index, b"payload").unwrap().hash(), None)).collect();
    let record = StripeRecord::new(ID, counts(), 14, hashes).unwrap();
    let check =
        |id, counts, index, payload: &[u8]| Shard::new(id, counts, index, payload).unwrap().check(&record, 1);
    assert_eq!(check(ID, counts(), 1, b"payload"), Ok(()));
    let found = StripeId([4; 16]);
    assert_eq!(check(found, counts(), 1, b"payload"), Err(Error::WrongStripe { expected: ID, found }));
    assert_eq!(check(ID, counts(), 2, b"payload"), Err(Error::WrongShard { expected: 1, found: 2 }));
    assert_eq!(check(ID, other, 1, b"payload"), Err(Error::WrongShard { expected: 1, found: 1 }));
    assert_eq!(check(ID, counts(), 1, b"payloads"), Err(Error::ShardLen { expected: 7, found: 8 }));
    assert_eq!(check(ID, counts(), 1, b"Payload"), Err(Error::Forged { index: 1 }));
}

proptest! {
    #[test]
    fn one_wrong_bit_is_seen(payload in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = shard(&payload).encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        prop_assert!(Shard::decode(&bytes).is_err());
    }
}
