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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Card, ControlOp, Rank};
    use crate::sync::rateless::{HeadKey, SYMBOLS_STEP};
    use crate::sync::{Bundle, Limits, Outcome};
    use crate::testing::{Device, key_of, text};
    use terachat_event::DeviceKey;
    use terachat_vault::Secret;

    fn author(n: u64) -> DeviceKey {
        let mut seed = *blake3::hash(&n.to_le_bytes()).as_bytes();
        DeviceKey::from_seed(&Secret::take(&mut seed))
    }

    fn say(device: &mut Device, log: LogId, author: &DeviceKey, body: &str) {
        device.clock += 1_000;
        device.store.post(author, log, key_of(log.space), device.clock, &[text(body)]).unwrap();
    }

    /// Two stores with the same messages of 300 authors.
    fn two_of_many() -> (Device, Device, LogId, Vec<DeviceKey>) {
        let (mut ada, mut ben) = (Device::new(1), Device::new(2));
        let space = ada.found();
        let log = ada.create_channel(space, "general");
        let authors: Vec<DeviceKey> = (0..300).map(author).collect();
        let admit = |author: &DeviceKey| {
            let card = Card::issue(author, "somebody", author);
            ControlOp::Admit { card, rank: Rank::MEMBER, key_package: Vec::new() }
        };
        for author in &authors {
            ada.control(space, vec![admit(author)]).unwrap();
        }
        for author in &authors {
            say(&mut ada, log, author, "first");
        }
        ben.pull_control(&mut ada, space);
        ben.learn_epoch(space);
        ben.pull(&mut ada).unwrap();
        assert_eq!(ada.store.chain_count(&log), 300);
        (ada, ben, log, authors)
    }

    /// What each of the two would send the other, first `ben`'s who decodes `ada`'s symbols.
    fn compare(ada: &mut Device, ben: &mut Device, log: LogId) -> [Vec<Bundle>; 2] {
        let key = HeadKey::new(&[5; 32], &log);
        let set = |device: &Device| HeadSet::new(key.clone(), device.store.frontier(&log).unwrap()).unwrap();
        let (hers, his) = (set(ada), set(ben));
        let (mut encoder, mut decoder) = (hers.encoder(), his.decoder(300));
        let difference = loop {
            if let Some(difference) = decoder.take(&encoder.symbols(SYMBOLS_STEP)).unwrap() {
                break difference;
            }
        };
        let mut ada_stands = ben.store.standing_by_difference(&his, &difference).unwrap();
        let mut ben_stands = ada.store.standing_by_lacks(&hers, &his.lacks(&difference).unwrap()).unwrap();
        [
            ben.store.bundles_to(&mut ada_stands, Limits::PEER).unwrap().0,
            ada.store.bundles_to(&mut ben_stands, Limits::PEER).unwrap().0,
        ]
    }

    fn events(bundles: &[Bundle]) -> usize {
        bundles.iter().map(|bundle| bundle.batch.events.len()).sum()
    }

    #[test]
    fn each_is_sent_what_it_lacks_and_no_more() {
        let (mut ada, mut ben, log, authors) = two_of_many();
        for author in &authors[..25] {
            say(&mut ada, log, author, "second");
            say(&mut ada, log, author, "third");
        }
        for author in &authors[200..210] {
            say(&mut ben, log, author, "second");
        }
        // An author that is new to the other side.
        ada.say(log, "hello");
        let [to_ada, to_ben] = compare(&mut ada, &mut ben, log);
        assert_eq!((events(&to_ada), events(&to_ben)), (10, 51));
        for (device, bundles) in [(&mut ada, to_ada), (&mut ben, to_ben)] {
            for bundle in bundles {
                assert!(matches!(device.store.apply_remote(&bundle).unwrap(), Outcome::Applied { .. }));
            }
        }
        assert_eq!(ada.store.frontier(&log), ben.store.frontier(&log));
        let [to_ada, to_ben] = compare(&mut ada, &mut ben, log);
        assert_eq!((events(&to_ada), events(&to_ben)), (0, 0));
    }

    #[test]
    fn a_fork_shows_to_both() {
        let (mut ada, mut ben, log, authors) = two_of_many();
        say(&mut ada, log, &authors[7], "yes");
        say(&mut ben, log, &authors[7], "no");
        let [to_ada, to_ben] = compare(&mut ada, &mut ben, log);
        for (device, bundles) in [(&mut ada, to_ada), (&mut ben, to_ben)] {
            let outcomes: Vec<Outcome> =
                bundles.iter().map(|bundle| device.store.apply_remote(bundle).unwrap()).collect();
            assert!(matches!(outcomes[..], [Outcome::Equivocated { .. }]), "{outcomes:?}");
        }
    }
}
