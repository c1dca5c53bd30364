//! Changes of the keyring that count once its file is replaced.
use crate::Error;
use crate::commit::{Staged, Writer};
use crate::disk::{self, Kind};
use crate::entropy::ThreadEntropy;
use crate::store::Store;
use fjall::PersistMode;
use terachat_vault::Keyring;

impl Store {
    /// Changes the keyring in memory and then on disk. The caller holds the writer.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] when the file could not be replaced: which keyring is on the disk is then not known, so nothing
    /// is written any more until it was read again.
    pub(crate) fn change_keyring<T>(&self, change: impl FnOnce(&mut Keyring) -> T) -> Result<T, Error> {
        self.check_writable()?;
        let (result, bytes) = {
            let mut keyring = self.keyring_mut();
            let result = change(&mut keyring);
            (result, keyring.seal(&mut ThreadEntropy))
        };
        let bytes = bytes.map_err(|error| self.stop_writing(&error))?;
        self.point("keyring: before the file is replaced")?;
        self.keyring_file.replace(&bytes).map_err(|error| self.stop_writing(&error))?;
        Ok(result)
    }

    /// Puts rows on the disk that nothing refers to yet, without an audit event.
    pub(crate) fn write_rows(&self, writer: &mut Writer, staged: Staged) -> Result<(), Error> {
        self.check_writable()?;
        let batch = self.engine.batch(staged.len());
        let written = disk::write(&self.config.path, Kind::Sync, || {
            self.engine.write(batch, staged.into_rows(), PersistMode::SyncData, false)
        });
        written.map_err(|error| self.stop_writing(&error))?;
        writer.unsynced = false;
        Ok(())
    }

    /// Where a test may let the process end. Nothing outside of tests.
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests make it fail")]
    pub(crate) fn point(&self, _name: &'static str) -> Result<(), Error> {
        #[cfg(test)]
        crate::fail::point(self, _name)?;
        Ok(())
    }
}
