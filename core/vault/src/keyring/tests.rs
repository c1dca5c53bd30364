use super::*;
use crate::testing::Counting;
use crate::{PassphraseCost, PassphraseSource, SecretBytes};
use proptest::prelude::*;

fn passphrase(words: &str) -> PassphraseSource {
    PassphraseSource::new(SecretBytes::take(words.into()), PassphraseCost::INSECURE_FAST)
}

fn keyring(entropy: &mut Counting) -> Keyring {
    let mut keyring = Keyring::generate("door", entropy);
    keyring.guard(&mut passphrase("correct horse"), entropy).unwrap();
    keyring.create_collection("faces", Algorithm::Aes256Gcm, 1, entropy);
    keyring.create_collection("tokens", Algorithm::ChaCha20Poly1305, 2, entropy);
    keyring
}

fn reopen(bytes: &[u8]) -> Keyring {
    Keyring::open(bytes, &mut passphrase("correct horse")).unwrap()
}

fn secrets(keyring: &Keyring) -> Vec<[u8; 32]> {
    let deks = keyring.collections().flat_map(|(_, keys)| keys.generations().map(|(_, dek)| &dek.root));
    [&keyring.master, &keyring.kek]
        .into_iter()
        .chain(keyring.secrets.values())
        .chain(deks)
        .map(|secret| *secret.expose_secret())
        .collect()
}

#[test]
fn reads_back_what_was_sealed() {
    let mut entropy = Counting(0);
    let mut before = keyring(&mut entropy);
    let id = before.blind(b"collection", b"faces");
    before.collection_mut(&id).unwrap().add_generation(3, &mut entropy);
    let faces = before.collection_mut(&id).unwrap();
    let renewed = faces.renewed(1, &mut entropy).unwrap();
    assert_eq!(faces.install(1, renewed).unwrap().epoch, 1);
    assert!(faces.renewed(9, &mut entropy).is_none());
    before.keep_secret("store", Secret::take(&mut [9; 32]));
    let after = reopen(&before.seal(&mut entropy).unwrap());
    assert_eq!(secrets(&before), secrets(&after));
    assert_eq!(after.secret("store").unwrap().expose_secret(), &[9; 32]);
    assert!(after.secret("stone").is_none() && after.label() == "door");
    assert_eq!((after.vault(), after.epoch(), after.kek_version()), (before.vault(), 1, 1));
    let faces = after.collection(&id).unwrap();
    assert_eq!((faces.name(), faces.algorithm(), faces.current()), ("faces", Algorithm::Aes256Gcm, 2));
    assert_eq!(
        faces.generations().map(|(n, dek)| (n, dek.epoch, dek.created_ms)).collect::<Vec<_>>(),
        [(1, 2, 1), (2, 1, 3)]
    );
}

#[test]
fn a_copy_for_a_backup_has_the_same_keys_under_another_source() {
    let mut entropy = Counting(0);
    let mut keyring = keyring(&mut entropy);
    let bytes = keyring.seal(&mut entropy).unwrap();
    let guards = Guards::generate(&mut [&mut passphrase("battery staple")], &mut entropy).unwrap();
    let export = keyring.export(&guards, &mut entropy).unwrap();
    assert!(Keyring::open(&export, &mut passphrase("correct horse")).is_err());
    let copy = Keyring::open(&export, &mut passphrase("battery staple")).ok().unwrap();
    assert_eq!((copy.vault(), copy.epoch()), (keyring.vault(), keyring.epoch()));
    assert_eq!(secrets(&copy)[2..], secrets(&keyring)[2..]);
    assert_ne!(secrets(&copy)[..2], secrets(&keyring)[..2]);
    assert_eq!(secrets(&reopen(&bytes)), secrets(&keyring));
}

#[test]
fn a_new_kek_needs_no_source_and_changes_no_dek() {
    let mut entropy = Counting(0);
    let mut keyring = keyring(&mut entropy);
    let before = secrets(&keyring);
    keyring.rotate_kek(&mut entropy);
    let after = reopen(&keyring.seal(&mut entropy).unwrap());
    assert_eq!(after.kek_version(), 2);
    let after = secrets(&after);
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
    assert_eq!(before[2..], after[2..]);
}

