use crate::support::Place;

#[test]
fn a_page_is_narrowed_to_what_meets_conditions() {
    let place = Place::crew();
    place.ok("ada", &["send", "one"]);
    let file = place.file("plan.pdf", "a plan");
    let two = place.json("ada", &["send", "two, @Ada", "--attach", file.to_str().unwrap()]);
    place.ok("ada", &["send", "three, @everyone"]);
    let case = |args: &[&str], expected: &[&str]| {
        let page = place.json("ada", &[&["read"], args].concat());
        let messages = page["messages"].as_array().unwrap().iter();
        let bodies: Vec<_> = messages.map(|message| message["body"].as_str().unwrap()).collect();
        assert_eq!(bodies, expected, "{args:?}");
    };
    case(&["--has", "attachment", "--from", "Ada", "--min-rank", "100"], &["two, @Ada"]);
    case(&["--mentions", "me"], &["two, @Ada", "three, @everyone"]);
    case(&["--mentions", "me", "--before", two["id"].as_str().unwrap()], &[]);
    case(&["--mentions", "me", "--limit", "1"], &["three, @everyone"]);
    case(&["--mentions", "everyone", "--since", "2004-12-25"], &["three, @everyone"]);
    case(&["--until", "2004-12-25T09:14"], &[]);
    let hits = place.json("ada", &["search", "mentions:me has:attachment rank:100"]);
    assert_eq!(hits["hits"].as_array().unwrap().len(), 1);
    let refused = place.run("ada", &["read", "--since", "yesterday"]);
    assert!(refused.pair().0.contains("a time is a day"), "{}", refused.stderr);
}

#[test]
fn a_forum_a_mention_and_what_was_read() {
    let place = Place::crew();
    place.ok("ada", &["category", "create", "help"]);
    place.ok("ada", &["channel", "create", "questions", "--forum"]);
    place.ok("ada", &["channel", "place", "questions", "--category", "help"]);
    place.ok("ada", &["channel", "topic", "questions", "ask anything"]);
    let file = place.file("plan.pdf", "a plan");
    let ask = [
        "--channel",
        "questions",
        "send",
        "see the plan",
        "--title",
        "Which way?",
        "--tag",
        "maps",
        "--attach",
    ];
    let id =
        place.json("ada", &[&ask[..], &[file.to_str().unwrap()]].concat())["id"].as_str().unwrap().to_owned();
    place.ok("ada", &["--channel", "questions", "reply", &id, "left, I think"]);
    let posts = place.json("ada", &["--channel", "questions", "forum", "--tag", "maps"]);
    let post = &posts["posts"][0];
    assert_eq!((post["message"]["title"].as_str(), post["replies"].as_u64()), (Some("Which way?"), Some(1)));
    let attached = &post["message"]["attachments"][0];
    assert_eq!((attached["name"].as_str(), attached["len"].as_u64()), (Some("plan.pdf"), Some(6)));
    assert_eq!(attached["media_type"], "application/pdf");
    let shown = place.ok("ada", &["--channel", "questions", "forum"]);
    assert!(shown.contains("Which way?") && shown.contains("#maps"), "{}", shown);
    place.ok("ada", &["--channel", "questions", "retitle", &id, "Which way to the sea?", "--tag", "sea"]);
    let page = place.ok("ada", &["--channel", "questions", "read"]);
    assert!(page.contains("Which way to the sea?") && page.contains("plan.pdf, 6 B"), "{}", page);
    place.ok("ada", &["--channel", "questions", "mark"]);
    assert!(place.ok("ada", &["--channel", "questions", "read"]).contains("read by Ada"));
    let status = place.ok("ada", &["status"]);
    assert!(status.contains("help/questions") && status.contains("ask anything"), "{}", status);
    let refused = place.run("ada", &["--channel", "questions", "send", "no title"]);
    assert!(refused.pair().0.contains("has a title"), "{}", refused.stderr);
    assert!(
        place
            .run("ada", &["channel", "place", "questions", "--after", "nothing"])
            .pair()
            .0
            .contains("nothing")
    );
    place.ok("ada", &["space", "rename", "guild"]);
    assert_eq!(place.json("ada", &["status"])["spaces"][0]["name"], "guild");
}
