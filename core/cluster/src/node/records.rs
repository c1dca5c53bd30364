//! Records of boards: checked before they are kept, renewed without being written again, and forgotten when they are over.
use super::clocks::Reading;
use super::request::{Refused, Response};
use super::writing::Pending;
use super::{Call, Message, Moment, Node, Output, Proposed, SECOND, Unproposed};
use crate::{EXPIRED_MAX, Entry, Fate, ItemKind, ItemName, ItemPlace, Outcome, Renewal, Signature, State};
use terachat_core_store::sync::board::{BoardRecord, RECORD_LIFETIME_MS_MAX};

/// By how much a client's clock may be ahead without being told so.
const AHEAD_MS_MAX: u64 = 3_600_000;
/// How long before its end the ledger is asked whether a record was renewed: longer than clients' clocks commonly differ.
const MARGIN_MS: u64 = 60_000;
/// Between two times at which others are told how late it is, and at which what has ended is looked for.
const LOOK_EVERY: u64 = SECOND;

/// When what follows time was last looked at.
#[derive(Debug, Default)]
pub(super) struct Ending {
    told: Option<Moment>,
    looked: Moment,
    /// An entry is under way.
    proposed: bool,
}

impl Ending {
    /// Somebody came who may not know how late it is here.
    pub(super) fn somebody_came(&mut self) {
        self.told = None;
    }
}

impl Node {
    /// How late it is, as most members' clocks have it; `None` while too few are heard.
    pub(super) fn now_ms(&self, state: &State) -> Option<u64> {
        self.read_clocks(state).map(|reading| reading.reached)
    }

    fn read_clocks(&self, state: &State) -> Option<Reading> {
        let members = state.roster().members().map(|(node, _)| node);
        self.clocks.read(members, self.now, self.options.away_after)
    }

    /// Whether what is known of an item here is as good as what the ledger knows: a blob does not change, and a record neither
    /// before it ends.
    pub(super) fn is_certain(&self, state: &State, place: &ItemPlace) -> bool {
        place.item.name.kind == ItemKind::Blob || self.lasts(state, place.item.expires_ms)
    }

    /// Whether an end is so far ahead that no node can take it for past.
    pub(super) fn lasts(&self, state: &State, end_ms: u64) -> bool {
        let lasts = |reading: Reading| {
            end_ms > reading.latest.saturating_add(self.options.away_after / 1_000 + MARGIN_MS)
        };
        self.read_clocks(state).is_some_and(lasts)
    }

    /// When a batch is brought before the ledger. Where nobody knows how late it is nothing has ended.
    pub(super) fn proposed_at_ms(&self, state: &State) -> u64 {
        self.now_ms(state).unwrap_or(0)
    }

    /// A client leaves a record on the board.
    pub(super) fn publish(
        &mut self,
        state: &State,
        client: Call,
        name: ItemName,
        bytes: Vec<u8>,
        expires_ms: u64,
    ) {
        let record = BoardRecord::decode(bytes).ok();
        let Some(record) =
            record.filter(|record| (record.key().0, record.expires_ms()) == (name.key, expires_ms))
        else {
            return self.refuse(client, Refused::Record);
        };
        let Some(now_ms) = self.now_ms(state) else {
            return self.refuse(client, Refused::NoMajority);
        };
        if expires_ms <= now_ms || expires_ms - now_ms > RECORD_LIFETIME_MS_MAX + AHEAD_MS_MAX {
            return self.refuse(client, Refused::Lifetime);
        }
        let bytes = record.lasting();
        let digest = *blake3::hash(&bytes).as_bytes();
        let signature = Signature(record.signature());
        let stays = |known: &&ItemPlace| known.item.expires_ms > now_ms || state.roster().is_held(&name);
        match state.item(&name).filter(stays) {
            Some(known) if known.item.digest != digest => {
                self.out.push(Output::Reply(client, Response::Put(Fate::Taken)));
            }
            Some(known) if known.item.expires_ms >= expires_ms => {
                self.out.push(Output::Reply(client, Response::Put(Fate::Known)));
            }
            Some(_) => {
                let renewal = Renewal { key: name.key, digest, expires_ms, signature, at_ms: now_ms };
                self.propose(Proposed::Renew(client), &Entry::Renew(renewal));
            }
            None => self.enqueue(state, Pending::new(client, name, bytes, expires_ms, Some(signature))),
        }
    }

    /// What the ledger made of a longer life.
    pub(super) fn renew_proposed(&mut self, client: Call, result: Result<Outcome, Unproposed>) {
        let response = match result {
            Ok(Outcome::Renewed(fate)) => Response::Put(fate),
            Ok(Outcome::Refused(refusal)) => Response::Refused(Refused::Ledger(refusal)),
            Err(Unproposed::NotTaken) => Response::Refused(Refused::NoMajority),
            Ok(_) | Err(Unproposed::Unknown) => Response::Refused(Refused::Unknown),
        };
        self.out.push(Output::Reply(client, response));
    }

    /// The whole record that is under this name now, of its item's bytes; `None` if these are another record's.
    pub(super) fn whole_record(&self, state: &State, lasting: &[u8], place: &ItemPlace) -> Option<Vec<u8>> {
        let now = state.item(&place.item.name).filter(|now| now.item.digest == place.item.digest)?;
        let signature = state.signature(now)?;
        Some(BoardRecord::join(lasting, now.item.expires_ms, &signature.0))
    }

    /// A client wants what has ended to be forgotten.
    pub(super) fn collect(&mut self, state: &State, client: Call) {
        let Some(at_ms) = self.now_ms(state) else {
            return self.refuse(client, Refused::NoMajority);
        };
        if !state.has_ended(at_ms) {
            return self.out.push(Output::Reply(client, Response::Collected { records: 0, more: false }));
        }
        self.propose(Proposed::Expire(Some(client)), &Entry::Expire { at_ms });
    }

    pub(super) fn expire_proposed(&mut self, client: Option<Call>, result: Result<Outcome, Unproposed>) {
        let Some(client) = client else {
            self.ending.proposed = false;
            return;
        };
        let response = match result {
            Ok(Outcome::Expired { items, records, claims }) => {
                Response::Collected { records, more: items.max(claims) as usize == EXPIRED_MAX }
            }
            Ok(Outcome::Refused(refusal)) => Response::Refused(Refused::Ledger(refusal)),
            Err(Unproposed::NotTaken) => Response::Refused(Refused::NoMajority),
            Ok(_) | Err(Unproposed::Unknown) => Response::Refused(Refused::Unknown),
        };
        self.out.push(Output::Reply(client, response));
    }

    pub(super) fn tick_records(&mut self, state: &State) {
        if self.ending.told.is_none_or(|told| self.now.since(told) >= LOOK_EVERY)
            && let Some(ms) = self.clocks.of(self.id)
        {
            self.ending.told = Some(self.now);
            let others: Vec<_> = state.roster().members().map(|(node, _)| node).collect();
            for node in others.into_iter().filter(|node| *node != self.id) {
                self.out.push(Output::Send(node, Message::Clock(ms)));
            }
        }
        if !self.leads() || self.ending.proposed || self.now.since(self.ending.looked) < LOOK_EVERY {
            return;
        }
        self.ending.looked = self.now;
        let over = |now_ms: u64| now_ms.saturating_sub(self.options.forget_after / 1_000);
        if let Some(at_ms) = self.now_ms(state).map(over).filter(|at_ms| state.has_ended(*at_ms)) {
            self.ending.proposed = true;
            self.propose(Proposed::Expire(None), &Entry::Expire { at_ms });
        }
    }
}
