//! What time it is for the cluster. One clock that is wrong may neither end what others rely on nor keep it for ever.
use super::event::Moment;
use std::collections::BTreeMap;
use terachat_shard::NodeId;

/// What the members' clocks showed, in milliseconds since 1970, and when that was heard. It is not counted on from there: a time
/// that is a second old is early, and early is safe.
#[derive(Debug, Default)]
pub(super) struct Clocks(BTreeMap<NodeId, (u64, Moment)>);

/// What more than half of the members' clocks say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// The latest time that more than half of them have reached. While most are sound, a sound one has reached it.
    pub(super) reached: u64,
    /// The latest time that any of them shows: never earlier than a sound clock showed last.
    pub(super) latest: u64,
}

impl Clocks {
    pub(super) fn shows(&mut self, node: NodeId, ms: u64, now: Moment) {
        self.0.insert(node, (ms, now));
    }

    /// What a member's clock showed last.
    pub(super) fn of(&self, node: NodeId) -> Option<u64> {
        self.0.get(&node).map(|(ms, _)| *ms)
    }

    /// The time, unless too few were heard within so many microseconds.
    pub(super) fn read(
        &self,
        members: impl Iterator<Item = NodeId>,
        now: Moment,
        within: u64,
    ) -> Option<Reading> {
        let (mut count, mut heard) = (0, Vec::new());
        for member in members {
            count += 1;
            let shown = self.0.get(&member).filter(|(_, at)| now.since(*at) <= within);
            heard.extend(shown.map(|(ms, _)| *ms));
        }
        heard.sort_unstable_by(|one, other| other.cmp(one));
        Some(Reading { reached: *heard.get(count / 2)?, latest: *heard.first()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::node;

    #[track_caller]
    fn case(shown: &[Option<u64>], expected: Option<(u64, u64)>) {
        let mut clocks = Clocks::default();
        let members: Vec<NodeId> = (1..).take(shown.len()).map(node).collect();
        for (member, ms) in members.iter().zip(shown) {
            ms.iter().for_each(|ms| clocks.shows(*member, *ms, Moment(7_000)));
        }
        clocks.shows(node(99), 1, Moment(7_000));
        let expected = expected.map(|(reached, latest)| Reading { reached, latest });
        assert_eq!(clocks.read(members.into_iter(), Moment(7_000), 10_000), expected, "{shown:?}");
    }

    #[test]
    fn it_is_as_late_as_more_than_half_say() {
        case(&[Some(5)], Some((5, 5)));
        case(&[None], None);
        case(&[Some(5), Some(9)], Some((5, 9)));
        case(&[Some(5), None], None);
        case(&[Some(5), Some(9), None], Some((5, 9)));
        case(&[Some(5), Some(6), Some(u64::MAX)], Some((6, u64::MAX)));
        case(&[Some(0), Some(6), Some(7)], Some((6, 7)));
        case(&[Some(0), Some(u64::MAX), Some(6), Some(7), Some(u64::MAX)], Some((7, u64::MAX)));
        case(&[None, Some(u64::MAX), Some(6), None, Some(u64::MAX)], Some((6, u64::MAX)));
        case(&[], None);
    }

    #[test]
    fn what_was_heard_long_ago_is_not_believed() {
        let mut clocks = Clocks::default();
        clocks.shows(node(1), 100, Moment(0));
        let at = |now| clocks.read([node(1)].into_iter(), Moment(now), 5).map(|reading| reading.reached);
        assert_eq!((at(0), at(5), at(6)), (Some(100), Some(100), None));
    }
}
