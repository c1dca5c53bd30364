use crate::api::{Answer, ChannelStatus, MemberStatus, SpaceStatus, Status};
use crate::{Client, Error};
use terachat_event::{LogId, SpaceId};

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
        let mut channels: Vec<ChannelStatus> = state
            .channels
            .iter()
            .map(|(id, channel)| {
                let log = LogId::channel(space, *id);
                Ok::<_, Error>(ChannelStatus {
                    id: id.to_string(),
                    name: channel.name.clone(),
                    events: self.store.len(&log),
                    messages: self.store.message_count(&log),
                    state_hash: hex(&self.store.state_hash(&log)?),
                })
            })
            .collect::<Result<_, _>>()?;
        channels.sort_by(|a, b| a.name.cmp(&b.name));
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
                    .filter(|(_, owner)| *owner == user)
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
            rank: state.rank_of(&self.identity.device_id()).map(terachat_core_store::model::Rank::get),
            state_hash: hex(&self.store.space_hash(&space)?),
            channels,
            members,
            waiting: self.waiting(&space),
        })
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
