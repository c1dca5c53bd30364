use super::State;
use crate::ItemName;
use serde::{Deserialize, Serialize};
use std::ops::Bound;

const DIGEST: &str = "terachat 2026-11 cluster export";

/// Items that are told of at once at most.
pub const EXHIBITS_MAX: usize = 4096;

/// What a case holds, and whether it is there: people may be told to keep what they have not put yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exhibit {
    /// Which item.
    pub name: ItemName,
    /// BLAKE3 of its bytes, and how many these are; `None` if it is not in the cluster.
    pub content: Option<([u8; 32], u32)>,
}

impl Exhibit {
    /// What an export's deed binds: what a case holds, in the order of names, with the hash and length of each item that is there.
    pub fn digest(exhibits: &[Self]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(DIGEST);
        for Self { name, content } in exhibits {
            hasher.update(&[name.kind as u8, u8::from(content.is_some())]).update(&name.key);
            if let Some((hash, len)) = content {
                hasher.update(hash).update(&len.to_le_bytes());
            }
        }
        *hasher.finalize().as_bytes()
    }
}

impl State {
    /// What a case holds, in the order of names, from behind `after` on; nothing for a case that holds nothing.
    pub fn exhibits(&self, case: &str, after: Option<&ItemName>) -> impl Iterator<Item = Exhibit> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.roster()
            .held_for(case)
            .into_iter()
            .flat_map(move |items| items.range((from, Bound::Unbounded)))
            .map(|name| Exhibit {
                name: *name,
                content: self.item(name).map(|place| (place.item.digest, place.item.len)),
            })
    }
}
