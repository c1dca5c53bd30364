use crate::{Algorithm, Entropy, Secret};
use std::collections::BTreeMap;

/// The data-encryption keys of one collection.
///
/// New records go under the newest generation. Older ones are kept for reading until nothing is left under them.
pub struct CollectionKeys {
    pub(super) name: String,
    pub(super) algorithm: Algorithm,
    pub(super) generations: BTreeMap<u32, Dek>,
}

/// One generation of a collection's data-encryption key. It opens the key pages (`crate::KeyPage`) of its generation.
pub struct Dek {
    /// The key itself.
    pub root: Secret<32>,
    /// How often it was renewed: each erasure puts a new key in its place. Stored pages name the one they are under.
    pub epoch: u64,
    /// When the generation was made, in milliseconds since 1970. For people only.
    pub created_ms: u64,
}

impl CollectionKeys {
    pub(super) fn generate(name: &str, algorithm: Algorithm, now_ms: u64, entropy: &mut dyn Entropy) -> Self {
        let mut keys = Self { name: name.to_owned(), algorithm, generations: BTreeMap::new() };
        keys.add_generation(now_ms, entropy);
        keys
    }

    /// The collection's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cipher of new records and of all key pages.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The generation under which new records are sealed.
    pub fn current(&self) -> u32 {
        *self.generations.last_key_value().expect("a collection has a generation").0
    }

    /// A generation's key; `None` once it was destroyed.
    pub fn dek(&self, generation: u32) -> Option<&Dek> {
        self.generations.get(&generation)
    }

    /// All generations that are left, oldest first.
    pub fn generations(&self) -> impl Iterator<Item = (u32, &Dek)> {
        self.generations.iter().map(|(number, dek)| (*number, dek))
    }

    /// Adds a generation, which becomes the current one, and gives its number.
    pub fn add_generation(&mut self, now_ms: u64, entropy: &mut dyn Entropy) -> u32 {
        let number = self.generations.last_key_value().map_or(1, |(last, _)| last + 1);
        let root = Secret::generate(|key| entropy.fill(key));
        self.generations.insert(number, Dek { root, epoch: 1, created_ms: now_ms });
        number
    }

    /// A new key for a generation, under its next epoch, without putting it in place. `None` when there is no such
    /// generation. The caller moves the stored pages over before [`CollectionKeys::install`].
    pub fn renewed(&self, generation: u32, entropy: &mut dyn Entropy) -> Option<Dek> {
        let dek = self.generations.get(&generation)?;
        let root = Secret::generate(|key| entropy.fill(key));
        Some(Dek { root, epoch: dek.epoch + 1, created_ms: dek.created_ms })
    }

    /// Puts a key in the place of a generation's and gives the one that was there, so that it can be put back should the
    /// keyring not become durable. `None`, and nothing is changed, when there is no such generation.
    pub fn install(&mut self, generation: u32, dek: Dek) -> Option<Dek> {
        Some(std::mem::replace(self.generations.get_mut(&generation)?, dek))
    }

    /// Forgets an older generation's key. Says no (`false`) for the current one and for one that is not there.
    pub fn destroy(&mut self, generation: u32) -> bool {
        generation != self.current() && self.generations.remove(&generation).is_some()
    }
}
