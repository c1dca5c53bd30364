use crate::{Counts, Error};
use std::fmt;
use std::num::NonZeroU8;

/// How bytes are cut for so many nodes, and what that promises.
///
/// With N nodes f = ⌈N/3⌉ - 1 may be lost. A write is acknowledged when N - f nodes have made their shard durable, and
/// is read after f of *those* are lost too: k = N - 2f, m = 2f, one shard on each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    nodes: NonZeroU8,
}

/// What a cluster cannot promise, because it is too small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Shortfall {
    /// The loss of any one node loses what was acknowledged, and while one is away nothing is read.
    SurvivesNoLoss,
    /// The one node holds everything: whoever has its disk has all sealed bytes.
    WholeOnOneNode,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SurvivesNoLoss => {
                "no node may be lost: each has a shard that nothing can replace; four nodes bear the loss of one"
            }
            Self::WholeOnOneNode => {
                "the one node holds the sealed bytes whole; from two nodes on none does"
            }
        })
    }
}

impl Profile {
    /// The profile of a stripe that stands on all of so many nodes.
    ///
    /// # Errors
    /// [`Error::Nodes`] if there is none or there are more than 255. A larger cluster puts each stripe on some of its
    /// nodes, by the profile of as many.
    pub fn new(nodes: usize) -> Result<Self, Error> {
        let small = u8::try_from(nodes).ok().and_then(NonZeroU8::new);
        small.map(|nodes| Self { nodes }).ok_or(Error::Nodes(nodes))
    }

    /// Nodes, as many as a stripe has shards: N.
    pub fn nodes(self) -> usize {
        usize::from(self.nodes.get())
    }

    /// Nodes of these that may be lost, whichever: f.
    pub fn losses(self) -> usize {
        self.nodes().div_ceil(3) - 1
    }

    /// Shards that are durable before a write is acknowledged: N - f.
    pub fn acknowledge_at(self) -> usize {
        self.nodes() - self.losses()
    }

    /// Voters that the order of the metadata needs to bear as many losses: 2f + 1.
    pub fn voters(self) -> usize {
        2 * self.losses() + 1
    }

    /// Data and parity shards: k = N - 2f, m = 2f.
    pub fn counts(self) -> Counts {
        let parity = 2 * self.losses();
        Counts::new(self.nodes() - parity, parity).expect("f is below a third of at most 255")
    }

    /// What it cannot promise; nothing from four nodes on.
    pub fn shortfalls(self) -> &'static [Shortfall] {
        match self.nodes() {
            1 => &[Shortfall::SurvivesNoLoss, Shortfall::WholeOnOneNode],
            2 | 3 => &[Shortfall::SurvivesNoLoss],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    #[test]
    fn the_table_of_the_design() {
        let cases = [(1, 1, 0), (2, 2, 0), (3, 3, 0), (4, 2, 2), (6, 4, 2), (7, 3, 4), (9, 5, 4), (10, 4, 6)];
        for (nodes, data, parity) in cases {
            assert_eq!(Profile::new(nodes).unwrap().counts(), Counts::new(data, parity).unwrap(), "{nodes}");
        }
        assert_eq!(Profile::new(0), Err(Error::Nodes(0)));
        assert_eq!(Profile::new(256), Err(Error::Nodes(256)));
    }

    #[test]
    fn what_every_profile_keeps() {
        for nodes in 1..=255 {
            let profile = Profile::new(nodes).unwrap();
            let (f, counts) = (profile.losses(), profile.counts());
            assert!(3 * f < nodes && 3 * (f + 1) >= nodes, "{nodes}: f is the most that is below a third");
            assert_eq!(counts.total(), nodes);
            assert_eq!(
                profile.acknowledge_at() - f,
                counts.data(),
                "{nodes}: as many are left as are needed"
            );
            assert!(profile.voters() <= nodes);
            assert_eq!(f == 0, profile.shortfalls().contains(&Shortfall::SurvivesNoLoss));
            assert_eq!(counts.data() == 1, profile.shortfalls().contains(&Shortfall::WholeOnOneNode));
        }
    }

    /// Every set of N - f nodes that acknowledged, and of these every f lost.
    #[test]
    fn what_was_acknowledged_is_read_after_every_loss() {
        for nodes in 4..=10 {
            let profile = Profile::new(nodes).unwrap();
            let code = Code::new(profile.counts());
            let data: Vec<Vec<u8>> = (0..code.counts().data())
                .map(|shard| (0..9).map(|at| (shard * 41 + at * 7) as u8).collect())
                .collect();
            let mut parity = vec![vec![0; 9]; code.counts().parity()];
            code.encode(&data, &mut parity).unwrap();
            let whole = [data, parity].concat();
            let of_size =
                |size: usize| (0..1u32 << nodes).filter(move |set| set.count_ones() as usize == size);
            let mut tried = 0;
            for durable in of_size(profile.acknowledge_at()) {
                for lost in of_size(profile.losses()).filter(|lost| lost & !durable == 0) {
                    let left = |at: usize| (durable & !lost) >> at & 1 == 1;
                    let mut shards: Vec<Option<Vec<u8>>> =
                        (0..nodes).map(|at| left(at).then(|| whole[at].clone())).collect();
                    code.reconstruct(&mut shards).unwrap();
                    assert!(
                        shards.iter().flatten().eq(&whole),
                        "{nodes} nodes, {durable:b} without {lost:b}"
                    );
                    tried += 1;
                }
            }
            assert!(tried >= nodes, "{tried}");
        }
    }
}
