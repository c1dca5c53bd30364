//! A message's way in: frame, bundle, judgement, disk, state, keys, notices, and on to other peers.
use crate::api::Notice;
use crate::heads::{Comparison, Told};
use crate::protocol::Frame;
use crate::queue::Received;
use crate::{Client, Error};
use std::collections::BTreeSet;
use std::ops::Range;
use terachat_core_store::Wait;
use terachat_core_store::sync::{Bundle, Frontier, Limits, Outcome};
use terachat_event::{DeviceId, Equivocation, LogId, SpaceId};

/// Logs of which one peer's bundles may be remembered to wait.
const WAITS_MAX: usize = 4096;

/// Bundles of one log that may not fit, one after the other, before their sender is taken for a liar.
const DOUBTS_MAX: u32 = 1024;

/// Most messages of one bundle that are told one by one: who catches up on years reads pages instead.
pub(crate) const NOTICES_MAX: usize = 256;

impl Client {
    /// Takes in a frame from an authenticated peer. What it brought is durable when this returns.
    ///
    /// # Errors
    /// The peer is broken or lying: disconnect it. Nothing changed. A full disk is no fault of the peer's: it is
    /// reported by a notice.
    pub fn receive(&mut self, peer: [u8; 32], frame: Vec<u8>, now_ms: u64) -> Result<(), Error> {
        self.now_ms = now_ms;
        let peer = DeviceId(peer);
        if !self.peers.contains_key(&peer) {
            return Err(Error::Frame("a frame without a connection"));
        }
        let frame = Frame::decode(&frame)?;
        self.resume();
        let result = self.take_frame(peer, frame);
        self.check_in_sync(peer);
        self.excuse(result)
    }

