//! Opening what was sealed message by message, on its way in. This crate knows no MLS: whoever does is handed in.
use super::{Batch, KeyId};
use crate::model::{ChannelOp, Sealed};
use crate::store::{Payloads, Staged, Write};
use crate::{Error, LocalStore};
use terachat_event::{DeviceId, SpaceId};
use terachat_vault::SecretBytes;

/// Whoever has the keys to single messages.
pub trait Opener {
    /// The text that this device of an epoch sealed as `message`; `None` where it does not open, now or ever. What is known
    /// of keys is in the records of `store`, as far as [`Opener::writes`] did not change it.
    fn open(
        &mut self,
        store: &LocalStore,
        space: &SpaceId,
        key: &KeyId,
        author: &DeviceId,
        message: &[u8],
    ) -> Option<SecretBytes>;

    /// What is to be durable at once with what was opened since the last call.
    fn writes(&mut self) -> Vec<Write>;

    /// That did not become durable: the records say how things are.
    fn forget(&mut self);
}

/// Opens nothing.
pub struct NoOpener;

impl Opener for NoOpener {
    fn open(
        &mut self,
        _: &LocalStore,
        _: &SpaceId,
        _: &KeyId,
        _: &DeviceId,
        _: &[u8],
    ) -> Option<SecretBytes> {
        None
    }

    fn writes(&mut self) -> Vec<Write> {
        Vec::new()
    }

    fn forget(&mut self) {}
}

impl LocalStore {
    /// Opens what of a judged batch is new and sealed; it is written as it was opened.
    pub(crate) fn open_fresh(
        &self,
        batch: &Batch,
        chunks: &[Vec<u8>],
        staged: &mut Staged,
        opener: &mut dyn Opener,
    ) {
        let mut payloads = Payloads::new(batch, chunks);
        for (at, event) in batch.events.iter().enumerate() {
            let payload = payloads.next(at, event);
            if !staged.fresh[at] || staged.stripped.iter().any(|(stripped, _)| *stripped == at) {
                continue;
            }
            let author = batch.authors[event.author as usize].device;
            let opened = self.open_payload(batch, &author, payload, opener);
            staged.stripped.extend(opened.map(|opened| (at, opened)));
        }
    }

    /// Opens what was missing and came back, and takes it in.
    pub(crate) fn restore_opening(
        &mut self,
        batch: &Batch,
        found: Vec<(u32, Vec<u8>)>,
        opener: &mut dyn Opener,
    ) -> Result<(), Error> {
        let history = self.history(&batch.log);
        let (mut opened, mut rest) = (Vec::new(), Vec::new());
        for (at, payload) in found {
            let author = self.index(&batch.log).map(|index| index.event_ref(at).author);
            let open = author.and_then(|author| self.open_payload(batch, &author, &payload, opener));
            match open {
                Some(open) => opened.push((at, open)),
                None if history.misfit(&payload).is_none() => rest.push((at, payload)),
                None => {}
            }
        }
        opened.append(&mut rest);
        let result = self.restore(&batch.log, opened, opener.writes());
        if result.is_err() {
            opener.forget();
        }
        result
    }

    fn open_payload(
        &self,
        batch: &Batch,
        author: &DeviceId,
        payload: &[u8],
        opener: &mut dyn Opener,
    ) -> Option<Vec<u8>> {
        let key = batch.key.as_ref()?;
        let Ok(ChannelOp::Sealed(sealed)) = ChannelOp::decode(payload) else { return None };
        let Sealed { message, .. } = sealed;
        let text = opener.open(self, &batch.log.space, key, author, message)?;
        sealed.open(text.expose_secret())
    }
}
