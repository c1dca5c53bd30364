//! All keys of a vault as one value: master key, KEK, and each collection's DEKs. `docs/format/keyring.md`.
mod body;
mod collection;

use crate::memory::{HASH_CHUNK_DEPTH, HASH_DEPTH, burn_after};
use crate::{Algorithm, Entropy, Error, MasterKeySource, Secret, SourceError, SourceKind, envelope};
pub use collection::{CollectionKeys, Dek};
use std::collections::BTreeMap;

const MAGIC: [u8; 8] = *b"TCkeyr\x00\x01";
const KEK_PREFIX: [u8; 4] = *b"TCk\x01";
const BODY_PREFIX: [u8; 4] = *b"TCb\x01";
/// Names of the secrets that every keyring has.
const AUDIT: &str = "audit";
const BLIND: &str = "blind";
/// The cipher of the keyring itself; that of records is each collection's.
const CIPHER: Algorithm = Algorithm::ChaCha20Poly1305;
const KEK_LEN: usize = KEK_PREFIX.len() + 32 + envelope::OVERHEAD;
/// Longest that a source may make of one key: a TPM's and an HSM's objects are well below.
const WRAP_LEN_MAX: usize = 16 * 1024;

/// Why a keyring does not open. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The source does not give the master key.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The vault has no wrap by this kind of source.
    #[error("this vault is not guarded by a {kind}, but by: {guards}; use one of these", kind = .0.name(), guards = names(.1))]
    NotGuarded(SourceKind, Vec<SourceKind>),
    /// The last source of a vault is not taken away.
    #[error("the {kind} is the only thing that opens this vault; add another source first", kind = .0.name())]
    LastSource(SourceKind),
    /// The bytes are not a keyring, or were changed.
    #[error("the key file is damaged or was changed ({0}); restore it from a backup")]
    Damaged(&'static str),
}

impl From<Error> for KeyringError {
    fn from(error: Error) -> Self {
        Self::Damaged(match error {
            Error::Envelope(what) => what,
            Error::Memory { .. } => "its passphrase's work does not fit into memory",
            Error::Open | Error::Passphrase => "its parts do not belong together",
        })
    }
}

/// All keys of one vault, opened.
///
/// Master key → KEK → what is in here. Sources wrap the master key; the KEK is sealed under it and seals all the rest,
/// so that a change of the KEK needs no source and no record is touched. Changes are made in memory; they count once the
/// bytes of [`Keyring::seal`] are durable in the place of the old ones.
pub struct Keyring {
    vault: [u8; 16],
    epoch: u64,
    kek_version: u32,
    master: Secret<32>,
    kek: Secret<32>,
    wraps: BTreeMap<SourceKind, Vec<u8>>,
    label: String,
    secrets: BTreeMap<String, Secret<32>>,
    collections: BTreeMap<[u8; 16], CollectionKeys>,
}

/// A master key and what its sources made of it, not in place yet.
pub struct Guards {
    master: Secret<32>,
    wraps: BTreeMap<SourceKind, Vec<u8>>,
}

impl Guards {
    /// A new master key, wrapped by these sources.
    ///
    /// # Errors
    /// The first source that failed.
    pub fn generate(
        sources: &mut [&mut dyn MasterKeySource],
        entropy: &mut dyn Entropy,
    ) -> Result<Self, SourceError> {
        let master = Secret::generate(|key| entropy.fill(key));
        let mut wraps = BTreeMap::new();
        for source in sources {
            wraps.insert(source.kind(), wrap(*source, &master, entropy)?);
        }
        Ok(Self { master, wraps })
    }
}

/// Makes blinded ids: [`Keyring::blinder`].
pub struct Blinder(Secret<32>);

impl Blinder {
    /// As [`Keyring::blind`].
    pub fn blind(&self, domain: &[u8], name: &[u8]) -> [u8; 16] {
        blind(&self.0, domain, name)
    }
}

/// Longest name that is hashed as one chunk and without a hasher.
const SHORT_LEN: usize = 320;

