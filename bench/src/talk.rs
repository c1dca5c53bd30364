//! A conversation of few authors in which messages are edited, reacted to and pinned, flush by flush.
use crate::sender::{OWNER, device, empty_store, found};
use crate::workload::Workload;
use anyhow::Result;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use terachat_core_store::LocalStore;
use terachat_core_store::model::{ChannelOp, Post, Style};
use terachat_core_store::store::Storage;
use terachat_core_store::sync::KeyId;
use terachat_event::{DeviceKey, EventRef, LogId};

/// Authors; pins are the owner's, who is one more.
pub(crate) const AUTHORS: u32 = 10;
/// Messages between two changes.
const POSTS_A_CHANGE: usize = 10;
/// Of ten changes four are edits, five reactions, one a pin.
const MIX: [Kind; 10] = {
    use Kind::{Edit, Pin, React};
    [Edit, React, Edit, React, Pin, React, Edit, React, Edit, React]
};
/// Changes concern one of so many newest messages.
const RECENT: usize = 500;
const EMOJIS: [&str; 6] = ["👍", "❤️", "😂", "🎉", "👀", "🚀"];

#[derive(Clone, Copy)]
enum Kind {
    Edit,
    React,
    Pin,
}

/// One thing said or done. Messages are named by their numbers, from 0.
pub(crate) enum Act {
    /// A new message, which may answer an earlier one.
    Post {
        /// Its text.
        body: String,
        /// The message it answers.
        reply_to: Option<usize>,
    },
    /// Another text for one's own message.
    Edit {
        /// The message.
        target: usize,
        /// Its text from now on.
        body: String,
    },
    /// A reaction.
    React {
        /// The message.
        target: usize,
        /// The reaction.
        emoji: &'static str,
    },
    /// A pin.
    Pin {
        /// The message.
        target: usize,
    },
}

/// What one author does at once.
pub(crate) struct Flush {
    /// Below [`AUTHORS`], or [`OWNER`].
    pub(crate) author: u32,
    /// Milliseconds since 1970.
    pub(crate) wall_ms: u64,
    /// At least one.
    pub(crate) acts: Vec<Act>,
}

/// A message as everybody has to see it in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Who wrote it.
    pub(crate) author: String,
    /// Its newest text.
    pub(crate) body: String,
    /// Reactions, each with its author, sorted.
    pub(crate) reactions: Vec<String>,
    /// Whether it is pinned.
    pub(crate) pinned: bool,
}

/// The conversation.
pub(crate) struct Talk {
    /// In the order in which they were made, each on top of all before.
    pub(crate) flushes: Vec<Flush>,
    /// How many messages there are.
    pub(crate) posts: usize,
    /// How many events there are.
    pub(crate) events: usize,
    /// Who wrote each message.
    writers: Vec<u32>,
}

impl Talk {
    /// `posts` messages, each with the texts of two records of the log (of which it begins anew when there are no more), and a
    /// change for every ten of them; `sizes` is how many events an author flushes at once.
    pub(crate) fn new(workload: &Workload, posts: usize, sizes: RangeInclusive<usize>) -> Self {
        let mut draw = draw();
        let mut talk = Self { flushes: Vec::new(), posts: 0, events: 0, writers: Vec::with_capacity(posts) };
        let mut changes = 0;
        while talk.posts < posts {
            let author = draw(AUTHORS as usize) as u32;
            let size = sizes.start() + draw(sizes.end() - sizes.start() + 1);
            let (_, _, wall_ms) = text(workload, talk.posts);
            let mut acts = Vec::new();
            let mut pins = Vec::new();
            while acts.len() < size && talk.posts < posts {
                if talk.posts / POSTS_A_CHANGE > changes {
                    let kind = MIX[changes % MIX.len()];
                    changes += 1;
                    let recent = talk.posts - 1 - draw(RECENT.min(talk.posts));
                    match kind {
                        Kind::Edit => {
                            let own = (0..=recent).rev().find(|at| talk.writers[*at] == author);
                            let body = format!("{} (edited)", text(workload, recent + 1).0);
                            acts.extend(own.map(|target| Act::Edit { target, body }));
                        }
                        Kind::React => {
                            acts.push(Act::React { target: recent, emoji: EMOJIS[draw(EMOJIS.len())] });
                        }
                        Kind::Pin => pins.push(Act::Pin { target: recent }),
                    }
                } else {
                    let (body, reply_to, _) = text(workload, talk.posts);
                    acts.push(Act::Post { body, reply_to });
                    talk.writers.push(author);
                    talk.posts += 1;
                }
            }
            talk.push(Flush { author, wall_ms, acts });
            talk.push(Flush { author: OWNER, wall_ms, acts: pins });
        }
        talk
    }

