//! People who invite each other by what their devices left on a board, without passing a card.
mod adversaries;
mod simulation;

use super::*;
use crate::DirectoryError;
use crate::api::{Invited, PendingInvitation, SupplyStatus};
use crate::directory::{GRACE_MS, LOW, Offered, SINGLE_USE, STOCK, Supply, hash_of};
use crate::rejoin::rejoin_name;
use terachat_core_store::store::dht_adapter::{BoardStream, DirectoryStream};
use terachat_event::UserId;
use terachat_group::CipherSuite;

const DAY_MS: u64 = 24 * 3600 * 1000;

impl World {
    fn offer(&mut self, name: &str, board: &mut dyn Board, post_quantum: bool) -> BoardPublished {
        self.now += 1_000;
        let now = self.now;
        match self.of(name).card_publish(board, post_quantum, now).unwrap() {
            Answer::BoardPublished(told) => told,
            other => panic!("{other:?}"),
        }
    }

    fn try_invite_person(
        &mut self,
        host: &str,
        space: &str,
        person: &str,
        board: &mut dyn Board,
    ) -> Result<Invited, Error> {
        self.now += 1_000;
        let now = self.now;
        let answer = self.of(host).board_invite(board, Some(space), person, None, now)?;
        self.settle();
        match answer {
            Answer::Invited(told) => Ok(told),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn invite_person(&mut self, host: &str, space: &str, guest: &str, board: &mut dyn Board) -> Invited {
        let user = self.user(guest).to_string();
        let told = self.try_invite_person(host, space, &user, board);
        let told = told.unwrap_or_else(|error| panic!("{host} invites {guest}: {error}"));
        self.publish(host, board);
        told
    }

    fn user(&mut self, name: &str) -> UserId {
        self.of(name).identity.user_id()
    }

    fn supply(&mut self, name: &str) -> (Vec<SupplyStatus>, Vec<PendingInvitation>) {
        match self.ask(name, Request::CardStatus) {
            Answer::Supply { boards, invitations } => (boards, invitations),
            other => panic!("{other:?}"),
        }
    }

    /// Key packages by which `space` admitted devices of a user, in the order of their admissions.
    fn admitted_by(&mut self, host: &str, space: &str, user: &UserId) -> Vec<Vec<u8>> {
        let client = self.of(host);
        let space = client.space(Some(space)).unwrap();
        let control = client.store.control(&space).unwrap().unwrap();
        let ops = control.events().flat_map(|(event, _)| &event.transaction.0);
        let by = ops.filter_map(|op| match op {
            ControlOp::Admit { card, key_package, .. } if card.user == *user => Some(key_package.clone()),
            _ => None,
        });
        by.collect()
    }

    fn founds(&mut self, name: &str, space: &str, post_quantum: bool) {
        self.ask(name, Request::SpaceCreate { name: space.into(), post_quantum });
        let channel = Request::ChannelCreate {
            space: Some(space.into()),
            name: "general".into(),
            forum: false,
            since_join: false,
        };
        self.ask(name, channel);
    }

    /// Accepts, reads what is there, and says something, which the host hears.
    #[track_caller]
    fn accept(&mut self, guest: &str, space: &str, host: &str, board: &mut dyn Board) {
        self.ask(guest, Request::Join { invitation: space.into() });
        self.fetch(guest, board);
        self.is_heard(guest, space, host, board);
    }

    #[track_caller]
    fn is_heard(&mut self, guest: &str, space: &str, host: &str, board: &mut dyn Board) {
        let place = || Place { space: Some(space.into()), channel: Some("general".into()) };
        let words = format!("{guest} is in {space}");
        self.say_in(place(), guest, &words);
        self.publish(guest, board);
        self.fetch(host, board);
        let heard = self.messages_in(place(), host);
        assert!(heard.iter().any(|message| message.body == words), "{host} does not hear {guest}");
    }
}

/// The streams of a user's directory that are read now.
fn directory_of(user: &UserId, now: u64) -> DirectoryStream {
    DirectoryStream::derive(user, bucket(now)).unwrap()
}

/// All supplies that stand there.
fn supplies(board: &MemoryBoard, user: &UserId, now: u64) -> Vec<Supply> {
    let stream = directory_of(user, now);
    let mut joiner = terachat_core_store::store::dht_adapter::Joiner::default();
    let mut all = Vec::new();
    for number in 0.. {
        let Some(record) = board.fetch(&stream.key(number), now).unwrap() else { break };
        if let Some(bytes) = joiner.push(stream.open(number, &record).unwrap()) {
            all.push(Supply::parse(&bytes, user).unwrap());
        }
    }
    all
}

/// Takes a key package, as whoever knows it can.
fn spoil(board: &mut dyn Board, key_package: &[u8], number: u64, now: u64) {
    let piece = Piece { first: true, last: true, bytes: b"mine".to_vec() };
    let record =
        BoardStream::claims(&hash_of(key_package)).seal(number, &piece, now + DAY_MS, &mut Counter(7));
    board.publish(&record, now).unwrap();
}

#[test]
fn who_is_known_by_an_id_is_invited_to_spaces_of_either_suite() {
    let mut board = MemoryBoard::new();
    let mut world = World::new(&["ada", "bob"]);
    world.founds("ada", "club", false);
    world.founds("ada", "vault", true);
    assert_eq!(world.publish("bob", &mut board).key_packages, 0, "nobody is found who did not want to be");
    let told = world.offer("bob", &mut board, true);
    assert_eq!(told.key_packages, 2 * (SINGLE_USE + 1));
    for space in ["club", "vault"] {
        let told = world.invite_person("ada", space, "bob", &mut board);
        assert_eq!((told.devices.len(), told.last_resort, told.skipped.len()), (1, 0, 0));
    }
    let told = world.fetch("bob", &board);
    assert_eq!((told.invitations, told.left), (2, 0));
    let (boards, invitations) = world.supply("bob");
    assert_eq!((boards[0].single_use, boards[0].used, boards[0].last_resort), (2 * SINGLE_USE - 2, 2, 2));
    assert_eq!(invitations.len(), 2);
    assert!(invitations.iter().all(|it| it.by == "ada"));
    for space in ["club", "vault"] {
        world.accept("bob", space, "ada", &mut board);
    }
    assert!(world.supply("bob").1.is_empty());
    assert_eq!(world.fetch("bob", &board).invitations, 0, "each is heard once");
    world.sound("ada");
    world.sound("bob");
}

/// Whoever keeps the board sees records of a few sizes and no name in them; whoever knows the user finds them.
#[test]
fn what_stands_on_the_board_names_nobody() {
    let mut board = MemoryBoard::new();
    let mut world = World::new(&["ada", "bob"]);
    world.founds("ada", "club", false);
    world.offer("bob", &mut board, false);
    world.invite_person("ada", "club", "bob", &mut board);
    let (user, now) = (world.user("bob"), world.now);
    let named = [user.0, world.id("bob"), world.user("ada").0, world.id("ada"), world.space("ada").0];
    for key in keys(&board) {
        let record = board.fetch(&key, now).unwrap().unwrap();
        for id in &named {
            assert!(!record.bytes().windows(32).any(|part| part == id), "a record names somebody");
        }
        assert!([1, 2, 4, 8, 14].contains(&(record.bytes().len() >> 10)), "{}", record.bytes().len());
    }
    let held = supplies(&board, &user, now);
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].packages.len(), SINGLE_USE + 1);
    assert!(held[0].packages.iter().filter(|it| it.last_resort).count() == 1);
}

