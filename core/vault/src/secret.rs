use crate::memory::{Long, Slot, wipe};
use zeroize::Zeroize;

/// `N` secret bytes, at most 4096: a key, a seed, a passphrase's digest.
///
/// In pinned memory ([`crate::memory`]): locked, left out of core dumps, zeroized on drop. Moving the value moves a
/// pointer and leaves no copy on the stack. Without `Debug`, `Display`, `Serialize` or `Clone`. Whoever needs a second
/// copy says so with [`Secret::duplicate_secret`]; whoever needs the bytes says so with [`Secret::expose_secret`].
pub struct Secret<const N: usize>(Slot);

impl<const N: usize> Secret<N> {
    /// Takes the bytes over and wipes the caller's copy.
    pub fn take(bytes: &mut [u8; N]) -> Self {
        let secret = Self::generate(|out| out.copy_from_slice(bytes));
        bytes.zeroize();
        secret
    }

    /// A fresh secret, filled in place by `fill` (a random source, a key derivation).
    pub fn generate(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut slot = Slot::new(N);
        fill(slot.first_chunk_mut().expect("a slot is at least as long as was asked for"));
        Self(slot)
    }

    /// The bytes themselves. Never log, format or store what this gives unsealed.
    pub fn expose_secret(&self) -> &[u8; N] {
        self.0.first_chunk().expect("a slot is at least as long as was asked for")
    }

    /// A second copy of the same secret, zeroized on its own drop.
    pub fn duplicate_secret(&self) -> Self {
        Self::generate(|out| out.copy_from_slice(self.expose_secret()))
    }
}

/// Secret bytes of any length: decrypted key rings, exported group state. The same promises as [`Secret`] up to 4096
/// bytes. Longer ones have pages of their own, which are wiped and left out of core dumps, and locked up to 256 KiB if
/// the system allows it.
pub struct SecretBytes {
    home: Home,
    /// Where in the home they begin.
    start: usize,
    len: usize,
}

enum Home {
    Slot(Slot),
    Pages(Long),
}

impl SecretBytes {
    /// Takes the bytes over and wipes where they were, spare capacity too.
    pub fn take(mut bytes: Vec<u8>) -> Self {
        let secret = Self::generate(bytes.len(), |out| out.copy_from_slice(&bytes));
        // Within the capacity, so this moves nothing.
        bytes.resize(bytes.capacity(), 0);
        wipe(&mut bytes);
        secret
    }

    /// A copy of bytes whose own wiping is somebody else's care.
    pub fn copy_from(bytes: &[u8]) -> Self {
        Self::generate(bytes.len(), |out| out.copy_from_slice(bytes))
    }

    /// Fresh secret bytes, filled in place by `fill`. They never grow, so they never leave a copy behind.
    pub fn generate(len: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut secret = Self { home: Home::new(len), start: 0, len };
        fill(secret.bytes_mut());
        secret
    }

    /// The bytes themselves. Never log, format or store what this gives unsealed.
    pub fn expose_secret(&self) -> &[u8] {
        match &self.home {
            Home::Slot(slot) => &slot[self.start..self.start + self.len],
            Home::Pages(pages) => &pages[self.start..self.start + self.len],
        }
    }

    /// Without the first `count` bytes, or without any when there are fewer. Nothing is copied; what is no longer shown is
    /// wiped when the rest is.
    #[must_use]
    pub fn without_front(mut self, count: usize) -> Self {
        let count = count.min(self.len);
        self.start += count;
        self.len -= count;
        self
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.home {
            Home::Slot(slot) => &mut slot[self.start..self.start + self.len],
            Home::Pages(pages) => &mut pages[self.start..self.start + self.len],
        }
    }

    /// Forgets what is beyond `len`; it is wiped when the rest is.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl Home {
    fn new(len: usize) -> Self {
        if len <= Slot::LEN_MAX { Self::Slot(Slot::new(len)) } else { Self::Pages(Long::new(len)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_wipes_the_source() {
        let mut bytes = [7u8; 32];
        let secret = Secret::take(&mut bytes);
        assert_eq!(bytes, [0; 32]);
        assert_eq!(secret.expose_secret(), &[7; 32]);
    }

    #[test]
    fn bytes_of_every_length_come_back() {
        for len in [0, 1, 32, 33, 4095, 4096, 4097, 70_000, 300_000] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            assert_eq!(SecretBytes::take(bytes.clone()).expose_secret(), bytes);
        }
    }

    #[test]
    fn what_is_left_without_the_front_is_the_rest() {
        for len in [0, 10, 5000] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            for count in [0, 3, len, len + 1] {
                let secret = SecretBytes::copy_from(&bytes).without_front(count).without_front(1);
                assert_eq!(secret.expose_secret(), bytes.get(count + 1..).unwrap_or_default());
            }
        }
    }

    #[test]
    fn secrets_are_neither_debug_nor_clone() {
        // Inherent constants win over the trait's blanket ones, so this compiles to `false` only while the
        // type lacks the trait.
        trait Not {
            const HAS: bool = false;
        }
        impl<T> Not for T {}
        struct Probe<T>(std::marker::PhantomData<T>);
        #[allow(dead_code)]
        impl<T: std::fmt::Debug> Probe<T> {
            const HAS: bool = true;
        }
        struct ProbeClone<T>(std::marker::PhantomData<T>);
        #[allow(dead_code)]
        impl<T: Clone> ProbeClone<T> {
            const HAS: bool = true;
        }
        const { assert!(Probe::<u8>::HAS && ProbeClone::<u8>::HAS, "the probe sees the traits where they exist") };
        const { assert!(!Probe::<Secret<32>>::HAS && !Probe::<SecretBytes>::HAS) };
        const { assert!(!ProbeClone::<Secret<32>>::HAS && !ProbeClone::<SecretBytes>::HAS) };
    }
}
