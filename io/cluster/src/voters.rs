//! Which nodes vote in the ledger: as many as the losses of the profile need, and no more, for each costs a sync.
use std::collections::BTreeSet;
use terachat_shard::{NodeId, Profile};

/// A member, as far as its vote is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) node: NodeId,
    /// It takes shards; one that is being emptied is told, and does not vote.
    pub(crate) active: bool,
    /// It is among the ledger's members already.
    pub(crate) known: bool,
    /// It votes now.
    pub(crate) votes: bool,
    /// It answers, or did a little while ago.
    pub(crate) answers: bool,
}

/// Voters and learners that there should be. Who votes goes on to, as long as it answers; a node that was never told anything is
/// taken in when it answers.
pub(crate) fn choose(candidates: &[Candidate]) -> (BTreeSet<NodeId>, BTreeSet<NodeId>) {
    let active = candidates.iter().filter(|one| one.active).count();
    let needed = Profile::new(active).map_or(1, Profile::voters);
    // Three bear the loss of one, though the storage of three nodes does not.
    let count = if active >= 3 { needed.max(3) } else { needed };
    let mut able: Vec<&Candidate> =
        candidates.iter().filter(|one| one.active && (one.known || one.answers)).collect();
    able.sort_by_key(|one| (!one.answers, !one.votes, one.node));
    let voters: BTreeSet<NodeId> = able.iter().take(count).map(|one| one.node).collect();
    let told = candidates.iter().filter(|one| one.known || one.answers);
    let learners = told.map(|one| one.node).filter(|node| !voters.contains(node)).collect();
    (voters, learners)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn node(n: u32) -> NodeId {
        NodeId(NonZeroU32::new(n).unwrap())
    }

    fn all(count: u32) -> Vec<Candidate> {
        let one = |n| Candidate { node: node(n), active: true, known: true, votes: false, answers: true };
        (1..=count).map(one).collect()
    }

    fn numbers(nodes: &BTreeSet<NodeId>) -> Vec<u32> {
        nodes.iter().map(|node| node.0.get()).collect()
    }

    #[test]
    fn as_many_vote_as_losses_need() {
        for (nodes, voters) in [(1, 1), (2, 1), (3, 3), (4, 3), (6, 3), (7, 5), (9, 5), (10, 7)] {
            let (chosen, learners) = choose(&all(nodes));
            assert_eq!(chosen.len(), voters, "{nodes}");
            assert_eq!(chosen.len() + learners.len(), nodes as usize);
        }
    }

    #[test]
    fn who_votes_goes_on_unless_it_is_silent() {
        let mut seven = all(7);
        for at in [2, 3, 4, 5, 6] {
            seven[at].votes = true;
        }
        assert_eq!(numbers(&choose(&seven).0), [3, 4, 5, 6, 7]);
        seven[4].answers = false;
        assert_eq!(numbers(&choose(&seven).0), [1, 3, 4, 6, 7]);
    }

    #[test]
    fn who_is_emptied_does_not_vote_and_who_never_answered_is_not_told() {
        let mut four = all(4);
        four[0].active = false;
        (four[3].known, four[3].answers) = (false, false);
        let (voters, learners) = choose(&four);
        assert_eq!((numbers(&voters), numbers(&learners)), (vec![2, 3], vec![1]));
    }
}
