//! Which counter guards a keyring's owner, kept in the keyring itself: who opens one cannot forget the other.
use super::{CounterError, RollbackCounter};
use crate::{Entropy, Keyring, Secret};

/// Name of the number from which the owner's head counts.
const BASE: &str = "counter base";

/// A counter that is handed from thread to thread.
pub type BoxedCounter = Box<dyn RollbackCounter + Send>;

/// What kinds of counters there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterKind {
    /// A file outside of what it guards: against a folder that was restored, not against a disk that was.
    File,
    /// A TPM's NV counter.
    Tpm,
}

impl CounterKind {
    const ALL: [Self; 2] = [Self::File, Self::Tpm];

    /// The word for people and configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Tpm => "tpm",
        }
    }

    /// The name of the counter's secret in a keyring.
    fn secret(self) -> &'static str {
        match self {
            Self::File => "counter file",
            Self::Tpm => "counter tpm",
        }
    }
}

/// A counter with what it stood at when it was bound: a chip's counters begin above each other, a head's begins at 0.
struct FromBase {
    counter: BoxedCounter,
    base: u64,
}

impl RollbackCounter for FromBase {
    fn read(&mut self) -> Result<u64, CounterError> {
        Ok(self.counter.read()?.wrapping_sub(self.base))
    }

    fn advance(&mut self) -> Result<u64, CounterError> {
        Ok(self.counter.advance()?.wrapping_sub(self.base))
    }
}

impl Keyring {
    /// The kind of counter that guards this keyring's owner, if there is one.
    pub fn counter_kind(&self) -> Option<CounterKind> {
        CounterKind::ALL.into_iter().find(|kind| self.secret(kind.secret()).is_some())
    }

    /// Opens the counter that was bound; `None` when there is none. `open` is given its kind and its secret.
    ///
    /// # Errors
    /// What `open` says.
    pub fn bound_counter(
        &self,
        open: impl FnOnce(CounterKind, &Secret<32>) -> Result<BoxedCounter, CounterError>,
    ) -> Result<Option<BoxedCounter>, CounterError> {
        let Some(kind) = self.counter_kind() else { return Ok(None) };
        let (Some(secret), Some(base)) = (self.secret(kind.secret()), self.secret(BASE)) else {
            let reason =
                "the keyring does not say where its counter began; restore it from a backup".to_owned();
            return Err(CounterError { reason });
        };
        let base = base.expose_secret().first_chunk().map_or(0, |base| u64::from_le_bytes(*base));
        Ok(Some(Box::new(FromBase { counter: open(kind, secret)?, base })))
    }

    /// Binds a fresh counter in the place of the one there was, so that a head that says `stored` is fresh. It counts once
    /// the keyring is sealed and in place; a copy of the old keyring does not know the new counter's secret.
    ///
    /// # Errors
    /// What `make` says, or the counter. The keyring is as it was then.
    pub fn bind_counter(
        &mut self,
        kind: CounterKind,
        stored: u64,
        entropy: &mut dyn Entropy,
        make: impl FnOnce(&Secret<32>) -> Result<BoxedCounter, CounterError>,
    ) -> Result<BoxedCounter, CounterError> {
        let secret = Secret::generate(|secret| entropy.fill(secret));
        let mut counter = make(&secret)?;
        let base = counter.read()?.wrapping_sub(stored);
        self.unbind_counter();
        self.keep_secret(kind.secret(), secret);
        self.keep_secret(BASE, Secret::generate(|bytes| bytes[..8].copy_from_slice(&base.to_le_bytes())));
        Ok(Box::new(FromBase { counter, base }))
    }

    /// Lets go of the counter: for an owner that was put back from a backup on purpose.
    pub fn unbind_counter(&mut self) {
        CounterKind::ALL.into_iter().for_each(|kind| self.forget_secret(kind.secret()));
        self.forget_secret(BASE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Counting;
    use crate::{Freshness, settle};

    struct Chip(u64);

    impl RollbackCounter for Chip {
        fn read(&mut self) -> Result<u64, CounterError> {
            Ok(self.0)
        }

        fn advance(&mut self) -> Result<u64, CounterError> {
            self.0 += 1;
            Ok(self.0)
        }
    }

    #[test]
    fn a_counter_counts_from_where_the_head_was_when_it_was_bound() {
        let mut entropy = Counting(0);
        let mut keyring = Keyring::generate("bound", &mut entropy);
        assert!(keyring.bound_counter(|_, _| unreachable!("there is none")).unwrap().is_none());
        let bound = keyring.bind_counter(CounterKind::Tpm, 7, &mut entropy, |_| Ok(Box::new(Chip(1000))));
        settle(8, bound.unwrap().as_mut()).unwrap();
        assert_eq!(keyring.counter_kind(), Some(CounterKind::Tpm));
        let again = |at| keyring.bound_counter(|_, _| Ok(Box::new(Chip(at)))).unwrap().unwrap();
        for (at, stored, expected) in [
            (1001, 8, Freshness::Fresh),
            (1001, 9, Freshness::Unfinished),
            (1001, 7, Freshness::RolledBack { by: 1 }),
            (1000, 9, Freshness::CounterSetBack { by: 1 }),
        ] {
            assert_eq!(Freshness::judge(stored, again(at).read().unwrap()), expected, "{at} {stored}");
        }
    }

    #[test]
    fn another_binding_takes_the_place_of_the_first_with_another_secret() {
        let mut entropy = Counting(0);
        let mut keyring = Keyring::generate("bound", &mut entropy);
        let mut secrets = Vec::new();
        for kind in [CounterKind::Tpm, CounterKind::File] {
            keyring
                .bind_counter(kind, 0, &mut entropy, |secret| {
                    secrets.push(*secret.expose_secret());
                    Ok(Box::new(Chip(0)))
                })
                .unwrap();
            keyring
                .bound_counter(|known, secret| {
                    assert_eq!((known, secret.expose_secret()), (kind, &secrets[secrets.len() - 1]));
                    Ok(Box::new(Chip(0)))
                })
                .unwrap();
        }
        assert_ne!(secrets[0], secrets[1]);
        let failing = |_: &Secret<32>| Err(CounterError { reason: "no chip".to_owned() });
        assert!(keyring.bind_counter(CounterKind::Tpm, 0, &mut entropy, failing).is_err());
        assert_eq!(keyring.counter_kind(), Some(CounterKind::File), "as it was");
        keyring.unbind_counter();
        assert!(keyring.bound_counter(|_, _| unreachable!("there is none")).unwrap().is_none());
    }
}
