use super::*;
use proptest::prelude::*;

const VAULT: VaultId = VaultId([9; 16]);

/// SplitMix64: each seed another stream.
struct Stream(u64);

impl Entropy for Stream {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (mixed ^ (mixed >> 31)) as u8;
        }
    }
}

fn key() -> RecoveryKey {
    RecoveryKey(Secret::generate(|key| key.iter_mut().zip(0..).for_each(|(byte, at)| *byte = at)))
}

fn split(threshold: u8, count: u8, seed: u64) -> Vec<RecoveryShare> {
    key().split(&VAULT, threshold, count, &mut Stream(seed)).ok().unwrap()
}

fn text(share: &RecoveryShare) -> String {
    String::from_utf8(share.expose_text().expose_secret().to_vec()).unwrap()
}

fn error(shares: &[RecoveryShare]) -> RecoveryError {
    RecoveryKey::join(shares).err().unwrap()
}

/// The same share with another value, and the checksum that belongs to it: what a false keeper would hand in.
fn forged(share: &RecoveryShare) -> RecoveryShare {
    let mut value = *share.value();
    value[0] ^= 1;
    RecoveryShare::new(*share.set(), share.number(), share.check(), Secret::take(&mut value))
}

/// The document's vectors, joined by arithmetic of its own: a schoolbook product in GF(2^8) modulo
/// x^8 + x^4 + x^3 + x + 1, and Lagrange's formula at 0.
#[test]
fn published_vectors() {
    fn product(mut a: u16, b: u8) -> u8 {
        let mut sum = 0;
        for bit in 0..8 {
            if b >> bit & 1 == 1 {
                sum ^= a;
            }
            a <<= 1;
            if a & 0x100 != 0 {
                a ^= 0x11b;
            }
        }
        sum as u8
    }
    let inverse = |a: u8| (1..=255).find(|b| product(a.into(), *b) == 1).unwrap();
    let document = include_str!("../../../../docs/format/recovery-share.md");
    let block = document.split("```shares\n").nth(1).unwrap().split("```").next().unwrap();
    let texts: Vec<&str> = block.split("\n\n").collect();
    assert_eq!(texts.len(), 3);
    let shares: Vec<_> = texts.iter().map(|text| RecoveryShare::parse(text).ok().unwrap()).collect();
    for (share, text) in shares.iter().zip(&texts) {
        assert!(share.is_of(&VAULT));
        assert!(!share.is_of(&VaultId([8; 16])));
        assert_eq!(self::text(share).trim_end(), text.trim_end());
    }
    for pair in [[0, 1], [0, 2], [1, 2]] {
        let [a, b] = pair.map(|at| &shares[at]);
        let (x, y) = (a.number(), b.number());
        let (la, lb) = (product(y.into(), inverse(x ^ y)), product(x.into(), inverse(x ^ y)));
        let by_hand: Vec<u8> = a
            .value()
            .iter()
            .zip(b.value())
            .map(|(va, vb)| product((*va).into(), la) ^ product((*vb).into(), lb))
            .collect();
        assert_eq!(by_hand, (0..32).collect::<Vec<u8>>());
        let pair = pair.map(|at| RecoveryShare::parse(texts[at]).ok().unwrap());
        assert_eq!(RecoveryKey::join(&pair).ok().unwrap().0.expose_secret().as_slice(), by_hand);
    }
}

#[test]
fn a_joined_key_opens_what_the_whole_one_wrapped() {
    let kek = Secret::take(&mut [7; 32]);
    let wrapped = RecoverySource::new(key(), VAULT).wrap(&kek, &mut Stream(1)).unwrap();
    let joined = RecoveryKey::join(&split(3, 5, 2)[1..4]).ok().unwrap();
    let opened = RecoverySource::new(joined, VAULT).unwrap(&wrapped).ok().unwrap();
    assert_eq!(opened.expose_secret(), &[7; 32]);
    let other =
        RecoverySource::new(RecoveryKey::generate(&mut Stream(3)), VAULT).unwrap(&wrapped).err().unwrap();
    assert!(matches!(other, SourceError::Refused { kind: SourceKind::Recovery, .. }), "{other}");
}

#[test]
fn impossible_splits_are_refused() {
    for (threshold, count) in [(0, 0), (0, 5), (1, 1), (1, 5), (6, 5), (255, 254)] {
        let error = key().split(&VAULT, threshold, count, &mut Stream(1)).err().unwrap();
        assert_eq!(error, RecoveryError::Parameters { threshold, count });
    }
    assert_eq!(split(255, 255, 1).len(), 255);
    assert!(RecoveryKey::join(&split(255, 255, 1)).is_ok());
}

