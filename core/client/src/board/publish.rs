use super::book::{Shelf, thing};
use super::door::door;
use super::fetch::{BUDGET, Round, Visit, is_own};
use super::parcel::{Parcel, Stream};
use super::root::{Root, RootId};
use super::{BUCKET_MS, bucket};
use crate::api::BoardPublished;
use crate::membership::commit_of;
use crate::protocol::Frame;
use crate::reinit::reinit_of;
use crate::{Client, Error};
use std::collections::BTreeSet;
use terachat_core_store::model::{ControlEvent, GroupCommit};
use terachat_core_store::store::dht_adapter::cut;
use terachat_core_store::sync::Limits;
use terachat_core_store::sync::board::{Board, BoardError};
use terachat_event::{EventHash, LogId, SpaceId};

/// What a parcel holds of events, unless a stored batch is larger.
const PARCEL: Limits = Limits { events: 1 << 14, payload_len: 1 << 20 };
/// What one call publishes at most, beside the parcel it is in, in bytes.
const LEN_MAX: u64 = 32 << 20;
/// Answers behind one door in a bucket after which no more are left there: each has the group's tree.
const ANSWERS_MAX: usize = 32;
/// How often a parcel is begun anew where somebody else's records stand in its way.
const TRIES: usize = 16;

/// One call's work.
struct Leaving<'a> {
    board: &'a mut dyn Board,
    told: BoardPublished,
}

impl Leaving<'_> {
    fn is_spent(&self) -> bool {
        self.told.len >= LEN_MAX
    }
}

/// A commit that leads on from an epoch.
struct Step {
    from: EventHash,
    /// By which it is known as left already.
    message: Vec<u8>,
    parcel: Vec<u8>,
}

impl Client {
    /// Leaves on a board what is not known to stand there, of every space that this device is a member of: the control log and
    /// every channel that is kept. Bounded; while the answer says that there is more, call again. What it left is durable there, and
    /// noted here, when this returns.
    ///
    /// It does not look at what others left: [`Client::board_fetch`] first spares publishing that again, and lets no member
    /// read on who was removed by others.
    ///
    /// # Errors
    /// [`Error::Board`] when the board cannot be written, [`Error::Store`]; what was left before stays, and is noted.
    pub fn board_publish(&mut self, board: &mut dyn Board, now_ms: u64) -> Result<BoardPublished, Error> {
        self.now_ms = now_ms;
        self.resume();
        self.drop_old_books()?;
        let mut told = BoardPublished::default();
        self.replenish(board, &mut told)?;
        let mut leaving = Leaving { board, told };
        for space in self.store.spaces().collect::<Vec<_>>() {
            match self.publish_space(&mut leaving, space) {
                Err(error) if is_own(&error) => return Err(error),
                Err(error) => {
                    leaving.told.behind |= matches!(error, Error::NotItsTurn(_));
                    let line = format!("{}: {error}", self.space_name(&space));
                    leaving.told.skipped.push(line);
                }
                Ok(()) => {}
            }
        }
        leaving.told.more = leaving.is_spent();
        Ok(leaving.told)
    }

