//! Comparing a log of many chains with a peer: its root first, and where that differs its heads by symbols.
use crate::protocol::{Frame, log_tag, session_key};
use crate::{Client, Error};
use terachat_core_store::sync::rateless::{
    Decoder, Difference, Encoder, HeadKey, HeadSet, Lack, RatelessError, SYMBOLS_STEP, Symbol, first_symbols,
    next_symbols, symbols_max,
};
use terachat_core_store::sync::{Frontier, Standing};
use terachat_event::{DeviceId, LogId};

/// Most chains of a log that are told one by one.
pub(crate) const PLAIN_MAX: usize = 256;

/// Where the comparison of one log with one peer stands.
#[derive(Default)]
pub(crate) struct Comparison {
    /// The root that this device told, until the peer answers it. Meanwhile it tells no other.
    told: Option<[u8; 32]>,
    /// What the peer is being told in symbols.
    offer: Option<Offer>,
    /// What the peer's symbols are being compared with.
    decoding: Option<Decoding>,
}

struct Offer {
    set: HeadSet,
    encoder: Encoder,
    max: u32,
}

struct Decoding {
    set: HeadSet,
    decoder: Decoder,
    max: u32,
}

impl Comparison {
    /// The peer told its whole frontier, which makes all else idle. Gives back whether that was an answer.
    pub(crate) fn end(&mut self) -> bool {
        std::mem::take(self).told.is_some()
    }
}

/// What a peer says of a log when it tells its root.
pub(crate) struct Told {
    pub(crate) root: [u8; 32],
    pub(crate) chains: u32,
    pub(crate) events: u64,
    pub(crate) answers: bool,
}

impl Client {
    /// Asks a peer for what this device lacks of a log: by its root where the log has many chains, otherwise by its frontier.
    pub(crate) fn ask(&mut self, peer: DeviceId, log: LogId) {
        if !self.keeps(&log) {
            self.leave_out(peer, log);
            return self.begin_newest(peer, log);
        }
        if self.shares(peer, &log) {
            // Before the past is asked for, so that it comes before it.
            self.begin_ahead(peer, log, None);
            self.tell_standing(peer, log);
        }
    }

    /// Tells a peer where this device stands in a log, whether or not the peer keeps it.
    pub(crate) fn tell_standing(&mut self, peer: DeviceId, log: LogId) {
        if self.store.chain_count(&log) <= self.plain_max || self.session(peer).is_none() {
            return self.tell_whole(peer, log);
        }
        let Some(root) = self.store.frontier_root(&log) else { return };
        let Some(comparison) = self.comparison(peer, log) else { return };
        // The answer to come is compared with what is here then.
        if comparison.told.is_none() {
            comparison.told = Some(root);
            self.tell_root(peer, log, root, false);
        }
    }

    /// Asks a peer for what this device lacks of a log, by telling all that it has.
    pub(crate) fn ask_whole(&mut self, peer: DeviceId, log: LogId) {
        if self.shares(peer, &log) {
            self.tell_whole(peer, log);
        }
    }

    fn tell_whole(&mut self, peer: DeviceId, log: LogId) {
        let frontier = self.whole(log);
        self.tell(peer, &Frame::Frontier(frontier));
    }

    /// A peer told the root of a log.
    pub(crate) fn take_root(&mut self, peer: DeviceId, tag: [u8; 16], theirs: &Told) -> Result<(), Error> {
        let Some(log) = self.log_called(peer, tag) else {
            self.tell(peer, &Frame::NoSymbols { log: tag });
            return Ok(());
        };
        if !self.keeps(&log) {
            self.answer_without(peer, log);
            return Ok(());
        }
        if let Some(state) = self.peers.get_mut(&peer) {
            state.without.remove(&log);
        }
        self.stands_at(peer, log, theirs.root);
        let ours = self.root_of(&log);
        let leads = self.identity.device_id() < peer;
        let Some(comparison) = self.comparison(peer, log) else { return Ok(()) };
        if theirs.answers {
            comparison.told = None;
            comparison.decoding = None;
            return self.level_or_again(peer, log, theirs.root);
        }
        match comparison.told {
            // Both told the same at once, which answers both.
            Some(told) if told == theirs.root => {
                comparison.told = None;
                return self.level_or_again(peer, log, theirs.root);
            }
            // Both told theirs at once: the one with the lower id answers, which serves both.
            Some(_) if !leads => return Ok(()),
            _ => comparison.told = None,
        }
        if ours == theirs.root {
            self.tell_root(peer, log, ours, true);
            return self.level_or_again(peer, log, ours);
        }
        self.begin_ahead(peer, log, Some(theirs.events));
        self.offer(peer, log, theirs);
        Ok(())
    }

