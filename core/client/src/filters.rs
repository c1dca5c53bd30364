//! Conditions on messages: those of a page, and a search's operators.
use crate::api::MessageFilter;
use crate::compose::EVERYONE;
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::model::{Mention, Rank};
use terachat_core_store::query::search_index::{Filter, FilterKind, Query};
use terachat_core_store::query::{self, MessageView};
use terachat_event::{DeviceId, LogId, UserId};

/// The user who asks, where users are named.
const ME: &str = "me";
/// What `has` asks for.
const ATTACHMENT: &str = "attachment";
const BAD_TIME: &str =
    "a time is a day or a moment of it in UTC, like 2004-12-25, 2004-12-25T09:14 or 2004-12-25T09:14:30";

/// What a search's conditions on messages of one log are judged by.
pub(crate) struct Known {
    me: UserId,
    channel: String,
    /// Of the users of all devices, present or former.
    names: BTreeMap<DeviceId, String>,
    users: BTreeMap<UserId, String>,
    /// Of the users of present members' devices.
    ranks: BTreeMap<DeviceId, Rank>,
}

impl Client {
    /// What a page's conditions say to the store.
    pub(crate) fn filter(&self, log: &LogId, asked: &MessageFilter) -> Result<query::Filter, Error> {
        let MessageFilter { from, min_rank, since, until, has_attachment, mentions } = asked;
        let time = |text: &String| {
            let ms = time_of(text).ok_or(Error::Input(BAD_TIME))?;
            Ok::<_, Error>(u64::try_from(ms).unwrap_or(0))
        };
        let rank = |rank: u8| Rank::new(rank).ok_or(Error::Input("a rank is a number from 0 to 100"));
        let by = |name: &String| {
            let user = self.anyone(&log.space, name)?;
            Ok::<_, Error>(self.devices_of(&log.space, &user).into_iter().collect())
        };
        Ok(query::Filter {
            authors: from.as_ref().map(by).transpose()?,
            min_rank: min_rank.map(rank).transpose()?,
            since_ms: since.as_ref().map(time).transpose()?,
            until_ms: until.as_ref().map(time).transpose()?,
            has_attachment: *has_attachment,
            mentions: mentions.as_ref().map(|name| self.mentions_of(log, name)).transpose()?,
            kind: None,
        })
    }

    /// The mentions by which somebody is meant: the user's own and everyone's, as they are counted while unread.
    fn mentions_of(&self, log: &LogId, name: &str) -> Result<BTreeSet<Mention>, Error> {
        let user = match name {
            EVERYONE => return Ok([Mention::Everyone].into()),
            ME => self.identity.user_id(),
            name => self.anyone(&log.space, name)?,
        };
        Ok([Mention::Everyone, Mention::User(user)].into())
    }

    /// What a search's conditions on this log's messages are judged by.
    pub(crate) fn known(&self, log: &LogId) -> Known {
        let state = self.store.space(&log.space);
        let members = state.into_iter().flat_map(|state| &state.members);
        let devices = state.into_iter().flat_map(|state| state.devices.keys());
        let rank = |device: &DeviceId| Some((*device, state?.rank_of(device)?));
        Known {
            me: self.identity.user_id(),
            channel: self.channel_name(log),
            names: self.names(log),
            users: members.map(|(user, member)| (*user, member.name.clone())).collect(),
            ranks: devices.filter_map(rank).collect(),
        }
    }
}

impl Known {
    /// Whether a message meets all of a query's conditions. Those that this version does not know are not met.
    pub(crate) fn meets(&self, query: &Query, view: &MessageView) -> bool {
        query.filters().iter().all(|filter| self.meets_one(filter, view) != filter.is_excluded)
    }

    fn meets_one(&self, filter: &Filter, view: &MessageView) -> bool {
        let time = || match &view.imported {
            Some((_, ts_ms)) => *ts_ms,
            None => i64::try_from(view.wall_ms).unwrap_or(i64::MAX),
        };
        match filter.kind {
            FilterKind::Author => {
                let signed = self.names.get(&view.event.author).map(String::as_str);
                let author = view.imported.as_ref().map(|(author, _)| author.as_str()).or(signed);
                author.is_some_and(|author| author.eq_ignore_ascii_case(&filter.value))
            }
            FilterKind::In => self.channel.eq_ignore_ascii_case(filter.value.trim_start_matches('#')),
            FilterKind::After => time_of(&filter.value).is_some_and(|from| time() >= from),
            FilterKind::Before => time_of(&filter.value).is_some_and(|end| time() < end),
            FilterKind::Has => filter.value.eq_ignore_ascii_case(ATTACHMENT) && !view.attachments.is_empty(),
            FilterKind::Mentions => self.are_meant(&filter.value, &view.mentions),
            FilterKind::Rank => {
                let least = filter.value.parse().ok().and_then(Rank::new);
                let rank = self.ranks.get(&view.event.author);
                least.zip(rank).is_some_and(|(least, rank)| *rank >= least)
            }
            _ => false,
        }
    }

    /// Whether one of these mentions means whoever is called `name`: by name, or with everyone.
    fn are_meant(&self, name: &str, mentions: &[Mention]) -> bool {
        let everyone = mentions.contains(&Mention::Everyone);
        if name.eq_ignore_ascii_case(EVERYONE) {
            return everyone;
        }
        let is_me = name.eq_ignore_ascii_case(ME);
        let mut called = self.users.iter().filter(|(user, called)| {
            if is_me { **user == self.me } else { called.eq_ignore_ascii_case(name) }
        });
        called.any(|(user, _)| everyone || mentions.contains(&Mention::User(*user)))
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
