//! Commits that a board puts into an order, and boards that do so badly: everybody ends in one epoch in any case.
mod kinds;

use super::*;
use crate::order::{Claim, PATIENCE_MS};
use std::cell::{Cell, RefCell};
use terachat_core_store::sync::board::Order;
use terachat_event::EventHash;

/// What a board makes of claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It orders nothing.
    Not,
    /// The first one stands until it ends.
    Honest,
    /// It forgets what stood, every other time.
    Forgetful,
    /// It tells everybody that it is their turn, or nobody, as it likes.
    Lying,
    /// It does not answer.
    Silent,
}

/// A value in a slot, and until when it stands.
type Stands = ([u8; 32], u64);

/// A board in memory by which commits are ordered. What is left may not get there.
struct Ordered {
    board: MemoryBoard,
    manner: Manner,
    stands: RefCell<BTreeMap<[u8; 32], Stands>>,
    claims: Cell<u64>,
    now: u64,
    is_cut_off: bool,
}

impl Ordered {
    fn new(manner: Manner) -> Self {
        let (stands, claims) = (RefCell::default(), Cell::new(0));
        Self { board: MemoryBoard::new(), manner, stands, claims, now: 0, is_cut_off: false }
    }
}

impl Board for Ordered {
    fn id(&self) -> [u8; 16] {
        self.board.id()
    }

    fn record_len_max(&self) -> usize {
        self.board.record_len_max()
    }

    fn publish(&mut self, record: &BoardRecord, now_ms: u64) -> Result<Published, BoardError> {
        match self.is_cut_off {
            true => Err(BoardError::Failed("the way to the board is cut".to_owned())),
            false => self.board.publish(record, now_ms),
        }
    }

    fn fetch(&self, key: &RecordKey, now_ms: u64) -> Result<Option<BoardRecord>, BoardError> {
        self.board.fetch(key, now_ms)
    }

    fn list(&self, after: &Cursor, max: usize) -> Result<Listing, BoardError> {
        self.board.list(after, max)
    }

    fn collect(&mut self, now_ms: u64) -> Result<usize, BoardError> {
        self.board.collect(now_ms)
    }

    fn order(&self) -> Option<&dyn Order> {
        (self.manner != Manner::Not).then_some(self)
    }
}

impl Order for Ordered {
    fn claim(&self, slot: &[u8; 32], value: &[u8; 32], life_ms: u64) -> Result<[u8; 32], BoardError> {
        self.claims.set(self.claims.get() + 1);
        let nth = self.claims.get();
        let mut stands = self.stands.borrow_mut();
        match self.manner {
            Manner::Silent | Manner::Not => return Err(BoardError::Failed("nobody answers".to_owned())),
            Manner::Lying if nth.is_multiple_of(3) => return Ok(*value),
            Manner::Lying => return Ok([7; 32]),
            Manner::Forgetful if nth.is_multiple_of(2) => stands.clear(),
            Manner::Forgetful | Manner::Honest => {}
        }
        let (stood, until) = stands.get(slot).copied().unwrap_or((*value, 0));
        let is_free = until <= self.now || stood == *value;
        if is_free {
            stands.insert(*slot, (*value, until.max(self.now + life_ms)));
        }
        Ok(if is_free { *value } else { stood })
    }
}

impl World {
    /// Some time passes, and a device does something whose commits are ordered.
    fn execute(&mut self, name: &str, board: &mut Ordered, request: &Request) -> Result<Answer, Error> {
        self.pass(board, 100);
        let now = self.now;
        let done = self.of(name).board_execute(board, request, now);
        self.settle();
        done
    }

    fn pass(&mut self, board: &mut Ordered, millis: u64) {
        self.now += millis;
        board.now = self.now;
    }