    fn push(&mut self, flush: Flush) {
        if !flush.acts.is_empty() {
            self.events += flush.acts.len();
            self.flushes.push(flush);
        }
    }

    /// The last `count` messages as they have to be seen.
    pub(crate) fn last(&self, count: usize) -> Vec<Shown> {
        let from = self.posts.saturating_sub(count);
        let mut shown = vec![Shown::default(); self.posts - from];
        let mut at = 0;
        for flush in &self.flushes {
            for act in &flush.acts {
                let target = match act {
                    Act::Post { .. } => at,
                    Act::Edit { target, .. } | Act::React { target, .. } | Act::Pin { target } => *target,
                };
                at += usize::from(matches!(act, Act::Post { .. }));
                let Some(message) = target.checked_sub(from).map(|here| &mut shown[here]) else { continue };
                match act {
                    Act::Post { body, .. } => {
                        message.author = name(flush.author);
                        message.body.clone_from(body);
                    }
                    Act::Edit { body, .. } => message.body.clone_from(body),
                    Act::React { emoji, .. } => message.reactions.push(reaction(emoji, flush.author)),
                    Act::Pin { .. } => message.pinned = true,
                }
            }
        }
        for message in &mut shown {
            message.reactions.sort();
            message.reactions.dedup();
        }
        shown
    }

    /// The same with nothing but spaces for text: what is left of its bytes is not text.
    pub(crate) fn blank(&self) -> Self {
        let blank = |body: &String| " ".repeat(body.len());
        let flushes = self.flushes.iter().map(|flush| {
            let acts = flush.acts.iter().map(|act| match act {
                Act::Post { body, reply_to } => Act::Post { body: blank(body), reply_to: *reply_to },
                Act::Edit { target, body } => Act::Edit { target: *target, body: blank(body) },
                Act::React { target, emoji } => Act::React { target: *target, emoji },
                Act::Pin { target } => Act::Pin { target: *target },
            });
            Flush { acts: acts.collect(), ..*flush }
        });
        Self { flushes: flushes.collect(), writers: self.writers.clone(), ..*self }
    }

    /// Bytes of all texts.
    pub(crate) fn text_len(&self) -> usize {
        let acts = self.flushes.iter().flat_map(|flush| &flush.acts);
        acts.map(|act| match act {
            Act::Post { body, .. } | Act::Edit { body, .. } => body.len(),
            Act::React { .. } | Act::Pin { .. } => 0,
        })
        .sum()
    }
}

/// The author's name.
pub(crate) fn name(author: u32) -> String {
    if author == OWNER { "owner".to_owned() } else { format!("author{author}") }
}

/// A reaction and whose it is, as one word.
pub(crate) fn reaction(emoji: &str, author: u32) -> String {
    format!("{emoji} {}", name(author))
}

/// Everybody's devices in a new space, talking in one store.
pub(crate) struct Speakers {
    /// The store.
    pub(crate) store: LocalStore,
    /// The channel.
    pub(crate) log: LogId,
    /// The epoch.
    pub(crate) key: KeyId,
    devices: Vec<DeviceKey>,
    owner: DeviceKey,
    messages: Vec<EventRef>,
    /// Each author's next number.
    next: BTreeMap<u32, u64>,
}

