use super::bundle::Opened;
use super::{Batch, BatchAuthor, Bundle, NoOpener, Opener};
use crate::model::{ControlOp, ControlTransaction, Skeleton};
use crate::store::{Staging, Trust, offered};
use crate::{Error, LocalStore, Wait};
use std::collections::BTreeSet;
use std::ops::Range;
use terachat_event::{DeviceId, Equivocation, EventHash};

/// What became of a bundle that was not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its new events are durable and visible.
    Applied {
        /// Positions of the new events in their log.
        new: Range<u32>,
        /// Events that were here already.
        known: usize,
    },
    /// It cannot be judged yet; nothing changed.
    Waits(Wait),
    /// It proves that devices signed two events with one number. The proofs are durable, the chains frozen, and
    /// nothing else of the bundle was taken.
    Equivocated {
        /// The proofs: whoever sent the bundle should have them.
        proofs: Vec<Equivocation>,
        /// Whether one of them says something new here.
        is_news: bool,
    },
}

impl LocalStore {
    /// Takes in a bundle from a peer, whole or not at all: judged, durable, visible, in this order.
    ///
    /// # Errors
    /// A refusal with its reason: the peer is broken or lying. [`Error::Store`]: it can be tried again. Nothing changed.
    pub fn apply_remote(&mut self, bundle: &Bundle) -> Result<Outcome, Error> {
        self.apply_remote_opening(bundle, &mut NoOpener)
    }

    /// The same; what was sealed message by message is opened on the way, and kept with the keys that are left.
    ///
    /// # Errors
    /// As there.
    pub fn apply_remote_opening(
        &mut self,
        bundle: &Bundle,
        opener: &mut dyn Opener,
    ) -> Result<Outcome, Error> {
        let batch = &bundle.batch;
        self.load_cited(batch)?;
        let cited = match self.prepare(batch)? {
            Ok(cited) => cited,
            Err(wait) => return Ok(Outcome::Waits(wait)),
        };
        let key = self.epoch_key(&batch.log, batch.key.as_ref());
        if let (Some(id), None) = (&batch.key, &key) {
            return Ok(Outcome::Waits(Wait::Epoch(id.epoch)));
        }
        let Opened { chunks, frames } = bundle.open(key.as_deref())?;
        if let Some(wait) = self.unadmitted(batch, &chunks) {
            return Ok(Outcome::Waits(wait));
        }
        match self.stage(batch, &chunks, Trust::Peer) {
            Ok(Staging::Ready(mut staged)) => {
                if let Some(device) = self.goes_on(batch) {
                    return Ok(Outcome::Waits(Wait::Frozen(device)));
                }
                staged.skeletons.extend(cited);
                if !staged.found.is_empty() {
                    self.restore_opening(batch, std::mem::take(&mut staged.found), opener)?;
                }
                self.open_fresh(batch, &chunks, &mut staged, opener);
                let known = staged.fresh.iter().filter(|fresh| !**fresh).count();
                let new = if known == batch.events.len() {
                    let end = self.index(&batch.log).map_or(0, |index| index.len());
                    end..end
                } else {
                    let writes = opener.writes();
                    let accepted = self.accept(batch, &chunks, &frames, &staged, writes);
                    if accepted.is_err() {
                        opener.forget();
                    }
                    accepted?
                };
                Ok(Outcome::Applied { new, known })
            }
            Ok(Staging::Waits(wait)) => Ok(Outcome::Waits(wait)),
            Ok(Staging::Forked(forks)) => self.freeze_forks(&batch.log, forks),
            Ok(Staging::NeedsHashes) => {
                Err(Error::Corrupt("hashes were recomputed and are still missing".to_owned()))
            }
            // An honest author who built on the branch that is not here seems to have signed something else.
            Err(Error::Event(terachat_event::Error::Signature(event)) | Error::Lamport(event))
                if self.touches_frozen(batch) =>
            {
                Ok(Outcome::Waits(Wait::Event(event)))
            }
            Err(error) => Err(error),
        }
    }

