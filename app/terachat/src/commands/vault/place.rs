use super::failed;
use crate::args::{Global, VaultPlace};
use crate::failure::{Failure, Result};
use crate::{master_key, memory};
use etcetera::BaseStrategy;
use std::path::{Path, PathBuf};
use terachat_host::OsEntropy;
use terachat_vault::{MasterKeySource, PassphraseCost, PassphraseSource, SecretBytes, VaultId};
use terachat_vault_store::{Config, TemplateVault};

/// Where the vault is, and what opens it.
pub(super) struct Place {
    config: Config,
    passphrase_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

impl Place {
    /// Sees to it that keys are pinned, too: what comes next may hold some.
    pub(super) fn find(place: VaultPlace, global: &Global) -> Result<Self> {
        let none =
            |_| Failure::new("there is no home folder to keep the vault in", "name one with --database DIR");
        let path = match place.database {
            Some(path) => path,
            None => etcetera::base_strategy::choose_native_strategy()
                .map_err(none)?
                .data_dir()
                .join("terachat-vault"),
        };
        let config = Config {
            cache_size: place.cache_size,
            flush_interval: place.flush_interval,
            ..Config::new(path)
        };
        config.check().map_err(|error| failed(&error))?;
        memory::pin(global.allow_unpinned_keys)?;
        Ok(Self {
            config,
            passphrase_file: global.passphrase_file.clone(),
            key_file: global.key_file.clone(),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.config.path
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Opens the vault with the source that the flags name.
    pub(super) fn open(&self) -> Result<TemplateVault> {
        let vault = TemplateVault::id_of(self.folder()).map_err(|error| failed(&error))?;
        let mut source = self.source(VaultId(vault))?;
        TemplateVault::open(&self.config, source.as_mut()).map_err(|error| failed(&error))
    }

    /// What the flags name as the guard of an existing vault.
    fn source(&self, vault: VaultId) -> Result<Box<dyn MasterKeySource>> {
        master_key::given(self.key_file.as_deref(), self.passphrase_file.as_deref(), vault)
    }

    /// Has `make` make a vault that the source of the flags guards.
    ///
    /// A source may be bound to the vault's id, which is drawn when the vault is made. So it is made under a passphrase
    /// that nobody knows, and handed over to its source in one step before anything is in it.
    pub(super) fn make(
        &self,
        make: impl FnOnce(&Config, &mut dyn MasterKeySource) -> Result<TemplateVault>,
    ) -> Result<TemplateVault> {
        let Some(path) = &self.key_file else {
            return make(&self.config, &mut master_key::new_passphrase(self.passphrase_file.as_deref())?);
        };
        if path.exists() {
            let what = format_args!("{} is there already and is not overwritten", path.display());
            return Err(Failure::new(what, "name a new file with --key-file FILE"));
        }
        let vault = make(&self.config, &mut nobody()?)?;
        let mut source = master_key::new_key_file(path, VaultId(vault.id()))?;
        let keys = vault.keys(&super::operator()).map_err(|error| failed(&error))?;
        keys.rotate_master(&mut [&mut source]).map_err(|error| failed(&error))?;
        drop(keys);
        Ok(vault)
    }
}

/// A passphrase of 32 random bytes: nothing can be gained by guessing, so it need not cost much.
fn nobody() -> Result<PassphraseSource> {
    let mut entropy = OsEntropy::new().map_err(Failure::from_text)?;
    let mut random = vec![0; 32];
    terachat_vault::Entropy::fill(&mut entropy, &mut random);
    Ok(PassphraseSource::new(SecretBytes::take(random), PassphraseCost::INSECURE_FAST))
}
