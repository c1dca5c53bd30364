//! What two devices do not have in common, by name.
use crate::api::{Answer, StateDifference};
use crate::{Client, Error};
use std::collections::BTreeSet;
use terachat_core_store::query::{Difference, Entity, StateMap};
use terachat_event::{ChannelId, LogId, SpaceId};

/// Most differences in one answer: more than anybody reads.
const DIFFERENCES_MAX: usize = 1_000;

impl Client {
    pub(crate) fn state_map(&mut self, space: Option<&str>) -> Result<Answer, Error> {
        let space = self.space(space)?;
        let map = self.store.state_map(&space, |id| self.keeps(&LogId::channel(space, *id)))?;
        Ok(Answer::StateMap { bytes: map.seal(self.store.entropy()) })
    }

    pub(crate) fn compare_states(&self, bytes: &[u8]) -> Result<Answer, Error> {
        let there = StateMap::open(bytes, self.store.spaces()).map_err(|error| match error {
            terachat_core_store::Error::Malformed(_) => {
                Error::Input("the file is no state map, or was changed; `terachat audit --map` makes one")
            }
            _ => Error::Input("the state map is of a space that this device does not know"),
        })?;
        let space = there.space();
        let here = self.store.state_map(&space, |id| self.keeps(&LogId::channel(space, *id)))?;
        let found = here.differences(&there)?;
        let known = self.store.space(&space).into_iter().flat_map(|state| state.channels.keys());
        let common: BTreeSet<&ChannelId> = here.common(&there).collect();
        let (common, left_out): (Vec<&ChannelId>, _) = known.partition(|id| common.contains(id));
        let named = |ids: Vec<&ChannelId>| -> Vec<String> {
            ids.into_iter().map(|id| self.channel_name(&LogId::channel(space, *id))).collect()
        };
        let (channels, left_out) = (named(common), named(left_out));
        let differences =
            found.iter().take(DIFFERENCES_MAX).map(|difference| self.named(space, difference)).collect();
        Ok(Answer::Compared {
            space: self.space_name(&space),
            channels,
            left_out,
            count: found.len(),
            differences,
        })
    }

    fn named(&self, space: SpaceId, difference: &Difference) -> StateDifference {
        let state = self.store.space(&space);
        let side = |only: Option<bool>| match only {
            None => "differs",
            Some(true) => "only here",
            Some(false) => "only there",
        };
        let (what, id, name, only) = match difference {
            Difference::Rest => ("space", space.to_string(), self.space_name(&space), None),
            Difference::Control(Entity::Member(user), only) => {
                let member = state.and_then(|state| state.members.get(user));
                (
                    "member",
                    user.to_string(),
                    member.map(|member| member.name.clone()).unwrap_or_default(),
                    *only,
                )
            }
            Difference::Control(Entity::Channel(id), only) => {
                ("channel", id.to_string(), self.channel_name(&LogId::channel(space, *id)), *only)
            }
            Difference::Message { channel, event, only, .. } => {
                ("message", event.to_string(), self.channel_name(&LogId::channel(space, *channel)), *only)
            }
        };
        StateDifference { what: what.to_owned(), id, name, side: side(only).to_owned() }
    }
}
