//! All that makes a commit over a board that orders them waits for its turn, whatever it was asked as.
use super::*;
use crate::tests::backup::{enter_restored, export};
use crate::tests::rejoin::lose_all_keys;

const DAY_MS: u64 = 86_400_000;
const MEMBERS: [&str; 3] = ["ada", "bob", "cyd"];

type Act<'a> = &'a mut dyn FnMut(&mut World, &mut Ordered) -> Result<Answer, Error>;

impl World {
    fn chain(&mut self, name: &str) -> Vec<EventHash> {
        let space = self.space(name);
        self.of(name).epochs(&space).unwrap()
    }

    /// Bob has committed and not left it yet when ada does something: she is told so and makes no commit, and then it lands on top of his.
    #[track_caller]
    fn waits_behind_bob(&mut self, board: &mut Ordered, act: Act<'_>) -> Answer {
        self.exchange(&["ada", "bob"], board);
        board.is_cut_off = true;
        let made = self.execute("bob", board, &renewal());
        assert!(matches!(made, Err(Error::NotLeft(_))), "{made:?}");
        board.is_cut_off = false;
        let before = self.chain("ada");
        let told = act(self, board);
        assert!(is_behind(&told), "{told:?}");
        assert_eq!(self.chain("ada"), before, "she has committed");
        self.publish("bob", board);
        let done = act(self, board).unwrap();
        let (hers, his) = (self.chain("ada"), self.chain("bob"));
        assert!(hers.len() > his.len() && hers[..his.len()] == his, "it is not on top of what came first");
        self.exchange(&["ada", "bob"], board);
        assert_eq!(self.lost("ada"), 0);
        done
    }

    /// Invites whoever has offered key packages on the board.
    fn invite_by(&mut self, board: &mut Ordered, host: &str, user: &str) -> Result<Answer, Error> {
        self.pass(board, 100);
        let now = self.now;
        let told = self.of(host).board_invite(board, None, user, None, now);
        self.settle();
        told
    }
}

fn ask(
    name: &'static str,
    request: Request,
) -> impl FnMut(&mut World, &mut Ordered) -> Result<Answer, Error> {
    move |world, board| world.execute(name, board, &request)
}

#[test]
fn whatever_commits_waits_for_its_turn() {
    let mut board = Ordered::new(Manner::Honest);
    let mut world = apart(&["ada", "bob"], &mut board);
    world.say("ada", "hello");
    let backup = export(&mut world, "ada");
    enter_restored(&mut world, "phone", &backup);
    world.enter("eve", 91);

    let add = Request::DeviceAdd { card: world.card("phone") };
    let added = world.waits_behind_bob(&mut board, &mut ask("ada", add));
    assert!(matches!(&added, Answer::Invitations { invitations } if invitations.len() == 1), "{added:?}");
    let revoke = Request::DeviceRevoke { device: DeviceId(world.id("phone")).to_string() };
    let revoked = world.waits_behind_bob(&mut board, &mut ask("ada", revoke));
    assert_eq!(revoked, Answer::Revoked { spaces: 1 });

    let (now, user) = (world.now, world.of("eve").identity.user_id().to_string());
    world.of("eve").card_publish(&mut board, false, now).unwrap();
    let begun = |world: &mut World| world.of("ada").store.records(b"inviting/").count();
    let invited = world.waits_behind_bob(&mut board, &mut |world, board| {
        let told = world.invite_by(board, "ada", &user);
        assert_eq!(begun(world), 0, "a key package is used up before its turn");
        told
    });
    assert!(matches!(&invited, Answer::Invited(told) if told.devices.len() == 1), "{invited:?}");

    let reinit = Request::Reinit { space: None, post_quantum: true, now: true };
    let moved = world.waits_behind_bob(&mut board, &mut ask("ada", reinit));
    assert!(matches!(moved, Answer::Moved { moved: true, .. }), "{moved:?}");
    world.one(&["ada", "bob"], &mut board);
    assert_eq!(world.lost("ada"), 0);
}

