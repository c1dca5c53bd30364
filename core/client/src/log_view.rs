use crate::api::{Answer, EventLine, Place};
use crate::reinit::suite_name;
use crate::status::hex;
use crate::{Client, Error};
use terachat_core_store::model::{ChannelOp, ControlOp, Kept, Named, Permissions, Renewal, Style};
use terachat_core_store::query::EventView;
use terachat_event::{LogId, UserId};

impl Client {
    /// The newest events of a log with what they did, oldest first.
    pub(crate) fn log(&mut self, place: &Place, limit: usize) -> Result<Answer, Error> {
        let log = self.log_of(place)?;
        let events = self.store.events(&log, limit)?;
        Ok(Answer::Events { events: events.into_iter().map(|event| self.line(&log, event)).collect() })
    }

    /// A channel's log, or the space's own where no channel is named.
    pub(crate) fn log_of(&self, place: &Place) -> Result<LogId, Error> {
        Ok(match &place.channel {
            Some(_) => self.place(place)?,
            None => LogId::control(self.space(place.space.as_deref())?),
        })
    }

    pub(crate) fn line(&self, log: &LogId, event: EventView) -> EventLine {
        EventLine {
            id: event.event.to_string(),
            hash: event.hash.to_string(),
            device: event.event.author.to_string(),
            author: self.name_of(log, &event.event.author),
            seq: event.event.seq,
            lamport: event.lamport,
            wall_ms: event.wall_ms,
            epoch: event.epoch,
            parents: event.parents.iter().map(ToString::to_string).collect(),
            what: match log.channel {
                Some(_) => said(&event.payload),
                None => {
                    event.transaction.iter().map(|op| self.decided(log, op)).collect::<Vec<_>>().join(", ")
                }
            },
            void: event.void.map(str::to_owned),
            signed: event.signed,
        }
    }

    fn decided(&self, log: &LogId, op: &ControlOp) -> String {
        let state = self.store.space(&log.space);
        let name = |user: &UserId| {
            let member = state.and_then(|state| state.members.get(user));
            member.map_or_else(|| user.short(), |member| member.name.clone())
        };
        match op {
            ControlOp::Genesis { name, owner, .. } => format!("founded {name}, owner {}", owner.name),
            ControlOp::Admit { card, rank, .. } => format!("admitted {} with rank {rank}", card.name),
            ControlOp::Remove { user, .. } => format!("removed {}", name(user)),
            ControlOp::RevokeDevice { revocation, .. } => {
                format!("revoked device {} of {}", revocation.device.short(), name(&revocation.user))
            }
            ControlOp::SetRank { user, rank, .. } => format!("gave {} rank {rank}", name(user)),
            ControlOp::ChangeRole { rank, give, take, .. } => {
                let named =
                    |verb: &str, set: Permissions| (!set.is_none()).then(|| format!("{verb} {}", names(set)));
                let changes = [named("gave", *give), named("took", *take)].into_iter().flatten();
                format!("of role {rank}: {}", changes.collect::<Vec<_>>().join(", "))
            }
            ControlOp::CreateChannel { name } => format!("created channel {name}"),
            ControlOp::CreateForum { name } => format!("created forum {name}"),
            ControlOp::CreateSinceJoin { name, forum } => {
                let kind = if *forum { "forum" } else { "channel" };
                format!("created {kind} {name}, which members read since they joined")
            }
            ControlOp::CreateCategory { name } => format!("created category {name}"),
            ControlOp::SetName { of: Named::Space, name } => format!("called the space {name}"),
            ControlOp::SetName { of: Named::Channel(id), name } => {
                format!("called channel {} {name}", id.short())
            }
            ControlOp::SetName { of: Named::Category(id), name } => {
                format!("called category {} {name}", &hex(&id.0)[..10])
            }
            ControlOp::SetTopic { channel, topic } => {
                format!("said what channel {} is about: {topic}", channel.short())
            }
            ControlOp::Place { channel, .. } => format!("put channel {} elsewhere", channel.short()),
            ControlOp::RequireArchive { device, required } => {
                let user = state.and_then(|state| state.devices.get(device));
                let whose = user
                    .map_or_else(|| device.short(), |user| format!("{} of {}", device.short(), name(user)));
                let verb = if *required { "required" } else { "no longer required" };
                format!("{verb} device {whose} as an archive")
            }
            ControlOp::Hold { on, stands } => {
                let verb = if *stands { "put a legal hold" } else { "ended the legal hold" };
                format!("{verb} on {}", self.held(&log.space, on))
            }
            ControlOp::Commit(commit) => format!("opened epoch {}", commit.epoch),
            ControlOp::WantSuite { suite } => format!("asked to move to suite {}", suite_name(*suite)),
            ControlOp::SetRenewal(Renewal { days, messages }) => {
                format!("has keys renewed after {days} days or {messages} messages")
            }
            ControlOp::OfferKeyPackage { .. } => "offered keys for the suite that was asked for".to_owned(),
            ControlOp::ReInit(reinit) => {
                let (suite, epoch) = (suite_name(reinit.suite), reinit.commit.epoch);
                format!("moved the space to suite {suite}, and opened its epoch {epoch}")
            }
        }
    }
}