#[test]
fn what_was_used_is_replenished_and_the_last_resort_replaced() {
    let mut board = MemoryBoard::new();
    let mut world = World::new(&["ada", "bob"]);
    world.offer("bob", &mut board, false);
    let (user, now) = (world.user("bob"), world.now);
    let first = supplies(&board, &user, now).remove(0);
    let single_use: Vec<Vec<u8>> =
        first.packages.iter().filter(|it| !it.last_resort).map(|it| it.bytes.clone()).collect();
    for used in &single_use[..SINGLE_USE - LOW - 1] {
        spoil(&mut board, used, 0, now);
    }
    world.fetch("bob", &board);
    assert_eq!(world.publish("bob", &mut board).key_packages, 0, "enough are left");
    spoil(&mut board, &single_use[SINGLE_USE - 1], 0, now);
    world.fetch("bob", &board);
    assert_eq!(world.publish("bob", &mut board).key_packages, SINGLE_USE - LOW);
    assert_eq!(world.publish("bob", &mut board).key_packages, 0, "once");
    assert_eq!(world.supply("bob").0[0].single_use, SINGLE_USE);

    let last = first.packages.iter().find(|it| it.last_resort).unwrap().bytes.clone();
    spoil(&mut board, &last, 0, now);
    world.fetch("bob", &board);
    assert_eq!(world.publish("bob", &mut board).key_packages, 1, "another of last resort");
    let all = supplies(&board, &user, world.now);
    assert_eq!(all.len(), 3);
    assert!(all[2].packages[0].last_resort && all[2].packages[0].bytes != last);
    // The former one's private part opens what was sealed for it, for a while yet.
    let holds = |world: &mut World, hash: [u8; 32]| {
        world.of("bob").store.records(STOCK).any(|(name, _)| name.ends_with(&hash))
    };
    assert!(holds(&mut world, hash_of(&last)));
    world.now += GRACE_MS;
    world.publish("bob", &mut board);
    assert!(!holds(&mut world, hash_of(&last)), "and then nobody's");
    assert!(!holds(&mut world, hash_of(&single_use[0])));
}

