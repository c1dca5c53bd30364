//! Post-compromise security (RFC 9420, section 16.6): a device that speaks renews its keys in the group now and then, so that
//! whoever once copied them cannot read along for ever.
use crate::api::{Answer, RenewalStatus};
use crate::{Client, Error};
use std::collections::BTreeMap;
use terachat_core_store::model::{ControlOp, Permission, Renewal};
use terachat_core_store::store::Write;
use terachat_event::{EventHash, LogId, SpaceId};
use terachat_vault::SecretBytes;

/// Records of when this device last made a commit in a space, in milliseconds since 1970, little-endian. One that loses its
/// race is made up for at once, by the commit that leads back to it.
const RENEWED: &[u8] = b"renewed/";
const DAY_MS: u64 = 86_400_000;
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
    ([RENEWED, &space.0].concat(), Some(SecretBytes::take(now_ms.to_le_bytes().to_vec())))
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
        let renewal = self.renewal(&space);
        if self.sealed_in_epoch(&space)? >= renewal.messages {
            return self.commit_anew(space);
        }
        let Some(renewed_ms) = self.renewed_ms(&space) else {
            // It has only just joined, or is older than this rule: its time begins now.
            return Ok(self.store.write_records(vec![renewed_record(&space, self.now_ms)])?);
        };
        let period_ms = period_ms(renewal, self.devices_in(&space));
        // A time that is yet to come was taken from a clock that went wrong.
        let is_due = self.now_ms.checked_sub(renewed_ms).is_none_or(|age_ms| age_ms >= period_ms);
        if is_due { self.commit_anew(space) } else { Ok(()) }
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

    fn renewed_ms(&self, space: &SpaceId) -> Option<u64> {
        let value = self.store.record(&[RENEWED, &space.0].concat())?;
        value.try_into().ok().map(u64::from_le_bytes)
    }
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
