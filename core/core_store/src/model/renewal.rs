use crate::Error;
use serde::{Deserialize, Serialize};

/// When the members of a space renew its keys of themselves, beside every change of who is a member: whoever speaks once one of
/// both has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// How old a device's keys get, in days: 1 to 365. In a space of more than 64 times as many devices later, so that there
    /// are at most 64 renewals a day.
    pub days: u16,
    /// How many events of channels an epoch gets, as far as a device has them: 100 to 1,000,000.
    pub messages: u32,
}

impl Renewal {
    /// Fewest and most days.
    pub const DAYS: std::ops::RangeInclusive<u16> = 1..=365;
    /// Fewest and most events. Every renewal is a control event of some kilobytes for everybody, which a hundred messages
    /// outweigh.
    pub const MESSAGES: std::ops::RangeInclusive<u32> = 100..=1_000_000;

    /// Within the bounds.
    ///
    /// # Errors
    /// [`Error::Payload`] says which are not kept.
    pub fn new(days: u16, messages: u32) -> Result<Self, Error> {
        match (Self::DAYS.contains(&days), Self::MESSAGES.contains(&messages)) {
            (true, true) => Ok(Self { days, messages }),
            (false, _) => Err(Error::Payload("keys are renewed after 1 to 365 days")),
            (_, false) => Err(Error::Payload("keys are renewed after 100 to 1,000,000 messages")),
        }
    }
}

impl Default for Renewal {
    /// After 7 days or 10,000 messages.
    fn default() -> Self {
        Self { days: 7, messages: 10_000 }
    }
}
