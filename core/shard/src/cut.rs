use crate::{Code, Error, STRIPE_LEN_MAX};

/// Bytes of each shard of a stripe of `len` bytes: the k-th part, rounded up.
///
/// # Errors
/// [`Error::StripeLen`] for none, or more than a stripe takes; [`Error::Oversized`] if a shard would be too long.
pub fn shard_len(counts: crate::Counts, len: u64) -> Result<usize, Error> {
    if !(1..=STRIPE_LEN_MAX).contains(&len) {
        return Err(Error::StripeLen { len });
    }
    let part = len.div_ceil(counts.data() as u64);
    let fits = usize::try_from(part).ok().filter(|part| *part <= crate::SHARD_LEN_MAX);
    fits.ok_or(Error::Oversized { len: part })
}

/// Cuts sealed bytes into the payloads of all shards, data and then parity, in their order.
///
/// What is handed in is sealed already: a data shard is a piece of it as it stands. The data shards one behind the other
/// are the bytes, and zeros up to the k-th multiple.
///
/// # Errors
/// As [`shard_len`].
pub fn cut(code: &Code, sealed: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let counts = code.counts();
    let len = shard_len(counts, sealed.len() as u64)?;
    let mut data: Vec<Vec<u8>> = sealed.chunks(len).map(<[u8]>::to_vec).collect();
    data.resize(counts.data(), Vec::new());
    data.iter_mut().for_each(|shard| shard.resize(len, 0));
    let mut parity = vec![vec![0; len]; counts.parity()];
    code.encode(&data, &mut parity)?;
    data.append(&mut parity);
    Ok(data)
}

/// The sealed bytes of data shards, in their order: what [`cut`] was given. `len` stands in the stripe's record.
///
/// # Errors
/// [`Error::ShardCount`], [`Error::ShardLen`], [`Error::Padding`], and as [`shard_len`].
pub fn join(code: &Code, data: &[impl AsRef<[u8]>], len: u64) -> Result<Vec<u8>, Error> {
    let expected = code.counts().data();
    if data.len() != expected {
        return Err(Error::ShardCount { what: "data shards", expected, found: data.len() });
    }
    let shard_len = shard_len(code.counts(), len)?;
    let mut sealed = Vec::with_capacity(shard_len * expected);
    for shard in data.iter().map(AsRef::as_ref) {
        if shard.len() != shard_len {
            return Err(Error::ShardLen { expected: shard_len, found: shard.len() });
        }
        sealed.extend_from_slice(shard);
    }
    let padding = sealed.split_off(usize::try_from(len).map_err(|_| Error::StripeLen { len })?);
    if padding.iter().any(|byte| *byte != 0) {
        return Err(Error::Padding);
    }
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Counts;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_cut_is_joined((k, m, sealed) in (1..20usize, 0..8usize, prop::collection::vec(any::<u8>(), 1..500))) {
            let code = Code::new(Counts::new(k, m).unwrap());
            let mut shards = cut(&code, &sealed).unwrap();
            prop_assert_eq!(shards.len(), k + m);
            prop_assert_eq!(&shards[..k].concat()[..sealed.len()], &sealed[..]);
            let len = sealed.len() as u64;
            prop_assert_eq!(join(&code, &shards[..k], len).unwrap(), sealed.clone());
            if k * shards[0].len() > sealed.len() {
                *shards[k - 1].last_mut().unwrap() = 1;
                prop_assert_eq!(join(&code, &shards[..k], len), Err(Error::Padding));
            }
        }
    }

    #[test]
    fn lengths() {
        let counts = Counts::new(4, 2).unwrap();
        for (len, expected) in [(1, 1), (4, 1), (5, 2), (4096, 1024), (64 << 20, 16 << 20)] {
            assert_eq!(shard_len(counts, len), Ok(expected), "{len}");
        }
        assert_eq!(shard_len(counts, 0), Err(Error::StripeLen { len: 0 }));
        assert_eq!(shard_len(counts, (64 << 20) + 1), Err(Error::Oversized { len: (16 << 20) + 1 }));
        assert_eq!(
            shard_len(Counts::new(255, 1).unwrap(), STRIPE_LEN_MAX + 1),
            Err(Error::StripeLen { len: STRIPE_LEN_MAX + 1 })
        );
        let code = Code::new(counts);
        assert_eq!(join(&code, &[[0; 2]; 4], 9), Err(Error::ShardLen { expected: 3, found: 2 }));
        assert_eq!(
            join(&code, &[[0; 3]; 3], 9),
            Err(Error::ShardCount { what: "data shards", expected: 4, found: 3 })
        );
    }
}
