//! The process that is dumped.
use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
use std::any::Any;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, Read, Write, stdin, stdout};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use terachat_event::DeviceKey;
use terachat_vault::{
    Algorithm, Entropy, KeyPage, KeyPageAddress, Keyring, MasterKeySource, NONCE_LEN, PassphraseCost,
    PassphraseSource, RECORD_HEAD_LEN, RECORD_OVERHEAD, RecordAddress, RecordHeader, RecordKeyId, SealKey,
    Secret, SecretBytes, derive_key, memory, open_once, open_record, open_with_passphrase, seal_once,
    seal_record, seal_with_passphrase,
};

/// The kernel's randomness, straight into where it is wanted.
struct Kernel(File);

impl Entropy for Kernel {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.read_exact(out).unwrap();
    }
}

/// Tells the parent something; the test harness writes to the same pipe, so lines are marked.
fn say(words: &str) {
    let mut out = stdout().lock();
    writeln!(out, "@{words}").unwrap();
    out.flush().unwrap();
}

/// Tells where a secret is. Never what it is.
fn name(label: &str, bytes: &[u8]) {
    say(&format!("secret {label} {} {}", bytes.as_ptr().addr(), bytes.len()));
}

/// Stands still while the parent looks.
fn stop(at: &str) {
    for range in memory::pinned_ranges() {
        say(&format!("pinned {} {}", range.start, range.end));
    }
    say(&format!("stop {at}"));
    let mut line = String::new();
    stdin().lock().read_line(&mut line).unwrap();
    assert_eq!(line, "go\n");
}

/// The child's way in; without a story, as in a usual run of the tests, there is nothing to tell.
#[test]
fn child() {
    match std::env::var(super::STORY).as_deref() {
        Ok("keeps") => keeps(),
        Ok("leaks") => leaks(),
        Ok("panics") => panics(),
        Ok("refuses") => refuses(),
        Ok("limited") => limited(),
        Ok(other) => panic!("unknown story {other}"),
        Err(_) => {}
    }
}

/// Keys in every form they are kept in.
struct Held {
    key: Secret<32>,
    seed: Secret<32>,
    passphrase: SecretBytes,
    kept: Vec<Box<dyn Any>>,
}

/// Runs `work` so deep in the stack that nothing done between two steps overwrites what it leaves there.
#[inline(never)]
fn deep<R>(work: impl FnOnce() -> R) -> R {
    let gap = black_box(MaybeUninit::<[u8; 128 << 10]>::uninit());
    let done = work();
    black_box(&gap);
    done
}

/// Uses every operation, each followed by `step`.
fn work(entropy: &mut Kernel, step: fn(&str)) -> Held {
    let key: Secret<32> = deep(|| Secret::generate(|out| entropy.fill(out)));
    name("key", key.expose_secret());
    step("generated");

    let mut kept: Vec<Box<dyn Any>> = vec![Box::new(deep(|| key.duplicate_secret()))];
    step("duplicated");

    let derived = deep(|| derive_key("terachat 2026-11 memory dump test", &key, &[b"part", &[1; 2000]]));
    name("derived", derived.expose_secret());
    step("derived");

    for (algorithm, key) in [(Algorithm::ChaCha20Poly1305, &key), (Algorithm::Aes256Gcm, &derived)] {
        let cached = deep(|| SealKey::new(algorithm, key));
        step("made ready");
        // Lengths that take each of the assembler's ways: none, a part of a block, some blocks, many.
        for len in [0, 1, 16, 32, 100, 300, 1000, 70_000] {
            seal_and_open(algorithm, key, &cached, len, step);
        }
        kept.push(Box::new(cached));
    }

    let seed: Secret<32> = Secret::generate(|out| entropy.fill(out));
    name("seed", seed.expose_secret());
    let device = deep(|| DeviceKey::from_seed(&seed));
    step("signer made");
    deep(|| device.sign("terachat 2026-11 memory dump test", b"signed"));
    step("signed");

    let passphrase = SecretBytes::generate(40, |out| entropy.fill(out));
    name("passphrase", passphrase.expose_secret());
    let long = SecretBytes::generate(20_000, |out| entropy.fill(out));
    name("long", &long.expose_secret()[9000..9064]);
    step("long bytes made");
    let cost = PassphraseCost { memory_kib: 1024, passes: 1, lanes: 1 };
    let envelope = deep(|| {
        seal_with_passphrase(passphrase.expose_secret(), cost, seed.expose_secret(), entropy).unwrap()
    });
    step("sealed with a passphrase");
    let opened = deep(|| open_with_passphrase(passphrase.expose_secret(), &envelope).ok().unwrap());
    step("opened with a passphrase");
    assert!(deep(|| open_with_passphrase(b"wrong", &envelope).is_err()));

    let source = || SecretBytes::generate(40, |out| out.copy_from_slice(passphrase.expose_secret()));
    let mut source = PassphraseSource::new(source(), cost);
    let wrapped = deep(|| source.wrap(&key, entropy).unwrap());
    let unwrapped = deep(|| source.unwrap(&wrapped).ok().unwrap());
    step("wrapped and unwrapped");
    kept.extend(hierarchy(entropy, &mut source, step));
    kept.extend([Box::new(derived) as Box<dyn Any>, Box::new(device), Box::new(long), Box::new(opened)]);
    kept.extend([Box::new(source) as Box<dyn Any>, Box::new(unwrapped)]);
    Held { key, seed, passphrase, kept }
}

