use super::{AuditReport, Report, ScrubReport, Unwelcome, Welcome};
use crate::{Exhibit, SignedDeed};
use serde::{Deserialize, Serialize};

/// Bytes of deeds that are told at once: one may have 135 KiB.
pub const HISTORY_MAX: usize = 512 << 10;

/// What a node answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// The connection, or the newcomer, is known from now on.
    Welcome(Welcome),
    /// How things are.
    Status(Box<Report>),
    /// What the history says.
    Audit(AuditReport),
    /// The ticket's secret.
    Ticket([u8; 32]),
    /// It is done.
    Done,
    /// It is not.
    Refused(Unwelcome),
    /// What was read again, and found.
    Scrub(ScrubReport),
    /// Cases, and how many items each holds.
    Holds(Vec<(String, u64)>),
    /// What a case holds, [`crate::EXHIBITS_MAX`] items at most; the last of them if there were fewer.
    Exhibits(Vec<Exhibit>),
    /// The deed by which something was given out.
    Exported(Box<SignedDeed>),
    /// Deeds in their order, at most [`HISTORY_MAX`] bytes of them; none at the end of the history.
    History(Vec<SignedDeed>),
}

impl Told {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        super::encode(self)
    }

    /// Reads a whole answer; `None` if the bytes are something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        super::decode(bytes)
    }
}
