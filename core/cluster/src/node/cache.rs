//! Batches that were opened a moment ago: whoever reads an item often reads its neighbours next.
use std::collections::{BTreeMap, VecDeque};
use terachat_shard::StripeId;

/// The newest batches, up to so many bytes. What a stripe has in it does not change, so nothing in here is ever old; what is
/// forgotten is taken out.
#[derive(Debug)]
pub(super) struct Cache {
    len_max: usize,
    len: usize,
    batches: BTreeMap<StripeId, Vec<u8>>,
    order: VecDeque<StripeId>,
}

impl Cache {
    pub(super) fn new(len_max: usize) -> Self {
        Self { len_max, len: 0, batches: BTreeMap::new(), order: VecDeque::new() }
    }

    pub(super) fn get(&self, stripe: &StripeId) -> Option<&[u8]> {
        self.batches.get(stripe).map(Vec::as_slice)
    }

    /// Keeps a batch, for the oldest ones where there is no room. One that is longer than the whole is not kept.
    pub(super) fn keep(&mut self, stripe: StripeId, batch: Vec<u8>) {
        if batch.len() > self.len_max || self.batches.contains_key(&stripe) {
            return;
        }
        self.len += batch.len();
        self.batches.insert(stripe, batch);
        self.order.push_back(stripe);
        while self.len > self.len_max {
            let Some(oldest) = self.order.pop_front() else { break };
            self.len -= self.batches.remove(&oldest).map_or(0, |batch| batch.len());
        }
    }

    pub(super) fn forget(&mut self, stripe: &StripeId) {
        if let Some(batch) = self.batches.remove(stripe) {
            self.len -= batch.len();
            self.order.retain(|other| other != stripe);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_newest_and_no_more_than_it_may() {
        let id = |number: u8| StripeId([number; 16]);
        let mut cache = Cache::new(10);
        cache.keep(id(1), vec![1; 4]);
        cache.keep(id(2), vec![2; 4]);
        cache.keep(id(2), vec![9; 4]);
        cache.keep(id(3), vec![3; 11]);
        assert_eq!(
            (cache.get(&id(1)), cache.get(&id(2)), cache.get(&id(3))),
            (Some(&[1; 4][..]), Some(&[2; 4][..]), None)
        );
        cache.keep(id(4), vec![4; 3]);
        assert_eq!((cache.get(&id(1)), cache.len), (None, 7), "the oldest goes");
        cache.forget(&id(2));
        cache.forget(&id(2));
        assert_eq!((cache.get(&id(2)), cache.len, cache.order.len()), (None, 3, 1));
    }
}
