use super::{Batch, Bundle, ChainHead, Frontier, Limits, Standing, cut, decode_batch};
use crate::store::index::LogIndex;
use crate::{Error, LocalStore};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use terachat_event::{DeviceId, EventRef, LogId};

/// How far back a chain is sent again to a peer that holds another hash: as far as a proof reaches.
const OVERLAP: u64 = terachat_event::STEPS_MAX as u64;

impl LocalStore {
    /// What a peer that stands at `theirs` lacks of this log: [`LocalStore::bundles_to`], for once.
    ///
    /// # Errors
    /// As there.
    pub fn bundles_since(&mut self, theirs: &Frontier, limits: Limits) -> Result<Vec<Bundle>, Error> {
        Ok(self.bundles_to(&mut Standing::from(theirs.clone()), limits)?.0)
    }

    /// What a peer lacks of a log, as bundles that apply one after the other; none when it lacks nothing. Stops after about
    /// `limits`, and then says that there is more: the peer has to say where it stands before that is sent. `theirs` is
    /// where it stands once they have arrived. Looks at what came since the last call, if that gave all there was.
    ///
    /// # Errors
    /// [`Error::Store`] when the disk cannot be read, [`Error::NoKey`] for epochs whose content is not open here.
    pub fn bundles_to(
        &mut self,
        theirs: &mut Standing,
        limits: Limits,
    ) -> Result<(Vec<Bundle>, bool), Error> {
        let missing = self.missing(theirs)?;
        let bundles = self.bundles_of(&theirs.log, &missing, limits)?;
        let sent: usize = bundles.iter().map(|bundle| bundle.batch.events.len()).sum();
        bundles.iter().for_each(|bundle| self.note_sent(theirs, &bundle.batch));
        let all = sent == missing.len();
        theirs.level = self.index(&theirs.log).filter(|_| all).map(LogIndex::len);
        Ok((bundles, !all))
    }

    /// What readers who answer nothing lack of a log, if of each chain they have everything up to this number: as
    /// [`LocalStore::bundles_to`], without what is behind a fork, and without what only a signature behind it covers: a batch that had to
    /// end there could not be shown to be its author's. The caller keeps the numbers.
    ///
    /// # Errors
    /// As there.
    pub fn bundles_beyond(
        &mut self,
        log: &LogId,
        theirs: &BTreeMap<DeviceId, u64>,
        limits: Limits,
    ) -> Result<(Vec<Bundle>, bool), Error> {
        let Some(index) = self.index(log) else { return Ok((Vec::new(), false)) };
        let known = |device: &DeviceId| theirs.get(device).copied().unwrap_or(0);
        // Most of the time there is nothing new, which the heads tell.
        if index
            .devices()
            .all(|device| index.standing_of(device).is_none_or(|head| head.seq <= known(device)))
        {
            return Ok((Vec::new(), false));
        }
        let bounds: BTreeMap<DeviceId, u64> = index
            .frozen
            .iter()
            .map(|(device, from)| (*device, behind_signed(index, device, *from)))
            .collect();
        let beyond = |event: &EventRef| bounds.get(&event.author).is_some_and(|bound| event.seq >= *bound);
        let lacks = |event: EventRef| event.seq > known(&event.author) && !beyond(&event);
        let missing: Vec<u32> = (0..index.len()).filter(|at| lacks(index.event_ref(*at))).collect();
        if !index.frozen.is_empty() {
            self.recompute_missing(log)?;
        }
        let bundles = self.bundles_of(log, &missing, limits)?;
        let sent: usize = bundles.iter().map(|bundle| bundle.batch.events.len()).sum();
        Ok((bundles, sent < missing.len()))
    }

    /// A peer has the events of this batch: it sent them, or they were sent to it.
    pub fn note_sent(&self, theirs: &mut Standing, batch: &Batch) {
        let Some(index) = self.index(&theirs.log) else { return };
        for author in batch.authors.iter().filter(|author| author.count > 0) {
            if let Some(ours) = index.standing_of(&author.device) {
                theirs.reach(ours, author.first_seq + u64::from(author.count) - 1);
            }
        }
    }