    fn publish_space(&mut self, leaving: &mut Leaving<'_>, space: SpaceId) -> Result<(), Error> {
        if self.rejoins_at(&space)?.is_some() {
            let (door, ask) = (door(&space, &self.identity.device_id()), self.own_ask(&space)?);
            self.publish_thing(leaving, LogId::control(space), &door, &ask, Parcel::ask(&ask))?;
        }
        self.epoch(&space)?;
        // Nothing is to be left where somebody who was removed can still look.
        self.see_out_in_turn(&*leaving.board, space)?;
        let epoch = self.epoch(&space)?;
        let chain = self.epochs(&space)?;
        let recent = self.counted(&chain);
        let root = |client: &Self, commit: &EventHash| {
            let secret = client.store.epoch_secret(&space, commit)?;
            Some(Root::of(secret, Some(*commit), recent.contains(commit)))
        };
        let tip = root(self, &epoch.commit).ok_or_else(|| Error::NotInGroup(self.space_name(&space)))?;
        let control = LogId::control(space);
        for Step { from, message, parcel } in self.steps(&space, &recent)? {
            if let Some(root) = root(self, &from) {
                self.publish_thing(leaving, control, &root, &message, parcel)?;
            }
        }
        let proofs: Vec<Vec<u8>> = self.store.proofs(&space).iter().map(|proof| proof.encode()).collect();
        for ticket in self.tickets_given(&space)? {
            self.publish_log(leaving, control, &ticket, &recent)?;
            for bytes in &proofs {
                let parcel = Parcel::frames(&[Frame::Proof { bytes: bytes.clone() }]);
                self.publish_thing(leaving, control, &ticket, bytes, parcel)?;
            }
            for bytes in self.trees(&space) {
                let parcel = Parcel::frames(&[Frame::Tree { space, bytes: bytes.clone() }]);
                self.publish_thing(leaving, control, &ticket, &bytes, parcel)?;
            }
        }
        self.publish_log(leaving, control, &tip, &recent)?;
        for bytes in proofs {
            let parcel = Parcel::frames(&[Frame::Proof { bytes: bytes.clone() }]);
            self.publish_thing(leaving, control, &tip, &bytes, parcel)?;
        }
        self.publish_answers(leaving, space)?;
        let channels =
            self.store.logs().into_iter().filter(|log| log.space == space && log.channel.is_some());
        let channels = channels.filter(|log| self.keeps(log));
        for log in channels.collect::<Vec<_>>() {
            match self.publish_log(leaving, log, &tip, &recent) {
                // As of an epoch whose secret is not here: the other channels do without.
                Err(error) if !is_own(&error) => {
                    let line = format!("{}: {error}", self.channel_name(&log));
                    leaving.told.skipped.push(line);
                }
                left => left?,
            }
        }
        Ok(())
    }

    fn see_out_in_turn(&mut self, board: &dyn Board, space: SpaceId) -> Result<(), Error> {
        let is_ordered = board.order().is_some();
        let mut seen_out = self.in_turn(is_ordered, |client| client.see_out(space));
        while matches!(seen_out, Err(Error::NotItsTurn(_))) && self.take_turns(board)?.is_empty() {
            seen_out = self.in_turn(true, |client| client.see_out(space));
        }
        self.follow_turns(board)?;
        seen_out
    }

    /// Answers devices that are to rejoin, each once for an epoch, whoever does it.
    fn publish_answers(&mut self, leaving: &mut Leaving<'_>, space: SpaceId) -> Result<(), Error> {
        let log = LogId::control(space);
        for (device, ask) in self.still_asked(&space)? {
            let door = door(&space, &device);
            let name = Self::answer_name(&ask, &self.epoch(&space)?.commit);
            let answered = self.book(&self.shelf(leaving.board, log, &door)).things;
            if !answered.contains(&thing(&name)) && answered.len() < ANSWERS_MAX {
                let answer = Parcel::answer(&self.own_answer(&space, &ask)?);
                self.publish_thing(leaving, log, &door, &name, answer)?;
            }
        }
        Ok(())
    }

    /// The commits that lead on from recent epochs, for those who are still in one.
    fn steps(&self, space: &SpaceId, recent: &BTreeSet<EventHash>) -> Result<Vec<Step>, Error> {
        let Some(control) = self.store.control(space)? else { return Ok(Vec::new()) };
        let commits = control.events().filter_map(|(event, _)| Some((event, commit_of(event)?)));
        let recent = commits.filter(|(_, commit)| recent.contains(&commit.previous));
        let step = |(event, commit): (&ControlEvent, &GroupCommit)| {
            let parcel = match reinit_of(event) {
                Some(reinit) => Parcel::moves(&reinit.encode()),
                None => Parcel::step(&commit.message),
            };
            Step { from: commit.previous, message: commit.message.clone(), parcel }
        };
        Ok(recent.map(step).collect())
    }

    fn shelf(&self, board: &dyn Board, log: LogId, root: &Root) -> Shelf {
        let ticket = if root.commit.is_some() { RootId::default() } else { root.id };
        Shelf { board: board.id(), bucket: bucket(self.now_ms), log, ticket }
    }

