//! Whose turn it is to commit, where a board says so: `docs/adr/0041-an-orderer-of-commits.md`.
//!
//! Nothing rests on it. Which commits count the control log says, whoever made them and in whatever order; a board that says
//! nothing, lies or forgets costs a race that would have been run without it.
use crate::api::{Answer, Request};
use crate::{Client, Error};
use std::collections::BTreeMap;
use terachat_core_store::sync::board::{Board, Order};
use terachat_event::{DeviceId, EventHash, SpaceId};
use terachat_vault::{Secret, SecretBytes, derive_key};

/// Records of the epoch in which this device waits for another's commit, by space, and since when: 32 bytes and milliseconds since 1970,
/// little-endian. Most commands are processes of their own, and patience does not begin anew with each.
const WAITS: &[u8] = b"turn-waits/";
/// For how long whoever comes first has a turn, in milliseconds by the board's clock: many times what it takes to make a commit and to
/// leave it. Whoever breaks down in between holds up nobody for longer.
const TURN_MS: u64 = 10_000;
/// For how long a device waits for another's commit, in milliseconds by its own clock: longer than an honest board lets it. A board
/// that says for ever that another comes first holds up nobody for longer.
pub(crate) const PATIENCE_MS: u64 = 15_000;

/// What this device knows of turns.
#[derive(Default)]
pub(crate) struct Turns {
    /// Whether a board that orders is at hand: then nothing is committed out of turn.
    asks: bool,
    /// The epoch on which this device may commit, and since when.
    own: BTreeMap<SpaceId, (EventHash, u64)>,
    /// Spaces in which it was about to, on which epoch, and it was not its turn.
    wanted: BTreeMap<SpaceId, EventHash>,
}

/// What is claimed for a turn. Whoever keeps the order learns neither which space and epoch it is, nor whose turn.
pub(crate) struct Claim {
    pub(crate) slot: [u8; 32],
    pub(crate) value: [u8; 32],
}

impl Claim {
    /// This device's turn in the epoch of this secret, which its members know. The same whenever it asks again.
    pub(crate) fn of(secret: &Secret<32>, commit: &EventHash, device: &DeviceId) -> Self {
        let slot = derive_key("terachat 2026-11 commit slot", secret, &[&commit.0]);
        let value = derive_key("terachat 2026-11 commit turn", secret, &[&commit.0, &device.0]);
        Self { slot: *slot.expose_secret(), value: *value.expose_secret() }
    }
}

impl Client {
    /// Carries out a request whose commits a board puts into an order: reads what others left there, makes each commit in turn, and
    /// leaves them at once. [`Answer::Behind`] where another member's commit comes first and is not there yet: nothing changed, or what
    /// comes before the commit; ask again in a moment. A few times: after 15 s by `now_ms` nobody is waited for any more.
    ///
    /// # Errors
    /// As [`Client::execute`]; [`Error::Board`] when the board cannot be read, and nothing changed; [`Error::NotLeft`] when all is done
    /// and cannot be left there.
    pub fn board_execute(
        &mut self,
        board: &mut dyn Board,
        request: &Request,
        now_ms: u64,
    ) -> Result<Answer, Error> {
        self.in_order(board, now_ms, |client, _| client.execute(request.clone(), now_ms))
    }

    /// Does something whose commits a board puts into an order, as [`Client::board_execute`] does requests. What is done may be begun anew
    /// whenever it is not this device's turn.
    pub(crate) fn in_order(
        &mut self,
        board: &mut dyn Board,
        now_ms: u64,
        mut work: impl FnMut(&mut Self, &mut dyn Board) -> Result<Answer, Error>,
    ) -> Result<Answer, Error> {
        self.board_fetch_all(board, now_ms)?;
        let answer = loop {
            let is_ordered = board.order().is_some();
            match self.in_turn(is_ordered, |client| work(client, board)) {
                Err(Error::NotItsTurn(space)) => {
                    let wanted = self.turns.wanted.len();
                    let behind = self.take_turns(board)?;
                    // What is to be done in several spaces is done where it can be.
                    if behind.len() < wanted {
                        continue;
                    }
                    self.board_fetch_all(board, now_ms)?;
                    let is_here = |(space, commit): &(SpaceId, EventHash)| {
                        self.epoch(space).map_or(true, |now| now.commit != *commit)
                    };
                    if !behind.iter().any(is_here) {
                        return Ok(Answer::Behind { space });
                    }
                }
                done => break done?,
            }
        };
        self.follow_turns(board)?;
        match self.board_publish_all(board, now_ms) {
            Err(Error::Board(why)) => Err(Error::NotLeft(why.to_string())),
            left => left.map(|()| answer),
        }
    }

