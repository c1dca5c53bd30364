//! The board of a real node, by a clock that goes as the suite wants.
use super::*;
use crate::RunOptions;
use crate::testing::Bounded;
use crate::testing::{World, runtime};
use std::sync::atomic::{AtomicU64, Ordering};
use terachat_core_store::sync::board::suite::{conforms, record};

const DAY: u64 = 24 * 3600 * 1000;
/// Later than every end that the suite has: a place in time of its own.
const NOW: u64 = 1_900_000_000_000;

/// What the suite's clusters have for a clock.
static SUITE: AtomicU64 = AtomicU64::new(0);

fn suite_clock() -> u64 {
    SUITE.load(Ordering::SeqCst)
}

fn clock() -> u64 {
    NOW
}

/// A cluster, its board, and the clock that is set as the board is asked.
struct Timed {
    board: Option<ClusterBoard>,
    world: Option<World>,
    runtime: Bounded,
}

impl Timed {
    fn new(clock: fn() -> u64) -> Self {
        let runtime = runtime();
        let world = runtime.block_on(World::new(RunOptions { clock, ..RunOptions::default() }));
        let board = ClusterBoard::open(world.client_again()).unwrap();
        Self { board: Some(board), world: Some(world), runtime }
    }

    fn board(&self) -> &ClusterBoard {
        self.board.as_ref().unwrap()
    }

    fn board_mut(&mut self, now_ms: u64) -> &mut ClusterBoard {
        SUITE.store(now_ms, Ordering::SeqCst);
        self.board.as_mut().unwrap()
    }

    fn ask(&self, request: Request) -> Result<Response, Error> {
        self.runtime.block_on(async {
            let client = self.world.as_ref().unwrap().client.connect().await?;
            let answer = client.request(&request).await;
            client.close().await;
            answer
        })
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.board = None;
        if let Some(world) = self.world.take() {
            self.runtime.block_on(world.end());
        }
    }
}

impl Board for Timed {
    fn id(&self) -> [u8; 16] {
        self.board().id()
    }

    fn record_len_max(&self) -> usize {
        self.board().record_len_max()
    }

    fn publish(&mut self, record: &BoardRecord, now_ms: u64) -> Result<Published, BoardError> {
        self.board_mut(now_ms).publish(record, now_ms)
    }

    fn fetch(&self, key: &RecordKey, now_ms: u64) -> Result<Option<BoardRecord>, BoardError> {
        SUITE.store(now_ms, Ordering::SeqCst);
        self.board().fetch(key, now_ms)
    }

    fn list(&self, after: &Cursor, max: usize) -> Result<Listing, BoardError> {
        self.board().list(after, max)
    }

    fn collect(&mut self, now_ms: u64) -> Result<usize, BoardError> {
        self.board_mut(now_ms).collect(now_ms)
    }
}

#[test]
fn conforms_to_the_suite() {
    conforms(&mut || Box::new(Timed::new(suite_clock)));
}

/// Whoever says that it is later or earlier than the nodes' clocks do is not believed.
#[test]
fn the_nodes_say_how_late_it_is() {
    let mut timed = Timed::new(clock);
    let board = timed.board.as_mut().unwrap();
    let (first, other) = (record(1, NOW + DAY, b"first"), record(1, NOW + 3 * DAY, b"other"));
    assert_eq!(board.publish(&first, NOW), Ok(Published::Added));
    assert_eq!(board.publish(&other, NOW + 2 * DAY), Err(BoardError::Taken));
    assert_eq!(board.collect(NOW + 2 * DAY), Ok(0));
    assert_eq!(board.publish(&record(2, NOW - 1, b""), NOW - DAY), Err(BoardError::Lifetime));
    assert_eq!(board.fetch(&first.key(), NOW), Ok(Some(first)));
}

/// What a client sends that is no record of its key, and what it may not do with one.
#[test]
fn forgeries_and_removals_are_refused() {
    let timed = Timed::new(clock);
    let sound = record(1, NOW + DAY, b"sealed");
    let (own, other) = (name(&sound.key()), name(&record(2, NOW + DAY, b"").key()));
    let mut forged = sound.bytes().to_vec();
    forged[50] ^= 1;
    let blob = ItemName { kind: ItemKind::Blob, key: own.key };
    for (name, bytes, expires_ms) in [
        (other, sound.bytes().to_vec(), NOW + DAY),
        (own, forged, NOW + DAY),
        (own, sound.bytes().to_vec(), NOW + 2 * DAY),
        (own, sound.bytes().to_vec(), 0),
        (own, Vec::new(), NOW + DAY),
        (own, vec![1; RECORD_LEN_MAX + 1], NOW + DAY),
        (blob, sound.bytes().to_vec(), NOW + DAY),
    ] {
        let refused = timed.ask(Request::Put { name, bytes, expires_ms });
        assert!(matches!(refused, Err(Error::Refused(Refused::Record | Refused::Item))), "{refused:?}");
    }
    let put = Request::Put { name: own, bytes: sound.bytes().to_vec(), expires_ms: NOW + DAY };
    assert_eq!(timed.ask(put).unwrap(), Response::Put(Fate::Added));
    let forget = timed.ask(Request::Forget(vec![own]));
    assert!(matches!(forget, Err(Error::Refused(Refused::Lasting))), "{forget:?}");
    assert_eq!(timed.board().fetch(&sound.key(), NOW), Ok(Some(sound)));
}

/// Whoever has followed another history of this cluster begins anew and misses nothing.
#[test]
fn a_place_of_another_history_is_the_beginning() {
    let mut timed = Timed::new(clock);
    let only = record(1, NOW + DAY, b"");
    timed.board.as_mut().unwrap().publish(&only, NOW).unwrap();
    let id = timed.id();
    for strange in [cursor(&id, (1 << 40, 0)), cursor(&[0; 16], (1, 0)), id.to_vec()] {
        assert_eq!(timed.list(&Cursor(strange), 9).unwrap().keys, [only.key()]);
    }
    let all = timed.list(&Cursor::default(), 9).unwrap();
    assert_eq!(timed.list(&all.next, 9).unwrap(), Listing { keys: vec![], next: all.next, more: false });
}