    /// What the batch needs that is not here, as far as its description tells; else the skeletons by which the past of the
    /// control heads that it cites is known.
    pub(crate) fn prepare(&self, batch: &Batch) -> Result<Result<Vec<Skeleton>, Wait>, Error> {
        let log = batch.log;
        let Some(logs) = self.spaces.get(&log.space) else {
            let founds = log.channel.is_none()
                && batch.authors.iter().any(|author| author.count > 0 && author.first_seq == 1);
            return Ok(if founds { Ok(Vec::new()) } else { Err(Wait::Space(log.space)) });
        };
        // What is before a fork may still be missing here, and may show that the chain forked earlier; what is behind it
        // nobody needs.
        let beyond = |author: &&BatchAuthor| {
            let from = logs.index(&log).and_then(|index| index.frozen.get(&author.device));
            author.count > 0 && from.is_some_and(|from| author.first_seq >= *from)
        };
        if let Some(author) = batch.authors.iter().find(beyond) {
            return Ok(Err(Wait::Frozen(author.device)));
        }
        let Some(channel) = log.channel else { return Ok(Ok(Vec::new())) };
        let control = &logs.control;
        if !control.state().channels.contains_key(&channel) {
            return Ok(Err(Wait::Channel(channel)));
        }
        let cited: Vec<EventHash> = batch.controls.iter().flatten().copied().collect();
        let lacking = match control.lacks_of(&cited, &offered(batch)?) {
            Ok(lacking) => lacking,
            Err(unknown) => return Ok(Err(Wait::Control(unknown))),
        };
        let stranger = batch.authors.iter().find(|author| author.count > 0 && !control.names(&author.device));
        if let Some(author) = stranger {
            return Ok(Err(Wait::Author(author.device)));
        }
        let taken = |skeleton: &&Skeleton| lacking.contains(&skeleton.hash());
        Ok(Ok(batch.skeletons.iter().filter(taken).cloned().collect()))
    }

    /// A frozen author of whom the batch brings more than is known here.
    fn goes_on(&self, batch: &Batch) -> Option<DeviceId> {
        let index = self.index(&batch.log)?;
        let goes_on = |author: &&BatchAuthor| {
            let known = index.head(&author.device).map_or(0, |head| head.seq);
            let last = author.first_seq + u64::from(author.count) - 1;
            let frozen = index.frozen.get(&author.device);
            author.count > 0 && last > known && frozen.is_some_and(|from| known + 1 >= *from)
        };
        batch.authors.iter().find(goes_on).map(|author| author.device)
    }

    /// An author of control events whom neither this space nor the batch itself admits.
    fn unadmitted(&self, batch: &Batch, chunks: &[Vec<u8>]) -> Option<Wait> {
        if batch.log.channel.is_some() {
            return None;
        }
        let known = self.spaces.get(&batch.log.space).map(|logs| &logs.control);
        let admits = |device: &DeviceId| known.is_some_and(|control| control.names(device));
        let authors = batch.authors.iter().filter(|author| author.count > 0);
        let strangers: BTreeSet<DeviceId> =
            authors.map(|author| author.device).filter(|device| !admits(device)).collect();
        if strangers.is_empty() {
            return None;
        }
        // Only somebody who is known before vouches for somebody new; the founder is known by founding.
        let mut vouched: BTreeSet<DeviceId> = BTreeSet::new();
        let mut payloads = crate::store::Payloads::new(batch, chunks);
        for (at, event) in batch.events.iter().enumerate() {
            if strangers.is_subset(&vouched) {
                return None;
            }
            let payload = payloads.next(at, event);
            let author = batch.authors[event.author as usize].device;
            let Ok(transaction) = ControlTransaction::decode(payload) else { continue };
            for op in transaction.0 {
                match op {
                    ControlOp::Genesis { owner, .. }
                        if known.is_none() && at == 0 && owner.device == author =>
                    {
                        vouched.insert(author);
                    }
                    ControlOp::Admit { card, .. } if admits(&author) || vouched.contains(&author) => {
                        vouched.insert(card.device);
                    }
                    _ => {}
                }
            }
        }
        // Where a device of the space forked its chain, the admission may stand on a branch that is not here (ADR 0015).
        let forked = || {
            let proofs = self.proofs(&batch.log.space).into_iter();
            proofs.filter(|proof| proof.log == batch.log).map(|proof| proof.author)
        };
        let stranger = strangers.difference(&vouched).next()?;
        (!forked().any(|device| vouched.contains(&device))).then_some(Wait::Author(*stranger))
    }

    fn touches_frozen(&self, batch: &Batch) -> bool {
        let Some(index) = self.index(&batch.log) else { return false };
        batch.authors.iter().any(|author| index.frozen.contains_key(&author.device))
    }
}
