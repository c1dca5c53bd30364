//! All that an archive can read, as lines that prove themselves: `docs/format/archive-export.md`. One piece after the other, so
//! that no more than a piece is in memory.
use super::cards::Cards;
use super::line::{
    CONTEXT, EventLine, HeadLine, KeyLine, Line, LinkLine, LogLine, Manifest, Opening, Said, VERSION, hex,
    text,
};
use crate::api::ArchiveRange;
use crate::filters::time_of;
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use terachat_core_store::model::{BodyKey, ControlOp, ControlTransaction, Verdict};
use terachat_core_store::store::{Evidence, Span};
use terachat_core_store::sync::KeyId;
use terachat_event::{ChannelId, DeviceId, Header, LogId, SpaceId, link, payload_hash, prefix};

/// Bytes after which a piece ends; one line may be longer.
const PIECE_LEN: usize = 64 * 1024;

/// An export under way.
pub struct ArchiveExport {
    space: SpaceId,
    span: Span,
    opening: Option<Opening>,
    logs: VecDeque<LogId>,
    current: Option<Current>,
    cards: Cards,
    hasher: blake3::Hasher,
    lines: u64,
    events: u64,
    ended: bool,
}

/// The log that is being told.
struct Current {
    log: LogId,
    span: Span,
    at: u32,
    /// From which event on each chain is told.
    first: BTreeMap<DeviceId, u64>,
    begun: BTreeSet<DeviceId>,
    keys: Vec<(KeyId, BodyKey)>,
}

impl ArchiveExport {
    /// Events that were told so far, of those that were asked for.
    pub fn events(&self) -> u64 {
        self.events
    }

    fn put(&mut self, out: &mut Vec<u8>, line: &Line) {
        let bytes = line.encode();
        self.hasher.update(&bytes);
        self.lines += 1;
        out.extend(bytes);
    }
}

impl Client {
    /// Begins an export of what this device has of a space, or of one of its channels.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] on a device that the space never required as its archive: members have not been told of it.
    /// [`Error::Input`] for times that are none; [`Error::Unknown`].
    pub fn begin_archive_export(
        &mut self,
        range: &ArchiveRange,
        now_ms: u64,
    ) -> Result<ArchiveExport, Error> {
        let space = self.space(range.space.as_deref())?;
        let (me, control) = (self.identity.device_id(), LogId::control(space));
        if !self.ever_archived(&space)? {
            return Err(Error::NotAllowed(
                "only a device that the space requires as its archive exports, so that members know of it; `terachat archive require` names one",
            ));
        }
        let channel = range.channel.as_deref().map(|name| self.channel(&space, name)).transpose()?;
        let time = |text: &Option<String>| match text.as_deref().map(time_of) {
            Some(None) => Err(Error::Input("a time is a day or a moment in UTC, like 2004-12-25T09:14")),
            Some(Some(ms)) => Ok(Some(u64::try_from(ms).unwrap_or(0))),
            None => Ok(None),
        };
        let span = Span { from_ms: time(&range.from)?, to_ms: time(&range.to)? };
        let channels = self.store.logs().into_iter().filter(|log| log.space == space);
        let wanted =
            channels.filter(|log| log.channel.is_some() && channel.is_none_or(|id| log.channel == Some(id)));
        let opening = Opening {
            version: VERSION,
            space: space.to_string(),
            name: self.space_name(&space),
            device: me.to_string(),
            channel: channel.as_ref().map(ChannelId::to_string),
            from_ms: span.from_ms,
            to_ms: span.to_ms,
            exported_ms: now_ms,
        };
        Ok(ArchiveExport {
            space,
            span,
            opening: Some(opening),
            logs: std::iter::once(control).chain(wanted).collect(),
            current: None,
            cards: Cards::default(),
            hasher: blake3::Hasher::new(),
            lines: 0,
            events: 0,
            ended: false,
        })
    }

    /// The export's next piece, some 64 KiB; `None` when it is whole.
    ///
    /// # Errors
    /// [`Error::Store`]: what was told so far is no export.
    pub fn go_on_exporting(&mut self, export: &mut ArchiveExport) -> Result<Option<Vec<u8>>, Error> {
        let mut out = Vec::new();
        if let Some(opening) = export.opening.take() {
            export.put(&mut out, &Line::Archive(opening));
        }
        while out.len() < PIECE_LEN && !export.ended {
            match export.current.take() {
                Some(current) => self.tell_event(export, current, &mut out)?,
                None => match export.logs.pop_front() {
                    Some(log) => self.tell_log(export, log, &mut out)?,
                    None => self.end_export(export, &mut out),
                },
            }
        }
        Ok((!out.is_empty()).then_some(out))
    }

    fn ever_archived(&self, space: &SpaceId) -> Result<bool, Error> {
        let me = self.identity.device_id();
        let requires = |op: &ControlOp| matches!(op, ControlOp::RequireArchive { device, required: true } if *device == me);
        let Some(control) = self.store.control(space)? else { return Ok(false) };
        let mut counting = control.events().filter(|(_, verdict)| *verdict == Verdict::Counts);
        Ok(self.archives(space) || counting.any(|(event, _)| event.transaction.0.iter().any(requires)))
    }

