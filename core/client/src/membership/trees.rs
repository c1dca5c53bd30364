//! Ratchet trees: those kept for newcomers, and the one that this device needs to join.
use crate::{Client, Error};
use terachat_core_store::store::Write;
use terachat_event::SpaceId;
use terachat_group::Group;
use terachat_vault::SecretBytes;

const TREES: &[u8] = b"tree/";
/// Ratchet trees kept for newcomers, whatever their length.
const TREES_KEPT: usize = 8;
/// Bytes of trees below which older ones are kept, too: of those invited one after the other, some come late.
const TREES_LEN_MAX: usize = 4 << 20;

impl Client {
    /// The tree with this hash, for a newcomer.
    pub(crate) fn tree(&self, space: &SpaceId, hash: &[u8; 32]) -> Option<Vec<u8>> {
        let prefix = [TREES, &space.0].concat();
        self.store.records(&prefix).find(|(name, _)| name.ends_with(hash)).map(|(_, tree)| tree.to_vec())
    }

    /// Hash of the ratchet tree that this device needs to join.
    pub(crate) fn wanted_tree(&self, space: &SpaceId) -> Option<[u8; 32]> {
        self.memberships.get(space).and_then(|membership| membership.wanted_tree)
    }

    /// Keeps a tree that a peer sent, if it is the one that was asked for.
    pub(crate) fn take_tree(&mut self, space: SpaceId, tree: Vec<u8>) -> Result<bool, Error> {
        let hash = *blake3::hash(&tree).as_bytes();
        if self.wanted_tree(&space) != Some(hash) {
            return Ok(false);
        }
        self.store.write_records(vec![(tree_name(&space, 0, &hash), Some(SecretBytes::take(tree)))])?;
        self.settle(space)
    }

    /// Trees that this device can hand out.
    pub(crate) fn trees(&self, space: &SpaceId) -> Vec<Vec<u8>> {
        self.store.records(&[TREES, &space.0].concat()).map(|(_, tree)| tree.to_vec()).collect()
    }

    pub(crate) fn tree_records(&self, space: &SpaceId, group: &Group) -> Vec<Write> {
        let tree = group.ratchet_tree();
        let hash = *blake3::hash(&tree).as_bytes();
        let prefix = [TREES, &space.0].concat();
        let kept: Vec<(Vec<u8>, usize)> =
            self.store.records(&prefix).map(|(name, tree)| (name.to_vec(), tree.len())).collect();
        let mut len = kept.iter().map(|(_, len)| len).sum::<usize>() + tree.len();
        let old = (kept.len() + 1).saturating_sub(TREES_KEPT);
        let mut writes: Vec<Write> = Vec::new();
        for (name, tree_len) in kept.into_iter().take(old) {
            if len > TREES_LEN_MAX {
                len -= tree_len;
                writes.push((name, None));
            }
        }
        writes.push((tree_name(space, group.epoch(), &hash), Some(SecretBytes::take(tree))));
        writes
    }
}

fn tree_name(space: &SpaceId, epoch: u64, hash: &[u8; 32]) -> Vec<u8> {
    [TREES, &space.0, &epoch.to_be_bytes(), hash].concat()
}