/// A vault's keys from the keyring down to a record's, made, sealed, opened and destroyed.
fn hierarchy(entropy: &mut Kernel, source: &mut PassphraseSource, step: fn(&str)) -> Vec<Box<dyn Any>> {
    let mut keyring = deep(|| Keyring::generate("dumped", entropy));
    let id = deep(|| keyring.create_collection("faces", Algorithm::Aes256Gcm, 1, entropy));
    deep(|| keyring.guard(source, entropy).unwrap());
    name("audit seed", keyring.audit_seed().expose_secret());
    name("dek", keyring.collection(&id).unwrap().dek(1).unwrap().root.expose_secret());
    step("keyring made");
    let sealed = deep(|| keyring.seal(entropy).unwrap());
    step("keyring sealed");
    let reopened = deep(|| Keyring::open(&sealed, source).unwrap());
    step("keyring opened");

    let root = &keyring.collection(&id).unwrap().dek(1).unwrap().root;
    let address = KeyPageAddress { collection: id, generation: 1, page: 0 };
    let page = deep(|| KeyPage::generate(entropy));
    let slot = deep(|| page.key(7).unwrap());
    name("slot", slot.expose_secret());
    step("page made");
    let content = SecretBytes::generate(2048, |out| entropy.fill(out));
    name("content", &content.expose_secret()[1000..1064]);
    let at = RecordAddress { collection: id, record: [2; 16], version: 3 };
    let key = RecordKeyId { generation: 1, page: 0, slot: 7 };
    for algorithm in [Algorithm::ChaCha20Poly1305, Algorithm::Aes256Gcm] {
        let header = RecordHeader { algorithm, compressed: false, key };
        let record = deep(|| seal_record(&slot, &header, &at, content.expose_secret(), entropy));
        step("record sealed");
        let (_, opened) = deep(|| open_record(&slot, &at, &record).unwrap());
        step("record opened");
        assert!(opened.expose_secret() == content.expose_secret());
        // The same under the page, where the slot's key is at no time a value of its own.
        let text = RECORD_HEAD_LEN..RECORD_HEAD_LEN + 2048;
        let mut record = vec![0; 2048 + RECORD_OVERHEAD];
        record[text].copy_from_slice(content.expose_secret());
        assert!(deep(|| page.seal_record(&header, &at, &mut record, entropy)));
        step("record sealed under its page");
        let opened = deep(|| page.open_record(&header, &at, &record).unwrap().unwrap());
        step("record opened under its page");
        assert!(opened.expose_secret() == content.expose_secret());
    }
    let punctured = deep(|| page.puncture(&[8], entropy));
    step("page punctured");
    let stored = deep(|| punctured.seal(Algorithm::Aes256Gcm, root, &address, entropy));
    let read = deep(|| KeyPage::open(Algorithm::Aes256Gcm, root, &address, &stored).unwrap());
    step("page sealed and opened");
    assert!(read.key(8).is_none() && read.key(7).unwrap().expose_secret() == slot.expose_secret());
    vec![
        Box::new(keyring),
        Box::new(reopened),
        Box::new(page),
        Box::new(read),
        Box::new(slot),
        Box::new(content),
    ]
}

