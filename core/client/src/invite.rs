//! Admitting newcomers by their cards, one or hundreds at once: an operation for each and one MLS commit for all of them.
use crate::api::{Answer, Notice};
use crate::card::{InvitableCard, Invitation, Text};
use crate::{Client, Error};
use std::collections::BTreeSet;
use terachat_core_store::model::{ControlOp, Permission, Rank};
use terachat_event::{DeviceId, PAYLOAD_LEN_MAX, SpaceId};
use terachat_group::{CipherSuite, KeyPackage};

/// Most cards that are taken at once.
pub(crate) const CARDS_MAX: usize = 10_000;
/// What an event holds.
pub(crate) const EVENT_LEN_MAX: usize = if cfg!(test) { 24 << 10 } else { PAYLOAD_LEN_MAX };
/// What one event's admissions may take by [`Newcomer::len`] at first: about half of it, for a commit in a group whose members
/// have not renewed their keys reaches each of those that are in already, too.
const ADMISSIONS_LEN_MAX: usize = if cfg!(test) { 8 << 10 } else { PAYLOAD_LEN_MAX / 2 };

/// Somebody who is to be admitted.
pub(crate) struct Newcomer {
    admit: ControlOp,
    key_package: KeyPackage,
    device: DeviceId,
}

impl Client {
    /// Admits the owner of one card.
    pub(crate) fn invite(
        &mut self,
        space: Option<&str>,
        card: &str,
        rank: Option<u8>,
    ) -> Result<Answer, Error> {
        let space = self.space(space)?;
        let mut invitations = self.admit_all(space, &[card], rank)?;
        let invitation = invitations.pop().ok_or(Error::Input("there is no card"))?;
        Ok(Answer::Invitation { invitation })
    }

    /// Admits the owners of many cards. All cards are looked at before anybody is admitted. Where it stops in between, those
    /// before are admitted, and asked for again they get their invitations.
    pub(crate) fn invite_all(
        &mut self,
        space: Option<&str>,
        cards: &[String],
        rank: Option<u8>,
    ) -> Result<Answer, Error> {
        if cards.len() > CARDS_MAX {
            return Err(Error::Input("more than 10,000 cards at once; invite them in parts"));
        }
        let space = self.space(space)?;
        Ok(Answer::Invitations { invitations: self.admit_all(space, cards, rank)? })
    }

    /// The invitations, in the order of the cards.
    fn admit_all(
        &mut self,
        space: SpaceId,
        cards: &[impl AsRef<str>],
        rank: Option<u8>,
    ) -> Result<Vec<String>, Error> {
        let rank = Rank::new(rank.unwrap_or(Rank::MEMBER.get())).ok_or(Error::Input("a rank is 0 to 100"))?;
        let suite = self.current_group(&space)?.suite();
        let (mut invited, mut newcomers, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for card in cards {
            let invitable = InvitableCard::from_text(card.as_ref())?;
            let device = invitable.card.device;
            invited.push(device);
            if seen.insert(device) {
                newcomers.extend(self.newcomer(&space, invitable, rank, suite)?);
            }
        }
        self.admit_in_parts(space, newcomers)?;
        let tickets = self.give_tickets(&space, seen)?;
        let (name, inviter) = (self.space_name(&space), self.identity.device_id());
        let invitation = |invited| {
            let ticket = *tickets[&invited].expose_secret();
            Invitation { space, name: name.clone(), inviter, invited, ticket }.to_text()
        };
        Ok(invited.into_iter().map(invitation).collect())
    }

    /// Admits some, as many by one event as it may hold.
    pub(crate) fn admit_in_parts(&mut self, space: SpaceId, newcomers: Vec<Newcomer>) -> Result<(), Error> {
        let mut newcomers = newcomers.into_iter().peekable();
        while newcomers.peek().is_some() {
            let mut left = ADMISSIONS_LEN_MAX;
            let mut batch = Vec::new();
            while let Some(next) = newcomers.next_if(|next| batch.is_empty() || next.len() <= left) {
                left = left.saturating_sub(next.len());
                batch.push(next);
            }
            self.admit(space, batch)?;
        }
        Ok(())
    }

    /// Who a card admits; nobody, if its device is admitted already: its invitation was lost on the way, and says nothing
    /// that does not follow from that.
    pub(crate) fn newcomer(
        &self,
        space: &SpaceId,
        invitable: InvitableCard,
        rank: Rank,
        suite: CipherSuite,
    ) -> Result<Option<Newcomer>, Error> {
        if !invitable.card.is_genuine() {
            return Err(Error::Input("the card's user did not vouch for its device; ask for a fresh one"));
        }
        let (user, device) = (invitable.card.user, invitable.card.device);
        if user != self.identity.user_id() {
            self.require(space, Permission::Invite)?;
        }
        if self.identity_log(&user).revokes(&device) {
            return Err(Error::NotAllowed(
                "its user revoked that device; a new profile has a key of its own, whose card may be admitted",
            ));
        }
        let state = self.store.space(space).ok_or(Error::Unknown { what: "space", name: space.short() })?;
        let is_member = state.member_of(&device).is_some_and(|(of, _)| *of == user);
        if is_member && device != self.identity.device_id() {
            return Ok(None);
        }
        let key_package = invitable.key_package(suite)?;
        let admit = ControlOp::Admit { card: invitable.card, rank, key_package: key_package.to_bytes()? };
        self.permitted(space, &admit)?;
        Ok(Some(Newcomer { admit, key_package, device }))
    }

    /// Admits some by one event, or by several where one does not hold them all.
    fn admit(&mut self, space: SpaceId, mut newcomers: Vec<Newcomer>) -> Result<(), Error> {
        let key_packages: Vec<_> = newcomers.iter().map(|newcomer| newcomer.key_package.clone()).collect();
        let prepared = self.prepare(space, &key_packages, &[])?;
        let admits: Vec<_> = newcomers.iter().map(|newcomer| newcomer.admit.clone()).collect();
        if prepared.len_with(&admits) > EVENT_LEN_MAX {
            let rest = newcomers.split_off(newcomers.len() / 2);
            if newcomers.is_empty() {
                return Err(Error::NotAllowed(
                    "too many members' keys are as they were when they came in, so that a commit has to reach each of them and does not fit into an event; once more of them have written something, or done `terachat space renew`, it will",
                ));
            }
            self.admit(space, newcomers)?;
            return self.admit(space, rest);
        }
        self.publish(space, admits, prepared)?;
        let state = self.store.space(&space);
        let names = newcomers.iter().filter_map(|newcomer| Some(&state?.member_of(&newcomer.device)?.1.name));
        let invited: Vec<_> = names
            .map(|name| Notice::Space { space: space.to_string(), what: format!("{name} was invited") })
            .collect();
        self.notices.extend(invited);
        Ok(())
    }
}

impl Newcomer {
    /// About what the admission takes in an event, in bytes: the key package twice, in the operation and in the commit, the
    /// secrets that are sealed for it in the commit and in the welcome, and the card.
    fn len(&self) -> usize {
        let ControlOp::Admit { card, key_package, .. } = &self.admit else { return 0 };
        let sealed = match self.key_package.suite() {
            CipherSuite::X25519 => 300,
            CipherSuite::XWing => 2_500,
        };
        2 * key_package.len() + sealed + 300 + card.name.len()
    }
}
