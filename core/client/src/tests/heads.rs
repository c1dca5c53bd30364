//! Logs of many chains: roots and symbols in place of frontiers. How many are many is set to none here.
use super::*;
use crate::protocol::Frame;

/// Delivers frames between two connected devices until both are silent; gives back what was said, and by whom.
#[track_caller]
fn talk(world: &mut World, a: &'static str, b: &'static str) -> Vec<(&'static str, Vec<u8>)> {
    let mut said = Vec::new();
    for _ in 0..1000 {
        let before = said.len();
        for (from, to) in [(a, b), (b, a)] {
            while let Some((_, frame)) = world.of(from).poll_frame() {
                said.push((from, frame.clone()));
                let (id, now) = (world.id(from), world.now);
                world.of(to).receive(id, frame, now).unwrap_or_else(|error| panic!("{to}: {error}"));
            }
        }
        if said.len() == before {
            return said;
        }
    }
    panic!("the devices never stop talking");
}

#[track_caller]
fn meet(world: &mut World, a: &'static str, b: &'static str) -> Vec<(&'static str, Vec<u8>)> {
    let (id_a, id_b) = (world.id(a), world.id(b));
    world.of(a).connected(id_b);
    world.of(b).connected(id_a);
    world.links.extend([(a, b), (b, a)]);
    talk(world, a, b)
}

fn in_sync(world: &mut World, name: &str) -> bool {
    std::iter::from_fn(|| world.of(name).poll_notice()).any(|notice| matches!(notice, Notice::InSync { .. }))
}

/// How many frames there are of each kind: roots, symbols, requests for more, lacks, frontiers, bundles.
fn kinds(said: &[(&str, Vec<u8>)]) -> [usize; 6] {
    let count = |kind: fn(&Frame) -> bool| {
        said.iter().filter(|(_, frame)| kind(&Frame::decode(frame).unwrap())).count()
    };
    [
        count(|frame| matches!(frame, Frame::Root { .. })),
        count(|frame| matches!(frame, Frame::Symbols { .. })),
        count(|frame| matches!(frame, Frame::MoreSymbols { .. })),
        count(|frame| matches!(frame, Frame::Lacks { .. })),
        count(|frame| matches!(frame, Frame::Frontier(_))),
        count(|frame| matches!(frame, Frame::Bundle { .. })),
    ]
}

/// Ada and Ben, who both wrote in the channel and have the same.
fn ada_and_ben() -> World {
    let mut world = club(&["ada", "ben"]);
    for name in ["ada", "ben"] {
        world.of(name).plain_max = 0;
    }
    world.say("ada", "one");
    world.say("ben", "two");
    world.same(&["ada", "ben"]);
    world.cut("ada", "ben");
    world
}

#[test]
fn whoever_has_the_same_says_one_root_a_log() {
    let mut world = ada_and_ben();
    in_sync(&mut world, "ada");
    in_sync(&mut world, "ben");
    let said = meet(&mut world, "ada", "ben");
    assert_eq!(kinds(&said), [4, 0, 0, 0, 0, 0], "two logs, each told by both");
    for (_, frame) in &said {
        if let Frame::Root { .. } = Frame::decode(frame).unwrap() {
            assert!(frame.len() <= 65, "{} bytes", frame.len());
        }
    }
    assert!(in_sync(&mut world, "ada") && in_sync(&mut world, "ben"));
    // Both know where the other stands, so what is new goes out at once.
    let send = Request::Send { place: place(), body: "three".into(), reply_to: None };
    world.try_ask("ada", send).unwrap();
    let said = talk(&mut world, "ada", "ben");
    assert_eq!(kinds(&said), [0, 0, 0, 0, 0, 1]);
    world.same(&["ada", "ben"]);
}

#[test]
fn what_both_wrote_alone_takes_one_exchange_of_symbols() {
    let mut world = ada_and_ben();
    for body in ["three", "four"] {
        world.say("ada", body);
    }
    world.say("ben", "five");
    let said = meet(&mut world, "ada", "ben");
    assert_eq!(kinds(&said), [4, 1, 0, 1, 0, 2], "the channel differs, and each sends what the other lacks");
    assert!(in_sync(&mut world, "ada") && in_sync(&mut world, "ben"));
    world.same(&["ada", "ben"]);
    let bodies: BTreeSet<String> = world.bodies("ben").into_iter().collect();
    assert_eq!(bodies, ["five", "four", "one", "three", "two"].map(String::from).into());
}

#[test]
fn one_side_with_few_chains_tells_its_frontier() {
    let mut world = ada_and_ben();
    world.of("ben").plain_max = crate::heads::PLAIN_MAX;
    world.say("ada", "three");
    world.say("ben", "four");
    let said = meet(&mut world, "ada", "ben");
    let [_, symbols, _, _, frontiers, bundles] = kinds(&said);
    assert_eq!(symbols, 0);
    assert!(frontiers >= 4 && bundles >= 2);
    world.same(&["ada", "ben"]);
    world.say("ada", "five");
    world.say("ben", "six");
    world.same(&["ada", "ben"]);
}

/// A peer that sends what it likes gets an answer each time and no more than it is worth: at the end the frontier.
#[test]
fn symbols_that_say_nothing_end_in_the_whole_frontier() {
    let mut world = ada_and_ben();
    let (ada, ben) = (world.id("ada"), world.id("ben"));
    world.of("ada").connected(ben);
    world.of("ben").connected(ada);
    let mut roots = Vec::new();
    // Hello and spaces only: Ben's word on the logs is kept back.
    while roots.is_empty() {
        while let Some((_, frame)) = world.of("ben").poll_frame() {
            match Frame::decode(&frame).unwrap() {
                Frame::Hello { .. } | Frame::Spaces { .. } => world.of("ada").receive(ben, frame, 1).unwrap(),
                _ => {}
            }
        }
        while let Some((_, frame)) = world.of("ada").poll_frame() {
            match Frame::decode(&frame).unwrap() {
                Frame::Root { log, .. } => roots.push(log),
                _ => world.of("ben").receive(ada, frame, 1).unwrap(),
            }
        }
    }
    let mut answers = Vec::new();
    for n in 0_u8..10 {
        let bytes = vec![n | 1; 20 * 32];
        let frame = Frame::Symbols { log: roots[0], root: [n; 32], chains: 100, bytes };
        world.of("ada").receive(ben, frame.encode(), 1).unwrap();
        answers.extend(std::iter::from_fn(|| world.of("ada").poll_frame()));
    }
    let kinds = kinds(&answers.into_iter().map(|(_, frame)| ("ada", frame)).collect::<Vec<_>>());
    assert_eq!(kinds, [0, 0, 3, 0, 1, 0], "100 symbols at most, 32 at a time");
    let torn = Frame::Symbols { log: roots[0], root: [0; 32], chains: 100, bytes: vec![1; 21] };
    assert!(world.of("ada").receive(ben, torn.encode(), 1).is_err());
    let late = Frame::MoreSymbols { log: roots[0], count: u32::MAX };
    world.of("ada").receive(ben, late.encode(), 1).unwrap();
    let (_, answer) = world.of("ada").poll_frame().unwrap();
    assert!(matches!(Frame::decode(&answer).unwrap(), Frame::NoSymbols { .. }));
    let unknown = Frame::NoSymbols { log: [9; 16] };
    world.of("ada").receive(ben, unknown.encode(), 1).unwrap();
    assert!(world.of("ada").poll_frame().is_none(), "or two devices would answer each other for ever");
}
