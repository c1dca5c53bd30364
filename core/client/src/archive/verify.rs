//! Checks an export line by line, without a profile: `docs/format/archive-export.md`.
use super::ArchiveError;
use super::cards::Cards;
use super::chain::Chains;
use super::line::{
    CONTEXT, EventLine, HeadLine, KeyLine, Line, LinkLine, Manifest, Opening, Said, VERSION, bytes, hex, id,
    text,
};
use crate::api::ArchiveReport;
use std::collections::BTreeSet;
use terachat_core_store::model::{BodyKey, ControlTransaction};
use terachat_event::{
    ChannelId, DeviceId, Equivocation, EventHash, LogId, SignedHead, SpaceId, payload_hash, verify,
};

/// Longest line that is read, in bytes: far above what the largest event takes.
pub const ARCHIVE_LINE_LEN_MAX: usize = 8 << 20;

/// An export that is being checked. Feed it every line, then ask for the end.
#[derive(Default)]
pub struct ArchiveCheck {
    opening: Option<Opening>,
    space: Option<SpaceId>,
    chains: Option<Chains>,
    told: BTreeSet<Option<ChannelId>>,
    keys: Vec<(u64, BodyKey)>,
    cards: Cards,
    hasher: blake3::Hasher,
    lines: u64,
    report: ArchiveReport,
    ended: bool,
}

impl ArchiveCheck {
    /// Takes in the next line, without its line feed.
    ///
    /// # Errors
    /// [`ArchiveError`]: the export is not what its archive wrote, or its archive wrote what nobody signed. No line after it says
    /// anything.
    pub fn line(&mut self, line: &[u8]) -> Result<(), ArchiveError> {
        if self.ended {
            return Err(ArchiveError::Line("something stands behind the manifest"));
        }
        let read = Line::decode(line)?;
        if self.opening.is_none() != matches!(read, Line::Archive(_)) {
            return Err(ArchiveError::Line("it stands in the wrong place"));
        }
        match read {
            Line::Archive(opening) => self.open(opening)?,
            Line::Log(log) => self.begin(log.channel.as_deref())?,
            Line::Key(key) => self.take_key(&key)?,
            Line::Event(event) => self.event(&event)?,
            Line::Link(link) => self.link(&link)?,
            Line::Head(head) => self.head(&head)?,
            Line::Fork(proof) => self.fork(&proof)?,
            Line::Manifest(manifest) => return self.end(&manifest),
        }
        self.lines += 1;
        self.hasher.update(line).update(b"\n");
        Ok(())
    }

    /// What the export holds, after its last line.
    ///
    /// # Errors
    /// [`ArchiveError::CutShort`].
    pub fn finish(self) -> Result<ArchiveReport, ArchiveError> {
        if self.ended { Ok(self.report) } else { Err(ArchiveError::CutShort) }
    }

    fn open(&mut self, opening: Opening) -> Result<(), ArchiveError> {
        if opening.version != VERSION {
            return Err(ArchiveError::Version);
        }
        self.space = Some(SpaceId(id(&opening.space)?));
        self.report = ArchiveReport {
            space: opening.space.clone(),
            name: opening.name.clone(),
            device: opening.device.clone(),
            channel: opening.channel.clone(),
            from_ms: opening.from_ms,
            to_ms: opening.to_ms,
            exported_ms: opening.exported_ms,
            ..ArchiveReport::default()
        };
        self.opening = Some(opening);
        Ok(())
    }

    fn begin(&mut self, channel: Option<&str>) -> Result<(), ArchiveError> {
        self.end_log()?;
        let channel = channel.map(id).transpose()?.map(ChannelId);
        // Whose devices are is known before anything else is read.
        let in_turn = self.told.is_empty() == channel.is_none();
        if !(in_turn && self.told.insert(channel)) {
            return Err(ArchiveError::Line("its log stands in the wrong place"));
        }
        let space = self.space.ok_or(ArchiveError::CutShort)?;
        self.chains = Some(Chains::new(LogId { space, channel }));
        self.keys.clear();
        Ok(())
    }

    fn end_log(&mut self) -> Result<(), ArchiveError> {
        self.chains.take().map_or(Ok(()), |chains| chains.ended())
    }

    fn take_key(&mut self, key: &KeyLine) -> Result<(), ArchiveError> {
        id(&key.commit)?;
        if key.number as usize != self.keys.len() {
            return Err(ArchiveError::Line("its key has another's number"));
        }
        self.keys.push((key.epoch, BodyKey::take(&mut id(&key.body)?)));
        Ok(())
    }

