use super::{Batch, BatchAuthor, BatchEvent, ChunkLen, Frames, KeyId};
use crate::model::{ChannelOp, ControlOp, ControlTransaction};
use crate::store::index::LogIndex;
use crate::store::{Staging, Trust, Write};
use crate::{Error, LocalStore};
use terachat_event::{
    CONTROL_HEADS_MAX, DeviceId, DeviceKey, EventHash, EventRef, Header, Kind, LogId, PARENTS_MAX, SpaceId,
    genesis_start, link, payload_hash, prefix,
};

/// What this device is about to say: payloads for one log, signed together.
pub struct Draft {
    /// The log.
    pub log: LogId,
    /// Encoded operations ([`ChannelOp`] or [`ControlTransaction`]), one an event; at least one.
    pub payloads: Vec<Vec<u8>>,
    /// The epoch to seal under, for a channel.
    pub key: Option<KeyId>,
    /// Wall time in milliseconds since 1970.
    pub wall_ms: u64,
}

impl LocalStore {
    /// Founds a space and gives back its id; durable together with `writes` when it returns.
    ///
    /// # Errors
    /// [`Error::Store`]; nothing changed.
    pub fn found_space(
        &mut self,
        signer: &DeviceKey,
        genesis: ControlOp,
        wall_ms: u64,
        writes: impl FnOnce(SpaceId) -> Result<Vec<Write>, Error>,
    ) -> Result<SpaceId, Error> {
        let payload = ControlTransaction(vec![genesis]).encode();
        let mut header = Vec::new();
        Header { kind: Kind::Control, seq: 1, lamport: 1, wall_ms, epoch: None, parents: &[], control: &[] }
            .write(&mut header);
        let prefix = prefix(&genesis_start(&signer.id()), &header);
        let space = SpaceId(link(&prefix, &payload_hash(&payload)).0);
        let draft = Draft { log: LogId::control(space), payloads: vec![payload], key: None, wall_ms };
        let writes = writes(space)?;
        self.apply_local(signer, &draft, |_| writes)?;
        Ok(space)
    }

    /// Makes events of the draft: chained, clocked, sealed, signed once, durable together with `writes` (which may
    /// name the events by their hashes), visible.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a log that is not here, or an operation on an event that is not; [`Error::Payload`] for content
    /// in clear where it is to be sealed message by message, or the other way round; [`Error::NoKey`], [`Error::Store`];
    /// nothing changed.
    pub fn apply_local(
        &mut self,
        signer: &DeviceKey,
        draft: &Draft,
        writes: impl FnOnce(&[EventHash]) -> Vec<Write>,
    ) -> Result<Vec<EventRef>, Error> {
        self.require_known(&signer.id(), draft)?;
        self.apply_unchecked(signer, draft, writes)
    }

    /// Whether all that a channel draft speaks of is here or stands before it in the draft. Others wait for what an
    /// operation names, and with it for all that this device says later.
    fn require_known(&self, author: &DeviceId, draft: &Draft) -> Result<(), Error> {
        let Some(index) = self.index(&draft.log).filter(|index| index.log.channel.is_some()) else {
            return Ok(());
        };
        let history = self.history(&draft.log);
        let first = index.chain_of(author).map_or(0, |chain| index.chain_len(chain)) + 1;
        for (next, payload) in (first..).zip(&draft.payloads) {
            let op = ChannelOp::decode(payload)?;
            let known = |named: &EventRef| {
                index.find(named).is_some() || named.author == *author && (1..next).contains(&named.seq)
            };
            if !op.names().all(known) {
                return Err(Error::Unknown("an event that the operation names"));
            }
            if let Some(why) = history.misfit(payload) {
                return Err(Error::Payload(why));
            }
        }
        Ok(())
    }

    /// [`LocalStore::apply_local`] of whatever the payloads name.
    pub(crate) fn apply_unchecked(
        &mut self,
        signer: &DeviceKey,
        draft: &Draft,
        writes: impl FnOnce(&[EventHash]) -> Vec<Write>,
    ) -> Result<Vec<EventRef>, Error> {
        self.require_own_back(&draft.log, &signer.id())?;
        self.require_none_ahead(&draft.log, &signer.id())?;
        let known = self.index(&draft.log);
        if known.is_none() && draft.log.channel.is_some() {
            return Err(Error::Unknown("the channel"));
        }
        let control = draft
            .log
            .channel
            .and_then(|_| self.spaces.get(&draft.log.space))
            .map(|logs| logs.control.heads());
        let mut batch = compose(
            known,
            signer,
            draft,
            control.map(|mut heads| {
                heads.truncate(CONTROL_HEADS_MAX);
                heads
            }),
        )?;
        let chunks = cut(&batch, &draft.payloads);
        let staged = match self.stage(&batch, &chunks, Trust::Disk)? {
            Staging::Ready(staged) => staged,
            Staging::Waits(crate::Wait::Epoch(epoch)) => return Err(Error::NoKey(epoch)),
            _ => return Err(Error::Corrupt("this device's own chain does not continue".to_owned())),
        };
        let author = batch.authors.iter_mut().find(|author| author.count > 0).expect("a draft has an author");
        let last = author.first_seq + u64::from(author.count) - 1;
        let hash = *staged.hashes.last().ok_or(Error::Payload("a draft without events"))?;
        author.signature = signer.sign_head(&draft.log, last, hash).signature;
        let names = (author.first_seq..=last).map(|seq| EventRef { author: signer.id(), seq }).collect();
        let writes = writes(&staged.hashes);
        self.accept(&batch, &chunks, &Frames::default(), &staged, writes)?;
        Ok(names)
    }