/// Permissions by their names, those that this version does not know by their numbers.
pub(crate) fn names(permissions: Permissions) -> String {
    let known = permissions.known().map(|permission| permission.name().to_owned());
    let unknown = permissions.unknown().map(|number| format!("permission {number}"));
    known.chain(unknown).collect::<Vec<_>>().join(", ")
}

fn said(payload: &[u8]) -> String {
    match ChannelOp::decode(payload) {
        Ok(ChannelOp::Post(post) | ChannelOp::PostWith(post, _) | ChannelOp::PostStored(post, ..)) => {
            let verb = match post.style {
                Style::Message if post.reply_to.is_some() => "replied",
                Style::Message => "said",
                Style::Action => "did",
                Style::Join => "joined",
                Style::Leave => "left",
                Style::Rename => "is now called",
            };
            let from =
                post.imported.map(|imported| format!(" (record {} by {})", imported.id, imported.author));
            format!("{verb}{}: {}", from.unwrap_or_default(), post.body)
        }
        Ok(ChannelOp::Read { target }) => format!("read up to {target}"),
        Ok(ChannelOp::SetHeading { target, heading, .. }) => format!("called {target}: {}", heading.title),
        Ok(ChannelOp::Edit { target, body }) => format!("edited {target}: {body}"),
        Ok(ChannelOp::React { target, emoji }) => format!("reacted {emoji} to {target}"),
        Ok(ChannelOp::Unreact { target, emoji, .. }) => format!("took {emoji} back from {target}"),
        Ok(ChannelOp::Pin { target }) => format!("pinned {target}"),
        Ok(ChannelOp::Unpin { target, .. }) => format!("unpinned {target}"),
        Ok(ChannelOp::Delete { target, .. }) => format!("deleted {target}"),
        Ok(ChannelOp::Sealed(sealed)) => match sealed.kept {
            Kept::Message { reply_to: Some(_), .. } => "replied; the text is sealed for others".to_owned(),
            Kept::Message { .. } => "said; the text is sealed for others".to_owned(),
            Kept::Edit { target } => format!("edited {target}; the text is sealed for others"),
            Kept::Heading { target, .. } => format!("called {target} something that is sealed for others"),
        },
        Ok(ChannelOp::Erased { kept, .. }) => match kept {
            Kept::Message { reply_to: Some(_), .. } => "replied; the text is not here".to_owned(),
            Kept::Message { .. } => "said; the text is not here".to_owned(),
            Kept::Edit { target } => format!("edited {target}; the text is not here"),
            Kept::Heading { target, .. } => format!("called {target} something that is not here"),
        },
        Err(_) => "something this version does not know".to_owned(),
    }
}