fn blind(key: &Secret<32>, domain: &[u8], name: &[u8]) -> [u8; 16] {
    let len = (domain.len() as u64).to_le_bytes();
    let all = len.len() + domain.len() + name.len();
    if all <= SHORT_LEN {
        let mut input = [0; SHORT_LEN];
        let mut at = 0;
        for part in [&len[..], domain, name] {
            input[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        return burn_after::<HASH_CHUNK_DEPTH, _>(|| {
            half(blake3::keyed_hash(key.expose_secret(), &input[..all]).as_bytes())
        });
    }
    burn_after::<HASH_DEPTH, _>(|| {
        let mut hasher = blake3::Hasher::new_keyed(key.expose_secret());
        hasher.update(&len).update(domain).update(name);
        half(hasher.finalize().as_bytes())
    })
}

fn half(hash: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|i| hash[i])
}

impl Keyring {
    /// The keyring of a new vault with a name for people. It can be sealed once it has a source ([`Keyring::guard`]).
    ///
    /// # Panics
    /// When the label is longer than 65,535 bytes.
    pub fn generate(label: &str, entropy: &mut dyn Entropy) -> Self {
        assert!(label.len() <= usize::from(u16::MAX), "the caller bounds what people type");
        let mut vault = [0; 16];
        entropy.fill(&mut vault);
        let mut fresh = || Secret::generate(|key| entropy.fill(key));
        Self {
            vault,
            epoch: 0,
            kek_version: 1,
            master: fresh(),
            kek: fresh(),
            wraps: BTreeMap::new(),
            label: label.to_owned(),
            secrets: [(AUDIT.to_owned(), fresh()), (BLIND.to_owned(), fresh())].into(),
            collections: BTreeMap::new(),
        }
    }

    /// Which vault this is: random, made once.
    pub fn vault(&self) -> [u8; 16] {
        self.vault
    }

    /// What the vault is called, for people.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// How often the keyring was sealed. What a rollback counter guards.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Version of the KEK, from 1.
    pub fn kek_version(&self) -> u32 {
        self.kek_version
    }

    /// The kinds of sources that open this vault.
    pub fn sources(&self) -> Vec<SourceKind> {
        self.wraps.keys().copied().collect()
    }

    /// Seed of the Ed25519 key that signs the vault's audit log and its receipts.
    pub fn audit_seed(&self) -> &Secret<32> {
        &self.secrets[AUDIT]
    }

    /// A single secret that is kept in the keyring itself: a seed, the key of a store.
    pub fn secret(&self, name: &str) -> Option<&Secret<32>> {
        self.secrets.get(name)
    }

    /// Keeps a single secret under a name. Takes the place of the one that had it.
    ///
    /// # Panics
    /// When the name is longer than 65,535 bytes: names are the program's own.
    pub fn keep_secret(&mut self, name: &str, secret: Secret<32>) {
        assert!(name.len() <= usize::from(u16::MAX), "a secret's name is short");
        self.secrets.insert(name.to_owned(), secret);
    }

    /// Lets go of a secret that was kept; nothing happens if there is none of this name.
    ///
    /// # Panics
    /// For the secrets that every keyring has.
    pub(crate) fn forget_secret(&mut self, name: &str) {
        assert!(name != AUDIT && name != BLIND, "without it the keyring is none");
        self.secrets.remove(name);
    }

    /// The id under which something with this name is kept: a keyed hash, so that the store shows no names.
    pub fn blind(&self, domain: &[u8], name: &[u8]) -> [u8; 16] {
        blind(&self.secrets[BLIND], domain, name)
    }

    /// What makes those ids without the keyring. A vault keeps them for life.
    pub fn blinder(&self) -> Blinder {
        Blinder(self.secrets[BLIND].duplicate_secret())
    }

    /// Lets `source` open this vault too. Takes the place of an earlier source of its kind.
    ///
    /// # Errors
    /// [`SourceError`]; the keyring is then as it was.
    pub fn guard(
        &mut self,
        source: &mut dyn MasterKeySource,
        entropy: &mut dyn Entropy,
    ) -> Result<(), SourceError> {
        let guards = self.guarded_by(source, entropy)?;
        self.install(guards);
        Ok(())
    }

    /// What [`Keyring::guard`] would put in place, for those who cannot wait for a slow source while they hold the keyring.
    ///
    /// # Errors
    /// [`SourceError`].
    pub fn guarded_by(
        &self,
        source: &mut dyn MasterKeySource,
        entropy: &mut dyn Entropy,
    ) -> Result<Guards, SourceError> {
        let mut wraps = self.wraps.clone();
        wraps.insert(source.kind(), wrap(source, &self.master, entropy)?);
        Ok(Guards { master: self.master.duplicate_secret(), wraps })
    }

    /// Puts the master key and its sources in place.
    pub fn install(&mut self, guards: Guards) {
        (self.master, self.wraps) = (guards.master, guards.wraps);
    }

    /// No longer lets a kind of source open this vault. Copies of the older keyring still open by it, until
    /// [`Keyring::rotate_master`] and the KEK's next rotation.
    ///
    /// # Errors
    /// [`KeyringError::NotGuarded`], [`KeyringError::LastSource`]; the keyring is then as it was.
    pub fn unguard(&mut self, kind: SourceKind) -> Result<(), KeyringError> {
        if !self.wraps.contains_key(&kind) {
            return Err(KeyringError::NotGuarded(kind, self.sources()));
        }
        if self.wraps.len() == 1 {
            return Err(KeyringError::LastSource(kind));
        }
        self.wraps.remove(&kind);
        Ok(())
    }

    /// A new master key, wrapped by exactly these sources, and a new KEK.
    ///
    /// # Errors
    /// The first source that failed; the keyring is then as it was.
    pub fn rotate_master(
        &mut self,
        sources: &mut [&mut dyn MasterKeySource],
        entropy: &mut dyn Entropy,
    ) -> Result<(), SourceError> {
        let guards = Guards::generate(sources, entropy)?;
        self.install(guards);
        self.rotate_kek(entropy);
        Ok(())
    }

    /// A new KEK. Nothing that lies in the store changes: it sealed the keyring only.
    pub fn rotate_kek(&mut self, entropy: &mut dyn Entropy) {
        self.kek = Secret::generate(|key| entropy.fill(key));
        self.kek_version += 1;
    }

    /// The keys of a collection.
    pub fn collection(&self, id: &[u8; 16]) -> Option<&CollectionKeys> {
        self.collections.get(id)
    }

    /// The keys of a collection, to change them.
    pub fn collection_mut(&mut self, id: &[u8; 16]) -> Option<&mut CollectionKeys> {
        self.collections.get_mut(id)
    }

    /// All collections by id.
    pub fn collections(&self) -> impl Iterator<Item = (&[u8; 16], &CollectionKeys)> {
        self.collections.iter()
    }

    /// Adds a collection, with a first DEK; gives its id. One that is there already is left as it is.
    pub fn create_collection(
        &mut self,
        name: &str,
        algorithm: Algorithm,
        now_ms: u64,
        entropy: &mut dyn Entropy,
    ) -> [u8; 16] {
        let id = self.blind(b"collection", name.as_bytes());
        self.collections
            .entry(id)
            .or_insert_with(|| CollectionKeys::generate(name, algorithm, now_ms, entropy));
        id
    }

    /// Forgets a collection's keys: once the sealed keyring is durable and the older ones are gone, nothing of it opens.
    pub fn destroy_collection(&mut self, id: &[u8; 16]) -> bool {
        self.collections.remove(id).is_some()
    }

    /// The keyring's bytes for the disk, under the next epoch.
    ///
    /// # Errors
    /// [`Error::Envelope`] while no source guards it.
    pub fn seal(&mut self, entropy: &mut dyn Entropy) -> Result<Vec<u8>, Error> {
        if self.wraps.is_empty() {
            return Err(Error::Envelope("no source guards the keyring; add one first"));
        }
        self.epoch += 1;
        Ok(self.write(&self.master, &self.kek, &self.wraps, entropy))
    }

    /// A copy of the keyring under another master key and a KEK of its own: for a backup. The keyring itself stays as it
    /// is.
    ///
    /// # Errors
    /// [`Error::Envelope`] when no source guards the copy.
    pub fn export(&self, guards: &Guards, entropy: &mut dyn Entropy) -> Result<Vec<u8>, Error> {
        if guards.wraps.is_empty() {
            return Err(Error::Envelope("no source guards the keyring; add one first"));
        }
        let kek = Secret::generate(|key| entropy.fill(key));
        Ok(self.write(&guards.master, &kek, &guards.wraps, entropy))
    }

    fn write(
        &self,
        master: &Secret<32>,
        kek: &Secret<32>,
        wraps: &BTreeMap<SourceKind, Vec<u8>>,
        entropy: &mut dyn Entropy,
    ) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.vault);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.kek_version.to_le_bytes());
        out.push(u8::try_from(wraps.len()).expect("there are fewer kinds of sources"));
        for (kind, wrapped) in wraps {
            out.push(*kind as u8);
            out.extend_from_slice(&u16::try_from(wrapped.len()).expect("checked by `wrap`").to_le_bytes());
            out.extend_from_slice(wrapped);
        }
        let sealed = envelope::seal(CIPHER, master, &KEK_PREFIX, &out, kek.expose_secret(), entropy);
        out.extend_from_slice(&sealed);
        let body = body::write(self);
        let body = envelope::seal(CIPHER, kek, &BODY_PREFIX, &out, body.expose_secret(), entropy);
        out.extend_from_slice(&body);
        out
    }

    /// Opens a keyring with one of its sources.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn open(bytes: &[u8], source: &mut dyn MasterKeySource) -> Result<Self, KeyringError> {
        let outside = Outside::read(bytes)?;
        let Some(wrapped) = outside.wraps.get(&source.kind()) else {
            return Err(KeyringError::NotGuarded(source.kind(), outside.wraps.into_keys().collect()));
        };
        let master = source.unwrap(wrapped)?;
        let (before_kek, rest) = bytes.split_at(outside.len);
        let (kek_envelope, body) =
            rest.split_at_checked(KEK_LEN).ok_or(Error::Envelope("it is cut short"))?;
        let kek = envelope::open(CIPHER, &master, KEK_PREFIX.len(), before_kek, kek_envelope)?;
        let kek: &[u8; 32] = kek.expose_secret().try_into().expect("the envelope's length leaves 32 bytes");
        let kek = Secret::generate(|key| key.copy_from_slice(kek));
        let before_body = &bytes[..outside.len + KEK_LEN];
        let body = envelope::open(CIPHER, &kek, BODY_PREFIX.len(), before_body, body)?;
        let body = body::read(body.expose_secret())?;
        Ok(Self {
            vault: outside.vault,
            epoch: outside.epoch,
            kek_version: outside.kek_version,
            master,
            kek,
            wraps: outside.wraps,
            label: body.label,
            secrets: body.secrets,
            collections: body.collections,
        })
    }

    /// Which kinds of sources open these bytes, without opening them. To be believed as far as the file is.
    ///
    /// # Errors
    /// [`Error::Envelope`] for bytes that are no keyring.
    pub fn sources_of(bytes: &[u8]) -> Result<Vec<SourceKind>, Error> {
        Ok(Outside::read(bytes)?.wraps.into_keys().collect())
    }

    /// Which vault these bytes are of, without opening them. To be believed as far as the file is.
    ///
    /// # Errors
    /// As [`Keyring::sources_of`].
    pub fn vault_of(bytes: &[u8]) -> Result<[u8; 16], Error> {
        Ok(Outside::read(bytes)?.vault)
    }
}

