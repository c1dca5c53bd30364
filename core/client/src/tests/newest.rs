//! Devices that read the newest of a channel and leave its past with others.
use super::*;
use crate::api::Selection;
use crate::protocol::Frame;
use terachat_core_store::sync::Want;

fn newest() -> Request {
    Request::ChannelsKeep { space: None, change: Selection::Newest { channels: vec!["general".into()] } }
}

fn keep() -> Request {
    Request::ChannelsKeep { space: None, change: Selection::Also { channels: vec!["general".into()] } }
}

fn read(before: Option<&str>, limit: usize) -> Request {
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
    fn page(&mut self, name: &str, before: Option<&str>, limit: usize) -> Vec<Message> {
        match self.ask(name, read(before, limit)) {
            Answer::Messages { messages } => messages,
            other => panic!("{other:?}"),
        }
    }

    fn reopen(&mut self, name: &'static str) {
        let disk = self.devices[name].1.crash();
        let boxed: Box<dyn Storage> = Box::new(disk.clone());
        let entropy = Box::new(Counter(77 << 32));
        let client = Client::open(boxed, &mut passphrase("secret"), entropy).unwrap();
        self.devices.insert(name, (client, disk));
    }
}

fn words(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("word {n}")).collect()
}

fn texts(page: &[Message]) -> Vec<String> {
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
