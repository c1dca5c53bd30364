use terachat_vault::{Entropy, Secret};

/// What opens one file: drawn for it, kept in the message that it belongs to and nowhere else. Whoever destroys it destroys what the
/// file says, wherever its chunks still are.
///
/// Without `Debug` and `Clone`, as every secret.
pub struct FileKey(Secret<32>);

impl FileKey {
    /// A fresh key.
    pub fn draw(entropy: &mut dyn Entropy) -> Self {
        Self(Secret::generate(|out| entropy.fill(out)))
    }

    /// Takes a key over and wipes the caller's copy.
    pub fn take(bytes: &mut [u8; 32]) -> Self {
        Self(Secret::take(bytes))
    }

    /// The bytes themselves, to be sealed into a message.
    pub fn expose_secret(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    pub(crate) fn secret(&self) -> &Secret<32> {
        &self.0
    }
}
