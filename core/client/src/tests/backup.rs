//! A backup becomes another device of the same user, and nothing else.
use super::*;
use crate::{backup_vault, check_profile};
use terachat_core_store::store::storage::MemoryStorage;

pub(super) fn export(world: &mut World, name: &str) -> Vec<u8> {
    let client = world.of(name);
    let keys = client.begin_export();
    let (backup, exported) = client.export(keys, &mut passphrase("backup")).unwrap();
    assert!(exported.spaces == 1 && exported.events > 3, "{exported:?}");
    backup
}

fn restore(storage: Box<dyn Storage>, backup: &[u8], words: &str) -> Result<Client, Error> {
    backup_vault(backup)?;
    let entropy = Box::new(Counter(99 << 32));
    Client::restore(storage, backup, &mut passphrase(words), &mut passphrase("secret"), entropy, 5, None)
}

pub(super) fn enter_restored(world: &mut World, name: &'static str, backup: &[u8]) {
    let storage = CrashStorage::new(77);
    let client = restore(Box::new(storage.clone()), backup, "backup").unwrap();
    world.devices.insert(name, (client, storage));
}

#[test]
fn it_opens_as_the_same_history_on_a_device_of_its_own() {
    let mut world = club(&["ada", "bob"]);
    let hello = world.say("ada", "hello");
    world.ask("bob", Request::React { place: place(), message: hello, emoji: "🌞".into(), remove: false });
    world.say("bob", "hi ada");
    let backup = export(&mut world, "bob");
    enter_restored(&mut world, "bob2", &backup);
    assert_eq!(world.bodies("bob2"), world.bodies("bob"));
    assert_eq!(
        world.status("bob2").spaces[0].state_hash,
        world.status("bob").spaces[0].state_hash,
        "the same events"
    );
    world.sound("bob2");
    let who = |world: &mut World, name: &str| match world.ask(name, Request::WhoAmI { post_quantum: false }) {
        Answer::Card { user, device, .. } => (user, device),
        other => panic!("{other:?}"),
    };
    let (old, new) = (who(&mut world, "bob"), who(&mut world, "bob2"));
    assert_eq!(old.0, new.0, "the same user");
    assert_ne!(old.1, new.1, "another device");
    // Nobody admitted it yet: it reads, and what it is not allowed it does not do.
    let refused =
        world.try_ask("bob2", Request::Send { place: place(), body: "not yet".into(), reply_to: None });
    assert!(refused.is_err(), "{refused:?}");
    // The old device admits it as any device of one's own, and both write, each in its own chain.
    world.connect("bob", "bob2");
    world.invite("bob", "bob2", 0);
    world.connect("ada", "bob2");
    world.say("bob", "from the old one");
    world.say("bob2", "from the new one");
    world.settle();
    for name in ["ada", "bob", "bob2"] {
        assert_eq!(world.bodies(name).len(), 4, "{name}: {:?}", world.bodies(name));
        world.sound(name);
        let Answer::Audit(report) = world.ask(name, Request::Audit) else { panic!() };
        assert_eq!(report.equivocations, Vec::<String>::new(), "no chain forked");
    }
    world.same(&["ada", "bob", "bob2"]);
}

/// A file was told in rounds of 8 MiB. Behind the first one each chain seemed to stand on another branch, so its last 4,096 events
/// were told again: for ever, where no round brought more.
#[test]
fn a_log_of_many_megabytes_is_told_once() {
    let mut world = club(&["ada", "bob"]);
    for n in 0..180 {
        world.say(["ada", "bob"][n % 2], &format!("{n} {}", "x".repeat(60_000)));
    }
    let log = world.of("ada").place(&place()).unwrap();
    let events = [log, terachat_event::LogId::control(log.space)].map(|log| world.of("ada").store.len(&log));
    let keys = world.of("ada").begin_export();
    let (backup, exported) = world.of("ada").export(keys, &mut passphrase("backup")).unwrap();
    assert_eq!(exported.events, events.iter().sum::<usize>());
    enter_restored(&mut world, "ada2", &backup);
    assert_eq!(world.status("ada2").spaces[0].state_hash, world.status("ada").spaces[0].state_hash);
    let Answer::Bundle { events: told, .. } = world.ask("ada", Request::BundleExport { space: None }) else {
        panic!()
    };
    assert_eq!(told, exported.events);
}

