//! A search's conditions on messages: author, channel, time.
use std::collections::BTreeMap;
use terachat_core_store::query::MessageView;
use terachat_core_store::query::search_index::{Filter, FilterKind, Query};
use terachat_event::DeviceId;

/// Whether a message meets all of a query's conditions. Those that this version does not know are not met.
pub(crate) fn filters_accept(
    query: &Query,
    view: &MessageView,
    names: &BTreeMap<DeviceId, String>,
    channel: &str,
) -> bool {
    query.filters().iter().all(|filter| meets(filter, view, names, channel) != filter.is_excluded)
}

fn meets(filter: &Filter, view: &MessageView, names: &BTreeMap<DeviceId, String>, channel: &str) -> bool {
    let time = || match &view.imported {
        Some((_, ts_ms)) => *ts_ms,
        None => i64::try_from(view.wall_ms).unwrap_or(i64::MAX),
    };
    match filter.kind {
        FilterKind::Author => {
            let signed = names.get(&view.event.author).map(String::as_str);
            let author = view.imported.as_ref().map(|(author, _)| author.as_str()).or(signed);
            author.is_some_and(|author| author.eq_ignore_ascii_case(&filter.value))
        }
        FilterKind::In => channel.eq_ignore_ascii_case(filter.value.trim_start_matches('#')),
        FilterKind::After => time_of(&filter.value).is_some_and(|from| time() >= from),
        FilterKind::Before => time_of(&filter.value).is_some_and(|end| time() < end),
        _ => false,
    }
}

/// A day, or a minute or second of it, in UTC: `2004-12-25`, `2004-12-25T09:14`, `2004-12-25T09:14:30`, with or without a Z; in
/// milliseconds since 1970, at its beginning.
pub(crate) fn time_of(text: &str) -> Option<i64> {
    let (day, clock) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00"));
    let [year, month, day] = numbers(day, '-')?[..] else { return None };
    let [hour, minute, ref second @ ..] = numbers(clock.trim_end_matches(['Z', 'z']), ':')?[..] else {
        return None;
    };
    let second = match second {
        [] => 0,
        [second] => *second,
        _ => return None,
    };
    let days_in_month = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let exists = (1..=9999).contains(&year) && (1..=days_in_month).contains(&day);
    let at_all = exists && hour < 24 && minute < 60 && second < 60;
    at_all.then(|| (((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000)
}

/// Days since 1970 in the Gregorian calendar, counted from March so that a leap day is a year's last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 719_468
}

fn numbers(text: &str, between: char) -> Option<Vec<i64>> {
    let digits = |part: &str| (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split(between).map(|part| digits(part).then(|| part.parse().ok()).flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times() {
        #[track_caller]
        fn case(text: &str, expected: impl Into<Option<i64>>) {
            assert_eq!(time_of(text), expected.into(), "{text}");
        }
        case("1970-01-01", 0);
        case("1970-01-02T00:00:01Z", 86_401_000);
        case("1969-12-31", -86_400_000);
        case("2000-02-29", 951_782_400_000);
        case("2000-03-01", 951_868_800_000);
        case("2004-12-25T09:14", 1_103_966_040_000);
        case("2026-11-26 10:30:05", 1_795_689_005_000);
        for none in [
            "",
            "today",
            "2001-02-29",
            "1900-02-29",
            "2004-13-01",
            "2004-00-01",
            "2004-01-32",
            "2004-1",
            "2004-01-01T24:00",
            "2004-01-01T1",
            "2004-01-01T01:02:03:04",
            "-1-01-01",
            "+004-01-01",
            "20040-01-01",
        ] {
            case(none, None);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let (mut last, mut count) = (days(1899, 12, 31), 0);
        for year in 1900..2110 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(ms) = time_of(&format!("{year}-{month:02}-{day:02}")) {
                        assert_eq!(ms / 86_400_000, last + 1, "{year}-{month}-{day}");
                        (last, count) = (last + 1, count + 1);
                    }
                }
            }
        }
        assert_eq!(count, 210 * 365 + 51);
    }
}
