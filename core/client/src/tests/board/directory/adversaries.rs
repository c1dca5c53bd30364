//! Boards that lie, and people who know somebody's id: `docs/adversaries.md`.
use super::*;
use terachat_core_store::model::Revocation;
use terachat_event::DeviceKey;
use terachat_vault::Secret;

/// A board that answers with other records than it keeps.
struct Lying {
    inner: MemoryBoard,
    /// What it shows under a key; nothing, where it withholds.
    shows: BTreeMap<RecordKey, Option<BoardRecord>>,
}

impl Lying {
    fn about(inner: &MemoryBoard) -> Self {
        Self { inner: inner.clone(), shows: BTreeMap::new() }
    }
}

impl Board for Lying {
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
        match self.shows.get(key) {
            Some(shown) => Ok(shown.clone()),
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

/// Ada's club; bob and eve have offered key packages.
fn offered() -> (World, MemoryBoard) {
    let mut board = MemoryBoard::new();
    let mut world = World::new(&["ada", "bob", "eve"]);
    world.founds("ada", "club", false);
    world.offer("bob", &mut board, false);
    world.offer("eve", &mut board, false);
    (world, board)
}

#[track_caller]
fn refused(world: &mut World, board: &mut dyn Board) -> DirectoryError {
    let bob = world.user("bob").to_string();
    let before = world.status("ada").spaces[0].state_hash.clone();
    let error = world.try_invite_person("ada", "club", &bob, board).unwrap_err();
    assert_eq!(world.status("ada").spaces[0].state_hash, before, "nobody was admitted");
    match error {
        Error::Directory(why) => why,
        other => panic!("{other}"),
    }
}

/// What a device of bob's would leave, if it did so: `change` makes it another.
fn left_by_bob(world: &mut World, board: &mut MemoryBoard, change: impl FnOnce(&mut Supply, &mut World)) {
    let (user, now) = (world.user("bob"), world.now);
    let mut supply = supplies(board, &user, now).remove(0);
    change(&mut supply, world);
    let stream = directory_of(&user, now);
    for key in keys(board) {
        board.lose(&key);
    }
    let client = world.of("bob");
    let bytes = supply.sign(&client.identity.device);
    for (number, piece) in (0..).zip(cut(&bytes, board.record_len_max())) {
        let record =
            stream.seal(number, &piece, now + BUCKET_MS, &client.identity.user, &mut Counter(number));
        board.publish(&record, now).unwrap();
    }
}

#[test]
fn another_persons_key_packages_in_ones_place_are_refused() {
    let (mut world, board) = offered();
    let (bob, eve, now) = (world.user("bob"), world.user("eve"), world.now);
    let mut lying = Lying::about(&board);
    for number in 0..3 {
        let hers = board.fetch(&directory_of(&eve, now).key(number), now).unwrap();
        lying.shows.insert(directory_of(&bob, now).key(number), hers);
    }
    assert!(matches!(refused(&mut world, &mut lying), DirectoryError::Forged { .. }));
}

#[test]
fn key_packages_that_a_stranger_signs_are_refused() {
    let (mut world, board) = offered();
    let (bob, now) = (world.user("bob"), world.now);
    let supply = supplies(&board, &bob, now).remove(0);
    let eve = DeviceKey::from_seed(&Secret::take(&mut [66; 32]));
    let mut lying = Lying::about(&board);
    // She knows where bob's are and how they are sealed, and cannot sign for the place.
    for (number, piece) in (0..).zip(cut(&supply.sign(&eve), board.record_len_max())) {
        let record =
            directory_of(&bob, now).seal(number, &piece, now + BUCKET_MS, &eve, &mut Counter(number));
        assert_ne!(record.key(), directory_of(&bob, now).key(number));
        lying.shows.insert(directory_of(&bob, now).key(number), Some(record));
    }
    lying.shows.entry(directory_of(&bob, now).key(1)).or_insert(None);
    assert!(matches!(refused(&mut world, &mut lying), DirectoryError::Forged { .. }));
    // Nor does she get a record of hers there.
    let mut board = board;
    let count = keys(&board).len();
    let piece = Piece { first: true, last: true, bytes: b"x".to_vec() };
    let record = directory_of(&bob, now).seal(99, &piece, now + BUCKET_MS, &eve, &mut Counter(1));
    board.publish(&record, now).unwrap();
    assert_eq!(keys(&board).len(), count + 1, "it stands elsewhere");
    assert_eq!(board.fetch(&directory_of(&bob, now).key(99), now).unwrap(), None);
}

#[test]
fn expired_key_packages_are_refused_whatever_the_board_shows() {
    let (mut world, mut board) = offered();
    left_by_bob(&mut world, &mut board, |supply, world| supply.expires_ms = world.now);
    assert!(matches!(refused(&mut world, &mut board), DirectoryError::Expired(_)));
    // In another span of time an old record is none of the place.
    let (mut world, board) = offered();
    let (bob, then) = (world.user("bob"), world.now);
    world.now += 2 * BUCKET_MS;
    let mut lying = Lying::about(&board);
    for number in 0..2 {
        let old = board.fetch(&directory_of(&bob, then).key(number), then).unwrap();
        lying.shows.insert(directory_of(&bob, world.now).key(number), old);
    }
    assert!(matches!(refused(&mut world, &mut lying), DirectoryError::Forged { .. }));
}

#[test]
fn another_devices_key_package_is_refused() {
    let (mut world, mut board) = offered();
    let hers = world.user("eve");
    let now = world.now;
    let of_eve = supplies(&board, &hers, now).remove(0).packages;
    left_by_bob(&mut world, &mut board, |supply, _| supply.packages = of_eve);
    assert!(matches!(refused(&mut world, &mut board), DirectoryError::ForeignCredential(_)));
    let (mut world, mut board) = offered();
    left_by_bob(&mut world, &mut board, |supply, _| {
        supply.packages = vec![Offered { last_resort: false, bytes: b"no key package".to_vec() }];
    });
    assert!(matches!(refused(&mut world, &mut board), DirectoryError::Forged { .. }));
    let (mut world, mut board) = offered();
    left_by_bob(&mut world, &mut board, |supply, _| {
        supply.packages.iter_mut().for_each(|offered| offered.last_resort = !offered.last_resort);
    });
    assert!(matches!(refused(&mut world, &mut board), DirectoryError::Forged { .. }));
}

#[test]
fn a_revoked_device_is_not_invited_by_who_shares_no_space_with_it() {
    let (mut world, mut board) = offered();
    let device = DeviceId(world.id("bob"));
    left_by_bob(&mut world, &mut board, |supply, world| {
        supply.revocations = vec![Revocation::issue(&world.of("bob").identity.user, device, None)];
    });
    assert!(matches!(refused(&mut world, &mut board), DirectoryError::Revoked(_)));
}

#[test]
fn a_space_of_another_suite_gets_none() {
    let (mut world, mut board) = offered();
    world.founds("ada", "vault", true);
    let bob = world.user("bob").to_string();
    let error = world.try_invite_person("ada", "vault", &bob, &mut board).unwrap_err();
    let Error::Directory(DirectoryError::OtherSuite { suite, .. }) = error else { panic!("{error}") };
    assert_eq!(suite, CipherSuite::XWing);
}

#[test]
fn what_is_withheld_is_as_if_nobody_had_published() {
    let (mut world, board) = offered();
    let (bob, now) = (world.user("bob"), world.now);
    let mut lying = Lying::about(&board);
    (0..5).for_each(|number| drop(lying.shows.insert(directory_of(&bob, now).key(number), None)));
    assert!(matches!(refused(&mut world, &mut lying), DirectoryError::Nobody(_)));
}

/// Whoever knows bob's id can take all his key packages, and so can a board. The one of last resort is left, and then a card.
#[test]
fn with_all_but_the_last_resort_gone_it_serves_and_is_replaced() {
    let (mut world, mut board) = offered();
    let (bob, now) = (world.user("bob"), world.now);
    let offers = supplies(&board, &bob, now).remove(0).packages;
    let (last, single_use): (Vec<Offered>, Vec<Offered>) =
        offers.into_iter().partition(|offered| offered.last_resort);
    single_use.iter().for_each(|offered| spoil(&mut board, &offered.bytes, 0, now));
    let told = world.invite_person("ada", "club", "bob", &mut board);
    assert_eq!((told.devices.len(), told.last_resort), (1, 1));
    let got = world.fetch("bob", &board);
    assert_eq!((got.invitations, got.left), (1, SINGLE_USE), "{:?}", got.reasons);
    world.accept("bob", "club", "ada", &mut board);
    // All are replaced, that of last resort, too.
    assert_eq!(world.supply("bob").0[0].single_use, SINGLE_USE);
    let now = world.now;
    let newest = supplies(&board, &bob, now).pop().unwrap();
    assert!(newest.packages.iter().any(|it| it.last_resort && it.bytes != last[0].bytes));

    // Where that is full of rubbish, too, it is told, and a card by hand does.
    let (mut world, mut board) = offered();
    world.founds("ada", "other", false);
    let (bob, now) = (world.user("bob"), world.now);
    for offered in supplies(&board, &bob, now).remove(0).packages {
        (0..if offered.last_resort { 64 } else { 1 })
            .for_each(|number| spoil(&mut board, &offered.bytes, number, now));
    }
    assert!(matches!(refused(&mut world, &mut board), DirectoryError::UsedUp(_)));
    let card = world.card("bob");
    world.ask("ada", Request::Invite { space: Some("club".into()), card, rank: None });
}

/// A board that shows nobody that a key package was claimed has it used twice: its owner joins by both.
#[test]
fn a_key_package_that_is_used_twice_lets_in_twice() {
    let (mut world, mut board) = offered();
    world.founds("eve", "guild", false);
    let (bob, now) = (world.user("bob"), world.now);
    let offers = supplies(&board, &bob, now).remove(0).packages;
    let single_use: Vec<_> = offers.iter().filter(|offered| !offered.last_resort).collect();
    single_use[1..].iter().for_each(|offered| spoil(&mut board, &offered.bytes, 0, now));
    world.invite_person("ada", "club", "bob", &mut board);
    let key = BoardStream::claims(&hash_of(&single_use[0].bytes)).key(0);
    let first = board.lose(&key).unwrap();
    world.invite_person("eve", "guild", "bob", &mut board);
    let by = |world: &mut World, host: &str, space: &str| world.admitted_by(host, space, &bob);
    assert_eq!(by(&mut world, "ada", "club"), by(&mut world, "eve", "guild"));
    world.fetch("bob", &board);
    world.accept("bob", "guild", "eve", &mut board);
    // Of the other he hears in another way: the invitation is the inviter's to give again.
    assert_ne!(board.fetch(&key, world.now).unwrap(), Some(first));
    let card = world.card("bob");
    let again = world.ask("ada", Request::Invite { space: Some("club".into()), card, rank: None });
    let Answer::Invitation { invitation } = again else { panic!("{again:?}") };
    world.ask("bob", Request::Join { invitation });
    world.fetch("bob", &board);
    world.is_heard("bob", "club", "ada", &mut board);
}

/// Somebody puts another's invitation under another key package, or makes up one in another's name.
#[test]
fn an_invitation_holds_by_whom_and_for_what_it_was_made_only() {
    let (mut world, mut board) = offered();
    let (bob, now) = (world.user("bob"), world.now);
    let supply = supplies(&board, &bob, now).remove(0);
    world.invite_person("ada", "club", "bob", &mut board);
    let used = hash_of(&world.admitted_by("ada", "club", &bob)[0]);
    let there = board.fetch(&BoardStream::claims(&used).key(0), now).unwrap().unwrap();
    let claim = BoardStream::claims(&used).open(0, &there).unwrap();
    let mut others =
        supply.packages.iter().map(|offered| hash_of(&offered.bytes)).filter(|hash| *hash != used);
    let put = |board: &mut MemoryBoard, hash: [u8; 32], bytes: &[u8]| {
        let piece = Piece { first: true, last: true, bytes: bytes.to_vec() };
        let record = BoardStream::claims(&hash).seal(0, &piece, now + DAY_MS, &mut Counter(5));
        board.publish(&record, now).unwrap();
    };
    // The same again.
    put(&mut board, others.next().unwrap(), &claim.bytes);
    // Eve in ada's name: with ada's card, which is no secret, and with her own for ada's device.
    let invitation = |inviter: [u8; 32]| crate::card::Invitation {
        space: SpaceId([9; 32]),
        name: "trap".into(),
        inviter: DeviceId(inviter),
        invited: DeviceId([0; 32]),
        ticket: [0; 32],
    };
    let (ada_id, bob_id) = (world.id("ada"), world.id("bob"));
    let to_bob = |mut it: crate::card::Invitation| {
        it.invited = DeviceId(bob_id);
        it
    };
    let eve = world.of("eve");
    for made_up in [to_bob(invitation(ada_id)), invitation(eve.identity.device_id().0)] {
        let hash = others.next().unwrap();
        let sealed =
            crate::directory::Claim::seal(&made_up, &eve.identity, &hash, &supply.mailbox, &mut Counter(3));
        put(&mut board, hash, &sealed.unwrap());
    }
    let got = world.fetch("bob", &board);
    assert_eq!((got.invitations, got.left), (1, 3), "{:?}", got.reasons);
    assert_eq!(world.supply("bob").1.len(), 1);
}
