//! Channels that members read since they joined.
use super::{Counter, World, club, passphrase};
use crate::api::{Answer, Message, Notice, Place, Request};
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::model::{ChannelOp, EpochKey};
use terachat_core_store::store::Storage;
use terachat_core_store::store::storage::Fault;
use terachat_core_store::sync::{Bundle, Frontier, Limits};
use terachat_event::{EventHash, LogId, SpaceId};
use terachat_group::Messages;

fn vault() -> Place {
    Place { space: None, channel: Some("vault".into()) }
}

impl World {
    fn open_vault(&mut self, by: &str, forum: bool) {
        self.ask(by, Request::ChannelCreate { space: None, name: "vault".into(), forum, since_join: true });
    }

    #[track_caller]
    fn whisper(&mut self, name: &str, body: &str) -> String {
        self.say_in(vault(), name, body)
    }

    #[track_caller]
    fn vault(&mut self, name: &str) -> Vec<Message> {
        self.messages_in(vault(), name)
    }

    /// Texts, and a dot for each that is sealed.
    fn texts(&mut self, name: &str) -> Vec<String> {
        let shown = |message: Message| if message.sealed { "·".to_owned() } else { message.body };
        self.vault(name).into_iter().map(shown).collect()
    }

    fn vault_log(&mut self, name: &str) -> LogId {
        self.of(name).place(&vault()).unwrap()
    }

    #[track_caller]
    fn found(&mut self, name: &str, word: &str) -> usize {
        match self.ask(name, Request::Search { place: vault(), query: word.into(), limit: 9 }) {
            Answer::Hits { hits } => hits.len(),
            other => panic!("{other:?}"),
        }
    }

    fn crash(&mut self, name: &'static str, n: u64) {
        let (_, storage) = self.devices.remove(name).unwrap();
        let storage = storage.crash();
        let boxed: Box<dyn Storage> = Box::new(storage.clone());
        let client = Client::open(boxed, &mut passphrase("secret"), Box::new(Counter(n << 40))).unwrap();
        self.devices.insert(name, (client, storage));
    }
}

#[test]
fn members_read_what_was_written_since_they_joined() {
    let mut world = club(&["ada", "bob"]);
    world.open_vault("ada", false);
    let first = world.whisper("ada", "before cid came");
    world.ask("bob", Request::Send { place: vault(), body: "answer".into(), reply_to: Some(first.clone()) });
    world.ask(
        "bob",
        Request::React { place: vault(), message: first.clone(), emoji: "🌞".into(), remove: false },
    );
    assert_eq!(world.texts("bob"), ["before cid came", "answer"]);
    world.same(&["ada", "bob"]);

    world.enter("cid", 9);
    world.connect("ada", "cid");
    world.connect("bob", "cid");
    world.invite("ada", "cid", 50);
    world.whisper("bob", "after cid came");
    world.whisper("cid", "hello");
    assert_eq!(world.texts("cid"), ["·", "·", "after cid came", "hello"]);
    for name in ["ada", "bob"] {
        assert_eq!(world.texts(name), ["before cid came", "answer", "after cid came", "hello"], "{name}");
    }
    // What hangs together and who liked it is everybody's.
    let seen = world.vault("cid");
    assert_eq!((seen[1].reply_to.as_ref(), seen[0].reactions.len()), (Some(&first), 1));
    // An edit is a text of its own time.
    world.ask("ada", Request::Edit { place: vault(), message: first, body: "for all of you".into() });
    assert_eq!(world.texts("cid"), ["for all of you", "·", "after cid came", "hello"]);

    world.same(&["ada", "bob", "cid"]);
    assert_eq!(
        [world.found("ada", "before"), world.found("ada", "came"), world.found("bob", "hello")],
        [0, 1, 1]
    );
    assert_eq!([world.found("cid", "answer"), world.found("cid", "came")], [0, 1]);
    ["ada", "bob", "cid"].into_iter().for_each(|name| world.sound(name));
    let status = world.status("cid");
    let channels = &status.spaces[0].channels;
    assert_eq!(channels.iter().map(|channel| channel.since_join).collect::<Vec<_>>(), [false, true]);
}