    /// Does something, with or without a board at hand that orders commits.
    pub(crate) fn in_turn<T>(&mut self, asks: bool, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.turns.asks, asks);
        let done = work(self);
        self.turns.asks = before;
        done
    }

    /// Whether a board that orders commits is at hand.
    pub(crate) fn asks_for_turns(&self) -> bool {
        self.turns.asks
    }

    /// Before a commit is made in the present epoch: whether it is this device's turn.
    ///
    /// # Errors
    /// [`Error::NotItsTurn`].
    pub(crate) fn require_turn(&mut self, space: SpaceId) -> Result<(), Error> {
        let commit = self.epoch(&space)?.commit;
        self.require_turn_on(space, commit)
    }

    /// The same of the epoch that `commit` made, whether or not this device is in it.
    pub(crate) fn require_turn_on(&mut self, space: SpaceId, commit: EventHash) -> Result<(), Error> {
        // One that was not used has passed on to others by and by.
        let lasts = |since: u64| self.now_ms.checked_sub(since).is_some_and(|age_ms| age_ms < TURN_MS);
        let own = self.turns.own.get(&space);
        if !self.turns.asks || own.is_some_and(|(of, since)| *of == commit && lasts(*since)) {
            return Ok(());
        }
        self.turns.wanted.insert(space, commit);
        Err(Error::NotItsTurn(self.space_name(&space)))
    }

    /// The same, and the turn is claimed where it is missing: whether it is this device's.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) fn has_turn_on(
        &mut self,
        board: &dyn Board,
        space: SpaceId,
        commit: EventHash,
    ) -> Result<bool, Error> {
        if self.require_turn_on(space, commit).is_ok() {
            return Ok(true);
        }
        self.turns.wanted.remove(&space);
        self.take_turn(board.order(), space, commit)
    }

    /// Whether something was left undone in a space for want of a turn, which whoever was to follow it up does not tell.
    ///
    /// # Errors
    /// [`Error::NotItsTurn`].
    pub(crate) fn missed_turn(&self, space: &SpaceId) -> Result<(), Error> {
        let missed = self.turns.asks && self.turns.wanted.contains_key(space);
        if missed { Err(Error::NotItsTurn(self.space_name(space))) } else { Ok(()) }
    }

    /// Claims the turns that were missing. Gives back the epochs on which others commit first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) fn take_turns(&mut self, board: &dyn Board) -> Result<Vec<(SpaceId, EventHash)>, Error> {
        let mut behind = Vec::new();
        for (space, commit) in self.wanted_turns() {
            if !self.take_turn(board.order(), space, commit)? {
                behind.push((space, commit));
            }
        }
        Ok(behind)
    }

    /// The turns that were missing, each on the epoch in which this device is by now, if it is in one.
    fn wanted_turns(&mut self) -> Vec<(SpaceId, EventHash)> {
        let wanted = std::mem::take(&mut self.turns.wanted);
        let now = |space: &SpaceId| self.epoch(space).ok().map(|epoch| epoch.commit);
        wanted.into_iter().map(|(space, commit)| (space, now(&space).unwrap_or(commit))).collect()
    }

    /// Makes the commits that waited for their turn and have it now. Others are made when what comes before them is here.
    pub(crate) fn follow_turns(&mut self, board: &dyn Board) -> Result<(), Error> {
        while !self.turns.wanted.is_empty() {
            for (space, commit) in self.wanted_turns() {
                if self.take_turn(board.order(), space, commit)? {
                    self.in_turn(true, |client| {
                        client.settle(space).and_then(|_| client.after_control(space))
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Claims a turn. A board that does not answer has no say.
    fn take_turn(
        &mut self,
        order: Option<&dyn Order>,
        space: SpaceId,
        commit: EventHash,
    ) -> Result<bool, Error> {
        let secret = self.store.epoch_secret(&space, &commit);
        let first = order.zip(secret).and_then(|(order, secret)| {
            let claim = Claim::of(&secret, &commit, &self.identity.device_id());
            let first = order.claim(&claim.slot, &claim.value, TURN_MS).ok()?;
            Some(first == claim.value)
        });
        let is_own = first.unwrap_or(true) || self.has_waited(space, commit)?;
        if is_own {
            let waits = waits_name(&space);
            if self.store.record(&waits).is_some() {
                self.store.write_records(vec![(waits, None)])?;
            }
            self.turns.own.insert(space, (commit, self.now_ms));
        }
        Ok(is_own)
    }

    /// Whether another's commit was waited for long enough. A clock that went back has it begin anew, once.
    fn has_waited(&mut self, space: SpaceId, commit: EventHash) -> Result<bool, Error> {
        let name = waits_name(&space);
        let since = self.store.record(&name).and_then(|value| {
            let (of, since) = value.split_first_chunk()?;
            let since = u64::from_le_bytes(since.try_into().ok()?);
            (EventHash(*of) == commit && since <= self.now_ms).then_some(since)
        });
        if let Some(since) = since {
            return Ok(self.now_ms - since >= PATIENCE_MS);
        }
        let value = [&commit.0[..], &self.now_ms.to_le_bytes()].concat();
        self.store.write_records(vec![(name, Some(SecretBytes::take(value)))])?;
        Ok(false)
    }

    fn board_fetch_all(&mut self, board: &dyn Board, now_ms: u64) -> Result<(), Error> {
        while self.board_fetch(board, now_ms)?.more {}
        Ok(())
    }

    fn board_publish_all(&mut self, board: &mut dyn Board, now_ms: u64) -> Result<(), Error> {
        while self.board_publish(board, now_ms)?.more {}
        Ok(())
    }
}

fn waits_name(space: &SpaceId) -> Vec<u8> {
    [WAITS, &space.0].concat()
}
