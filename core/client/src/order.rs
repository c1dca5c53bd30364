//! Whose turn it is to commit, where a board says so: `docs/adr/0041-an-orderer-of-commits.md`.
//!
//! Nothing rests on it. Which commits count the control log says, whoever made them and in whatever order; a board that says
//! nothing, lies or forgets costs a race that would have been run without it.
use crate::api::{Answer, Request};
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::sync::KeyId;
use terachat_core_store::sync::board::{Board, Order};
use terachat_event::{DeviceId, EventHash, SpaceId};
use terachat_vault::{Secret, derive_key};

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
    /// Spaces in which it was about to, and it was not its turn.
    wanted: BTreeSet<SpaceId>,
    /// The epoch in which it waits for another's commit, and since when.
    waits: BTreeMap<SpaceId, (EventHash, u64)>,
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
        self.board_fetch_all(board, now_ms)?;
        let answer = loop {
            let is_ordered = board.order().is_some();
            match self.in_turn(is_ordered, |client| client.execute(request.clone(), now_ms)) {
                Err(Error::NotItsTurn(space)) => {
                    let behind = self.take_turns(board);
                    if behind.is_empty() {
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

    /// Before a commit is made in the present epoch: whether it is this device's turn.
    ///
    /// # Errors
    /// [`Error::NotItsTurn`].
    pub(crate) fn require_turn(&mut self, space: SpaceId) -> Result<(), Error> {
        let commit = self.epoch(&space)?.commit;
        // One that was not used has passed on to others by and by.
        let lasts = |since: u64| self.now_ms.checked_sub(since).is_some_and(|age_ms| age_ms < TURN_MS);
        let own = self.turns.own.get(&space);
        if !self.turns.asks || own.is_some_and(|(of, since)| *of == commit && lasts(*since)) {
            return Ok(());
        }
        self.turns.wanted.insert(space);
        Err(Error::NotItsTurn(self.space_name(&space)))
    }

    /// Claims the turns that were missing. Gives back the epochs on which others commit first.
    pub(crate) fn take_turns(&mut self, board: &dyn Board) -> Vec<(SpaceId, EventHash)> {
        let mut behind = Vec::new();
        for space in std::mem::take(&mut self.turns.wanted) {
            let Ok(KeyId { commit, .. }) = self.epoch(&space) else { continue };
            if !self.take_turn(board.order(), space, commit) {
                behind.push((space, commit));
            }
        }
        behind
    }

    /// Makes the commits that waited for their turn and have it now. Others are made when what comes before them is here.
    pub(crate) fn follow_turns(&mut self, board: &dyn Board) -> Result<(), Error> {
        while !self.turns.wanted.is_empty() {
            for space in std::mem::take(&mut self.turns.wanted) {
                let Ok(KeyId { commit, .. }) = self.epoch(&space) else { continue };
                if self.take_turn(board.order(), space, commit) {
                    self.in_turn(true, |client| {
                        client.settle(space).and_then(|_| client.after_control(space))
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Claims a turn. A board that does not answer has no say.
    fn take_turn(&mut self, order: Option<&dyn Order>, space: SpaceId, commit: EventHash) -> bool {
        let secret = self.store.epoch_secret(&space, &commit);
        let first = order.zip(secret).and_then(|(order, secret)| {
            let claim = Claim::of(&secret, &commit, &self.identity.device_id());
            let first = order.claim(&claim.slot, &claim.value, TURN_MS).ok()?;
            Some(first == claim.value)
        });
        let is_own = first.unwrap_or(true) || self.has_waited(space, commit);
        if is_own {
            self.turns.waits.remove(&space);
            self.turns.own.insert(space, (commit, self.now_ms));
        }
        is_own
    }

    /// Whether another's commit was waited for long enough. A clock that went back has it begin anew, once.
    fn has_waited(&mut self, space: SpaceId, commit: EventHash) -> bool {
        let now = (commit, self.now_ms);
        let (of, since) = *self.turns.waits.entry(space).or_insert(now);
        if of != commit || since > self.now_ms {
            self.turns.waits.insert(space, now);
            return false;
        }
        self.now_ms - since >= PATIENCE_MS
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
