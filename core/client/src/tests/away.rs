//! Whoever was away for long reads what was sealed for it meanwhile, in whatever order things come (ADR 0028).
use super::{Counter, World, club, passphrase};
use crate::Client;
use crate::api::{Place, Request};
use crate::board::Budget;
use crate::message_keys::{EPOCHS_MAX, KEPT_MS};
use terachat_core_store::store::Storage;
use terachat_core_store::sync::board::MemoryBoard;
use terachat_core_store::sync::{Bundle, Limits, Standing};
use terachat_event::LogId;
use terachat_vault::SecretBytes;

/// Epochs that somebody is away for: more than states of the group are kept of, twice.
const AWAY: usize = 150;

fn vault() -> Place {
    Place { space: None, channel: Some("vault".into()) }
}

impl World {
    fn open_vault_of(&mut self, by: &str) {
        self.ask(
            by,
            Request::ChannelCreate { space: None, name: "vault".into(), forum: false, since_join: true },
        );
    }

    /// What is read in the vault; a dot for what is sealed.
    fn opened(&mut self, name: &str) -> Vec<String> {
        let mut all = self.messages_in(vault(), name);
        loop {
            let read = Request::Read {
                place: vault(),
                limit: 1000,
                before: all.first().map(|first| first.id.clone()),
                after: None,
                around: None,
                thread: None,
                pinned: false,
                filter: Box::default(),
            };
            let crate::api::Answer::Messages { mut messages } = self.ask(name, read) else { panic!() };
            if messages.is_empty() {
                break;
            }
            messages.append(&mut all);
            all = messages;
        }
        all.into_iter().map(|message| if message.sealed { "·".into() } else { message.body }).collect()
    }

    /// A copy of a device's disk, under another name; it knows nobody.
    fn copy(&mut self, name: &str, copy: &'static str, n: u64) {
        let storage = super::board::twin_of(&self.devices[name].1);
        let boxed: Box<dyn Storage> = Box::new(storage.clone());
        let client = Client::open(boxed, &mut passphrase("secret"), Box::new(Counter(n << 40))).unwrap();
        self.devices.insert(copy, (client, storage));
    }

    /// What a device has of a log and `standing` lacks.
    fn bundles(&mut self, name: &str, standing: &mut Standing) -> Vec<Bundle> {
        let limits = Limits { events: 1 << 16, payload_len: 8 << 20 };
        let (bundles, more) = self.of(name).store.bundles_to(standing, limits).unwrap();
        assert!(!more);
        bundles
    }

    fn logs(&mut self, name: &str) -> (LogId, LogId) {
        let log = self.of(name).place(&vault()).unwrap();
        (LogId::control(log.space), log)
    }

    /// Hands these to a device, each until it fits or nothing does any more.
    fn hand(&mut self, name: &str, bundles: &[Bundle]) {
        self.now += 1_000;
        let now = self.now;
        let client = self.of(name);
        client.now_ms = now;
        for bundle in bundles {
            client.take_left_bundle(bundle).unwrap();
        }
    }

    fn keys_of_epochs(&mut self, name: &str) -> usize {
        self.of(name).store.records(b"message-epoch/").count()
    }
}

/// Ada and bob make so many epochs and say something in each, without eve. With that what ada would have sent her now and then: commits, and
/// messages.
fn without_eve(epochs: usize) -> (World, Vec<String>, [Vec<Bundle>; 2]) {
    let mut world = club(&["ada", "bob", "eve"]);
    world.open_vault_of("ada");
    world.say_in(vault(), "eve", "see you");
    world.cut("ada", "eve");
    let mut said = vec!["see you".to_owned()];
    let (control, log) = world.logs("ada");
    let (mut standings, mut sent) = ([control, log].map(Standing::nothing), [Vec::new(), Vec::new()]);
    for turn in 0..epochs {
        let names = if turn % 3 == 0 { ["bob", "ada"] } else { ["ada", "bob"] };
        world.ask(names[0], Request::Renew { space: None });
        said.push(format!("epoch {turn}"));
        world.say_in(vault(), names[turn % 2], &format!("epoch {turn}"));
        if turn % 16 == 15 || turn + 1 == epochs {
            for (standing, sent) in standings.iter_mut().zip(&mut sent) {
                sent.extend(world.bundles("ada", standing));
            }
        }
    }
    (world, said, sent)
}

/// All commits before any message: all is read, and what that takes is bounded.
#[test]
fn whoever_was_away_reads_what_was_sealed_in_each_epoch() {
    let (mut world, said, [commits, messages]) = without_eve(AWAY);
    world.copy("eve", "first", 20);
    assert!(messages.len() >= AWAY, "{}", messages.len());
    world.hand("first", &commits);
    assert!(world.keys_of_epochs("first") > AWAY);
    let len: usize = ["message-key/", "message-epoch/", "message-devices/"]
        .into_iter()
        .flat_map(|prefix| world.devices["first"].0.store.records(prefix.as_bytes()))
        .map(|(name, value)| name.len() + value.len())
        .sum();
    eprintln!("the keys to the messages of {AWAY} epochs take {len} bytes");
    assert!(len < AWAY * 1_000, "{len} bytes");
    world.hand("first", &messages);
    assert_eq!(world.opened("first"), said);
    world.same(&["ada", "bob", "first"]);
    world.sound("first");
}

