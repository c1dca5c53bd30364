use crate::{ClientKey, ClusterId, Signature};
use serde::{Deserialize, Serialize};
use terachat_event::DeviceKey;

const ADMISSION: &str = "terachat 2026-11 cluster admission";

/// That a client wants to be admitted: signed, so that nobody is admitted under a key that is another's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The client's key.
    pub client: ClientKey,
    /// The ticket's secret. Used up by this.
    pub ticket: [u8; 32],
    /// By the client's key.
    pub signature: Signature,
}

impl Admission {
    /// The wish of the client that signs.
    pub fn sign(cluster: ClusterId, ticket: [u8; 32], key: &DeviceKey) -> Self {
        let said = [&cluster.0[..], &ticket].concat();
        Self { client: ClientKey(key.id().0), ticket, signature: Signature(key.sign(ADMISSION, &said)) }
    }

    /// Whether it is by the key that is to be admitted, for this cluster.
    pub fn is_signed(&self, cluster: ClusterId) -> bool {
        let said = [&cluster.0[..], &self.ticket].concat();
        terachat_event::verify(&self.client.0, ADMISSION, &said, &self.signature.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    #[test]
    fn an_admission_is_by_the_key_that_is_admitted() {
        let admission = Admission::sign(ClusterId([1; 16]), [2; 32], &key(3));
        assert!(admission.is_signed(ClusterId([1; 16])));
        assert!(!admission.is_signed(ClusterId([2; 16])));
        let mut other = admission.clone();
        other.client = ClientKey(key(4).id().0);
        assert!(!other.is_signed(ClusterId([1; 16])));
        let mut other = admission;
        other.ticket[0] ^= 1;
        assert!(!other.is_signed(ClusterId([1; 16])));
    }
}
