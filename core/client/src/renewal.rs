//! Post-compromise security (RFC 9420, section 16.6): a device that speaks renews its keys in the group now and then, so that
//! whoever once copied them cannot read along for ever. Where commits are put into an order (`docs/adr/0041-an-orderer-of-commits.md`) it
//! waits for its turn, for a day at most.
use crate::api::{Answer, Notice, RenewalStatus};
use crate::{Client, Error};
use std::collections::BTreeMap;
use terachat_core_store::model::{ControlOp, Permission, Renewal};
use terachat_core_store::store::Write;
use terachat_core_store::sync::board::Board;
use terachat_event::{EventHash, LogId, SpaceId};
use terachat_vault::SecretBytes;

/// Records of when this device last made a commit in a space, in milliseconds since 1970, little-endian. One that loses its
/// race is made up for at once, by the commit that leads back to it.
const RENEWED: &[u8] = b"renewed/";
/// Records of since when a renewal that was due waits for a board that orders commits, by space, likewise.
const PUT_OFF: &[u8] = b"renewal-put-off/";
/// The record of when such a board was read last, likewise.
const ORDERER: &[u8] = b"orderer-read";
const DAY_MS: u64 = 86_400_000;
/// How long a renewal is put off, and for how long a device that has read such a board is taken for one that does so again.
const PUT_OFF_MS: u64 = DAY_MS;
/// How exactly it is noted when one was read.
const ORDERER_READ_MS: u64 = DAY_MS / 24;
/// Every renewal is a control event of some kilobytes for everybody. So many a day are enough: in a space of more devices
/// than 64 for each day of the period each of them renews less often than the space says.
const RENEWALS_A_DAY: u64 = 64;

/// How long a device's keys serve in a space of so many devices, in milliseconds.
fn period_ms(renewal: Renewal, devices: usize) -> u64 {
    let fair = u64::try_from(devices).unwrap_or(u64::MAX).div_ceil(RENEWALS_A_DAY);
    fair.max(u64::from(renewal.days)).saturating_mul(DAY_MS)
}

/// How many events of a space's channels are sealed in one epoch, as far as they were counted.
#[derive(Default)]
pub(crate) struct Tally {
    commit: Option<EventHash>,
    /// How far each log was gone through.
    through: BTreeMap<LogId, u32>,
    count: u32,
}

/// What is to be written with a commit of this device.
pub(crate) fn renewed_record(space: &SpaceId, now_ms: u64) -> Write {
    (renewed_name(space), time_value(now_ms))
}

impl Client {
    /// Renews this device's keys at once, whenever it last did.
    pub(crate) fn renew(&mut self, space: Option<&str>) -> Result<Answer, Error> {
        let space = self.space(space)?;
        self.commit_anew(space)?;
        Ok(Answer::Done)
    }

    /// Says when members renew the space's keys of themselves; what is left out stays as it is. Without both it only tells.
    pub(crate) fn space_renewal(
        &mut self,
        space: Option<&str>,
        days: Option<u16>,
        messages: Option<u32>,
    ) -> Result<Answer, Error> {
        let space = self.space(space)?;
        if days.is_some() || messages.is_some() {
            let now = self.renewal(&space);
            let (days, messages) = (days.unwrap_or(now.days), messages.unwrap_or(now.messages));
            let wanted = Renewal::new(days, messages).map_err(|_| {
                Error::Input("keys are renewed after 1 to 365 days or 100 to 1,000,000 messages")
            })?;
            self.require(&space, Permission::ManageSuite)?;
            if wanted != now {
                self.govern(space, ControlOp::SetRenewal(wanted))?;
            }
        }
        Ok(Answer::Renewal(self.renewal_status(&space)))
    }

    pub(crate) fn renewal_status(&self, space: &SpaceId) -> RenewalStatus {
        let renewal = self.renewal(space);
        let days_here = period_ms(renewal, self.devices_in(space)) / DAY_MS;
        RenewalStatus { days: renewal.days, messages: renewal.messages, days_here }
    }

    fn renewal(&self, space: &SpaceId) -> Renewal {
        self.store.space(space).map(|state| state.renewal()).unwrap_or_default()
    }

    fn devices_in(&self, space: &SpaceId) -> usize {
        self.store.space(space).map_or(0, |state| state.present_devices().count())
    }

    /// Renews this device's keys before something is sealed with them, if they have served their time or the epoch has as many
    /// messages as it gets. The clock decides nothing that others have to agree on: one that is wrong makes a device renew too
    /// often or too seldom.
    pub(crate) fn renew_if_due(&mut self, space: SpaceId) -> Result<(), Error> {
        let is_now = self.is_renewal_due(space)? && !self.puts_off_renewal(space)?;
        if is_now { self.commit_anew(space) } else { Ok(()) }
    }