#[test]
fn whoever_was_away_reads_all_of_it_by_a_peer() {
    let (mut world, said, _) = without_eve(AWAY);
    world.connect("ada", "eve");
    assert_eq!(world.opened("eve"), said);
    world.same(&["ada", "bob", "eve"]);
    world.say_in(vault(), "eve", "here again");
    assert_eq!(world.opened("bob").last().map(String::as_str), Some("here again"));
}

/// Messages first, and both by turns.
#[test]
fn the_order_in_which_commits_and_messages_come_makes_no_difference() {
    let (mut world, said, [commits, messages]) = without_eve(AWAY);
    world.copy("eve", "last", 20);
    world.copy("eve", "turns", 21);

    world.hand("last", &messages);
    assert_eq!(world.opened("last"), ["see you"], "they wait");
    world.hand("last", &commits);
    world.hand("last", &messages);

    for at in 0..commits.len() {
        world.hand("turns", &commits[at..=at]);
        // Some of their epochs are known, and others are not yet.
        let to = messages.len() * (at + 1) / commits.len();
        world.hand("turns", &messages[to.saturating_sub(30)..to]);
    }
    world.hand("turns", &messages);
    for name in ["last", "turns"] {
        assert_eq!(world.opened(name), said, "{name}");
        world.sound(name);
    }
    world.same(&["ada", "bob", "last", "turns"]);
}

/// The same by a board alone, in small pages: from step to step, through epochs that nobody left anything else under.
#[test]
fn whoever_was_away_reads_all_of_it_by_a_board() {
    let mut board = MemoryBoard::new();
    let mut world = club(&["ada", "bob", "eve"]);
    world.open_vault_of("ada");
    world.say_in(vault(), "eve", "see you");
    world.cut("ada", "eve");
    let mut said = vec!["see you".to_owned()];
    for turn in 0..150 {
        let name = if turn % 3 == 0 { "bob" } else { "ada" };
        world.ask(name, Request::Renew { space: None });
        said.push(format!("epoch {turn}"));
        world.say_in(vault(), name, &format!("epoch {turn}"));
        if turn % 15 == 14 {
            world.publish("ada", &mut board);
        }
    }
    world.fetch_within("eve", &board, Budget { records: 1 << 12, len: 1 << 16 });
    assert_eq!(world.opened("eve"), said);
    world.same(&["ada", "bob", "eve"]);
    world.sound("eve");
}

/// The keys to an epoch's messages are there for 90 days after a newer one was heard of, and then gone.
#[test]
fn keys_of_an_epoch_go_after_their_time() {
    let (mut world, said, [commits, messages]) = without_eve(20);
    world.copy("eve", "early", 20);
    world.copy("eve", "late", 21);
    let (_, log) = world.logs("ada");
    for name in ["early", "late"] {
        world.hand(name, &commits);
        // All but the newest were left.
        assert!(world.keys_of_epochs(name) > 20);
    }
    world.now += KEPT_MS - 10_000;
    world.hand("early", &messages);
    assert_eq!(world.opened("early"), said);
    world.now += 10_000;
    world.status("late");
    assert_eq!(world.keys_of_epochs("late"), 1);
    let client = world.of("late");
    let kept: Vec<Vec<u8>> =
        client.store.records(b"message-key/").map(|(name, _)| name[44..76].to_vec()).collect();
    let space = log.space;
    let tip = client.epochs(&space).unwrap().pop().unwrap();
    assert!(kept.iter().all(|commit| *commit == tip.0), "only the newest epoch has keys");
    world.hand("late", &messages);
    let read = world.opened("late");
    assert_eq!((read.len(), read[0].as_str(), read[1].as_str()), (said.len(), "see you", "·"));
    assert_eq!(read.last(), said.last(), "what is sealed in the newest epoch is read");
    world.sound("late");
    world.same(&["ada", "bob", "early", "late"]);
}

/// Two halves go on for 40 epochs each, fewer than states are kept of, and come together again: everybody reads all that either half said.
#[test]
fn two_halves_that_parted_for_forty_epochs_come_together() {
    assert_eq!(parted(false, 40), [0; 4]);
}

/// For 80 epochs, and all have made commits since they came, so nobody goes on from the welcome: those whose half loses rejoin by themselves.
/// What was sealed for those who were there stays with them, but in the channel whose history is shared everybody reads all.
#[test]
fn halves_that_parted_for_longer_than_states_are_kept_come_together() {
    let sealed = parted(true, 80);
    assert!(sealed.iter().all(|sealed| (1..=160).contains(sealed)), "{sealed:?}");
}

