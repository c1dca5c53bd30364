//! The wall clock: for display only, nothing is decided by it.
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch by this machine's clock; 0 when that stands before 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_milliseconds_of_this_age() {
        let now = super::now_ms();
        assert!(now > 1_700_000_000_000, "later than 2023, so not seconds");
        assert!(now < 10_000_000_000_000, "earlier than 2286, so not microseconds");
        assert!(super::now_ms() + 60_000 > now);
    }
}