#[test]
fn a_new_master_key_leaves_the_old_passphrase_outside() {
    let mut entropy = Counting(0);
    let mut keyring = keyring(&mut entropy);
    keyring.rotate_master(&mut [&mut passphrase("battery staple")], &mut entropy).unwrap();
    let bytes = keyring.seal(&mut entropy).unwrap();
    let error = Keyring::open(&bytes, &mut passphrase("correct horse")).err().unwrap();
    assert!(matches!(error, KeyringError::Source(SourceError::Refused { .. })), "{error}");
    assert_eq!(
        secrets(&Keyring::open(&bytes, &mut passphrase("battery staple")).unwrap()),
        secrets(&keyring)
    );
}

/// A source that has no wish to work.
struct Broken;
impl MasterKeySource for Broken {
    fn kind(&self) -> SourceKind {
        SourceKind::Tpm
    }
    fn wrap(&mut self, _: &Secret<32>, _: &mut dyn Entropy) -> Result<Vec<u8>, SourceError> {
        Err(SourceError::Unavailable { kind: SourceKind::Tpm, reason: "no chip".into() })
    }
    fn unwrap(&mut self, _: &[u8]) -> Result<Secret<32>, SourceError> {
        Err(SourceError::Unavailable { kind: SourceKind::Tpm, reason: "no chip".into() })
    }
}

#[test]
fn a_source_that_fails_changes_nothing_and_the_last_one_stays() {
    let mut entropy = Counting(0);
    let mut keyring = keyring(&mut entropy);
    let before = secrets(&keyring);
    assert!(keyring.guard(&mut Broken, &mut entropy).is_err());
    assert!(keyring.rotate_master(&mut [&mut passphrase("x"), &mut Broken], &mut entropy).is_err());
    assert_eq!(
        keyring.unguard(SourceKind::Passphrase),
        Err(KeyringError::LastSource(SourceKind::Passphrase))
    );
    let not_guarded = KeyringError::NotGuarded(SourceKind::Tpm, vec![SourceKind::Passphrase]);
    assert_eq!(keyring.unguard(SourceKind::Tpm), Err(not_guarded.clone()));
    let bytes = keyring.seal(&mut entropy).unwrap();
    assert_eq!(Keyring::open(&bytes, &mut Broken).err(), Some(not_guarded));
    assert_eq!(secrets(&reopen(&bytes)), before);
}

#[test]
fn the_current_dek_is_not_destroyed() {
    let mut entropy = Counting(0);
    let mut keyring = keyring(&mut entropy);
    let id = keyring.blind(b"collection", b"faces");
    let faces = keyring.collection_mut(&id).unwrap();
    assert!(!faces.destroy(1));
    faces.add_generation(5, &mut entropy);
    assert!(faces.destroy(1) && !faces.destroy(1) && faces.dek(1).is_none());
    assert_eq!(faces.add_generation(6, &mut entropy), 3, "numbers are not used again");
}

proptest! {
    #[test]
    fn damage_is_an_error_and_never_a_panic(flip: prop::sample::Index, bit in 0..8u8, cut: prop::sample::Index) {
        let mut entropy = Counting(0);
        let mut bytes = keyring(&mut entropy).seal(&mut entropy).unwrap();
        // The costs in the passphrase's envelope may legally ask for much work (see its own tests).
        let costs = 8 + 16 + 8 + 4 + 1 + 3 + 8..8 + 16 + 8 + 4 + 1 + 3 + 20;
        let at = flip.index(bytes.len());
        prop_assume!(!costs.contains(&at));
        prop_assert!(Keyring::open(&bytes[..cut.index(bytes.len())], &mut passphrase("correct horse")).is_err());
        bytes[at] ^= 1 << bit;
        prop_assert!(Keyring::open(&bytes, &mut passphrase("correct horse")).is_err());
    }

    #[test]
    fn any_body_is_an_error_or_a_body(bytes: Vec<u8>) {
        let _ = body::read(&bytes);
    }
}
