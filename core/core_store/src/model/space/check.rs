//! Who may do what: the rules of `docs/format/authority.md` about one operation in one state.
use super::SpaceState;
use crate::model::{ControlOp, Held, Named, Permission, Permissions, Rank, Refusal};
use terachat_event::{DeviceId, UserId};

impl SpaceState {
    /// Why `author` may not do `op` in this state, in words, or `None` when it may.
    pub fn forbidden(&self, author: &DeviceId, op: &ControlOp) -> Option<&'static str> {
        self.refusal(author, op).map(Refusal::text)
    }

    /// Why `author` may not do `op` in this state, or `None` when it may.
    pub fn refusal(&self, author: &DeviceId, op: &ControlOp) -> Option<Refusal> {
        self.check(author, op).err()
    }

    fn check(&self, author: &DeviceId, op: &ControlOp) -> Result<(), Refusal> {
        if let ControlOp::Genesis { owner, .. } = op {
            let founds = self.members.is_empty() && owner.device == *author;
            return sensible(founds, "a space is founded once, by its owner's own device");
        }
        let (actor, member) = self.member_of(author).ok_or(Refusal::NoMember)?;
        let rank = member.rank;
        let own = self.roles.of(rank);
        let takes = |permission| own.has(permission).then_some(()).ok_or(Refusal::Lacks(permission));
        let above = |other: Rank| (rank > other).then_some(()).ok_or(Refusal::Outranked);
        let holds = |given: Permissions| match given.without(own) {
            Permissions::NONE => Ok(()),
            lacking => Err(Refusal::Exceeds(lacking.known().next())),
        };
        let present = |user: &UserId| match self.members.get(user) {
            Some(target) if !target.removed => Ok(target.rank),
            _ => Err(Refusal::Senseless("no such member")),
        };
        match op {
            ControlOp::Genesis { .. } => unreachable!("answered above"),
            ControlOp::Admit { card, rank: granted, .. } => {
                let target = self.members.get(&card.user);
                sensible(
                    !target.is_some_and(|target| target.removed),
                    "a removed user cannot come back under the same identity",
                )?;
                sensible(
                    self.revoked(&card.user, &card.device).is_none(),
                    "its user revoked the device; a new one takes a key of its own",
                )?;
                sensible(
                    !self.devices.contains_key(&card.device),
                    "the device is already known in this space",
                )?;
                match target {
                    Some(_) if card.user == *actor => Ok(()),
                    // A further device has its user's role.
                    Some(target) => takes(Permission::Invite).and(above(target.rank)),
                    None => {
                        takes(Permission::Invite).and(above(*granted)).and(holds(self.roles.of(*granted)))
                    }
                }
            }
            ControlOp::Remove { user, .. } => {
                let target = present(user)?;
                let archives =
                    self.archive.devices().any(|(device, _)| self.devices.get(device) == Some(user));
                if user != actor {
                    takes(Permission::Remove).and(above(target))?;
                }
                if archives { Err(Refusal::TakesArchive) } else { Ok(()) }
            }
            ControlOp::RevokeDevice { revocation, .. } => {
                present(&revocation.user)?;
                let own = revocation.user == *actor;
                let known = self.revoked(&revocation.user, &revocation.device);
                // Whoever carried it chose the pins; the user's own devices know better, once.
                let again = known.is_some_and(|known| known.by_user || !own);
                if !own {
                    takes(Permission::Remove)?;
                }
                sensible(!again, "the device was revoked already")
            }
            ControlOp::SetRank { user, rank: granted, .. } => {
                let target = present(user)?;
                // An owner may name another owner: a space must be able to outlive its founder.
                let crowns = rank == Rank::OWNER && target < Rank::OWNER;
                let steps_down = user == actor && *granted < rank;
                if !(crowns || steps_down) {
                    takes(Permission::ManageRoles)?;
                    above(target.max(*granted))?;
                }
                // A lower role may have permissions that a higher one lacks.
                holds(self.roles.of(*granted))
            }
            ControlOp::ChangeRole { rank: role, give, .. } => {
                takes(Permission::ManageRoles).and(above(*role)).and(holds(*give))
            }
            ControlOp::SetName { of: Named::Space, .. } => takes(Permission::RenameSpace),
            ControlOp::CreateChannel { .. }
            | ControlOp::CreateForum { .. }
            | ControlOp::CreateSinceJoin { .. }
            | ControlOp::CreateCategory { .. }
            | ControlOp::SetName { .. }
            | ControlOp::SetTopic { .. }
            | ControlOp::Place { .. } => {
                takes(Permission::ManageChannels)?;
                self.lacks(op).map_or(Ok(()), |why| Err(Refusal::Senseless(why)))
            }
            ControlOp::RequireArchive { device, required } => {
                takes(Permission::ManageArchive)?;
                let target = self.devices.get(device).and_then(|user| self.members.get(user));
                // Whoever was removed beside the requirement needs no rank to end it.
                above(target.map_or(Rank::GUEST, |target| target.rank))?;
                let archive = &self.archive;
                if *required {
                    let present = self.member_of(device).is_some();
                    sensible(present, "no such device in the space; admit it first, with rank 0")?;
                    let writes = self.permits(device, Permission::Post);
                    sensible(
                        !writes,
                        "an archive only reads; give its user a role without the permission post",
                    )?;
                    sensible(!archive.requires(device), "the device is required already")
                } else {
                    sensible(archive.requires(device), "the device is not required")?;
                    let holds = archive.ends_without(device) && archive.holds().next().is_some();
                    sensible(
                        !holds,
                        "a legal hold stands, and no other archive would keep it; end the hold first",
                    )
                }
            }
            ControlOp::Hold { on, stands } => {
                takes(Permission::ManageArchive)?;
                let known = match on {
                    Held::Channel(channel) => self.channels.contains_key(channel),
                    Held::Member(user) => self.members.contains_key(user),
                };
                sensible(known, "no such channel or member")?;
                if *stands {
                    let archived = self.archive.devices().next().is_some();
                    sensible(archived, "the space has no archive that could keep it; require one first")?;
                }
                sensible(
                    self.archive.holds.contains_key(on) != *stands,
                    "the hold stands, or has ended, already",
                )
            }
            ControlOp::WantSuite { suite } => {
                takes(Permission::ManageSuite)?;
                let wanted = self.suite_wish.is_some_and(|wish| wish.suite == *suite);
                sensible(!wanted, "the space was asked to move to that suite already")
            }
            ControlOp::OfferKeyPackage { wish, .. } => {
                let wanted = self.suite_wish.is_some_and(|wanted| wanted.event == *wish);
                sensible(wanted, "nobody asks for key packages by that event, or no longer")
            }
            ControlOp::ReInit(reinit) => {
                takes(Permission::ManageSuite)?;
                let wanted = self.suite_wish.is_some_and(|wish| wish.suite == reinit.suite);
                sensible(wanted, "nobody asked for the space to move to that suite")
            }
            ControlOp::SetRenewal(renewal) => {
                takes(Permission::ManageSuite)?;
                sensible(self.renewal() != *renewal, "the space's keys are renewed like that already")
            }
            // Whether its MLS content fits the members is checked where the group is known.
            ControlOp::Commit(_) => Ok(()),
        }
    }

    /// What is not there that the operation is about, if so.
    fn lacks(&self, op: &ControlOp) -> Option<&'static str> {
        let (channel, category) = match op {
            ControlOp::SetName { of: Named::Channel(channel), .. } | ControlOp::SetTopic { channel, .. } => {
                (Some(channel), None)
            }
            ControlOp::SetName { of: Named::Category(category), .. } => (None, Some(category)),
            ControlOp::Place { channel, category, .. } => (Some(channel), category.as_ref()),
            _ => (None, None),
        };
        let no_channel = channel.is_some_and(|id| !self.channels.contains_key(id));
        let no_category = category.is_some_and(|id| !self.outline.categories.contains_key(id));
        match (no_channel, no_category) {
            (true, _) => Some("no such channel"),
            (_, true) => Some("no such category"),
            _ => None,
        }
    }
}

fn sensible(sense: bool, why: &'static str) -> Result<(), Refusal> {
    sense.then_some(()).ok_or(Refusal::Senseless(why))
}
