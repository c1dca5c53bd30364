//! Devices that read the newest of a channel and leave its past with others.
use super::*;
use crate::api::Selection;
use crate::protocol::Frame;
use terachat_core_store::sync::Want;

pub(super) fn newest() -> Request {
    Request::ChannelsKeep { space: None, change: Selection::Newest { channels: vec!["general".into()] } }
}

pub(super) fn keep() -> Request {
    Request::ChannelsKeep { space: None, change: Selection::Also { channels: vec!["general".into()] } }
}

pub(super) fn read(before: Option<&str>, limit: usize) -> Request {
    Request::Read {
        place: place(),
        limit,
        before: before.map(str::to_owned),
        after: None,
        around: None,
        thread: None,
        pinned: false,
        filter: Box::default(),
    }
}

impl World {
    #[track_caller]
    pub(super) fn page(&mut self, name: &str, before: Option<&str>, limit: usize) -> Vec<Message> {
        match self.ask(name, read(before, limit)) {
            Answer::Messages { messages } => messages,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn reopen(&mut self, name: &'static str) {
        let disk = self.devices[name].1.crash();
        let boxed: Box<dyn Storage> = Box::new(disk.clone());
        let entropy = Box::new(Counter(77 << 32));
        let client = Client::open(boxed, &mut passphrase("secret"), entropy).unwrap();
        self.devices.insert(name, (client, disk));
    }
}

impl Client {
    /// The newest messages, with no frames going.
    fn ask_page(&mut self) -> Vec<Message> {
        match self.execute(read(None, 50), 9_000_000) {
            Ok(Answer::Messages { messages }) => messages,
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn words(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("word {n}")).collect()
}

pub(super) fn texts(page: &[Message]) -> Vec<String> {
    page.iter().map(|message| message.body.clone()).collect()
}

/// Ada and Bob talk for long; Eve's phone joins and reads the newest.
fn long_talk(count: usize) -> World {
    let mut world = club(&["ada", "bob", "eve"]);
    world.ask("eve", newest());
    world.cut("ada", "eve");
    for n in 0..count {
        world.say(["ada", "bob"][n % 2], &format!("word {n}"));
    }
    world
}

#[test]
fn a_phone_reads_the_newest_scrolls_back_and_loses_its_power() {
    let mut world = long_talk(240);
    let log = world.of("eve").place(&place()).unwrap();
    assert!(matches!(world.try_ask("eve", read(None, 50)), Err(Error::NotKept(_))));
    world.connect("eve", "ada");
    let page = world.page("eve", None, 30);
    assert_eq!(texts(&page), words(210..240));
    assert!(!page[0].begins, "there is more here");
    let page = world.page("eve", Some(&page[0].id), 30);
    assert_eq!(texts(&page), words(190..210));
    assert!(page[0].begins, "and there it ends, but for what is asked for now");
    let page = world.page("eve", Some(&page[0].id), 30);
    assert_eq!(texts(&page), words(160..190));
    assert_eq!(world.of("eve").store.len(&log), 0, "nothing of it is in the log");
    // The power goes. What was read is still there, also without anybody.
    world.cut("ada", "eve");
    world.reopen("eve");
    let page = world.page("eve", None, 1000);
    assert_eq!(texts(&page), words(140..240));
    assert!(page[0].begins);
    // It is not written in, and nobody is removed by whoever lacks it.
    assert!(matches!(
        world.try_ask("eve", Request::Send { place: place(), body: "hi".into(), reply_to: None }),
        Err(Error::NotKept(_))
    ));
    // What is said meanwhile comes when they meet, and then as it is said.
    world.say("ada", "word 240");
    world.connect("eve", "ada");
    world.say("bob", "word 241");
    assert_eq!(texts(&world.page("eve", None, 3)), words(239..242));
    let me = terachat_event::DeviceId(world.id("ada"));
    assert!(world.of("eve").peers[&me].in_sync);
    // Then all of it: the same as everybody has.
    world.ask("eve", keep());
    assert!(!world.of("eve").store.has_preview(&log));
    assert_eq!(texts(&world.page("eve", None, 1000)), words(0..242));
    world.say("eve", "here I am");
    world.same(&["ada", "bob", "eve"]);
    world.sound("eve");
}

#[test]
fn it_takes_few_bytes_and_none_of_the_past() {
    let mut world = long_talk(0);
    for n in 0..400_u32 {
        // Words that do not compress to nothing.
        world.say("ada", &blake3::hash(&n.to_le_bytes()).to_string());
    }
    let (eve, ada) = (world.id("eve"), world.id("ada"));
    let count = |world: &mut World, whole: bool| {
        world.cut("ada", "eve");
        if whole {
            world.ask("eve", keep());
        }
        world.links.insert(("ada", "eve"));
        world.links.insert(("eve", "ada"));
        world.of("ada").connected(eve);
        world.of("eve").connected(ada);
        let mut bytes = 0;
        loop {
            let mut quiet = true;
            while let Some((to, frame)) = world.of("ada").poll_frame() {
                if to == eve {
                    bytes += frame.len();
                    world.of("eve").receive(ada, frame, 9_000_000).unwrap();
                }
                quiet = false;
            }
            while let Some((to, frame)) = world.of("eve").poll_frame() {
                if to == ada {
                    world.of("ada").receive(eve, frame, 9_000_000).unwrap();
                }
                quiet = false;
            }
            if quiet {
                return bytes;
            }
        }
    };
    let (newest, whole) = (count(&mut world, false), count(&mut world, true));
    assert!(newest * 3 < whole, "{newest} {whole}");
    world.same(&["ada", "eve"]);
}

#[test]
fn whoever_sends_what_was_not_asked_for_is_cut_off_and_a_bad_page_changes_nothing() {
    let mut world = long_talk(200);
    world.connect("eve", "ada");
    let log = world.of("eve").place(&place()).unwrap();
    let ada = world.id("ada");
    let page = world.of("ada").store.newest(&log, &Want::First { messages: 9 }).unwrap().unwrap().encode();
    let unasked = Frame::Newest { log, bytes: page.clone() }.encode();
    assert!(matches!(world.of("eve").receive(ada, unasked, 9_000_000), Err(Error::Frame(_))));
    // It was asked for other times: the page is left, and the newest are asked for once more.
    let before = world.page("eve", None, 1000);
    world.of("eve").scroll_back(log);
    let Some((_, asked)) = world.of("eve").poll_frame() else { panic!("nothing is asked") };
    assert!(matches!(Frame::decode(&asked), Ok(Frame::WantNewest { want: Want::Older { .. }, .. })));
    let lie = Frame::Newest { log, bytes: page }.encode();
    world.of("eve").receive(ada, lie, 9_000_000).unwrap();
    let after = texts(&world.page("eve", None, 1000));
    assert_eq!((before.len(), &after[after.len() - 50..]), (50, &texts(&before)[..]));
    // A page cut short is a broken frame.
    world.of("eve").take_more_newest(terachat_event::DeviceId(ada), log);
    let cut = Frame::Newest { log, bytes: vec![1, 2, 3] }.encode();
    assert!(world.of("eve").receive(ada, cut, 9_000_000).is_err());
}

#[test]
fn a_channel_since_joining_is_kept_or_left_out() {
    let mut world = club(&["ada", "eve"]);
    world.ask(
        "ada",
        Request::ChannelCreate { space: None, name: "here".into(), forum: false, since_join: true },
    );
    let change = Selection::Newest { channels: vec!["here".into()] };
    assert!(matches!(
        world.try_ask("eve", Request::ChannelsKeep { space: None, change }),
        Err(Error::Input(_))
    ));
    // What is left out altogether is forgotten.
    for n in 0..5 {
        world.say("ada", &format!("word {n}"));
    }
    world.ask("eve", newest());
    let log = world.of("eve").place(&place()).unwrap();
    assert!(world.of("eve").store.has_preview(&log));
    let change = Selection::LeaveOut { channels: vec!["general".into()] };
    world.ask("eve", Request::ChannelsKeep { space: None, change });
    assert!(!world.of("eve").store.has_preview(&log));
}

/// Of an event that was here by pages alone, nothing was told but that its channel is not kept.
#[test]
fn of_an_event_of_the_newest_it_is_told_what_is_proven_and_what_is_not_known() {
    let mut world = long_talk(0);
    let root = world.say("bob", "who has the key?");
    for n in 0..200 {
        world.say("ada", &format!("word {n}"));
    }
    let answer = Request::Send { place: place(), body: "I have".into(), reply_to: Some(root.clone()) };
    let Answer::Sent { id: answer } = world.ask("ada", answer) else { panic!() };
    world.connect("eve", "ada");
    world.page("eve", None, 50);
    // What is older comes no more.
    world.cut("ada", "eve");
    let page = world.page("eve", None, 1000);
    assert!(page[0].begins);
    let why = |world: &mut World, who: &str, event: &str| {
        let Answer::Why(why) = world.ask(who, Request::Why { place: place(), event: event.into() }) else {
            panic!()
        };
        *why
    };
    // All that can be said of it is what who has the whole log says, and beside it what that rests on.
    let mut told = why(&mut world, "eve", &answer);
    let ahead = told.ahead.take().unwrap();
    assert_eq!(told, why(&mut world, "ada", &answer));
    assert_eq!((told.counts, told.reason.as_str(), told.rank), (true, "counts", Some(100)));
    assert!(ahead.from > 1 && told.event.lamport > ahead.from);
    let says = |words: &[String], what: &str| words.iter().any(|words| words.contains(what));
    assert!(
        says(&ahead.proven, "signed") && says(&ahead.proven, "follows from what it builds on"),
        "{ahead:?}"
    );
    assert!(
        says(&ahead.unknown, &root)
            && says(&ahead.unknown, &format!("older than Lamport time {}", ahead.from))
    );
    assert!(ahead.next.contains("channel keep 'general'"), "{ahead:?}");
    // Of the oldest that is here the time is its author's word; its signature is a later one's.
    let oldest = why(&mut world, "eve", &page[0].id).ahead.unwrap();
    assert!(says(&oldest.unknown, "its author's word") && says(&oldest.proven, "a later one"), "{oldest:?}");
    assert!(!says(&oldest.proven, "Lamport"));
    world.connect("ada", "eve");
    // What is not here at all is as unknown as ever, and with the past there is nothing left to be told.
    let unknown = world.try_ask("eve", Request::Why { place: place(), event: root.clone() });
    assert!(matches!(unknown, Err(Error::Unknown { .. })), "{unknown:?}");
    world.ask("eve", keep());
    assert_eq!(why(&mut world, "eve", &answer), told);
    assert!(why(&mut world, "eve", &root).ahead.is_none());
}

fn search(query: &str) -> Request {
    Request::Search { place: place(), query: query.into(), limit: 100 }
}

impl World {
    #[track_caller]
    fn finds(&mut self, name: &str, query: &str) -> Vec<String> {
        let Answer::Hits { hits } = self.ask(name, search(query)) else { panic!() };
        hits.into_iter().map(|hit| hit.message.body).collect()
    }

    fn unread(&mut self, name: &str) -> (usize, usize) {
        let channel = self.status(name).spaces[0].channels[0].clone();
        (channel.unread, channel.mentions)
    }
}

pub(super) fn mark(message: Option<String>) -> Request {
    Request::Mark { place: place(), message }
}

#[test]
fn a_phone_searches_counts_marks_follows_and_narrows_what_it_reads() {
    let mut world = long_talk(200);
    world.connect("eve", "ada");
    assert_eq!(world.finds("eve", "word 199"), ["word 199"]);
    assert_eq!(world.finds("eve", "word 3"), Vec::<String>::new(), "that is with others");
    assert_eq!(world.finds("eve", "word author:bob").len(), 25);
    assert_eq!(world.unread("eve"), (50, 0));
    // What was read is remembered here, also without power, and does not go back.
    let page = world.page("eve", None, 50);
    world.ask("eve", mark(Some(page[20].id.clone())));
    assert_eq!(world.unread("eve").0, 29);
    world.ask("eve", mark(None));
    world.ask("eve", mark(Some(page[20].id.clone())));
    world.cut("ada", "eve");
    world.reopen("eve");
    assert_eq!(world.unread("eve"), (0, 0));
    world.connect("eve", "ada");
    // Whoever follows hears what is new, and no more.
    let open = Request::LiveOpen {
        place: place(),
        thread: None,
        unread_after: None,
        search: None,
        pinned: false,
        limit: 10,
    };
    let Answer::Live { id, messages } = world.ask("eve", open) else { panic!() };
    assert_eq!(texts(&messages), words(190..200));
    let root = world.say("bob", "for @eve");
    world.ask("ada", Request::Send { place: place(), body: "yes".into(), reply_to: Some(root.clone()) });
    world.ask("ada", Request::Pin { place: place(), message: root.clone(), remove: false });
    let Answer::LiveChanges { changes } = world.ask("eve", Request::LiveChanges { id }) else { panic!() };
    let inserted = |change: &crate::api::LiveChange| match change {
        crate::api::LiveChange::Insert { message, .. } => message.body.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(changes.iter().map(inserted).collect::<Vec<_>>(), ["for @eve", "yes"]);
    assert_eq!(world.unread("eve"), (2, 1));
    let ask = |thread: Option<String>, pinned: bool, from: Option<&str>| {
        let mut request = read(None, 100);
        if let Request::Read { thread: of, pinned: only, filter, .. } = &mut request {
            (*of, *only, filter.from) = (thread, pinned, from.map(str::to_owned));
        }
        request
    };
    let mut bodies = |request| match world.ask("eve", request) {
        Answer::Messages { messages } => texts(&messages),
        other => panic!("{other:?}"),
    };
    assert_eq!(bodies(ask(Some(root.clone()), false, None)), ["for @eve", "yes"]);
    assert_eq!(bodies(ask(None, true, None)), ["for @eve"]);
    assert_eq!(bodies(ask(None, false, Some("bob"))).last().unwrap(), "for @eve");
    // Nothing is said on it, and it says why.
    let answer = Request::Send { place: place(), body: "here".into(), reply_to: Some(root.clone()) };
    assert!(matches!(world.try_ask("eve", answer), Err(Error::NotKept(_))));
    // With the whole channel what was read stays read.
    world.ask("eve", keep());
    assert_eq!(world.unread("eve"), (2, 1));
    assert_eq!(world.finds("eve", "word 3"), ["word 3"]);
    let Answer::LiveChanges { changes } = world.ask("eve", Request::LiveChanges { id }) else { panic!() };
    assert_eq!(changes, [], "the past is no news");
    world.ask("eve", mark(None));
    assert_eq!(world.unread("eve"), (0, 0));
    world.same(&["ada", "bob", "eve"]);
}

/// Lets one frame go each way; gives whether there was one.
fn one_frame(world: &mut World) -> bool {
    let (eve, ada) = (world.id("eve"), world.id("ada"));
    let mut any = false;
    if let Some((to, frame)) = world.of("ada").poll_frame() {
        any = true;
        if to == eve {
            world.of("eve").receive(ada, frame, 9_000_000).unwrap();
        }
    }
    if let Some((to, frame)) = world.of("eve").poll_frame() {
        any = true;
        if to == ada {
            world.of("ada").receive(eve, frame, 9_000_000).unwrap();
        }
    }
    any
}

fn meet(world: &mut World) {
    let (eve, ada) = (world.id("eve"), world.id("ada"));
    world.links.insert(("ada", "eve"));
    world.links.insert(("eve", "ada"));
    world.of("ada").connected(eve);
    world.of("eve").connected(ada);
}

/// Eve keeps everything, and was away since before the first word. Gives the world as it is when she has the newest and not the past.
fn behind() -> World {
    let mut world = club(&["ada", "bob", "eve"]);
    world.cut("ada", "eve");
    for n in 0..240 {
        world.say(["ada", "bob"][n % 2], &format!("word {n}"));
    }
    meet(&mut world);
    let log = world.of("eve").place(&place()).unwrap();
    while !world.of("eve").store.has_preview(&log) {
        assert!(one_frame(&mut world), "the newest never came by itself");
    }
    assert_eq!(world.of("eve").store.len(&log), 0, "the past came first");
    world
}

#[test]
fn who_keeps_everything_reads_the_newest_before_the_past_is_here() {
    let mut world = behind();
    let log = world.of("eve").place(&place()).unwrap();
    let page = world.of("eve").ask_page();
    assert_eq!(texts(&page), words(190..240));
    assert!(page[0].begins);
    // To say something now would put it into the past, before all that is shown.
    let say = |reply_to| Request::Send { place: place(), body: "too early".into(), reply_to };
    let refused = world.of("eve").execute(say(None), 9_000_000);
    assert!(matches!(refused, Err(Error::PastComing { left_s: 30, .. })), "{refused:?}");
    let refused = world.of("eve").execute(say(Some(page[9].id.clone())), 9_000_000);
    assert!(matches!(refused, Err(Error::NotReached { .. })), "{refused:?}");
    while one_frame(&mut world) {}
    assert!(!world.of("eve").store.has_preview(&log));
    assert_eq!(texts(&world.page("eve", None, 1000)), words(0..240));
    world.say("eve", "in time");
    assert_eq!(world.bodies("bob").last().unwrap(), "in time");
    world.same(&["ada", "bob", "eve"]);
    world.sound("eve");
    assert_eq!(world.of("eve").store.records(b"newest/").count(), 0, "nothing of it was on disk");
}

#[test]
fn who_is_left_alone_with_the_newest_reads_and_writes_what_is_here() {
    let mut world = behind();
    let log = world.of("eve").place(&place()).unwrap();
    world.cut("ada", "eve");
    assert!(!world.of("eve").store.has_preview(&log));
    assert_eq!(texts(&world.page("eve", None, 5)), Vec::<String>::new());
    world.say("eve", "alone");
    world.connect("ada", "eve");
    assert_eq!(world.page("eve", None, 1000).len(), 241);
    world.same(&["ada", "bob", "eve"]);
}

/// Who has a part and lacks more than comes at once asks, too; here all of it is there before the page, which is then not needed.
#[test]
fn a_page_that_comes_behind_the_past_leaves_nothing() {
    let mut world = club(&["ada", "bob", "eve"]);
    world.say("ada", "word 0");
    world.cut("ada", "eve");
    for n in 1..240 {
        world.say(["ada", "bob"][n % 2], &format!("word {n}"));
    }
    meet(&mut world);
    let (ada, log) = (terachat_event::DeviceId(world.id("ada")), world.of("eve").place(&place()).unwrap());
    let mut asked = false;
    while one_frame(&mut world) {
        asked |= world.of("eve").peers[&ada].newest.asked.contains_key(&log);
    }
    assert!(asked && !world.of("eve").store.has_preview(&log));
    assert_eq!(texts(&world.page("eve", None, 1000)), words(0..240));
    world.say("eve", "in time");
    world.same(&["ada", "bob", "eve"]);
}

#[test]
fn who_is_hardly_behind_or_asks_of_what_is_unknown_is_not_kept_waiting() {
    let mut world = club(&["ada", "eve"]);
    for n in 0..30 {
        world.say("ada", &format!("word {n}"));
    }
    world.cut("ada", "eve");
    world.say("ada", "word 30");
    // Eve makes a channel that Ada has never heard of, and asks her for its newest.
    world.ask(
        "eve",
        Request::ChannelCreate { space: None, name: "mine".into(), forum: false, since_join: false },
    );
    world.connect("ada", "eve");
    let (ada, eve) = (terachat_event::DeviceId(world.id("ada")), terachat_event::DeviceId(world.id("eve")));
    assert!(world.of("eve").peers[&ada].in_sync && world.of("ada").peers[&eve].in_sync);
    assert!(world.of("eve").peers[&ada].newest.asked.is_empty());
    assert_eq!(texts(&world.page("eve", None, 100)), words(0..31));
    world.same(&["ada", "eve"]);
}
