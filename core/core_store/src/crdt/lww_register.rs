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
    use proptest::prelude::*;
    use terachat_event::DeviceId;

    proptest! {
        #[test]
        fn any_order_and_any_merge_gives_the_latest(mut writes in prop::collection::btree_map((0..20u64, 0..3u8, 1..4u64), any::<u8>(), 1..12).prop_map(|map| map.into_iter().collect::<Vec<_>>()), seed: u64, cut: prop::sample::Index) {
            let stamp = |(lamport, author, seq): (u64, u8, u64)| Stamp { lamport, author: DeviceId([author; 32]), seq };
            let latest = *writes.last().expect("at least one");
            // A seeded shuffle.
            for i in (1..writes.len()).rev() { writes.swap(i, (seed.rotate_left(i as u32) % (i as u64 + 1)) as usize); }
            let run = |part: &[((u64, u8, u64), u8)]| {
                let mut register = LwwRegister::new(stamp(part[0].0), part[0].1);
                for (at, value) in part { register.apply((stamp(*at), *value)); register.apply((stamp(*at), *value)); }
                register
            };
            let whole = run(&writes);
            prop_assert_eq!(whole.value(), &latest.1);
            let cut = 1 + cut.index(writes.len());
            let (mut a, b) = (run(&writes[..cut]), run(&writes[writes.len() - cut..]));
            let mut c = b.clone();
            c.merge(&a);
            a.merge(&b);
            prop_assert_eq!(&a, &c);
            a.merge(&whole);
            prop_assert_eq!(a, whole);
        }
    }
}
