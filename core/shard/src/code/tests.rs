use super::*;
use crate::naive;
use proptest::prelude::*;
use vectors::shards;

fn code(data: usize, parity: usize) -> Code {
    Code::new(Counts::new(data, parity).unwrap())
}

/// The whole stripe of these data shards.
fn stripe(code: &Code, data: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut parity = vec![vec![0xEE; data[0].len()]; code.counts().parity()];
    code.encode(data, &mut parity).unwrap();
    [data.to_vec(), parity].concat()
}

#[test]
fn parity_is_that_of_reed_solomon_erasure() {
    for (k, m) in vectors::counts() {
        let data = shards(k, 70);
        let expected = vectors::expected(&data, m).unwrap();
        for kernel in Kernel::available() {
            let code = Code::with_kernel(Counts::new(k, m).unwrap(), kernel);
            assert_eq!(stripe(&code, &data), expected, "{k}+{m}, {kernel:?}");
        }
    }
}

/// All ways to lose as many shards as may be lost.
#[test]
fn every_loss_is_made_good() {
    for (k, m) in [(1, 2), (2, 2), (4, 2), (3, 4), (5, 4), (4, 6)] {
        let code = code(k, m);
        let whole = stripe(&code, &shards(k, 37));
        for lost in 0..1u32 << (k + m) {
            let is_lost = |index: &usize| lost >> index & 1 == 1;
            let mut rest: Vec<Option<Vec<u8>>> = whole
                .iter()
                .cloned()
                .enumerate()
                .map(|(at, shard)| (!is_lost(&at)).then_some(shard))
                .collect();
            let before = rest.clone();
            let result = code.reconstruct(&mut rest);
            let have = k + m - lost.count_ones() as usize;
            if have >= k {
                result.unwrap();
                assert!(rest.iter().flatten().eq(&whole), "{k}+{m} without {lost:b}");
            } else {
                assert_eq!(result, Err(Error::TooFew { have, need: k }));
                assert_eq!(rest, before, "nothing was touched");
            }
        }
    }
}

#[test]
fn only_what_was_asked_for() {
    let code = code(6, 3);
    let whole = stripe(&code, &shards(6, 100));
    let mut rest: Vec<Option<Vec<u8>>> = whole.iter().cloned().map(Some).collect();
    for lost in [1, 4, 7] {
        rest[lost] = None;
    }
    code.reconstruct_only(&mut rest, &[4, 0]).unwrap();
    assert_eq!(rest[4].as_ref(), Some(&whole[4]));
    assert_eq!((&rest[1], &rest[7]), (&None, &None));
}

#[test]
fn one_wrong_byte_is_seen() {
    let code = code(5, 4);
    let mut whole = stripe(&code, &shards(5, VERIFY_STEP + 100));
    assert!(code.verify(&whole).unwrap());
    for shard in 0..9 {
        for at in [0, VERIFY_STEP, VERIFY_STEP + 99] {
            whole[shard][at] ^= 1;
            assert!(!code.verify(&whole).unwrap(), "shard {shard}, byte {at}");
            whole[shard][at] ^= 1;
        }
    }
}

/// Long enough for the parity to be streamed.
#[test]
fn long_shards() {
    let code = code(4, 2);
    let len = STREAM_FROM / 6 + 77;
    let data = shards(4, len);
    let whole = stripe(&code, &data);
    for (name, part) in [("begin", 0..100), ("end", len - 100..len)] {
        let columns: Vec<Vec<u8>> = data.iter().map(|shard| shard[part.clone()].to_vec()).collect();
        let expected = naive::apply(&naive::generator(4, 2), &columns);
        let found: Vec<Vec<u8>> = whole.iter().map(|shard| shard[part.clone()].to_vec()).collect();
        assert_eq!(found, expected, "{name}");
    }
    assert!(code.verify(&whole).unwrap());
}

#[test]
fn what_does_not_fit_is_refused() {
    let code = code(2, 1);
    let mut parity = [vec![7; 3]];
    let encode = |data: &[&[u8]], parity: &mut [Vec<u8>]| code.encode(data, parity);
    let count = |what, expected, found| Err(Error::ShardCount { what, expected, found });
    assert_eq!(encode(&[b"abc"], &mut parity), count("data shards", 2, 1));
    assert_eq!(encode(&[b"abc", b"abc"], &mut []), count("parity shards", 1, 0));
    assert_eq!(encode(&[b"abc", b"ab"], &mut parity), Err(Error::ShardLen { expected: 3, found: 2 }));
    assert_eq!(encode(&[b"ab", b"ab"], &mut parity), Err(Error::ShardLen { expected: 2, found: 3 }));
    assert_eq!(parity, [vec![7; 3]], "nothing was written");
    assert_eq!(code.decoder(&[0, 3], &[1]).unwrap_err(), Error::Index(3));
    assert_eq!(code.decoder(&[0, 0], &[1]).unwrap_err(), Error::Index(0));
    assert_eq!(code.decoder(&[0, 1], &[1]).unwrap_err(), Error::Index(1));
    assert_eq!(code.decoder(&[0], &[1]).unwrap_err(), Error::TooFew { have: 1, need: 2 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Any k of the shards give all others, at any counts.
    #[test]
    fn any_k_shards_give_all_others(
        (k, m, order, len) in (1..40usize, 1..20usize, 1..150usize).prop_flat_map(|(k, m, len)| (
            Just(k), Just(m), Just((0..k + m).collect::<Vec<_>>()).prop_shuffle(), Just(len),
        )),
    ) {
        let code = code(k, m);
        let whole = stripe(&code, &shards(k, len));
        let mut rest: Vec<Option<Vec<u8>>> = whole.iter().cloned().map(Some).collect();
        for lost in &order[..m] {
            rest[*lost] = None;
        }
        code.reconstruct(&mut rest).unwrap();
        prop_assert!(rest.iter().flatten().eq(&whole));
        prop_assert!(code.verify(&whole).unwrap());
    }
}