#[test]
fn a_new_bucket_brings_new_ones_and_old_ones_hold_until_they_expire() {
    let mut board = MemoryBoard::new();
    let mut world = World::new(&["ada", "bob"]);
    world.founds("ada", "club", false);
    world.founds("ada", "later", false);
    world.offer("bob", &mut board, false);
    world.now += BUCKET_MS;
    // Bob was away: what he left in the last bucket is still good.
    world.invite_person("ada", "club", "bob", &mut board);
    assert_eq!(world.publish("bob", &mut board).key_packages, SINGLE_USE + 1);
    assert_eq!(world.fetch("bob", &board).invitations, 1);
    world.accept("bob", "club", "ada", &mut board);
    let count = |world: &mut World| world.of("bob").store.records(STOCK).count();
    assert_eq!(count(&mut world), 2 * (SINGLE_USE + 1));
    world.now += BUCKET_MS + GRACE_MS;
    world.publish("bob", &mut board);
    assert_eq!(
        count(&mut world),
        2 * (SINGLE_USE + 1),
        "those of the first bucket are gone, a third's there"
    );
    world.now += 3 * BUCKET_MS;
    let user = world.user("bob").to_string();
    let nobody = world.try_invite_person("ada", "later", &user, &mut board);
    assert!(matches!(nobody, Err(Error::Directory(DirectoryError::Nobody(_)))), "{nobody:?}");
}

/// Single-use private parts go when the epoch they opened is as far back as those of which no state is kept.
#[test]
fn a_used_private_part_is_destroyed() {
    let mut board = MemoryBoard::new();
    let mut world = World::new(&["ada", "bob"]);
    world.founds("ada", "club", false);
    world.offer("bob", &mut board, false);
    world.invite_person("ada", "club", "bob", &mut board);
    world.fetch("bob", &board);
    world.accept("bob", "club", "ada", &mut board);
    let user = world.user("bob");
    let hash = hash_of(&world.admitted_by("ada", "club", &user)[0]);
    for nth in 0..8 {
        let holds = world.of("bob").store.records(STOCK).any(|(name, _)| name.ends_with(&hash));
        assert!(holds, "after {nth} commits");
        world.ask("ada", Request::Renew { space: None });
        world.publish("ada", &mut board);
        world.fetch("bob", &board);
    }
    assert!(!world.of("bob").store.records(STOCK).any(|(name, _)| name.ends_with(&hash)));
    world.is_heard("bob", "club", "ada", &mut board);
}

