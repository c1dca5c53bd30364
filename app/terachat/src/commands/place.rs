use crate::failure::{Failure, Result};
use terachat_client::api::{ChannelStatus, Place, SpaceStatus, Status};

/// The one space that `wanted` names, or that there is.
pub(super) fn space<'a>(status: &'a Status, wanted: Option<&str>) -> Result<&'a SpaceStatus> {
    one(&status.spaces, wanted, |space| (&space.name, &space.id), "space")
}

/// The one channel that `wanted` names, or that there is, with its space.
pub(super) fn channel<'a>(
    status: &'a Status,
    wanted: &Place,
) -> Result<(&'a SpaceStatus, &'a ChannelStatus)> {
    let space = space(status, wanted.space.as_deref())?;
    let channel =
        one(&space.channels, wanted.channel.as_deref(), |channel| (&channel.name, &channel.id), "channel")?;
    Ok((space, channel))
}

/// By exact name or id first, else by a unique beginning of the id.
fn one<'a, T>(all: &'a [T], wanted: Option<&str>, key: fn(&T) -> (&str, &str), what: &str) -> Result<&'a T> {
    let next = format!("`terachat status` lists those there are; name one with --{what}");
    let exact = |one: &&T| wanted.is_none_or(|wanted| key(one).0 == wanted || key(one).1 == wanted);
    let begins = |one: &&T| wanted.is_some_and(|wanted| key(one).1.starts_with(wanted));
    let mut found: Vec<&T> = all.iter().filter(exact).collect();
    if found.is_empty() {
        found = all.iter().filter(begins).collect();
    }
    match (found.as_slice(), wanted) {
        ([one], _) => Ok(one),
        ([], Some(wanted)) => Err(Failure::new(format_args!("there is no {what} {wanted:?}"), next)),
        ([], None) => Err(Failure::new(format_args!("there is no {what} yet"), next)),
        (_, Some(wanted)) => {
            Err(Failure::new(format_args!("more than one {what} is meant by {wanted:?}"), next))
        }
        (_, None) => Err(Failure::new(format_args!("there is more than one {what}"), next)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let channel = |name: &str, id: &str| ChannelStatus {
            forum: false,
            since_join: false,
            unread: 0,
            mentions: 0,
            topic: String::new(),
            category: None,
            kept: true,
            newest: false,
            id: id.into(),
            name: name.into(),
            events: 0,
            messages: 0,
            state_hash: String::new(),
        };
        let space = |name: &str, id: &str, channels| SpaceStatus {
            categories: Vec::new(),
            id: id.into(),
            name: name.into(),
            epoch: None,
            post_quantum: Some(false),
            moving: None,
            renewal: Default::default(),
            rank: None,
            state_hash: String::new(),
            channels,
            members: vec![],
            archives: vec![],
            holds: vec![],
            warnings: vec![],
            waiting: vec![],
        };
        let spaces = vec![space("crew", "a1", vec![channel("deck", "d1")]), space("a1", "b2", vec![])];
        Status { spaces, ..Status::default() }
    }

    #[test]
    fn names_ids_and_beginnings_select() {
        let status = status();
        assert_eq!(space(&status, Some("crew")).unwrap().id, "a1");
        assert_eq!(space(&status, Some("b")).unwrap().id, "b2");
        assert!(space(&status, Some("a1")).is_err(), "one by name, another by id");
        assert!(space(&status, None).is_err() && space(&status, Some("zz")).is_err());
        let place = Place { space: Some("crew".into()), channel: None };
        assert_eq!(channel(&status, &place).unwrap().1.name, "deck");
    }
}
