use super::control::Control;
use super::index::{LogIndex, Void};
use super::validator::Payloads;
use crate::blocks::{Lazy, Plain};
use crate::model::{
    ChannelOp, ChannelState, ControlEvent, ControlOp, ControlTransaction, Kept, Permission, Sealed,
    SpaceState, Surroundings, Verdict, same_user, vouched,
};
use crate::query::search_index::SearchIndex;
use crate::query::{Journal, StateTree};
use crate::sync::Batch;
use hashbrown::HashMap;
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use terachat_event::{ChannelId, DeviceId, EventHash, EventRef, LogId, SpaceId};

/// One space: its control log and its channels' logs, with the states they add up to.
pub(crate) struct SpaceLogs {
    pub(crate) control_index: LogIndex,
    pub(crate) control: Control,
    pub(crate) channels: BTreeMap<ChannelId, ChannelLog>,
}

/// What control events that were taken in may mean for the channels.
#[derive(Default)]
pub(crate) struct Upset {
    /// Whether other events may count now.
    pub(crate) cuts: bool,
    /// The state before the first that came beside what was here: of two admissions of one device the earlier in the total
    /// order holds, so the device may be another user's now.
    pub(crate) before: Option<Arc<SpaceState>>,
}

/// One channel's log and state.
pub(crate) struct ChannelLog {
    pub(crate) index: LogIndex,
    pub(crate) state: ChannelState,
    /// Events that were void when they were made.
    pub(crate) void_by_right: Void,
    /// Events that became void: cut off by a removal, or by equivocation.
    pub(crate) void_by_cut: Void,
    /// Events of whose payload only what is kept is on disk: a peer sent no more, or it was erased here.
    pub(crate) bare: BTreeSet<u32>,
    /// Events that brought another text or heading, each with its message, whether they count or not.
    pub(crate) revises: Lazy<Plain<BTreeMap<u32, u32>>>,
    /// Whether some of what is bare is to be shown, if that was asked since it may have changed.
    pub(crate) lacks: Cell<Option<bool>>,
    /// Texts, by the position of the event that brought them; read or built when somebody searches.
    pub(crate) search: Option<SearchIndex>,
    /// The part of the snapshot that holds them, until it was read.
    pub(crate) stored_search: Option<usize>,
    /// Hashes of the state.
    pub(crate) hashes: StateHashes,
    /// What has changed lately.
    pub(crate) journal: Journal,
}

/// A channel's state as hashes, as far as they were asked for.
#[derive(Default)]
pub(crate) struct StateHashes {
    /// If [`StateHashes::is_whole`], of the whole state; otherwise it knows only what has changed.
    pub(crate) tree: RefCell<StateTree>,
    pub(crate) is_whole: Cell<bool>,
    /// The part of the snapshot that holds the tree, until it was read.
    pub(crate) stored: Cell<Option<usize>>,
}

impl SpaceLogs {
    pub(crate) fn new(space: SpaceId) -> Self {
        Self {
            control_index: LogIndex::new(LogId::control(space)),
            control: Control::default(),
            channels: BTreeMap::new(),
        }
    }

    pub(crate) fn space(&self) -> SpaceId {
        self.control_index.log.space
    }

    pub(crate) fn index(&self, log: &LogId) -> Option<&LogIndex> {
        match &log.channel {
            None => Some(&self.control_index),
            Some(channel) => self.channels.get(channel).map(|channel| &channel.index),
        }
    }

    pub(crate) fn index_mut(&mut self, log: &LogId) -> Option<&mut LogIndex> {
        match &log.channel {
            None => Some(&mut self.control_index),
            Some(channel) => self.channels.get_mut(channel).map(|channel| &mut channel.index),
        }
    }

