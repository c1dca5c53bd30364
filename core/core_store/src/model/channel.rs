mod changes;
mod columns;
mod marks;
mod threads;

pub use threads::Thread;

use super::{ChannelOp, Extras, Heading, Kept, Mention, Sealed, Timeline};
use crate::blocks::{Lazy, Names, Plain};
use crate::crdt::{Crdt, LwwRegister, OrSetOp, Stamp};
use changes::AllChanges;
use marks::ReadMarks;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::{DeviceId, EventRef};
use threads::Threads;

/// A channel's messages with their edits, replies, reactions, pins and deletions; posts with headings, mentions, and how far
/// people have read.
///
/// Messages are named by the position of their event in the log's index; texts stay in the store. Of what came from a
/// snapshot, what is not asked for is not read.
#[derive(Debug, Clone, Default)]
pub struct ChannelState {
    /// Messages in the total order.
    pub timeline: Timeline,
    /// What was said of messages, by their positions.
    changes: AllChanges,
    /// Only grows: what is deleted stays so, whatever else is said of it before or after.
    deleted: BTreeSet<u32>,
    /// Messages that have pins.
    pinned: BTreeSet<u32>,
    imports: Lazy<Plain<Imports>>,
    threads: Lazy<Plain<Threads>>,
    mentions: Lazy<Plain<Mentions>>,
    read: Lazy<Plain<ReadMarks>>,
}

/// Records of foreign logs, by who imported them from where: their ids, ascending, with the messages.
type Imports = BTreeMap<(DeviceId, u64), Vec<(u64, u32)>>;

impl Names for Imports {
    fn positions(&self) -> impl Iterator<Item = u32> {
        self.values().flatten().map(|(_, at)| *at)
    }
}

/// Messages that mention somebody, in the total order.
type Mentions = BTreeMap<Mention, Vec<u32>>;

impl Names for Mentions {
    fn positions(&self) -> impl Iterator<Item = u32> {
        self.values().flatten().copied()
    }
}

/// What is known of one message besides its first text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageState<'a> {
    /// The event whose body is the current one, if it was edited.
    pub edited_by: Option<u32>,
    /// The message it answers.
    pub reply_to: Option<u32>,
    /// Reactions and devices, ascending.
    pub reactions: Vec<(&'a str, &'a DeviceId)>,
    /// Whether it is pinned.
    pub pinned: bool,
    /// Whether it was deleted; then nothing but its place in the conversation is left of it.
    pub deleted: bool,
    /// The event that brought its current heading, if it is a forum's post.
    pub headed_by: Option<u32>,
    /// Devices that have read up to here, and not further.
    pub read_by: Vec<&'a DeviceId>,
}

/// What an operation needs to know of the log it is applied in.
pub(crate) trait Surroundings {
    /// The position of an event, if it is known.
    fn find(&self, event: &EventRef) -> Option<u32>;
    /// The total order of two positions.
    fn order(&self, a: u32, b: u32) -> Ordering;
    /// Whether both events are by one user.
    fn same_user(&self, a: &EventRef, b: &EventRef) -> bool;
    /// Whether the event at this position is void.
    fn is_void(&self, at: u32) -> bool;
}

