//! Frames that came faster than they were taken in: channels' bundles among them are judged together.
use crate::protocol::Frame;
use crate::receive::is_doubtful;
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use terachat_core_store::sync::{Bundle, Limits, Outcome, Standing};
use terachat_event::{DeviceId, LogId};

/// Bundles judged together, and their bytes: more than arrive while one is judged, and little memory.
const TOGETHER_MAX: usize = 1024;
const TOGETHER_BYTES_MAX: usize = 4 << 20;

/// A channel's bundle that was received and not judged yet.
pub(crate) struct Received {
    pub(crate) peer: DeviceId,
    pub(crate) more: bool,
    pub(crate) bundle: Bundle,
}

/// Bundles that wait for the next frame of another kind.
#[derive(Default)]
struct Queue {
    received: Vec<Received>,
    len: usize,
    refused: Vec<(DeviceId, Error)>,
}

impl Queue {
    fn is_refused(&self, peer: DeviceId) -> bool {
        self.refused.iter().any(|(refused, _)| *refused == peer)
    }

    fn refuse(&mut self, peer: DeviceId, error: Error) {
        if !self.is_refused(peer) {
            self.refused.push((peer, error));
        }
    }
}

impl Client {
    /// Takes in frames from authenticated peers, in the order in which they came: as [`Client::receive`] does of each, at
    /// less cost where bundles follow each other. What they brought is durable when this returns.
    ///
    /// Gives the peers who are broken or lying, each with the reason: disconnect them. What such a peer sent behind the frame
    /// that gave it away may have been taken in, if it is proven by itself, or left.
    pub fn receive_all(
        &mut self,
        frames: impl IntoIterator<Item = ([u8; 32], Vec<u8>)>,
        now_ms: u64,
    ) -> Vec<([u8; 32], Error)> {
        self.now_ms = now_ms;
        self.resume();
        let (mut queue, mut peers) = (Queue::default(), BTreeSet::new());
        for (peer, bytes) in frames {
            let peer = DeviceId(peer);
            peers.insert(peer);
            if !queue.is_refused(peer)
                && let Err(error) = self.enqueue(&mut queue, peer, &bytes)
            {
                queue.refuse(peer, error);
            }
        }
        self.judge(&mut queue);
        peers.into_iter().for_each(|peer| self.check_in_sync(peer));
        queue.refused.into_iter().map(|(peer, error)| (peer.0, error)).collect()
    }

    fn enqueue(&mut self, queue: &mut Queue, peer: DeviceId, bytes: &[u8]) -> Result<(), Error> {
        if !self.peers.contains_key(&peer) {
            return Err(Error::Frame("a frame without a connection"));
        }
        match Frame::decode(bytes)? {
            Frame::Bundle { more, bytes } => {
                let bundle = Bundle::decode(&bytes, Limits::PEER)?;
                let log = bundle.batch.log;
                if log.channel.is_none() {
                    // Who is a member, and what can be opened, is another question after it.
                    self.judge(queue);
                }
                if !self.is_common(peer, &log.space) || !self.wants_from(peer, &log)? {
                    return Ok(());
                }
                queue.len += bytes.len();
                queue.received.push(Received { peer, more, bundle });
                if log.channel.is_none()
                    || queue.received.len() >= TOGETHER_MAX
                    || queue.len >= TOGETHER_BYTES_MAX
                {
                    self.judge(queue);
                }
                Ok(())
            }
            frame => {
                self.judge(queue);
                if queue.is_refused(peer) {
                    return Ok(());
                }
                let result = self.take_frame(peer, frame);
                self.excuse(result)
            }
        }
    }

    fn judge(&mut self, queue: &mut Queue) {
        queue.len = 0;
        for (peer, error) in self.take_bundles(std::mem::take(&mut queue.received)) {
            queue.refuse(peer, error);
        }
    }

    /// Judges bundles in this order and does what follows from them. Gives what their senders are to be refused for.
    pub(crate) fn take_bundles(&mut self, received: Vec<Received>) -> Vec<(DeviceId, Error)> {
        if received.is_empty() {
            return Vec::new();
        }
        let (from, bundles): (Vec<_>, Vec<_>) =
            received.into_iter().map(|received| ((received.peer, received.more), received.bundle)).unzip();
        let outcomes = self.store.apply_backlog_opening(&bundles, &mut self.keys);
        let (mut refused, mut acks) = (Vec::new(), BTreeMap::new());
        let mut news: BTreeMap<LogId, (DeviceId, Vec<Range<u32>>)> = BTreeMap::new();
        for (((peer, more), bundle), outcome) in from.into_iter().zip(&bundles).zip(outcomes) {
            let result = match outcome {
                Ok(Outcome::Applied { new, .. }) => {
                    self.took(peer, bundle, &new);
                    *acks.entry((peer, bundle.batch.log)).or_insert(false) |= more;
                    let (last, pieces) = news.entry(bundle.batch.log).or_insert((peer, Vec::new()));
                    *last = peer;
                    pieces.push(new);
                    Ok(())
                }
                Ok(other) => self.took_not(peer, more, bundle.batch.log, other),
                Err(error) if is_doubtful(&error) => self.doubt(peer, bundle.batch.log, error),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = self.excuse(result) {
                refused.push((peer, error));
            }
        }
        for ((peer, log), more) in acks {
            if let Some(root) = self.store.frontier_root(&log) {
                self.tell(peer, &Frame::Ack { log, root });
            }
            if more {
                self.ask(peer, log);
            }
        }
        for (log, (last, pieces)) in news {
            let result = self.arrived_in(log, &pieces);
            if let Err(error) = self.excuse(result) {
                refused.push((last, error));
            }
        }
        refused
    }

    /// A bundle is here now.
    fn took(&mut self, peer: DeviceId, bundle: &Bundle, new: &Range<u32>) {
        let log = bundle.batch.log;
        self.waits_no_more(&log, !new.is_empty());
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let theirs = state.theirs.entry(log).or_insert_with(|| Standing::nothing(log));
        self.store.note_sent(theirs, &bundle.batch);
        // What was here already ends no waiting, so asking again would bring the same for ever.
        if !new.is_empty() {
            state.asked.remove(&log);
        }
    }
}