#[test]
fn history_with_a_removal_and_several_epochs_comes_along() {
    let mut world = club(&["ada", "bob", "eve"]);
    world.say("eve", "before");
    world.ask("ada", Request::MemberRemove { space: None, member: "eve".into() });
    world.say("ada", "after, in another epoch");
    let backup = export(&mut world, "ada");
    enter_restored(&mut world, "ada2", &backup);
    assert_eq!(world.bodies("ada2"), ["before", "after, in another epoch"]);
    world.sound("ada2");
    // It survives being closed: all of it is durable.
    let (client, storage) = world.devices.remove("ada2").unwrap();
    drop(client);
    let entropy = Box::new(Counter(100 << 32));
    let client = Client::open(Box::new(storage.crash()), &mut passphrase("secret"), entropy).unwrap();
    world.devices.insert("ada2", (client, storage));
    assert_eq!(world.bodies("ada2").len(), 2);
}

#[test]
fn what_is_not_a_whole_backup_changes_nothing() {
    let mut world = club(&["ada", "bob"]);
    world.say("ada", "hello");
    let backup = export(&mut world, "ada");
    #[track_caller]
    fn case(backup: &[u8], words: &str) {
        let storage = CrashStorage::new(5);
        let error = restore(Box::new(storage.clone()), backup, words).err().expect("refused");
        assert!(matches!(error, Error::Backup(_) | Error::Keyring(_)), "{error}");
        assert_eq!(storage.list().unwrap(), Vec::<String>::new());
    }
    case(&backup, "wrong");
    case(b"", "backup");
    case(b"dear diary", "backup");
    for at in (0..backup.len()).step_by(backup.len() / 60) {
        case(&backup[..at], "backup");
        let mut changed = backup.clone();
        changed[at] ^= 1;
        case(&changed, "backup");
    }
    let mut used = MemoryStorage::new();
    used.replace("letter", b"dear").unwrap();
    assert!(matches!(restore(Box::new(used), &backup, "backup"), Err(Error::ProfileExists)));
    // The passphrase of the profile does not open the backup, nor the other way round.
    case(&backup, "secret");
}

#[test]
fn neither_the_device_nor_its_place_in_the_group_is_in_it() {
    let mut world = club(&["ada", "bob"]);
    world.say("ada", "hello");
    let backup = export(&mut world, "ada");
    enter_restored(&mut world, "ada2", &backup);
    let names = |client: &Client| -> Vec<Vec<u8>> {
        client.store.records(b"").map(|(name, _)| name.to_vec()).collect()
    };
    let of_group = |name: &Vec<u8>| name.starts_with(b"group/") || name.starts_with(b"key-package/");
    assert!(names(world.of("ada")).iter().any(of_group), "or this tests nothing");
    assert!(!names(world.of("ada2")).iter().any(of_group));
}

#[test]
fn a_check_reads_the_whole_profile() {
    let mut world = club(&["ada", "bob"]);
    world.say("ada", "hello");
    let (client, storage) = world.devices.remove("ada").unwrap();
    client.close().unwrap();
    let (entropy, disk) = (|| Box::new(Counter(7)), storage.crash());
    let report = check_profile(Box::new(disk.clone()), &mut passphrase("secret"), entropy()).unwrap();
    assert!(report.is_sound() && report.audit.is_some(), "{report:?}");
    let refused = check_profile(Box::new(disk), &mut passphrase("wrong"), entropy());
    assert!(matches!(refused, Err(Error::Keyring(_))));
}