/// What a source makes of a master key, if it is not too long to be kept.
fn wrap(
    source: &mut dyn MasterKeySource,
    master: &Secret<32>,
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, SourceError> {
    let wrapped = source.wrap(master, entropy)?;
    if wrapped.len() > WRAP_LEN_MAX {
        let reason =
            format!("it made {} bytes of one key, and at most {WRAP_LEN_MAX} are kept", wrapped.len());
        return Err(SourceError::Unavailable { kind: source.kind(), reason });
    }
    Ok(wrapped)
}

/// What stands before the sealed parts.
struct Outside {
    vault: [u8; 16],
    epoch: u64,
    kek_version: u32,
    wraps: BTreeMap<SourceKind, Vec<u8>>,
    len: usize,
}

impl Outside {
    fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut rest = bytes.strip_prefix(&MAGIC).ok_or(Error::Envelope("unknown first bytes"))?;
        let vault = take::<16>(&mut rest)?;
        let epoch = u64::from_le_bytes(take(&mut rest)?);
        let kek_version = u32::from_le_bytes(take(&mut rest)?);
        let [count] = take(&mut rest)?;
        let mut wraps = BTreeMap::new();
        for _ in 0..count {
            let [kind] = take(&mut rest)?;
            let kind = SourceKind::from_number(kind).ok_or(Error::Envelope("an unknown kind of source"))?;
            let len = usize::from(u16::from_le_bytes(take(&mut rest)?));
            let (wrapped, after) = rest.split_at_checked(len).ok_or(Error::Envelope("it is cut short"))?;
            rest = after;
            if len > WRAP_LEN_MAX || wraps.insert(kind, wrapped.to_vec()).is_some() {
                return Err(Error::Envelope("its list of sources is not one this version writes"));
            }
        }
        Ok(Self { vault, epoch, kek_version, wraps, len: bytes.len() - rest.len() })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Error> {
    let (head, after) = rest.split_first_chunk::<N>().ok_or(Error::Envelope("it is cut short"))?;
    *rest = after;
    Ok(*head)
}

fn names(kinds: &[SourceKind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
