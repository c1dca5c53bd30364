use super::book::{Book, Shelf, thing};
use super::bucket;
use super::door::{Handed, Heard, door};
use super::parcel::{Budget, Found, Parcel, Stream};
use super::root::{Root, RootId};
use crate::api::BoardFetched;
use crate::bundle_file::take;
use crate::membership::{EPOCH_LABEL, commit_of};
use crate::protocol::Frame;
use crate::receive::is_doubtful;
use crate::reinit::successor_of;
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::model::ReInit;
use terachat_core_store::sync::board::Board;
use terachat_core_store::sync::{Bundle, Limits, Outcome};
use terachat_core_store::{LocalStore, Wait};
use terachat_event::{DeviceId, Equivocation, EventHash, LogId, SpaceId};
use terachat_group::{Group, Successor};

/// What one call reads at most, beside the parcel it is in.
pub(super) const BUDGET: Budget = Budget { records: 1 << 14, len: 64 << 20 };
/// Epochs beyond the control log that are looked into, per round.
const AHEAD_MAX: usize = 64;
/// Members' answers that are looked into, per round: what they hand over is held in memory.
const HANDED_MAX: usize = 8;

/// One stream of a round.
type At = (Shelf, RootId, DeviceId);

/// Reading a board until nothing more follows from anything: as many calls as it takes.
#[derive(Default)]
pub(crate) struct Round {
    /// All streams.
    streams: Vec<At>,
    /// Which of them was read last.
    after: Option<usize>,
    /// Streams in a row that had nothing new.
    quiet: usize,
    /// Epochs of which the commit is known and its event is not, to read on in: nothing else is done with them.
    ahead: BTreeMap<RootId, (SpaceId, Group)>,
    /// What members handed to this device, which is to rejoin, by the epoch: to read on in, and to rejoin by when nothing more
    /// is to be read.
    handed: BTreeMap<(SpaceId, EventHash), Handed>,
    /// Parcels that wait, and for what.
    waiting: BTreeMap<(At, u64), String>,
}

/// One call's work.
pub(super) struct Visit<'a> {
    board: &'a dyn Board,
    pub(super) budget: Budget,
    told: BoardFetched,
    /// Whether what waits is read again.
    again: bool,
    books: BTreeMap<Shelf, Book>,
}

impl<'a> Visit<'a> {
    pub(super) fn new(board: &'a dyn Board, budget: Budget, again: bool) -> Self {
        Self { board, budget, told: BoardFetched::default(), again, books: BTreeMap::new() }
    }

    fn leave(&mut self, why: String) {
        self.told.leave(why);
    }
}

/// Which streams there are to read, in the order in which they are read.
struct Plan {
    roots: BTreeMap<RootId, Root>,
    streams: Vec<At>,
}