    /// Takes the control events from position `from` of the index on into the control log, and opens logs for the
    /// channels they create.
    pub(crate) fn take_control(
        &mut self,
        from: u32,
        batch: &Batch,
        chunks: &[Vec<u8>],
        fresh: &[bool],
    ) -> Upset {
        let mut upset = Upset::default();
        let mut payloads = Payloads::new(batch, chunks);
        let all = batch.events.iter().enumerate().map(|(n, event)| payloads.next(n, event)).zip(fresh);
        let new = (from..).zip(all.filter(|(_, fresh)| **fresh));
        let mut events: Vec<ControlEvent> =
            new.map(|(at, (payload, _))| control_event(&self.control_index, at, payload)).collect();
        vouch(&mut events);
        for event in events {
            // Who is admitted or what is created takes nothing from anybody, unless it comes beside what it must
            // give way to.
            if self.control.heads().iter().any(|head| !event.parents.contains(head)) {
                upset.cuts = true;
                upset.before.get_or_insert_with(|| self.control.shared_state());
            }
            upset.cuts |= event.transaction.0.iter().any(takes_away);
            self.control.history_mut().insert(event);
        }
        self.open_channels();
        upset
    }

    pub(crate) fn open_channels(&mut self) {
        let space = self.space();
        for id in self.control.state().channels.keys() {
            self.channels.entry(*id).or_insert_with(|| ChannelLog::new(LogId::channel(space, *id)));
        }
    }

    /// Applies the operations of the channel events from position `from` on.
    pub(crate) fn take_channel(
        &mut self,
        id: &ChannelId,
        from: u32,
        batch: &Batch,
        chunks: &[Vec<u8>],
        fresh: &[bool],
    ) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        let history = self.control.state().channels.get(id).map(|channel| channel.history);
        let mut standings = HashMap::new();
        let mut at = from;
        let mut payloads = Payloads::new(batch, chunks);
        for ((n, event), fresh) in batch.events.iter().enumerate().zip(fresh) {
            let payload = payloads.next(n, event);
            if !*fresh {
                continue;
            }
            let op = ChannelOp::decode(payload);
            let permission = permission_for(op.as_ref().ok());
            channel.note(at, op.as_ref().ok());
            let meta = *channel.index.event(at);
            let standing = standings.entry((meta.chain, meta.control, permission)).or_insert_with(|| {
                let author = *channel.index.device(meta.chain);
                Standing::of(
                    &mut self.control,
                    id,
                    &author,
                    channel.index.control_heads(at),
                    permission,
                    channel.index.frozen.get(&author).copied(),
                )
            });
            channel.judge(at, meta.seq.into(), standing);
            if let Some(why) = history.and_then(|history| history.misfit(payload)) {
                channel.void_by_right.entry(at).or_insert(why);
            }
            if channel.void(at).is_none()
                && let Ok(op) = op
            {
                channel.apply(self.control.state(), at, op);
            }
            at += 1;
        }
    }

    /// Finds which events removals, demotions and proofs of equivocation cut off now; gives back the channels for which
    /// that changed, or where a device is another user's than it was `before`: their states have to be built anew. The
    /// control log's history is here.
    ///
    /// # Errors
    /// What `payload` gives.
    pub(crate) fn recut<E>(
        &mut self,
        before: Option<&SpaceState>,
        payload: impl Fn(&LogIndex, u32) -> Result<Vec<u8>, E>,
    ) -> Result<Vec<ChannelId>, E> {
        let mut changed = Vec::new();
        let ever_had = |permission| {
            (permission, self.control.history().map(|log| log.ever_had(permission)).unwrap_or_default())
        };
        let havers = Permission::BEYOND_WRITING.map(ever_had);
        for (id, channel) in &mut self.channels {
            let mut cut = channel.cut_off(self.control.state(), id);
            for (permission, havers) in &havers {
                for at in channel.beyond_writing(&mut self.control, *permission, havers, id) {
                    let bytes = payload(&channel.index, at)?;
                    if permission_for(ChannelOp::decode(&bytes).ok().as_ref()) == *permission {
                        cut.entry(at).or_insert(CUT);
                    }
                }
            }
            let state = self.control.state();
            let rebound = before.is_some_and(|before| {
                channel.index.devices().any(|device| {
                    let (then, now) = (before.devices.get(device), state.devices.get(device));
                    then.is_some() && now.is_some() && then != now
                })
            });
            if cut != channel.void_by_cut || rebound {
                channel.void_by_cut = cut;
                changed.push(*id);
            }
        }
        Ok(changed)
    }

    /// Judges anew what was made under control events that build on a fork: what they rested on may be void. Gives back the
    /// channels for which that changes something. The control log's history is here.
    ///
    /// # Errors
    /// What `payload` gives.
    pub(crate) fn rejudge<E>(
        &mut self,
        payload: impl Fn(&LogIndex, u32) -> Result<Vec<u8>, E>,
    ) -> Result<BTreeSet<ChannelId>, E> {
        let mut changed = BTreeSet::new();
        for (id, channel) in &mut self.channels {
            let lists = channel.index.controls.iter();
            let forked: Vec<bool> = lists.map(|cited| self.control.builds_on_fork(cited)).collect();
            if !forked.contains(&true) {
                continue;
            }
            let history = self.control.state().channels.get(id).map(|channel| channel.history);
            for at in 0..channel.index.len() {
                let (index, event) = (&channel.index, channel.index.event(at));
                if !forked[event.control as usize] {
                    continue;
                }
                let bytes = payload(index, at)?;
                let permission = permission_for(ChannelOp::decode(&bytes).ok().as_ref());
                let author = index.device(event.chain);
                let verdict = self.control.verdict(author, id, index.control_heads(at), permission);
                let misfit = history.and_then(|history| history.misfit(&bytes)).map(Verdict::Void);
                let void = match verdict.filter(|verdict| *verdict != Verdict::Counts).or(misfit) {
                    Some(Verdict::Void(why)) => channel.void_by_right.insert(at, why).is_none(),
                    _ => channel.void_by_right.remove(&at).is_some(),
                };
                if void {
                    changed.insert(*id);
                }
            }
        }
        Ok(changed)
    }

    /// Builds a channel's state anew from its events; `payload` gives each event's operation.
    ///
    /// # Errors
    /// What `payload` gives.
    pub(crate) fn rebuild<E>(
        &mut self,
        id: &ChannelId,
        payload: impl Fn(&LogIndex, u32) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        let Some(channel) = self.channels.get_mut(id) else { return Ok(()) };
        let before = std::mem::take(&mut channel.state);
        channel.hashes = StateHashes::default();
        channel.lacks.set(None);
        channel.journal.begin_anew();
        for at in 0..channel.index.len() {
            let bytes = payload(&channel.index, at)?;
            // What this version cannot read does nothing, here as when it first came.
            if channel.void(at).is_none()
                && let Ok(op) = ChannelOp::decode(&bytes)
            {
                channel.apply(self.control.state(), at, op);
            }
        }
        if !before.deleted().eq(channel.state.deleted()) {
            // It leaves out what is deleted.
            channel.forget_texts();
        }
        Ok(())
    }
}

