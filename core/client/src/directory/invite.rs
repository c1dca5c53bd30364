use super::claim::Claim;
use super::look_up::Directory;
use super::stock::hash_of;
use super::supply::Supply;
use super::{CLAIMS_MAX, DirectoryError};
use crate::api::{Answer, Invited};
use crate::card::{InvitableCard, Invitation};
use crate::{Client, Error};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::model::{Card, Rank};
use terachat_core_store::store::Write;
use terachat_core_store::store::dht_adapter::{BoardStream, Piece};
use terachat_core_store::sync::board::{Board, BoardError};
use terachat_event::{DeviceId, SpaceId, UserId};
use terachat_group::{CipherSuite, KeyPackage};
use terachat_vault::{Entropy, Secret, SecretBytes};

/// Records of invitations that are under way, by space and device: what a crash must not have claimed in vain.
const INVITING: &[u8] = b"inviting/";

/// A key package that is to be claimed, or was.
#[derive(Clone, Serialize, Deserialize)]
struct Intent {
    board: [u8; 16],
    expires_ms: u64,
    card: Card,
    last_resort: bool,
    key_package: Vec<u8>,
    ticket: [u8; 32],
    /// What is left under the key package.
    claim: Vec<u8>,
}

/// One of a device's key packages with what belongs to it.
struct Candidate<'a> {
    supply: &'a Supply,
    last_resort: bool,
    bytes: &'a [u8],
}

/// Whom a call invites, where to and by which board.
struct Inviting<'a> {
    board: &'a mut dyn Board,
    space: SpaceId,
    rank: Rank,
    suite: CipherSuite,
    person: String,
}

impl Client {
    /// Invites all devices of a person to a space, by key packages that they left on a board: claims one of each, and admits them.
    /// They find the invitation there, and what they need to join once this device has published on the same board.
    ///
    /// Where the board orders commits it is done in turn as [`Client::board_execute`] does requests, reading before and publishing after;
    /// [`Answer::Behind`] as there.
    ///
    /// # Errors
    /// [`Error::Directory`] says why nobody could be invited; [`Error::Board`], [`Error::Store`], or why this device may not invite. Asked
    /// again it goes on with what it had claimed. [`Error::NotLeft`] as [`Client::board_execute`].
    pub fn board_invite(
        &mut self,
        board: &mut dyn Board,
        space: Option<&str>,
        person: &str,
        rank: Option<u8>,
        now_ms: u64,
    ) -> Result<Answer, Error> {
        match board.order().is_some() {
            true => self.in_order(board, now_ms, |client, board| {
                client.invite_person(board, space, person, rank, now_ms)
            }),
            false => self.invite_person(board, space, person, rank, now_ms),
        }
    }

    fn invite_person(
        &mut self,
        board: &mut dyn Board,
        space: Option<&str>,
        person: &str,
        rank: Option<u8>,
        now_ms: u64,
    ) -> Result<Answer, Error> {
        self.now_ms = now_ms;
        self.resume();
        let space = self.space(space)?;
        let rank = Rank::new(rank.unwrap_or(Rank::MEMBER.get())).ok_or(Error::Input("a rank is 0 to 100"))?;
        let suite = self.current_group(&space)?.suite();
        let (user, person) = self.person(person)?;
        let mut inviting = Inviting { board, space, rank, suite, person };
        let directory = self.look_up(inviting.board, &user, &inviting.person)?;

        let (mut invited, mut newcomers) = (Invited::default(), Vec::new());
        let mut claimed: BTreeMap<DeviceId, Intent> = BTreeMap::new();
        let intents = self.intents(&inviting, &user)?;
        let (mut known, mut fault) = (false, None);
        let offered: BTreeSet<DeviceId> = directory
            .supplies
            .iter()
            .map(|supply| supply.card.device)
            .chain(intents.keys().copied())
            .collect();
        for device in offered {
            if device == self.identity.device_id() {
                continue;
            }
            let is_revoked =
                directory.revocations.revokes(&device) || self.identity_log(&user).revokes(&device);
            let is_member = self.is_device_of(&space, &device, &user);
            if is_member && !intents.contains_key(&device) {
                known = true;
                continue;
            }
            let told = match is_revoked && !is_member {
                true => Err(DirectoryError::Revoked(inviting.person.clone()).into()),
                // No key package is used up before it is this device's turn.
                false => self
                    .require_turn(space)
                    .and_then(|()| self.claim_one(&mut inviting, &directory, &device, intents.get(&device))),
            };
            match told {
                Ok((intent, newcomer)) => {
                    invited.last_resort += usize::from(intent.last_resort);
                    invited.devices.push(device.to_string());
                    newcomers.extend(newcomer);
                    claimed.insert(device, intent);
                }
                Err(Error::Directory(why)) => {
                    invited.skipped.push(format!("device {}: {why}", device.short()));
                    fault.get_or_insert(why);
                }
                Err(other) => return Err(other),
            }
        }
        if claimed.is_empty() {
            return Err(fault.unwrap_or_else(|| nobody(&inviting, &directory, known)).into());
        }
        let tickets = claimed.iter().map(|(device, intent)| (*device, Secret::take(&mut { intent.ticket })));
        self.keep_tickets(&space, tickets.collect())?;
        self.admit_in_parts(space, newcomers)?;
        let done = claimed.keys().map(|device| (intent_name(&space, device), None)).collect();
        self.store.write_records(done)?;
        invited.person = inviting.person;
        Ok(Answer::Invited(invited))
    }

