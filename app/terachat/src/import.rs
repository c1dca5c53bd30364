//! Reading a foreign chat log: bytes to lines, lines to records, each with its number for when it cannot be read.
mod batches;
mod line;
mod record;
mod source;

pub(crate) use batches::{Batch, Batches};
pub(crate) use line::{LINE_LEN_MAX, Lines};
pub(crate) use record::{Unreadable, parse};
pub(crate) use source::Source;