    fn event(&mut self, line: &EventLine) -> Result<(), ArchiveError> {
        let chains = self.chains.as_mut().ok_or(ArchiveError::Line("it stands in no log"))?;
        let (header, payload) = (bytes(&line.header)?, bytes(&line.payload)?);
        let key = match line.key {
            Some(number) => {
                let key = self.keys.get(number as usize);
                Some(key.ok_or(ArchiveError::Line("its key was not told"))?)
            }
            None => None,
        };
        if key.is_some() != chains.log().channel.is_some() {
            return Err(ArchiveError::Line("its key is another kind of log's"));
        }
        let device = DeviceId(id(&line.device)?);
        let before = line.before.as_deref().map(id).transpose()?.map(EventHash);
        let (hash, times) = chains.follow(device, line.seq, before, &header, |prefix| match key {
            Some((_, key)) => key.commit(prefix, &payload, &mut Vec::new()),
            None => payload_hash(&payload),
        })?;
        if times.epoch != key.map(|(epoch, _)| *epoch) {
            return Err(ArchiveError::Line("its key is another epoch's"));
        }
        let said = match key {
            Some(_) => Said::in_channel(&payload),
            None => {
                let transaction = ControlTransaction::decode(&payload).ok();
                transaction.iter().for_each(|transaction| self.cards.note(transaction));
                Said::in_control(transaction.as_ref().map(|it| it.0.as_slice()).unwrap_or_default())
            }
        };
        self.report.events += 1;
        self.report.texts += u64::from(said.text.is_some());
        let (user, author) = self.cards.of(&device);
        // What is told in words beside the bytes is what the bytes say.
        let anew = EventLine {
            device: device.to_string(),
            lamport: times.lamport,
            wall_ms: times.wall_ms,
            user,
            author,
            said,
            before: before.map(|hash| hash.to_string()),
            hash: hash.to_string(),
            header: text(&header),
            payload: text(&payload),
            ..line.clone()
        };
        if anew == *line { Ok(()) } else { Err(ArchiveError::Line("its words are not what its bytes say")) }
    }

    fn link(&mut self, line: &LinkLine) -> Result<(), ArchiveError> {
        let chains = self.chains.as_mut().ok_or(ArchiveError::Line("it stands in no log"))?;
        if chains.log().channel.is_none() {
            return Err(ArchiveError::Line("the control log is told whole"));
        }
        let hash = id(&line.payload_hash)?;
        let device = DeviceId(id(&line.device)?);
        chains.follow(device, line.seq, None, &bytes(&line.header)?, |_| hash).map(drop)
    }

    fn head(&mut self, line: &HeadLine) -> Result<(), ArchiveError> {
        let chains = self.chains.as_mut().ok_or(ArchiveError::Line("it stands in no log"))?;
        let signature = signature(&line.signature)?;
        let head = SignedHead { seq: line.seq, hash: EventHash(id(&line.hash)?), signature };
        chains.end(&DeviceId(id(&line.device)?), &head)?;
        self.report.chains += 1;
        Ok(())
    }

    fn fork(&mut self, proof: &str) -> Result<(), ArchiveError> {
        let proof = Equivocation::decode(&bytes(proof)?);
        let proof = proof.map_err(|_| ArchiveError::Line("its proof of a fork is none"))?;
        let proves = Some(proof.log.space) == self.space && proof.verify().is_ok();
        self.report.forks += 1;
        if proves { Ok(()) } else { Err(ArchiveError::Line("its proof of a fork proves none")) }
    }

    fn end(&mut self, manifest: &Manifest) -> Result<(), ArchiveError> {
        if self.told.is_empty() {
            return Err(ArchiveError::CutShort);
        }
        self.end_log()?;
        let hash = *self.hasher.finalize().as_bytes();
        let counted = (manifest.lines, manifest.events) == (self.lines, self.report.events);
        if !counted || manifest.hash != hex(&hash) {
            return Err(ArchiveError::Manifest);
        }
        let opening = self.opening.as_ref().ok_or(ArchiveError::CutShort)?;
        if !verify(&id(&opening.device)?, CONTEXT, &hash, &signature(&manifest.signature)?) {
            return Err(ArchiveError::Signature);
        }
        let (user, author) = self.cards.of(&DeviceId(id(&opening.device)?));
        (self.report.user, self.report.author) = (user, author);
        self.ended = true;
        Ok(())
    }
}

fn signature(text: &str) -> Result<[u8; 64], ArchiveError> {
    bytes(text)?.try_into().map_err(|_| ArchiveError::Line("a signature is 64 bytes"))
}
