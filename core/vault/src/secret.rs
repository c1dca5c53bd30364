use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes: a key, a seed, a passphrase's digest.
///
/// Zeroized on drop, kept on the heap so that moving the value leaves no copy on the stack, without `Debug`,
/// `Display`, `Serialize` or `Clone`. Whoever needs a second copy says so with [`Secret::duplicate_secret`];
/// whoever needs the bytes says so with [`Secret::expose_secret`].
#[derive(ZeroizeOnDrop)]
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Takes the bytes over and wipes the caller's copy.
    pub fn take(bytes: &mut [u8; N]) -> Self {
        let mut secret = Self(Box::new([0; N]));
        secret.0.copy_from_slice(bytes);
        bytes.zeroize();
        secret
    }

    /// A fresh secret, filled in place by `fill` (a random source, a key derivation).
    pub fn generate(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self(Box::new([0; N]));
        fill(&mut secret.0);
        secret
    }

    /// The bytes themselves. Never log, format or store what this gives unsealed.
    pub fn expose_secret(&self) -> &[u8; N] {
        &self.0
    }

    /// A second copy of the same secret, zeroized on its own drop.
    pub fn duplicate_secret(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Secret bytes of any length: decrypted key rings, exported group state. The same promises as [`Secret`].
#[derive(ZeroizeOnDrop)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes the bytes over without copying them.
    pub fn take(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves. Never log, format or store what this gives unsealed.
    pub fn expose_secret(&self) -> &[u8] {
        &self.0
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
