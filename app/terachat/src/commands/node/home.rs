use crate::args::{CounterSpec, Global, SourceArgs};
use crate::failure::{Failure, Result};
use crate::{counter, master_key, memory};
use std::path::{Path, PathBuf};
use terachat_host::OsEntropy;
use terachat_node::Keys;
use terachat_vault::{MasterKeySource, VaultId};

/// A folder with a node's or a client's keys, and what opens them.
pub(crate) struct Home {
    folder: PathBuf,
    sources: SourceArgs,
    counter: Option<CounterSpec>,
}

impl Home {
    /// Sees to it that keys are pinned, too: what comes next may hold some.
    pub(crate) fn new(folder: PathBuf, global: &Global) -> Result<Self> {
        memory::pin(global.allow_unpinned_keys)?;
        Ok(Self { folder, sources: global.sources.clone(), counter: global.counter.clone() })
    }

    /// The same with another key file, unless something else is named already; it is made when the keys are.
    pub(crate) fn or_key_file(mut self, path: PathBuf) -> Self {
        let SourceArgs { passphrase_file, key_file, master_key, .. } = &mut self.sources;
        if passphrase_file.is_none() && key_file.is_none() && master_key.is_none() {
            *key_file = Some(path);
        }
        self
    }

    pub(crate) fn with_counter(mut self, counter: CounterSpec) -> Self {
        self.counter = Some(counter);
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Draws keys, has them guarded by what the flags name, and hands them over.
    pub(crate) fn make<T>(
        &self,
        label: &str,
        make: impl FnOnce(Keys, &Path, &mut OsEntropy) -> Result<T>,
    ) -> Result<T> {
        let mut entropy = OsEntropy::new().map_err(Failure::from_text)?;
        if let Ok(Some(_)) = Keys::owner_in(&self.folder) {
            let what = format_args!("{} is not empty", self.folder.display());
            return Err(Failure::new(what, "name an empty folder with --folder"));
        }
        let mut keys = Keys::draw(label, &mut entropy);
        let mut source = master_key::first(&self.sources, keys.owner())?;
        let made = (|| {
            keys.guard(source.as_mut(), &mut entropy).map_err(super::failed)?;
            if label == "node" {
                let spec = self.counter.clone().unwrap_or(CounterSpec::File(None));
                if let Some(kind) = counter::kind(&spec) {
                    let bound =
                        keys.bind(kind, &mut entropy, |owner, secret| counter::make(&spec, owner, secret));
                    bound.map_err(super::failed)?;
                }
            }
            make(keys, &self.folder, &mut entropy)
        })();
        // A key file that opens nothing stands in the way of the next try.
        if made.is_err()
            && self.sources.master_key.is_none()
            && let Some(path) = &self.sources.key_file
        {
            let _ = std::fs::remove_file(path);
        }
        made
    }

    /// The keys with the counter that they are bound to.
    pub(crate) fn keys(&self) -> Result<Keys> {
        let mut source = self.source()?;
        let opened = Keys::open(&self.folder, source.as_mut(), |kind, owner, secret| {
            counter::open(self.counter.as_ref(), kind, owner, secret)
        });
        opened.map_err(super::failed)
    }

    /// The keys without it, which the running node has.
    pub(crate) fn keys_of_running(&self) -> Result<Keys> {
        Keys::open_unguarded(&self.folder, self.source()?.as_mut()).map_err(super::failed)
    }

    fn source(&self) -> Result<Box<dyn MasterKeySource>> {
        let owner = Keys::owner_in(&self.folder).map_err(super::failed)?;
        let none = || {
            let what = format_args!("there is no node or client in {}", self.folder.display());
            Failure::new(
                what,
                "make one: terachat node init, terachat node join, terachat cluster join or terachat cluster up",
            )
        };
        let VaultId(owner) = owner.ok_or_else(none)?;
        master_key::given(&self.sources, VaultId(owner))
    }
}
