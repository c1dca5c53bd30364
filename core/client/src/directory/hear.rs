use super::CLAIMS_MAX;
use super::claim::Claim;
use super::stock::{Part, Used};
use crate::api::{BoardFetched, Notice, PendingInvitation};
use crate::board::{BUCKET_MS, GAP};
use crate::card::{Invitation, Text};
use crate::find::pick;
use crate::{Client, Error};
use serde::{Deserialize, Serialize};
use terachat_core_store::store::Write;
use terachat_core_store::store::dht_adapter::BoardStream;
use terachat_core_store::sync::board::{Board, BoardError};
use terachat_event::{SpaceId, UserId};
use terachat_vault::SecretBytes;

/// Records of invitations that wait to be accepted, by space and inviting device.
const PENDING: &[u8] = b"invited/";
/// Most that wait. Of more the oldest is given up: whoever knows a user can leave many.
const PENDING_MAX: usize = 256;
/// How long they wait: as long as what belongs to them is left for the newcomer.
const PENDING_MS: u64 = 3 * BUCKET_MS;

/// An invitation that waits.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Pending {
    heard_ms: u64,
    by: String,
    user: UserId,
    space: SpaceId,
    name: String,
    /// The invitation as text.
    text: String,
}

impl Pending {
    pub(super) fn told(&self) -> PendingInvitation {
        PendingInvitation {
            space: self.space.to_string(),
            name: self.name.clone(),
            by: self.by.clone(),
            user: self.user.to_string(),
        }
    }
}

impl Client {
    /// Looks for what was left under this device's key packages on a board.
    pub(crate) fn hear_claims(&mut self, board: &dyn Board, told: &mut BoardFetched) -> Result<(), Error> {
        self.drop_old_pending()?;
        let id = board.id();
        let parts: Vec<Part> =
            self.parts().filter(|part| part.board == id && part.expires_ms > self.now_ms).collect();
        for part in parts {
            self.hear_of(board, &part, told)?;
        }
        Ok(())
    }

    fn hear_of(&mut self, board: &dyn Board, part: &Part, told: &mut BoardFetched) -> Result<(), Error> {
        let known = self.used(&part.hash);
        let end = if part.last_resort { CLAIMS_MAX } else { 1 };
        let from = known.map_or(0, |used| used.next);
        let stream = BoardStream::claims(&part.hash);
        let (mut used, mut missing, mut writes) = (None, 0, Vec::new());
        let mut heard = Vec::new();
        for number in from..end {
            let record = match board.fetch(&stream.key(number), self.now_ms) {
                Ok(Some(record)) => Ok(record),
                Ok(None) if missing == GAP => break,
                Ok(None) => {
                    missing += 1;
                    continue;
                }
                Err(error @ BoardError::Failed(_)) => return Err(error.into()),
                Err(error) => Err(error),
            };
            missing = 0;
            let heard_ms = known.map_or(self.now_ms, |used| used.heard_ms);
            used = Some(Used { heard_ms, next: number + 1 });
            match record.and_then(|record| stream.open(number, &record)) {
                Ok(piece) => match self.opened_claim(part, &piece.bytes) {
                    Ok(claim) => heard.push(claim),
                    Err(why) => told.leave(why.to_owned()),
                },
                Err(error) => told.leave(error.to_string()),
            }
        }
        let Some(used) = used else { return Ok(()) };
        writes.push(Self::used_record(&part.hash, used));
        let mut notices = Vec::new();
        for claim in heard {
            let space = claim.invitation.space;
            // Its invitation came in another way, and was accepted.
            if self.memberships.get(&space).is_some_and(|membership| membership.current.is_some()) {
                continue;
            }
            told.invitations += 1;
            let name = claim.invitation.name.clone();
            let what = format!("{} invites this device to {name}", claim.by.name);
            notices.push(Notice::Space { space: space.to_string(), what });
            writes.push(self.pending_record(&claim, name));
        }
        self.store.write_records(writes)?;
        self.notices.extend(notices);
        Ok(())
    }

    fn opened_claim(&self, part: &Part, bytes: &[u8]) -> Result<Claim, &'static str> {
        let mailbox = self
            .mailbox(&part.board, part.expires_ms)
            .ok_or("an invitation to a key package whose mailbox key is gone")?;
        Claim::open(bytes, &part.hash, &self.identity.device_id(), &mailbox)
    }

    fn pending_record(&self, claim: &Claim, name: String) -> Write {
        let space = claim.invitation.space;
        let pending = Pending {
            heard_ms: self.now_ms,
            by: claim.by.name.clone(),
            user: claim.by.user,
            space,
            name,
            text: claim.invitation.to_text(),
        };
        let bytes = postcard::to_allocvec(&pending).expect("plain values encode into a growing buffer");
        ([PENDING, &space.0, &claim.by.device.0].concat(), Some(SecretBytes::take(bytes)))
    }

    /// Invitations that wait, with their records' names, the newest first.
    pub(super) fn pending(&self) -> Vec<(Vec<u8>, Pending)> {
        let records = self.store.records(PENDING);
        let mut all: Vec<(Vec<u8>, Pending)> = records
            .filter_map(|(name, value)| Some((name.to_vec(), postcard::from_bytes(value).ok()?)))
            .collect();
        all.sort_by_key(|(_, pending)| std::cmp::Reverse(pending.heard_ms));
        all
    }

    /// The invitation that is meant by a space's name or the beginning of its id; of several to one space the newest.
    pub(crate) fn pending_invitation(&self, name: &str) -> Result<Invitation, Error> {
        let mut all = self.pending();
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|(_, pending)| seen.insert(pending.space));
        let all =
            all.into_iter().map(|(_, it)| (it.text.clone(), it.space.to_string(), it.name.clone())).collect();
        Invitation::from_text(&pick("invitation", Some(name), all)?)
    }

    /// What forgets the invitations to a space.
    pub(crate) fn accepted_pending(&self, space: &SpaceId) -> Vec<Write> {
        let prefix = [PENDING, &space.0].concat();
        self.store.records(&prefix).map(|(name, _)| (name.to_vec(), None)).collect()
    }

    fn drop_old_pending(&mut self) -> Result<(), Error> {
        let all = self.pending();
        let is_old = |pending: &Pending| self.now_ms.saturating_sub(pending.heard_ms) >= PENDING_MS;
        let old = all.into_iter().enumerate().filter(|(nth, (_, it))| *nth >= PENDING_MAX || is_old(it));
        let writes = old.map(|(_, (name, _))| (name, None)).collect();
        Ok(self.store.write_records(writes)?)
    }
}
