//! Devices that are never connected and meet by a board alone.
mod directory;
mod order;
mod rejoin;

use super::*;
use crate::api::{BoardFetched, BoardPublished};
use crate::board::{BUCKET_MS, Budget, Parcel, RootId, Shelf, Stream, bucket};
use crate::protocol::Frame;
use terachat_core_store::store::dht_adapter::{Piece, cut};
use terachat_core_store::sync::Standing;
use terachat_core_store::sync::board::{
    Board, BoardError, BoardRecord, Cursor, Listing, MemoryBoard, Published, RecordKey,
};
use terachat_event::{ChannelId, DeviceId, SpaceId};

impl World {
    pub(super) fn publish(&mut self, name: &str, board: &mut dyn Board) -> BoardPublished {
        self.now += 1_000;
        let mut all = BoardPublished::default();
        for call in 0.. {
            assert!(call < 100, "publishing never ends");
            let now = self.now;
            let told = self.of(name).board_publish(board, now).unwrap();
            let more = told.more;
            all.add(told);
            if !more {
                break;
            }
        }
        self.settle();
        all
    }

    fn fetch(&mut self, name: &str, board: &dyn Board) -> BoardFetched {
        let all = Budget { records: 1 << 14, len: 64 << 20 };
        self.fetch_within(name, board, all)
    }

    pub(super) fn fetch_within(&mut self, name: &str, board: &dyn Board, budget: Budget) -> BoardFetched {
        self.now += 1_000;
        let mut all = BoardFetched::default();
        for call in 0.. {
            assert!(call < 10_000, "fetching never ends");
            let now = self.now;
            let told = self.of(name).board_fetch_within(board, now, budget).unwrap();
            let more = told.more;
            all.add(told);
            if !more {
                break;
            }
        }
        self.settle();
        all
    }

    fn space(&mut self, name: &str) -> SpaceId {
        self.of(name).store.spaces().next().unwrap()
    }

    fn general(&mut self, name: &str) -> ChannelId {
        let space = self.space(name);
        let mut channels = self.of(name).store.space(&space).unwrap().channels.keys();
        *channels.next().unwrap()
    }

    /// Under which keys a device would look for, or leave, records of a space's logs.
    fn keys_known_to(&mut self, name: &str, board: &dyn Board, devices: &[&str]) -> BTreeSet<RecordKey> {
        let (space, channel, now) = (self.space(name), self.general(name), self.now);
        let devices: Vec<DeviceId> = devices.iter().map(|device| DeviceId(self.id(device))).collect();
        let roots = self.of(name).roots(&space).unwrap();
        let mut keys = BTreeSet::new();
        for log in [LogId::control(space), LogId::channel(space, channel)] {
            let shelf = Shelf { board: board.id(), bucket: bucket(now), log, ticket: RootId::default() };
            for root in &roots {
                for device in &devices {
                    let stream = Stream::of(&shelf, root, device);
                    keys.extend((0..40).map(|number| stream.inner().key(number)));
                }
            }
        }
        keys
    }
}

