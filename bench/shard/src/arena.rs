//! Stripes enough to be out of every cache, in one piece of memory each for data, parity and what is made anew.

/// Shards of many stripes.
pub(crate) struct Arena {
    /// Data shards, stripe by stripe.
    pub(crate) data: Vec<u8>,
    /// Parity shards, stripe by stripe.
    pub(crate) parity: Vec<u8>,
    /// Room for as many bytes as the data.
    pub(crate) made: Vec<u8>,
    /// Stripes.
    pub(crate) stripes: usize,
    /// Bytes of a shard.
    pub(crate) len: usize,
    /// Data shards of a stripe.
    pub(crate) k: usize,
    /// Parity shards of a stripe.
    pub(crate) m: usize,
}

impl Arena {
    /// As many stripes as have `bytes` of data, at least one.
    pub(crate) fn new(k: usize, m: usize, len: usize, bytes: usize) -> Self {
        let stripes = (bytes / (k * len)).max(1);
        let mut state = 1u64;
        let data = (0..stripes * k * len)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state.to_be_bytes()[0]
            })
            .collect();
        // Written once, so that the system has given every page before anything is timed.
        let (parity, made) = (vec![1; stripes * m * len], vec![1; stripes * k * len]);
        Self { data, parity, made, stripes, len, k, m }
    }

    /// Calls `work` for each stripe with its data, its parity, and the room.
    pub(crate) fn each(&mut self, mut work: impl FnMut(&[&[u8]], &mut [&mut [u8]], &mut [&mut [u8]])) {
        let Self { k, m, len, .. } = *self;
        let data = self.data.chunks_exact(k * len);
        let parity = self.parity.chunks_exact_mut(m * len);
        let made = self.made.chunks_exact_mut(k * len);
        for ((data, parity), made) in data.zip(parity).zip(made) {
            let data: Vec<&[u8]> = data.chunks_exact(len).collect();
            let mut parity: Vec<&mut [u8]> = parity.chunks_exact_mut(len).collect();
            let mut made: Vec<&mut [u8]> = made.chunks_exact_mut(len).collect();
            work(&data, &mut parity, &mut made);
        }
    }
}
