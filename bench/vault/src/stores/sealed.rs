use super::{CACHE, Store, name};
use anyhow::Result;
use std::path::Path;
use terachat_vault::{PassphraseCost, PassphraseSource, SecretBytes};
use terachat_vault_store::{
    Access, Batch, CollectionOptions, Config, Content, Operation, PutOptions, Session, TemplateVault,
};

/// The collection of all records.
pub(crate) const COLLECTION: &str = "templates";

/// The vault: every record under a key of its own, every access audited.
pub(crate) struct Sealed {
    pub(crate) vault: TemplateVault,
    session: Session,
}

impl Sealed {
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let vault = TemplateVault::create(&config(folder), &mut [&mut source()])?;
        vault.create_collection("bench", COLLECTION, &CollectionOptions::default())?;
        Self::of(vault)
    }

    pub(crate) fn open(folder: &Path) -> Result<Self> {
        Self::of(TemplateVault::open(&config(folder), &mut source())?)
    }

    fn of(vault: TemplateVault) -> Result<Self> {
        let session = vault.session("bench", Access::full())?;
        Ok(Self { vault, session })
    }

    /// Begins to move all records to a new DEK.
    pub(crate) fn rotate(&self) -> Result<()> {
        self.vault.keys("bench")?.rotate_dek(COLLECTION)?;
        Ok(())
    }

    /// Whether everything is under the newest DEK and the older ones are destroyed.
    pub(crate) fn rotated(&self) -> Result<bool> {
        Ok(self.vault.keys("bench")?.rotations().is_empty())
    }
}

impl Store for Sealed {
    fn put(&self, records: &[(u64, &[u8])]) -> Result<()> {
        let options = PutOptions::default();
        let content = |bytes: &[u8]| Content::from(SecretBytes::copy_from(bytes));
        if let [(id, bytes)] = records {
            self.session.put(COLLECTION, &name(*id), content(bytes), &options)?;
            return Ok(());
        }
        let put = |(id, bytes): &(u64, &[u8])| Operation::Put {
            id: name(*id),
            content: content(bytes),
            options: options.clone(),
        };
        let operations = records.iter().map(put).collect();
        self.session.apply(COLLECTION, Batch { operations, ..Batch::default() })?;
        Ok(())
    }

    fn get(&self, id: u64) -> Result<usize> {
        Ok(self.session.get(COLLECTION, &name(id))?.info.len)
    }
}

fn config(folder: &Path) -> Config {
    Config { cache_size: CACHE, ..Config::new(folder) }
}

/// What guards the vault is opened once and is not what is measured.
fn source() -> PassphraseSource {
    PassphraseSource::new(SecretBytes::take(b"bench".to_vec()), PassphraseCost::INSECURE_FAST)
}