#[test]
fn what_does_not_join_is_told_apart() {
    let mut shares = split(3, 5, 1);
    assert_eq!(error(&[]), RecoveryError::Missing { have: 0, need: 2 });
    assert_eq!(error(&shares[..2]), RecoveryError::Missing { have: 2, need: 3 });
    let twice = RecoveryShare::parse(&text(&shares[0])).ok().unwrap();
    shares.truncate(2);
    shares.push(twice);
    assert_eq!(
        error(&shares),
        RecoveryError::Missing { have: 2, need: 3 },
        "one share given twice is one share"
    );

    shares = split(3, 5, 1);
    shares[1] = split(3, 5, 2).remove(1);
    assert_eq!(error(&shares), RecoveryError::OtherSet { number: 2, first: 1 });

    shares = split(3, 5, 1);
    shares.push(forged(&shares[3]));
    assert_eq!(error(&shares), RecoveryError::Conflict { number: 4 });

    shares = split(3, 5, 1);
    shares[3] = forged(&shares[3]);
    assert!(RecoveryKey::join(&shares[..3]).is_ok());
    assert_eq!(error(&shares[1..4]), RecoveryError::WrongShares);
    assert_eq!(error(&shares[..4]), RecoveryError::WrongShare { number: 4 });
    shares[0] = forged(&shares[0]);
    assert_eq!(error(&shares), RecoveryError::WrongShares, "two false ones among five");
}

/// Below the threshold nothing is known: over many splits of one key, a byte of one share takes every value about
/// equally often. With coefficients that are never 0 one value would never come (RUSTSEC-2024-0398).
#[test]
fn a_share_is_uniform() {
    let mut seen = [0u32; 256];
    for seed in 0..800 {
        for byte in split(2, 2, seed * 7919)[0].value().iter().zip(0u8..).map(|(value, key)| value ^ key) {
            seen[usize::from(byte)] += 1;
        }
    }
    assert!(seen.iter().all(|count| (50..=150).contains(count)), "100 of each are expected: {seen:?}");
}

#[test]
fn typed_differently_it_is_the_same_share() {
    let share = &split(2, 3, 1)[0];
    let paper = text(share);
    assert_eq!(paper.lines().count(), 3);
    for typed in [
        paper.to_lowercase(),
        paper.replace(' ', "-"),
        paper.split_whitespace().collect(),
        format!("\n {paper}"),
    ] {
        assert_eq!(RecoveryShare::parse(&typed).ok().unwrap().value(), share.value());
    }
}

#[test]
fn what_was_mistyped_is_told() {
    let paper: String = text(&split(2, 3, 1)[0]).split_whitespace().collect();
    let parse = |text: &str| RecoveryShare::parse(text).err().unwrap();
    let with = |at: usize, letter: &str| {
        let mut changed = paper.clone();
        changed.replace_range(at..at + 1, letter);
        parse(&changed)
    };
    let wrong = |at: usize| if &paper[at..at + 1] == "Q" { "P" } else { "Q" };
    for at in 8..90 {
        assert_eq!(with(at, wrong(at)), ShareError::Typo { position: Some(at + 1) });
    }
    assert_eq!(with(20, "b"), ShareError::Character { position: 21 });
    assert_eq!(with(20, "1"), ShareError::Character { position: 21 });
    assert_eq!(with(0, "X"), ShareError::Foreign);
    assert_eq!(parse(""), ShareError::Foreign);
    assert_eq!(parse(&paper[..89]), ShareError::Length { len: 89 });
    assert_eq!(parse(&format!("{paper}qq")), ShareError::Length { len: 92 });
    let two = paper.replace(&paper[30..32], if &paper[30..31] == "Q" { "PP" } else { "QQ" });
    assert!(matches!(parse(&two), ShareError::Typo { .. }));
    assert!(parse(&"ü".repeat(90)).to_string().contains("character 1 (group 1)"));
}

proptest! {
    #[test]
    fn any_threshold_of_the_shares_join(
        threshold in 2..12u8, more in 0..8u8, seed: u64, order in any::<prop::sample::Index>(),
    ) {
        let mut shares = split(threshold, threshold + more, seed);
        let by = order.index(shares.len());
        shares.rotate_left(by);
        prop_assert_eq!(error(&shares[..usize::from(threshold) - 1]), RecoveryError::Missing {
            have: usize::from(threshold) - 1, need: usize::from(threshold),
        });
        for have in usize::from(threshold)..=shares.len() {
            let joined = RecoveryKey::join(&shares[..have]).ok().unwrap();
            let whole = key();
            prop_assert_eq!(joined.0.expose_secret(), whole.0.expose_secret());
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Up to four wrong characters are always found.
    #[test]
    fn four_typos_are_found(changes in prop::collection::btree_map(8..90usize, 1..32usize, 1..=4)) {
        let mut paper: Vec<u8> =
            text(&split(2, 3, 1)[0]).split_whitespace().collect::<String>().to_ascii_lowercase().into_bytes();
        let alphabet = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
        for (at, by) in changes {
            let old = alphabet.iter().position(|letter| *letter == paper[at]).unwrap();
            paper[at] = alphabet[(old + by) % 32];
        }
        let typed = String::from_utf8(paper).unwrap();
        let found = matches!(RecoveryShare::parse(&typed).err(), Some(ShareError::Typo { .. }));
        prop_assert!(found);
    }
}

proptest! {
    #[test]
    fn any_text_is_an_error_or_one_share(typed in "(TCSHARE1|tcshare1)?[ac-hj-np-z02-9 bio1-]{0,100}|.{0,120}") {
        if let Ok(share) = RecoveryShare::parse(&typed) {
            prop_assert!(RecoveryShare::parse(&text(&share)).is_ok());
        }
    }
}
