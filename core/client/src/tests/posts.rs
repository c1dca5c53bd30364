use super::{World, club, place};
use crate::Error;
use crate::api::{Answer, AttachedFile, ForumPost, Message, NewPost, Place, Request};

fn forum() -> Place {
    Place { space: None, channel: Some("questions".into()) }
}

fn general() -> Place {
    Place { space: None, channel: Some("general".into()) }
}

fn titled(title: &str, tags: &[&str]) -> NewPost {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    NewPost { title: Some(title.into()), tags, body: "a body".into(), ..NewPost::default() }
}

fn send(world: &mut World, who: &str, place: Place, post: NewPost) -> String {
    match world.ask(who, Request::Post { place, post: post.into() }) {
        Answer::Sent { id } => id,
        other => panic!("{other:?}"),
    }
}

fn posts(world: &mut World, who: &str, tags: &[&str]) -> Vec<ForumPost> {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    match world.ask(who, Request::Forum { place: forum(), tags, after: None, limit: 9 }) {
        Answer::Posts { posts } => posts,
        other => panic!("{other:?}"),
    }
}

fn newest(world: &mut World, who: &str) -> Message {
    let (before, after, around, thread) = (None, None, None, None);
    let read = Request::Read {
        place: general(),
        limit: 1,
        before,
        after,
        around,
        thread,
        pinned: false,
        filter: Box::default(),
    };
    match world.ask(who, read) {
        Answer::Messages { mut messages } => messages.remove(0),
        other => panic!("{other:?}"),
    }
}

fn unread(world: &mut World, who: &str) -> (usize, usize) {
    let status = world.status(who);
    let general = status.spaces[0].channels.iter().find(|channel| channel.name == "general").unwrap();
    (general.unread, general.mentions)
}

#[test]
fn a_question_is_asked_answered_and_found() {
    let mut world = club(&["ada", "bob"]);
    world.ask(
        "ada",
        Request::ChannelCreate { space: None, name: "questions".into(), forum: true, since_join: false },
    );
    let way = send(&mut world, "ada", forum(), titled("Which way?", &["maps", "help", "maps"]));
    let lunch = send(&mut world, "bob", forum(), titled("Lunch", &[]));
    world.ask("bob", Request::Send { place: forum(), body: "left".into(), reply_to: Some(way.clone()) });
    world.settle();
    world.same(&["ada", "bob"]);
    let list = posts(&mut world, "ada", &[]);
    let seen: Vec<_> = list
        .iter()
        .map(|post| (post.message.title.as_deref().unwrap(), post.replies, post.last_by.as_str()))
        .collect();
    assert_eq!(seen, [("Which way?", 1, "bob"), ("Lunch", 0, "bob")]);
    assert_eq!(list[0].message.tags, ["help", "maps"]);
    assert_eq!(posts(&mut world, "bob", &["maps"]).len(), 1);
    world.ask(
        "ada",
        Request::Retitle { place: forum(), message: lunch.clone(), title: "Dinner".into(), tags: vec![] },
    );
    world.settle();
    assert_eq!(posts(&mut world, "bob", &[])[1].message.title.as_deref(), Some("Dinner"));
    for (request, told) in [
        (Request::Send { place: forum(), body: "no title".into(), reply_to: None }, "has a title"),
        (
            Request::Post {
                place: forum(),
                post: NewPost { reply_to: Some(way.clone()), ..titled("x", &[]) }.into(),
            },
            "no title of its own",
        ),
        (Request::Post { place: forum(), post: titled("two\nlines", &[]).into() }, "a title is a line"),
        (
            Request::Post {
                place: general(),
                post: NewPost { tags: vec!["t".into()], body: "b".into(), ..NewPost::default() }.into(),
            },
            "tags belong",
        ),
        (
            Request::Retitle { place: forum(), message: way, title: String::new(), tags: vec![] },
            "a title is a line",
        ),
    ] {
        let error: Error = world.try_ask("ada", request).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn who_is_mentioned_sees_so_until_it_is_read() {
    let mut world = club(&["ada", "bob"]);
    assert_eq!(unread(&mut world, "bob"), (0, 0));
    world.say("ada", "hello all");
    world.say("ada", "@bob, look here");
    let file = AttachedFile {
        name: "plan.pdf".into(),
        media_type: "application/pdf".into(),
        len: 3,
        hash: "ab".repeat(32),
        address: None,
    };
    send(
        &mut world,
        "ada",
        place(),
        NewPost { body: "the plan, @everyone".into(), attachments: vec![file.clone()], ..NewPost::default() },
    );
    world.say("bob", "thanks");
    world.settle();
    assert_eq!(unread(&mut world, "bob"), (3, 2));
    assert_eq!(unread(&mut world, "ada"), (1, 0));
    world.ask("bob", Request::Mark { place: general(), message: None });
    world.settle();
    world.same(&["ada", "bob"]);
    assert_eq!(unread(&mut world, "bob"), (0, 0));
    assert_eq!(newest(&mut world, "ada").read_by, ["bob"]);
    world.say("ada", "one more");
    assert_eq!(unread(&mut world, "bob"), (1, 0));
    let (before, after, around, thread) = (None, None, None, None);
    let read = Request::Read {
        place: general(),
        limit: 9,
        before,
        after,
        around,
        thread,
        pinned: false,
        filter: Box::default(),
    };
    let Answer::Messages { messages } = world.ask("bob", read) else { panic!("a page") };
    let mentions: Vec<_> = messages.iter().map(|message| message.mentions.as_slice()).collect();
    assert_eq!(mentions, [&[][..], &["bob".to_owned()], &["everyone".to_owned()], &[], &[]]);
    assert_eq!(messages[2].attachments, std::slice::from_ref(&file));
    for bad in
        [AttachedFile { name: "../x".into(), ..file.clone() }, AttachedFile { hash: "x".into(), ..file }]
    {
        let post = NewPost { attachments: vec![bad], ..NewPost::default() };
        assert!(matches!(
            world.try_ask("ada", Request::Post { place: place(), post: post.into() }),
            Err(Error::Input(_))
        ));
    }
    world.sound("bob");
}
