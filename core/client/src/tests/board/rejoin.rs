//! Devices that lost their place in the group take it again without ever meeting a member.
use super::*;
use crate::tests::rejoin::lose_all_keys;

const REJOIN: Request = Request::Rejoin { space: None };

fn reinit(now: bool) -> Request {
    Request::Reinit { space: None, post_quantum: true, now }
}

impl World {
    fn sync(&mut self, name: &str, board: &mut MemoryBoard) -> (BoardFetched, BoardPublished) {
        (self.fetch(name, board), self.publish(name, board))
    }

    /// Goes round until nobody leaves anything any more.
    #[track_caller]
    fn sync_all(&mut self, names: &[&'static str], board: &mut MemoryBoard) {
        for round in 0.. {
            assert!(round < 12, "they never come together");
            let left: usize = names.iter().map(|name| self.sync(name, board).1.records).sum();
            if left == 0 {
                return;
            }
        }
    }

    /// All are in one epoch of one suite, in which nobody has a second leaf, and have the same of everything.
    #[track_caller]
    fn together(&mut self, names: &[&'static str], board: &mut MemoryBoard) {
        for name in names {
            self.say(name, &format!("{name} is here"));
        }
        self.sync_all(names, board);
        self.same(names);
        let group = |world: &mut World, name: &str| {
            let space = world.space(name);
            let group = world.of(name).current_group(&space).unwrap();
            (group.epoch_authenticator(), group.members().len())
        };
        let first = group(self, names[0]);
        assert_eq!(first.1, names.len());
        let bodies = self.bodies(names[0]);
        for name in names {
            assert_eq!(group(self, name), first, "{name}");
            assert_eq!(self.bodies(name), bodies, "{name}");
            assert!(bodies.contains(&format!("{name} is here")), "{name} is not heard: {bodies:?}");
            let space = self.space(name);
            assert_eq!(self.of(name).rejoins_at(&space).unwrap(), None, "{name}");
            self.sound(name);
        }
    }

    fn alarms(&self, name: &str) -> Vec<&Notice> {
        self.seen
            .get(name)
            .into_iter()
            .flatten()
            .filter(|notice| matches!(notice, Notice::Alarm { .. }))
            .collect()
    }
}

/// Members who have spoken, so that no ticket is needed any more.
fn those(names: &[&'static str], board: &mut MemoryBoard) -> World {
    let mut world = apart(names, board);
    for name in names {
        world.say(name, "before");
    }
    world.sync_all(names, board);
    world
}

fn club(board: &mut MemoryBoard) -> World {
    those(&["ada", "bob", "eve"], board)
}

#[test]
fn a_device_without_its_keys_takes_its_place_again() {
    let mut board = MemoryBoard::new();
    let mut world = club(&mut board);
    // Epochs go by that he never sees.
    lose_all_keys(world.of("bob"));
    for _ in 0..3 {
        world.ask("ada", Request::Renew { space: None });
    }
    world.say("eve", "meanwhile");
    world.ask("bob", REJOIN);
    let (_, told) = world.sync("bob", &mut board);
    assert_eq!(told.records, 1, "he asks");
    assert_eq!(world.sync("bob", &mut board).1.records, 0, "once");
    world.sync("ada", &mut board);
    let before = keys(&board);
    // Eve sees that Ada has answered; of what she leaves nothing is another answer.
    world.fetch("eve", &board);
    let (space, now) = (world.space("eve"), world.now);
    let bob = DeviceId(world.id("bob"));
    let door = crate::board::door(&space, &bob);
    let shelf = Shelf { board: board.id(), bucket: bucket(now), log: LogId::control(space), ticket: door.id };
    let hers = Stream::of(&shelf, &door, &DeviceId(world.id("eve"))).inner().key(0);
    let answer = Stream::of(&shelf, &door, &DeviceId(world.id("ada"))).inner().key(0);
    world.publish("eve", &mut board);
    assert!(before.contains(&answer) && !keys(&board).contains(&hers));

    let (told, _) = world.sync("bob", &mut board);
    assert_eq!((told.left, told.waiting), (0, vec![]));
    assert!(world.status("bob").spaces[0].epoch.is_some(), "he is in");
    assert_eq!(world.bodies("bob"), ["before", "before", "before", "meanwhile"]);
    for name in ["ada", "eve"] {
        let told = world.fetch(name, &board);
        assert_eq!((told.left, told.reasons), (0, vec![]), "{name}");
    }
    world.together(&["ada", "bob", "eve"], &mut board);
    let asked =
        world.of("bob").store.records(b"door-").count() + world.of("ada").store.records(b"door-").count();
    assert_eq!(asked, 0, "what it was asked with is forgotten");
    for name in ["ada", "bob", "eve"] {
        assert_eq!(world.alarms(name), Vec::<&Notice>::new(), "{name}");
    }
}

#[test]
fn whoever_was_left_out_of_a_move_asks_by_itself() {
    let mut board = MemoryBoard::new();
    let mut world = club(&mut board);
    world.ask("ada", reinit(true));
    world.ask("ada", Request::Renew { space: None });
    world.say("ada", "in the new group");
    world.publish("ada", &mut board);
    world.say("bob", "in the former one");
    let (told, _) = world.sync("bob", &mut board);
    assert!(told.waiting.iter().any(|why| why.contains("moved to another ciphersuite")), "{told:?}");
    world.sync("ada", &mut board);
    world.sync("bob", &mut board);
    assert_eq!(world.status("bob").spaces[0].post_quantum, Some(true));
    world.sync_all(&["ada", "bob", "eve"], &mut board);
    world.together(&["ada", "bob", "eve"], &mut board);
    let bodies = world.bodies("eve");
    assert!(
        ["in the new group", "in the former one"].iter().all(|body| bodies.contains(&(*body).to_owned()))
    );
    for name in ["ada", "bob", "eve"] {
        assert_eq!(world.alarms(name), Vec::<&Notice>::new(), "{name}");
    }
}

/// His invitation is for the former suite, and the space moves before he comes by it.
#[test]
fn a_newcomer_with_a_former_card_comes_in() {
    let mut board = MemoryBoard::new();
    let mut world = club(&mut board);
    world.enter("joe", 9);
    world.invite("ada", "joe", 10);
    world.ask("ada", reinit(true));
    world.publish("ada", &mut board);
    world.sync_all(&["ada", "bob", "eve", "joe"], &mut board);
    assert_eq!(world.status("joe").spaces[0].post_quantum, Some(true));
    world.together(&["ada", "bob", "eve", "joe"], &mut board);
}

/// Another commit leaves the epoch by which Bob rejoins, and neither knows of the other: whichever wins, all come together.
#[test]
fn a_race_is_made_good() {
    for round in 0..6 {
        let mut board = MemoryBoard::new();
        let mut world = club(&mut board);
        world.ask("ada", Request::RoleSet { space: None, member: "bob".into(), rank: 10 + 20 * (round % 3) });
        world.now += u64::from(round) * 7;
        world.sync_all(&["ada", "bob", "eve"], &mut board);
        lose_all_keys(world.of("bob"));
        world.ask("bob", REJOIN);
        world.sync("bob", &mut board);
        world.sync("ada", &mut board);
        world.ask("eve", Request::Renew { space: None });
        world.say("eve", "there");
        if round % 2 == 0 {
            // He may see the other commit, which he cannot follow.
            world.publish("eve", &mut board);
        }
        world.sync("bob", &mut board);
        world.say("bob", "here");
        world.publish("bob", &mut board);
        world.sync_all(&["ada", "bob", "eve"], &mut board);
        world.together(&["ada", "bob", "eve"], &mut board);
        let bodies = world.bodies("ada");
        assert!(["there", "here"].iter().all(|body| bodies.contains(&(*body).to_owned())), "{bodies:?}");
    }
}

/// A removed member's ask, another's in its name, an ask from before that is left again, and answers by those who are none any
/// more: nobody gets in, nobody answers twice, and nothing stops.
#[test]
fn nobody_else_is_answered_and_nobody_else_answers() {
    let mut board = MemoryBoard::new();
    let mut world = club(&mut board);
    let (space, now) = (world.space("ada"), world.now);
    let ids: BTreeMap<&str, DeviceId> =
        ["ada", "bob", "eve"].into_iter().map(|name| (name, DeviceId(world.id(name)))).collect();
    let put = |board: &mut MemoryBoard, door_of: &str, by: &str, number: u64, parcel: &[u8]| {
        let door = crate::board::door(&space, &ids[door_of]);
        let log = LogId::control(space);
        let shelf = Shelf { board: board.id(), bucket: bucket(now), log, ticket: door.id };
        for piece in cut(parcel, 20_000) {
            let stream = Stream::of(&shelf, &door, &ids[by]);
            let record = stream.inner().seal(number, &piece, now + BUCKET_MS, &mut Counter(number + 7));
            board.publish(&record, now).unwrap();
        }
    };
    lose_all_keys(world.of("eve"));
    world.ask("eve", REJOIN);
    let hers = world.of("eve").own_ask(&space).unwrap();
    world.ask("ada", Request::MemberRemove { space: None, member: "eve".into() });
    world.sync("ada", &mut board);
    world.sync("bob", &mut board);
    let (_, told) = world.sync("eve", &mut board);
    assert_eq!(told.records, 1);
    for name in ["ada", "bob"] {
        let (fetched, published) = world.sync(name, &mut board);
        assert_eq!((fetched.left, published.records), (0, 0), "{name} answers nobody who is out");
    }
    // Eve asks in Bob's name, and leaves rubbish behind his door.
    put(&mut board, "bob", "bob", 0, &Parcel::ask(&hers));
    put(&mut board, "bob", "bob", 1, &Parcel::ask(b"short"));
    put(&mut board, "bob", "ada", 0, &Parcel::answer(b"short"));
    let (fetched, published) = world.sync("ada", &mut board);
    assert_eq!((fetched.left, published.records), (2, 0), "{:?}", fetched.reasons);

    lose_all_keys(world.of("bob"));
    world.ask("bob", REJOIN);
    let his = world.of("bob").own_ask(&space).unwrap();
    // She answers what he asks, and signs it as herself; then in Ada's name.
    let epoch = world.of("ada").epoch(&space).unwrap();
    let made_up = world.of("ada").own_answer(&space, &his).unwrap();
    let mut forged = made_up.clone();
    forged[70] ^= 1;
    put(&mut board, "bob", "eve", 0, &Parcel::answer(&made_up));
    put(&mut board, "bob", "ada", 1, &Parcel::answer(&forged));
    let (fetched, _) = world.sync("bob", &mut board);
    assert!(fetched.left >= 2, "{:?}", fetched.reasons);
    assert!(world.status("bob").spaces[0].epoch.is_none(), "he is not in");
    // Ada does not take these for answers either.
    let (_, told) = world.sync("ada", &mut board);
    assert!(told.records > 0);
    world.sync("bob", &mut board);
    assert!(world.status("bob").spaces[0].epoch.is_some(), "he is in");
    assert_eq!(world.of("ada").epoch(&space).unwrap(), epoch, "Ada has not heard of it yet");
    world.sync_all(&["ada", "bob"], &mut board);
    world.together(&["ada", "bob"], &mut board);
    // What he asked before is over, whoever leaves it again.
    put(&mut board, "bob", "bob", 20, &Parcel::ask(&his));
    put(&mut board, "bob", "bob", 3, &Parcel::ask(&his));
    put(&mut board, "bob", "bob", 4, &Parcel::ask(&his));
    for name in ["ada", "bob"] {
        assert_eq!(world.sync(name, &mut board).1.records, 0, "{name}");
    }
    assert_eq!(world.of("ada").store.records(b"door-").count(), 0);
}

/// Somebody who is in the group and doubts it for what a member made up: one answer, and all is as it was.
#[test]
fn who_is_in_after_all_makes_no_commit() {
    let mut board = MemoryBoard::new();
    let mut world = club(&mut board);
    let space = world.space("bob");
    let epoch = world.of("bob").epoch(&space).unwrap();
    world.of("bob").doubt_place(&space).unwrap();
    for name in ["bob", "ada", "bob", "ada", "eve"] {
        world.sync(name, &mut board);
    }
    for name in ["ada", "bob", "eve"] {
        assert_eq!(world.of(name).epoch(&space).unwrap(), epoch, "{name}");
    }
    assert_eq!(world.of("bob").rejoins_at(&space).unwrap(), None);
    world.together(&["ada", "bob", "eve"], &mut board);
}

/// Nobody answers for months: what is asked is left in each bucket anew.
#[test]
fn it_is_asked_again_in_every_bucket() {
    let mut board = MemoryBoard::new();
    let mut world = club(&mut board);
    lose_all_keys(world.of("bob"));
    world.ask("bob", REJOIN);
    world.sync("bob", &mut board);
    world.sync("ada", &mut board);
    world.now += 4 * BUCKET_MS;
    board.collect(world.now).unwrap();
    assert_eq!(world.sync("bob", &mut board).1.records, 1);
    world.sync("ada", &mut board);
    world.sync_all(&["ada", "bob", "eve"], &mut board);
    world.together(&["ada", "bob", "eve"], &mut board);
}

/// One round: fetches and publishes as far as the power goes.
fn tries_to_sync(world: &mut World, name: &str, board: &mut MemoryBoard) {
    world.now += 1_000;
    let now = world.now;
    let client = world.of(name);
    while client.board_fetch(board, now).is_ok_and(|told| told.more) {}
    while client.board_publish(board, now).is_ok_and(|told| told.more) {}
}

/// The power fails at every write: of the device that asks and enters, and of the member that hears and answers.
#[test]
fn a_crash_at_any_write_is_made_good() {
    for (whom, is_left_out) in [("bob", false), ("ada", false), ("bob", true)] {
        for nth in 0.. {
            let mut board = MemoryBoard::new();
            let mut world = those(&["ada", "bob"], &mut board);
            if is_left_out {
                world.ask("ada", reinit(true));
                world.sync("ada", &mut board);
            } else {
                lose_all_keys(world.of("bob"));
            }
            let storage = world.devices[whom].1.clone();
            let fails_at = storage.operations() + nth;
            storage.fail_at(fails_at, Fault::PowerCut);
            if !is_left_out {
                let _ = world.try_ask("bob", REJOIN);
            }
            for name in ["bob", "ada", "bob", "ada"] {
                tries_to_sync(&mut world, name, &mut board);
            }
            let is_over = storage.operations() <= fails_at;
            let storage = storage.crash();
            let boxed: Box<dyn Storage> = Box::new(storage.clone());
            let entropy = Box::new(Counter((90 + nth) << 32));
            let client = Client::open(boxed, &mut passphrase("secret"), entropy).unwrap();
            world.devices.insert(whom, (client, storage));
            let space = world.space("bob");
            if !is_left_out && world.of("bob").epoch(&space).is_err() {
                world.ask("bob", REJOIN);
            }
            world.sync_all(&["ada", "bob"], &mut board);
            world.together(&["ada", "bob"], &mut board);
            assert_eq!(world.bodies("bob")[..2], ["before", "before"], "{whom} at {nth}");
            if is_over {
                assert!(nth >= 4, "{whom} writes {nth} times");
                break;
            }
        }
    }
}