    fn is_renewal_due(&mut self, space: SpaceId) -> Result<bool, Error> {
        let renewal = self.renewal(&space);
        if self.sealed_in_epoch(&space)? >= renewal.messages {
            return Ok(true);
        }
        let Some(renewed_ms) = self.time(&renewed_name(&space)) else {
            // It has only just joined, or is older than this rule: its time begins now.
            self.store.write_records(vec![renewed_record(&space, self.now_ms)])?;
            return Ok(false);
        };
        let period_ms = period_ms(renewal, self.devices_in(&space));
        // A time that is yet to come was taken from a clock that went wrong.
        Ok(self.now_ms.checked_sub(renewed_ms).is_none_or(|age_ms| age_ms >= period_ms))
    }

    /// Whether a renewal that is due waits for this device's turn: all who speak are due at about the same time, and out of turn most of their
    /// commits would lose. For a day, and for as many messages again, where a board that orders commits was read within a day. A clock
    /// that went back ends it.
    fn puts_off_renewal(&mut self, space: SpaceId) -> Result<bool, Error> {
        let now_ms = self.now_ms;
        let lasts = |since: u64| now_ms.checked_sub(since).is_some_and(|age_ms| age_ms < PUT_OFF_MS);
        if self.asks_for_turns() || !self.time(ORDERER).is_some_and(lasts) {
            return Ok(false);
        }
        if self.sealed_in_epoch(&space)? >= self.renewal(&space).messages.saturating_mul(2) {
            return Ok(false);
        }
        if let Some(since) = self.renewal_put_off(&space) {
            return Ok(lasts(since));
        }
        self.store.write_records(vec![(put_off_name(&space), time_value(now_ms))])?;
        Ok(true)
    }

    /// Since when a renewal waits, if none was made since.
    fn renewal_put_off(&self, space: &SpaceId) -> Option<u64> {
        let since = self.time(&put_off_name(space))?;
        let renewed = self.time(&renewed_name(space)).is_some_and(|renewed_ms| renewed_ms > since);
        (!renewed).then_some(since)
    }

    /// Behind all that a board that orders commits has shown: makes the renewals that were put off until then and are due yet, each in
    /// turn. Where others come first it is done with the next look.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) fn renew_in_turn(&mut self, board: &dyn Board) -> Result<(), Error> {
        let is_noted =
            |read_ms: u64| self.now_ms.checked_sub(read_ms).is_some_and(|age| age < ORDERER_READ_MS);
        if !self.time(ORDERER).is_some_and(is_noted) {
            self.store.write_records(vec![(ORDERER.to_vec(), time_value(self.now_ms))])?;
        }
        let spaces =
            self.store.records(PUT_OFF).filter_map(|(name, _)| name[PUT_OFF.len()..].try_into().ok());
        for space in spaces.map(SpaceId).collect::<Vec<_>>() {
            let Ok(epoch) = self.epoch(&space) else { continue };
            if self.renewal_put_off(&space).is_some() && self.is_renewal_due(space)? {
                if !self.in_turn(true, |client| client.has_turn_on(board, space, epoch.commit))? {
                    continue;
                }
                match self.in_turn(true, |client| client.commit_anew(space)) {
                    Err(error @ Error::Store(_)) => return Err(error),
                    Err(error) => self.notices.push_back(Notice::Alarm { what: error.to_string() }),
                    Ok(()) => {}
                }
            }
            self.store.write_records(vec![(put_off_name(&space), None)])?;
        }
        Ok(())
    }

    /// How many events of channels are here that are sealed in the present epoch. Each is counted once.
    fn sealed_in_epoch(&mut self, space: &SpaceId) -> Result<u32, Error> {
        let commit = self.epoch(space)?.commit;
        let tally = self.tallies.entry(*space).or_default();
        if tally.commit != Some(commit) {
            *tally = Tally { commit: Some(commit), ..Tally::default() };
        }
        tally.count += self.store.count_under(space, &commit, &mut tally.through);
        Ok(tally.count)
    }

    /// The time in a record.
    fn time(&self, name: &[u8]) -> Option<u64> {
        self.store.record(name)?.try_into().ok().map(u64::from_le_bytes)
    }
}

fn renewed_name(space: &SpaceId) -> Vec<u8> {
    [RENEWED, &space.0].concat()
}

fn put_off_name(space: &SpaceId) -> Vec<u8> {
    [PUT_OFF, &space.0].concat()
}

fn time_value(ms: u64) -> Option<SecretBytes> {
    Some(SecretBytes::take(ms.to_le_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_spaces_renew_less_often() {
        for (devices, days) in [(0, 7), (1, 7), (448, 7), (449, 8), (10_000, 157)] {
            assert_eq!(period_ms(Renewal::default(), devices), days * DAY_MS, "{devices}");
        }
        let often = Renewal::new(1, 100).unwrap();
        assert_eq!([1, 64, 65].map(|devices| period_ms(often, devices)), [1, 1, 2].map(|days| days * DAY_MS));
        assert!(period_ms(often, usize::MAX) > DAY_MS);
    }
}