    /// Claims one key package of a device: the one that was to be claimed when a call was interrupted, or any that nobody used, and
    /// that of last resort where there is none. With it who is to be admitted by it; nobody, if that happened already.
    fn claim_one(
        &mut self,
        inviting: &mut Inviting<'_>,
        directory: &Directory,
        device: &DeviceId,
        intent: Option<&Intent>,
    ) -> Result<(Intent, Option<crate::invite::Newcomer>), Error> {
        if let Some(intent) = intent
            && self.leave_claim(inviting.board, intent)?
        {
            let newcomer = self.newcomer_by(inviting, intent)?;
            return Ok((intent.clone(), newcomer));
        }
        let mut fault = DirectoryError::OtherSuite { person: inviting.person.clone(), suite: inviting.suite };
        for candidate in self.on_offer(inviting, directory, device, &mut fault) {
            let stream = BoardStream::claims(&hash_of(candidate.bytes));
            if !candidate.last_resort {
                match inviting.board.fetch(&stream.key(0), self.now_ms) {
                    Ok(None) => {}
                    Err(error @ BoardError::Failed(_)) => return Err(error.into()),
                    // Somebody's, whatever it is: whoever left it was first.
                    _ => {
                        fault = DirectoryError::UsedUp(inviting.person.clone());
                        continue;
                    }
                }
            }
            let intent = self.intent(inviting, &candidate)?;
            // Whether this device may is known before anything is claimed.
            let newcomer = self.newcomer_by(inviting, &intent)?;
            self.keep_intent(&inviting.space, &intent)?;
            if self.leave_claim(inviting.board, &intent)? {
                return Ok((intent, newcomer));
            }
            self.store.write_records(vec![(intent_name(&inviting.space, device), None)])?;
            fault = DirectoryError::UsedUp(inviting.person.clone());
        }
        Err(fault.into())
    }

