use super::records::Records;
use crate::model::EpochKey;
use crate::sync::KeyId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use terachat_event::{ChannelId, EventHash, SpaceId};
use terachat_vault::{Secret, SecretBytes};

pub(super) const PREFIX: &[u8] = b"epoch/";

/// The exported secrets of a device's MLS epochs, and the channel keys derived from them.
#[derive(Default)]
pub(super) struct Keyring {
    derived: RefCell<BTreeMap<(ChannelId, EventHash), Arc<EpochKey>>>,
}

impl Keyring {
    /// The channel's keys in this epoch, if the device has the epoch's secret.
    pub(super) fn key(
        &self,
        records: &Records,
        space: &SpaceId,
        channel: &ChannelId,
        key: &KeyId,
    ) -> Option<Arc<EpochKey>> {
        let mut derived = self.derived.borrow_mut();
        if let Some(known) = derived.get(&(*channel, key.commit)) {
            return Some(Arc::clone(known));
        }
        let secret = secret(records, space, &key.commit)?;
        let fresh = Arc::new(EpochKey::derive(&secret, channel));
        derived.insert((*channel, key.commit), Arc::clone(&fresh));
        Some(fresh)
    }
}

/// The secret of the epoch that the control event `commit` made, if this device has it.
pub(super) fn secret(records: &Records, space: &SpaceId, commit: &EventHash) -> Option<Secret<32>> {
    let bytes: &[u8; 32] = records.value(&name(space, commit))?.try_into().ok()?;
    Some(Secret::generate(|out| out.copy_from_slice(bytes)))
}

/// The record that keeps an epoch's secret.
pub(super) fn record(
    space: &SpaceId,
    commit: &EventHash,
    secret: &Secret<32>,
) -> (Vec<u8>, Option<SecretBytes>) {
    (name(space, commit), Some(SecretBytes::copy_from(secret.expose_secret())))
}

/// Whether the record of this name keeps an epoch's secret.
pub(super) fn is_secret(name: &[u8]) -> bool {
    name.starts_with(PREFIX)
}

fn name(space: &SpaceId, commit: &EventHash) -> Vec<u8> {
    [PREFIX, &space.0, &commit.0].concat()
}
