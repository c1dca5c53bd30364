//! What an invitation carries so that its holder can read the board before it is in any epoch.
use super::bucket;
use super::root::Root;
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::store::Write;
use terachat_event::{DeviceId, SpaceId};
use terachat_vault::{Secret, SecretBytes};

/// Records of tickets that this device gave, by space and invited device: the bucket it was in, and the secret.
const GIVEN: &[u8] = b"ticket-given/";
/// Records of tickets that this device holds, by space: the bucket it was in, the inviting device, and the secret.
const HELD: &[u8] = b"ticket-held/";
/// Buckets after which a ticket is given up.
const BUCKETS_MAX: u64 = 3;

impl Client {
    /// A ticket for each newcomer; the same one for as long as it is needed.
    pub(crate) fn give_tickets(
        &mut self,
        space: &SpaceId,
        invited: BTreeSet<DeviceId>,
    ) -> Result<BTreeMap<DeviceId, Secret<32>>, Error> {
        let (mut tickets, mut writes) = (BTreeMap::new(), Vec::new());
        for device in invited {
            let name = [GIVEN, &space.0, &device.0].concat();
            let known = self.store.record(&name).and_then(|bytes| bytes.get(8..)?.try_into().ok());
            let secret = match known {
                Some(mut secret) => Secret::take(&mut secret),
                None => Secret::generate(|out| self.store.entropy().fill(out)),
            };
            writes.push((name, Some(self.given(&secret))));
            tickets.insert(device, secret);
        }
        self.store.write_records(writes)?;
        Ok(tickets)
    }

    /// Keeps tickets that were given in another way, so that what belongs to them is left for the newcomers.
    pub(crate) fn keep_tickets(
        &mut self,
        space: &SpaceId,
        tickets: Vec<(DeviceId, Secret<32>)>,
    ) -> Result<(), Error> {
        let write = |(device, secret): (DeviceId, Secret<32>)| {
            ([GIVEN, &space.0, &device.0].concat(), Some(self.given(&secret)))
        };
        let writes = tickets.into_iter().map(write).collect();
        Ok(self.store.write_records(writes)?)
    }

    fn given(&self, secret: &Secret<32>) -> SecretBytes {
        SecretBytes::generate(40, |out| {
            let (at, rest) = out.split_at_mut(8);
            at.copy_from_slice(&bucket(self.now_ms).to_le_bytes());
            rest.copy_from_slice(secret.expose_secret());
        })
    }

    /// Tickets of a space that somebody may still need. Whoever has spoken, was removed, or did not come for long needs none.
    pub(super) fn tickets_given(&mut self, space: &SpaceId) -> Result<Vec<Root>, Error> {
        let prefix = [GIVEN, &space.0].concat();
        let now = bucket(self.now_ms);
        let (mut roots, mut done) = (Vec::new(), Vec::new());
        for (name, value) in self.store.records(&prefix) {
            let invited = name[prefix.len()..].try_into().ok().map(DeviceId);
            let (Some(invited), Some((at, secret))) = (invited, value.split_first_chunk::<8>()) else {
                continue;
            };
            let Ok(mut secret) = secret.try_into() else { continue };
            let is_old = now.saturating_sub(u64::from_le_bytes(*at)) >= BUCKETS_MAX;
            if is_old || !self.is_member(space, &invited) || self.has_spoken(space, &invited) {
                done.push((name.to_vec(), None));
            } else {
                roots.push(Root::of(Secret::take(&mut secret), None, true));
            }
        }
        self.store.write_records(done)?;
        Ok(roots)
    }

    /// Keeps the ticket of an accepted invitation.
    pub(crate) fn ticket_record(&self, space: &SpaceId, inviter: &DeviceId, secret: &Secret<32>) -> Write {
        let value = SecretBytes::generate(72, |out| {
            let (at, rest) = out.split_at_mut(8);
            let (device, rest) = rest.split_at_mut(32);
            at.copy_from_slice(&bucket(self.now_ms).to_le_bytes());
            device.copy_from_slice(&inviter.0);
            rest.copy_from_slice(secret.expose_secret());
        });
        ([HELD, &space.0].concat(), Some(value))
    }

    /// The tickets this device holds. They are read for as long as they may be written.
    pub(super) fn tickets_held(&mut self) -> Result<Vec<(SpaceId, DeviceId, Root)>, Error> {
        let (mut held, mut done) = (Vec::new(), Vec::new());
        for (name, value) in self.store.records(HELD) {
            let space = name[HELD.len()..].try_into().ok().map(SpaceId);
            let (Some(space), Some((at, rest))) = (space, value.split_first_chunk::<8>()) else { continue };
            let Some((inviter, secret)) = rest.split_first_chunk::<32>() else { continue };
            let Ok(mut secret) = secret.try_into() else { continue };
            if bucket(self.now_ms).saturating_sub(u64::from_le_bytes(*at)) >= BUCKETS_MAX {
                done.push((name.to_vec(), None));
            } else {
                held.push((space, DeviceId(*inviter), Root::of(Secret::take(&mut secret), None, true)));
            }
        }
        self.store.write_records(done)?;
        Ok(held)
    }

    pub(super) fn is_member(&self, space: &SpaceId, device: &DeviceId) -> bool {
        self.store.space(space).is_some_and(|state| state.member_of(device).is_some())
    }

    /// Whether a device has written anything in a space: then it is in its group.
    fn has_spoken(&self, space: &SpaceId, device: &DeviceId) -> bool {
        let logs = self.store.logs().into_iter().filter(|log| log.space == *space);
        logs.filter_map(|log| self.store.frontier(&log)).any(|frontier| frontier.chain(device).is_some())
    }
}
