use crate::{
    CipherSuite, Error,
    engine::{Crypto, Seed},
};
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls_traits::{
    crypto::OpenMlsCrypto as _,
    types::{HpkeCiphertext, HpkeConfig},
};
use terachat_vault::{Entropy, Secret, SecretBytes};

const INFO: &[u8] = b"terachat 2026-11 recipient";
/// The stronger of the two: what is handed over opens groups of either suite.
const SUITE: CipherSuite = CipherSuite::XWing;

/// A device that is to be handed something outside of any group, by a key that it made for this one time: HPKE
/// (RFC 9180, base mode) with X-Wing. It proves nothing about who sealed; the caller has that signed.
pub struct Recipient {
    seed: Secret<32>,
}

impl Recipient {
    /// The recipient whose key pair follows from these 32 random bytes.
    pub fn new(seed: Secret<32>) -> Self {
        Self { seed }
    }

    /// The key to seal for it, 1,216 bytes. Whoever publishes it signs it.
    pub fn public_key(&self) -> Vec<u8> {
        self.pair().public
    }

    /// Seals `text` for whoever published `public_key`; `context` is bound and not sent.
    ///
    /// # Errors
    /// [`Error::Malformed`] for what is no such key.
    pub fn seal(
        public_key: &[u8],
        context: &[u8],
        text: &SecretBytes,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, Error> {
        let crypto = Crypto::new(Some(Seed::draw(entropy)));
        crypto
            .hpke_seal(config(), public_key, INFO, context, text.expose_secret())
            .map_err(|_| Error::Malformed("recipient's key"))?
            .tls_serialize_detached()
            .map_err(|error| Error::bug("encoding what is handed over", error))
    }

    /// Opens what was sealed for this key in this context.
    ///
    /// # Errors
    /// [`Error::Malformed`]; [`Error::NotForUs`] for another key or context, or changed bytes.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<SecretBytes, Error> {
        let sealed = HpkeCiphertext::tls_deserialize_exact(sealed)
            .map_err(|_| Error::Malformed("what is handed over"))?;
        Crypto::new(None)
            .hpke_open(config(), &sealed, &self.pair().private, INFO, context)
            .map(SecretBytes::take)
            .map_err(|_| Error::NotForUs)
    }

    fn pair(&self) -> openmls_traits::types::HpkeKeyPair {
        let made = Crypto::new(None).derive_hpke_keypair(config(), self.seed.expose_secret());
        made.expect("the suite is one of ours and the seed long enough")
    }
}

fn config() -> HpkeConfig {
    SUITE.engine().hpke_config()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(u8);

    impl Entropy for Counting {
        fn fill(&mut self, out: &mut [u8]) {
            self.0 += 1;
            out.fill(self.0);
        }
    }

    fn recipient(n: u8) -> Recipient {
        Recipient::new(Secret::take(&mut [n; 32]))
    }

    #[test]
    fn only_the_recipient_opens_it_and_only_in_its_context() {
        let text = SecretBytes::copy_from(b"a secret");
        let key = recipient(1).public_key();
        assert_eq!(key.len(), 1216);
        let mut sealed = Recipient::seal(&key, b"here", &text, &mut Counting(0)).unwrap();
        assert_eq!(recipient(1).open(b"here", &sealed).unwrap().expose_secret(), b"a secret");
        assert!(matches!(recipient(2).open(b"here", &sealed), Err(Error::NotForUs)));
        assert!(matches!(recipient(1).open(b"there", &sealed), Err(Error::NotForUs)));
        let again = Recipient::seal(&key, b"here", &text, &mut Counting(7)).unwrap();
        assert_ne!(sealed, again);
        *sealed.last_mut().unwrap() ^= 1;
        assert!(matches!(recipient(1).open(b"here", &sealed), Err(Error::NotForUs)));
        for len in 0..sealed.len() {
            assert!(recipient(1).open(b"here", &sealed[..len]).is_err(), "{len}");
        }
        for bad in [&b""[..], &key[1..], &[0; 32]] {
            assert!(matches!(Recipient::seal(bad, b"", &text, &mut Counting(0)), Err(Error::Malformed(_))));
        }
    }
}
