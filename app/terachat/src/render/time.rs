use jiff::{Timestamp, tz::TimeZone};

/// `09:14` in the reader's zone; `--:--` for a time outside the calendar (a peer may claim anything).
pub(crate) fn clock(ts_ms: i64, zone: &TimeZone) -> String {
    shown(ts_ms, zone, "%H:%M").unwrap_or_else(|| "--:--".to_owned())
}

/// `Saturday, 25 December 2004` in the reader's zone.
pub(crate) fn day(ts_ms: i64, zone: &TimeZone) -> String {
    shown(ts_ms, zone, "%A, %-d %B %Y").unwrap_or_else(|| "a day outside the calendar".to_owned())
}

/// `2004-12-25 09:14` in the reader's zone.
pub(crate) fn date_clock(ts_ms: i64, zone: &TimeZone) -> String {
    shown(ts_ms, zone, "%Y-%m-%d %H:%M").unwrap_or_else(|| "----------------".to_owned())
}

fn shown(ts_ms: i64, zone: &TimeZone, format: &str) -> Option<String> {
    let time = Timestamp::from_millisecond(ts_ms).ok()?.to_zoned(zone.clone());
    Some(time.strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_the_readers_zone() {
        let noon = 1_103_966_040_000;
        assert_eq!(clock(noon, &TimeZone::UTC), "09:14");
        assert_eq!(day(noon, &TimeZone::UTC), "Saturday, 25 December 2004");
        let east = TimeZone::fixed(jiff::tz::offset(9));
        assert_eq!(date_clock(noon, &east), "2004-12-25 18:14");
    }

    #[test]
    fn impossible_times_are_shown_as_such() {
        assert_eq!(clock(i64::MAX, &TimeZone::UTC), "--:--");
        assert!(day(i64::MIN, &TimeZone::UTC).contains("outside"));
    }
}
