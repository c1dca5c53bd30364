use super::failed;
use crate::args::{CounterSpec, Global, SourceArgs, VaultPlace};
use crate::failure::{Failure, Result};
use crate::{counter, master_key, memory};
use etcetera::BaseStrategy;
use std::path::Path;
use terachat_vault::{CounterKind, MasterKeySource, VaultId};
use terachat_vault_store::{Config, TemplateVault};

/// Where the vault is, and what opens it.
pub(super) struct Place {
    config: Config,
    sources: SourceArgs,
    counter: Option<CounterSpec>,
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
        Ok(Self { config, sources: global.sources.clone(), counter: global.counter.clone() })
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
        let opened = TemplateVault::open_guarded(&self.config, source.as_mut(), |kind, owner, secret| {
            counter::open(self.counter.as_ref(), kind, owner, secret)
        });
        opened.map_err(|error| failed(&error))
    }

    /// Opens the vault whatever its counter says, and binds the one that the flags name.
    pub(super) fn adopt_counter(&self) -> Result<CounterKind> {
        let vault = TemplateVault::id_of(self.folder()).map_err(|error| failed(&error))?;
        let mut source = self.source(VaultId(vault))?;
        let vault = TemplateVault::open_to_adopt(&self.config, source.as_mut());
        let vault = vault.map_err(|error| failed(&error))?;
        let bound = self.bind_counter(&vault);
        let closed = vault.close().map_err(|error| failed(&error));
        let none = || {
            Failure::new("no counter is named to be adopted", "name one with --counter file or --counter tpm")
        };
        bound.and_then(|kind| closed.and_then(|()| kind.ok_or_else(none)))
    }

    /// Binds the counter that the flags name, if they name one.
    fn bind_counter(&self, vault: &TemplateVault) -> Result<Option<CounterKind>> {
        let Some(spec) = &self.counter else { return Ok(None) };
        let Some(kind) = counter::kind(spec) else { return Ok(None) };
        let bound =
            vault.adopt_counter(&super::operator(), kind, |owner, secret| counter::make(spec, owner, secret));
        bound.map(|()| Some(kind)).map_err(|error| failed(&error))
    }

    /// What says how hardware is reached.
    pub(super) fn sources(&self) -> &SourceArgs {
        &self.sources
    }

    /// What the flags name as the guard of an existing vault.
    fn source(&self, vault: VaultId) -> Result<Box<dyn MasterKeySource>> {
        master_key::given(&self.sources, vault)
    }

    /// Has `make` make a vault that the source of the flags guards.
    ///
    /// A source may be bound to the vault's id, which is drawn when the vault is made. So it is made under a passphrase
    /// that nobody knows, and handed over to its source in one step before anything is in it.
    pub(super) fn make(
        &self,
        make: impl FnOnce(&Config, &mut dyn MasterKeySource) -> Result<TemplateVault>,
    ) -> Result<TemplateVault> {
        let vault = self.made(make)?;
        self.bind_counter(&vault)?;
        Ok(vault)
    }

    fn made(
        &self,
        make: impl FnOnce(&Config, &mut dyn MasterKeySource) -> Result<TemplateVault>,
    ) -> Result<TemplateVault> {
        if self.sources.master_key.is_none() && self.sources.key_file.is_none() {
            let mut source = master_key::new_passphrase(self.sources.passphrase_file.as_deref())?;
            return make(&self.config, &mut source);
        }
        if let Some(path) = self.sources.key_file.as_ref().filter(|path| path.exists()) {
            let what = format_args!("{} is there already and is not overwritten", path.display());
            return Err(Failure::new(what, "name a new file with --key-file FILE"));
        }
        let vault = make(&self.config, &mut master_key::nobody()?)?;
        let mut source = master_key::first(&self.sources, VaultId(vault.id()))?;
        let keys = vault.keys(&super::operator()).map_err(|error| failed(&error))?;
        keys.rotate_master(&mut [source.as_mut()]).map_err(|error| failed(&error))?;
        drop(keys);
        Ok(vault)
    }
}
