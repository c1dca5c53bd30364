//! A device in WebAssembly among native ones: it joins, seals and opens, founds a space and removes, as any other.
//!
//! `scripts/wasm-peer` builds the module and runs this with it in Node and in headless Chromium. Without it the
//! story is told by native devices alone, and the tests say what they skipped.
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
mod chromium;
mod device;
mod figures;
mod node;
mod world;

use device::{Carrier, Device, Native, Remote};
use serde_json::json;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use world::World;

/// Folder of what wasm-bindgen made of the crate.
const MODULE: &str = "TERACHAT_WASM_MODULE";

/// `None`, with a word about it, where nobody built the module.
fn module() -> Option<PathBuf> {
    let folder = std::env::var_os(MODULE).map(PathBuf::from);
    if folder.is_none() {
        eprintln!("SKIPPED: {MODULE} names no module. Next: scripts/wasm-peer");
    }
    folder
}

#[test]
fn native_devices_alone() {
    story("native", &mut |name| Box::new(Native::create(name)));
}

#[test]
fn devices_in_node() {
    let Some(module) = module() else { return };
    remote("node", Rc::new(RefCell::new(node::Node::start(&module))));
}

#[test]
fn devices_in_chromium() {
    let Some(module) = module() else { return };
    let Some(browser) = chromium::Chromium::start(&module) else { return };
    remote("chromium", Rc::new(RefCell::new(browser)));
}

fn remote(host: &str, carrier: Rc<RefCell<dyn Carrier>>) {
    failures(&carrier);
    story(host, &mut |name| Box::new(Remote::create(Rc::clone(&carrier), name)));
}

/// What must be refused, as a page sees it.
fn failures(carrier: &Rc<RefCell<dyn Carrier>>) {
    let mut device = Remote::create(Rc::clone(carrier), "zoe");
    #[track_caller]
    fn case(device: &mut Remote, call: serde_json::Value, code: &str) {
        let failure = device.call(call.clone()).unwrap_err();
        assert_eq!(
            (failure["name"].as_str(), failure["code"].as_str()),
            (Some("Failure"), Some(code)),
            "{call}"
        );
        assert!(failure["message"].as_str().is_some_and(|text| text.len() > 10), "{failure}");
    }
    case(&mut device, json!({ "do": "create", "name": "", "now": 1 }), "input");
    case(&mut device, json!({ "do": "create", "name": "zoe", "now": -1 }), "input");
    case(&mut device, json!({ "do": "request", "verb": "Sing", "args": null, "now": 1 }), "input");
    case(&mut device, json!({ "do": "connected", "peer": "0000" }), "input");
    case(&mut device, json!({ "do": "receive", "peer": "00".repeat(32), "frame": "ff", "now": 1 }), "peer");
    let place = json!({ "space": "nowhere", "channel": null });
    let send = json!({ "place": place, "body": "hello", "reply_to": null });
    case(&mut device, json!({ "do": "request", "verb": "Send", "args": send, "now": 1 }), "unknown");
}

/// All find the same of what each may read, in any script, as it comes and as it is edited.
fn searches(world: &mut World) {
    for name in ["ada", "bob", "eve"] {
        assert_eq!(world.finds(name, "club", Some("shared"), "before"), ["[before] bob came"], "{name}");
        let here = world.finds(name, "club", None, "bob here");
        assert_eq!(here, ["[bob] is [here]", "[bob] is [here]"], "{name}");
    }
    // What is sealed for others is found by nobody else.
    assert_eq!(world.finds("ada", "club", Some("since"), "before").len(), 1);
    assert_eq!(world.finds("bob", "club", Some("since"), "before"), [""; 0]);
    world.say("bob", "club", "shared", "Grüße aus der Küche 🌞, 東京の天気は?");
    world.say("ada", "club", "shared", "κουζίνα или кухня");
    for name in ["ada", "bob", "eve"] {
        let cases = [
            ("küche", "Grüße aus der [Küche] 🌞, 東京の天気は?"),
            ("天気 author:bob", "Grüße aus der Küche 🌞, 東京の[天気]は?"),
            ("\"или кухня\"", "κουζίνα [или] [кухня]"),
            ("κουζ*", "[κουζίνα] или кухня"),
        ];
        for (query, shown) in cases {
            assert_eq!(world.finds(name, "club", Some("shared"), query), [shown], "{name}: {query}");
        }
    }
    world.edit_newest("ada", "club", "shared", "une cuisine");
    for name in ["ada", "bob", "eve"] {
        assert_eq!(world.finds(name, "club", Some("shared"), "кухня"), [""; 0], "{name}");
        assert_eq!(world.finds(name, "club", Some("shared"), "cuisine"), ["une [cuisine]"], "{name}");
    }
}