/// Whether a control operation may take a right from somebody who wrote by it.
fn takes_away(op: &ControlOp) -> bool {
    matches!(
        op,
        ControlOp::Remove { .. }
            | ControlOp::SetRank { .. }
            | ControlOp::ChangeRole { .. }
            | ControlOp::RevokeDevice { .. }
    )
}

/// The right that a channel operation takes.
pub(crate) fn permission_for(op: Option<&ChannelOp<'_>>) -> Permission {
    match op {
        Some(ChannelOp::Pin { .. } | ChannelOp::Unpin { .. }) => Permission::Pin,
        Some(
            ChannelOp::Delete { moderates: true, .. }
            | ChannelOp::SetHeading { moderates: true, .. }
            | ChannelOp::Erased { kept: Kept::Heading { moderates: true, .. }, .. }
            | ChannelOp::Sealed(Sealed { kept: Kept::Heading { moderates: true, .. }, .. }),
        ) => Permission::Moderate,
        _ => Permission::Post,
    }
}

impl ChannelLog {
    pub(crate) fn new(log: LogId) -> Self {
        Self {
            index: LogIndex::new(log),
            state: ChannelState::default(),
            void_by_right: Void::new(),
            void_by_cut: Void::new(),
            bare: BTreeSet::new(),
            revises: Lazy::default(),
            lacks: Cell::new(None),
            search: None,
            stored_search: None,
            hashes: StateHashes::default(),
            journal: Journal::default(),
        }
    }

