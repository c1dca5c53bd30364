//! Exchange with devices that are never online at the same time, by a board: `docs/format/board.md`.
//!
//! ```text
//! publish.rs  what a log has and the board has not -> parcels -> sealed records in this device's streams
//! fetch.rs    everybody's streams from where they were last read -> parcels -> the way of a peer's bundles
//! door.rs     a device that lost its place in the group asks for it, and a member answers
//! ```
mod book;
mod door;
mod fetch;
mod parcel;
mod publish;
mod root;
mod ticket;

pub(crate) use door::asked_name;
#[cfg(test)]
pub(crate) use door::door;
pub(crate) use fetch::Round;
pub(crate) use parcel::{Budget, Found, GAP, read_parcel};
#[cfg(test)]
pub(crate) use {
    book::Shelf,
    parcel::{Parcel, Stream},
    root::RootId,
};

#[doc(hidden)]
pub use door::fuzz_handed;

/// Reads a parcel's shape: for the fuzzer, who has no stream that opens.
#[doc(hidden)]
pub fn fuzz_parcel(bytes: &[u8]) {
    match parcel::Parcel::decode(bytes) {
        Ok(parcel::Parcel::Frames(mut rest)) => {
            while !rest.is_empty() && crate::bundle_file::take(&mut rest).is_ok() {}
        }
        Ok(parcel::Parcel::Ask(bytes)) => drop(door::Ask::decode(bytes)),
        Ok(parcel::Parcel::Answer(bytes)) => drop(door::Answer::decode(bytes)),
        _ => {}
    }
}

/// How long the records of one bucket are written, in milliseconds: 30 days. They are kept for as long again.
pub(crate) const BUCKET_MS: u64 = 30 * 24 * 3600 * 1000;

/// The bucket of a time.
pub(crate) fn bucket(now_ms: u64) -> u64 {
    now_ms / BUCKET_MS
}