    /// Positions of what a peer lacks, ascending.
    fn missing(&mut self, theirs: &Standing) -> Result<Vec<u32>, Error> {
        let Some(index) = self.index(&theirs.log) else { return Ok(Vec::new()) };
        if let Some(level) = theirs.level.filter(|_| index.frozen.is_empty()) {
            return Ok((level..index.len()).filter(|at| !theirs.has(&index.event_ref(*at))).collect());
        }
        let frontier = theirs.frontier();
        if needs_hashes(index, &frontier) {
            self.recompute_hashes(&theirs.log)?;
        }
        Ok(self.index(&theirs.log).map_or_else(Vec::new, |index| missing(index, &frontier)))
    }

    pub(crate) fn bundles_of(
        &mut self,
        log: &LogId,
        missing: &[u32],
        limits: Limits,
    ) -> Result<Vec<Bundle>, Error> {
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let mut plans = Vec::new();
        let mut rest = missing;
        let (mut events, mut bytes) = (0, 0);
        while let Some(plan) = self.next_plan(log, rest, limits)? {
            rest = &rest[plan.positions.len()..];
            events += plan.positions.len();
            bytes += plan.payload_len;
            plans.push(plan);
            if events >= limits.events || bytes >= limits.payload_len {
                break;
            }
        }
        plans.into_iter().map(|plan| self.pack(log, plan)).collect()
    }

    /// The longest start of `positions` that makes one bundle: of one epoch, within the limits, and ending where
    /// every chain's last event is signed.
    pub(super) fn next_plan(
        &self,
        log: &LogId,
        positions: &[u32],
        limits: Limits,
    ) -> Result<Option<Plan>, Error> {
        let (Some(index), Some(first)) = (self.index(log), positions.first()) else { return Ok(None) };
        let key = index.key(*first);
        let (mut end, mut payload_len, mut good) = (0, 0, (0, 0));
        for at in positions {
            payload_len += index.event(*at).len as usize;
            if index.key(*at) != key
                || end == limits.events
                || (payload_len > limits.payload_len && good.0 > 0)
            {
                break;
            }
            end += 1;
            let next = positions.get(end).copied().unwrap_or(index.len());
            // Ends between the two stored batches where `at` and its successor lie apart.
            if index.batch_of(*at) != index.batch_of(next) {
                good = (end, payload_len);
            }
        }
        if good.0 == 0 {
            return Err(Error::Corrupt("a stored batch is larger than a bundle may be".to_owned()));
        }
        let positions = positions[..good.0].to_vec();
        let signatures = self.signatures(index, &positions)?;
        Ok(Some(Plan { positions, payload_len: good.1, signatures }))
    }

    /// Each chain's signature on its last event among `positions`.
    fn signatures(
        &self,
        index: &LogIndex,
        positions: &[u32],
    ) -> Result<HashMap<(u32, u64), [u8; 64]>, Error> {
        let mut last: BTreeMap<u32, u32> = BTreeMap::new();
        positions.iter().for_each(|at| {
            last.insert(index.event(*at).chain, *at);
        });
        let mut found = HashMap::with_capacity(last.len());
        let mut stored = None;
        // Newest first in the order of the disk, so that each stored batch is read once.
        let mut wanted: Vec<u32> = last.into_values().collect();
        wanted.sort_unstable();
        for at in wanted {
            let event = index.event(at);
            let name = index.event_ref(at);
            let head = index.head(&name.author).expect("it has events");
            if head.seq == name.seq {
                found.insert((event.chain, name.seq), head.signature);
                continue;
            }
            let batch = index.batch_of(at);
            if stored.as_ref().is_none_or(|(known, _)| *known != batch) {
                stored = Some((
                    batch,
                    decode_batch(
                        &self.chunk(index.metas[batch])?,
                        Limits { events: 1 << 22, payload_len: 1 << 30 },
                    )?,
                ));
            }
            let (_, stored) = stored.as_ref().expect("it was just put there");
            let author =
                stored.authors.iter().find(|author| author.count > 0 && author.device == name.author);
            let author = author.filter(|author| author.first_seq + u64::from(author.count) == name.seq + 1);
            let signature = author
                .ok_or_else(|| Error::Corrupt(format!("event {name} ends a batch and is not signed")))?;
            found.insert((event.chain, name.seq), signature.signature);
        }
        Ok(found)
    }