    /// Why the event at this position counts for nothing, if so.
    pub(crate) fn void(&self, at: u32) -> Option<&'static str> {
        self.void_by_right.get(&at).or_else(|| self.void_by_cut.get(&at)).copied()
    }

    /// Whether the content of the event at this position is that of a message which is deleted: it is neither shown nor handed
    /// on, and erased from disk.
    pub(crate) fn is_condemned(&self, at: u32) -> bool {
        self.state.is_deleted(at)
            || self.deletes_something()
                && self.revises.get().0.get(&at).is_some_and(|of| self.state.is_deleted(*of))
    }

    /// All such events, ascending within messages and within what revises them.
    pub(crate) fn condemned(&self) -> impl Iterator<Item = u32> {
        let revises = self.deletes_something().then(|| &self.revises.get().0);
        let revisions = revises.into_iter().flatten().filter(|(_, of)| self.state.is_deleted(**of));
        self.state.deleted().chain(revisions.map(|(at, _)| *at))
    }

    /// Whether a message is deleted: otherwise what revises which need not be read.
    fn deletes_something(&self) -> bool {
        self.state.deleted().next().is_some()
    }

    /// The text index is to be built anew: it holds what is gone, or lacks what came back.
    pub(crate) fn forget_texts(&mut self) {
        (self.search, self.stored_search) = (None, None);
    }

    /// Notes what of an event has to be known to erase its content, or to go without.
    fn note(&mut self, at: u32, op: Option<&ChannelOp<'_>>) {
        if matches!(op, Some(ChannelOp::Erased { .. } | ChannelOp::Delete { .. })) {
            self.lacks.set(None);
        }
        let kept = match op {
            Some(ChannelOp::Erased { kept, .. }) => {
                self.bare.insert(at);
                Some(*kept)
            }
            op => op.and_then(Kept::of),
        };
        let message = kept.as_ref().and_then(Kept::target).and_then(|target| self.index.find(target));
        if let Some(message) = message {
            self.revises.get_mut().0.insert(at, message);
        }
    }

    fn judge(&mut self, at: u32, seq: u64, standing: &Standing) {
        if let Some(why) = standing.no_right {
            self.void_by_right.insert(at, why);
        }
        if standing.cut.is_some_and(|last| seq > last) {
            self.void_by_cut.insert(at, CUT);
        }
        if standing.frozen.is_some_and(|from| seq >= from) {
            self.void_by_cut.insert(at, EQUIVOCATED);
        }
    }

    fn apply(&mut self, space: &SpaceState, at: u32, op: ChannelOp<'_>) {
        let log =
            Within { index: &self.index, space, by_right: &self.void_by_right, by_cut: &self.void_by_cut };
        let changed = op.target().map_or(Some(at), |target| self.index.find(target));
        let beside = self.state.apply(at, &self.index.stamp(at), op, &log);
        for message in changed.into_iter().chain(beside) {
            self.hashes.tree.get_mut().touch(self.index.event(message).lamport);
            self.journal.touch(message);
        }
    }

    /// Events behind the pins of demotions that took this right from their author, whatever was lost later, and made under
    /// control events that still gave it: whichever of them take it count for nothing.
    fn beyond_writing(
        &self,
        control: &mut Control,
        permission: Permission,
        havers: &BTreeSet<DeviceId>,
        id: &ChannelId,
    ) -> Vec<u32> {
        let mut stale = Vec::new();
        for chain in self.index.chains.iter().filter(|chain| havers.contains(&chain.device)) {
            let Some(last) = control.state().cut(id, &chain.device, permission) else { continue };
            let mut gave = HashMap::new();
            for at in self.index.positions_from(&chain.device, last + 1) {
                let cited = self.index.control_heads(at);
                let verdict = || control.verdict(&chain.device, id, cited, permission);
                let had = gave.entry(self.index.event(at).control).or_insert_with(verdict);
                if *had == Some(Verdict::Counts) {
                    stale.push(at);
                }
            }
        }
        stale
    }

    fn cut_off(&self, space: &SpaceState, id: &ChannelId) -> Void {
        let mut cut = Void::new();
        for chain in &self.index.chains {
            let device = &chain.device;
            if let Some(last) = space.cut(id, device, Permission::Post) {
                let beyond = self.index.positions_from(device, last + 1);
                cut.extend(beyond.into_iter().map(|at| (at, CUT)));
            }
        }
        for (device, from) in &self.index.frozen {
            let behind = self.index.positions_from(device, *from);
            cut.extend(behind.into_iter().map(|at| (at, EQUIVOCATED)));
        }
        cut
    }
}