/// Whoever accepts after the private part was destroyed is a member all the same, and takes the place by itself.
#[test]
fn who_accepts_too_late_rejoins_by_itself() {
    let mut board = MemoryBoard::new();
    let mut world = World::new(&["ada", "bob"]);
    world.founds("ada", "club", false);
    world.offer("bob", &mut board, false);
    world.invite_person("ada", "club", "bob", &mut board);
    world.fetch("bob", &board);
    world.now += GRACE_MS;
    world.publish("bob", &mut board);
    world.ask("bob", Request::Join { invitation: "club".into() });
    world.fetch("bob", &board);
    let space = world.space("bob");
    assert!(world.of("bob").epoch(&space).is_err() && world.of("bob").rejoins_at(&space).unwrap().is_some());
    for name in ["bob", "ada", "bob", "ada"] {
        world.fetch(name, &board);
        world.publish(name, &mut board);
    }
    world.is_heard("bob", "club", "ada", &mut board);
    world.same(&["ada", "bob"]);
    assert!(world.of("bob").store.record(&rejoin_name(&space)).is_some_and(|done| done.len() == 32));
}

#[test]
fn withdrawn_means_no_more_of_them() {
    let mut board = MemoryBoard::new();
    let mut world = World::new(&["ada", "bob"]);
    world.founds("ada", "club", false);
    world.offer("bob", &mut board, false);
    world.ask("bob", Request::CardWithdraw);
    world.now += BUCKET_MS;
    assert_eq!(world.publish("bob", &mut board).key_packages, 0);
    assert!(world.supply("bob").0.is_empty());
    // What stands there still serves.
    world.invite_person("ada", "club", "bob", &mut board);
    assert_eq!(world.fetch("bob", &board).invitations, 1);
    world.accept("bob", "club", "ada", &mut board);
}

/// Everything that the two do, as far as it goes.
fn goes_on(world: &mut World, board: &mut MemoryBoard) {
    world.now += 1_000;
    let (now, user) = (world.now, world.user("bob").to_string());
    let _ = world.of("bob").card_publish(board, false, now);
    let _ = world.of("ada").board_invite(board, Some("club"), &user, None, now);
    for name in ["ada", "bob", "ada"] {
        let client = world.of(name);
        while client.board_fetch(board, now).is_ok_and(|told| told.more) {}
        while client.board_publish(board, now).is_ok_and(|told| told.more) {}
        if name == "bob" {
            let _ = client.execute(Request::Join { invitation: "club".into() }, now);
        }
    }
}

/// The power fails at every write, of the device that offers, hears and joins, and of the one that claims and admits.
#[test]
fn a_crash_at_any_write_is_made_good() {
    for whom in ["bob", "ada"] {
        for nth in 0.. {
            let mut board = MemoryBoard::new();
            let mut world = World::new(&["ada", "bob"]);
            world.founds("ada", "club", false);
            let storage = world.devices[whom].1.clone();
            let fails_at = storage.operations() + nth;
            storage.fail_at(fails_at, Fault::PowerCut);
            goes_on(&mut world, &mut board);
            let is_over = storage.operations() <= fails_at;
            let storage = storage.crash();
            let boxed: Box<dyn Storage> = Box::new(storage.clone());
            let entropy = Box::new(Counter((90 + nth) << 32));
            let client = Client::open(boxed, &mut passphrase("secret"), entropy).unwrap();
            world.devices.insert(whom, (client, storage));
            for _ in 0..3 {
                goes_on(&mut world, &mut board);
            }
            world.is_heard("bob", "club", "ada", &mut board);
            world.same(&["ada", "bob"]);
            let user = world.user("bob");
            assert_eq!(world.admitted_by("ada", "club", &user).len(), 1, "{whom} at {nth}");
            let (boards, invitations) = world.supply("bob");
            let told = (boards[0].single_use, boards[0].used, boards[0].last_resort, invitations.len());
            assert_eq!(told, (SINGLE_USE - 1, 1, 1, 0), "{whom} at {nth}");
            if is_over {
                assert!(nth >= 4, "{whom} writes {nth} times");
                break;
            }
        }
    }
}
