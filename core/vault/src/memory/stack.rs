/// How deep an AEAD call with a prepared key goes, or one with ChaCha20 and any key; in bytes. Measured: 2.9 KiB.
pub const AEAD_DEPTH: usize = 4 * 1024;
/// How deep it goes where AES's tables are made first. Measured: 5.2 KiB.
pub const AEAD_KEY_DEPTH: usize = 8 * 1024;
/// How deep BLAKE3 goes for at most 1,024 bytes of input, its one chunk. Measured: 3.0 KiB.
pub const HASH_CHUNK_DEPTH: usize = 4 * 1024;
/// How deep BLAKE3 goes. Measured: 5.4 KiB.
pub const HASH_DEPTH: usize = 8 * 1024;
/// How deep an Ed25519 signature goes, or a signer's making from its seed. Measured: 2.8 KiB.
pub const SIGN_DEPTH: usize = 8 * 1024;
/// How deep X25519 with HKDF and the AEAD (HPKE) goes. Measured: under 16 KiB.
pub const AGREEMENT_DEPTH: usize = 32 * 1024;
/// How deep X-Wing with HKDF and the AEAD (HPKE) goes, for ML-KEM's matrix stands on the stack. Measured: 64 to 96 KiB.
pub const ENCAPSULATION_DEPTH: usize = 128 * 1024;
/// How deep Argon2id goes beside its big memory. Measured: 12.5 KiB.
pub const PASSPHRASE_DEPTH: usize = 32 * 1024;

/// Does `work`, and then overwrites the `DEPTH` bytes of stack below this call: libraries keep copies of keys in their
/// frames and do not clear them. Also when `work` panics and the panic unwinds.
///
/// What `work` returns must not be secret; secrets leave it by reference, into pinned memory. `DEPTH` is at least what
/// `work` uses: one of this module's constants, which were measured on x86-64, without optimisation too.
pub fn burn_after<const DEPTH: usize, R>(work: impl FnOnce() -> R) -> R {
    struct Burn<const DEPTH: usize>;
    impl<const DEPTH: usize> Drop for Burn<DEPTH> {
        #[inline(always)]
        fn drop(&mut self) {
            zeroize::zeroize_stack::<DEPTH>();
        }
    }
    let _burn = Burn::<DEPTH>;
    in_a_frame_of_its_own(work)
}

/// Not inlined, so that all of `work`'s frame lies below the caller's, where the burning reaches.
#[inline(never)]
fn in_a_frame_of_its_own<R>(work: impl FnOnce() -> R) -> R {
    work()
}
