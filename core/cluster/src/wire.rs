//! What the processes of a cluster send each other about the cluster itself, and what stands before it: `docs/format/cluster-message.md`.
//! Bytes in, values out; who may send what, and what is done then, is not decided here.
mod admission;
mod ask;
mod contact;
mod frame;
mod hello;
mod ledger_at;
mod report;
#[cfg(test)]
mod tests;
mod ticket;
mod told;
mod unwelcome;
mod welcome;

use serde::{Serialize, de::DeserializeOwned};

pub use admission::Admission;
pub use ask::{ASK_LEN_MAX, Ask};
pub use contact::Contact;
pub use frame::{Frame, Kind};
pub use hello::{Ends, Hello};
pub use ledger_at::LedgerAt;
pub use report::{
    AuditReport, DiskUsage, HealthCount, HealthDetail, MemberReport, Mending, Report, ScrubReport,
};
pub use ticket::{BadTicket, Ticket};
pub use told::{HISTORY_MAX, Told};
pub use unwelcome::Unwelcome;
pub use welcome::Welcome;

const VERSION: u8 = 1;

/// A value's bytes: one of the version, then postcard.
pub fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(value, vec![VERSION]).expect("a value in memory can be written")
}

/// Reads a whole value; `None` if the bytes are something else.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (&VERSION, rest) = bytes.split_first()? else { return None };
    match postcard::take_from_bytes(rest) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}
