//! A counter outside of the profile guards it against being set back: an older copy of the folder is refused before it can
//! sign a number twice, which would make its chain void (ADR 0003).
use crate::identity::{self, Identity};
use crate::{Client, Error};
use terachat_core_store::LocalStore;
use terachat_core_store::store::Storage;
use terachat_vault::{
    BoxedCounter, CounterError, CounterKind, Entropy, Keyring, MasterKeySource, OPENING_CHECKPOINTS,
    RollbackError, Secret, SecretBytes, VaultId, settle,
};

/// The record that says what the counter has to say.
const CHECKPOINT: &[u8] = b"checkpoint";

/// A counter to be made for a profile: its kind, and what makes it for a keyring and its secret.
pub struct NewCounter<'a> {
    /// Which kind it is.
    pub kind: CounterKind,
    /// Makes it.
    pub make: &'a mut dyn FnMut(VaultId, &Secret<32>) -> Result<BoxedCounter, CounterError>,
}

impl NewCounter<'_> {
    /// Binds it to a keyring whose owner's head says `stored`.
    pub(crate) fn bind(
        self,
        keyring: &mut Keyring,
        stored: u64,
        entropy: &mut dyn Entropy,
    ) -> Result<BoxedCounter, Error> {
        let owner = VaultId(keyring.vault());
        let bound = keyring.bind_counter(self.kind, stored, entropy, |secret| (self.make)(owner, secret));
        Ok(bound.map_err(RollbackError::from)?)
    }
}

/// Between two checkpoints of a device that stays connected, in milliseconds: ten minutes. A TPM's counter stands that for
/// nearly two years without a pause.
const EVERY_MS: u64 = 600_000;

/// A profile's counter, if it has one, and how many checkpoints are to be completed before anything is signed.
#[derive(Default)]
pub(crate) struct Guard {
    counter: Option<BoxedCounter>,
    due: u64,
    checked_ms: Option<u64>,
}

impl Guard {
    /// Refuses a store that was set back. A checkpoint that a crash interrupted is finished.
    pub(crate) fn new(counter: Option<BoxedCounter>, store: &LocalStore) -> Result<Self, Error> {
        let Some(mut counter) = counter else { return Ok(Self::default()) };
        settle(stored(store), counter.as_mut())?;
        Ok(Self { counter: Some(counter), due: OPENING_CHECKPOINTS, checked_ms: None })
    }

    /// Whether checkpoints are to be completed before anything is signed. Then nothing may be deferred.
    pub(crate) fn is_due(&self) -> bool {
        self.due > 0
    }
}

fn stored(store: &LocalStore) -> u64 {
    let value = store.record(CHECKPOINT).and_then(|value| value.try_into().ok());
    value.map_or(0, u64::from_le_bytes)
}

impl Client {
    /// Writes a checkpoint and advances the profile's counter to it, if it has one: what was written before can from now on not
    /// be set back unnoticed. Closing does it, and [`Client::watch`] every ten minutes. One durable commit and one advance.
    ///
    /// # Errors
    /// [`Error::Rollback`] when the counter cannot be used, [`Error::Store`]; everything acknowledged is safe all the same.
    pub fn checkpoint(&mut self) -> Result<(), Error> {
        let Some(counter) = self.guard.counter.as_mut() else { return Ok(()) };
        // One that failed half way is finished first: the counter is never two behind.
        let stored = stored(&self.store);
        settle(stored, counter.as_mut())?;
        let next = SecretBytes::copy_from(&(stored + 1).to_le_bytes());
        self.store.write_records(vec![(CHECKPOINT.to_vec(), Some(next))])?;
        Ok(settle(stored + 1, counter.as_mut())?)
    }

    /// A checkpoint, if something may have been signed and the last one was long ago.
    pub(crate) fn checkpoint_if_due(&mut self, now_ms: u64) -> Result<(), Error> {
        let before = *self.guard.checked_ms.get_or_insert(now_ms);
        if self.guard.due > 0 || now_ms.saturating_sub(before) < EVERY_MS {
            return Ok(());
        }
        self.guard.checked_ms = Some(now_ms);
        self.checkpoint()
    }

    /// Completes what has to be complete before anything is signed. Not on opening, so that a profile on a full disk or beside
    /// a broken chip can still be read.
    pub(crate) fn before_signing(&mut self) -> Result<(), Error> {
        while self.guard.due > 0 {
            self.checkpoint()?;
            self.guard.due -= 1;
        }
        Ok(())
    }
}

/// Gives a profile another counter, or its first one, whatever the old one says: for whoever moves a profile to another
/// machine or lost the counter. Copies of the profile from before do not know the new counter. Nobody else may have the profile
/// open; `keys` and `store` are the same storage.
///
/// # Errors
/// [`Error::NoProfile`], [`Error::Keyring`], [`Error::Rollback`], [`Error::Store`]. The profile is then as it was, but the counter
/// it had may be gone where the new one takes its place: adopt again.
pub fn adopt_profile_counter(
    keys: &mut dyn Storage,
    store: Box<dyn Storage>,
    source: &mut dyn MasterKeySource,
    entropy: Box<dyn Entropy + Send>,
    counter: NewCounter<'_>,
) -> Result<(), Error> {
    let (identity, mut keyring) = Identity::open(keys, source)?;
    let mut store = LocalStore::open(store, &identity.store_key, entropy)?;
    let head = stored(&store);
    counter.bind(&mut keyring, head, store.entropy())?;
    identity::write(keys, &mut keyring, store.entropy())
}
