use super::Stored;
use crate::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Values that name events by position.
pub(crate) trait Names {
    /// All positions in it.
    fn positions(&self) -> impl Iterator<Item = u32>;
}

impl Names for BTreeMap<u32, u32> {
    fn positions(&self) -> impl Iterator<Item = u32> {
        self.iter().flat_map(|(at, other)| [*at, *other])
    }
}

/// A value that is stored in postcard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plain<T>(pub(crate) T);

impl<T: Names + Serialize + DeserializeOwned + Default> Stored for Plain<T> {
    /// How many events there are to name.
    type Context = u32;

    fn pack(&self, out: &mut Vec<u8>) {
        out.extend(postcard::to_allocvec(&self.0).expect("plain values encode into a growing buffer"));
    }

    fn unpack(bytes: &[u8], events: u32) -> Result<Self, Error> {
        let malformed = Error::Malformed("a part of a channel's state");
        let value: T = match postcard::take_from_bytes(bytes) {
            Ok((value, [])) => value,
            _ => return Err(malformed),
        };
        let known = value.positions().all(|at| at < events);
        if known { Ok(Self(value)) } else { Err(malformed) }
    }

    fn blank(_: u32) -> Self {
        Self::default()
    }
}
