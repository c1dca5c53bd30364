use super::stock::{LOW, Part, SINGLE_USE, Standing, end_of, hash_of};
use super::supply::{Offered, REVOCATIONS_MAX, Supply};
use crate::api::{Answer, BoardPublished, PendingInvitation, SupplyStatus};
use crate::board::{Budget, Found, bucket, read_parcel};
use crate::{Client, Error};
use terachat_core_store::model::Revocation;
use terachat_core_store::store::Write;
use terachat_core_store::store::dht_adapter::{DirectoryStream, cut};
use terachat_core_store::sync::board::{Board, BoardError};
use terachat_group::{CipherSuite, new_key_package, new_last_resort_key_package};

/// What one reading of a user's stream may take.
pub(super) const BUDGET: Budget = Budget { records: 1 << 12, len: 16 << 20 };
/// How often a supply is begun anew where another device of the user was quicker.
const TRIES: usize = 16;

impl Client {
    /// Has this device offer key packages on a board from now on, and leaves the first there. What is missing of them later,
    /// [`Client::board_publish`] leaves there by itself.
    ///
    /// # Errors
    /// [`Error::Board`], [`Error::Store`].
    pub fn card_publish(
        &mut self,
        board: &mut dyn Board,
        post_quantum: bool,
        now_ms: u64,
    ) -> Result<Answer, Error> {
        self.now_ms = now_ms;
        self.offer_on(&board.id(), post_quantum)?;
        let mut told = BoardPublished::default();
        self.replenish(board, &mut told)?;
        Ok(Answer::BoardPublished(told))
    }

    /// Offers no more key packages anywhere. Those that stand on boards can be used until they expire.
    pub(crate) fn card_withdraw(&mut self) -> Result<Answer, Error> {
        self.offer_nowhere()?;
        Ok(Answer::Done)
    }

    /// What this device offers, and who invited it by that.
    pub(crate) fn card_status(&self) -> Answer {
        let status = |(board, post_quantum): ([u8; 16], bool)| {
            let parts =
                || self.parts().filter(move |part| part.board == board && part.expires_ms > self.now_ms);
            let stands = |part: &Part| {
                // A part's bucket follows from its end.
                let of = (0..2).filter_map(|back| bucket(self.now_ms).checked_sub(back));
                let mut of = of.filter(|bucket| end_of(*bucket) == part.expires_ms);
                of.any(|bucket| self.standing_on(&board, bucket).key_packages.contains(&part.hash))
            };
            let fresh = |part: &Part| self.used(&part.hash).is_none();
            let newest = parts().map(|part| part.expires_ms).max();
            SupplyStatus {
                board: board.iter().map(|byte| format!("{byte:02x}")).collect(),
                post_quantum,
                single_use: parts().filter(|part| !part.last_resort && fresh(part) && stands(part)).count(),
                used: parts().filter(|part| !fresh(part)).count(),
                last_resort: parts().filter(|part| part.last_resort && fresh(part) && stands(part)).count(),
                expires_ms: newest.unwrap_or(0),
            }
        };
        let boards = self.offers_on().into_iter().map(status).collect();
        let invitations: Vec<PendingInvitation> =
            self.pending().into_iter().map(|(_, it)| it.told()).collect();
        Answer::Supply { boards, invitations }
    }

    /// Leaves what is missing of this device's key packages on a board, if it offers any there.
    pub(crate) fn replenish(
        &mut self,
        board: &mut dyn Board,
        told: &mut BoardPublished,
    ) -> Result<(), Error> {
        self.drop_old_stock()?;
        let id = board.id();
        let Some((_, post_quantum)) = self.offers_on().into_iter().find(|(of, _)| *of == id) else {
            return Ok(());
        };
        let bucket = bucket(self.now_ms);
        let user = self.identity.user_id();
        let stream =
            DirectoryStream::derive(&user, bucket).ok_or(Error::Profile("its user's key is none"))?;
        let mut standing = self.standing_on(&id, bucket);
        self.read_own(board, &stream, &mut standing, bucket)?;

        let expires_ms = end_of(bucket);
        let suites: &[_] = if post_quantum { &CipherSuite::ALL } else { &[CipherSuite::X25519] };
        let mut writes = self.missing(&id, expires_ms, suites)?;
        if self.mailbox(&id, expires_ms).is_none() {
            writes.push(self.new_mailbox(&id, expires_ms));
        }
        // The private parts are durable before anybody sees the public ones.
        if writes.iter().any(|(_, value)| value.is_some()) {
            self.store.write_records(writes)?;
        }
        let offered: Vec<Part> = self
            .parts()
            .filter(|part| part.board == id && part.expires_ms == expires_ms && suites.contains(&part.suite))
            .filter(|part| self.used(&part.hash).is_none() && !standing.key_packages.contains(&part.hash))
            .collect();
        let revocations = self.told_revocations();
        let told_already = revocations.iter().all(|it| standing.revocations.contains(&it.hash()));
        if offered.is_empty() && told_already {
            return Ok(());
        }
        let mailbox = self.mailbox(&id, expires_ms).ok_or(Error::Frame("a mailbox that is not here"))?;
        let package =
            |part: &Part| Some(Offered { last_resort: part.last_resort, bytes: self.public_half(part)? });
        let supply = Supply {
            issued_ms: self.now_ms,
            expires_ms,
            mailbox: mailbox.public_key(),
            card: self.identity.card(),
            revocations,
            packages: offered.iter().filter_map(package).collect(),
        };
        self.leave_supply(board, &stream, &mut standing, &supply, told)?;
        standing.key_packages.extend(offered.iter().map(|part| part.hash));
        standing.revocations.extend(supply.revocations.iter().map(Revocation::hash));
        self.keep_standing(&id, bucket, &standing)?;
        told.key_packages += offered.len();
        Ok(())
    }

