use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// The queue was closed, or nobody takes from it any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed;

/// Room in a queue, given back when it is dropped or when its item is taken.
pub(crate) type Room = OwnedSemaphorePermit;

/// The filling end of a queue that is bounded by the cost of its items instead of their number: a thousand small
/// frames or a few large ones. Waiting for room is first come, first served, so no filler starves another.
pub(crate) struct Queue<T> {
    room: Arc<Semaphore>,
    room_max: usize,
    items: Mutex<Option<mpsc::UnboundedSender<(T, Room)>>>,
}

/// The end from which items are taken. Dropping it closes the queue.
pub(crate) struct Outlet<T> {
    room: Arc<Semaphore>,
    items: mpsc::UnboundedReceiver<(T, Room)>,
}

/// A queue for items that cost up to `room_max` together.
pub(crate) fn queue<T>(room_max: usize) -> (Queue<T>, Outlet<T>) {
    let (sender, items) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(room_max));
    (Queue { room: room.clone(), room_max, items: Mutex::new(Some(sender)) }, Outlet { room, items })
}

impl<T> Queue<T> {
    /// Waits until there is room for `cost`; what costs more than the whole queue waits for an empty one.
    pub(crate) async fn reserve(&self, cost: usize) -> Result<Room, Closed> {
        let cost = u32::try_from(cost.min(self.room_max)).unwrap_or(u32::MAX);
        self.room.clone().acquire_many_owned(cost).await.map_err(|_| Closed)
    }

    /// Room for `cost`, if there is as much and nobody waits for it.
    pub(crate) fn try_reserve(&self, cost: usize) -> Option<Room> {
        let cost = u32::try_from(cost.min(self.room_max)).unwrap_or(u32::MAX);
        self.room.clone().try_acquire_many_owned(cost).ok()
    }

    /// Puts an item into the room reserved for it.
    pub(crate) fn put(&self, room: Room, item: T) -> Result<(), Closed> {
        let items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        items.as_ref().ok_or(Closed)?.send((item, room)).map_err(|_| Closed)
    }

    /// Puts an item in when there is room for `cost` just now.
    pub(crate) fn try_put(&self, cost: usize, item: T) -> Result<(), Closed> {
        self.put(self.try_reserve(cost).ok_or(Closed)?, item)
    }

    /// Lets nothing more in. What is inside can still be taken.
    pub(crate) fn close(&self) {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.room.close();
    }

    /// Waits until nobody takes from the queue any more.
    pub(crate) async fn unheard(&self) {
        let items = self.items.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(items) = items {
            items.closed().await;
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.room.is_closed()
    }
}

impl<T> Outlet<T> {
    /// Waits for the next item; `None` when the queue is closed and empty. Safe to cancel.
    pub(crate) async fn recv(&mut self) -> Option<T> {
        self.items.recv().await.map(|(item, _room)| item)
    }

    /// The next item, if one is there.
    pub(crate) fn try_recv(&mut self) -> Option<T> {
        self.items.try_recv().ok().map(|(item, _room)| item)
    }
}

impl<T> Drop for Outlet<T> {
    fn drop(&mut self) {
        self.room.close();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn room_is_given_back_when_an_item_is_taken() {
        let (queue, mut outlet) = queue(10);
        queue.put(queue.reserve(6).await.unwrap(), 'a').unwrap();
        assert!(queue.reserve(6).now_or_never().is_none(), "the queue is full");
        assert_eq!(outlet.recv().await, Some('a'));
        queue.put(queue.reserve(600).await.unwrap(), 'b').unwrap();
        assert!(queue.reserve(1).now_or_never().is_none(), "what is too large takes all");
    }

    #[tokio::test]
    async fn a_closed_queue_gives_what_it_has_and_takes_nothing() {
        let (queue, mut outlet) = queue(10);
        queue.try_put(1, 'a').unwrap();
        let late = queue.reserve(1).await.unwrap();
        queue.close();
        assert_eq!(queue.put(late, 'b'), Err(Closed));
        assert!(queue.reserve(1).await.is_err() && queue.is_closed());
        assert_eq!((outlet.recv().await, outlet.recv().await), (Some('a'), None));
    }

    #[tokio::test]
    async fn those_who_wait_learn_that_nobody_takes_any_more() {
        let (queue, outlet) = queue::<char>(1);
        let _room = queue.reserve(1).await.unwrap();
        let waiting = queue.reserve(1);
        drop(outlet);
        assert!(waiting.await.is_err());
    }
}
