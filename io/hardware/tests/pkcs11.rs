//! The PKCS#11 source against SoftHSM 2, a real PKCS#11 module whose tokens are files, here in a temporary folder.
//!
//! SoftHSM reads the folder from its environment. A program cannot safely change its own while threads may run, so this
//! test is a program that starts itself again with the right one, and has no harness.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that is a program")]

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use terachat_hardware::{Pkcs11Source, Pkcs11Token};
use terachat_vault::{Entropy, MasterKeySource, Secret, SecretBytes, SourceError, SourceKind, VaultId};

const INSIDE: &str = "TERACHAT_TEST_SOFTHSM_MODULE";
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];
const PIN: &str = "correct horse";
const VAULT: VaultId = VaultId([9; 16]);

fn main() -> ExitCode {
    if let Some(module) = std::env::var_os(INSIDE) {
        inside(Path::new(&module));
        println!("test pkcs11 against SoftHSM ... ok");
        return ExitCode::SUCCESS;
    }
    let Some(module) = MODULES.into_iter().find(|module| Path::new(module).exists()) else {
        println!("SKIPPED pkcs11: SoftHSM is not installed. Next: apt-get install softhsm2");
        return ExitCode::SUCCESS;
    };
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    std::fs::write(
        &configuration,
        format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display()),
    )
    .unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .env("SOFTHSM2_CONF", &configuration)
        .env(INSIDE, module)
        .status()
        .unwrap();
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

struct World {
    module: PathBuf,
    /// Keeps the module started, and gives the test a way to the token of its own.
    pkcs11: Pkcs11,
}

impl World {
    fn new(module: &Path) -> Self {
        let pkcs11 = Pkcs11::new(module).unwrap();
        pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
        Self { module: module.to_owned(), pkcs11 }
    }

    /// A new token with the user's PIN set.
    fn token(&self, label: &str) -> Pkcs11Token {
        let slot = *self.pkcs11.get_slots_with_token().unwrap().last().unwrap();
        let officer = AuthPin::from("security officer");
        self.pkcs11.init_token(slot, &officer, label).unwrap();
        let session = self.pkcs11.open_rw_session(slot).unwrap();
        session.login(UserType::So, Some(&officer)).unwrap();
        session.init_pin(&AuthPin::from(PIN)).unwrap();
        Pkcs11Token { module: self.module.clone(), label: label.to_owned() }
    }
}

fn open(token: &Pkcs11Token, pin: &str, vault: VaultId) -> Result<Pkcs11Source, SourceError> {
    Pkcs11Source::open(token, &SecretBytes::take(pin.into()), vault)
}

#[track_caller]
fn refuses(source: &mut Pkcs11Source, wrapped: &[u8], says: &str) {
    let error = source.unwrap(wrapped).err().unwrap();
    assert!(matches!(error, SourceError::Refused { kind: SourceKind::Pkcs11, .. }), "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

fn inside(module: &Path) {
    let world = World::new(module);
    let (token, other) = (world.token("ours"), world.token("other"));
    a_key_in_the_token_wraps(&token, &other);
    what_is_missing_or_wrong_is_told(&token);
    a_key_that_could_leave_is_not_used(&world, &token);
}

fn a_key_in_the_token_wraps(token: &Pkcs11Token, other: &Pkcs11Token) {
    let mut source = open(token, PIN, VAULT).unwrap();
    let wrapped = source.wrap(&Secret::take(&mut [7; 32]), &mut Counting(0)).unwrap();
    assert_eq!(wrapped.len(), 65);
    assert!(!wrapped.windows(8).any(|part| part == [7; 8]));
    drop(source);
    let mut source = open(token, PIN, VAULT).unwrap();
    assert_eq!(source.unwrap(&wrapped).unwrap().expose_secret(), &[7; 32]);
    // The second wrapping uses the same key: what the first gave still opens.
    let second = source.wrap(&Secret::take(&mut [8; 32]), &mut Counting(99)).unwrap();
    assert_eq!(source.unwrap(&second).unwrap().expose_secret(), &[8; 32]);
    assert_eq!(source.unwrap(&wrapped).unwrap().expose_secret(), &[7; 32]);
    for at in 0..wrapped.len() {
        let mut changed = wrapped.clone();
        changed[at] ^= 1;
        refuses(
            &mut source,
            &changed,
            if at < 5 { "not a key that an HSM wrapped" } else { "bytes were changed" },
        );
    }
    refuses(&mut source, &wrapped[..64], "not a key that an HSM wrapped");

    let mut neighbour = open(token, PIN, VaultId([8; 16])).unwrap();
    refuses(&mut neighbour, &wrapped, "no key for this vault");
    neighbour.wrap(&Secret::take(&mut [7; 32]), &mut Counting(0)).unwrap();
    refuses(&mut neighbour, &wrapped, "bytes were changed");
    let mut stranger = open(other, PIN, VAULT).unwrap();
    refuses(&mut stranger, &wrapped, "is it another token?");
    stranger.wrap(&Secret::take(&mut [7; 32]), &mut Counting(0)).unwrap();
    refuses(&mut stranger, &wrapped, "another token's key");
}

fn what_is_missing_or_wrong_is_told(token: &Pkcs11Token) {
    let says = |result: Result<Pkcs11Source, SourceError>, says: &str| {
        let error = result.err().unwrap();
        assert!(error.to_string().contains(says), "{error}");
        assert!(!error.to_string().contains("battery"), "the PIN is in the message");
    };
    says(open(token, "battery staple", VAULT), "the PIN is wrong");
    says(open(&Pkcs11Token { label: "absent".into(), ..token.clone() }, PIN, VAULT), "no token is labelled");
    says(
        open(&Pkcs11Token { module: "/nowhere.so".into(), ..token.clone() }, PIN, VAULT),
        "not a PKCS#11 module",
    );
}

fn a_key_that_could_leave_is_not_used(world: &World, token: &Pkcs11Token) {
    let vault = VaultId([5; 16]);
    let mut source = open(token, PIN, vault).unwrap();
    let slots = world.pkcs11.get_slots_with_token().unwrap();
    let ours = |slot: &&_| world.pkcs11.get_token_info(**slot).unwrap().label().trim_end() == token.label;
    let session = world.pkcs11.open_rw_session(*slots.iter().find(ours).unwrap()).unwrap();
    let template = [
        Attribute::Token(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::ValueLen(32.into()),
        Attribute::Id(vault.0.to_vec()),
        Attribute::Label(b"terachat master key".to_vec()),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
    let error = source.wrap(&Secret::take(&mut [7; 32]), &mut Counting(0)).err().unwrap();
    assert!(error.to_string().contains("can be taken out"), "{error}");
}
