//! The groups on the way through many commits, in memory: the newest, and those that other commits still follow.
use crate::membership::EPOCHS_KEPT;
use std::collections::{BTreeMap, VecDeque};
use terachat_event::EventHash;
use terachat_group::Group;

/// Groups that were reached and not left behind.
pub(crate) struct Way {
    /// How many commits that follow this one are still to be processed.
    followers: BTreeMap<EventHash, usize>,
    /// In the order in which they were reached.
    groups: VecDeque<Reached>,
}

struct Reached {
    commit: EventHash,
    group: Group,
    is_saved: bool,
}

impl Way {
    /// Before commits that follow these.
    pub(crate) fn new(previous: impl Iterator<Item = EventHash>) -> Self {
        let mut followers = BTreeMap::new();
        previous.for_each(|previous| *followers.entry(previous).or_default() += 1);
        Self { followers, groups: VecDeque::new() }
    }

    /// The group in the epoch that `commit` made, if it is here.
    pub(crate) fn group(&self, commit: &EventHash) -> Option<&Group> {
        self.groups.iter().rev().find(|reached| reached.commit == *commit).map(|reached| &reached.group)
    }

    /// Keeps the group that `commit` led to.
    pub(crate) fn reached(&mut self, commit: EventHash, group: Group) {
        self.groups.push_back(Reached { commit, group, is_saved: false });
    }

    /// A commit that follows `previous` was processed. Leaves behind what is older than as many epochs as are kept (twice
    /// [`EPOCHS_KEPT`]) and that nothing follows any more. Gives back whose records that makes useless.
    pub(crate) fn left(&mut self, previous: &EventHash) -> impl Iterator<Item = EventHash> + use<> {
        if let Some(followers) = self.followers.get_mut(previous) {
            *followers -= 1;
        }
        let old = self.groups.len().saturating_sub(2 * EPOCHS_KEPT);
        let mut saved = Vec::new();
        for at in (0..old).rev() {
            if self.followers.get(&self.groups[at].commit).is_none_or(|followers| *followers == 0)
                && let Some(reached) = self.groups.remove(at)
            {
                saved.extend(reached.is_saved.then_some(reached.commit));
            }
        }
        saved.into_iter()
    }

    /// What is here and was not given before, each once.
    pub(crate) fn unsaved<T>(&mut self, record: impl Fn(&EventHash, &Group) -> T) -> Vec<T> {
        let mut records = Vec::new();
        for reached in self.groups.iter_mut().filter(|reached| !reached.is_saved) {
            records.push(record(&reached.commit, &reached.group));
            reached.is_saved = true;
        }
        records
    }
}