    /// A peer's symbols.
    pub(crate) fn take_symbols(
        &mut self,
        peer: DeviceId,
        tag: [u8; 16],
        root: [u8; 32],
        chains: u32,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let symbols = Symbol::decode(bytes).map_err(|_| Error::Frame("malformed symbols"))?;
        let Some(log) = self.shared_log(peer, tag) else { return Ok(()) };
        self.stands_at(peer, log, root);
        let Some(comparison) = self.comparison(peer, log).filter(|comparison| comparison.told.is_some())
        else {
            return Ok(());
        };
        let decoding = match comparison.decoding.take() {
            Some(decoding) => Ok(decoding),
            None => Decoding::new(self.head_key(peer, &log), self.whole(log), chains),
        };
        let taken = decoding.and_then(|mut decoding| {
            let difference = decoding.decoder.take(&symbols)?;
            Ok((decoding, difference))
        });
        // Whatever a peer's symbols lack, its frontier tells.
        let Ok((decoding, difference)) = taken else {
            self.give_up(peer, log);
            return Ok(());
        };
        if let Some(difference) = difference {
            return self.take_difference(peer, log, &decoding.set, &difference);
        }
        let taken = u32::try_from(decoding.decoder.taken()).unwrap_or(u32::MAX);
        let Some(count) = next_symbols(taken, decoding.max) else {
            self.give_up(peer, log);
            return Ok(());
        };
        if let Some(comparison) = self.comparison(peer, log) {
            comparison.decoding = Some(decoding);
        }
        self.tell(peer, &Frame::MoreSymbols { log: tag, count });
        Ok(())
    }

    /// A peer needs more symbols.
    pub(crate) fn take_more(&mut self, peer: DeviceId, tag: [u8; 16], count: u32) {
        let Some(log) = self.shared_log(peer, tag) else {
            return self.tell(peer, &Frame::NoSymbols { log: tag });
        };
        let Some(comparison) = self.comparison(peer, log) else { return };
        let Some(offer) = &mut comparison.offer else {
            return self.tell(peer, &Frame::NoSymbols { log: tag });
        };
        let left = (offer.max as usize).saturating_sub(offer.encoder.given());
        if left == 0 {
            comparison.offer = None;
            return self.ask_whole(peer, log);
        }
        // Each request costs a look at every chain, so there are not to be many.
        let symbols = offer.encoder.symbols((count as usize).max(SYMBOLS_STEP).min(left));
        let (root, chains) = (offer.set.frontier().root(), count_of(&offer.set.frontier().chains));
        self.tell(peer, &Frame::Symbols { log: tag, root, chains, bytes: Symbol::encode(&symbols) });
    }

    /// What a peer lacks of what it was told by symbols.
    pub(crate) fn take_lacks(&mut self, peer: DeviceId, tag: [u8; 16], lacks: &[Lack]) -> Result<(), Error> {
        let Some(log) = self.shared_log(peer, tag) else { return Ok(()) };
        let Some(offer) = self.comparison(peer, log).and_then(|comparison| comparison.offer.take()) else {
            return Ok(());
        };
        if lacks.len() > offer.set.frontier().chains.len() {
            return Err(Error::Frame("more chains than it was told of"));
        }
        let standing = self.store.standing_by_lacks(&offer.set, lacks)?;
        self.stands(peer, standing)
    }

    /// The peer has no answer: it does not know the log, or no more of what it told.
    pub(crate) fn take_no_symbols(&mut self, peer: DeviceId, tag: [u8; 16]) {
        if let Some(log) = self.shared_log(peer, tag)
            && let Some(comparison) = self.comparison(peer, log)
        {
            comparison.told = None;
            comparison.decoding = None;
        }
    }

    /// Answers a root that is another one here.
    fn offer(&mut self, peer: DeviceId, log: LogId, theirs: &Told) {
        let frontier = self.whole(log);
        let (chains, events) = (count_of(&frontier.chains), self.store.len(&log) as u64);
        let apart = chains.abs_diff(theirs.chains);
        let few = frontier.chains.len() <= self.plain_max;
        // Beyond a third of the chains the frontier is the better answer.
        let far = u64::from(apart) * 3 > u64::from(chains.max(theirs.chains));
        let set = HeadSet::new(self.head_key(peer, &log), frontier).ok().filter(|_| !few && !far);
        let Some(set) = set else { return self.ask_whole(peer, log) };
        let max = symbols_max(chains, theirs.chains);
        let mut encoder = set.encoder();
        let count = first_symbols(events.abs_diff(theirs.events), apart, max);
        let bytes = Symbol::encode(&encoder.symbols(count as usize));
        let root = set.frontier().root();
        if let Some(comparison) = self.comparison(peer, log) {
            comparison.offer = Some(Offer { set, encoder, max });
        }
        let tag = self.tag_of(peer, &log);
        self.tell(peer, &Frame::Symbols { log: tag, root, chains, bytes });
    }