    /// New private parts where few are left that nobody used.
    fn missing(
        &mut self,
        board: &[u8; 16],
        expires_ms: u64,
        suites: &[CipherSuite],
    ) -> Result<Vec<Write>, Error> {
        let mut writes = Vec::new();
        for suite in suites {
            let fresh = |last_resort: bool| {
                let of = self.parts().filter(|part| {
                    (part.board, part.expires_ms, part.suite, part.last_resort)
                        == (*board, expires_ms, *suite, last_resort)
                });
                of.filter(|part| self.used(&part.hash).is_none()).count()
            };
            let (single_use, last_resort) = (fresh(false), fresh(true));
            let few = if single_use <= LOW { SINGLE_USE - single_use } else { 0 };
            for is_last in std::iter::repeat_n(false, few).chain((last_resort == 0).then_some(true)) {
                let make = if is_last { new_last_resort_key_package } else { new_key_package };
                let (public, private) = make(*suite, &self.identity.signer, self.store.entropy())?;
                let hash = hash_of(&public);
                let part = Part { expires_ms, board: *board, suite: *suite, last_resort: is_last, hash };
                writes.push(part.record(&public, &private));
            }
        }
        Ok(writes)
    }

    /// What this user revoked, as far as a supply has room for it.
    fn told_revocations(&self) -> Vec<Revocation> {
        let log = self.identity_log(&self.identity.user_id());
        let all: Vec<Revocation> = log.entries().into_iter().cloned().collect();
        all[all.len().saturating_sub(REVOCATIONS_MAX)..].to_vec()
    }

    /// Reads the user's stream to its end: a crash may have come between leaving and noting, and other devices write there, too.
    fn read_own(
        &mut self,
        board: &dyn Board,
        stream: &DirectoryStream,
        standing: &mut Standing,
        bucket: u64,
    ) -> Result<(), Error> {
        let (mut budget, known) = (BUDGET, standing.clone());
        while !budget.is_spent() {
            match read_parcel(stream, board, standing.next, self.now_ms, &mut budget)? {
                Found::End => break,
                Found::Broken { next, .. } => standing.next = next,
                Found::Parcel { next, bytes } => {
                    standing.next = next;
                    let Ok(supply) = Supply::parse(&bytes, &self.identity.user_id()) else { continue };
                    if supply.card.device == self.identity.device_id() {
                        standing.key_packages.extend(supply.packages.iter().map(|it| hash_of(&it.bytes)));
                        standing.revocations.extend(supply.revocations.iter().map(Revocation::hash));
                    }
                }
            }
        }
        if *standing != known {
            self.keep_standing(&board.id(), bucket, standing)?;
        }
        Ok(())
    }

    fn leave_supply(
        &mut self,
        board: &mut dyn Board,
        stream: &DirectoryStream,
        standing: &mut Standing,
        supply: &Supply,
        told: &mut BoardPublished,
    ) -> Result<(), Error> {
        let bytes = supply.sign(&self.identity.device);
        let pieces = cut(&bytes, board.record_len_max());
        let (mut at, mut tries) = (0, 0);
        while let Some(piece) = pieces.get(at) {
            let (number, user) = (standing.next, &self.identity.user);
            let record = stream.seal(number, piece, supply.expires_ms, user, self.store.entropy());
            match board.publish(&record, self.now_ms) {
                Ok(_) => {
                    told.records += 1;
                    told.len += record.bytes().len() as u64;
                    at += 1;
                }
                // Another device of this user's was quicker. Readers drop what was begun.
                Err(BoardError::Taken) if tries < TRIES => (at, tries) = (0, tries + 1),
                Err(error) => return Err(error.into()),
            }
            standing.next += 1;
        }
        Ok(())
    }
}
