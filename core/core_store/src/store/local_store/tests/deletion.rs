use super::{club, same};
use crate::model::{ChannelOp, ControlOp, Post, Rank, Style};
use crate::query::search_index::Query;
use crate::query::{MessageView, PageStart};
use crate::store::storage::CrashStorage;
use crate::testing::{Device, text};
use proptest::prelude::*;
use terachat_event::{EventRef, LogId};

fn own(target: EventRef) -> ChannelOp<'static> {
    ChannelOp::Delete { target, moderates: false }
}

fn moderated(target: EventRef) -> ChannelOp<'static> {
    ChannelOp::Delete { target, moderates: true }
}

fn page(device: &Device, log: LogId) -> Vec<MessageView> {
    device.store.page(&log, PageStart::Newest, 99).unwrap()
}

fn exchange(devices: [&mut Device; 3]) {
    let [a, b, c] = devices;
    for _ in 0..2 {
        a.pull(b).unwrap();
        a.pull(c).unwrap();
        b.pull(a).unwrap();
        c.pull(a).unwrap();
    }
}

#[test]
fn a_deleted_message_leaves_its_place_and_nothing_else() {
    let (mut a, mut b, mut c, log) = club();
    let hello = a.say(log, "a secret word");
    b.pull(&mut a).unwrap();
    c.pull(&mut a).unwrap();
    let answer = Post { style: Style::Action, body: "nods", reply_to: Some(hello), imported: None };
    let answer = b.post(log, &[ChannelOp::Post(answer), ChannelOp::Pin { target: hello }]).unwrap()[0];
    c.post(log, &[ChannelOp::React { target: hello, emoji: "+1" }]).unwrap();
    // Concurrently: an edit neither brings it back nor adds a text that can be found.
    a.post(log, &[own(hello), ChannelOp::Edit { target: hello, body: "another secret word" }]).unwrap();
    exchange([&mut a, &mut b, &mut c]);
    same(&[&a, &b, &c], log);
    for device in [&mut a, &mut b, &mut c] {
        let shown = page(device, log);
        assert_eq!((shown[0].event, shown[0].deleted, shown[0].body.as_str()), (hello, true, ""));
        assert!(!shown[0].edited && !shown[0].pinned && shown[0].reactions.is_empty());
        assert_eq!((shown[1].reply_to, shown[1].body.as_str()), (Some(hello), "nods"));
        let thread = device.store.thread(&log, &hello, 9).unwrap();
        assert_eq!(thread.iter().map(|(_, view)| view.event).collect::<Vec<_>>(), [hello, answer]);
        assert_eq!(device.store.pinned(&log, 9).unwrap(), []);
        assert!(device.store.search(&log, &Query::parse("secret"), 9, |_| true).unwrap().is_empty());
        assert_eq!(device.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
    }
}

#[test]
fn only_its_author_or_a_moderator_deletes_a_message() {
    let (mut a, mut b, mut c, log) = club();
    let (first, second) = (a.say(log, "first"), a.say(log, "second"));
    let edit = a.post(log, &[ChannelOp::Edit { target: first, body: "first!" }]).unwrap()[0];
    c.pull(&mut a).unwrap();
    // A member of rank 10: neither as its author nor by a right; and what is no message has no place to keep.
    c.post(log, &[own(first), moderated(first)]).unwrap();
    a.post(log, &[own(edit)]).unwrap();
    exchange([&mut a, &mut b, &mut c]);
    same(&[&a, &b, &c], log);
    assert_eq!(b.bodies(log), ["first!", "second"]);
    b.post(log, &[moderated(second)]).unwrap();
    exchange([&mut a, &mut b, &mut c]);
    same(&[&a, &b, &c], log);
    assert_eq!(page(&c, log).iter().map(|view| view.deleted).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_demotion_takes_back_what_was_deleted_beyond_its_pin() {
    for snapshot in [false, true] {
        let storage = CrashStorage::new(5);
        let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
        let space = a.found();
        let (mut b, mut c) = (Device::new(2), Device::new(3));
        a.admit(space, &b, Rank::MODERATOR);
        let log = a.create_channel(space, "general");
        b.learn_epoch(space);
        c.learn_epoch(space);
        b.pull(&mut a).unwrap();
        let said = ["in time", "too late", "stays"].map(|body| a.say(log, body));
        b.pull(&mut a).unwrap();
        b.post(log, &[moderated(said[0])]).unwrap();
        a.pull(&mut b).unwrap();
        let pins = a.pins(space, b.id());
        // Rank 30 pins, but does not delete what others wrote.
        let rank = Rank::new(30).unwrap();
        a.control(space, vec![ControlOp::SetRank { user: b.user_id(), rank, pins }]).unwrap();
        // B pretends not to have heard. C hears that before the demotion, A after it.
        let mine =
            b.post(log, &[moderated(said[1]), ChannelOp::Pin { target: said[2] }, text("mine")]).unwrap();
        b.post(log, &[own(mine[2])]).unwrap();
        c.pull(&mut b).unwrap();
        c.pull(&mut a).unwrap();
        a.pull(&mut b).unwrap();
        // B did not hand on what it had deleted.
        c.ask_missing(&mut a, log);
        same(&[&a, &c], log);
        let deleted: Vec<bool> = page(&a, log).iter().map(|view| view.deleted).collect();
        assert_eq!(deleted, [true, false, false, true], "one's own stays one's own to delete");
        assert!(page(&a, log)[2].pinned, "the right to pin was not lost");
        assert_eq!(a.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
        if snapshot {
            a.store.snapshot().unwrap();
        }
        drop(a);
        let a = Device::over(1, Box::new(storage.crash())).unwrap();
        same(&[&a, &c], log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Against the rule itself: a message is deleted once its author or a moderator said so, whatever else is said of it
    /// and in whatever order devices hear it.
    #[test]
    fn replicas_agree_on_what_is_left(steps in prop::collection::vec((0..3usize, 0..6u8, any::<prop::sample::Index>()), 1..40)) {
        let (mut a, mut b, mut c, log) = club();
        let mut said: Vec<(EventRef, usize, String, bool)> = Vec::new();
        for (n, (who, what, which)) in steps.into_iter().enumerate() {
            let body = format!("word {n}");
            let mut all = [&mut a, &mut b, &mut c];
            let known: Vec<usize> = (0..said.len())
                .filter(|at| all[who].store.message(&log, &said[*at].0).is_ok())
                .collect();
            if what < 2 || known.is_empty() {
                let event = all[who].say(log, &body);
                said.push((event, who, body, false));
                continue;
            }
            let at = known[which.index(known.len())];
            let (target, author, text, gone) = &mut said[at];
            match what {
                2 if *author == who => {
                    all[who].post(log, &[ChannelOp::Edit { target: *target, body: &body }]).unwrap();
                    *text = body;
                }
                3 => {
                    all[who].post(log, &[own(*target)]).unwrap();
                    *gone |= *author == who;
                }
                4 => {
                    all[who].post(log, &[moderated(*target)]).unwrap();
                    *gone |= who != 2;
                }
                _ => {
                    let other = (who + 1 + at % 2) % 3;
                    let [one, two] = all.get_disjoint_mut([who, other]).unwrap();
                    one.pull(two).unwrap();
                }
            }
        }
        exchange([&mut a, &mut b, &mut c]);
        same(&[&a, &b, &c], log);
        let left: Vec<(EventRef, &str, bool)> = said
            .iter()
            .map(|(event, _, body, gone)| (*event, if *gone { "" } else { body.as_str() }, *gone))
            .collect();
        let mut shown: Vec<MessageView> = page(&b, log);
        shown.sort_by_key(|view| said.iter().position(|(event, ..)| *event == view.event));
        prop_assert_eq!(shown.iter().map(|view| (view.event, view.body.as_str(), view.deleted)).collect::<Vec<_>>(), left);
    }
}
