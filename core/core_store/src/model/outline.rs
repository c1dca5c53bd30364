//! How a space is laid out: its channels, the categories they stand in, and the order people gave them.
use super::History;
use crate::Error;
use crate::crdt::Stamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use terachat_event::{ChannelId, EventHash};

/// Most characters of a topic.
pub const TOPIC_CHARS_MAX: usize = 1_000;

/// Names a category within its space: 32 bytes, derived from the event that created it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CategoryId(pub [u8; 32]);

/// A heading under which channels stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// Its name.
    pub name: String,
    /// When it was created: categories stand in this order.
    pub since: Stamp,
}

/// What a channel is for; decided when it is created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChannelKind {
    /// One conversation.
    #[default]
    Chat,
    /// Posts with titles and tags, each with a conversation of its own.
    Forum,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Stored", from = "Stored")]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// When it was created.
    pub since: Stamp,
    /// What it is for.
    pub kind: ChannelKind,
    /// Who can read what was said in it.
    pub history: History,
    /// What it is about; empty, or up to 1,000 characters.
    pub topic: String,
    /// The category it stands in, if any.
    pub category: Option<CategoryId>,
}

/// A channel as it is stored and hashed: kind and history are one number, so that channels without a history of their own
/// have the bytes they had before there was one.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    since: Stamp,
    kind: StoredKind,
    topic: String,
    category: Option<CategoryId>,
}

#[derive(Serialize, Deserialize)]
enum StoredKind {
    Chat,
    Forum,
    ChatSinceJoin,
    ForumSinceJoin,
}

impl From<Channel> for Stored {
    fn from(Channel { name, since, kind, history, topic, category }: Channel) -> Self {
        let kind = match (kind, history) {
            (ChannelKind::Chat, History::Shared) => StoredKind::Chat,
            (ChannelKind::Forum, History::Shared) => StoredKind::Forum,
            (ChannelKind::Chat, History::SinceJoin) => StoredKind::ChatSinceJoin,
            (ChannelKind::Forum, History::SinceJoin) => StoredKind::ForumSinceJoin,
        };
        Self { name, since, kind, topic, category }
    }
}

impl From<Stored> for Channel {
    fn from(Stored { name, since, kind, topic, category }: Stored) -> Self {
        let (kind, history) = match kind {
            StoredKind::Chat => (ChannelKind::Chat, History::Shared),
            StoredKind::Forum => (ChannelKind::Forum, History::Shared),
            StoredKind::ChatSinceJoin => (ChannelKind::Chat, History::SinceJoin),
            StoredKind::ForumSinceJoin => (ChannelKind::Forum, History::SinceJoin),
        };
        Self { name, since, kind, history, topic, category }
    }
}

/// Something of a space's that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Named {
    /// The space itself.
    Space,
    /// A category.
    Category(CategoryId),
    /// A channel.
    Channel(ChannelId),
}

/// Where channels stand. Changed by control operations in the total order, so a plain list is enough: replicas that have the
/// same operations go through the same changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// Categories.
    pub categories: BTreeMap<CategoryId, Category>,
    /// Every channel once.
    order: Vec<ChannelId>,
}

impl Outline {
    /// Channels in the order people gave them, new ones last; of all categories together.
    pub fn order(&self) -> impl Iterator<Item = &ChannelId> {
        self.order.iter()
    }

    /// Categories, the oldest first.
    pub fn categories(&self) -> Vec<(&CategoryId, &Category)> {
        let mut categories: Vec<_> = self.categories.iter().collect();
        categories.sort_by_key(|(id, category)| (category.since, **id));
        categories
    }

    pub(super) fn append(&mut self, channel: ChannelId) {
        self.order.push(channel);
    }

    /// Puts a channel behind another one, or before all; behind one that is not there it goes to the end.
    pub(super) fn place(&mut self, channel: ChannelId, after: Option<&ChannelId>) {
        self.order.retain(|other| *other != channel);
        let at = match after {
            None => 0,
            Some(after) => {
                self.order.iter().position(|other| other == after).map_or(self.order.len(), |at| at + 1)
            }
        };
        self.order.insert(at, channel);
    }
}

/// The id of the category that operation `at` of the control event `hash` creates.
pub(super) fn category_id(hash: &EventHash, at: usize) -> CategoryId {
    CategoryId(super::space::derived_id("terachat 2026-11 category id", hash, at))
}

/// A topic is up to 1,000 characters, lines included.
///
/// # Errors
/// [`Error::Payload`].
pub(super) fn check_topic(topic: &str) -> Result<(), Error> {
    let plain = topic.chars().all(|c| c == '\n' || !c.is_control());
    (plain && topic.chars().count() <= TOPIC_CHARS_MAX)
        .then_some(())
        .ok_or(Error::Payload("a topic is up to 1,000 characters without control characters"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Beside a list that is built anew for each move.
        #[test]
        fn channels_stand_where_they_were_put(moves in prop::collection::vec((0..6u8, prop::option::of(0..7u8)), 0..40)) {
            let id = |n| ChannelId([n; 32]);
            let mut outline = Outline::default();
            (0..6).for_each(|n| outline.append(id(n)));
            let mut model: Vec<u8> = (0..6).collect();
            for (channel, after) in moves {
                outline.place(id(channel), after.map(id).as_ref());
                let others = model.into_iter().filter(|other| *other != channel).collect::<Vec<_>>();
                model = match after {
                    None => [vec![channel], others].concat(),
                    Some(after) if others.contains(&after) => {
                        others.into_iter().flat_map(|other| if other == after { vec![other, channel] } else { vec![other] }).collect()
                    }
                    Some(_) => [others, vec![channel]].concat(),
                };
                prop_assert_eq!(outline.order().copied().collect::<Vec<_>>(), model.iter().map(|n| id(*n)).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_topic_may_have_lines_but_nothing_that_moves_the_cursor() {
        assert!(check_topic("").is_ok() && check_topic("one\ntwo").is_ok());
        assert!(check_topic("\u{1b}[2J").is_err());
        assert!(check_topic(&"é".repeat(TOPIC_CHARS_MAX)).is_ok());
        assert!(check_topic(&"é".repeat(TOPIC_CHARS_MAX + 1)).is_err());
    }
}
