use crate::header::HEADER_LEN_MAX;
use crate::{ChannelId, DeviceId, Error, EventHash, Header, LogId, SignedHead, SpaceId, chain};

/// Most events between the fork and the signature that covers it; longer branches prove nothing here.
pub const STEPS_MAX: usize = 4096;

/// One event of a branch: enough to follow the chain's hash through it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The canonical header.
    pub header: Vec<u8>,
    /// The payload's hash.
    pub payload_hash: [u8; 32],
}

/// A stretch of one chain, from a fork to a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Hash of the event before the first step.
    pub previous: EventHash,
    /// The events, at least one.
    pub steps: Vec<Step>,
    /// The author's signature on the last step.
    pub signature: [u8; 64],
}

/// Proof that a device signed two different events with one number: some 400 bytes when both were signed at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equivocation {
    /// The log it happened in.
    pub log: LogId,
    /// The device that signed both.
    pub author: DeviceId,
    /// The two branches; their first steps have one number and different hashes.
    pub branches: [Branch; 2],
}

impl Equivocation {
    /// Checks the proof and returns the number from which on the chain counts for nothing.
    ///
    /// # Errors
    /// [`Error::Proof`], [`Error::Header`] or [`Error::Signature`]: it proves nothing.
    pub fn verify(&self) -> Result<u64, Error> {
        let (a, b) = (self.follow(&self.branches[0])?, self.follow(&self.branches[1])?);
        if a.0 != b.0 {
            return Err(Error::Proof("the branches start at different numbers"));
        }
        if a.1 == b.1 {
            return Err(Error::Proof("both branches start with the same event"));
        }
        Ok(a.0)
    }

    /// The bytes that travel: `docs/format/event.md`.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.log.bytes().to_vec();
        out.extend_from_slice(&self.author.0);
        for branch in &self.branches {
            out.extend_from_slice(&branch.previous.0);
            out.extend_from_slice(&branch.signature);
            out.extend_from_slice(&(branch.steps.len() as u64).to_le_bytes());
            for step in &branch.steps {
                out.extend_from_slice(&(step.header.len() as u64).to_le_bytes());
                out.extend_from_slice(&step.header);
                out.extend_from_slice(&step.payload_hash);
            }
        }
        out
    }

    /// Reads what [`Equivocation::encode`] wrote; whether it proves anything is [`Equivocation::verify`]'s to say.
    ///
    /// # Errors
    /// [`Error::Proof`].
    pub fn decode(mut bytes: &[u8]) -> Result<Self, Error> {
        let rest = &mut bytes;
        let space = SpaceId(array(rest)?);
        let channel = array(rest)?;
        let log = LogId { space, channel: (channel != [0; 32]).then_some(ChannelId(channel)) };
        let author = DeviceId(array(rest)?);
        let proof = Self { log, author, branches: [read_branch(rest)?, read_branch(rest)?] };
        rest.is_empty().then_some(proof).ok_or(Error::Proof("bytes behind its end"))
    }

    /// The number and hash of the branch's first event.
    fn follow(&self, branch: &Branch) -> Result<(u64, EventHash), Error> {
        if branch.steps.is_empty() || branch.steps.len() > STEPS_MAX {
            return Err(Error::Proof("a branch has no steps, or too many"));
        }
        let mut hashes = Vec::new();
        let (mut first, mut hash, mut last_seq) = (None, branch.previous, 0);
        for step in &branch.steps {
            let header = Header::read(&step.header, &mut hashes)?;
            if first.is_some() && header.seq != last_seq + 1 {
                return Err(Error::Proof("a branch's numbers have a gap"));
            }
            last_seq = header.seq;
            hash = chain::link(&chain::prefix(&hash, &step.header), &step.payload_hash);
            first.get_or_insert((header.seq, hash));
        }
        SignedHead { seq: last_seq, hash, signature: branch.signature }.verify(&self.log, &self.author)?;
        Ok(first.expect("a branch has steps"))
    }
}

fn read_branch(rest: &mut &[u8]) -> Result<Branch, Error> {
    let (previous, signature) = (EventHash(array(rest)?), array(rest)?);
    let count = length(rest, STEPS_MAX)?;
    let step = |_| {
        let len = length(rest, HEADER_LEN_MAX)?;
        let (header, after) = rest.split_at_checked(len).ok_or(CUT_SHORT)?;
        *rest = after;
        Ok(Step { header: header.to_vec(), payload_hash: array(rest)? })
    };
    Ok(Branch { previous, steps: (0..count).map(step).collect::<Result<_, Error>>()?, signature })
}

const CUT_SHORT: Error = Error::Proof("it is cut short");

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Error> {
    let (head, after) = rest.split_first_chunk().ok_or(CUT_SHORT)?;
    *rest = after;
    Ok(*head)
}

fn length(rest: &mut &[u8], max: usize) -> Result<usize, Error> {
    let len = u64::from_le_bytes(array(rest)?);
    usize::try_from(len).ok().filter(|len| *len <= max).ok_or(Error::Proof("a length beyond its limit"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceKey, Kind, payload_hash};
    use terachat_vault::Secret;

    fn branch(key: &DeviceKey, log: &LogId, bodies: &[&str]) -> Branch {
        let previous = chain::chain_start(log, &key.id());
        let (mut hash, mut steps) = (previous, Vec::new());
        for (n, body) in (1..).zip(bodies) {
            let mut header = Vec::new();
            Header {
                kind: Kind::Control,
                seq: n,
                lamport: n,
                wall_ms: 0,
                epoch: None,
                parents: &[],
                control: &[],
            }
            .write(&mut header);
            let payload_hash = payload_hash(body.as_bytes());
            hash = chain::link(&chain::prefix(&hash, &header), &payload_hash);
            steps.push(Step { header, payload_hash });
        }
        Branch { previous, signature: key.sign_head(log, steps.len() as u64, hash).signature, steps }
    }

    #[test]
    fn two_signed_events_with_one_number_are_proof_and_nothing_else_is() {
        let key = DeviceKey::from_seed(&Secret::take(&mut [1; 32]));
        let log = LogId::control(SpaceId([2; 32]));
        let proof = |a: &[&str], b: &[&str]| Equivocation {
            log,
            author: key.id(),
            branches: [branch(&key, &log, a), branch(&key, &log, b)],
        };
        let good = proof(&["pay Ann"], &["pay Bob", "done"]);
        assert_eq!(good.verify(), Ok(1));
        let bytes = good.encode();
        assert_eq!(Equivocation::decode(&bytes), Ok(good));
        assert!((0..bytes.len()).all(|cut| Equivocation::decode(&bytes[..cut]).is_err()));
        assert!(matches!(proof(&["same"], &["same", "later"]).verify(), Err(Error::Proof(_))));
        let mut forged = proof(&["a"], &["b"]);
        forged.branches[1].signature[0] ^= 1;
        assert!(matches!(forged.verify(), Err(Error::Signature(_))));
        let mut moved = proof(&["a"], &["b"]);
        moved.log = LogId::control(SpaceId([3; 32]));
        assert!(moved.verify().is_err());
        let mut skipping = proof(&["a"], &["b", "c"]);
        skipping.branches[1].steps.remove(0);
        assert!(skipping.verify().is_err());
    }
}
