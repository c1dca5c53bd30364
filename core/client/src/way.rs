//! The groups on the way through many commits, in memory: the newest, and those that other commits still follow.
use crate::membership::EPOCHS_KEPT;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use terachat_event::EventHash;
use terachat_group::Group;

/// Groups that were reached and not left behind.
pub(crate) struct Way {
    /// How many commits that follow this one are still to be processed.
    followers: BTreeMap<EventHash, usize>,
    /// Whose groups are made durable whether or not anything here follows: others may have gone on from there.
    kept: BTreeSet<EventHash>,
    /// In the order in which they were reached.
    groups: VecDeque<Reached>,
}

struct Reached {
    commit: EventHash,
    group: Group,
    is_saved: bool,
}

impl Way {
    /// Before commits that follow `previous`. The groups of the epochs in `kept` all become durable.
    pub(crate) fn new(previous: impl Iterator<Item = EventHash>, kept: BTreeSet<EventHash>) -> Self {
        let mut followers = BTreeMap::new();
        previous.for_each(|previous| *followers.entry(previous).or_default() += 1);
        Self { followers, kept, groups: VecDeque::new() }
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
    /// [`EPOCHS_KEPT`]) and that nothing follows any more. Gives back whose records that makes useless: not those of epochs that are
    /// kept or at which a branch ends, for which one wins may still change.
    pub(crate) fn left(&mut self, previous: &EventHash) -> impl Iterator<Item = EventHash> + use<> {
        if let Some(followers) = self.followers.get_mut(previous) {
            *followers -= 1;
        }
        let old = self.groups.len().saturating_sub(2 * EPOCHS_KEPT);
        let mut saved = Vec::new();
        for at in (0..old).rev() {
            let Reached { commit, is_saved, .. } = self.groups[at];
            match self.followers.get(&commit) {
                Some(0) if !self.kept.contains(&commit) => saved.extend(is_saved.then_some(commit)),
                Some(0) if is_saved => {}
                None if is_saved => {}
                _ => continue,
            }
            self.groups.remove(at);
        }
        saved.into_iter()
    }

    /// Whether so many groups are in memory that what is new should become durable.
    pub(crate) fn is_full(&self) -> bool {
        let new = self.groups.iter().filter(|reached| !reached.is_saved);
        self.groups.len() >= 4 * EPOCHS_KEPT && new.count() >= EPOCHS_KEPT
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

#[cfg(test)]
mod tests {
    use super::*;
    use terachat_group::{CipherSuite, DeviceSigner};
    use terachat_vault::{Entropy, Secret};

    struct Counting(u8);

    impl Entropy for Counting {
        fn fill(&mut self, out: &mut [u8]) {
            self.0 = self.0.wrapping_add(1);
            out.fill(self.0);
        }
    }

    fn group() -> Group {
        let mut entropy = Counting(0);
        let signer = DeviceSigner::new(&Secret::generate(|out| entropy.fill(out)));
        Group::create(CipherSuite::X25519, &signer, b"way", [0; 32], &mut entropy).unwrap()
    }

    fn hash(n: u8) -> EventHash {
        EventHash([n; 32])
    }

    /// Commit 1 ends a branch, 2 to 101 are one behind the other on another, of which 3 to 10 are kept.
    #[test]
    fn what_a_branch_ends_with_and_what_is_kept_stay() {
        let previous = |n| if n <= 2 { hash(0) } else { hash(n - 1) };
        let mut way = Way::new((1..=101).map(previous), (3..=10).map(hash).collect());
        let mut disk = BTreeSet::new();
        for n in 1..=101 {
            assert!(n <= 2 || way.group(&previous(n)).is_some(), "{n} has nothing to follow");
            way.reached(hash(n), group());
            way.left(&previous(n)).for_each(|commit| assert!(disk.remove(&commit)));
            if n % 32 == 0 {
                disk.extend(way.unsaved(|commit, _| *commit));
            }
        }
        disk.extend(way.unsaved(|commit, _| *commit));
        let wanted = [1].into_iter().chain(3..=10).chain(86..=101);
        assert_eq!(disk, wanted.map(hash).collect());
        assert!(way.groups.len() <= 24, "{} are in memory", way.groups.len());
    }
}