    fn tell_log(&mut self, export: &mut ArchiveExport, log: LogId, out: &mut Vec<u8>) -> Result<(), Error> {
        // Whose devices are and what was decided is told whole, whatever the times.
        let span = if log.channel.is_some() { export.span } else { Span::default() };
        let first = self.store.begin_evidence(&log, span)?;
        let line = LogLine { channel: log.channel.map(|id| id.to_string()), name: self.channel_name(&log) };
        export.put(out, &Line::Log(line));
        export.current = Some(Current { log, span, at: 0, first, begun: BTreeSet::new(), keys: Vec::new() });
        Ok(())
    }

    fn tell_event(
        &mut self,
        export: &mut ArchiveExport,
        mut current: Current,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let Some(evidence) = self.store.evidence(&current.log, current.at)? else {
            for (device, head) in self.store.signed_heads(&current.log) {
                if current.begun.contains(&device) {
                    let line = HeadLine {
                        device: device.to_string(),
                        seq: head.seq,
                        hash: head.hash.to_string(),
                        signature: text(&head.signature),
                    };
                    export.put(out, &Line::Head(line));
                }
            }
            return Ok(());
        };
        current.at += 1;
        let event = evidence.event;
        if current.first.get(&event.author).is_some_and(|first| event.seq >= *first) {
            let mut hashes = Vec::new();
            let header =
                Header::read(&evidence.header, &mut hashes).map_err(terachat_core_store::Error::from)?;
            let key = match &evidence.key {
                Some(id) => Some(self.tell_key(export, &mut current, id, out)?),
                None => None,
            };
            let prefix = prefix(&evidence.before, &evidence.header);
            let bound = match key {
                Some(key) => current.keys[key as usize].1.commit(&prefix, &evidence.payload, &mut Vec::new()),
                None => payload_hash(&evidence.payload),
            };
            let begins = current.begun.insert(event.author);
            if begins || current.span.holds(header.wall_ms) {
                let hash = link(&prefix, &bound).to_string();
                let line = event_line(&evidence, &header, &mut export.cards, key, begins, hash);
                export.events += 1;
                export.put(out, &Line::Event(Box::new(line)));
            } else {
                let (device, header) = (event.author.to_string(), text(&evidence.header));
                let line = LinkLine { device, seq: event.seq, header, payload_hash: hex(&bound) };
                export.put(out, &Line::Link(line));
            }
        }
        export.current = Some(current);
        Ok(())
    }

    /// The number of an epoch's key, which is told before the first event that takes it.
    fn tell_key(
        &mut self,
        export: &mut ArchiveExport,
        current: &mut Current,
        id: &KeyId,
        out: &mut Vec<u8>,
    ) -> Result<u32, Error> {
        let number = |at: usize| u32::try_from(at).expect("epochs are counted in 32 bits");
        if let Some(at) = current.keys.iter().rposition(|(known, _)| known == id) {
            return Ok(number(at));
        }
        let key = self.store.body_key(&current.log, id);
        let key = key.ok_or(terachat_core_store::Error::NoKey(id.epoch))?;
        let number = number(current.keys.len());
        let line =
            KeyLine { number, commit: id.commit.to_string(), epoch: id.epoch, body: hex(key.expose()) };
        export.put(out, &Line::Key(line));
        current.keys.push((*id, key));
        Ok(number)
    }

    fn end_export(&mut self, export: &mut ArchiveExport, out: &mut Vec<u8>) {
        for proof in self.store.proofs(&export.space) {
            export.put(out, &Line::Fork(text(&proof.encode())));
        }
        let hash = *export.hasher.finalize().as_bytes();
        let signature = self.identity.device.sign(CONTEXT, &hash);
        let (lines, events) = (export.lines, export.events);
        let manifest = Manifest { lines, events, hash: hex(&hash), signature: text(&signature) };
        export.put(out, &Line::Manifest(manifest));
        export.ended = true;
    }
}

fn event_line(
    evidence: &Evidence,
    header: &Header<'_>,
    cards: &mut Cards,
    key: Option<u32>,
    begins: bool,
    hash: String,
) -> EventLine {
    let said = match key {
        Some(_) => Said::in_channel(&evidence.payload),
        None => {
            let transaction = ControlTransaction::decode(&evidence.payload).ok();
            transaction.iter().for_each(|transaction| cards.note(transaction));
            Said::in_control(transaction.as_ref().map(|it| it.0.as_slice()).unwrap_or_default())
        }
    };
    let (user, author) = cards.of(&evidence.event.author);
    EventLine {
        device: evidence.event.author.to_string(),
        seq: evidence.event.seq,
        lamport: header.lamport,
        wall_ms: header.wall_ms,
        user,
        author,
        said,
        void: evidence.void.map(str::to_owned),
        deleted: evidence.deleted,
        key,
        before: begins.then(|| evidence.before.to_string()),
        hash,
        header: text(&evidence.header),
        payload: text(&evidence.payload),
    }
}
