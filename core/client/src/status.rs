use crate::api::{Answer, ChannelStatus, MemberStatus, SpaceStatus, Status};
use crate::{Client, Error};
use terachat_core_store::model::{CategoryId, ChannelKind, History};
use terachat_event::{LogId, SpaceId};
use terachat_group::CipherSuite;

impl Client {
    pub(crate) fn status(&self) -> Result<Answer, Error> {
        let spaces = self.store.spaces().map(|space| self.space_status(space)).collect::<Result<_, _>>()?;
        Ok(Answer::Status(Status {
            device: self.identity.device_id().to_string(),
            spaces,
            disk_len: self.store.disk_len(),
        }))
    }

    fn space_status(&self, space: SpaceId) -> Result<SpaceStatus, Error> {
        let state = self.store.space(&space).ok_or(Error::Unknown { what: "space", name: space.short() })?;
        let categories = state.outline.categories();
        let category = |id: &CategoryId| categories.iter().position(|(other, _)| *other == id);
        let mut places: Vec<_> = (0..)
            .zip(state.outline.order())
            .filter_map(|(nth, id)| {
                let channel = state.channels.get(id)?;
                Some((channel.category.as_ref().and_then(category), nth, id, channel))
            })
            .collect();
        places.sort_by_key(|(category, nth, ..)| (*category, *nth));
        let channels = places.into_iter().map(|(category, _, id, channel)| {
            let log = LogId::channel(space, *id);
            let unread = self.unread(&log)?;
            Ok(ChannelStatus {
                id: id.to_string(),
                name: channel.name.clone(),
                forum: channel.kind == ChannelKind::Forum,
                since_join: channel.history == History::SinceJoin,
                topic: channel.topic.clone(),
                category: category.map(|at| categories[at].1.name.clone()),
                kept: self.keeps(&log),
                newest: self.reads_newest(&log),
                events: self.store.len(&log),
                messages: self.store.message_count(&log),
                unread: unread.messages,
                mentions: unread.mentions,
                state_hash: hex(&self.store.state_hash(&log)?),
            })
        });
        let channels = channels.collect::<Result<_, Error>>()?;
        let mut members: Vec<MemberStatus> = state
            .members
            .iter()
            .filter(|(_, member)| !member.removed)
            .map(|(user, member)| MemberStatus {
                user: user.to_string(),
                name: member.name.clone(),
                rank: member.rank.get(),
                devices: state
                    .devices
                    .iter()
                    .filter(|(device, owner)| *owner == user && state.member_of(device).is_some())
                    .map(|(device, _)| device.to_string())
                    .collect(),
            })
            .collect();
        members
            .sort_by(|a, b| (std::cmp::Reverse(a.rank), &a.name).cmp(&(std::cmp::Reverse(b.rank), &b.name)));
        let membership = self.memberships.get(&space);
        Ok(SpaceStatus {
            id: space.to_string(),
            name: state.name.clone(),
            epoch: membership.and_then(|membership| membership.current).map(|key| key.epoch),
            post_quantum: self.suite(&space).map(|suite| suite == CipherSuite::XWing),
            moving: self.move_status(&space)?,
            renewal: self.renewal_status(&space),
            rank: state.rank_of(&self.identity.device_id()).map(terachat_core_store::model::Rank::get),
            state_hash: hex(&self
                .store
                .space_hash_over(&space, |id| self.keeps(&LogId::channel(space, *id)))?),
            categories: categories.iter().map(|(_, category)| category.name.clone()).collect(),
            channels,
            members,
            archives: self.archive_status(&space)?,
            holds: self.hold_status(&space),
            warnings: self.archive_warnings(&space)?,
            waiting: self.waiting(&space),
        })
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