/// Ada founds a space with a channel; the others are invited and join by the board.
fn apart(names: &[&'static str], board: &mut dyn Board) -> World {
    let mut world = World::new(names);
    world.ask(names[0], Request::SpaceCreate { name: "club".into(), post_quantum: false });
    world.ask(
        names[0],
        Request::ChannelCreate { space: None, name: "general".into(), forum: false, since_join: false },
    );
    for name in &names[1..] {
        world.invite(names[0], name, 50);
    }
    world.publish(names[0], board);
    for name in &names[1..] {
        world.fetch(name, board);
        assert!(world.status(name).spaces[0].epoch.is_some(), "{name} is in");
    }
    world
}

fn keys(board: &MemoryBoard) -> BTreeSet<RecordKey> {
    board.keys().collect()
}

#[test]
fn two_devices_that_never_meet_talk() {
    let mut board = MemoryBoard::new();
    let mut world = apart(&["ada", "bob"], &mut board);
    world.say("ada", "hello");
    assert_eq!(world.publish("ada", &mut board).events, 1);
    let told = world.fetch("bob", &board);
    assert_eq!((told.added, told.left, told.waiting.len()), (1, 0, 0));
    assert_eq!(world.bodies("bob"), ["hello"]);
    world.say("bob", "hi ada");
    assert_eq!(world.publish("bob", &mut board).events, 1, "what came from there is there");
    world.fetch("ada", &board);
    assert_eq!(world.bodies("ada"), ["hello", "hi ada"]);
    world.same(&["ada", "bob"]);
    for name in ["ada", "bob"] {
        world.sound(name);
        assert_eq!(world.publish(name, &mut board).records, 0, "nothing is new");
        let told = world.fetch(name, &board);
        assert_eq!(
            (told.added, told.known, told.left, told.waiting.len()),
            (0, 0, 0, 0),
            "{name} has read all"
        );
    }
}

#[test]
fn a_removed_member_can_neither_follow_nor_overwrite() {
    let mut board = MemoryBoard::new();
    let mut world = apart(&["ada", "bob", "eve"], &mut board);
    world.say("ada", "for all of us");
    world.publish("ada", &mut board);
    // Whoever has spoken needs no ticket any more.
    for name in ["bob", "eve"] {
        world.fetch(name, &board);
        world.say(name, "I have it");
        world.publish(name, &mut board);
    }
    for name in ["ada", "bob", "eve"] {
        world.fetch(name, &board);
    }
    let before = keys(&board);
    world.ask("ada", Request::MemberRemove { space: None, member: "eve".into() });
    world.say("ada", "for us two");
    world.publish("ada", &mut board);
    let new: Vec<RecordKey> = keys(&board).difference(&before).copied().collect();
    let everybody = ["ada", "bob", "eve"];
    let hers = world.keys_known_to("eve", &board, &everybody);
    let seen: Vec<_> = new.iter().filter(|key| hers.contains(key)).collect();
    assert_eq!(
        (new.len(), seen.len()),
        (3, 1),
        "of commit, event and message she sees the commit that removed her"
    );

    let told = world.fetch("eve", &board);
    assert_eq!((told.added, told.waiting.len()), (0, 1));
    assert!(told.waiting[0].contains("without this device"), "{told:?}");
    assert_eq!(world.bodies("eve"), ["for all of us", "I have it", "I have it"]);

    // What she leaves herself is under keys of her own epoch, and counts for nothing.
    world.say("eve", "still here?");
    world.publish("eve", &mut board);
    let told = world.fetch("bob", &board);
    assert_eq!(told.left, 0);
    world.fetch("ada", &board);
    world.publish("bob", &mut board);
    assert_eq!(world.bodies("bob"), ["for all of us", "I have it", "I have it", "for us two"]);
    world.same(&["ada", "bob"]);
    world.sound("bob");
    let hers = world.keys_known_to("eve", &board, &everybody);
    let theirs = world.keys_known_to("bob", &board, &everybody);
    assert!(theirs.len() > hers.len() && new.iter().all(|key| theirs.contains(key)));
}

/// Whoever was away for several epochs goes from one to the next, and finds all that the members left in the newest.
#[test]
fn whoever_was_away_for_several_epochs_catches_up() {
    let mut board = MemoryBoard::new();
    let mut world = apart(&["ada", "bob", "eve"], &mut board);
    world.ask("ada", Request::MemberRemove { space: None, member: "eve".into() });
    for (n, name) in (10..).zip(["cleo", "dan"]) {
        world.enter(name, n);
        world.invite("ada", name, 10);
    }
    world.say("ada", "a new crew");
    world.publish("ada", &mut board);
    world.fetch("cleo", &board);
    world.say("cleo", "hello from cleo");
    world.publish("cleo", &mut board);
    let told = world.fetch("bob", &board);
    assert_eq!((told.left, told.waiting), (0, vec![]));
    for name in ["ada", "dan"] {
        world.fetch(name, &board);
    }
    for name in ["ada", "bob", "cleo", "dan"] {
        assert_eq!(world.bodies(name), ["a new crew", "hello from cleo"], "{name}");
        world.sound(name);
    }
    world.same(&["ada", "bob", "cleo", "dan"]);
}

/// The same files on another disk.
pub(super) fn twin_of(disk: &CrashStorage) -> CrashStorage {
    let mut twin = CrashStorage::new(70);
    for name in disk.list().unwrap() {
        let len = usize::try_from(disk.size(&name).unwrap().unwrap()).unwrap();
        twin.replace(&name, &disk.read(&name, 0, len).unwrap()).unwrap();
    }
    twin
}

/// A device that signs two events with one number: two branches come to two members, who learn of each other by a board.
#[test]
fn a_fork_is_proven_by_the_board() {
    let mut board = MemoryBoard::new();
    let mut world = apart(&["ada", "bob", "eve"], &mut board);
    let disk = twin_of(&world.devices["eve"].1);
    let boxed: Box<dyn Storage> = Box::new(disk.clone());
    let twin = Client::open(boxed, &mut passphrase("secret"), Box::new(Counter(78 << 32))).unwrap();
    world.devices.insert("twin", (twin, disk));
    let (mut here, mut there) = (board.clone().renamed([1; 16]), board.clone().renamed([2; 16]));
    world.say("eve", "one word");
    world.publish("eve", &mut here);
    world.fetch("ada", &here);
    world.say("twin", "another word");
    world.publish("twin", &mut there);
    world.fetch("bob", &there);
    assert_eq!(
        (world.bodies("ada"), world.bodies("bob")),
        (vec!["one word".into()], vec!["another word".into()])
    );
    // In one parcel with the word that is to count for nothing.
    world.say("ada", "I heard one word");
    for _ in 0..2 {
        for name in ["ada", "bob"] {
            world.fetch(name, &board);
            world.publish(name, &mut board);
        }
    }
    world.same(&["ada", "bob"]);
    for name in ["ada", "bob"] {
        world.say(name, &format!("{name} has seen both"));
        world.publish(name, &mut board);
        let alarms = world.seen[name].iter().filter(|notice| matches!(notice, Notice::Alarm { .. }));
        assert_eq!(alarms.count(), 1, "{name}");
    }
    let told = world.fetch("ada", &board);
    assert_eq!((told.left, told.waiting.len()), (0, 0), "{told:#?}");
    world.fetch("bob", &board);
    let said: BTreeSet<String> = world.bodies("bob").into_iter().collect();
    assert_eq!(
        said,
        ["I heard one word", "ada has seen both", "bob has seen both"].map(str::to_owned).into()
    );
    world.same(&["ada", "bob"]);
    assert_eq!(world.publish("ada", &mut board).records, 0);
}

/// Two members change the group without knowing of each other: one commit loses, and its maker makes good.
#[test]
fn commits_that_race_come_together() {
    let mut board = MemoryBoard::new();
    let mut world = apart(&["ada", "bob"], &mut board);
    world.enter("cleo", 10);
    world.enter("dan", 11);
    world.invite("ada", "cleo", 10);
    world.invite("bob", "dan", 10);
    world.say("ada", "with cleo");
    world.say("bob", "with dan");
    for _ in 0..4 {
        for name in ["ada", "bob", "cleo", "dan"] {
            world.fetch(name, &board);
            world.publish(name, &mut board);
        }
    }
    world.same(&["ada", "bob", "cleo", "dan"]);
    let said: BTreeSet<String> = world.bodies("dan").into_iter().collect();
    assert_eq!(said, BTreeSet::from(["with cleo".to_owned(), "with dan".to_owned()]));
    for name in ["ada", "bob", "cleo", "dan"] {
        assert_eq!(world.publish(name, &mut board).records, 0, "{name} has left all");
        world.sound(name);
    }
}

/// What a member who lies can leave in another's stream, one after the other, is told and passed over.
#[test]
fn what_no_member_would_write_is_told_and_stops_nothing() {
    let mut board = MemoryBoard::new();
    let mut world = apart(&["ada", "bob"], &mut board);
    world.ask(
        "ada",
        Request::ChannelCreate { space: None, name: "other".into(), forum: false, since_join: false },
    );
    let elsewhere = Place { space: None, channel: Some("other".into()) };
    world.ask("ada", Request::Send { place: elsewhere, body: "elsewhere".into(), reply_to: None });
    let space = world.space("ada");
    let logs: Vec<LogId> = world.of("ada").store.logs();
    let general = world.general("bob");
    let of_other =
        logs.iter().find(|log| log.channel.is_some_and(|channel| channel != general)).copied().unwrap();
    let limits = terachat_core_store::sync::Limits::PEER;
    let (bundles, _) = world.of("ada").store.bundles_to(&mut Standing::nothing(of_other), limits).unwrap();
    let foreign = Frame::Bundle { more: false, bytes: bundles[0].encode() };

    let now = world.now;
    let shelf = Shelf {
        board: board.id(),
        bucket: bucket(now),
        log: LogId::channel(space, general),
        ticket: RootId::default(),
    };
    let root = world.of("ada").roots(&space).unwrap().remove(0);
    let me = DeviceId(world.id("ada"));
    let stream = Stream::of(&shelf, &root, &me);
    let mut number = 0;
    let mut put = |piece: &Piece| {
        let record = stream.inner().seal(number, piece, now + BUCKET_MS, &mut Counter(number + 99));
        board.publish(&record, now).unwrap();
        number += 1;
    };
    let whole = |bytes: &[u8]| Piece { first: true, last: true, bytes: bytes.to_vec() };
    put(&whole(&Parcel::frames(&[foreign])));
    put(&whole(&Parcel::frames(&[Frame::Bundle { more: false, bytes: b"no bundle".to_vec() }])));
    put(&whole(&Parcel::frames(&[Frame::Hello { version: crate::protocol::VERSION, nonce: [0; 16] }])));
    put(&whole(&Parcel::step(b"no commit")));
    put(&whole(&[0, 0, 1, 2, 3]));
    put(&whole(&[1, 77]));
    put(&whole(&[1, 0, 9, 9]));
    put(&whole(b""));
    put(&Piece { first: true, last: false, bytes: b"begun ".to_vec() });
    put(&Piece { first: false, last: true, bytes: b"and ended".to_vec() });
    put(&Piece { first: false, last: true, bytes: b"the end of nothing".to_vec() });
    world.say("ada", "hello all the same");
    world.publish("ada", &mut board);
    let told = world.fetch("bob", &board);
    assert_eq!(told.left, 10, "{told:#?}");
    assert_eq!(told.waiting, Vec::<String>::new());
    for why in [
        "another log's",
        "malformed",
        "not left on boards",
        "a commit among",
        "another format version",
        "unknown kind",
        "not whole",
        "without its beginning",
    ] {
        assert!(told.reasons.iter().any(|reason| reason.contains(why)), "{why}: {told:#?}");
    }
    assert_eq!(world.bodies("bob"), ["hello all the same"]);
    assert_eq!(world.fetch("bob", &board).left, 0, "it is told once");
}

/// A board that damages, cuts or withholds what it likes.
struct Unsound {
    inner: MemoryBoard,
    bad: BTreeMap<RecordKey, Option<BoardError>>,
}

impl Board for Unsound {
    fn id(&self) -> [u8; 16] {
        self.inner.id()
    }
    fn record_len_max(&self) -> usize {
        self.inner.record_len_max()
    }
    fn publish(&mut self, record: &BoardRecord, now_ms: u64) -> Result<Published, BoardError> {
        self.inner.publish(record, now_ms)
    }
    fn fetch(&self, key: &RecordKey, now_ms: u64) -> Result<Option<BoardRecord>, BoardError> {
        match self.bad.get(key) {
            Some(Some(error)) => Err(error.clone()),
            Some(None) => Ok(None),
            None => self.inner.fetch(key, now_ms),
        }
    }
    fn list(&self, after: &Cursor, max: usize) -> Result<Listing, BoardError> {
        self.inner.list(after, max)
    }
    fn collect(&mut self, now_ms: u64) -> Result<usize, BoardError> {
        self.inner.collect(now_ms)
    }
}

#[test]
fn what_is_damaged_or_missing_is_read_when_it_is_whole_again() {
    for error in [Some(BoardError::Damaged("it is cut short")), None] {
        let mut board = MemoryBoard::new();
        let mut world = apart(&["ada", "bob"], &mut board);
        let before = keys(&board);
        world.say("ada", "first");
        world.publish("ada", &mut board);
        let bad = keys(&board).difference(&before).map(|key| (*key, error.clone())).collect();
        world.say("ada", "second");
        world.publish("ada", &mut board);
        let mut board = Unsound { inner: board, bad };
        let told = world.fetch("bob", &board);
        assert_eq!((told.added, told.left, told.waiting.len()), (0, 1, 2), "{told:#?}");
        let told = world.fetch("bob", &board);
        assert_eq!(
            (told.added, told.left, told.waiting.len()),
            (0, 0, 2),
            "told once, still waiting: {told:#?}"
        );
        board.bad.clear();
        let told = world.fetch("bob", &board);
        assert_eq!((told.added, told.left, told.waiting.len()), (2, 0, 0), "{told:#?}");
        assert_eq!(world.bodies("bob"), ["first", "second"]);
    }
}

/// The power goes at every place where it can go while a device publishes: nothing is lost, and what stood on the board already
/// is not left again.
#[test]
fn a_crash_while_publishing_loses_nothing_and_repeats_nothing() {
    for cut in 0..100 {
        let mut board = MemoryBoard::new();
        let mut world = apart(&["ada", "bob"], &mut board);
        world.say("ada", "hello");
        let whole = {
            let mut board = MemoryBoard::new();
            let mut copy = apart(&["ada", "bob"], &mut board);
            copy.say("ada", "hello");
            copy.publish("ada", &mut board);
            keys(&board).len()
        };
        let disk = world.devices["ada"].1.clone();
        disk.fail_at(disk.operations() + cut, Fault::PowerCut);
        let now = world.now;
        let ended = world.of("ada").board_publish(&mut board, now).is_ok();
        let after = disk.crash();
        let boxed: Box<dyn Storage> = Box::new(after.clone());
        let client = Client::open(boxed, &mut passphrase("secret"), Box::new(Counter(77 << 32))).unwrap();
        world.devices.insert("ada", (client, after));
        world.publish("ada", &mut board);
        assert_eq!(keys(&board).len(), whole, "cut {cut}");
        let told = world.fetch("bob", &board);
        assert_eq!((told.added, told.left), (1, 0), "cut {cut}");
        assert_eq!(world.bodies("bob"), ["hello"]);
        if ended {
            assert!(cut > 1, "the power never went");
            return;
        }
    }
    panic!("publishing never ended");
}

/// A board that fails after some records, as a full disk does.
struct Full {
    inner: MemoryBoard,
    room: usize,
}

impl Board for Full {
    fn id(&self) -> [u8; 16] {
        self.inner.id()
    }
    fn record_len_max(&self) -> usize {
        self.inner.record_len_max()
    }
    fn publish(&mut self, record: &BoardRecord, now_ms: u64) -> Result<Published, BoardError> {
        self.room =
            self.room.checked_sub(1).ok_or_else(|| BoardError::Failed("it is full; make room".to_owned()))?;
        self.inner.publish(record, now_ms)
    }
    fn fetch(&self, key: &RecordKey, now_ms: u64) -> Result<Option<BoardRecord>, BoardError> {
        self.inner.fetch(key, now_ms)
    }
    fn list(&self, after: &Cursor, max: usize) -> Result<Listing, BoardError> {
        self.inner.list(after, max)
    }
    fn collect(&mut self, now_ms: u64) -> Result<usize, BoardError> {
        self.inner.collect(now_ms)
    }
}

/// A parcel whose writer was interrupted: readers wait for its end, drop it when another one begins, and lose nothing.
#[test]
fn a_parcel_that_was_interrupted_is_left_anew() {
    let mut board = MemoryBoard::new();
    let mut world = apart(&["ada", "bob"], &mut board);
    // Random words, which do not become shorter: more than one record.
    let mut noise = [0; 24_000];
    Counter(5).fill(&mut noise);
    let long: String = noise.iter().map(|byte| char::from(b'!' + byte % 90)).collect();
    world.say("ada", &long);
    let mut board = Full { inner: board, room: 1 };
    let now = world.now;
    let error = world.of("ada").board_publish(&mut board, now).unwrap_err();
    assert!(matches!(error, Error::Board(BoardError::Failed(_))), "{error}");
    let told = world.fetch("bob", &board);
    assert_eq!((told.added, told.left), (0, 0), "it waits for the rest");
    board.room = 10;
    assert_eq!(world.publish("ada", &mut board).events, 1);
    let told = world.fetch("bob", &board);
    assert_eq!((told.added, told.left, told.waiting.len()), (1, 1, 0), "{told:#?}");
    assert_eq!(world.bodies("bob"), [long]);
}

#[test]
fn a_new_bucket_holds_everything_once() {
    let mut board = MemoryBoard::new();
    let mut world = apart(&["ada", "bob"], &mut board);
    world.say("ada", "long ago");
    world.publish("ada", &mut board);
    world.fetch("bob", &board);
    world.now += BUCKET_MS;
    let told = world.publish("ada", &mut board);
    assert!(told.events > 3, "{told:?}");
    let told = world.fetch("bob", &board);
    assert_eq!(told.added, 0);
    assert_eq!(world.publish("bob", &mut board).records, 0, "Ada has left it already");
    world.now += BUCKET_MS;
    board.collect(world.now).unwrap();
    world.publish("bob", &mut board);
    let (count, end) = (keys(&board).len(), world.now + 2 * BUCKET_MS);
    assert_eq!(board.collect(end).unwrap(), count, "nothing is kept for ever");
    assert!(count > 0);
}

#[test]
fn small_steps_come_to_the_same_end() {
    let mut board = MemoryBoard::new();
    let mut world = apart(&["ada", "bob", "eve"], &mut board);
    for n in 0..20 {
        world.say("ada", &format!("number {n}"));
        world.publish("ada", &mut board);
    }
    world.fetch_within("bob", &board, Budget { records: 5, len: 1 });
    world.fetch("eve", &board);
    assert_eq!(world.bodies("bob").len(), 20);
    world.same(&["ada", "bob", "eve"]);
}

/// A member writes where another one is about to: that one goes past it, and readers do.
#[test]
fn who_stands_in_the_way_is_passed() {
    let mut board = MemoryBoard::new();
    let mut world = apart(&["ada", "bob", "eve"], &mut board);
    world.say("ada", "first");
    let (space, general, now) = (world.space("eve"), world.general("eve"), world.now);
    let log = LogId::channel(space, general);
    let shelf = Shelf { board: board.id(), bucket: bucket(now), log, ticket: RootId::default() };
    let root = world.of("eve").roots(&space).unwrap().remove(0);
    let ada = DeviceId(world.id("ada"));
    let stream = Stream::of(&shelf, &root, &ada);
    for number in 0..9 {
        for piece in cut(b"in your way", 20_000) {
            let record = stream.inner().seal(number, &piece, now + BUCKET_MS, &mut Counter(7));
            board.publish(&record, now).unwrap();
        }
    }
    world.publish("ada", &mut board);
    let told = world.fetch("bob", &board);
    assert_eq!((told.added, told.left), (1, 9), "{told:?}");
    assert_eq!(world.bodies("bob"), ["first"]);
}

/// Of channels that a device does not keep it neither reads nor leaves anything; a channel that it dropped it reads again from
/// the beginning, its own words too.
#[test]
fn only_channels_that_are_kept_are_fetched() {
    use crate::api::Selection;
    let mut board = MemoryBoard::new();
    let mut world = apart(&["ada", "bob"], &mut board);
    let send = |body: &str| Request::Send { place: place(), body: body.into(), reply_to: None };
    let channels = || vec!["general".to_owned()];
    let keep = |change| Request::ChannelsKeep { space: None, change };
    world.say("ada", "before");
    world.publish("ada", &mut board);
    world.fetch("bob", &board);
    world.say("bob", "own");
    world.publish("bob", &mut board);
    world.ask("bob", keep(Selection::LeaveOut { channels: channels() }));
    world.say("ada", "behind");
    world.publish("ada", &mut board);
    assert_eq!(world.fetch("bob", &board).added, 0);
    assert_eq!(world.bodies("bob"), ["before", "own"]);
    assert_eq!(world.publish("bob", &mut board).events, 0);
    world.ask("bob", Request::ChannelDrop { space: None, channel: "general".into(), last_copy: true });
    assert_eq!(world.fetch("bob", &board).added, 0);
    world.ask("bob", keep(Selection::Also { channels: channels() }));
    assert!(world.try_ask("bob", send("a number used twice")).is_err());
    assert_eq!(world.fetch("bob", &board).added, 3);
    world.say("bob", "and on");
    world.publish("bob", &mut board);
    world.fetch("ada", &board);
    assert_eq!(world.bodies("ada").last().map(String::as_str), Some("and on"));
    world.same(&["ada", "bob"]);
    world.sound("bob");
}

/// They never meet: the wish, what each offers, and the move itself go by the board, and whoever offered follows there.
#[test]
fn a_space_moves_to_another_suite_by_a_board_alone() {
    let mut board = MemoryBoard::new();
    let mut world = apart(&["ada", "bob", "eve"], &mut board);
    for name in ["bob", "eve"] {
        world.say(name, "before");
        world.publish(name, &mut board);
    }
    world.fetch("ada", &board);
    world.ask("ada", Request::Reinit { space: None, post_quantum: true, now: false });
    world.publish("ada", &mut board);
    for name in ["bob", "eve"] {
        world.fetch(name, &board);
        world.publish(name, &mut board);
    }
    // Ada makes the group; Bob goes on a while in the former one.
    world.fetch("ada", &board);
    assert_eq!(world.status("ada").spaces[0].post_quantum, Some(true));
    world.say("ada", "there");
    world.publish("ada", &mut board);
    for name in ["bob", "eve", "bob"] {
        let told = world.fetch(name, &board);
        assert_eq!(told.left, 0, "{name}: {:?}", told.reasons);
        assert_eq!(world.status(name).spaces[0].post_quantum, Some(true), "{name}");
        world.say(name, "followed");
        world.publish(name, &mut board);
    }
    for name in ["ada", "bob", "eve"] {
        world.fetch(name, &board);
        assert_eq!(world.bodies(name).len(), 6, "{name}");
        world.sound(name);
    }
    world.same(&["ada", "bob", "eve"]);
}
