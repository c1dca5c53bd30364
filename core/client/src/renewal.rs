//! Post-compromise security (RFC 9420, section 16.6): a device that speaks renews its keys in the group now and then, so that
//! whoever once copied them cannot read along for ever.
use crate::api::Answer;
use crate::{Client, Error};
use terachat_core_store::store::Write;
use terachat_event::SpaceId;
use terachat_vault::SecretBytes;

/// Records of when this device last made a commit in a space, in milliseconds since 1970, little-endian. One that loses its
/// race is made up for at once, by the commit that leads back to it.
const RENEWED: &[u8] = b"renewed/";
const DAY_MS: u64 = 86_400_000;
/// How old a device's keys get in a small space.
const PERIOD_DAYS: u64 = 7;
/// Every renewal is a control event of some kilobytes for everybody. So many a day are enough: in a space of more than
/// 448 devices each of them renews less often than every seven days.
const RENEWALS_A_DAY: u64 = 64;

/// How long a device's keys serve in a space of so many devices, in milliseconds.
fn period_ms(devices: usize) -> u64 {
    let fair = u64::try_from(devices).unwrap_or(u64::MAX).div_ceil(RENEWALS_A_DAY);
    fair.max(PERIOD_DAYS).saturating_mul(DAY_MS)
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

    /// Renews this device's keys before something is sealed with them, if they have served their time. The clock decides
    /// nothing that others have to agree on: one that is wrong makes a device renew too often or too seldom.
    pub(crate) fn renew_if_due(&mut self, space: SpaceId) -> Result<(), Error> {
        let Some(renewed_ms) = self.renewed_ms(&space) else {
            // It has only just joined, or is older than this rule: its time begins now.
            return Ok(self.store.write_records(vec![renewed_record(&space, self.now_ms)])?);
        };
        let devices = self.store.space(&space).map_or(0, |state| state.present_devices().count());
        // A time that is yet to come was taken from a clock that went wrong.
        let is_due = self.now_ms.checked_sub(renewed_ms).is_none_or(|age_ms| age_ms >= period_ms(devices));
        if is_due { self.commit_anew(space) } else { Ok(()) }
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
            assert_eq!(period_ms(devices), days * DAY_MS, "{devices}");
        }
        assert!(period_ms(usize::MAX) > DAY_MS);
    }
}
