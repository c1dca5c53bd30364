//! From what people type to what it names.
use crate::api::Place;
use crate::{Client, Error};
use terachat_event::{EventRef, LogId, SpaceId, UserId};

impl Client {
    /// The space of this name, id or id prefix; the only one when none is named.
    pub(crate) fn space(&self, name: Option<&str>) -> Result<SpaceId, Error> {
        let all = self.store.spaces().map(|id| (id, id.to_string(), self.space_name(&id)));
        pick("space", name, all.collect())
    }

    pub(crate) fn space_name(&self, space: &SpaceId) -> String {
        self.store.space(space).map(|state| state.name.clone()).unwrap_or_default()
    }

    /// The channel's log. Without a space named, a channel's name alone is enough where it is unique.
    pub(crate) fn place(&self, place: &Place) -> Result<LogId, Error> {
        let spaces: Vec<SpaceId> = match &place.space {
            Some(_) => vec![self.space(place.space.as_deref())?],
            None => self.store.spaces().collect(),
        };
        if spaces.is_empty() {
            return Err(Error::Unknown { what: "space", name: String::new() });
        }
        let of = |space: &SpaceId| {
            let channels = self.store.space(space).map(|state| state.channels.iter()).into_iter().flatten();
            channels
                .map(|(id, channel)| (LogId::channel(*space, *id), id.to_string(), channel.name.clone()))
                .collect::<Vec<_>>()
        };
        pick("channel", place.channel.as_deref(), spaces.iter().flat_map(of).collect())
    }

    /// The present member of this name, id or id prefix.
    pub(crate) fn member(&self, space: &SpaceId, name: &str) -> Result<UserId, Error> {
        let state = self.store.space(space).ok_or(Error::Unknown { what: "space", name: space.short() })?;
        let present = state.members.iter().filter(|(_, member)| !member.removed);
        pick(
            "member",
            Some(name),
            present.map(|(id, member)| (*id, id.to_string(), member.name.clone())).collect(),
        )
    }

    /// The member of this name, id or id prefix, a former one where no present one is called that.
    pub(crate) fn anyone(&self, space: &SpaceId, name: &str) -> Result<UserId, Error> {
        match self.member(space, name) {
            Err(Error::Unknown { .. }) => {}
            found => return found,
        }
        let members = self.store.space(space).into_iter().flat_map(|state| &state.members);
        let all = members.map(|(id, member)| (*id, id.to_string(), member.name.clone()));
        pick("member", Some(name), all.collect())
    }

    /// The message of this id or unique id prefix.
    pub(crate) fn event(&self, log: &LogId, name: &str) -> Result<EventRef, Error> {
        self.called(log, name, "message")
    }

    /// The event of this id or unique id prefix, which is called a `what`.
    pub(crate) fn called(&self, log: &LogId, name: &str, what: &'static str) -> Result<EventRef, Error> {
        match self.store.find_events(log, name).as_slice() {
            [event] => Ok(*event),
            [] if self.store.find_ahead(log, name).is_empty() => {
                Err(Error::Unknown { what, name: name.to_owned() })
            }
            [] if self.keeps(log) => {
                Err(Error::NotReached { what, name: name.to_owned(), channel: self.channel_name(log) })
            }
            [] => Err(Error::NotKept(self.channel_name(log))),
            _ => Err(Error::Ambiguous { what, name: name.to_owned() }),
        }
    }
}

/// The one whose name is `name`, or whose id starts with it; the only one there is when `name` is absent.
pub(crate) fn pick<T>(
    what: &'static str,
    name: Option<&str>,
    all: Vec<(T, String, String)>,
) -> Result<T, Error> {
    let asked = name.unwrap_or_default().to_owned();
    let fits = |(_, id, full): &(T, String, String)| {
        name.is_none_or(|name| full == name || (name.len() >= 4 && id.starts_with(name)))
    };
    let mut fitting = all.into_iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some((found, ..)), None) => Ok(found),
        (None, _) => Err(Error::Unknown { what, name: asked }),
        (Some(_), Some(_)) => Err(Error::Ambiguous { what, name: asked }),
    }
}
