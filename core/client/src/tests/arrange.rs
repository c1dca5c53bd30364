use super::club;
use crate::Error;
use crate::api::{Answer, Arrangement, Place, Request};

fn arrange(change: Arrangement) -> Request {
    Request::Arrange { space: None, change }
}

#[test]
fn a_space_is_laid_out_by_names_and_every_device_sees_it() {
    let mut world = club(&["ada", "bob"]);
    world.ask(
        "ada",
        Request::ChannelCreate { space: None, name: "questions".into(), forum: true, since_join: false },
    );
    let names = |channel: &str, name: &str| {
        arrange(Arrangement::RenameChannel { channel: channel.into(), name: name.into() })
    };
    let place = |channel: &str, category: Option<&str>, after: Option<&str>| {
        let (category, after) = (category.map(Into::into), after.map(Into::into));
        arrange(Arrangement::Place { channel: channel.into(), category, after })
    };
    assert_eq!(world.ask("ada", arrange(Arrangement::CreateCategory { name: "work".into() })), Answer::Done);
    world.ask(
        "ada",
        arrange(Arrangement::Topic { channel: "questions".into(), topic: "ask anything".into() }),
    );
    world.ask("ada", place("general", Some("work"), None));
    world.ask("ada", names("general", "lobby"));
    world.ask("ada", arrange(Arrangement::RenameCategory { category: "work".into(), name: "labour".into() }));
    world.ask("ada", arrange(Arrangement::RenameSpace { name: "guild".into() }));
    world.settle();
    world.same(&["ada", "bob"]);
    let space = &world.status("bob").spaces[0];
    assert_eq!((space.name.as_str(), space.categories.as_slice()), ("guild", &["labour".to_owned()][..]));
    let seen: Vec<_> = space
        .channels
        .iter()
        .map(|one| (one.name.as_str(), one.forum, one.category.as_deref(), one.topic.as_str()))
        .collect();
    assert_eq!(seen, [("questions", true, None, "ask anything"), ("lobby", false, Some("labour"), "")]);
    // What cannot be is said before anything is signed.
    let events = |world: &mut super::World| match world
        .ask("ada", Request::Log { place: Place::default(), limit: 99 })
    {
        Answer::Events { events } => events.len(),
        other => panic!("{other:?}"),
    };
    let before = events(&mut world);
    for (who, request, told) in [
        ("bob", arrange(Arrangement::RenameSpace { name: "mine".into() }), "rename-space"),
        ("ada", names("lobby", "questions"), "of that name"),
        ("ada", names("lobby", " "), "1 to 100"),
        ("ada", names("nothing", "x"), "nothing"),
        ("ada", place("lobby", Some("nothing"), None), "nothing"),
        ("ada", place("lobby", None, Some("lobby")), "behind itself"),
        ("ada", arrange(Arrangement::CreateCategory { name: "labour".into() }), "of that name"),
        (
            "ada",
            arrange(Arrangement::Topic { channel: "lobby".into(), topic: "\u{7}".into() }),
            "control characters",
        ),
    ] {
        let error: Error = world.try_ask(who, request).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
    assert_eq!(events(&mut world), before);
}
