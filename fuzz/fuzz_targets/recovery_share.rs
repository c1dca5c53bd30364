//! Recovery shares as people type them: an error or one share with one text, and a join that never panics. Input: a
//! text for each share, one of them with a checksum that is right, which random bytes would not find.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_fuzz::Counter;
use terachat_vault::{RecoveryKey, RecoveryShare, VaultId};

#[derive(Arbitrary, Debug)]
struct Input {
    texts: Vec<String>,
    threshold: u8,
    count: u8,
    /// Which shares of a real split are handed in, and which character of each is changed to what.
    kept: Vec<(u8, Option<(u8, char)>)>,
}

fuzz_target!(|input: Input| {
    let mut shares: Vec<_> = input.texts.iter().filter_map(|text| RecoveryShare::parse(text).ok()).collect();
    let vault = VaultId([9; 16]);
    let key = RecoveryKey::generate(&mut Counter::default());
    let Ok(split) = key.split(&vault, input.threshold, input.count % 16, &mut Counter::default()) else {
        return;
    };
    let mut distinct = std::collections::BTreeSet::new();
    for (which, change) in input.kept.iter().take(16) {
        let text = split[usize::from(*which) % split.len()].expose_text();
        let mut text: Vec<char> = String::from_utf8_lossy(text.expose_secret()).chars().collect();
        if let Some((at, letter)) = change {
            let at = usize::from(*at) % text.len();
            text[at] = *letter;
        }
        let text: String = text.into_iter().collect();
        if let Ok(share) = RecoveryShare::parse(&text) {
            let again = String::from_utf8(share.expose_text().expose_secret().to_vec()).expect("ASCII");
            let again = RecoveryShare::parse(&again).expect("what was written is read");
            assert_eq!(again.number(), share.number());
            assert!(share.is_of(&vault), "one changed character cannot make another share");
            distinct.insert(share.number());
            shares.push(share);
        }
    }
    let joined = RecoveryKey::join(&shares);
    if input.texts.is_empty() {
        assert_eq!(joined.is_ok(), distinct.len() >= usize::from(input.threshold));
    }
});
