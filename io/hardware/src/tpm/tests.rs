use super::swtpm::{Swtpm, Wiretap, copy_state, is_installed};
use super::*;
use terachat_vault::{
    CounterError, Entropy, Freshness, MasterKeySource, RollbackCounter, RollbackError, Secret, SourceError,
    SourceKind, VaultId, settle,
};
use tss_esapi::handles::PcrHandle;
use tss_esapi::structures::{Digest, DigestValues, SensitiveData};

const VAULT: VaultId = VaultId([9; 16]);

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

fn key(byte: u8) -> Secret<32> {
    Secret::take(&mut [byte; 32])
}

fn source(tcti: &str, pcrs: &[u8]) -> TpmSource {
    TpmSource::new(tcti, VAULT, pcrs).unwrap()
}

fn wrap(tcti: &str, pcrs: &[u8]) -> Vec<u8> {
    source(tcti, pcrs).wrap(&key(7), &mut Counting(0)).unwrap()
}

#[track_caller]
fn opens(tcti: &str, wrapped: &[u8]) {
    assert_eq!(source(tcti, &[]).unwrap(wrapped).unwrap().expose_secret(), &[7; 32]);
}

#[track_caller]
fn refuses(tcti: &str, wrapped: &[u8], says: &str) {
    let error = source(tcti, &[]).unwrap(wrapped).err().unwrap();
    assert!(matches!(error, SourceError::Refused { kind: SourceKind::Tpm, .. }), "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn a_key_is_sealed_to_the_chip() {
    if !is_installed("a_key_is_sealed_to_the_chip") {
        return;
    }
    let (state, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let chip = Swtpm::start(state.path());
    let wrapped = wrap(&chip.tcti(), &[]);
    opens(&chip.tcti(), &wrapped);
    let error = TpmSource::new(&chip.tcti(), VaultId([8; 16]), &[]).unwrap().unwrap(&wrapped).err().unwrap();
    assert!(error.to_string().contains("another key"), "{error}");
    chip.stop();

    let chip = Swtpm::start(state.path());
    opens(&chip.tcti(), &wrapped);
    // Many times over: nothing is left in the chip, which has room for three objects and three sessions.
    for _ in 0..8 {
        opens(&chip.tcti(), &wrapped);
    }
    // Each part: header, lengths, public and private part, wrapped key.
    for at in
        [0, 4, 7, 8, 10, 14, 20, 40, 70, 100, 150, wrapped.len() - 110, wrapped.len() - 60, wrapped.len() - 1]
    {
        let mut changed = wrapped.clone();
        changed[at] ^= 1;
        let error = source(&chip.tcti(), &[]).unwrap(&changed).err().unwrap();
        assert!(matches!(error, SourceError::Refused { .. }), "byte {at}: {error}");
    }
    for len in [0, 4, 11, 12, 100, wrapped.len() - 1] {
        refuses(&chip.tcti(), &wrapped[..len], "not a key that a TPM sealed");
    }
    chip.stop();

    let stranger = Swtpm::start(other.path());
    refuses(&stranger.tcti(), &wrapped, "another chip");
}

#[test]
fn a_key_sealed_to_the_boot_opens_after_the_same_boot_only() {
    if !is_installed("a_key_sealed_to_the_boot_opens_after_the_same_boot_only") {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let chip = Swtpm::start(state.path());
    let (bound, free) = (wrap(&chip.tcti(), &[4, 7]), wrap(&chip.tcti(), &[]));
    opens(&chip.tcti(), &bound);

    let mut measured = DigestValues::new();
    measured.set(HashingAlgorithm::Sha256, Digest::try_from(&[1; 32][..]).unwrap());
    let mut context = Context::new(Connection::parse(&chip.tcti()).unwrap().0).unwrap();
    context
        .execute_with_session(Some(AuthSession::Password), |context| {
            context.pcr_extend(PcrHandle::Pcr7, measured)
        })
        .unwrap();
    drop(context);
    refuses(&chip.tcti(), &bound, "booted otherwise");
    opens(&chip.tcti(), &free);
    // The list of registers is not what protects: without it the object's own policy still asks for them.
    let mut without = bound.clone();
    without[4..8].fill(0);
    refuses(&chip.tcti(), &without, "");
    chip.stop();

    let chip = Swtpm::start(state.path());
    opens(&chip.tcti(), &bound);
    assert!(TpmSource::new(&chip.tcti(), VAULT, &[24]).err().unwrap().to_string().contains("no PCR 24"));
}

#[test]
fn the_bus_shows_no_key() {
    if !is_installed("the_bus_shows_no_key") {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let chip = Swtpm::start(state.path());
    let tap = Wiretap::before(&chip);
    let secret: [u8; 32] = std::array::from_fn(|at| 0xa0 + u8::try_from(at).unwrap());
    let mut other = secret;
    for pcrs in [&[][..], &[7]] {
        let source = source(&tap.tcti(), pcrs);
        let sealed = source.seal(&Secret::take(&mut secret.clone())).unwrap();
        let opened = source.unseal(&sealed).ok().unwrap();
        assert_eq!(opened.expose_secret(), &secret);
    }
    assert!(tap.heard_len() > 2000, "the tap hears: {} bytes", tap.heard_len());
    for part in secret.windows(8) {
        assert!(!tap.has_heard(part));
    }

    // And the tap would have heard it: the same, without a session that encrypts.
    other.reverse();
    let mut chip = Connection::parse(&tap.tcti()).unwrap().open().unwrap();
    let (storage, data) = (chip.storage, SensitiveData::try_from(&other[..]).unwrap());
    let template = source::sealed_object(None).unwrap();
    chip.context
        .execute_with_session(Some(AuthSession::Password), |context| {
            context.create(storage, template, None, Some(data), None, None)
        })
        .unwrap();
    assert!(tap.has_heard(&other));
}

#[test]
fn the_counter_counts_exactly_through_power_cuts() {
    if !is_installed("the_counter_counts_exactly_through_power_cuts") {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let mut chip = Swtpm::start(state.path());
    let mut counter = TpmCounter::create(&chip.tcti(), &VAULT, &key(1)).unwrap();
    let mut value = counter.read().unwrap();
    for _ in 0..5 {
        value += 1;
        assert_eq!(counter.advance(), Ok(value));
        assert_eq!(counter.read(), Ok(value));
        chip.kill();
        chip = Swtpm::start(state.path());
        counter = TpmCounter::open(&chip.tcti(), &VAULT, &key(1)).unwrap();
        assert_eq!(counter.read(), Ok(value));
    }
    let says = |result: Result<TpmCounter, CounterError>, text: &str| {
        let error = result.err().unwrap().to_string();
        assert!(error.contains(text), "{error}");
    };
    says(TpmCounter::open(&chip.tcti(), &VAULT, &key(2)), "does not know this vault's secret");
    says(TpmCounter::open(&chip.tcti(), &VaultId([8; 16]), &key(1)), "no counter for this vault");
    says(TpmCounter::create(&chip.tcti(), &VAULT, &key(1)), "already");

    // Whoever owns the chip can delete the counter, but not make one that starts lower.
    TpmCounter::remove(&chip.tcti(), &VAULT).unwrap();
    says(TpmCounter::open(&chip.tcti(), &VAULT, &key(1)), "no counter for this vault");
    let mut again = TpmCounter::create(&chip.tcti(), &VAULT, &key(1)).unwrap();
    assert!(again.read().unwrap() > value);

    // A crash between the two writes of making one, before the vault kept its secret.
    let vault = VaultId([5; 16]);
    let lost = TpmCounter::at(&chip.tcti(), &vault, &key(1)).unwrap();
    lost.reserve(&mut Connection::parse(&chip.tcti()).unwrap().open().unwrap()).unwrap();
    says(TpmCounter::open(&chip.tcti(), &vault, &key(1)), "to its end");
    let mut made = TpmCounter::create(&chip.tcti(), &vault, &key(2)).unwrap();
    let start = made.read().unwrap();
    assert_eq!(made.advance(), Ok(start + 1));
    chip.kill();
    assert!(again.read().unwrap_err().to_string().contains("is there a TPM"));
}

/// What a counter in a virtual chip is worth: the disk set back alone is noticed, the chip set back alone is noticed,
/// both set back together, as a restored virtual machine is, look fresh.
#[test]
fn what_is_noticed_of_a_chip_that_was_set_back() {
    if !is_installed("what_is_noticed_of_a_chip_that_was_set_back") {
        return;
    }
    let (state, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let chip = Swtpm::start(state.path());
    let mut counter = TpmCounter::create(&chip.tcti(), &VAULT, &key(1)).unwrap();
    let old_disk = counter.read().unwrap();
    chip.stop();
    copy_state(state.path(), copy.path());

    let chip = Swtpm::start(state.path());
    let mut counter = TpmCounter::open(&chip.tcti(), &VAULT, &key(1)).unwrap();
    let mut disk = old_disk;
    for _ in 0..3 {
        disk += 1;
        settle(disk, &mut counter).unwrap();
    }
    assert_eq!(Freshness::judge(disk, counter.read().unwrap()), Freshness::Fresh);
    assert_eq!(settle(old_disk, &mut counter), Err(RollbackError::RolledBack { by: 3 }));
    chip.stop();

    let chip = Swtpm::start(copy.path());
    let mut counter = TpmCounter::open(&chip.tcti(), &VAULT, &key(1)).unwrap();
    assert_eq!(settle(disk, &mut counter), Err(RollbackError::CounterSetBack { by: 2 }));
    assert_eq!(settle(old_disk, &mut counter), Ok(()), "not noticed: only other devices can");
}

#[test]
fn a_missing_chip_is_told() {
    let nowhere = "swtpm:host=127.255.255.254,port=1";
    let error = source(nowhere, &[]).wrap(&key(7), &mut Counting(0)).err().unwrap();
    assert!(matches!(error, SourceError::Unavailable { kind: SourceKind::Tpm, .. }), "{error}");
    assert!(TpmCounter::open(nowhere, &VAULT, &key(1)).err().unwrap().to_string().contains("is there a TPM"));
    assert!(
        TpmSource::new("/dev/tpm0", VAULT, &[]).err().unwrap().to_string().contains("device:/dev/tpmrm0")
    );
}