/// What leads on from an epoch.
#[derive(Clone, Copy)]
enum Step<'a> {
    Commit(&'a [u8]),
    Move(&'a ReInit),
}

/// What became of a parcel.
enum Taken {
    Done,
    Waits(String),
}

impl Client {
    /// Takes in what others left on a board: bounded in memory and work; while the answer says that there is more, call again.
    /// What it brought is durable when this returns.
    ///
    /// # Errors
    /// [`Error::Board`] when the board cannot be read, [`Error::Store`]; what was taken in before stays.
    pub fn board_fetch(&mut self, board: &dyn Board, now_ms: u64) -> Result<BoardFetched, Error> {
        self.board_fetch_within(board, now_ms, BUDGET)
    }

    pub(crate) fn board_fetch_within(
        &mut self,
        board: &dyn Board,
        now_ms: u64,
        budget: Budget,
    ) -> Result<BoardFetched, Error> {
        self.now_ms = now_ms;
        self.resume();
        self.drop_old_books()?;
        let id = board.id();
        let mut round = self.boards.remove(&id).unwrap_or_default();
        let mut visit = Visit::new(board, budget, true);
        let is_ordered = board.order().is_some();
        visit.told.more = !self.in_turn(is_ordered, |client| client.go_round(&mut visit, &mut round))?;
        if !visit.told.more {
            self.hear_claims(board, &mut visit.told)?;
        }
        visit.told.waiting = round.waiting.values().take(BoardFetched::REASONS_MAX).cloned().collect();
        if visit.told.more {
            self.boards.insert(id, round);
        }
        let told = visit.told;
        self.follow_turns(board)?;
        if is_ordered && !told.more {
            self.renew_in_turn(board)?;
        }
        Ok(told)
    }

    /// Reads until nothing moves any more, or the budget is spent. Gives back whether it came to the end.
    fn go_round(&mut self, visit: &mut Visit<'_>, round: &mut Round) -> Result<bool, Error> {
        loop {
            self.forget_reached(round)?;
            let Plan { roots, streams } = self.plan(visit.board, round)?;
            if streams != round.streams {
                // Another epoch, member or channel: a round is one of all that there is.
                let after = round.after.and_then(|after| round.streams.get(after));
                round.after = after.and_then(|after| streams.iter().position(|at| at == after));
                (round.streams, round.quiet) = (streams, 0);
            }
            let all = round.streams.len();
            for _ in 0..all {
                if visit.budget.is_spent() {
                    return Ok(false);
                }
                let next = round.after.map_or(0, |after| after + 1) % all;
                let at = round.streams[next];
                let moved = match roots.get(&at.1) {
                    Some(root) => self.visit(visit, round, &at, root)?,
                    None => false,
                };
                round.quiet = if moved { 0 } else { round.quiet + 1 };
                round.after = Some(next);
                if round.quiet >= all {
                    break;
                }
            }
            if round.quiet >= all {
                if !self.rejoin_as_handed(visit, round)? {
                    return Ok(true);
                }
                round.quiet = 0;
            }
        }
    }

    /// What the control log has come to by now takes no room among what is looked into beyond it: whoever was away for long goes
    /// through any number of epochs.
    fn forget_reached(&self, round: &mut Round) -> Result<(), Error> {
        let spaces: BTreeSet<SpaceId> = round.ahead.values().map(|(space, _)| *space).collect();
        for space in spaces {
            self.roots(&space)?.iter().for_each(|root| drop(round.ahead.remove(&root.id)));
        }
        Ok(())
    }

    /// Rejoins where a member answered for the epoch that the log ends with, in turn where the board orders commits: what was handed
    /// over has that epoch's secret. Gives back whether it was tried.
    fn rejoin_as_handed(&mut self, visit: &mut Visit<'_>, round: &mut Round) -> Result<bool, Error> {
        for ((space, commit), handed) in &mut round.handed {
            if self.rejoins_at(space)? != Some(*commit) || handed.was_tried() {
                continue;
            }
            let space = *space;
            if let Some(secret) = handed.secrets.first() {
                let record = LocalStore::epoch_secret_record(&space, commit, secret);
                self.store.write_records(vec![record])?;
            }
            // Another member's commit comes first. The answer waits for what is on the board then.
            if !self.has_turn_on(visit.board, space, *commit)? {
                continue;
            }
            let Some((info, tree)) = handed.take() else { continue };
            match self.enter_as_shown(space, *commit, &info, &tree) {
                Err(error) if is_own(&error) => return Err(error),
                Err(error) => visit.leave(error.to_string()),
                Ok(()) => {}
            }
            if self.rejoins_at(&space)?.is_none() {
                let own = door(&space, &self.identity.device_id()).id;
                round.handed.retain(|(of, _), _| *of != space);
                round.waiting.retain(|((_, root, _), _), _| *root != own);
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn plan(&mut self, board: &dyn Board, round: &Round) -> Result<Plan, Error> {
        let mut plan = Plan { roots: BTreeMap::new(), streams: Vec::new() };
        let now = bucket(self.now_ms);
        // Clocks differ, and what was left in the last bucket is still there.
        let buckets = [Some(now), now.checked_sub(1), now.checked_add(1)];
        let shelves = |log: LogId, ticket: RootId| {
            let shelf = move |bucket| Shelf { board: board.id(), bucket, log, ticket };
            buckets.into_iter().flatten().map(shelf)
        };
        for (space, inviter, root) in self.tickets_held()? {
            let streams = shelves(LogId::control(space), root.id).map(|shelf| (shelf, root.id, inviter));
            plan.streams.extend(streams);
            plan.roots.insert(root.id, root);
        }
        for space in self.store.spaces().collect::<Vec<_>>() {
            let Some(state) = self.store.space(&space) else { continue };
            let mut devices: BTreeSet<DeviceId> = state.devices.keys().copied().collect();
            let channels: Vec<LogId> =
                state.channels.keys().map(|channel| LogId::channel(space, *channel)).collect();
            let channels = channels.into_iter().filter(|log| self.keeps(log));
            let known = self.roots(&space)?;
            let ids: Vec<RootId> = known.iter().map(|root| root.id).collect();
            plan.roots.extend(known.into_iter().map(|root| (root.id, root)));
            let mut control_ids = ids.clone();
            for (id, (_, group)) in round.ahead.iter().filter(|(_, (of, _))| *of == space) {
                devices.extend(group.members().into_iter().map(DeviceId));
                if !plan.roots.contains_key(id) {
                    control_ids.push(*id);
                    plan.roots.insert(*id, Root::of(group.epoch_secret(EPOCH_LABEL), None, false));
                }
            }
            for (_, handed) in round.handed.iter().filter(|((of, _), _)| *of == space) {
                for secret in &handed.secrets {
                    let root = Root::of(secret.duplicate_secret(), None, false);
                    plan.roots.entry(root.id).or_insert_with(|| {
                        control_ids.push(root.id);
                        root
                    });
                }
            }
            for (door, behind) in self.doors(&space)? {
                for shelf in shelves(LogId::control(space), door.id) {
                    plan.streams.extend(behind.iter().map(|device| (shelf, door.id, *device)));
                }
                plan.roots.insert(door.id, door);
            }
            let logs = channels.into_iter().map(|log| (log, &ids));
            for (log, ids) in std::iter::once((LogId::control(space), &control_ids)).chain(logs) {
                for shelf in shelves(log, RootId::default()) {
                    let of = |id: &RootId| {
                        let id = *id;
                        devices.iter().map(move |device| (shelf, id, *device))
                    };
                    plan.streams.extend(ids.iter().flat_map(of));
                }
            }
        }
        Ok(plan)
    }

    /// Reads one stream: what is new, then what waited there once more. Gives back whether anything came of it.
    pub(super) fn visit(
        &mut self,
        visit: &mut Visit<'_>,
        round: &mut Round,
        at: &At,
        root: &Root,
    ) -> Result<bool, Error> {
        let (shelf, id, device) = at;
        let stream = Stream::of(shelf, root, device);
        let mut book = match visit.books.remove(shelf) {
            Some(book) => book,
            None => self.book(shelf),
        };
        let mut reading = book.streams.get(&(*id, *device)).cloned().unwrap_or_default();
        let (mut moved, leads) = (false, round.ahead.len() + round.handed.len());
        let waited = if visit.again { reading.waiting.clone() } else { Vec::new() };
        while !visit.budget.is_spent() {
            let from = reading.next;
            match stream.read(visit.board, from, self.now_ms, &mut visit.budget)? {
                Found::End => break,
                Found::Parcel { next, bytes } => {
                    visit.told.parcels += 1;
                    reading.next = next;
                    let taken = self.take_parcel(visit, round, (at, root), &mut book, &bytes, true)?;
                    if let Taken::Waits(why) = taken {
                        reading.wait(from);
                        round.waiting.insert((*at, from), why);
                    }
                }
                Found::Broken { next, why, again } => {
                    reading.next = next;
                    if again {
                        reading.wait(from);
                        round.waiting.insert((*at, from), why.clone());
                    }
                    visit.leave(why);
                }
            }
            moved = true;
        }
        // What is new comes first: what waits may be many, and wait for ever.
        for number in waited {
            if visit.budget.is_spent() {
                break;
            }
            let taken = match stream.read(visit.board, number, self.now_ms, &mut visit.budget)? {
                Found::Parcel { bytes, .. } => {
                    self.take_parcel(visit, round, (at, root), &mut book, &bytes, false)?
                }
                Found::Broken { again: false, .. } => Taken::Done,
                Found::Broken { why, .. } => Taken::Waits(why),
                Found::End => Taken::Waits("a record is missing; it may still come".to_owned()),
            };
            match taken {
                Taken::Done => {
                    reading.waiting.retain(|waiting| *waiting != number);
                    round.waiting.remove(&(*at, number));
                    moved = true;
                }
                Taken::Waits(why) => {
                    round.waiting.insert((*at, number), why);
                }
            }
        }
        if moved {
            book.streams.insert((*id, *device), reading);
            self.keep_book(shelf, &book)?;
        }
        visit.books.insert(*shelf, book);
        Ok(moved || round.ahead.len() + round.handed.len() > leads)
    }

    /// What a parcel brings. One that waits is read again: nothing of it is kept. `first` is whether it is read for the
    /// first time, so that what is wrong with it is told once.
    fn take_parcel(
        &mut self,
        visit: &mut Visit<'_>,
        round: &mut Round,
        (at, root): (&At, &Root),
        book: &mut Book,
        bytes: &[u8],
        first: bool,
    ) -> Result<Taken, Error> {
        let mut rest = match Parcel::decode(bytes) {
            Ok(Parcel::Frames(frames)) => frames,
            Ok(Parcel::Step(commit)) if at.0.log.channel.is_none() => {
                return self.take_step(visit, round, (at, root), book, Step::Commit(commit));
            }
            Ok(Parcel::Move(bytes)) if at.0.log.channel.is_none() => match ReInit::decode(bytes) {
                Ok(reinit) => return self.take_step(visit, round, (at, root), book, Step::Move(&reinit)),
                Err(error) => {
                    visit.leave(error.to_string());
                    return Ok(Taken::Done);
                }
            },
            Ok(Parcel::Ask(bytes)) => {
                let (space, device) = (at.0.log.space, at.2);
                if device == self.identity.device_id() {
                    book.things.insert(thing(bytes));
                } else if door(&space, &device).id != root.id {
                    visit.leave("an ask for the group in another's place".to_owned());
                } else if let Some(why) = self.hear(&space, &device, bytes)? {
                    visit.leave(why.to_owned());
                }
                return Ok(Taken::Done);
            }
            Ok(Parcel::Answer(bytes)) => return self.take_answer(visit, round, (at, root), book, bytes),
            Ok(Parcel::Step(_) | Parcel::Move(_)) => {
                visit.leave("a commit among a channel's records; its sender is broken or hostile".to_owned());
                return Ok(Taken::Done);
            }
            Err(why) => {
                visit.leave(why.to_owned());
                return Ok(Taken::Done);
            }
        };
        let mut waits = None;
        while !rest.is_empty() {
            let taken =
                take(&mut rest).and_then(|frame| self.take_left(visit, (at, root), book, frame, first));
            match taken {
                Ok(Taken::Done) => {}
                Ok(Taken::Waits(why)) => waits = Some(why),
                Err(error) if is_own(&error) => return Err(error),
                Err(Error::Input(_)) => {
                    visit.leave("a parcel that is not whole; its sender is broken or hostile".to_owned());
                    break;
                }
                Err(error) if first => visit.leave(error.to_string()),
                Err(_) => {}
            }
        }
        Ok(waits.map_or(Taken::Done, Taken::Waits))
    }

    /// One frame of a parcel.
    fn take_left(
        &mut self,
        visit: &mut Visit<'_>,
        (at, root): (&At, &Root),
        book: &mut Book,
        frame: Frame,
        first: bool,
    ) -> Result<Taken, Error> {
        let log = at.0.log;
        match frame {
            Frame::Bundle { bytes, .. } => {
                let bundle = Bundle::decode(&bytes, Limits::PEER)?;
                if bundle.batch.log != log {
                    return Err(Error::Frame("another log's events among a log's records"));
                }
                match self.take_left_bundle(&bundle) {
                    Ok(Outcome::Applied { new, known }) => {
                        visit.told.added += new.len();
                        visit.told.known += known;
                        if let Some(commit) = self.counts(&log.space, root)? {
                            book.under.extend(commit);
                            book.note(&bundle.batch);
                        }
                    }
                    // Nobody needs that chain. The rest of the bundle is left again without it.
                    Ok(Outcome::Waits(wait @ Wait::Frozen(_))) if first => visit.leave(wait.to_string()),
                    Ok(Outcome::Waits(Wait::Frozen(_))) => {}
                    Ok(Outcome::Waits(wait)) => {
                        return Ok(Taken::Waits(format!("{}: {wait}", self.channel_name(&log))));
                    }
                    Ok(Outcome::Equivocated { .. }) => {
                        let why = "holds a branch of a device that signed two events with one number";
                        return Ok(Taken::Waits(format!("{}: {why}", self.channel_name(&log))));
                    }
                    // Its sender may stand on another branch of a chain that forked.
                    Err(Error::Store(error)) if is_doubtful(&error) => {
                        return Ok(Taken::Waits(error.to_string()));
                    }
                    Err(error) => return Err(error),
                }
            }
            Frame::Tree { space, bytes } if space == log.space => {
                let joined =
                    self.memberships.get(&space).is_some_and(|membership| membership.current.is_some());
                let is_wanted = self.wanted_tree(&space) == Some(*blake3::hash(&bytes).as_bytes());
                if is_wanted && self.take_tree(space, bytes)? {
                    self.opened(space)?;
                } else if !joined && !is_wanted {
                    return Ok(Taken::Waits(
                        "a ratchet tree waits for the event that it belongs to".to_owned(),
                    ));
                }
            }
            Frame::Proof { bytes } => {
                let proof = Equivocation::decode(&bytes).map_err(terachat_core_store::Error::from)?;
                if proof.log.space != log.space {
                    return Err(Error::Frame("another space's proof among a space's records"));
                }
                self.believe(&proof)?;
                if let Some(commit) = self.counts(&log.space, root)? {
                    book.under.extend(commit);
                    book.things.insert(thing(&bytes));
                }
            }
            _ => return Err(Error::Frame("something that is not left on boards")),
        }
        Ok(Taken::Done)
    }

    /// An answer to a device that is to rejoin: to this one, or to another, which then needs no answer of this device.
    fn take_answer(
        &mut self,
        visit: &mut Visit<'_>,
        round: &mut Round,
        (at, root): (&At, &Root),
        book: &mut Book,
        bytes: &[u8],
    ) -> Result<Taken, Error> {
        let (space, by) = (at.0.log.space, at.2);
        let me = self.identity.device_id();
        let asking = self.heard(&space).into_iter().chain([me]);
        let Some(asking) = asking.into_iter().find(|device| door(&space, device).id == root.id) else {
            return Ok(Taken::Done);
        };
        if by == me {
            return Ok(Taken::Done);
        }
        let known = |commit: &EventHash| round.handed.contains_key(&(space, *commit));
        match self.judge_answer(&space, &asking, &by, bytes, known)? {
            Heard::Over => Ok(Taken::Done),
            Heard::Refused(why) => {
                visit.leave(why.to_owned());
                Ok(Taken::Done)
            }
            Heard::Elsewhere(name) => {
                book.things.insert(thing(&name));
                Ok(Taken::Done)
            }
            Heard::Mine(commit, handed) => {
                if let Some(handed) = handed.filter(|_| round.handed.len() < HANDED_MAX) {
                    round.handed.insert((space, commit), handed);
                }
                let name = self.space_name(&space);
                Ok(Taken::Waits(format!("{name}: a member's answer waits for the epoch that it is about")))
            }
        }
    }

    /// A commit leads to the next epoch, under which its event is to be found. Until that is here, the epoch serves to read
    /// on and for nothing else; the control log decides whether the commit counts.
    fn take_step(
        &mut self,
        visit: &mut Visit<'_>,
        round: &mut Round,
        (at, root): (&At, &Root),
        book: &mut Book,
        step: Step<'_>,
    ) -> Result<Taken, Error> {
        let space = at.0.log.space;
        let message = match step {
            Step::Commit(message) => message,
            Step::Move(reinit) => &reinit.commit.message,
        };
        if let Some(previous) = self.commit_with(&space, message)? {
            if root.commit == Some(previous) {
                book.things.insert(thing(message));
            }
            return Ok(Taken::Done);
        }
        let known = match root.commit {
            Some(commit) => self.group(&space, &commit)?,
            None => None,
        };
        let group = known.as_ref().or_else(|| round.ahead.get(&root.id).map(|(_, group)| group));
        let Some(group) = group else {
            // An epoch too old for this device to go on from is told by other epochs' records. That from which it rejoins is not:
            // it may lose the race, and would not see it.
            if self.rejoins_at(&space)?.is_some() {
                let name = self.space_name(&space);
                return Ok(Taken::Waits(format!(
                    "{name}: a commit waits for this device to be in the group again"
                )));
            }
            if let Some(left) = root.commit {
                self.doubt_rejoining(&space, &left)?;
            }
            return Ok(Taken::Done);
        };
        let next = match step {
            Step::Commit(message) => self.step_to(&space, group, message),
            Step::Move(reinit) => self.step_over(&space, group, reinit),
        };
        match next {
            Ok(Some(next)) => {
                let id = Root::of(next.epoch_secret(EPOCH_LABEL), None, false).id;
                if round.ahead.len() < AHEAD_MAX && !round.ahead.contains_key(&id) {
                    round.ahead.insert(id, (space, next));
                }
                Ok(Taken::Waits(format!("{}: a commit waits for its event", self.space_name(&space))))
            }
            Ok(None) if matches!(step, Step::Move(_)) => {
                self.doubt_place(&space)?;
                Ok(Taken::Waits(format!(
                    "{}: the members moved to another ciphersuite without this device, which asks for its place with the next that it publishes",
                    self.space_name(&space)
                )))
            }
            Ok(None) => Ok(Taken::Waits(format!(
                "{}: the members went on without this device; ask one whether it was removed",
                self.space_name(&space)
            ))),
            Err(error) => {
                visit.leave(error.to_string());
                Ok(Taken::Done)
            }
        }
    }

    /// The group that a commit leads to, also where that is somebody's rejoining; none where it takes this device out.
    fn step_to(&self, space: &SpaceId, group: &Group, message: &[u8]) -> Result<Option<Group>, Error> {
        let (next, summary) = group.look_ahead(message)?;
        let by = summary.committer;
        if !group.members().contains(&by) && !self.is_member(space, &DeviceId(by)) {
            return Err(Error::NotAllowed("a device that is no member's does not rejoin the group"));
        }
        Ok(next)
    }

    /// The group that takes the place of one, by what its maker says alone; none where this device cannot enter it.
    fn step_over(&self, space: &SpaceId, group: &Group, reinit: &ReInit) -> Result<Option<Group>, Error> {
        let successor = Successor::parse(&reinit.commit.message, &reinit.ratchet_tree)?;
        successor_of(space, &DeviceId(successor.maker), reinit)?;
        match self.enter(group, reinit) {
            Err(Error::Group(_)) => Ok(None),
            entered => entered.map(|(next, _)| Some(next)),
        }
    }

    /// Whether what stands under a root counts as standing there for everybody, and the event that made its epoch. That of an
    /// epoch beyond the control log may have come with what was just taken in.
    fn counts(&self, space: &SpaceId, root: &Root) -> Result<Option<Option<EventHash>>, Error> {
        if root.counts || root.commit.is_some() {
            return Ok(root.counts.then_some(root.commit));
        }
        let known = self.roots(space)?.into_iter().find(|known| known.id == root.id);
        Ok(known.filter(|known| known.counts).map(|known| known.commit))
    }

    /// The epoch from which a commit with this message leads on, if the control log has one.
    fn commit_with(&self, space: &SpaceId, message: &[u8]) -> Result<Option<EventHash>, Error> {
        let Some(control) = self.store.control(space)? else { return Ok(None) };
        let mut commits = control.events().filter_map(|(event, _)| commit_of(event));
        Ok(commits.find(|commit| commit.message == message).map(|commit| commit.previous))
    }
}

/// Whether an error is this device's own, so that nothing may be passed over for it.
pub(super) fn is_own(error: &Error) -> bool {
    use terachat_core_store::Error as Store;
    matches!(error, Error::Board(_) | Error::Store(Store::Store(_) | Store::Halted(_) | Store::Corrupt(_)))
}