/// A revocation is one request and a commit in each space. Where another member's comes first it waits, and nowhere else.
#[test]
fn a_device_is_revoked_in_each_space_as_soon_as_it_can_be() {
    let mut board = Ordered::new(Manner::Honest);
    let mut world = apart(&["ada", "bob"], &mut board);
    world.say("ada", "hello");
    let backup = export(&mut world, "ada");
    enter_restored(&mut world, "phone", &backup);
    world.ask("ada", Request::SpaceCreate { name: "guild".into(), post_quantum: false });
    let add = Request::DeviceAdd { card: world.card("phone") };
    world.execute("ada", &mut board, &add).unwrap();
    world.exchange(&["ada", "bob"], &mut board);

    board.is_cut_off = true;
    assert!(matches!(world.execute("bob", &mut board, &renewal()), Err(Error::NotLeft(_))));
    board.is_cut_off = false;
    let phone = DeviceId(world.id("phone"));
    let revoke = Request::DeviceRevoke { device: phone.to_string() };
    let told = world.execute("ada", &mut board, &revoke);
    assert!(is_behind(&told), "{told:?}");
    let revoked = |world: &mut World| -> Vec<String> {
        let client = world.of("ada");
        let spaces = client.store.spaces().filter_map(|space| client.store.space(&space));
        let told = spaces.filter(|state| state.revocations().any(|it| it.device == phone));
        told.map(|state| state.name.clone()).collect()
    };
    assert_eq!(revoked(&mut world), ["guild"]);
    world.publish("bob", &mut board);
    assert_eq!(world.execute("ada", &mut board, &revoke).unwrap(), Answer::Revoked { spaces: 2 });
    assert_eq!(revoked(&mut world).len(), 2);
    world.exchange(&["ada", "bob"], &mut board);
    assert_eq!(world.lost("bob"), 0);
}

/// Whoever is alone in a space has offered keys as soon as it asks for another suite, and has moved by the answer.
#[test]
fn a_move_that_nobody_else_is_waited_for_is_answered_when_it_is_made() {
    let mut board = Ordered::new(Manner::Honest);
    let mut world = apart(&["ada"], &mut board);
    let reinit = Request::Reinit { space: None, post_quantum: true, now: false };
    let moved = world.execute("ada", &mut board, &reinit).unwrap();
    assert!(matches!(moved, Answer::Moved { moved: true, .. }), "{moved:?}");
    assert!(board.claims.get() > 0, "nobody was asked");
}

/// Three whose keys have served their time speak on the same day, each by itself. With an order they renew one after the other when they
/// next exchange; without one all do at once, and two do it again.
#[test]
fn renewals_that_are_due_at_once_wait_for_their_turns() {
    for manner in [Manner::Honest, Manner::Not] {
        let mut board = Ordered::new(manner);
        let mut world = apart(&MEMBERS, &mut board);
        for name in MEMBERS {
            world.say(name, "its time begins");
        }
        world.exchange(&MEMBERS, &mut board);
        world.pass(&mut board, 7 * DAY_MS - DAY_MS / 2);
        world.exchange(&MEMBERS, &mut board);
        world.pass(&mut board, DAY_MS / 2);
        let before = world.chain("ada").len();
        for name in MEMBERS {
            world.say(name, "due");
            world.say(name, "and once more");
            let now = world.chain(name).len();
            assert_eq!(now, before + usize::from(manner == Manner::Not), "{manner:?}: {name}");
        }
        world.one(&MEMBERS, &mut board);
        let (lost, renewed) = (world.lost("ada"), world.chain("ada").len() - before);
        match manner {
            Manner::Honest => assert_eq!((lost, renewed), (0, 3)),
            _ => assert!(lost >= 2, "{lost} lost, {renewed} did not"),
        }
        for name in MEMBERS {
            assert_eq!(world.of(name).store.records(b"renewal-put-off/").count(), 0, "{name}");
        }
    }
}

