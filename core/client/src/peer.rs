//! One connected device, and what it is told.
use crate::api::Notice;
use crate::heads::Comparison;
use crate::protocol::{Frame, VERSION, space_tag};
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::Wait;
use terachat_core_store::store::WANTED_MAX;
use terachat_core_store::sync::{Limits, Standing, Want};
use terachat_event::{DeviceId, EventHash, EventRef, LogId, SpaceId};

/// How much is sent ahead of a peer's answer.
const WINDOW: Limits = Limits { events: 1 << 16, payload_len: 8 << 20 };

/// What is known of a connected peer.
#[derive(Default)]
pub(crate) struct Peer {
    pub(crate) nonce: [u8; 16],
    pub(crate) their_nonce: Option<[u8; 16]>,
    /// Spaces both are in.
    pub(crate) common: BTreeSet<SpaceId>,
    /// What it has, or will have once what was sent arrives.
    pub(crate) theirs: BTreeMap<LogId, Standing>,
    /// Comparisons by root and symbols.
    pub(crate) comparisons: BTreeMap<LogId, Comparison>,
    /// Roots it reported last.
    pub(crate) roots: BTreeMap<LogId, [u8; 32]>,
    /// Logs of which it has to answer before more is sent.
    pub(crate) awaited: BTreeSet<LogId>,
    /// Logs of which this device asked again since it last got on.
    pub(crate) asked: BTreeSet<LogId>,
    /// Logs of which it said something that does not fit, as it may if some chain forked, and how often in a row.
    pub(crate) doubted: BTreeMap<LogId, u32>,
    /// Logs that it does not keep, of those that are known here.
    pub(crate) without: BTreeSet<LogId>,
    /// Logs of which this device told it that it does not keep them.
    pub(crate) left_out: BTreeSet<LogId>,
    /// What its newest bundle of a log waits for. Nothing is kept of it: it is asked for again. Ends with the
    /// connection, since a peer may make up whatever it likes.
    pub(crate) waits: BTreeMap<LogId, Wait>,
    pub(crate) in_sync: bool,
    /// Pages of channels ahead of their past.
    pub(crate) newest: Newest,
    /// Content of which events it was asked for, and of how many it was missing here then.
    pub(crate) wanted: BTreeMap<LogId, (usize, BTreeSet<EventRef>)>,
    /// Of which epochs it had no group to rejoin by, or none that is the space's.
    pub(crate) no_group: BTreeMap<SpaceId, EventHash>,
}

/// What was said of channels ahead of their past.
#[derive(Default)]
pub(crate) struct Newest {
    /// Pages that the peer was asked for and did not answer yet.
    pub(crate) asked: BTreeMap<LogId, Want>,
    /// Channels of which it was asked at all.
    pub(crate) began: BTreeSet<LogId>,
    /// Channels of which it had no page, or one that does not hold.
    pub(crate) none: BTreeSet<LogId>,
    /// Channels of which it is to be told when there is more.
    pub(crate) told: BTreeSet<LogId>,
}

impl Client {
    /// A connection to `peer` was made; its key is authenticated.
    pub fn connected(&mut self, peer: [u8; 32]) {
        self.resume();
        let peer = DeviceId(peer);
        let mut state = Peer::default();
        self.store.entropy().fill(&mut state.nonce);
        let hello = Frame::Hello { version: VERSION, nonce: state.nonce };
        self.peers.insert(peer, state);
        self.tell(peer, &hello);
    }

    /// The connection to `peer` ended.
    pub fn disconnected(&mut self, peer: [u8; 32]) {
        let peer = DeviceId(peer);
        self.peers.remove(&peer);
        self.frames.retain(|(to, _)| *to != peer);
        self.end_ahead();
    }

    pub(crate) fn tell(&mut self, peer: DeviceId, frame: &Frame) {
        self.frames.push_back((peer, frame.encode()));
    }