    /// Both sides' heads are known: asks for what is lacking here, and sends what is lacking there.
    fn take_difference(
        &mut self,
        peer: DeviceId,
        log: LogId,
        set: &HeadSet,
        difference: &Difference,
    ) -> Result<(), Error> {
        let Ok(chains) = set.lacks(difference) else {
            self.give_up(peer, log);
            return Ok(());
        };
        if let Some(comparison) = self.comparison(peer, log) {
            comparison.told = None;
        }
        let standing = self.store.standing_by_difference(set, difference)?;
        let tag = self.tag_of(peer, &log);
        self.tell(peer, &Frame::Lacks { log: tag, chains });
        self.stands(peer, standing)
    }

    /// Symbols do not do: the frontier does.
    fn give_up(&mut self, peer: DeviceId, log: LogId) {
        if let Some(comparison) = self.comparison(peer, log) {
            comparison.told = None;
            comparison.decoding = None;
        }
        self.ask_whole(peer, log);
    }

    /// The peer has this root: it stands where this device does, unless that has gone on since it told its own.
    fn level_or_again(&mut self, peer: DeviceId, log: LogId, root: [u8; 32]) -> Result<(), Error> {
        if self.root_of(&log) == root {
            let standing = Standing::from(self.whole(log));
            return self.stands(peer, standing);
        }
        self.ask(peer, log);
        Ok(())
    }

    /// Notes where a peer stands, and sends it what it lacks.
    fn stands(&mut self, peer: DeviceId, standing: Standing) -> Result<(), Error> {
        let log = standing.log;
        if let Some(state) = self.peers.get_mut(&peer) {
            state.theirs.insert(log, standing);
            state.awaited.remove(&log);
        }
        self.push_to(peer, log)
    }

    fn tell_root(&mut self, peer: DeviceId, log: LogId, root: [u8; 32], answers: bool) {
        let chains = u32::try_from(self.store.chain_count(&log)).unwrap_or(u32::MAX);
        let events = self.store.len(&log) as u64;
        let tag = self.tag_of(peer, &log);
        self.tell(peer, &Frame::Root { log: tag, root, chains, events, answers });
    }

    /// The log that a peer means, if the peer may speak of it.
    fn log_called(&mut self, peer: DeviceId, tag: [u8; 16]) -> Option<LogId> {
        let session = self.session(peer)?;
        let invited = self.invited().into_iter().map(LogId::control);
        let found = self.store.logs().into_iter().chain(invited).find(|log| log_tag(&session, log) == tag);
        found.filter(|log| self.is_common(peer, &log.space))
    }

    /// The same, if both sides keep it.
    fn shared_log(&mut self, peer: DeviceId, tag: [u8; 16]) -> Option<LogId> {
        self.log_called(peer, tag).filter(|log| self.shares(peer, log))
    }

    fn comparison(&mut self, peer: DeviceId, log: LogId) -> Option<&mut Comparison> {
        self.peers.get_mut(&peer).map(|state| state.comparisons.entry(log).or_default())
    }

    fn whole(&self, log: LogId) -> Frontier {
        self.store.frontier(&log).unwrap_or(Frontier { log, chains: Vec::new() })
    }

    fn root_of(&self, log: &LogId) -> [u8; 32] {
        self.store.frontier_root(log).unwrap_or_else(|| self.whole(*log).root())
    }

    /// What both sides' nonces give, once both said hello.
    fn session(&self, peer: DeviceId) -> Option<[u8; 32]> {
        let state = self.peers.get(&peer)?;
        let me = self.identity.device_id();
        Some(session_key((&me, &state.nonce), (&peer, state.their_nonce.as_ref()?)))
    }

    fn head_key(&self, peer: DeviceId, log: &LogId) -> HeadKey {
        HeadKey::new(&self.session(peer).unwrap_or_default(), log)
    }

    fn tag_of(&self, peer: DeviceId, log: &LogId) -> [u8; 16] {
        log_tag(&self.session(peer).unwrap_or_default(), log)
    }
}

impl Decoding {
    fn new(key: HeadKey, frontier: Frontier, chains: u32) -> Result<Self, RatelessError> {
        let max = symbols_max(count_of(&frontier.chains), chains);
        let set = HeadSet::new(key, frontier)?;
        Ok(Self { decoder: set.decoder(max), set, max })
    }
}

fn count_of<T>(chains: &[T]) -> u32 {
    u32::try_from(chains.len()).unwrap_or(u32::MAX)
}