fn seal_and_open(algorithm: Algorithm, key: &Secret<32>, cached: &SealKey, len: usize, step: fn(&str)) {
    let nonce = [7; NONCE_LEN];
    let (mut sealed, mut once) = (vec![1; len], vec![1; len]);
    deep(|| cached.seal(&nonce, b"aad", &mut sealed));
    step("sealed");
    deep(|| seal_once(algorithm, key, &nonce, b"aad", &mut once));
    step("sealed once");
    assert_eq!(sealed, once);
    assert_eq!(deep(|| cached.open(&nonce, b"aad", &sealed).unwrap()), vec![1; len]);
    step("opened");
    assert!(deep(|| cached.open(&nonce, b"other", &sealed).is_err()));
    step("refused");
    assert_eq!(deep(|| open_once(algorithm, key, &nonce, b"aad", &mut once)), Ok(len));
    step("opened once");
}

fn keeps() {
    memory::reserve(memory::Policy::Require, memory::CHUNK_LEN).unwrap();
    let held = work(&mut Kernel(File::open("/dev/urandom").unwrap()), stop);
    assert!(!held.kept.is_empty());
    stop("held");
    deep(|| drop(held));
    stop("dropped");
}

/// The ways in which keys get out, one after the other: the parent must see each.
fn leaks() {
    let key: Secret<32> = Secret::generate(|out| Kernel(File::open("/dev/urandom").unwrap()).fill(out));
    name("key", key.expose_secret());
    let heap = black_box(Box::new(*key.expose_secret()));
    stop("whole-key-on-the-heap");
    drop(heap);
    stop("freed-and-not-wiped");
    let part = black_box(key.expose_secret()[11..20].to_vec());
    stop("a-few-bytes-of-it");
    drop(part);
    drop(key);
}

/// A panic in the middle of the work, with everything held.
fn panics() {
    memory::reserve(memory::Policy::Require, memory::CHUNK_LEN).unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let held = work(&mut Kernel(File::open("/dev/urandom").unwrap()), |_| {});
        let inner = catch_unwind(AssertUnwindSafe(|| {
            deep(|| {
                memory::burn_after::<{ memory::HASH_DEPTH }, ()>(|| {
                    let copies = black_box([*held.key.expose_secret(); 8]);
                    panic!("{} copies of a key are on the stack", black_box(&copies).len());
                });
            });
        }));
        assert!(inner.is_err());
        stop("unwound within");
        let made: Secret<32> = Secret::generate(|out| {
            out.copy_from_slice(held.seed.expose_secret());
            panic!("a key of {} bits, in the making", held.passphrase.expose_secret().len());
        });
        drop((made, held.key));
    }));
    assert!(caught.is_err());
    stop("unwound");
}

fn refuses() {
    memory::refuse_dumps().unwrap();
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    assert_eq!(getrlimit(Resource::Core).current, Some(0));
    stop("refused");
}

/// Under a limit that the parent set: `Require` says so, and more than the limit goes on unpinned and is told.
fn limited() {
    let error = memory::reserve(memory::Policy::Require, 1 << 20).unwrap_err();
    say(&format!("error {error}"));
    assert_eq!(memory::status(), memory::Status::default(), "nothing is kept of what failed");
    let secrets: Vec<Secret<1024>> =
        (0..500).map(|n| Secret::generate(|out| out.fill(low_byte(n)))).collect();
    assert!(secrets.iter().enumerate().all(|(n, secret)| secret.expose_secret() == &[low_byte(n); 1024]));
    let status = memory::status();
    say(&format!("status {} {}", status.pinned_len, status.unpinned_len));
    assert!(!status.is_pinned());
    stop("limited");
}

fn low_byte(number: usize) -> u8 {
    number.to_le_bytes()[0]
}
