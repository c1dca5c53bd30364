//! A row of either keyspace of versions.
use crate::engine::{Id, Space, key};
use crate::store::Head;

/// Record, version and sealed bytes of a row of either keyspace.
pub(crate) fn read_row(space: Space, row: &[u8], value: &fjall::Slice) -> Option<(Id, u64, fjall::Slice)> {
    match space {
        Space::Records => {
            let (_, record) = key::read_record(row)?;
            let head = Head::read(value.clone())?;
            Some((record, head.version, head.sealed().into()))
        }
        _ => {
            let (_, record, version) = key::read_version(row)?;
            Some((record, version, value.clone()))
        }
    }
}
