//! How far a rotation is: stored with each of its steps, so that it goes on there.
use crate::bytes::{Malformed, Reader};
use crate::engine::{Id, Space, key};

/// Where it is; stored with each step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) generation: u32,
    pub(super) started_ms: u64,
    /// The keyspace it works in; `None` once both are through and the proof is due.
    pub(super) space: Option<Space>,
    /// The last key that was looked at.
    pub(super) after: Vec<u8>,
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) bytes: u64,
}

impl Place {
    pub(super) fn start(generation: u32, started_ms: u64, total: u64) -> Self {
        Self {
            generation,
            started_ms,
            space: Some(Space::Records),
            after: Vec::new(),
            done: 0,
            total,
            bytes: 0,
        }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = self.generation.to_le_bytes().to_vec();
        out.push(self.space.map_or(0, |space| space as u8));
        for number in [self.started_ms, self.done, self.total, self.bytes] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.after);
        out
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let generation = reader.u32()?;
        let space = match reader.u8()? {
            0 => None,
            number => Some(Space::from_number(number).ok_or(Malformed)?),
        };
        let (started_ms, done, total, bytes) = (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
        Ok(Self { generation, started_ms, space, after: reader.0.to_vec(), done, total, bytes })
    }
}

/// Where that of a collection is stored.
pub(super) fn place_row(collection: &Id) -> Vec<u8> {
    key::meta(&[&b"rotation "[..], collection].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_what_they_wrote() {
        for space in [None, Some(Space::Records), Some(Space::Versions)] {
            let place = Place { space, after: vec![1, 2], done: 3, bytes: 4, ..Place::start(5, 6, 7) };
            assert_eq!(Place::read(&place.write()), Ok(place));
        }
        assert_eq!(Place::read(&[1, 2]), Err(Malformed));
    }
}