    pub(super) fn pack(&mut self, log: &LogId, plan: Plan) -> Result<Bundle, Error> {
        if self.withholds(log, &plan.positions) {
            self.recompute_missing(log)?;
        }
        let index = self.index(log).ok_or(Error::Unknown("the log"))?;
        let signature = |chain: u32, seq: u64| plan.signatures.get(&(chain, seq)).copied();
        let mut batch = index
            .batch(&plan.positions, signature)
            .ok_or_else(|| Error::Corrupt("a bundle without signature".to_owned()))?;
        batch.skeletons = self.skeletons_for(&batch)?;
        let payloads = plan.positions.iter().map(|at| self.outgoing(index, *at));
        let payloads: Vec<Vec<u8>> = payloads.collect::<Result<_, _>>()?;
        batch.set_payloads(&payloads);
        let chunks = cut(&batch, &payloads);
        let key = self.epoch_key(log, batch.key.as_ref());
        if let (Some(id), None) = (&batch.key, &key) {
            return Err(Error::NoKey(id.epoch));
        }
        Ok(Bundle::pack(batch, &chunks, key.as_deref(), &mut *self.entropy))
    }
}

pub(super) struct Plan {
    pub(super) positions: Vec<u32>,
    pub(super) payload_len: usize,
    pub(super) signatures: HashMap<(u32, u64), [u8; 64]>,
}

/// Whether hashes are needed that are not kept: of a place where a peer stands that this device passed long ago, for it
/// may stand on another branch, or of events behind a fork, which travel as hashes.
fn needs_hashes(index: &LogIndex, theirs: &Frontier) -> bool {
    let unknown = |head: &ChainHead| match index.head(&head.device) {
        Some(ours) if ours.seq > head.seq => index
            .find(&EventRef { author: head.device, seq: head.seq })
            .is_some_and(|at| index.hash(at).is_none()),
        _ => false,
    };
    theirs.chains.iter().any(unknown)
        || !index.frozen.is_empty() && (0..index.len()).any(|at| index.hash(at).is_none())
}

/// The number behind the last event of a chain before `from` whose signature is here: it ends the chain, or a stored batch's part of it.
fn behind_signed(index: &LogIndex, device: &DeviceId, from: u64) -> u64 {
    let batch = |seq: u64| index.find(&EventRef { author: *device, seq }).map(|at| index.batch_of(at));
    let signed = (1..from).rev().find(|seq| batch(*seq).is_some() && batch(*seq) != batch(*seq + 1));
    signed.map_or(0, |seq| seq + 1)
}

/// Positions of the events that `theirs` does not cover, ascending.
fn missing(index: &LogIndex, theirs: &Frontier) -> Vec<u32> {
    let mut positions: Vec<u32> = Vec::new();
    // Most chains are equal on both sides; those cost one look-up by a fast hash and no more.
    let mut known = 0;
    for head in &theirs.chains {
        let Some(ours) = index.head(&head.device) else { continue };
        known += 1;
        if ours.seq == head.seq && ours.hash == head.hash {
            continue;
        }
        let name = EventRef { author: head.device, seq: head.seq };
        let differs = index.find(&name).and_then(|at| index.hash(at)).is_some_and(|hash| hash != head.hash);
        let from = match index.frozen.get(&head.device) {
            // Behind a fork everybody may hold another branch, and none counts; what is before it must be one.
            Some(from) if head.seq >= *from || head.seq + 1 == *from && !differs => continue,
            _ if differs => head.seq.saturating_sub(OVERLAP).max(1),
            _ => head.seq.saturating_add(1),
        };
        positions.extend(index.positions_from(&head.device, from));
    }
    if known < index.devices().count() {
        for device in index.devices().filter(|device| theirs.chain(device).is_none()) {
            if index.standing_of(device).is_some() {
                positions.extend(index.positions_from(device, 1));
            }
        }
    }
    positions.sort_unstable();
    positions
}
