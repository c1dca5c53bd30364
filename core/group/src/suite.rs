use openmls::prelude::Ciphersuite;

/// What a group's keys are agreed on and sealed with (RFC 9420, section 5.1). It is chosen when the group is made and stands
/// in its GroupContext; a device has a key package of its own for each.
///
/// Both sign with Ed25519, hash with SHA-256 and seal with ChaCha20-Poly1305, so a group's messages look the same under
/// either. They differ in how a commit's secrets reach the members. Why these two: `docs/adr/0030-post-quantum.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum CipherSuite {
    /// 0x0003, MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519.
    #[default]
    X25519,
    /// 0x004D, the same with X-Wing (X25519 and ML-KEM-768; draft-connolly-cfrg-xwing-kem): what is recorded today stays
    /// closed to whoever has a quantum computer later. Signatures do not, which takes one while the group is used.
    XWing,
}

impl CipherSuite {
    /// Each of them, the default first.
    pub const ALL: [Self; 2] = [Self::X25519, Self::XWing];

    /// Its number in the registry of suites (RFC 9420, section 17.1).
    pub fn number(self) -> u16 {
        self.engine().into()
    }

    /// The suite of this number; `None` for one that this version does not know.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.number() == number)
    }

    pub(crate) fn engine(self) -> Ciphersuite {
        match self {
            Self::X25519 => Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
            Self::XWing => Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519,
        }
    }

    pub(crate) fn of(engine: Ciphersuite) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.engine() == engine)
    }
}

impl std::fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::X25519 => "x25519",
            Self::XWing => "x-wing",
        })
    }
}
