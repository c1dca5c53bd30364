use super::*;
use crate::sync::{ChainHead, Frontier};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use terachat_event::{ChannelId, DeviceId, EventHash, LogId, SpaceId};

fn log() -> LogId {
    LogId::channel(SpaceId([1; 32]), ChannelId([2; 32]))
}

fn key(n: u64) -> HeadKey {
    HeadKey::new(blake3::hash(&n.to_le_bytes()).as_bytes(), &log())
}

fn head(device: u64, seq: u64, branch: u8) -> ChainHead {
    let hash = blake3::hash(&[&device.to_le_bytes()[..], &seq.to_le_bytes(), &[branch]].concat());
    ChainHead {
        device: DeviceId(*blake3::hash(&device.to_le_bytes()).as_bytes()),
        seq,
        hash: EventHash(*hash.as_bytes()),
    }
}

fn set(key: &HeadKey, heads: impl IntoIterator<Item = ChainHead>) -> HeadSet {
    let mut chains: Vec<ChainHead> = heads.into_iter().collect();
    chains.sort_unstable_by_key(|head| head.device);
    HeadSet::new(key.clone(), Frontier { log: log(), chains }).unwrap()
}

/// Compares as two peers do; the second value is how many symbols that took, `step` at a time.
fn compare(ours: &HeadSet, theirs: &HeadSet, step: usize, max: u32) -> Option<(Difference, usize)> {
    let (mut encoder, mut decoder) = (theirs.encoder(), ours.decoder(max));
    loop {
        let symbols = encoder.symbols(step.min(max as usize - decoder.taken()).max(1));
        let read = Symbol::decode(&Symbol::encode(&symbols)).unwrap();
        match decoder.take(&read) {
            Ok(Some(difference)) => return Some((difference, decoder.taken())),
            Ok(None) => {}
            Err(RatelessError::TooMany) => return None,
            Err(error) => panic!("{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_difference_is_what_a_naive_one_is(
        session: u64,
        shared in 0_u64..2000,
        ours in 0_u64..150,
        theirs in 0_u64..150,
        step in 1_usize..200,
    ) {
        let key = key(session);
        let both = (0..shared).map(|n| head(n, 7, 0));
        // Some are of chains the other has not, some of other heads of the same chains.
        let only = |from: u64, count: u64, side: u64| (0..count).map(move |n| head(5000 + from * (n % 2) + n, 1 + side, 0));
        let a = set(&key, both.clone().chain(only(1000, ours, 0)));
        let b = set(&key, both.chain(only(2000, theirs, 1)));
        let naive = |x: &HeadSet, y: &HeadSet| {
            let all = |set: &HeadSet| -> BTreeSet<(DeviceId, u64)> {
                set.frontier().chains.iter().map(|head| (head.device, head.seq)).collect()
            };
            all(x).difference(&all(y)).copied().collect::<BTreeSet<_>>()
        };
        let (found, taken) = compare(&a, &b, step, SYMBOLS_MAX).expect("no bound is near");
        let named = |set: &HeadSet, items: &[HeadItem]| -> BTreeSet<(DeviceId, u64)> {
            items.iter().map(|item| (set.head(item.chain()).unwrap().device, u64::from(item.seq()))).collect()
        };
        prop_assert_eq!(named(&a, &found.ours), naive(&a, &b));
        prop_assert_eq!(named(&b, &found.theirs), naive(&b, &a));
        prop_assert_eq!((found.ours.len(), found.theirs.len()), (ours as usize, theirs as usize));
        // Twice the paper's mean and some for small ones.
        let items = (ours + theirs) as usize;
        prop_assert!(taken <= items * 3 + 40 + step, "{taken} symbols for {items}");
    }

    #[test]
    fn garbage_ends_within_its_bound(
        session: u64,
        own in 0_u64..300,
        max in 1_u32..2000,
        seed: u64,
        kinds in prop::collection::vec(0_u8..4, 1..40),
    ) {
        let key = key(session);
        let ours = set(&key, (0..own).map(|n| head(n, 1, 0)));
        let mut decoder = ours.decoder(max);
        let mut honest = set(&key, (0..own + 50).map(|n| head(n, 2, 0))).encoder();
        let mut lone = Encoder::new(&key, [key.item(ChainName([9; 6]), &head(9, 9, 9)).unwrap()]);
        for (n, kind) in (0_u64..).zip(kinds) {
            let mut random = [0; Symbol::LEN * 100];
            blake3::Hasher::new().update(&(seed ^ n).to_le_bytes()).finalize_xof().fill(&mut random);
            let symbols = match kind {
                0 => Symbol::decode(&random).unwrap(),
                // The same item as the only one everywhere.
                1 => vec![lone.clone().symbols(1)[0]; 100],
                2 => lone.symbols(100),
                _ => honest.symbols(100),
            };
            match decoder.take(&symbols) {
                Ok(Some(difference)) => {
                    prop_assert!(difference.ours.len() + difference.theirs.len() <= decoder.taken());
                }
                Ok(None) => {}
                Err(RatelessError::TooMany | RatelessError::Contradiction) => break,
                Err(error) => panic!("{error}"),
            }
            prop_assert!(decoder.taken() <= max as usize);
        }
    }

    #[test]
    fn symbols_read_what_they_wrote(bytes: Vec<u8>) {
        match Symbol::decode(&bytes) {
            Ok(symbols) => prop_assert_eq!(Symbol::encode(&symbols), bytes),
            Err(error) => {
                prop_assert_eq!(error, RatelessError::Malformed);
                prop_assert_ne!(bytes.len() % Symbol::LEN, 0);
            }
        }
    }
}

#[test]
fn who_lacks_what_is_told_in_the_direction_it_is() {
    let key = key(1);
    let same = (0..300).map(|n| head(n, 4, 0));
    // 1000: only here. 1001: longer here. 1002: longer there. 1003: only there. 1004: a fork at one number.
    let ours = [head(1000, 1, 0), head(1001, 9, 0), head(1002, 2, 0), head(1004, 5, 0)];
    let theirs = [head(1001, 3, 0), head(1002, 8, 0), head(1003, 6, 0), head(1004, 5, 1)];
    let (a, b) = (set(&key, same.clone().chain(ours)), set(&key, same.chain(theirs)));
    let (found, _) = compare(&a, &b, 8, 300).unwrap();
    let mut lacks = a.lacks(&found).unwrap();
    lacks.sort_by_key(|lack| lack.seq);
    let name = |n| key.name(&head(n, 1, 0).device).0;
    let expected = [(1003, 0), (1002, 2), (1004, 5)].map(|(n, seq)| Lack { chain: name(n), seq });
    assert_eq!(lacks, expected);
}

#[test]
fn two_heads_of_one_chain_are_a_contradiction() {
    let key = key(2);
    let ours = set(&key, []);
    let name = key.name(&head(1, 1, 0).device);
    let items = [1, 2].map(|seq| key.item(name, &head(1, seq, 0)).unwrap());
    let difference = ours.decoder(64).take(&Encoder::new(&key, items).symbols(64)).unwrap().unwrap();
    assert_eq!(difference.theirs.len(), 2);
    assert_eq!(ours.lacks(&difference), Err(RatelessError::Contradiction));
}

#[test]
fn another_conversation_has_other_names_and_symbols() {
    let heads = || (0..10).map(|n| head(n, 1, 0));
    let (a, b) = (set(&key(3), heads()), set(&key(4), heads()));
    assert_ne!(a.encoder().symbols(1), b.encoder().symbols(1));
    assert!(compare(&a, &b, 16, 64).is_none());
    assert!(b.head(key(3).name(&head(1, 1, 0).device)).is_none());
}

#[test]
fn what_has_no_symbols_says_so() {
    for seq in [0, 1 << 32] {
        let frontier = Frontier { log: log(), chains: vec![head(1, seq, 0)] };
        assert_eq!(HeadSet::new(key(5), frontier).err(), Some(RatelessError::NoSymbols));
    }
}

#[test]
fn how_many_symbols_are_sent_is_bounded() {
    assert_eq!(symbols_max(3, 9), SYMBOLS_MIN);
    assert_eq!(symbols_max(10_000, 9), 10_000);
    assert_eq!(symbols_max(9, u32::MAX), SYMBOLS_MAX);
    assert_eq!(first_symbols(0, 0, 300), 32);
    assert_eq!(first_symbols(100, 0, 10_000), 166);
    assert_eq!(first_symbols(u64::MAX, u32::MAX, 300), 300);
    assert_eq!(next_symbols(166, 10_000), Some(83));
    assert_eq!(next_symbols(290, 300), Some(10));
    assert_eq!(next_symbols(300, 300), None);
    assert_eq!(next_symbols(301, 300), None);
}

/// 10,000 authors, 100 events missing over 50 of them: two items for each. The bound on bytes holds for nineteen
/// conversations in twenty with what is sent at first, whichever side is behind.
#[test]
fn a_hundred_events_over_fifty_of_ten_thousand_authors() {
    let (mut taken, mut lacking) = (Vec::new(), 0);
    for session in 0..40 {
        let key = key(100 + session);
        let behind = set(&key, (0..10_000).map(|n| head(n, 20, 0)));
        let ahead = set(&key, (0..10_000).map(|n| head(n, if n % 200 == 0 { 22 } else { 20 }, 0)));
        let (found, symbols) = compare(&behind, &ahead, 1, 10_000).unwrap();
        assert_eq!((found.ours.len(), found.theirs.len()), (50, 50));
        lacking = postcard::to_allocvec(&behind.lacks(&found).unwrap()).unwrap().len();
        taken.push(symbols);
    }
    taken.sort_unstable();
    println!("symbols: {}, {}, {}; lacks: {lacking} bytes", taken[0], taken[20], taken[39]);
    assert!(taken[37] <= first_symbols(100, 0, 10_000) as usize, "{taken:?}");
    assert!(first_symbols(100, 0, 10_000) as usize * Symbol::LEN + lacking + 200 < 4000);

    let key = key(99);
    let frontier = |more: u64| -> Frontier {
        let mut chains: Vec<_> =
            (0..10_000).map(|n| head(n, if n % 200 == 0 { 20 + more } else { 20 }, 0)).collect();
        chains.sort_unstable_by_key(|head| head.device);
        Frontier { log: log(), chains }
    };
    let (ours, theirs) = (frontier(0), frontier(2));
    // The least of several runs, since others use the machine too.
    let (mut sender, mut receiver) = (Duration::MAX, Duration::MAX);
    for _ in 0..10 {
        let (ours, theirs) = (ours.clone(), theirs.clone());
        let start = Instant::now();
        let symbols = HeadSet::new(key.clone(), theirs).unwrap().encoder().symbols(200);
        sender = sender.min(start.elapsed());
        let start = Instant::now();
        let ours = HeadSet::new(key.clone(), ours).unwrap();
        let difference = ours.decoder(10_000).take(&symbols).unwrap().unwrap();
        receiver = receiver.min(start.elapsed());
        assert_eq!(difference.theirs.len(), 50);
    }
    println!("sender {sender:?}, receiver {receiver:?}");
}