    /// Everybody fetches and leaves until nobody has anything new.
    fn exchange(&mut self, names: &[&'static str], board: &mut Ordered) {
        board.is_cut_off = false;
        for round in 0.. {
            assert!(round < 40, "they never come to an end");
            let mut moved = 0;
            for name in names {
                moved += self.fetch(name, board).added;
                board.now = self.now;
                let left = self.publish(name, board);
                moved += left.records + usize::from(left.behind);
                // Whoever waits for another's commit does so for a while.
                self.pass(board, 1_000);
            }
            if moved == 0 {
                return;
            }
        }
    }

    /// Commits that count and made no epoch: those that lost.
    fn lost(&mut self, name: &str) -> usize {
        let space = self.space(name);
        let client = self.of(name);
        let chain = client.epochs(&space).unwrap();
        let control = client.store.control(&space).unwrap().unwrap();
        control.commits().filter(|(hash, _)| !chain.contains(hash)).count()
    }

    /// One epoch, one secret, which follows from the transcript that its confirmation tag was checked against; all members inside;
    /// and everybody is heard by everybody.
    fn one(&mut self, names: &[&'static str], board: &mut Ordered) {
        self.exchange(names, board);
        let tips: BTreeSet<(EventHash, Vec<u8>, BTreeSet<[u8; 32]>)> = names
            .iter()
            .map(|name| {
                let space = self.space(name);
                let client = self.of(name);
                let commit = client.epoch(&space).unwrap().commit;
                let group = client.group(&space, &commit).unwrap().unwrap();
                let secret = group.epoch_secret(crate::membership::EPOCH_LABEL).expose_secret().to_vec();
                (commit, secret, group.members().into_iter().collect())
            })
            .collect();
        assert_eq!(tips.len(), 1, "they are in different epochs");
        for name in names {
            assert!(tips.first().unwrap().2.contains(&self.id(name)), "{name} is outside");
            self.say(name, &format!("{name} is here"));
        }
        self.exchange(names, board);
        for name in names {
            let bodies = self.bodies(name);
            assert!(names.iter().all(|of| bodies.contains(&format!("{of} is here"))), "{name}: {bodies:?}");
            self.sound(name);
        }
        self.same(names);
    }
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (n ^ (n >> 31)) % bound
    }
}

const MEMBERS: [&str; 4] = ["ada", "bob", "cyd", "dan"];
const GUESTS: [&str; 3] = ["eve", "fay", "gus"];

/// Several rounds in which several members change the group at the same time: what one makes is left a while later, when others have
/// begun. Gives back how many commits lost.
fn play(seed: u64, manner: Manner) -> usize {
    let mut dice = Dice(seed);
    let members = &MEMBERS[..3 + dice.below(2) as usize];
    let mut board = Ordered::new(manner);
    let mut world = apart(members, &mut board);
    for (n, guest) in (90..).zip(GUESTS) {
        world.enter(guest, n);
    }
    world.exchange(members, &mut board);
    let mut guests = GUESTS.iter();
    for _ in 0..3 {
        let mut waiting: Vec<(&str, Request)> = Vec::new();
        for name in members.iter().copied().filter(|_| dice.below(4) > 0).collect::<Vec<_>>() {
            let guest = if name == "ada" && dice.below(2) == 0 { guests.next() } else { None };
            let request = match guest {
                Some(guest) => Request::Invite { space: None, card: world.card(guest), rank: Some(10) },
                None => Request::Renew { space: None },
            };
            waiting.push((name, request));
        }
        // Who has committed and not left it yet, and when it will.
        let mut made: Vec<(&str, u64)> = Vec::new();
        for step in 0.. {
            assert!(step < 1_000, "they wait for each other for ever");
            world.pass(&mut board, 200 + dice.below(600));
            if let Some(at) = made.iter().position(|(_, due)| *due <= step || waiting.is_empty()) {
                let (name, _) = made.remove(at);
                board.is_cut_off = false;
                world.publish(name, &mut board);
                board.now = world.now;
                continue;
            }
            if waiting.is_empty() {
                break;
            }
            let at = dice.below(waiting.len() as u64) as usize;
            let (name, request) = waiting[at].clone();
            board.is_cut_off = dice.below(2) == 0;
            match world.execute(name, &mut board, &request) {
                Ok(Answer::Behind { .. }) => continue,
                Err(Error::NotLeft(_)) => made.push((name, step + 1 + dice.below(3))),
                Ok(_) => {}
                Err(error) => panic!("{name}: {error}"),
            }
            waiting.remove(at);
        }
        if dice.below(2) == 0 {
            world.exchange(members, &mut board);
        }
    }
    world.one(members, &mut board);
    world.lost("ada")
}

#[test]
fn commits_at_once_end_in_one_epoch_and_with_an_honest_order_none_loses() {
    let asked = std::env::var("TERACHAT_ORDER_SEEDS").ok().and_then(|text| text.parse().ok());
    let mut lost: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..asked.unwrap_or(3) {
        for manner in [Manner::Not, Manner::Honest, Manner::Forgetful, Manner::Lying, Manner::Silent] {
            let played = std::panic::catch_unwind(|| play(seed, manner));
            let played = played.unwrap_or_else(|_| panic!("seed {seed}, {manner:?}"));
            *lost.entry(format!("{manner:?}")).or_default() += played;
            assert!(manner != Manner::Honest || played == 0, "seed {seed}: {played} commits lost");
        }
    }
    println!("commits that lost: {lost:?}");
    assert!(lost["Not"] > 0 && lost["Silent"] > 0, "{lost:?}");
}

fn renewal() -> Request {
    Request::Renew { space: None }
}

fn is_behind(answer: &Result<Answer, Error>) -> bool {
    matches!(answer, Ok(Answer::Behind { space }) if space == "club")
}

#[test]
fn who_comes_second_is_told_so_and_lands_on_top() {
    let (names, mut board) = (["ada", "bob"], Ordered::new(Manner::Honest));
    let mut world = apart(&names, &mut board);
    world.exchange(&names, &mut board);
    board.is_cut_off = true;
    let made = world.execute("ada", &mut board, &renewal());
    assert!(matches!(made, Err(Error::NotLeft(_))), "{made:?}");
    let space = world.space("bob");
    let before = world.of("bob").epochs(&space).unwrap();
    let second = world.execute("bob", &mut board, &renewal());
    assert!(is_behind(&second), "{second:?}");
    assert_eq!(world.of("bob").epochs(&space).unwrap(), before, "nothing changed");
    board.is_cut_off = false;
    world.publish("ada", &mut board);
    assert_eq!(world.execute("bob", &mut board, &renewal()).unwrap(), Answer::Done);
    let (space_of_ada, chain) = (world.space("ada"), world.of("bob").epochs(&space).unwrap());
    assert_eq!(chain.len(), before.len() + 2);
    let first = world.of("ada").epochs(&space_of_ada).unwrap();
    assert_eq!(chain[..first.len()], first, "on top of what came first");
    world.one(&names, &mut board);
    assert_eq!(world.lost("ada"), 0);
}

/// Whoever claimed and broke down before it left its commit holds up nobody for longer than its turn; when it comes back it has lost
/// or won a race, as without an order.
#[test]
fn who_broke_down_in_its_turn_holds_up_nobody_for_long() {
    let (names, mut board) = (["ada", "bob", "cyd"], Ordered::new(Manner::Honest));
    let mut world = apart(&names, &mut board);
    world.exchange(&names, &mut board);
    board.is_cut_off = true;
    assert!(matches!(world.execute("ada", &mut board, &renewal()), Err(Error::NotLeft(_))));
    board.is_cut_off = false;
    let (begun, mut tries) = (world.now, 0);
    while is_behind(&world.execute("bob", &mut board, &renewal())) {
        world.pass(&mut board, 500);
        tries += 1;
    }
    assert!(tries > 10 && world.now - begun < PATIENCE_MS, "{tries} tries, {} ms", world.now - begun);
    assert_eq!(world.execute("cyd", &mut board, &renewal()).unwrap(), Answer::Done);
    world.one(&names, &mut board);
    // Ada's rank is the highest, so that what she had made counts, and what bob and cyd made without it is made again.
    assert_eq!(world.lost("cyd"), 2);
}

/// The same claim again is the same claim: a device that was started anew in its turn still has it.
#[test]
fn a_turn_outlives_a_crash() {
    let (names, mut board) = (["ada", "bob"], Ordered::new(Manner::Honest));
    let mut world = apart(&names, &mut board);
    world.exchange(&names, &mut board);
    let space = world.space("ada");
    world.of("ada").in_turn(true, |client| client.renew(None)).unwrap_err();
    assert!(world.of("ada").take_turns(&board).unwrap().is_empty());
    let storage = world.devices["ada"].1.crash();
    let opened =
        Client::open(Box::new(storage.clone()), &mut passphrase("secret"), Box::new(Counter(1 << 50)));
    world.devices.insert("ada", (opened.unwrap(), storage));
    assert!(is_behind(&world.execute("bob", &mut board, &renewal())));
    assert_eq!(world.execute("ada", &mut board, &renewal()).unwrap(), Answer::Done);
    assert_eq!(world.execute("bob", &mut board, &renewal()).unwrap(), Answer::Done);
    assert_eq!(
        world.of("ada").epochs(&space).unwrap().len(),
        world.of("bob").epochs(&space).unwrap().len() - 1
    );
    world.one(&names, &mut board);
    assert_eq!(world.lost("ada"), 0);
}

/// A board that says for ever that another comes first is believed for a while.
#[test]
fn an_order_that_lies_holds_up_nobody_for_long() {
    let (names, mut board) = (["ada", "bob"], Ordered::new(Manner::Not));
    let mut world = apart(&names, &mut board);
    world.exchange(&names, &mut board);
    board.manner = Manner::Lying;
    let begun = world.now;
    let mut tries = 0;
    loop {
        board.claims.set(0);
        let done = world.execute("bob", &mut board, &renewal());
        if !is_behind(&done) {
            assert_eq!(done.unwrap(), Answer::Done);
            break;
        }
        world.pass(&mut board, 900);
        tries += 1;
    }
    assert!(tries > 10 && world.now - begun < PATIENCE_MS + 2_000, "{tries} tries");
    board.manner = Manner::Silent;
    assert_eq!(world.execute("ada", &mut board, &renewal()).unwrap(), Answer::Done);
    world.one(&names, &mut board);
    assert_eq!(world.lost("ada"), 0);
}

/// Whoever keeps the order sees numbers that differ with each epoch and device, and that only members can name.
#[test]
fn a_claim_says_nothing_of_its_space() {
    let (names, mut board) = (["ada", "bob"], Ordered::new(Manner::Honest));
    let mut world = apart(&names, &mut board);
    world.exchange(&names, &mut board);
    let space = world.space("ada");
    let devices = names.map(|name| DeviceId(world.id(name)));
    let claims = |commit: &EventHash| -> Vec<([u8; 32], [u8; 32])> {
        let of = |name: &str, device: &DeviceId| {
            let secret = world.devices[name].0.store.epoch_secret(&space, commit).unwrap();
            let Claim { slot, value } = Claim::of(&secret, commit, device);
            (slot, value)
        };
        let all: Vec<_> = devices.iter().map(|device| of("ada", device)).collect();
        assert_eq!(all, devices.iter().map(|device| of("bob", device)).collect::<Vec<_>>(), "members agree");
        all
    };
    let chain = world.devices["bob"].0.epochs(&space).unwrap();
    let [.., before, now] = chain[..] else { panic!("two epochs") };
    let (before, now) = (claims(&before), claims(&now));
    assert!(now[0].0 == now[1].0 && now[0].1 != now[1].1, "one slot, and a value for each");
    assert!(before[0].0 != now[0].0 && before[0].1 != now[0].1, "nothing of it comes again");
    for (slot, value) in now {
        for open in [&space.0, &chain.last().unwrap().0, &devices[0].0, &devices[1].0] {
            assert!(slot != *open && value != *open);
        }
    }
}