impl ChannelState {
    /// Applies the operation of the event at position `at`. What refers to no message that counts does nothing. Gives back a
    /// message that changed beside the operation's own.
    pub(crate) fn apply(
        &mut self,
        at: u32,
        stamp: &Stamp,
        op: ChannelOp<'_>,
        log: &impl Surroundings,
    ) -> Option<u32> {
        let message = |target: &EventRef| log.find(target).filter(|at| !log.is_void(*at));
        match op {
            ChannelOp::Erased { kept: kept @ Kept::Message { is_post, .. }, .. }
            | ChannelOp::Sealed(Sealed { kept: kept @ Kept::Message { is_post, .. }, .. }) => {
                self.post(at, stamp, &kept, log);
                if is_post {
                    self.threads.get_mut().0.open(at, stamp, &Heading::default());
                }
            }
            ChannelOp::Post(_) => {
                let kept = Kept::of(&op).expect("a message keeps its place");
                self.post(at, stamp, &kept, log);
            }
            ChannelOp::PostWith(_, ref extras) | ChannelOp::PostStored(_, ref extras, _) => {
                let kept = Kept::of(&op).expect("a message keeps its place");
                self.post(at, stamp, &kept, log);
                self.carry(at, stamp, extras, log);
            }
            ChannelOp::SetHeading { target, heading, moderates } => {
                self.retitle(at, stamp, (&target, moderates), &heading, log);
            }
            ChannelOp::Erased { kept: Kept::Heading { target, moderates }, .. }
            | ChannelOp::Sealed(Sealed { kept: Kept::Heading { target, moderates }, .. }) => {
                self.retitle(at, stamp, (&target, moderates), &Heading::default(), log);
            }
            ChannelOp::Read { target } => {
                let is_message = |at: &u32| self.timeline.contains(*at, |a, b| log.order(a, b));
                let message = message(&target).filter(is_message)?;
                return self.read.get_mut().0.advance(stamp.author, message, log).flatten();
            }
            ChannelOp::Edit { target, .. }
            | ChannelOp::Erased { kept: Kept::Edit { target }, .. }
            | ChannelOp::Sealed(Sealed { kept: Kept::Edit { target }, .. }) => {
                if let Some(message) = message(&target).filter(|_| log.same_user(&stamp.event(), &target)) {
                    let write = (*stamp, at);
                    let edits = &mut self.changes.of_mut(message).edits;
                    edits
                        .entry(message)
                        .and_modify(|register| register.apply(write))
                        .or_insert(LwwRegister::new(write.0, write.1));
                }
            }
            ChannelOp::React { target, emoji } => {
                if let Some(message) = message(&target) {
                    let element = (emoji.to_owned(), stamp.author);
                    self.changes
                        .of_mut(message)
                        .reactions
                        .apply(message, OrSetOp::Add(element, stamp.event()));
                }
            }
            ChannelOp::Unreact { target, emoji, seen } => {
                if let Some(message) = message(&target) {
                    // One's own only: a dot of somebody else's is under another element.
                    let element = (emoji.to_owned(), stamp.author);
                    self.changes.of_mut(message).reactions.apply(message, OrSetOp::Remove(element, seen));
                }
            }
            ChannelOp::Pin { target } => {
                if let Some(message) = message(&target) {
                    self.pin(message, OrSetOp::Add((), stamp.event()));
                }
            }
            ChannelOp::Unpin { target, seen } => {
                if let Some(message) = message(&target) {
                    self.pin(message, OrSetOp::Remove((), seen));
                }
            }
            ChannelOp::Delete { target, moderates } => {
                let by_right = moderates || log.same_user(&stamp.event(), &target);
                let is_message = |at: &u32| self.timeline.contains(*at, |a, b| log.order(a, b));
                if let Some(message) = message(&target).filter(is_message).filter(|_| by_right)
                    && self.deleted.insert(message)
                {
                    self.threads.get_mut().0.deleted(message);
                    self.drop_content(message, log);
                }
            }
        }
        None
    }

    fn pin(&mut self, message: u32, op: OrSetOp<()>) {
        let pins = &mut self.changes.of_mut(message).pins;
        pins.apply(message, op);
        if pins.contains(&message) {
            self.pinned.insert(message)
        } else {
            self.pinned.remove(&message)
        };
    }

    fn post(&mut self, at: u32, stamp: &Stamp, kept: &Kept, log: &impl Surroundings) {
        let Kept::Message { reply_to, imported, .. } = kept else { return };
        self.timeline.insert(at, |a, b| log.order(a, b));
        if let Some(target) = reply_to.and_then(|target| log.find(&target)).filter(|at| !log.is_void(*at)) {
            self.changes.of_mut(at).reply_to.insert(at, target);
            self.changes.of_mut(target).replies.insert((target, at));
            if !self.threads.get().0.is_empty() {
                self.threads.get_mut().0.answer(at, target, log);
            }
        }
        if let Some((source, id)) = imported {
            let ids = self.imports.get_mut().0.entry((stamp.author, *source)).or_default();
            if ids.last().is_none_or(|(last, _)| last < id) {
                ids.push((*id, at));
            }
        }
    }

    fn retitle(
        &mut self,
        at: u32,
        stamp: &Stamp,
        (target, moderates): (&EventRef, bool),
        heading: &Heading<'_>,
        log: &impl Surroundings,
    ) {
        let by_right = moderates || log.same_user(&stamp.event(), target);
        let post = log.find(target).filter(|at| by_right && !log.is_void(*at));
        if let Some(post) = post.filter(|post| !self.is_deleted(*post)) {
            self.threads.get_mut().0.retitle(post, at, stamp, heading);
        }
    }

    /// Forgets what a deleted message's content said: who has it and who never had it come to the same state.
    fn drop_content(&mut self, message: u32, log: &impl Surroundings) {
        self.changes.of_mut(message).attached.remove(&message);
        self.mentions.get_mut().0.retain(|_, list| {
            if let Ok(place) = list.binary_search_by(|other| log.order(*other, message)) {
                list.remove(place);
            }
            !list.is_empty()
        });
    }

    fn carry(&mut self, at: u32, stamp: &Stamp, extras: &Extras<'_>, log: &impl Surroundings) {
        if let Some(heading) = &extras.heading {
            self.threads.get_mut().0.open(at, stamp, heading);
        }
        for mention in &extras.mentions {
            let list = self.mentions.get_mut().0.entry(*mention).or_default();
            let place = list.partition_point(|other| log.order(*other, at) == Ordering::Less);
            list.insert(place, at);
        }
        if !extras.attachments.is_empty() {
            self.changes.of_mut(at).attached.insert(at);
        }
    }

