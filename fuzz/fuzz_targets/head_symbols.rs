//! A peer's symbols against a set of heads: whatever they are, the decoder ends, and what it finds fits into what it took.
//! Part of them are honest ones, spoiled in a few places, which random bytes would never resemble.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_core_store::sync::rateless::{HeadKey, HeadSet, Symbol};
use terachat_core_store::sync::{ChainHead, Frontier};
use terachat_event::{DeviceId, EventHash, LogId, SpaceId};

/// More than these make a fuzzer slow, not thorough.
const SYMBOLS_MAX: u32 = 512;

#[derive(Arbitrary, Debug)]
enum Part<'a> {
    Bytes(&'a [u8]),
    Honest(u8),
    Spoiled(u8, u16, u8),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    ours: u8,
    theirs: u8,
    max: u16,
    parts: Vec<Part<'a>>,
}

fn set(heads: impl Iterator<Item = u8>) -> HeadSet {
    let log = LogId::control(SpaceId([1; 32]));
    let chains = heads.map(|n| ChainHead { device: DeviceId([n; 32]), seq: 1, hash: EventHash([n; 32]) });
    let frontier = Frontier { log, chains: chains.collect() };
    HeadSet::new(HeadKey::new(&[2; 32], &log), frontier).expect("no two of these names are equal")
}

fuzz_target!(|input: Input<'_>| {
    let ours = set(0..input.ours);
    let mut honest = set(input.theirs..=u8::MAX).encoder();
    let mut decoder = ours.decoder(u32::from(input.max).min(SYMBOLS_MAX));
    for part in input.parts {
        let symbols = match part {
            Part::Bytes(bytes) => Symbol::decode(bytes),
            Part::Honest(count) => Ok(honest.symbols(count.into())),
            Part::Spoiled(count, at, with) => {
                let mut bytes = Symbol::encode(&honest.symbols(count.into()));
                if let Some(byte) = bytes.get_mut(usize::from(at)) {
                    *byte ^= with;
                }
                Symbol::decode(&bytes)
            }
        };
        let Ok(symbols) = symbols else { return };
        match decoder.take(&symbols) {
            Ok(Some(difference)) => {
                assert!(difference.ours.len() + difference.theirs.len() <= decoder.taken());
                if let Ok(lacks) = ours.lacks(&difference) {
                    assert!(lacks.len() <= difference.theirs.len());
                }
            }
            Ok(None) => {}
            Err(_) => return,
        }
    }
});