/// Ada and Cyd are native. Bob and Eve are what is tested.
fn story(host: &str, make: &mut dyn FnMut(&str) -> Box<dyn Device>) {
    let mut world = World::default();
    for name in ["ada", "cyd"] {
        world.enter(name, Box::new(Native::create(name)));
    }
    for name in ["bob", "eve"] {
        let device = make(name);
        world.enter(name, device);
    }

    // A space of Ada's: what was written before is read in the one channel and not in the other.
    world.found("ada", "club");
    for channel in ["shared", "since"] {
        world.say("ada", "club", channel, "before bob came");
    }
    world.connect("ada", "bob");
    world.connect("ada", "eve");
    world.spent();
    world.invite("ada", "bob", "club");
    let joining = world.spent();
    world.invite("ada", "eve", "club");
    assert_eq!(world.texts("bob", "club", "shared"), ["before bob came"]);
    assert_eq!(world.texts("bob", "club", "since"), ["·"], "sealed before bob joined");

    // Both ways in both channels.
    for channel in ["shared", "since"] {
        world.say("bob", "club", channel, "bob is here");
        world.say("ada", "club", channel, "hello bob");
    }
    for name in ["ada", "bob", "eve"] {
        let before = if name == "ada" { "before bob came" } else { "·" };
        let shared = ["before bob came", "bob is here", "hello bob"];
        assert_eq!(world.texts(name, "club", "shared"), shared, "{name}");
        assert_eq!(world.texts(name, "club", "since"), [before, "bob is here", "hello bob"], "{name}");
    }
    world.same("club", &["ada", "bob", "eve"]);

    searches(&mut world);

    // Eve is removed: even with all that was sealed in hand she reads nothing more.
    world.remove("ada", "eve", "club");
    for (name, channel) in [("ada", "shared"), ("bob", "shared"), ("ada", "since"), ("bob", "since")] {
        world.say(name, "club", channel, "eve is gone");
    }
    world.hand_over("ada", "eve", "club");
    for channel in ["shared", "since"] {
        assert!(world.texts("bob", "club", channel).ends_with(&["eve is gone".into(), "eve is gone".into()]));
        assert!(!world.texts("eve", "club", channel).contains(&"eve is gone".to_owned()), "eve in {channel}");
    }
    assert_eq!(world.finds("bob", "club", None, "gone").len(), 4);
    assert_eq!(world.finds("eve", "club", None, "gone"), [""; 0]);
    assert_eq!(world.refusal("eve", "club", "shared"), "not_allowed");

    // A space of Bob's, which native devices join, and from which he removes one.
    world.connect("bob", "cyd");
    world.connect("ada", "cyd");
    world.found("bob", "den");
    for channel in ["shared", "since"] {
        world.say("bob", "den", channel, "before ada came");
    }
    world.invite("bob", "ada", "den");
    world.invite("bob", "cyd", "den");
    for name in ["ada", "bob", "cyd"] {
        for channel in ["shared", "since"] {
            world.say(name, "den", channel, name);
        }
    }
    for name in ["ada", "bob", "cyd"] {
        let before = if name == "bob" { "before ada came" } else { "·" };
        assert_eq!(world.texts(name, "den", "shared"), ["before ada came", "ada", "bob", "cyd"], "{name}");
        assert_eq!(world.texts(name, "den", "since"), [before, "ada", "bob", "cyd"], "{name}");
    }
    world.same("den", &["ada", "bob", "cyd"]);
    world.remove("bob", "cyd", "den");
    for channel in ["shared", "since"] {
        world.say("bob", "den", channel, "cyd is gone");
    }
    world.hand_over("bob", "cyd", "den");
    for channel in ["shared", "since"] {
        assert!(!world.texts("cyd", "den", channel).contains(&"cyd is gone".to_owned()), "cyd in {channel}");
        assert!(world.texts("ada", "den", channel).contains(&"cyd is gone".to_owned()), "ada in {channel}");
    }

    // What is left is one state on both sides, and it follows from its events.
    for space in ["club", "den"] {
        world.same(space, &["ada", "bob"]);
    }
    ["ada", "bob", "cyd", "eve"].into_iter().for_each(|name| world.sound(name));
    figures::tell(host, &mut world, joining);
}
