use std::sync::{Mutex, MutexGuard, PoisonError};

/// How far the snapshot that is being received has come.
///
/// openraft writes a part wherever the part says that it belongs, and fills what is before it with zeros: one request would make a
/// node take all the memory that there is.
#[derive(Default)]
pub(super) struct Incoming(Mutex<Option<Received>>);

struct Received {
    id: String,
    len: u64,
}

impl Incoming {
    /// Whether a part of this snapshot that begins there leaves no gap.
    pub(super) fn follows(&self, id: &str, offset: u64) -> bool {
        let received = self.received();
        let len = received.as_ref().filter(|received| received.id == id).map_or(0, |received| received.len);
        offset <= len
    }

    /// A part that ends there was written.
    pub(super) fn took(&self, id: String, end: u64) {
        let mut received = self.received();
        let before = received.take().filter(|received| received.id == id).map_or(0, |received| received.len);
        *received = Some(Received { id, len: before.max(end) });
    }

    /// The last part was written, or none of them counts.
    pub(super) fn ended(&self) {
        *self.received() = None;
    }

    fn received(&self) -> MutexGuard<'_, Option<Received>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_may_come_again_but_not_too_early() {
        let incoming = Incoming::default();
        let took = |id: &str, offset: u64| incoming.took(id.to_owned(), offset + 10);
        assert!(incoming.follows("one", 0) && !incoming.follows("one", 1));
        took("one", 0);
        assert!(incoming.follows("one", 10) && !incoming.follows("one", 11) && !incoming.follows("two", 10));
        took("one", 10);
        took("one", 0);
        assert!(incoming.follows("one", 20) && !incoming.follows("one", 21));
        took("two", 0);
        assert!(incoming.follows("two", 10) && !incoming.follows("one", 10));
        incoming.ended();
        assert!(!incoming.follows("two", 10));
    }
}