/// A check in slices, for whoever has the profile open: others are served between two of them.
#[test]
fn a_profile_in_use_is_checked_slice_by_slice() {
    let mut world = club(&["ada", "bob"]);
    // Words that cannot be made shorter.
    let mut words = Counter(5);
    for _ in 0..60 {
        let mut bytes = [0; 20_000];
        words.fill(&mut bytes);
        world.say("ada", &bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
    let check = |world: &mut World, number| match world.ask("ada", Request::StoreCheck { number }) {
        Answer::StoreChecked(told) => told,
        other => panic!("{other:?}"),
    };
    let first = check(&mut world, None);
    assert_eq!((first.step.as_str(), first.report.is_some()), ("blocks", false), "{first:?}");
    let (mut told, mut slices) = (first.clone(), 1);
    while told.report.is_none() {
        assert!(slices < 100 && told.number == first.number && told.done <= told.of, "{told:?}");
        // Somebody else joins it, and everybody goes on meanwhile.
        let number = (slices % 2 == 0).then_some(told.number);
        world.say("ada", &format!("meanwhile {slices}"));
        told = check(&mut world, number);
        slices += 1;
    }
    let report = told.report.clone().unwrap();
    assert!(slices > 4 && report.findings.is_empty(), "{report:?}");
    let there: usize =
        world.of("ada").store.logs().iter().map(|log| world.devices["ada"].0.store.len(log)).sum();
    assert_eq!(report.events, Some(there));
    // Whoever had joined hears the same; nobody else goes on with it.
    assert_eq!(check(&mut world, Some(first.number)).report, told.report);
    let gone = world.try_ask("ada", Request::StoreCheck { number: Some(first.number + 1) });
    assert!(matches!(gone, Err(Error::Input(_))), "{gone:?}");
    // What nobody asks for any more is given up after a minute, and is no reason to put off the audit.
    let left = check(&mut world, None);
    world.of("ada").watch(9_000_000_000).unwrap();
    let gone = world.try_ask("ada", Request::StoreCheck { number: Some(left.number) });
    assert!(matches!(gone, Err(Error::Input(_))), "{gone:?}");
}

#[test]
fn two_devices_learn_where_they_differ() {
    let mut world = club(&["ada", "bob"]);
    world.say("ada", "hello");
    let map = |world: &mut World, name: &str| match world.ask(name, Request::StateMap { space: None }) {
        Answer::StateMap { bytes } => bytes,
        other => panic!("{other:?}"),
    };
    let compare = |world: &mut World, name: &str, bytes: Vec<u8>| match world
        .ask(name, Request::CompareStates { bytes })
    {
        Answer::Compared { count, differences, .. } => (count, differences),
        other => panic!("{other:?}"),
    };
    let bytes = map(&mut world, "bob");
    assert_eq!(compare(&mut world, "ada", bytes).0, 0);
    world.cut("ada", "bob");
    let id = world.say("ada", "only at ada's");
    let bytes = map(&mut world, "bob");
    let (count, differences) = compare(&mut world, "ada", bytes);
    let only = &differences[0];
    assert_eq!((count, only.what.as_str(), only.side.as_str()), (1, "message", "only here"));
    assert_eq!((&only.id, only.name.as_str()), (&id, "general"));
}

#[test]
fn the_watch_checks_news_each_minute_and_everything_now_and_then() {
    let mut world = club(&["ada", "bob"]);
    let hour = 3_600_000;
    let audited = |client: &mut Client, now: u64| -> Vec<(usize, bool, usize)> {
        for _ in 0..1_000 {
            if !client.watch(now).unwrap() {
                break;
            }
        }
        let notices = std::iter::from_fn(|| client.poll_notice());
        notices
            .filter_map(|notice| match notice {
                Notice::Audited { events, everything, alarm } => Some((events, everything, alarm.len())),
                _ => None,
            })
            .collect()
    };
    let start = 10 * hour;
    assert_eq!(audited(world.of("ada"), start), [], "it begins here");
    world.say("ada", "one");
    world.say("ada", "two");
    assert_eq!(audited(world.of("ada"), start + 1_000), [], "not yet");
    assert_eq!(audited(world.of("ada"), start + 61_000), [(2, false, 0)]);
    assert_eq!(audited(world.of("ada"), start + 2 * 61_000), [], "nothing is new");
    let all = audited(world.of("ada"), start + 7 * hour);
    assert!(matches!(all[..], [(events, true, 0)] if events >= 5), "{all:?}");
    assert!(world.of("ada").halted().is_none());
    world.of("ada").store.halt("as if it had been found");
    assert_eq!(audited(world.of("ada"), start + 20 * hour), []);
    let refused = world.try_ask("ada", Request::Send { place: place(), body: "no".into(), reply_to: None });
    assert!(refused.unwrap_err().to_string().contains("writing has stopped"));
}