    /// Leaves what of a log is not known to stand on the board.
    fn publish_log(
        &mut self,
        leaving: &mut Leaving<'_>,
        log: LogId,
        root: &Root,
        recent: &BTreeSet<EventHash>,
    ) -> Result<(), Error> {
        let shelf = self.shelf(leaving.board, log, root);
        self.find_end(leaving, &shelf, root)?;
        let known = self.book(&shelf);
        let mut book = known.clone();
        if !book.under.is_subset(recent) {
            // It stands where newcomers do not look any more.
            book.forget();
        }
        for proof in self.store.proofs(&log.space).iter().filter(|proof| proof.log == log) {
            // Whoever has the proof takes nothing that holds the chain behind the fork: the rest is left again without it.
            if book.things.insert(thing(&[&b"left without it"[..], &proof.encode()].concat())) {
                book.chains.clear();
            }
        }
        if book != known {
            self.keep_book(&shelf, &book)?;
        }
        while !leaving.is_spent() {
            let (bundles, more) = self.store.bundles_beyond(&log, &book.chains, PARCEL)?;
            for bundle in &bundles {
                let frame = Frame::Bundle { more: false, bytes: bundle.encode() };
                let next = self.leave(leaving, &shelf, root, &Parcel::frames(&[frame]))?;
                book.note(&bundle.batch);
                book.under.extend(root.commit);
                book.streams.entry((root.id, self.identity.device_id())).or_default().next = next;
                self.keep_book(&shelf, &book)?;
                leaving.told.events += bundle.batch.events.len();
            }
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// Leaves something besides events, unless it stands there already.
    fn publish_thing(
        &mut self,
        leaving: &mut Leaving<'_>,
        log: LogId,
        root: &Root,
        bytes: &[u8],
        parcel: Vec<u8>,
    ) -> Result<(), Error> {
        let shelf = self.shelf(leaving.board, log, root);
        if leaving.is_spent() || self.book(&shelf).things.contains(&thing(bytes)) {
            return Ok(());
        }
        self.find_end(leaving, &shelf, root)?;
        let mut book = self.book(&shelf);
        if book.things.insert(thing(bytes)) {
            let next = self.leave(leaving, &shelf, root, &parcel)?;
            book.streams.entry((root.id, self.identity.device_id())).or_default().next = next;
            self.keep_book(&shelf, &book)?;
        }
        Ok(())
    }

    /// Reads this device's own stream to its end: a crash may have come between leaving and noting, or the profile may be an
    /// older copy.
    fn find_end(&mut self, leaving: &Leaving<'_>, shelf: &Shelf, root: &Root) -> Result<(), Error> {
        let at = (*shelf, root.id, self.identity.device_id());
        loop {
            let mut visit = Visit::new(leaving.board, BUDGET, false);
            self.visit(&mut visit, &mut Round::default(), &at, root)?;
            if !visit.budget.is_spent() {
                return Ok(());
            }
        }
    }

    /// Leaves a parcel at the end of this device's stream; gives back where that is then.
    fn leave(
        &mut self,
        leaving: &mut Leaving<'_>,
        shelf: &Shelf,
        root: &Root,
        parcel: &[u8],
    ) -> Result<u64, Error> {
        let me = self.identity.device_id();
        let stream = Stream::of(shelf, root, &me);
        let expires_ms = shelf.bucket.saturating_add(2).saturating_mul(BUCKET_MS);
        let mut next = self.book(shelf).streams.get(&(root.id, me)).map_or(0, |reading| reading.next);
        let pieces = cut(parcel, leaving.board.record_len_max());
        let (mut at, mut tries) = (0, 0);
        while let Some(piece) = pieces.get(at) {
            let record = stream.inner().seal(next, piece, expires_ms, self.store.entropy());
            match leaving.board.publish(&record, self.now_ms) {
                Ok(_) => {
                    leaving.told.records += 1;
                    leaving.told.len += record.bytes().len() as u64;
                    at += 1;
                }
                // Whoever knows the epoch's secret can stand in the way. Readers drop what was begun.
                Err(BoardError::Taken) if tries < TRIES => (at, tries) = (0, tries + 1),
                Err(error) => return Err(error.into()),
            }
            next += 1;
        }
        Ok(next)
    }
}