/// Nothing that any member's device hands out, on any way, has the text; and all keys that the newcomer has open none.
#[test]
fn a_newcomer_cannot_read_what_was_before_whatever_it_is_handed() {
    let mut world = club(&["ada", "bob"]);
    world.open_vault("ada", false);
    world.whisper("ada", "the hidden word");
    world.enter("cid", 9);
    world.connect("ada", "cid");
    world.connect("bob", "cid");
    world.invite("ada", "cid", 50);
    assert_eq!(world.texts("cid"), ["·"]);
    for host in ["ada", "bob"] {
        let Answer::Bundle { bytes, .. } = world.ask(host, Request::BundleExport { space: None }) else {
            panic!("no bundle")
        };
        world.ask("cid", Request::BundleImport { bytes });
    }
    world.cut("bob", "cid");
    world.connect("bob", "cid");
    assert_eq!(world.texts("cid"), ["·"]);
    // He has the epoch's exported secret, by the links that serve the shared channels, and reads these.
    assert!(world.bodies("cid").is_empty());
    let log = world.vault_log("cid");
    let cid = world.of("cid");
    let event = cid.store.event_refs(&log, 0..1)[0];
    let payload = cid.store.event(&log, &event).unwrap().payload;
    let Ok(ChannelOp::Sealed(sealed)) = ChannelOp::decode(&payload) else { panic!("it is sealed") };
    let mut epochs = 0;
    for (space, commit) in epochs_of(cid) {
        let mut messages = keys(cid, &space, &commit);
        assert!(messages.open(sealed.message, &event.author.0).is_err());
        epochs += 1;
    }
    assert!(epochs > 0, "there were keys to try");
    // Nor does the disk of whoever read it hold a key that opens it once more.
    let bob = world.of("bob");
    for (space, commit) in epochs_of(bob) {
        assert!(keys(bob, &space, &commit).open(sealed.message, &event.author.0).is_err());
    }
}

pub(super) fn epochs_of(client: &Client) -> Vec<(SpaceId, EventHash)> {
    let names = client.store.records(b"message-key/").map(|(name, _)| name.to_vec());
    let ids = names
        .filter(|name| name.len() == 77)
        .map(|name| (SpaceId(name[12..44].try_into().unwrap()), EventHash(name[44..76].try_into().unwrap())));
    ids.collect()
}

pub(super) fn keys(client: &Client, space: &SpaceId, commit: &EventHash) -> Messages {
    crate::message_keys::stored(&client.store, space, commit).unwrap()
}

/// Cid was away, and gets from Bob what Ada said in two epochs; Bob hands on what Ada sealed.
#[test]
fn a_third_member_hands_on_what_was_sealed() {
    let mut world = club(&["ada", "bob", "cid"]);
    world.open_vault("ada", false);
    world.cut("ada", "cid");
    world.whisper("ada", "one");
    world.ask("bob", Request::Renew { space: None });
    world.whisper("ada", "two");
    world.cut("ada", "bob");
    world.connect("bob", "cid");
    assert_eq!(world.texts("cid"), ["one", "two"]);
    world.same(&["bob", "cid"]);
}

/// Ada and bob made forty epochs each without each other, more than are kept where all are known to be past them. The states
/// from which they parted were gone, so that whoever lost could take its place again only, and neither ever read what the
/// other had sealed meanwhile (seed 335).
#[test]
fn two_halves_that_went_on_for_long_read_each_other() {
    let mut world = club(&["ada", "bob", "cid"]);
    world.open_vault("ada", false);
    world.connect("bob", "cid");
    for name in ["ada", "bob", "cid"] {
        world.whisper(name, &format!("{name} before"));
    }
    world.cut("ada", "bob");
    world.cut("ada", "cid");
    for round in 0..40 {
        for name in ["ada", "bob"] {
            world.ask(name, Request::Renew { space: None });
            world.whisper(name, &format!("{name} {round}"));
        }
    }
    world.connect("ada", "bob");
    world.connect("ada", "cid");
    for name in ["ada", "bob", "cid"] {
        let texts = world.texts(name);
        assert_eq!((texts.len(), texts.iter().filter(|text| *text == "·").count()), (83, 0), "{name}");
        world.sound(name);
    }
    world.same(&["ada", "bob", "cid"]);
    // All were heard of since, so nothing of that time is kept any more.
    for round in 0..12 {
        for name in ["ada", "bob", "cid"] {
            world.whisper(name, &format!("{name} after {round}"));
            world.ask(name, Request::Renew { space: None });
        }
    }
    for name in ["ada", "bob", "cid"] {
        let states = world.of(name).store.records(b"group/").count();
        assert!(states <= 24, "{name} keeps {states}");
    }
}

