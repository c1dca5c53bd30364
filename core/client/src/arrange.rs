use crate::api::{Answer, Arrangement, Notice, Place};
use crate::create::check_name;
use crate::find::pick;
use crate::status::hex;
use crate::{Client, Error};
use terachat_core_store::model::{CategoryId, ControlOp, Named, TOPIC_CHARS_MAX};
use terachat_event::{ChannelId, SpaceId};

impl Client {
    /// Changes how a space is laid out.
    pub(crate) fn arrange(&mut self, space: Option<&str>, change: Arrangement) -> Result<Answer, Error> {
        let space = self.space(space)?;
        let (op, what) = self.arranged(&space, change)?;
        self.permitted(&space, &op)?;
        self.control(space, vec![op], |_| Vec::new())?;
        self.follow_up(space);
        self.notices.push_back(Notice::Space { space: space.to_string(), what });
        Ok(Answer::Done)
    }

    /// The operation that brings a change about, and what it does in words.
    fn arranged(&self, space: &SpaceId, change: Arrangement) -> Result<(ControlOp, String), Error> {
        Ok(match change {
            Arrangement::CreateCategory { name } => {
                check_name(&name)?;
                let known = self.store.space(space).into_iter().flat_map(|state| state.outline.categories());
                if known.into_iter().any(|(_, category)| category.name == name) {
                    return Err(Error::Input("there is a category of that name; choose another"));
                }
                let what = format!("category {name} was created");
                (ControlOp::CreateCategory { name }, what)
            }
            Arrangement::RenameSpace { name } => {
                check_name(&name)?;
                let what = format!("the space is called {name} now");
                (ControlOp::SetName { of: Named::Space, name }, what)
            }
            Arrangement::RenameCategory { category, name } => {
                check_name(&name)?;
                let of = Named::Category(self.category(space, &category)?);
                let what = format!("category {category} is called {name} now");
                (ControlOp::SetName { of, name }, what)
            }
            Arrangement::RenameChannel { channel, name } => {
                check_name(&name)?;
                let id = self.channel(space, &channel)?;
                let mut others = self.store.space(space).into_iter().flat_map(|state| &state.channels);
                if others.any(|(other, found)| *other != id && found.name == name) {
                    return Err(Error::Input("there is a channel of that name; choose another"));
                }
                let what = format!("channel {channel} is called {name} now");
                (ControlOp::SetName { of: Named::Channel(id), name }, what)
            }
            Arrangement::Topic { channel, topic } => {
                if topic.chars().count() > TOPIC_CHARS_MAX
                    || topic.chars().any(|c| c != '\n' && c.is_control())
                {
                    return Err(Error::Input("a topic is up to 1,000 characters without control characters"));
                }
                let id = self.channel(space, &channel)?;
                let what = format!("channel {channel} is about: {topic}");
                (ControlOp::SetTopic { channel: id, topic }, what)
            }
            Arrangement::Place { channel, category, after } => {
                let id = self.channel(space, &channel)?;
                let category = category.map(|name| self.category(space, &name)).transpose()?;
                let after = after.map(|name| self.channel(space, &name)).transpose()?;
                if after == Some(id) {
                    return Err(Error::Input("a channel cannot stand behind itself; name another one"));
                }
                (
                    ControlOp::Place { channel: id, category, after },
                    format!("channel {channel} stands elsewhere now"),
                )
            }
        })
    }

    /// A channel of this space by name, id or unique id prefix.
    pub(crate) fn channel(&self, space: &SpaceId, name: &str) -> Result<ChannelId, Error> {
        let place = Place { space: Some(space.to_string()), channel: Some(name.to_owned()) };
        self.place(&place)?.channel.ok_or_else(|| Error::Unknown { what: "channel", name: name.to_owned() })
    }

    /// A category of this space by name, id or unique id prefix.
    fn category(&self, space: &SpaceId, name: &str) -> Result<CategoryId, Error> {
        let all = self.store.space(space).into_iter().flat_map(|state| state.outline.categories());
        let all = all.into_iter().map(|(id, category)| (*id, hex(&id.0), category.name.clone()));
        pick("category", Some(name), all.collect())
    }
}
