use super::super::extras::Heading;
use super::Surroundings;
use crate::blocks::Names;
use crate::crdt::{Crdt, LwwRegister, Stamp};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A forum's posts: their headings, and what was answered to each. Events are named by position.
///
/// A post has a heading from its first event on, or never: so an answer knows at once whether it belongs to one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Threads {
    posts: BTreeMap<u32, Thread>,
    /// The post below which each answer stands, directly or not.
    root_of: BTreeMap<u32, u32>,
}

/// A forum's post.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Thread {
    /// The event that brought the current heading, and its tags.
    heading: LwwRegister<(u32, Vec<String>)>,
    /// Answers below it that were not deleted.
    pub replies: u32,
    /// The last of the post and its answers in the total order.
    pub last: u32,
}

impl Thread {
    /// The event that brought the current heading.
    pub fn headed_by(&self) -> u32 {
        self.heading.value().0
    }

    /// The current tags, ascending.
    pub fn tags(&self) -> &[String] {
        &self.heading.value().1
    }
}

impl Threads {
    /// A new post.
    pub(super) fn open(&mut self, at: u32, stamp: &Stamp, heading: &Heading<'_>) {
        let heading = LwwRegister::new(*stamp, (at, tags(heading)));
        self.posts.insert(at, Thread { heading, replies: 0, last: at });
    }

    /// Another heading for a post; nothing for what is none.
    pub(super) fn retitle(&mut self, post: u32, at: u32, stamp: &Stamp, heading: &Heading<'_>) {
        if let Some(thread) = self.posts.get_mut(&post) {
            thread.heading.apply((*stamp, (at, tags(heading))));
        }
    }

    /// An answer to `target`.
    pub(super) fn answer(&mut self, at: u32, target: u32, log: &impl Surroundings) {
        let root = self.root_of.get(&target).copied().unwrap_or(target);
        if let Some(thread) = self.posts.get_mut(&root) {
            self.root_of.insert(at, root);
            thread.replies += 1;
            if log.order(at, thread.last) == Ordering::Greater {
                thread.last = at;
            }
        }
    }

    /// A message was deleted that had not been before.
    pub(super) fn deleted(&mut self, at: u32) {
        if let Some(post) = self.posts.get_mut(&at) {
            // Its tags were content.
            post.heading = LwwRegister::new(*post.heading.stamp(), (at, Vec::new()));
        }
        if let Some(thread) = self.root_of.get(&at).and_then(|root| self.posts.get_mut(root)) {
            thread.replies -= 1;
        }
    }

    pub(super) fn post(&self, at: u32) -> Option<&Thread> {
        self.posts.get(&at)
    }

    pub(super) fn posts(&self) -> impl Iterator<Item = (u32, &Thread)> {
        self.posts.iter().map(|(at, thread)| (*at, thread))
    }

    /// The post below which an answer stands.
    pub(super) fn root_of(&self, at: u32) -> Option<u32> {
        self.root_of.get(&at).copied()
    }

    /// Whether there are no posts: then no answer is below one.
    pub(super) fn is_empty(&self) -> bool {
        self.posts.is_empty()
    }
}

impl Names for Threads {
    fn positions(&self) -> impl Iterator<Item = u32> {
        let posts = self.posts.iter().flat_map(|(at, thread)| [*at, thread.headed_by(), thread.last]);
        posts.chain(self.root_of.iter().flat_map(|(at, root)| [*at, *root]))
    }
}

fn tags(heading: &Heading<'_>) -> Vec<String> {
    heading.tags.iter().map(|tag| (*tag).to_owned()).collect()
}