    /// What is known of the message at this position.
    pub fn message(&self, at: u32) -> MessageState<'_> {
        let changes = self.changes.of(at);
        let reply_to = changes.and_then(|changes| changes.reply_to.get(&at)).copied();
        let read_by = self.read.get().0.at(at).collect();
        if self.is_deleted(at) {
            return MessageState { reply_to, read_by, deleted: true, ..MessageState::default() };
        }
        let reactions = changes.into_iter().flat_map(|changes| changes.reactions.of(&at));
        let edit = changes.and_then(|changes| changes.edits.get(&at));
        MessageState {
            edited_by: edit.map(|register| *register.value()),
            reply_to,
            reactions: reactions.map(|((emoji, device), _)| (emoji.as_str(), device)).collect(),
            pinned: self.pinned.contains(&at),
            deleted: false,
            headed_by: self.threads.get().0.post(at).map(Thread::headed_by),
            read_by,
        }
    }

    /// A forum's posts.
    pub fn posts(&self) -> impl Iterator<Item = (u32, &Thread)> {
        self.threads.get().0.posts()
    }

    /// Whether the message at this position is a forum's post.
    pub fn is_post(&self, at: u32) -> bool {
        self.threads.get().0.post(at).is_some()
    }

    /// Whether the message at this position answers another one.
    pub fn is_answer(&self, at: u32) -> bool {
        self.changes.of(at).is_some_and(|changes| changes.reply_to.contains_key(&at))
    }

    /// The post below which the answer at this position stands.
    pub fn post_above(&self, at: u32) -> Option<u32> {
        self.threads.get().0.root_of(at)
    }

    /// Messages with this mention in the total order, without deleted ones.
    pub fn mentions(&self, mention: &Mention) -> &[u32] {
        self.mentions.get().0.get(mention).map_or(&[], Vec::as_slice)
    }

    /// Whether the message at this position has attachments.
    pub fn has_attachment(&self, at: u32) -> bool {
        self.changes.of(at).is_some_and(|changes| changes.attached.contains(&at)) && !self.is_deleted(at)
    }

    /// How far this device said that its user had read.
    pub fn read_mark(&self, device: &DeviceId) -> Option<u32> {
        self.read.get().0.of(device)
    }

    /// Whether the message at this position was deleted.
    pub fn is_deleted(&self, at: u32) -> bool {
        self.deleted.contains(&at)
    }

    /// The deleted messages, ascending.
    pub fn deleted(&self) -> impl Iterator<Item = u32> + '_ {
        self.deleted.iter().copied()
    }

    /// Direct answers to the message at this position, in order of arrival.
    pub fn replies(&self, at: u32) -> impl Iterator<Item = u32> + '_ {
        let replies = self.changes.of(at).map(|changes| changes.replies.range((at, 0)..=(at, u32::MAX)));
        replies.into_iter().flatten().map(|(_, reply)| *reply)
    }

    /// The pinned messages; a deleted one is none of them.
    pub fn pinned(&self) -> impl Iterator<Item = u32> + '_ {
        self.pinned.iter().copied().filter(|at| !self.is_deleted(*at))
    }

    /// The dots by which `device` holds this reaction: what taking it back names.
    pub fn reaction_dots(&self, at: u32, emoji: &str, device: &DeviceId) -> Vec<EventRef> {
        let all = self.changes.of(at).into_iter().flat_map(|changes| changes.reactions.of(&at));
        let own = all.filter(|((e, d), _)| e == emoji && d == device);
        own.flat_map(|(_, dots)| dots.iter().copied()).collect()
    }

    /// The dots by which the message is pinned: what unpinning names.
    pub fn pin_dots(&self, at: u32) -> Vec<EventRef> {
        let all = self.changes.of(at).into_iter().flat_map(|changes| changes.pins.of(&at));
        all.flat_map(|(_, dots)| dots.iter().copied()).collect()
    }

    /// The largest foreign id that `device` imported from `source`; 0 for none.
    pub fn import_position(&self, device: &DeviceId, source: u64) -> u64 {
        self.imports.get().0.get(&(*device, source)).and_then(|ids| ids.last()).map_or(0, |(id, _)| *id)
    }

    /// The message that `device` imported as the foreign record `id`.
    pub fn imported(&self, device: &DeviceId, source: u64, id: u64) -> Option<u32> {
        let ids = self.imports.get().0.get(&(*device, source))?;
        ids.binary_search_by_key(&id, |(id, _)| *id).ok().map(|found| ids[found].1)
    }
}
