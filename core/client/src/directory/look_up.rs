use super::DirectoryError;
use super::publish::BUDGET;
use super::supply::Supply;
use crate::board::{Found, bucket, read_parcel};
use crate::card::{InvitableCard, Text};
use crate::find::pick;
use crate::{Client, Error};
use std::collections::BTreeMap;
use terachat_core_store::model::IdentityLog;
use terachat_core_store::store::dht_adapter::DirectoryStream;
use terachat_core_store::sync::board::Board;
use terachat_event::UserId;

/// What a board shows of a person.
#[derive(Default)]
pub(super) struct Directory {
    /// Supplies that hold and have not expired, those that last longest first.
    pub(super) supplies: Vec<Supply>,
    /// Whether there was one that had expired.
    pub(super) has_expired: bool,
    /// What is wrong with the first of the others.
    pub(super) fault: Option<&'static str>,
    /// What the person's devices say of each other.
    pub(super) revocations: IdentityLog,
}

impl Client {
    /// Whom people mean: a user's id, a card of one of the devices, or the name or beginning of the id of a member of any space here.
    pub(super) fn person(&self, text: &str) -> Result<(UserId, String), Error> {
        let text = text.trim();
        if text.starts_with(InvitableCard::PREFIX) {
            let card = InvitableCard::from_text(text)?.card;
            if !card.is_genuine() {
                return Err(Error::Input(
                    "the card's user did not vouch for its device; ask for a fresh one",
                ));
            }
            return Ok((card.user, card.name));
        }
        let known = || {
            let states = self.store.spaces().filter_map(|space| self.store.space(&space));
            states.flat_map(|state| &state.members)
        };
        if let Ok(user) = text.parse::<UserId>() {
            let name = known().find(|(id, _)| **id == user).map(|(_, member)| member.name.clone());
            return Ok((user, name.unwrap_or_else(|| user.short())));
        }
        let present: BTreeMap<UserId, String> = known()
            .filter(|(_, member)| !member.removed)
            .map(|(id, member)| (*id, member.name.clone()))
            .collect();
        let all = present.into_iter().map(|(id, name)| ((id, name.clone()), id.to_string(), name));
        pick("person", Some(text), all.collect())
    }

    /// Reads what a person's devices left on a board. It is told of, and passed over, what does not hold.
    pub(super) fn look_up(&self, board: &dyn Board, user: &UserId, name: &str) -> Result<Directory, Error> {
        let mut found = Directory::default();
        let now = bucket(self.now_ms);
        // Clocks differ, and what was left in the last bucket is still good.
        for bucket in [now.checked_add(1), Some(now), now.checked_sub(1)].into_iter().flatten() {
            let stream = DirectoryStream::derive(user, bucket)
                .ok_or_else(|| DirectoryError::NoPerson(name.to_owned()))?;
            let (mut next_record, mut budget) = (0, BUDGET);
            while !budget.is_spent() {
                match read_parcel(&stream, board, next_record, self.now_ms, &mut budget)? {
                    Found::End => break,
                    Found::Broken { next, again, .. } => {
                        next_record = next;
                        if !again {
                            found.fault.get_or_insert("a record that is not what a device leaves");
                        }
                    }
                    Found::Parcel { next, bytes } => {
                        next_record = next;
                        self.take_supply(&mut found, user, &bytes);
                    }
                }
            }
        }
        found.supplies.sort_by_key(|supply| std::cmp::Reverse((supply.expires_ms, supply.issued_ms)));
        Ok(found)
    }

    fn take_supply(&self, found: &mut Directory, user: &UserId, bytes: &[u8]) {
        match Supply::parse(bytes, user) {
            Ok(supply) => {
                supply.revocations.iter().for_each(|told| found.revocations.insert(told.clone()));
                if supply.expires_ms > self.now_ms {
                    found.supplies.push(supply);
                } else {
                    found.has_expired = true;
                }
            }
            Err(why) => drop(found.fault.get_or_insert(why)),
        }
    }
}