/// Ada and cid go on without bob, and after two epochs without each other. Bob hears of all of ada's epochs at once, and then of cid's, which
/// left hers early on the way: the state there was not kept, since no commit that he knew of followed it but one.
#[test]
fn whoever_was_away_reads_what_was_sealed_where_others_parted_meanwhile() {
    let mut world = club(&["ada", "bob", "cid"]);
    world.open_vault("ada", false);
    for name in ["ada", "bob", "cid"] {
        world.whisper(name, &format!("{name} before"));
    }
    world.cut("ada", "bob");
    for round in 0..2 {
        world.ask("ada", Request::Renew { space: None });
        world.whisper("ada", &format!("both {round}"));
    }
    world.cut("ada", "cid");
    for round in 0..30 {
        for name in ["ada", "cid"] {
            world.ask(name, Request::Renew { space: None });
            world.whisper(name, &format!("{name} {round}"));
        }
    }
    world.connect("ada", "bob");
    world.connect("bob", "cid");
    for name in ["ada", "bob", "cid"] {
        let texts = world.texts(name);
        assert_eq!((texts.len(), texts.iter().filter(|text| *text == "·").count()), (65, 0), "{name}");
        world.sound(name);
    }
    world.same(&["ada", "bob", "cid"]);
}

/// What a message is about is sealed as what it says: who came later sees neither its title nor whom it mentions.
#[test]
fn titles_and_mentions_are_sealed_with_the_text() {
    let mut world = club(&["ada", "bob"]);
    world.open_vault("ada", true);
    let titled = |title: &str| crate::api::NewPost {
        title: Some(title.into()),
        body: "@ada look".into(),
        tags: vec!["tag".into()],
        ..Default::default()
    };
    world.ask("bob", Request::Post { place: vault(), post: titled("Question").into() });
    for name in ["ada", "bob"] {
        let seen = world.vault(name);
        assert_eq!(
            (seen[0].title.as_deref(), &seen[0].mentions[..]),
            (Some("Question"), &["ada".to_owned()][..])
        );
    }
    world.same(&["ada", "bob"]);
    world.enter("zoe", 9);
    world.connect("ada", "zoe");
    world.invite("ada", "zoe", 10);
    let seen = world.vault("zoe");
    assert_eq!((seen[0].sealed, seen[0].title.as_deref(), seen[0].mentions.len()), (true, None, 0));
    world.same(&["ada", "bob", "zoe"]);
}

#[test]
fn a_deleted_message_is_erased_with_what_was_sealed() {
    let mut world = club(&["ada", "bob"]);
    world.open_vault("ada", false);
    let oops = world.whisper("ada", "oops");
    world.whisper("bob", "what?");
    world.ask("ada", Request::Delete { place: vault(), message: oops.clone() });
    for name in ["ada", "bob"] {
        assert_eq!(world.texts(name), ["", "what?"], "{name}");
        let erased = world.ask(name, Request::Compact);
        assert!(matches!(erased, Answer::Compacted { erased: 1, pending: 0, .. }), "{erased:?}");
        world.sound(name);
    }
    world.same(&["ada", "bob"]);
    let log = world.vault_log("bob");
    let bob = world.of("bob");
    let event = bob.store.event_refs(&log, 0..1)[0];
    let payload = bob.store.event(&log, &event).unwrap().payload;
    assert!(matches!(ChannelOp::decode(&payload), Ok(ChannelOp::Erased { .. })));
}

