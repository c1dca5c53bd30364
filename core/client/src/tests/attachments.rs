//! Files whose bytes are in the cluster: who has their keys, from when on, and until when.
use super::{World, club, passphrase, place};
use crate::api::{Answer, AttachedFile, FileKey, KeyedFile, NewPost, Place, Request};
use crate::{Client, Error};

const DAY_MS: u64 = 24 * 3600 * 1000;

fn plan(name: &str) -> NewPost {
    let file = AttachedFile {
        name: name.into(),
        media_type: "application/pdf".into(),
        len: 5,
        hash: "ab".repeat(32),
        address: None,
    };
    NewPost { attachments: vec![file], ..NewPost::default() }
}

fn upload(world: &mut World, path: &str) -> FileKey {
    let paths = vec![path.to_owned()];
    match world.ask("ada", Request::Upload { place: place(), post: plan("plan.pdf").into(), paths }) {
        Answer::Upload { mut keys } => keys.remove(0),
        other => panic!("{other:?}"),
    }
}

fn post(world: &mut World, key: FileKey) -> String {
    let mut post = plan("plan.pdf");
    post.attachments[0].address = Some("cd".repeat(32));
    post.keys = vec![key];
    match world.ask("ada", Request::Post { place: place(), post: post.into() }) {
        Answer::Sent { id } => id,
        other => panic!("{other:?}"),
    }
}

fn attachments(world: &mut World, who: &str, message: &str) -> Result<Vec<KeyedFile>, Error> {
    let asked = Request::Attachments { place: place(), message: message.to_owned() };
    match world.try_ask(who, asked)? {
        Answer::Attachments { files } => Ok(files),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_the_same_until_its_message_is_posted_and_then_its_members() {
    let mut world = club(&["ada", "bob"]);
    let key = upload(&mut world, "/plan.pdf");
    assert_eq!(key.0.len(), 64);
    assert_eq!(format!("{key:?}"), "FileKey");
    assert_ne!(upload(&mut world, "/other.pdf"), key);
    // Killed meanwhile.
    let storage = world.devices["ada"].1.crash();
    let entropy = Box::new(super::Counter(9 << 32));
    let reopened = Client::open(Box::new(storage.clone()), &mut passphrase("secret"), entropy).unwrap();
    let id = world.id("ada");
    world.of("bob").disconnected(id);
    world.devices.insert("ada", (reopened, storage));
    world.connect("ada", "bob");
    assert_eq!(upload(&mut world, "/plan.pdf"), key);

    let message = post(&mut world, key.clone());
    for who in ["ada", "bob"] {
        let files = attachments(&mut world, who, &message).unwrap();
        assert_eq!((files[0].file.name.as_str(), files[0].key.as_ref()), ("plan.pdf", Some(&key)), "{who}");
        assert_eq!(files[0].file.address, Some("cd".repeat(32)));
    }
    world.same(&["ada", "bob"]);
    world.sound("bob");
    assert_ne!(upload(&mut world, "/plan.pdf"), key, "each time it is sent it has another");

    world.ask("ada", Request::Delete { place: place(), message: message.clone() });
    for who in ["ada", "bob"] {
        let error = attachments(&mut world, who, &message).unwrap_err().to_string();
        assert!(error.contains("was deleted"), "{error}");
    }
    let said = world.say("ada", "nothing but words");
    assert!(attachments(&mut world, "ada", &said).unwrap_err().to_string().contains("no attachments"));
}

/// Also in a channel where each message is sealed by itself.
#[test]
fn who_came_later_does_not_get_the_key_where_nobody_reads_from_before() {
    let mut world = World::new(&["ada", "bob"]);
    world.ask("ada", Request::SpaceCreate { name: "club".into(), post_quantum: false });
    world.ask(
        "ada",
        Request::ChannelCreate { space: None, name: "general".into(), forum: false, since_join: true },
    );
    let key = upload(&mut world, "/plan.pdf");
    let message = post(&mut world, key.clone());
    assert_eq!(attachments(&mut world, "ada", &message).unwrap()[0].key, Some(key));
    world.connect("ada", "bob");
    world.invite("ada", "bob", 50);
    let error = attachments(&mut world, "bob", &message).unwrap_err().to_string();
    assert!(error.contains("before this device could read"), "{error}");
    let key = upload(&mut world, "/plan.pdf");
    let message = post(&mut world, key.clone());
    assert_eq!(attachments(&mut world, "bob", &message).unwrap()[0].key, Some(key));
    world.same(&["ada", "bob"]);
}

#[test]
fn a_key_that_nobody_uses_is_forgotten() {
    let mut world = club(&["ada"]);
    let key = upload(&mut world, "/plan.pdf");
    world.now += 29 * DAY_MS;
    assert_eq!(upload(&mut world, "/plan.pdf"), key);
    world.now += 31 * DAY_MS;
    upload(&mut world, "/other.pdf");
    assert_ne!(upload(&mut world, "/plan.pdf"), key);
}

#[test]
fn what_cannot_be_posted_is_refused_before_it_is_stored() {
    let mut world = club(&["ada", "bob"]);
    world.ask(
        "ada",
        Request::ChannelCreate { space: None, name: "questions".into(), forum: true, since_join: false },
    );
    let forum = || Place { space: None, channel: Some("questions".into()) };
    let ask = |place: Place, post: NewPost, paths: usize| Request::Upload {
        place,
        post: post.into(),
        paths: vec!["/a".into(); paths],
    };
    for (request, told) in [
        (ask(forum(), plan("plan.pdf"), 1), "has a title"),
        (ask(place(), plan("../plan.pdf"), 1), "name is"),
        (ask(place(), plan("plan.pdf"), 2), "path for each"),
        (ask(place(), NewPost { body: "words".into(), ..NewPost::default() }, 0), "path for each"),
    ] {
        let error = world.try_ask("ada", request).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    world.ask("ada", Request::RoleSet { space: None, member: "bob".into(), rank: 0 });
    let readers = world.try_ask("bob", ask(place(), plan("plan.pdf"), 1));
    assert!(matches!(readers, Err(Error::LacksPermission { .. })), "{readers:?}");

    let stored = |address: Option<String>, keys: &[&str]| {
        let mut post = plan("plan.pdf");
        post.attachments[0].address = address;
        post.keys = keys.iter().map(|key| FileKey((*key).to_owned())).collect();
        Request::Post { place: place(), post: post.into() }
    };
    let digits = "cd".repeat(32);
    for request in [
        stored(Some(digits.clone()), &[]),
        stored(None, &[&digits]),
        stored(Some("cd".into()), &[&digits]),
        stored(Some(digits.clone()), &["cd"]),
    ] {
        assert!(matches!(world.try_ask("ada", request), Err(Error::Input(_))));
    }
}