/// A renewal waits for a day and for as many messages again, whoever does not look at the board meanwhile.
#[test]
fn a_renewal_waits_for_no_longer_than_a_day() {
    let mut board = Ordered::new(Manner::Honest);
    let mut world = apart(&["ada", "bob"], &mut board);
    world.ask("ada", Request::Renewal { space: None, days: Some(2), messages: Some(100) });
    world.say("ada", "my time begins");
    world.exchange(&["ada", "bob"], &mut board);
    let start = world.chain("ada").len();
    // What was read long ago is no promise.
    world.pass(&mut board, 3 * DAY_MS);
    world.say("ada", "due");
    assert_eq!(world.chain("ada").len(), start + 1, "the board was not read for days");
    world.exchange(&["ada", "bob"], &mut board);
    world.pass(&mut board, 2 * DAY_MS - DAY_MS / 2);
    world.exchange(&["ada", "bob"], &mut board);
    world.pass(&mut board, DAY_MS / 2);
    world.say("ada", "due");
    assert_eq!(world.chain("ada").len(), start + 1, "it waits");
    world.pass(&mut board, DAY_MS);
    world.say("ada", "still due");
    assert_eq!(world.chain("ada").len(), start + 2, "and no longer");
    world.exchange(&["ada", "bob"], &mut board);
    for round in 0..199 {
        world.say("ada", "on and on");
        let made = world.chain("ada").len();
        assert_eq!(made, start + 2, "after {round}");
    }
    world.say("ada", "twice as many");
    assert_eq!(world.chain("ada").len(), start + 3);
    world.one(&["ada", "bob"], &mut board);
    assert_eq!(world.lost("ada"), 0);
}

/// Bob has lost his keys and was answered by the board, which gives him what it takes to claim a turn. Whoever commits on the same
/// epoch comes before him or behind him, not beside him.
#[test]
fn who_takes_the_own_place_again_waits_for_its_turn() {
    for bob_is_first in [false, true] {
        let mut board = Ordered::new(Manner::Honest);
        let mut world = apart(&MEMBERS, &mut board);
        for name in MEMBERS {
            world.say(name, "before");
        }
        world.exchange(&MEMBERS, &mut board);
        lose_all_keys(world.of("bob"));
        world.ask("bob", Request::Rejoin { space: None });
        world.publish("bob", &mut board);
        for name in ["ada", "cyd"] {
            world.fetch(name, &board);
            world.publish(name, &mut board);
        }
        let (before, space) = (world.chain("ada"), world.space("bob"));
        if bob_is_first {
            world.fetch("bob", &board);
            assert_eq!(world.of("bob").rejoins_at(&space).unwrap(), None, "he is in");
            let told = world.execute("cyd", &mut board, &renewal());
            assert!(is_behind(&told), "{told:?}");
        } else {
            board.is_cut_off = true;
            let made = world.execute("cyd", &mut board, &renewal());
            assert!(matches!(made, Err(Error::NotLeft(_))), "{made:?}");
            board.is_cut_off = false;
            world.fetch("bob", &board);
            assert_eq!(world.of("bob").rejoins_at(&space).unwrap(), before.last().copied(), "he is not");
        }
        world.one(&MEMBERS, &mut board);
        assert_eq!(world.lost("ada"), 0, "first: {bob_is_first}");
    }
}

/// Most commands are processes of their own. A board that says for ever that another comes first is believed for 15 s all the same.
#[test]
fn patience_is_one_however_many_processes_wait() {
    let (names, mut board) = (["ada", "bob"], Ordered::new(Manner::Not));
    let mut world = apart(&names, &mut board);
    world.exchange(&names, &mut board);
    board.manner = Manner::Lying;
    let (begun, mut tries) = (world.now, 0_u64);
    loop {
        board.claims.set(0);
        let done = world.execute("bob", &mut board, &renewal());
        if !is_behind(&done) {
            assert_eq!(done.unwrap(), Answer::Done);
            break;
        }
        world.pass(&mut board, 900);
        tries += 1;
        assert!(tries < 40, "it waits for ever");
        let storage = world.devices["bob"].1.crash();
        let opened = Client::open(
            Box::new(storage.clone()),
            &mut passphrase("secret"),
            Box::new(Counter((50 + tries) << 40)),
        );
        world.devices.insert("bob", (opened.unwrap(), storage));
    }
    assert!(tries > 10 && world.now - begun < PATIENCE_MS + 2_000, "{tries} tries");
    board.manner = Manner::Silent;
    world.one(&names, &mut board);
    assert_eq!(world.lost("ada"), 0);
}
