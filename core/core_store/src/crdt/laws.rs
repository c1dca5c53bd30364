//! What every CRDT has to keep, asked of all of them by one test: replicas act on what they have seen and take in each
//! other's states in any pattern, beside a naive model that keeps every operation and asks them all anew.
use super::{Crdt, Stamp};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::fmt::Debug;
use terachat_event::DeviceId;

/// A CRDT that can be put to the test.
pub(crate) trait Lawful: Crdt<Op: Clone> + Clone + Default + PartialEq + Debug {
    /// What of its state somebody sees.
    type View: PartialEq + Debug;

    /// The operation that a replica in this state makes as the event `stamp`, whichever the dice say.
    fn act(&self, stamp: &Stamp, dice: u8) -> Self::Op;

    /// What is to be seen.
    fn view(&self) -> Self::View;

    /// What is to be seen of these operations, in the plainest words.
    fn naive(ops: &[Self::Op]) -> Self::View;
}

/// One replica's turn: who, whether it acts or takes in another one's state, the dice, and whose state.
pub(crate) type Turn = (usize, bool, u8, usize);

const REPLICAS: usize = 3;

pub(crate) fn steps() -> impl Strategy<Value = Vec<Turn>> {
    prop::collection::vec((0..REPLICAS, prop::bool::weighted(0.7), any::<u8>(), 0..REPLICAS), 1..60)
}

/// Fails where a law does not hold: merging is commutative, associative and idempotent; an operation that comes twice
/// changes nothing; states and operations lead to the same; and that is what the naive model says.
pub(crate) fn hold<C: Lawful>(turns: &[Turn]) -> Result<(), TestCaseError> {
    let mut replicas = vec![(C::default(), 0); REPLICAS];
    let mut written = [0; REPLICAS];
    let mut ops = Vec::new();
    for (at, acts, dice, other) in turns {
        if *acts {
            let (replica, lamport) = &mut replicas[*at];
            *lamport += 1;
            written[*at] += 1;
            let author = DeviceId([u8::try_from(*at).expect("few replicas"); 32]);
            let op = replica.act(&Stamp { lamport: *lamport, author, seq: written[*at] }, *dice);
            replica.apply(op.clone());
            let once = replica.clone();
            replica.apply(op.clone());
            prop_assert_eq!(&*replica, &once, "an operation that comes twice changes nothing");
            ops.push(op);
        } else {
            let (theirs, seen) = replicas[*other].clone();
            let (replica, lamport) = &mut replicas[*at];
            replica.merge(&theirs);
            *lamport = seen.max(*lamport);
        }
    }
    let [a, b, c] = [0, 1, 2].map(|at: usize| replicas[at].0.clone());
    let join = |one: &C, other: &C| {
        let mut joined = one.clone();
        joined.merge(other);
        joined
    };
    prop_assert_eq!(join(&a, &b), join(&b, &a), "commutative");
    prop_assert_eq!(join(&a, &join(&b, &c)), join(&join(&a, &b), &c), "associative");
    prop_assert_eq!(join(&a, &a), a.clone(), "idempotent");
    let all = join(&join(&a, &b), &c);
    prop_assert_eq!(all.view(), C::naive(&ops), "the naive model");
    // In the order in which they were made, which is a causal one.
    let mut applied = C::default();
    ops.iter().for_each(|op| applied.apply(op.clone()));
    prop_assert_eq!(applied, all, "operations and states");
    Ok(())
}
