use crate::support::Place;

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
