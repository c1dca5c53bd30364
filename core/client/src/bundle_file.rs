//! A space in a file, for those whom no network reaches: the same frames as on the wire, control log first.
use crate::api::Answer;
use crate::protocol::Frame;
use crate::{Client, Error};
use terachat_core_store::sync::{Bundle, Limits, Outcome};
use terachat_event::{Equivocation, LogId, SpaceId};

const MAGIC: &[u8; 8] = b"TCbundl\x01";
/// What a bundle in a file holds at most.
const BUNDLE_LIMITS: Limits = Limits { events: 1 << 16, payload_len: 8 << 20 };

impl Client {
    pub(crate) fn bundle_export(&mut self, space: Option<&str>) -> Result<Answer, Error> {
        let space = self.space(space)?;
        let mut bytes = MAGIC.to_vec();
        let events = self.put_space(space, &mut bytes)?;
        Ok(Answer::Bundle { bytes, events })
    }

    /// Appends everything of a space, and gives the number of events.
    pub(crate) fn put_space(&mut self, space: SpaceId, bytes: &mut Vec<u8>) -> Result<usize, Error> {
        let mut events = 0;
        let logs: Vec<LogId> = self.store.logs().into_iter().filter(|log| log.space == space).collect();
        for proof in self.store.proofs(&space) {
            put(bytes, &Frame::Proof { bytes: proof.encode() });
        }
        for log in logs {
            let mut whole = self.store.whole_log(log)?;
            while let Some(bundle) = self.store.next_of(&mut whole, BUNDLE_LIMITS)? {
                events += bundle.batch.events.len();
                put(bytes, &Frame::Bundle { more: false, bytes: bundle.encode() });
            }
            if log.channel.is_none() {
                for tree in self.trees(&space) {
                    put(bytes, &Frame::Tree { space, bytes: tree });
                }
            }
        }
        Ok(events)
    }

    pub(crate) fn bundle_import(&mut self, bytes: &[u8]) -> Result<Answer, Error> {
        let mut rest = bytes
            .strip_prefix(MAGIC)
            .ok_or(Error::Input("that is not a bundle file; `terachat bundle export` makes one"))?;
        let (mut added, mut known, mut waiting, mut refused) = (0, 0, Vec::new(), Vec::new());
        while !rest.is_empty() {
            let frame = take(&mut rest)?;
            match frame {
                Frame::Bundle { bytes, .. } => match self.take_bundle_from_file(&bytes) {
                    Ok(Outcome::Applied { new, known: old }) => {
                        added += new.len();
                        known += old;
                    }
                    Ok(Outcome::Waits(wait)) => waiting.push(wait.to_string()),
                    Ok(Outcome::Equivocated { .. }) => waiting.push(
                        "holds a branch of a device that signed two events with one number; whoever made the file                          has to learn so first"
                            .to_owned(),
                    ),
                    Err(error) => {
                        let why = error.to_string();
                        if refused.last() != Some(&why) {
                            refused.push(why);
                        }
                    }
                },
                Frame::Tree { space, bytes } => {
                    if self.take_tree(space, bytes)? {
                        self.opened(space)?;
                    }
                }
                Frame::Proof { bytes } => {
                    if let Err(error) = self.take_proof_from_file(&bytes) {
                        refused.push(error.to_string());
                    }
                }
                _ => {
                    return Err(Error::Input(
                        "the bundle file holds something else than bundles; it was changed",
                    ));
                }
            }
        }
        Ok(Answer::BundleApplied { added, known, waiting, refused })
    }

    fn take_proof_from_file(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let proof = Equivocation::decode(bytes).map_err(terachat_core_store::Error::from)?;
        if self.is_expected(&proof.log.space) { self.believe(&proof) } else { Ok(()) }
    }

    /// Whether this device is in the space, or invited to it.
    fn is_expected(&self, space: &SpaceId) -> bool {
        self.store.space(space).is_some() || self.invited().contains(space)
    }

    fn take_bundle_from_file(&mut self, bytes: &[u8]) -> Result<Outcome, Error> {
        let bundle = Bundle::decode(bytes, Limits::PEER)?;
        let log = bundle.batch.log;
        if !self.is_expected(&log.space) {
            return Err(Error::Input(
                "it is of a space this device was not invited to; `terachat join` comes first",
            ));
        }
        if !self.keeps(&log) {
            return Err(Error::NotKept(self.channel_name(&log)));
        }
        self.take_left_bundle(&bundle)
    }

    /// Takes in a bundle that nobody waits for an answer to.
    pub(crate) fn take_left_bundle(&mut self, bundle: &Bundle) -> Result<Outcome, Error> {
        let log = bundle.batch.log;
        let mut outcome = self.store.apply_remote_opening(bundle, &mut self.keys)?;
        if let Outcome::Equivocated { proofs, is_news: true } = &outcome {
            proofs.iter().for_each(|proof| self.accuse(proof));
            self.proven(log)?;
            // With the proof here the rest of it may fit.
            outcome = self.store.apply_remote_opening(bundle, &mut self.keys)?;
        }
        if let Outcome::Applied { new, .. } = &outcome {
            self.waits_no_more(&log, !new.is_empty());
            self.arrived(log, new.clone())?;
        }
        Ok(outcome)
    }
}

/// Appends a frame after its length.
pub(crate) fn put(out: &mut Vec<u8>, frame: &Frame) {
    let frame = frame.encode();
    out.extend_from_slice(&(frame.len() as u64).to_le_bytes());
    out.extend_from_slice(&frame);
}

/// The next frame of a file.
///
/// # Errors
/// [`Error::Input`].
pub(crate) fn take(rest: &mut &[u8]) -> Result<Frame, Error> {
    let short = Error::Input("the bundle file is cut short; copy it again");
    let Some((len, after)) = rest.split_at_checked(8) else { return Err(short) };
    let len = u64::from_le_bytes(len.try_into().expect("eight bytes"));
    let Some((frame, after)) = usize::try_from(len).ok().and_then(|len| after.split_at_checked(len)) else {
        return Err(short);
    };
    *rest = after;
    Frame::decode(frame).map_err(|_| Error::Input("the bundle file is damaged; copy it again"))
}