/// A backup is its user's own: what the device could read, whoever opens the backup can.
#[test]
fn a_backup_holds_what_its_device_could_read() {
    let mut world = club(&["ada", "bob"]);
    world.open_vault("ada", false);
    world.whisper("ada", "one");
    world.enter("cid", 9);
    world.connect("ada", "cid");
    world.invite("ada", "cid", 50);
    world.whisper("bob", "two");
    let backup = super::backup::export(&mut world, "cid");
    super::backup::enter_restored(&mut world, "cid2", &backup);
    assert_eq!(world.texts("cid2"), ["·", "two"]);
    assert_eq!(world.status("cid2").spaces[0].state_hash, world.status("cid").spaces[0].state_hash);
    world.sound("cid2");
    // And then nothing of it leaves either device.
    for name in ["cid", "cid2"] {
        let log = world.vault_log(name);
        let client = world.of(name);
        let all = Frontier { log, chains: Vec::new() };
        let bundles = client.store.bundles_since(&all, Limits::PEER).unwrap();
        assert_eq!(bundles.iter().flat_map(|bundle| sealed_in(client, bundle)).count(), 2, "{name}");
    }
}

/// A deletion that came to nothing: who erased the text gets what was sealed, and opens it only if the key is still there.
#[test]
fn content_that_comes_back_is_opened_or_told_apart() {
    let mut world = club(&["ada", "bob", "cid"]);
    world.open_vault("ada", false);
    let hello = world.whisper("ada", "hello");
    world.cut("ada", "bob");
    world.cut("ada", "cid");
    world.connect("bob", "cid");
    world.ask("bob", Request::Delete { place: vault(), message: hello });
    let erased = world.ask("cid", Request::Compact);
    assert!(matches!(erased, Answer::Compacted { erased: 1, pending: 0, .. }), "{erased:?}");
    world.ask("ada", Request::RoleSet { space: None, member: "bob".into(), rank: 10 });
    world.cut("bob", "cid");
    world.connect("ada", "cid");
    // Cid had read it, and its key is gone for good.
    assert_eq!([world.texts("ada"), world.texts("cid")], [["hello"], ["·"]]);
    world.same(&["ada", "cid"]);
    ["ada", "cid"].into_iter().for_each(|name| world.sound(name));
}

#[test]
fn what_was_opened_is_there_after_a_crash_and_keys_go_on() {
    let mut world = club(&["ada", "bob"]);
    world.open_vault("ada", false);
    for round in 0..4 {
        world.whisper("ada", &format!("ada {round}"));
        world.whisper("bob", &format!("bob {round}"));
        world.crash("ada", 50 + round);
        world.crash("bob", 90 + round);
        world.connect("ada", "bob");
    }
    let expected: Vec<String> =
        (0..4).flat_map(|round| [format!("ada {round}"), format!("bob {round}")]).collect();
    for name in ["ada", "bob"] {
        assert_eq!(world.texts(name), expected, "{name}");
        world.sound(name);
    }
    world.same(&["ada", "bob"]);
}

/// Every write of a sender and a receiver fails in turn, with a power cut at it. No generation is sealed with twice, in
/// anything that ever left a device, and no message is lost to whoever was to read it.
#[test]
fn no_crash_leads_back_to_a_key() {
    for victim in ["ada", "bob"] {
        for step in 0..40 {
            let mut world = club(&["ada", "bob"]);
            world.open_vault("ada", false);
            world.whisper("ada", "first");
            let mut sealed: BTreeMap<Vec<u8>, (EventHash, [u8; 32], u32)> = BTreeMap::new();
            world.note_sealed(&mut sealed);
            let storage = &world.devices[victim].1;
            storage.fail_at(storage.operations() + step, Fault::PowerCut);
            let mut done = true;
            for round in 0..4 {
                for name in ["ada", "bob"] {
                    let request =
                        Request::Send { place: vault(), body: format!("{name} {round}"), reply_to: None };
                    let sent = world.try_ask(name, request);
                    done &= sent.is_ok();
                    world.deliver();
                    world.note_sealed(&mut sealed);
                }
            }
            world.crash(victim, 70 + step);
            world.links.clear();
            let others: [u8; 32] = world.id(victim);
            let other = if victim == "ada" { "bob" } else { "ada" };
            world.of(other).disconnected(others);
            world.connect("ada", "bob");
            world.whisper("ada", "last of ada");
            world.whisper("bob", "last of bob");
            world.note_sealed(&mut sealed);
            let places: BTreeSet<_> = sealed.values().collect();
            assert_eq!(places.len(), sealed.len(), "a generation twice, {victim} at write {step}");
            assert_eq!(world.texts("ada"), world.texts("bob"), "{victim} at write {step}");
            assert!(!world.texts("ada").contains(&"·".to_owned()), "{victim} at write {step}");
            world.same(&["ada", "bob"]);
            if done {
                assert!(step > 4, "there were writes to fail");
                break;
            }
            assert!(step < 39, "the writes never end");
        }
    }
}