    /// Answers a peer's hello: which spaces this device knows or is invited to.
    pub(crate) fn greet(&mut self, peer: DeviceId, their_nonce: Option<[u8; 16]>) {
        let me = self.identity.device_id();
        let spaces: Vec<SpaceId> = self.store.spaces().chain(self.invited()).collect();
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.their_nonce = their_nonce.or(state.their_nonce);
        let Some(theirs) = state.their_nonce else { return };
        let tags =
            spaces.iter().map(|space| space_tag(space, (&me, &state.nonce), (&peer, &theirs))).collect();
        self.tell(peer, &Frame::Spaces { tags });
    }

    /// Tells all peers of a space that is new here.
    pub(crate) fn greet_all(&mut self, space: SpaceId) -> Result<(), Error> {
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.greet(peer, None);
            self.meet(peer, space)?;
        }
        Ok(())
    }

    /// Which of the spaces here a peer's tags name.
    pub(crate) fn recognise(&mut self, peer: DeviceId, tags: &[[u8; 32]]) -> Result<(), Error> {
        let me = self.identity.device_id();
        let Some((nonce, Some(theirs))) = self.peers.get(&peer).map(|state| (state.nonce, state.their_nonce))
        else {
            return Err(Error::Frame("spaces before a hello"));
        };
        let tags: BTreeSet<&[u8; 32]> = tags.iter().collect();
        let spaces: Vec<SpaceId> = self.store.spaces().chain(self.invited()).collect();
        for space in spaces {
            if tags.contains(&space_tag(&space, (&peer, &theirs), (&me, &nonce))) {
                if self.trusts(&peer, &space) {
                    self.meet(peer, space)?;
                } else {
                    self.tell(peer, &Frame::NotMember { space });
                    self.notices
                        .push_back(Notice::Stranger { peer: peer.to_string(), space: space.to_string() });
                }
            }
        }
        Ok(())
    }

    /// Whether a peer may be spoken to about a space: a present member, or anybody while this device, invited, knows
    /// nothing yet and believes only what proves itself.
    pub(crate) fn trusts(&self, peer: &DeviceId, space: &SpaceId) -> bool {
        match self.store.space(space) {
            Some(state) => state.member_of(peer).is_some(),
            None => self.invited().contains(space),
        }
    }

    /// Starts, or starts again, to compare a space with a peer that is in it too.
    pub(crate) fn meet(&mut self, peer: DeviceId, space: SpaceId) -> Result<(), Error> {
        if !self.trusts(&peer, &space) {
            return Ok(());
        }
        let Some(state) = self.peers.get_mut(&peer) else { return Ok(()) };
        if state.their_nonce.is_none() {
            return Ok(());
        }
        state.common.insert(space);
        let mut logs: Vec<LogId> = self.store.logs().into_iter().filter(|log| log.space == space).collect();
        if logs.is_empty() {
            logs.push(LogId::control(space));
        }
        logs.into_iter().for_each(|log| self.ask(peer, log));
        self.want_tree(peer, space);
        self.want_group(peer, space);
        self.show_proofs(peer, space);
        Ok(())
    }

    /// Shows a peer which devices of a space signed two events with one number.
    pub(crate) fn show_proofs(&mut self, peer: DeviceId, space: SpaceId) {
        for proof in self.store.proofs(&space) {
            self.tell(peer, &Frame::Proof { bytes: proof.encode() });
        }
    }

    /// Asks a peer for the ratchet tree by which this device can join, if one is missing.
    pub(crate) fn want_tree(&mut self, peer: DeviceId, space: SpaceId) {
        if let Some(hash) = self.wanted_tree(&space) {
            self.tell(peer, &Frame::WantTree { space, hash });
        }
    }

    /// Asks a peer for content that is missing here; of each event once in a connection, and again whenever some came.
    pub(crate) fn want_bodies(&mut self, peer: DeviceId, log: LogId) {
        let missing = self.store.missing_bodies(&log);
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if missing.is_empty() {
            state.wanted.remove(&log);
            return;
        }
        let (count, asked) = state.wanted.entry(log).or_default();
        if missing.len() < *count {
            asked.clear();
        }
        *count = missing.len();
        let events: Vec<EventRef> =
            missing.into_iter().filter(|event| !asked.contains(event)).take(WANTED_MAX).collect();
        if !events.is_empty() {
            asked.extend(&events);
            self.tell(peer, &Frame::WantBodies { log, events });
        }
    }

    /// Sends a peer what is here of the content that it lacks.
    pub(crate) fn send_bodies(
        &mut self,
        peer: DeviceId,
        log: LogId,
        events: &[EventRef],
    ) -> Result<(), Error> {
        for bundle in self.store.bundles_with(&log, events)? {
            self.tell(peer, &Frame::Bundle { more: false, bytes: bundle.encode() });
        }
        if let Some(root) = self.store.frontier_root(&log) {
            self.tell(peer, &Frame::Ack { log, root });
        }
        Ok(())
    }

    /// Asks all peers of a space for its logs again: something that was missing has come.
    pub(crate) fn ask_all(&mut self, space: SpaceId) {
        let logs: Vec<LogId> = self.store.logs().into_iter().filter(|log| log.space == space).collect();
        for peer in self.peers_in(&space) {
            logs.iter().for_each(|log| self.ask(peer, *log));
        }
    }

    pub(crate) fn peers_in(&self, space: &SpaceId) -> Vec<DeviceId> {
        self.peers.iter().filter(|(_, state)| state.common.contains(space)).map(|(peer, _)| *peer).collect()
    }

    /// Sends every peer what it lacks of a log.
    pub(crate) fn push(&mut self, log: LogId) -> Result<(), Error> {
        self.tell_newest(log);
        for peer in self.peers_in(&log.space) {
            self.push_to(peer, log)?;
        }
        Ok(())
    }

    /// Sends a peer what it lacks of a log, as far as the window goes.
    pub(crate) fn push_to(&mut self, peer: DeviceId, log: LogId) -> Result<(), Error> {
        if !self.trusts(&peer, &log.space) || !self.shares(peer, &log) {
            return Ok(());
        }
        let Some(state) = self.peers.get_mut(&peer).filter(|state| !state.awaited.contains(&log)) else {
            return Ok(());
        };
        let Some(theirs) = state.theirs.get_mut(&log) else { return Ok(()) };
        let (bundles, more) = self.store.bundles_to(theirs, WINDOW)?;
        let count = bundles.len();
        for (at, bundle) in bundles.iter().enumerate() {
            let more = more && at + 1 == count;
            self.tell(peer, &Frame::Bundle { more, bytes: bundle.encode() });
        }
        if let Some(state) = self.peers.get_mut(&peer).filter(|_| count > 0) {
            if more {
                state.awaited.insert(log);
            }
            state.in_sync = false;
        }
        Ok(())
    }

    /// Says so when a peer and this device have come to have the same events, in all that both keep.
    pub(crate) fn check_in_sync(&mut self, peer: DeviceId) {
        let Some(state) = self.peers.get(&peer) else { return };
        let shared = |log: &LogId| state.common.contains(&log.space) && self.shares(peer, log);
        let logs: Vec<LogId> = self.store.logs().into_iter().filter(shared).collect();
        let same = |log: &LogId| {
            let ours = self.store.frontier_root(log);
            ours.is_some() && ours.as_ref() == state.roots.get(log)
        };
        let waits = state.waits.keys().any(|log| state.common.contains(&log.space));
        let joining = state.common.iter().any(|space| {
            self.memberships.get(space).is_some_and(|membership| membership.wanted_tree.is_some())
        });
        let rejoining = state.common.iter().any(|space| self.hopes_for_group(state, space));
        let in_sync = !logs.is_empty()
            && !waits
            && state.newest.asked.is_empty()
            && !joining
            && !rejoining
            && logs.iter().all(same);
        let was = state.in_sync;
        if let Some(state) = self.peers.get_mut(&peer) {
            state.in_sync = in_sync;
        }
        if in_sync && !was {
            self.notices.push_back(Notice::InSync { peer: peer.to_string() });
            for log in logs {
                self.want_bodies(peer, log);
                // Here is all that anybody tells: what else was told ahead of it does not hide it for ever.
                let dropped = self.store.drop_preview(&log).map_err(Error::from);
                let _ = self.excuse(dropped);
            }
        }
    }
}