impl Speakers {
    /// Founds the space.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn new(storage: Box<dyn Storage>) -> Result<Self> {
        let mut store = empty_store(storage, 1)?;
        let names: Vec<String> = (0..AUTHORS).map(name).collect();
        let (log, key) = found(&mut store, &names)?;
        let devices = (0..AUTHORS).map(device).collect();
        Ok(Self {
            store,
            log,
            key,
            devices,
            owner: device(OWNER),
            messages: Vec::new(),
            next: BTreeMap::new(),
        })
    }

    /// The channel's number of events.
    pub(crate) fn len(&self) -> usize {
        self.store.len(&self.log)
    }

    /// The messages in the order in which they were made.
    pub(crate) fn messages(&self) -> &[EventRef] {
        &self.messages
    }

    /// Does what the flush says: one signature, one commit.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn flush(&mut self, flush: &Flush) -> Result<()> {
        let signer = self.devices.get(flush.author as usize).unwrap_or(&self.owner);
        let author = signer.id();
        let next = self.next.entry(flush.author).or_insert(1);
        let mut ops = Vec::with_capacity(flush.acts.len());
        for act in &flush.acts {
            ops.push(match act {
                Act::Post { body, reply_to } => {
                    let reply_to = reply_to.map(|at| self.messages[at]);
                    self.messages.push(EventRef { author, seq: *next });
                    ChannelOp::Post(Post { style: Style::Message, body, reply_to, imported: None })
                }
                Act::Edit { target, body } => ChannelOp::Edit { target: self.messages[*target], body },
                Act::React { target, emoji } => ChannelOp::React { target: self.messages[*target], emoji },
                Act::Pin { target } => ChannelOp::Pin { target: self.messages[*target] },
            });
            *next += 1;
        }
        self.store.post(signer, self.log, self.key, flush.wall_ms, &ops)?;
        Ok(())
    }
}

/// The text of a message, what it answers, and its time in milliseconds since 1970.
fn text(workload: &Workload, message: usize) -> (String, Option<usize>, u64) {
    let pairs = (workload.records.len() / 2).max(1);
    let at = message % pairs * 2;
    let record = &workload.records[at];
    let body = match workload.records.get(at + 1) {
        Some(next) => format!("{} {}", record.body, next.body),
        None => record.body.clone(),
    };
    let back = record.reply_to.map(|to| (at - to as usize).div_ceil(2));
    let reply_to = back.and_then(|back| message.checked_sub(back)).filter(|to| *to < message);
    // Time goes on where the log begins anew.
    let ts_ms = u64::try_from(record.ts_ms).unwrap_or(0) + (message / pairs) as u64 * (1 << 40);
    (body, reply_to, ts_ms)
}

fn draw() -> impl FnMut(usize) -> usize {
    let mut state = 4711u64;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % below.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::made_up;
    use terachat_core_store::query::PageStart;
    use terachat_core_store::store::storage::MemoryStorage;

    #[test]
    fn the_store_shows_what_was_done() {
        let workload = made_up(3000, 30);
        let talk = Talk::new(&workload, 1501, 1..=16);
        let count = |wanted: fn(&Act) -> bool| {
            talk.flushes.iter().flat_map(|flush| &flush.acts).filter(|act| wanted(act)).count()
        };
        assert_eq!(count(|act| matches!(act, Act::Post { .. })), 1501);
        assert_eq!(count(|act| matches!(act, Act::React { .. })), 75);
        assert_eq!(count(|act| matches!(act, Act::Pin { .. })), 15);
        // Who has said nothing yet edits nothing.
        assert!((45..=60).contains(&count(|act| matches!(act, Act::Edit { .. }))));
        assert!(talk.flushes.iter().all(|flush| (1..=16).contains(&flush.acts.len())));
        let mut speakers = Speakers::new(Box::new(MemoryStorage::new())).unwrap();
        talk.flushes.iter().for_each(|flush| speakers.flush(flush).unwrap());
        assert_eq!(speakers.store.len(&speakers.log), talk.events);
        let page = speakers.store.page(&speakers.log, PageStart::Newest, 600).unwrap();
        let expected = talk.last(600);
        assert!(expected.iter().any(|shown| shown.pinned && expected.len() == page.len()));
        for (view, shown) in page.iter().zip(&expected) {
            assert_eq!((&view.body, view.pinned), (&shown.body, shown.pinned));
            assert_eq!(view.reactions.len(), shown.reactions.len());
        }
        assert_eq!(talk.blank().text_len(), talk.text_len());
    }
}
