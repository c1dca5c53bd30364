use super::{Crdt, Stamp};
use serde::{Deserialize, Serialize};

/// Last writer wins, by the total order of stamps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LwwRegister<T> {
    stamp: Stamp,
    value: T,
}

impl<T> LwwRegister<T> {
    /// A register with its first write.
    pub fn new(stamp: Stamp, value: T) -> Self {
        Self { stamp, value }
    }

    /// The winning value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Who wrote it.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }
}

impl<T: Clone> Crdt for LwwRegister<T> {
    type Op = (Stamp, T);

    fn apply(&mut self, (stamp, value): Self::Op) {
        if stamp > self.stamp {
            *self = Self { stamp, value };
        }
    }

    fn merge(&mut self, other: &Self) {
        if other.stamp > self.stamp {
            *self = other.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crdt::laws::{Lawful, hold, steps};
    use proptest::prelude::*;

    /// A register that may not have been written yet.
    type Register = Option<LwwRegister<u8>>;

    impl Crdt for Register {
        type Op = (Stamp, u8);

        fn apply(&mut self, (stamp, value): Self::Op) {
            self.get_or_insert(LwwRegister::new(stamp, value)).apply((stamp, value));
        }

        fn merge(&mut self, other: &Self) {
            if let Some(other) = other {
                self.get_or_insert(other.clone()).merge(other);
            }
        }
    }

    impl Lawful for Register {
        type View = Option<(Stamp, u8)>;

        fn act(&self, stamp: &Stamp, dice: u8) -> Self::Op {
            (*stamp, dice)
        }

        fn view(&self) -> Self::View {
            self.as_ref().map(|register| (*register.stamp(), *register.value()))
        }

        fn naive(ops: &[Self::Op]) -> Self::View {
            ops.iter().max_by_key(|(stamp, _)| *stamp).copied()
        }
    }

    proptest! {
        #[test]
        fn the_laws_hold(steps in steps()) {
            hold::<Register>(&steps)?;
        }
    }
}
