//! The code with every kernel that runs here, beside sums of products byte by byte: any counts, lengths, losses.
//!
//! It runs under the address sanitizer, so a kernel that reads or writes beside its shards is found.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_shard::{Code, Counts, Error, Kernel};

#[derive(Arbitrary, Debug)]
struct Input {
    data: u8,
    parity: u8,
    len: u16,
    lost: Vec<u8>,
    bytes: Vec<u8>,
}

/// Shift and add, then the remainder.
fn product(a: u8, b: u8) -> u8 {
    let (mut sum, mut a) = (0, u16::from(a));
    for bit in 0..8 {
        if b >> bit & 1 == 1 {
            sum ^= a;
        }
        a <<= 1;
        if a & 0x100 != 0 {
            a ^= 0x11D;
        }
    }
    sum.to_le_bytes()[0]
}

fn inverse(a: u8) -> u8 {
    // a^254, since a^255 is 1.
    (0..254).fold(1, |power, _| product(power, a))
}

/// Lagrange's formula, one coefficient at a time.
fn coefficient(sources: &[u8], of: u8, wanted: u8) -> u8 {
    let others = sources.iter().filter(|other| **other != of);
    others.fold(1, |so_far, other| product(so_far, product(wanted ^ other, inverse(of ^ other))))
}

fuzz_target!(|input: Input| {
    let counts = match Counts::new(usize::from(input.data), usize::from(input.parity)) {
        Ok(counts) if counts.total() <= 24 => counts,
        Ok(_) | Err(Error::Counts { .. }) => return,
        Err(error) => panic!("{error}"),
    };
    let (k, len) = (counts.data(), usize::from(input.len) % 600);
    if input.bytes.is_empty() {
        return;
    }
    let data: Vec<Vec<u8>> =
        (0..k).map(|at| input.bytes.iter().cycle().skip(at * 7).take(len).copied().collect()).collect();
    let sources: Vec<u8> = counts.indices().take(k).collect();
    let parity: Vec<Vec<u8>> = (counts.indices().skip(k))
        .map(|wanted| {
            let mut sum = vec![0; len];
            for (of, shard) in sources.iter().zip(&data) {
                let by = coefficient(&sources, *of, wanted);
                sum.iter_mut().zip(shard).for_each(|(sum, byte)| *sum ^= product(by, *byte));
            }
            sum
        })
        .collect();
    let whole = [data.clone(), parity.clone()].concat();
    for kernel in Kernel::available() {
        let code = Code::with_kernel(counts, kernel);
        let mut made = vec![vec![0xEE; len]; counts.parity()];
        code.encode(&data, &mut made).expect("as many as the code has, of one length");
        assert_eq!(made, parity, "{kernel:?}");
        assert_eq!(code.verify(&whole), Ok(true));
        let mut rest: Vec<Option<Vec<u8>>> = whole.iter().cloned().map(Some).collect();
        for lost in &input.lost {
            rest[usize::from(*lost) % counts.total()] = None;
        }
        let have = rest.iter().flatten().count();
        match code.reconstruct(&mut rest) {
            Ok(()) => assert!(rest.iter().flatten().eq(&whole), "{kernel:?}"),
            Err(error) => assert_eq!(error, Error::TooFew { have, need: k }),
        }
    }
});