/// How many texts of the channel that opens to those only who were there each of four does not read in the end.
fn parted(renewed: bool, epochs: usize) -> [usize; 4] {
    let mut world = club(&["ada", "bob", "cid", "dan"]);
    world.open_vault_of("ada");
    if renewed {
        ["bob", "cid", "dan"]
            .into_iter()
            .for_each(|name| drop(world.ask(name, Request::Renew { space: None })));
    }
    for (a, b) in [("ada", "cid"), ("ada", "dan"), ("bob", "cid"), ("bob", "dan")] {
        world.cut(a, b);
    }
    world.connect("cid", "dan");
    let names = ["ada", "bob", "cid", "dan"];
    for turn in 0..epochs {
        for half in [&names[..2], &names[2..]] {
            world.ask(half[turn % 2], Request::Renew { space: None });
            for name in half {
                world.say(name, &format!("{name} {turn}"));
                world.say_in(vault(), name, &format!("{name} {turn}"));
            }
        }
    }
    world.connect("ada", "cid");
    world.same(&names);
    for (a, b) in [("ada", "dan"), ("bob", "cid"), ("bob", "dan")] {
        world.connect(a, b);
    }
    for name in names {
        world.say(name, "together");
        world.say_in(vault(), name, "together");
    }
    world.same(&names);
    names.map(|name| {
        let mut said = world.bodies(name);
        said.sort();
        said.dedup();
        assert_eq!(said.len(), 4 * epochs + 1, "{name}");
        world.sound(name);
        let read = world.opened(name);
        assert_eq!(read.len(), 4 * epochs + 4, "{name}");
        let half = if ["ada", "bob"].contains(&name) { ["ada", "bob"] } else { ["cid", "dan"] };
        for (turn, by) in (0..epochs).flat_map(|turn| half.map(|by| (turn, by))) {
            assert!(read.contains(&format!("{by} {turn}")), "{name} reads its own half");
        }
        read.iter().filter(|text| *text == "·").count()
    })
}

/// Of more epochs than are kept those go that were left first; of keys to overtaken messages those of the sender who has most.
#[test]
fn what_is_kept_is_bounded() {
    let (mut world, ..) = without_eve(3);
    world.connect("ada", "eve");
    world.status("eve");
    let (control, _) = world.logs("eve");
    let space = control.space;
    let note = |commit: [u8; 32], left_ms: u64| {
        let name = [&b"message-epoch/"[..], &space.0, &commit].concat();
        (name, Some(SecretBytes::take(left_ms.to_le_bytes().to_vec())))
    };
    let key = |commit: [u8; 32], part: &[u8]| [&b"message-key/"[..], &space.0, &commit, part].concat();
    let now = world.now;
    let client = world.of("eve");
    let here: Vec<Vec<u8>> = client.store.records(b"message-epoch/").map(|(name, _)| name.to_vec()).collect();
    let mut writes = Vec::new();
    for n in 0..EPOCHS_MAX as u32 {
        let commit = *blake3::hash(&n.to_le_bytes()).as_bytes();
        writes.push(note(commit, now - 1_000_000 + u64::from(n)));
        writes.push((key(commit, &[2, 0, 0, 0, 0]), Some(SecretBytes::take(vec![1; 36]))));
    }
    client.store.write_records(writes).unwrap();
    let chain = client.epochs(&space).unwrap();
    client.prune_message_keys(space, &chain).unwrap();
    let kept: Vec<Vec<u8>> = client.store.records(b"message-epoch/").map(|(name, _)| name.to_vec()).collect();
    assert_eq!(kept.len(), EPOCHS_MAX + 1, "and the newest");
    assert!(here.iter().all(|name| kept.contains(name)), "those that were left last stay");
    let first = *blake3::hash(&0u32.to_le_bytes()).as_bytes();
    assert!(client.store.record(&key(first, &[2, 0, 0, 0, 0])).is_none(), "the keys went with the note");

    let tip = chain.last().unwrap().0;
    let skipped = |leaf: u8, count: u8| {
        let names = (0..count).map(move |n| key(tip, &[3, 0, 0, 0, leaf, 0, 0, 0, n]));
        names.map(|name| (name, Some(SecretBytes::take(vec![7; 44])))).collect::<Vec<_>>()
    };
    client.store.write_records(skipped(0, 9).into_iter().chain(skipped(1, 200)).collect()).unwrap();
    assert!(client.too_many_skipped(&space, 300).is_empty());
    let gone = client.too_many_skipped(&space, 100);
    assert_eq!(gone.len(), 200);
    assert!(gone.iter().all(|(name, value)| value.is_none() && name[76..81] == [3, 0, 0, 0, 1]));
}