    /// A device's key packages for this suite, each once: single-use ones in an order of chance, so that inviters who do not see each
    /// other's claims seldom take the same, then those of last resort, the newest first.
    fn on_offer<'a>(
        &mut self,
        inviting: &Inviting<'_>,
        directory: &'a Directory,
        device: &DeviceId,
        fault: &mut DirectoryError,
    ) -> Vec<Candidate<'a>> {
        let (mut single_use, mut last_resort, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for supply in directory.supplies.iter().filter(|supply| supply.card.device == *device) {
            for offered in &supply.packages {
                let key_package = match KeyPackage::parse(&offered.bytes) {
                    Ok(key_package) => key_package,
                    Err(terachat_group::Error::ForeignCredential) => {
                        *fault = DirectoryError::ForeignCredential(inviting.person.clone());
                        continue;
                    }
                    Err(_) => {
                        let why = "a key package that is not sound";
                        *fault = DirectoryError::Forged { person: inviting.person.clone(), why };
                        continue;
                    }
                };
                if key_package.device() != device.0 {
                    *fault = DirectoryError::ForeignCredential(inviting.person.clone());
                } else if key_package.is_last_resort() != offered.last_resort {
                    let why = "a key package that is marked otherwise than it is";
                    *fault = DirectoryError::Forged { person: inviting.person.clone(), why };
                } else if key_package.suite() == inviting.suite && seen.insert(&offered.bytes) {
                    let candidate =
                        Candidate { supply, last_resort: offered.last_resort, bytes: &offered.bytes };
                    if offered.last_resort { last_resort.push(candidate) } else { single_use.push(candidate) }
                }
            }
        }
        shuffle(&mut single_use, self.store.entropy());
        single_use.extend(last_resort);
        single_use
    }

    fn intent(&mut self, inviting: &Inviting<'_>, candidate: &Candidate<'_>) -> Result<Intent, Error> {
        let (space, device) = (inviting.space, candidate.supply.card.device);
        let mut ticket = [0; 32];
        self.store.entropy().fill(&mut ticket);
        let invitation = Invitation {
            space,
            name: self.space_name(&space),
            inviter: self.identity.device_id(),
            invited: device,
            ticket,
        };
        let claim = Claim::seal(
            &invitation,
            &self.identity,
            &hash_of(candidate.bytes),
            &candidate.supply.mailbox,
            self.store.entropy(),
        )?;
        Ok(Intent {
            board: inviting.board.id(),
            expires_ms: candidate.supply.expires_ms,
            card: candidate.supply.card.clone(),
            last_resort: candidate.last_resort,
            key_package: candidate.bytes.to_vec(),
            ticket,
            claim,
        })
    }

    fn newcomer_by(
        &self,
        inviting: &Inviting<'_>,
        intent: &Intent,
    ) -> Result<Option<crate::invite::Newcomer>, Error> {
        let invitable =
            InvitableCard { card: intent.card.clone(), key_packages: vec![intent.key_package.clone()] };
        self.newcomer(&inviting.space, invitable, inviting.rank, inviting.suite)
    }

    /// Leaves the invitation under its key package. Gives back whether it stands there; of a single-use one whoever is first has it.
    fn leave_claim(&mut self, board: &mut dyn Board, intent: &Intent) -> Result<bool, Error> {
        let stream = BoardStream::claims(&hash_of(&intent.key_package));
        let piece = Piece { first: true, last: true, bytes: intent.claim.clone() };
        for number in 0..if intent.last_resort { CLAIMS_MAX } else { 1 } {
            let record = stream.seal(number, &piece, intent.expires_ms, self.store.entropy());
            match board.publish(&record, self.now_ms) {
                Ok(_) => return Ok(true),
                Err(BoardError::Taken) => {
                    // By this device, if it was interrupted.
                    let there = board.fetch(&stream.key(number), self.now_ms);
                    let piece = there.ok().flatten().and_then(|record| stream.open(number, &record).ok());
                    if piece.is_some_and(|piece| piece.bytes == intent.claim) {
                        return Ok(true);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// What was to be claimed on this board when a call was interrupted, of this user's devices and not too old.
    fn intents(
        &mut self,
        inviting: &Inviting<'_>,
        user: &UserId,
    ) -> Result<BTreeMap<DeviceId, Intent>, Error> {
        let prefix = [INVITING, &inviting.space.0].concat();
        let (mut intents, mut done): (BTreeMap<_, _>, Vec<Write>) = Default::default();
        for (name, value) in self.store.records(&prefix) {
            match postcard::from_bytes::<Intent>(value) {
                Ok(intent) if intent.expires_ms > self.now_ms => {
                    if intent.card.user == *user && intent.board == inviting.board.id() {
                        intents.insert(intent.card.device, intent);
                    }
                }
                _ => done.push((name.to_vec(), None)),
            }
        }
        self.store.write_records(done)?;
        Ok(intents)
    }

    fn keep_intent(&mut self, space: &SpaceId, intent: &Intent) -> Result<(), Error> {
        let bytes = postcard::to_allocvec(intent).expect("plain values encode into a growing buffer");
        let write = (intent_name(space, &intent.card.device), Some(SecretBytes::take(bytes)));
        Ok(self.store.write_records(vec![write])?)
    }

    fn is_device_of(&self, space: &SpaceId, device: &DeviceId, user: &UserId) -> bool {
        let state = self.store.space(space);
        state.is_some_and(|state| state.member_of(device).is_some_and(|(of, _)| of == user))
    }
}

/// Why there was no device to invite.
fn nobody(inviting: &Inviting<'_>, directory: &Directory, known: bool) -> DirectoryError {
    let person = inviting.person.clone();
    match directory.fault {
        _ if known => DirectoryError::AlreadyIn(person),
        Some(why) => DirectoryError::Forged { person, why },
        None if directory.has_expired => DirectoryError::Expired(person),
        None => DirectoryError::Nobody(person),
    }
}

/// Fisher and Yates. That some orders are likelier by 2^-48 does not matter here.
fn shuffle<T>(all: &mut [T], entropy: &mut dyn Entropy) {
    for last in (1..all.len()).rev() {
        let mut draw = [0; 8];
        entropy.fill(&mut draw);
        let at = u64::from_le_bytes(draw) % (last as u64 + 1);
        all.swap(last, usize::try_from(at).expect("no more than there are"));
    }
}

fn intent_name(space: &SpaceId, device: &DeviceId) -> Vec<u8> {
    [INVITING, &space.0, &device.0].concat()
}