    /// Tells of what is no fault of a peer's: a disk that is full, writing that was stopped.
    pub(crate) fn excuse(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Err(Error::Store(
                error @ (terachat_core_store::Error::Store(_) | terachat_core_store::Error::Halted(_)),
            )) => {
                self.notices.push_back(Notice::Alarm { what: error.to_string() });
                Ok(())
            }
            result => result,
        }
    }

    pub(crate) fn take_frame(&mut self, peer: DeviceId, frame: Frame) -> Result<(), Error> {
        match frame {
            Frame::Hello { nonce, .. } => self.greet(peer, Some(nonce)),
            Frame::Spaces { tags } => self.recognise(peer, &tags)?,
            Frame::Frontier(frontier) => self.take_frontier(peer, frontier)?,
            Frame::Bundle { more, bytes } => self.take_bundle(peer, more, &bytes)?,
            Frame::Ack { log, root } => {
                if self.is_common(peer, &log.space) && self.shares(peer, &log) {
                    self.stands_at(peer, log, root);
                    self.want_bodies(peer, log);
                    if log.channel.is_none() {
                        // It may have come to the epoch in which this device asked to rejoin.
                        self.want_group(peer, log.space);
                    }
                } else if self.is_common(peer, &log.space) && !self.keeps(&log) {
                    self.take_last_word(&log, &root)?;
                }
            }
            Frame::WantBodies { log, events } => {
                if self.is_common(peer, &log.space) && self.shares(peer, &log) {
                    self.send_bodies(peer, log, &events)?;
                }
            }
            Frame::WantTree { space, hash } => {
                if self.is_common(peer, &space)
                    && let Some(bytes) = self.tree(&space, &hash)
                {
                    self.tell(peer, &Frame::Tree { space, bytes });
                }
            }
            Frame::Tree { space, bytes } => {
                if self.is_common(peer, &space) {
                    let wanted = self.wanted_tree(&space);
                    if self.take_tree(space, bytes)? {
                        self.opened(space)?;
                    }
                    // Only another wish is worth a word: who sent what was not wished for would send it again.
                    if self.wanted_tree(&space) != wanted {
                        self.peers_in(&space).into_iter().for_each(|peer| self.want_tree(peer, space));
                    }
                }
            }
            Frame::Proof { bytes } => self.take_proof(peer, &bytes)?,
            Frame::Root { log, root, chains, events, answers } => {
                self.take_root(peer, log, &Told { root, chains, events, answers })?;
            }
            Frame::Symbols { log, root, chains, bytes } => {
                self.take_symbols(peer, log, root, chains, &bytes)?;
            }
            Frame::MoreSymbols { log, count } => self.take_more(peer, log, count),
            Frame::Lacks { log, chains } => self.take_lacks(peer, log, &chains)?,
            Frame::NoSymbols { log } => self.take_no_symbols(peer, log),
            Frame::Without { log } => self.take_without(peer, log)?,
            Frame::WantGroup { space, commit } => self.show_group(peer, space, commit)?,
            Frame::Group { space, commit, info, tree } => {
                self.take_group(peer, space, commit, &info, &tree)?;
            }
            Frame::WantNewest { log, want } => self.send_newest(peer, log, &want)?,
            Frame::Newest { log, bytes } => self.take_newest(peer, log, &bytes)?,
            Frame::MoreNewest { log } => self.take_more_newest(peer, log),
            Frame::NotMember { space } => {
                if self.store.space(&space).is_some() {
                    self.notices
                        .push_back(Notice::NotMember { peer: peer.to_string(), space: space.to_string() });
                }
            }
        }
        Ok(())
    }

    /// Whether a peer may speak about a space; whoever is not a member (any more) is told so.
    pub(crate) fn is_common(&mut self, peer: DeviceId, space: &SpaceId) -> bool {
        let known = self.store.space(space).is_some() || self.invited().contains(space);
        if !known {
            return false;
        }
        if !self.trusts(&peer, space) {
            self.tell(peer, &Frame::NotMember { space: *space });
            return false;
        }
        if self.peers.get_mut(&peer).is_some_and(|state| state.common.insert(*space)) {
            self.show_proofs(peer, *space);
        }
        true
    }

    /// Notes where a peer stands in a log; gives back whether that is its first word on it.
    pub(crate) fn stands_at(&mut self, peer: DeviceId, log: LogId, root: [u8; 32]) -> bool {
        let ours = self.store.frontier_root(&log);
        let Some(state) = self.peers.get_mut(&peer) else { return false };
        if log.channel.is_none() && ours == Some(root) {
            // With the same members, roles and channels as the peer there is nothing of theirs left to wait for: what it
            // sent counted for something only before it knew better.
            state.waits.retain(|waiting, wait| waiting.space != log.space || !is_of_control(wait));
        }
        let before = state.roots.insert(log, root);
        if before.is_some_and(|before| before != root) {
            // It has something else now, so it may have what was missing.
            state.asked.remove(&log);
            state.doubted.remove(&log);
        }
        before.is_none()
    }

    fn take_frontier(&mut self, peer: DeviceId, frontier: Frontier) -> Result<(), Error> {
        let log = frontier.log;
        if !self.is_common(peer, &log.space) {
            return Ok(());
        }
        if !self.keeps(&log) {
            self.answer_without(peer, log);
            return Ok(());
        }
        // The first word on a log is answered with one's own, so that both know where they stand.
        let first = self.stands_at(peer, log, frontier.root());
        let Some(state) = self.peers.get_mut(&peer) else { return Ok(()) };
        state.without.remove(&log);
        let events = frontier.chains.iter().fold(0_u64, |sum, chain| sum.saturating_add(chain.seq));
        let ahead = frontier.clone();
        state.theirs.insert(log, frontier.into());
        state.awaited.remove(&log);
        // Whoever answered a root by its frontier does not know yet where this device stands.
        let answer = state.comparisons.get_mut(&log).is_some_and(Comparison::end);
        self.begin_ahead(peer, log, Some(events));
        self.push_to(peer, log)?;
        let lacking = self.store.frontier(&log).is_some_and(|ours| lacks(&ours, &ahead));
        let asks = lacking && self.peers.get_mut(&peer).is_some_and(|state| state.asked.insert(log));
        if first || answer || asks {
            self.ask_whole(peer, log);
        }
        Ok(())
    }

    fn take_bundle(&mut self, peer: DeviceId, more: bool, bytes: &[u8]) -> Result<(), Error> {
        let bundle = Bundle::decode(bytes, Limits::PEER)?;
        let log = bundle.batch.log;
        if !self.is_common(peer, &log.space) || !self.wants_from(peer, &log)? {
            return Ok(());
        }
        let refused = self.take_bundles(vec![Received { peer, more, bundle }]).pop();
        refused.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// What follows from a bundle that was not taken in.
    pub(crate) fn took_not(
        &mut self,
        peer: DeviceId,
        more: bool,
        log: LogId,
        outcome: Outcome,
    ) -> Result<(), Error> {
        match outcome {
            Outcome::Applied { .. } => {}
            Outcome::Waits(Wait::Frozen(device)) => {
                // It does not know of the fork yet, or it would have left the chain out.
                let proofs = self.store.proofs(&log.space).into_iter();
                for proof in proofs.filter(|proof| proof.log == log && proof.author == device) {
                    self.tell(peer, &Frame::Proof { bytes: proof.encode() });
                }
                if self.peers.get_mut(&peer).is_some_and(|state| state.asked.insert(log)) {
                    self.ask(peer, log);
                }
            }
            Outcome::Waits(wait) => {
                let ours = self.store.frontier_root(&LogId::control(log.space));
                if let Some(state) = self.peers.get_mut(&peer)
                    && (state.waits.len() < WAITS_MAX || state.waits.contains_key(&log))
                    && !(is_of_control(&wait) && state.roots.get(&LogId::control(log.space)) == ours.as_ref())
                {
                    state.waits.insert(log, wait);
                }
                // Asked once; if that does not help, again when something else has come.
                let asks = matches!(wait, Wait::Event(_)) || more;
                if asks && self.peers.get_mut(&peer).is_some_and(|state| state.asked.insert(log)) {
                    self.ask(peer, log);
                }
                if matches!(wait, Wait::Control(_) | Wait::Author(_) | Wait::Channel(_)) {
                    let control = LogId::control(log.space);
                    if self.peers.get_mut(&peer).is_some_and(|state| state.asked.insert(control)) {
                        self.ask(peer, control);
                    }
                }
            }
            Outcome::Equivocated { proofs, is_news } => {
                for proof in &proofs {
                    self.tell(peer, &Frame::Proof { bytes: proof.encode() });
                    if is_news {
                        self.accuse(proof);
                    }
                }
                if is_news {
                    self.proven(log)?;
                }
                self.ask_whole(peer, log);
            }
        }
        Ok(())
    }

    /// Leaves aside what does not fit: its sender may stand on another branch of a chain that forked. Each shows the other
    /// where it stands, and whoever sees both branches has the proof. What it sent before it hears of that does not fit
    /// either.
    pub(crate) fn doubt(
        &mut self,
        peer: DeviceId,
        log: LogId,
        error: terachat_core_store::Error,
    ) -> Result<(), Error> {
        let Some(state) = self.peers.get_mut(&peer) else { return Ok(()) };
        let doubts = state.doubted.entry(log).or_insert(0);
        *doubts += 1;
        match *doubts {
            1 => {
                self.push_to(peer, log)?;
                self.ask_whole(peer, log);
                Ok(())
            }
            2..=DOUBTS_MAX => Ok(()),
            _ => Err(error.into()),
        }
    }

    /// Events of this log came through: what waited there is asked for again where it still lacks. What does not fit is doubted anew only
    /// behind events that are news: a peer on another branch sends what both have before it, each time that it is asked.
    pub(crate) fn waits_no_more(&mut self, log: &LogId, is_news: bool) {
        for state in self.peers.values_mut() {
            state.waits.remove(log);
            if is_news {
                state.doubted.remove(log);
            }
        }
    }

    /// What follows from new events: members, keys, notices, and news for other peers.
    pub(crate) fn arrived(&mut self, log: LogId, new: Range<u32>) -> Result<(), Error> {
        self.arrived_in(log, &[new])
    }

    /// The same of events that came in several bundles, one behind the other.
    pub(crate) fn arrived_in(&mut self, log: LogId, pieces: &[Range<u32>]) -> Result<(), Error> {
        let whole = |pieces: &[Range<u32>]| Some(pieces.first()?.start..pieces.last()?.end);
        let new = whole(pieces).unwrap_or_default();
        if new.is_empty() {
            return Ok(());
        }
        let followed = self.follow_arrival(log, new, pieces);
        if followed.is_err() {
            // The events are durable: what they lead to is taken up again.
            self.unsettled.insert(log.space);
        }
        followed
    }

    fn follow_arrival(&mut self, log: LogId, new: Range<u32>, pieces: &[Range<u32>]) -> Result<(), Error> {
        self.push(log)?;
        let unlinked = self.memberships.get(&log.space).map(|membership| membership.unlinked.clone());
        if self.store.is_sealed_under(&log, new.clone(), &unlinked.unwrap_or_default())
            && self.settle(log.space)?
        {
            // Words of an epoch that nothing led back to: it may have been for this device to do so.
            self.after_control(log.space)?;
            self.opened(log.space)?;
        }
        if log.channel.is_none() {
            self.warn_of(&log, new.clone())?;
            let opened = self.settle(log.space)?;
            let what = format!("{} events of its members, roles and channels arrived", new.len());
            self.notices.push_back(Notice::Space { space: log.space.to_string(), what });
            self.after_control(log.space)?;
            if opened {
                self.opened(log.space)?;
            }
        } else {
            pieces.iter().try_for_each(|piece| self.tell_of(&log, piece.clone()))?;
            self.store.settle_preview(&log)?;
        }
        Ok(())
    }

    fn tell_of(&mut self, log: &LogId, new: Range<u32>) -> Result<(), Error> {
        if new.len() <= NOTICES_MAX {
            for event in self.store.event_refs(log, new) {
                self.notice(log, &event)?;
            }
        } else {
            let what = format!("{} messages arrived in {}", new.len(), self.channel_name(log));
            self.notices.push_back(Notice::Space { space: log.space.to_string(), what });
        }
        Ok(())
    }

    /// After the control log changed: removed peers are left alone, members are spoken to, new channels are compared, trees are asked for.
    pub(crate) fn after_control(&mut self, space: SpaceId) -> Result<(), Error> {
        self.store.rejudge_previews(&space);
        self.follow_archive(space)?;
        self.push(LogId::control(space))?;
        for peer in self.peers_in(&space) {
            if !self.trusts(&peer, &space) {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.common.remove(&space);
                    state.waits.retain(|log, _| log.space != space);
                }
                self.tell(peer, &Frame::NotMember { space });
            }
        }
        // Whoever was sent away is spoken to again when the removal turns out to be void.
        let apart = self.peers.iter().filter(|(_, state)| !state.common.contains(&space));
        for peer in apart.map(|(peer, _)| *peer).collect::<Vec<_>>() {
            self.meet(peer, space)?;
        }
        let logs: Vec<LogId> = self.store.logs().into_iter().filter(|log| log.space == space).collect();
        for peer in self.peers_in(&space) {
            for log in &logs {
                let fresh = self.peers.get(&peer).is_some_and(|state| !state.roots.contains_key(log));
                let waits = self.peers.get(&peer).is_some_and(|state| state.waits.contains_key(log));
                if fresh || waits {
                    self.ask(peer, *log);
                }
            }
        }
        let control = LogId::control(space);
        let ours = self.store.frontier_root(&control);
        for state in self.peers.values_mut().filter(|state| state.roots.get(&control) == ours.as_ref()) {
            // It was asked for once more. As when the peer's word comes later: see `stands_at`.
            state.waits.retain(|waiting, wait| waiting.space != space || !is_of_control(wait));
        }
        for peer in self.peers_in(&space) {
            self.want_tree(peer, space);
            self.want_group(peer, space);
        }
        Ok(())
    }

    /// New epochs' keys are here: what waited for them is asked for again.
    pub(crate) fn opened(&mut self, space: SpaceId) -> Result<(), Error> {
        for peer in self.peers_in(&space) {
            if let Some(state) = self.peers.get_mut(&peer) {
                state.waits.retain(|log, wait| log.space != space || !matches!(wait, Wait::Epoch(_)));
                state.asked.clear();
            }
        }
        self.ask_all(space);
        Ok(())
    }

    fn take_proof(&mut self, peer: DeviceId, bytes: &[u8]) -> Result<(), Error> {
        let proof = Equivocation::decode(bytes).map_err(terachat_core_store::Error::from)?;
        if self.is_common(peer, &proof.log.space) {
            self.believe(&proof)?;
        }
        Ok(())
    }

    /// Takes in a proof of equivocation, and what follows from it.
    pub(crate) fn believe(&mut self, proof: &Equivocation) -> Result<(), Error> {
        if self.store.apply_proof(proof)? {
            self.accuse(proof);
            self.proven(proof.log)?;
        }
        Ok(())
    }

    /// What follows from a fork that was proven: what waited for the other branch can be judged now, and what rested on a
    /// forked control chain is void.
    pub(crate) fn proven(&mut self, log: LogId) -> Result<(), Error> {
        let control = log.channel.is_none();
        self.store.rejudge_previews(&log.space);
        for state in self.peers.values_mut() {
            let hit = |other: &LogId| *other == log || control && other.space == log.space;
            state.waits.retain(|waiting, _| !hit(waiting));
            state.asked.retain(|asked| !hit(asked));
            state.doubted.retain(|doubted, _| !hit(doubted));
        }
        if control && self.store.space(&log.space).is_some() {
            self.settle(log.space)?;
            self.after_control(log.space)?;
            self.ask_all(log.space);
        } else {
            self.peers_in(&log.space).into_iter().for_each(|peer| self.ask(peer, log));
        }
        Ok(())
    }

    /// Tells everybody of an equivocation.
    pub(crate) fn accuse(&mut self, proof: &Equivocation) {
        let what = format!(
            "{} signed two events with one number; its chain is frozen",
            self.name_of(&proof.log, &proof.author)
        );
        self.notices.push_back(Notice::Alarm { what });
        for peer in self.peers_in(&proof.log.space) {
            self.tell(peer, &Frame::Proof { bytes: proof.encode() });
        }
    }

    /// What waits in a space, in words.
    pub(crate) fn waiting(&self, space: &SpaceId) -> Vec<String> {
        let of = self.peers.values().flat_map(|state| &state.waits).filter(|(log, _)| log.space == *space);
        let lines: BTreeSet<String> =
            of.map(|(log, wait)| format!("{}: {wait}", self.channel_name(log))).collect();
        lines.into_iter().collect()
    }
}

/// Whether an honest peer can seem to say this: the hashes of what was built on another branch of a forked chain do not fit
/// here, nor do the times.
pub(crate) fn is_doubtful(error: &terachat_core_store::Error) -> bool {
    use terachat_core_store::Error;
    matches!(error, Error::Event(_) | Error::Lamport(_) | Error::Replay(_))
}

/// Whether a control event ends this wait.
fn is_of_control(wait: &Wait) -> bool {
    matches!(wait, Wait::Control(_) | Wait::Author(_) | Wait::Channel(_))
}

/// Whether `ahead` has events that `ours` has not.
fn lacks(ours: &Frontier, ahead: &Frontier) -> bool {
    ahead.chains.iter().any(|chain| ours.chain(&chain.device).is_none_or(|known| known.seq < chain.seq))
}