/// What a batch's events by one author under the same control heads have in common.
pub(super) struct Standing {
    no_right: Option<&'static str>,
    cut: Option<u64>,
    frozen: Option<u64>,
}

impl Standing {
    pub(super) fn of(
        control: &mut Control,
        channel: &ChannelId,
        author: &DeviceId,
        cited: &[EventHash],
        permission: Permission,
        frozen: Option<u64>,
    ) -> Self {
        // Mostly the author cites what this device knows too, and may write: one look-up answers everything.
        if control.is_current(cited)
            && control.state().permits(author, permission)
            && control.state().permits(author, Permission::Post)
            && control.state().channels.contains_key(channel)
        {
            return Self { no_right: None, cut: None, frozen };
        }
        // Its control heads are known: what cites unknown ones waits.
        let no_right = match control.verdict(author, channel, cited, permission) {
            Some(Verdict::Void(why)) => Some(why),
            Some(Verdict::Counts) | None => None,
        };
        let cuts =
            [Permission::Post, permission].map(|permission| control.state().cut(channel, author, permission));
        Self { no_right, cut: cuts.into_iter().flatten().min(), frozen }
    }

    /// Why the event with this number counts for nothing, if so.
    pub(super) fn void(&self, seq: u64) -> Option<&'static str> {
        let cut = self.cut.is_some_and(|last| seq > last).then_some(CUT);
        let frozen = self.frozen.is_some_and(|from| seq >= from).then_some(EQUIVOCATED);
        self.no_right.or(frozen).or(cut)
    }
}

/// Why the events of a removed or demoted member count for nothing beyond what the other had seen.
pub(crate) const CUT: &str = "it lies beyond the pin of its author's removal or demotion";
/// Why the events of a device that signed two with one number count for nothing from there on.
pub(crate) const EQUIVOCATED: &str = "its author signed two events with one number";

struct Within<'a> {
    index: &'a LogIndex,
    space: &'a SpaceState,
    by_right: &'a Void,
    by_cut: &'a Void,
}

impl Surroundings for Within<'_> {
    fn find(&self, event: &EventRef) -> Option<u32> {
        self.index.find(event)
    }

    fn order(&self, a: u32, b: u32) -> Ordering {
        self.index.order(a, b)
    }

    fn same_user(&self, a: &EventRef, b: &EventRef) -> bool {
        same_user(self.space, a, b)
    }

    fn is_void(&self, at: u32) -> bool {
        self.by_right.contains_key(&at) || self.by_cut.contains_key(&at)
    }
}

/// Checks what users and devices signed inside control events, of all together.
pub(crate) fn vouch(events: &mut [ControlEvent]) {
    let genuine = vouched(events.iter().map(|event| &event.transaction));
    events.iter_mut().zip(genuine).for_each(|(event, genuine)| event.vouched = genuine);
}

/// The control event at this position; what is signed inside it is yet to be checked by [`vouch`]. One that this version
/// cannot read stands in the log and does nothing.
pub(crate) fn control_event(index: &LogIndex, at: u32, payload: &[u8]) -> ControlEvent {
    let hash = |at| index.hash(at).expect("a control log keeps all its hashes");
    let named =
        index.parents_of(at).iter().filter_map(|parent| index.parent_hash(*parent, |at| Some(hash(at))));
    ControlEvent {
        stamp: index.stamp(at),
        hash: hash(at),
        parents: named.chain(index.predecessor(at).map(hash)).collect(),
        transaction: ControlTransaction::decode(payload).unwrap_or(ControlTransaction(Vec::new())),
        wall_ms: index.event(at).wall_ms,
        vouched: false,
    }
}
