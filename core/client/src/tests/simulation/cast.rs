//! What a seed plays with.
use super::random::Random;

/// Which of the rarer things happen in a run.
pub(super) struct Cast {
    /// The disk of one device is copied, and from there on two speak in its name, each to others.
    pub(super) liar: bool,
    /// There are channels that are read since joining. Without any, several messages share one sync.
    pub(super) since_join: bool,
    /// The second user's device only reads, and the space requires it as its archive.
    pub(super) archive: bool,
    /// There is a board, which loses records now and then.
    pub(super) board: bool,
    /// Once the devices fall into two halves, in each of which up to sixty epochs are made.
    pub(super) parts_for_long: bool,
}

impl Cast {
    pub(super) fn of(seed: u64) -> Self {
        let mut random = Random::of(seed, "cast", 0);
        Self {
            liar: random.one_in(3),
            since_join: !random.one_in(3),
            archive: random.one_in(3),
            board: random.one_in(4),
            parts_for_long: random.one_in(12),
        }
    }
}
