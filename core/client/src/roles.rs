//! Roles: what they permit, who has them, and how that changes.
use crate::api::{Answer, Notice, RoleStatus};
use crate::log_view::names;
use crate::{Client, Error};
use std::collections::BTreeSet;
use terachat_core_store::model::{ControlOp, Permission, Permissions, Pin, Rank};
use terachat_event::{DeviceId, SpaceId};

/// Pins of one event: some 100 bytes each, of the mebibyte that an event may hold.
const PINS_MAX: usize = 4096;
/// Ranks whose roles are told of though nobody has them and nobody changed them.
const USUAL: [Rank; 5] = [Rank::GUEST, Rank::MEMBER, Rank::MODERATOR, Rank::ADMIN, Rank::OWNER];

impl Client {
    pub(crate) fn role_set(&mut self, space: Option<&str>, member: &str, rank: u8) -> Result<Answer, Error> {
        let space = self.space(space)?;
        let user = self.member(&space, member)?;
        let rank = Rank::new(rank).ok_or(Error::Input("a rank is 0 to 100"))?;
        self.require_whole(&space)?;
        let set = ControlOp::SetRank { user, rank, pins: self.pins(&space, &self.devices_of(&space, &user)) };
        self.permitted(&space, &set)?;
        if rank < Rank::OWNER {
            self.keeps_an_owner(&space, &user)?;
        }
        self.control(space, vec![set], |_| Vec::new())?;
        self.follow_up(space);
        self.notices.push_back(Notice::Space {
            space: space.to_string(),
            what: format!("{member} has rank {rank} now"),
        });
        Ok(Answer::Done)
    }

    /// What the roles permit that somebody has, or changed, or that are usual; the highest first.
    pub(crate) fn roles(&self, space: Option<&str>) -> Result<Answer, Error> {
        let space = self.space(space)?;
        let state = self.store.space(&space).ok_or(Error::Unknown { what: "space", name: space.short() })?;
        let present = || state.members.values().filter(|member| !member.removed);
        let changed: BTreeSet<Rank> = state.roles().changed().map(|(rank, _)| rank).collect();
        let mut ranks: BTreeSet<Rank> = present().map(|member| member.rank).chain(USUAL).collect();
        ranks.extend(&changed);
        let role = |rank: Rank| {
            let permissions = state.roles().of(rank);
            let unknown = permissions.unknown().filter(|_| rank < Rank::OWNER);
            let mut members: Vec<String> =
                present().filter(|member| member.rank == rank).map(|member| member.name.clone()).collect();
            members.sort();
            RoleStatus {
                rank: rank.get(),
                permissions: permissions.known().map(|permission| permission.name().to_owned()).collect(),
                unknown: unknown.collect(),
                changed: changed.contains(&rank),
                members,
            }
        };
        Ok(Answer::Roles { roles: ranks.into_iter().rev().map(role).collect() })
    }

    pub(crate) fn role_change(
        &mut self,
        space: Option<&str>,
        rank: u8,
        give: &[String],
        take: &[String],
    ) -> Result<Answer, Error> {
        let space = self.space(space)?;
        let rank = Rank::new(rank).ok_or(Error::Input("a rank is 0 to 100"))?;
        if rank == Rank::OWNER {
            return Err(Error::Input("owners may everything; another role can be changed"));
        }
        let (give, take) = (parse(give)?, parse(take)?);
        if give.meets(take) || give.with(take).is_none() {
            return Err(Error::Input("a permission is either given or taken; name at least one"));
        }
        let change = |pins| ControlOp::ChangeRole { rank, give, take, pins };
        self.permitted(&space, &change(Vec::new()))?;
        let pins = match Permissions::IN_CHANNELS.meets(take) {
            true => self.pins_of_role(&space, rank)?,
            false => Vec::new(),
        };
        // Who has the role and is pinned by a later one counts for nothing until that is here, too.
        let mut parts: Vec<Vec<Pin>> = pins.chunks(PINS_MAX).map(<[Pin]>::to_vec).collect();
        if parts.is_empty() {
            parts.push(Vec::new());
        }
        for pins in parts {
            self.control(space, vec![change(pins)], |_| Vec::new())?;
        }
        self.follow_up(space);
        let what = [("may", give), ("may not", take)].into_iter().filter(|(_, set)| !set.is_none());
        let what: Vec<String> = what.map(|(may, set)| format!("{may} {}", names(set))).collect();
        self.notices.push_back(Notice::Space {
            space: space.to_string(),
            what: format!("role {rank} {} now", what.join(" and ")),
        });
        Ok(Answer::Done)
    }

    /// Where the chains of all who have a role stand here.
    fn pins_of_role(&self, space: &SpaceId, rank: Rank) -> Result<Vec<Pin>, Error> {
        self.require_whole(space)?;
        let Some(state) = self.store.space(space) else { return Ok(Vec::new()) };
        let devices: Vec<DeviceId> =
            state.devices.keys().filter(|device| state.rank_of(device) == Some(rank)).copied().collect();
        let pins = self.pins(space, &devices).into_iter();
        Ok(pins.filter(|pin| pin.channel.is_some()).collect())
    }
}

fn parse(names: &[String]) -> Result<Permissions, Error> {
    let permission = |name: &String| {
        Permission::from_name(name).ok_or(Error::Input(
            "no such permission; there are post, pin, invite, remove, manage-channels, rename-space, moderate and manage-roles",
        ))
    };
    names.iter().map(permission).collect()
}