    /// [`LocalStore::apply_local`] for channel operations.
    ///
    /// # Errors
    /// As there.
    pub fn post(
        &mut self,
        signer: &DeviceKey,
        log: LogId,
        key: KeyId,
        wall_ms: u64,
        ops: &[ChannelOp<'_>],
    ) -> Result<Vec<EventRef>, Error> {
        let payloads = ops.iter().map(ChannelOp::encode).collect();
        self.apply_local(signer, &Draft { log, payloads, key: Some(key), wall_ms }, |_| Vec::new())
    }
}

/// The draft as an unsigned batch on top of everything the index holds.
fn compose(
    index: Option<&LogIndex>,
    signer: &DeviceKey,
    draft: &Draft,
    control: Option<Vec<EventHash>>,
) -> Result<Batch, Error> {
    let empty = LogIndex::new(draft.log);
    let index = index.unwrap_or(&empty);
    let device = signer.id();
    let own = index.chain_of(&device);
    let predecessor = own.and_then(|chain| index.position_of_last(chain));
    let count =
        u32::try_from(draft.payloads.len()).map_err(|_| Error::Payload("too many events in one draft"))?;
    if count == 0 {
        return Err(Error::Payload("a draft without events"));
    }
    if index.frozen.contains_key(&device) {
        return Err(Error::Forbidden(
            "this device signed two events with one number, most likely after its folder was set back to an old copy; make a new profile and ask for an invitation",
        ));
    }
    let first_seq = own.map_or(0, |chain| index.chain_len(chain)) + 1;
    let mut batch = Batch {
        log: draft.log,
        key: draft.key,
        authors: vec![BatchAuthor { device, first_seq, count, signature: [0; 64] }],
        controls: control.into_iter().collect(),
        chunk_len: ChunkLen::Short,
        events: Vec::with_capacity(draft.payloads.len()),
        parents: Vec::new(),
        stubs: Vec::new(),
        skeletons: Vec::new(),
    };
    // The newest heads first: if there are more than an event may name, the rest stay heads for the next one.
    // What counts for nothing is not built on.
    let mut heads: Vec<u32> = index
        .heads()
        .filter(|at| {
            index.event(*at).chain != own.unwrap_or(u32::MAX) && !index.is_frozen(&index.event_ref(*at))
        })
        .collect();
    heads.sort_by_key(|at| std::cmp::Reverse(index.event(*at).lamport));
    heads.truncate(PARENTS_MAX);
    let mut lamport = predecessor.map_or(0, |at| index.event(at).lamport);
    for at in &heads {
        let parent = index.event_ref(*at);
        lamport = lamport.max(index.event(*at).lamport);
        batch.parents.push((u32::try_from(batch.authors.len()).expect("at most 33"), parent.seq));
        batch.authors.push(BatchAuthor {
            device: parent.author,
            first_seq: parent.seq,
            count: 0,
            signature: [0; 64],
        });
    }
    for (at, payload) in draft.payloads.iter().enumerate() {
        lamport += 1;
        batch.events.push(BatchEvent {
            author: 0,
            control: 0,
            lamport,
            wall_ms: draft.wall_ms,
            parents: if at == 0 { u32::try_from(heads.len()).expect("at most 32") } else { 0 },
            payload_len: u32::try_from(payload.len()).map_err(|_| Error::Payload("an event is too large"))?,
        });
    }
    if draft.payloads.iter().any(|payload| payload.len() > terachat_event::PAYLOAD_LEN_MAX) {
        return Err(Error::Payload("an event is larger than 1 MiB"));
    }
    Ok(batch)
}

/// Payloads as the batch's chunks.
pub(crate) fn cut(batch: &Batch, payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut from = 0;
    let chunk = |end: usize| {
        let chunk = payloads[from..end].concat();
        from = end;
        chunk
    };
    batch.chunk_ends().into_iter().map(chunk).collect()
}
