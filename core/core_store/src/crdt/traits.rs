/// A state-based and operation-based CRDT at once.
///
/// Applying the same operations in any causal order, or merging any replicas that together saw them, gives equal
/// states: `merge` is commutative, associative and idempotent, and applying an operation twice changes nothing.
pub trait Crdt {
    /// What changes it.
    type Op;

    /// Applies one operation.
    fn apply(&mut self, op: Self::Op);

    /// Takes in all that `other` has seen.
    fn merge(&mut self, other: &Self);
}
