use super::rateless::{ChainName, Difference, HeadSet, Lack};
use super::{ChainHead, Standing};
use crate::{Error, LocalStore};
use terachat_event::{EventHash, EventRef, LogId};

/// Stands where a peer's event is another one than here, or not known here.
const ANOTHER: EventHash = EventHash([0; 32]);

impl LocalStore {
    /// Where a peer stands, by how its symbols differ from the heads here as they were in `set`.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Corrupt`] when hashes have to be computed anew and the disk does not give them.
    pub fn standing_by_difference(
        &mut self,
        set: &HeadSet,
        difference: &Difference,
    ) -> Result<Standing, Error> {
        let mut standing = Standing::from(set.frontier().clone());
        for head in difference.ours.iter().filter_map(|item| set.head(item.chain())) {
            standing.forget(&head.device);
        }
        for item in &difference.theirs {
            let Some(ours) = set.head(item.chain()) else { continue };
            let here = self.head_at(&standing.log, ours, item.seq().into())?;
            let same = here.filter(|here| set.is_of(*item, here));
            let another = ChainHead { device: ours.device, seq: item.seq().into(), hash: ANOTHER };
            standing.set(same.unwrap_or(another));
        }
        Ok(standing)
    }

    /// Where a peer stands that knows the heads here, as they were in `set`, and says of which chains it lacks what.
    ///
    /// # Errors
    /// As [`LocalStore::standing_by_difference`].
    pub fn standing_by_lacks(&mut self, set: &HeadSet, lacks: &[Lack]) -> Result<Standing, Error> {
        let mut standing = Standing::from(set.frontier().clone());
        for lack in lacks {
            let Some(ours) = set.head(ChainName(lack.chain)) else { continue };
            let seq = u64::from(lack.seq);
            // Whoever names the number that it was shown holds another event there. Whoever is behind is taken to be on this
            // branch; if not, what it is sent does not fit, and it says so with its whole frontier.
            let behind = seq < ours.seq;
            let here = self.head_at(&standing.log, ours, seq)?.filter(|_| behind);
            if seq == 0 {
                standing.forget(&ours.device);
            } else {
                standing.set(here.unwrap_or(ChainHead { device: ours.device, seq, hash: ANOTHER }));
            }
        }
        Ok(standing)
    }

    /// The event with this number in the chain of `head`, if it is here.
    fn head_at(&mut self, log: &LogId, head: &ChainHead, seq: u64) -> Result<Option<ChainHead>, Error> {
        if seq >= head.seq {
            return Ok((seq == head.seq).then_some(*head));
        }
        let find = |store: &Self| {
            let index = store.index(log)?;
            let at = index.find(&EventRef { author: head.device, seq })?;
            Some(index.hash(at))
        };
        let Some(mut hash) = find(self) else { return Ok(None) };
        if hash.is_none() {
            self.recompute_hashes(log)?;
            hash = find(self).flatten();
        }
        Ok(hash.map(|hash| ChainHead { device: head.device, seq, hash }))
    }
}