impl World {
    /// Delivers frames, some of which may fail at a device whose disk does.
    fn deliver(&mut self) {
        for _ in 0..100 {
            for name in ["ada", "bob"] {
                while let Some((to, frame)) = self.of(name).poll_frame() {
                    let to = if self.id("ada") == to { "ada" } else { "bob" };
                    let (from, now) = (self.id(name), self.now);
                    let _ = self.of(to).receive(from, frame, now);
                }
                while let Some(_notice) = self.of(name).poll_notice() {}
            }
        }
    }

    /// All sealed messages on any device, with the place that each has in its sender's ratchet.
    fn note_sealed(&mut self, sealed: &mut BTreeMap<Vec<u8>, (EventHash, [u8; 32], u32)>) {
        for name in ["ada", "bob"] {
            let log = self.vault_log(name);
            let client = self.of(name);
            let Ok(bundles) = client.store.bundles_since(&Frontier { log, chains: Vec::new() }, Limits::PEER)
            else {
                continue;
            };
            for bundle in bundles {
                let key = bundle.batch.key.unwrap();
                for message in sealed_in(client, &bundle) {
                    let place = keys(client, &log.space, &key.commit).place(&message).unwrap();
                    sealed.insert(message, (key.commit, place.0, place.1));
                }
            }
        }
    }
}

/// The sealed messages of a bundle, as whoever is handed it sees them.
pub(super) fn sealed_in(client: &Client, bundle: &Bundle) -> Vec<Vec<u8>> {
    let batch = &bundle.batch;
    let secret = client.store.epoch_secret(&batch.log.space, &batch.key.unwrap().commit).unwrap();
    let key = EpochKey::derive(&secret, &batch.log.channel.unwrap());
    let bytes = bundle.open_chunks(Some(&key)).unwrap().concat();
    let mut rest = &bytes[..];
    let mut found = Vec::new();
    for event in &batch.events {
        let (payload, behind) = rest.split_at(event.payload_len as usize);
        rest = behind;
        match ChannelOp::decode(payload) {
            Ok(ChannelOp::Sealed(sealed)) => found.push(sealed.message.to_vec()),
            other => assert!(!matches!(other, Ok(ChannelOp::Post(_))), "in clear"),
        }
    }
    found
}

/// Where what is sealed cannot be, nothing is sent in clear.
#[test]
fn nothing_is_sent_in_another_way_than_the_channels() {
    let mut world = club(&["ada", "bob"]);
    world.open_vault("ada", false);
    let ada = world.of("ada");
    let names: Vec<Vec<u8>> = ada.store.records(b"message-key/").map(|(name, _)| name.to_vec()).collect();
    ada.store.write_records(names.into_iter().map(|name| (name, None)).collect()).unwrap();
    ada.keys = Default::default();
    // Without keys it makes an epoch that has some.
    world.whisper("ada", "all the same");
    assert_eq!(world.texts("bob"), ["all the same"]);
    // And what says something in clear counts for nothing, whoever wrote it.
    let log = world.vault_log("bob");
    let bob = world.of("bob");
    let key = bob.epoch(&log.space).unwrap();
    let op = ChannelOp::Post(terachat_core_store::model::Post {
        style: crate::api::Style::Message,
        body: "in clear",
        reply_to: None,
        imported: None,
    });
    let refused = bob.store.post(&bob.identity.device, log, key, 5, &[op]);
    assert!(matches!(refused, Err(terachat_core_store::Error::Payload(_))), "{refused:?}");
    assert_eq!(world.texts("bob"), ["all the same"]);
    let told = |notice: &Notice| matches!(notice, Notice::Message(message) if message.body == "all the same");
    assert!(world.seen["bob"].iter().any(told), "whoever opens it is told of it");
    let long = Request::Send { place: vault(), body: "x".repeat(64 << 10), reply_to: None };
    world.ask("ada", long);
    assert_eq!(world.texts("bob")[1].len(), 64 << 10);
    let longer = Request::Send { place: vault(), body: "x".repeat((64 << 10) + 1), reply_to: None };
    assert!(matches!(world.try_ask("ada", longer), Err(Error::Input(_))));
}
