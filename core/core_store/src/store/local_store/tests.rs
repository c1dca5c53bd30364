mod adversaries;
mod deletion;
mod erasure;
mod filters;
mod fixture;
mod lazily;
mod named_events;
mod outline;
mod partitions;
mod permissions;
mod posts;
mod power_cuts;
mod revocation;
mod schedules;
mod sealed;

use crate::model::{ChannelOp, ControlOp, Post, Rank, Style};
use crate::query::PageStart;
use crate::query::search_index::Query;
use crate::store::storage::CrashStorage;
use crate::sync::Outcome;
use crate::testing::{Device, gossip, text};
use crate::{Error, Wait};
use terachat_event::LogId;

/// A founds a space, admits B and C, and opens a channel that all three know.
fn club() -> (Device, Device, Device, LogId) {
    let (mut a, mut b, mut c) = (Device::new(1), Device::new(2), Device::new(3));
    let space = a.found();
    a.admit(space, &b, Rank::MODERATOR);
    a.admit(space, &c, Rank::MEMBER);
    let log = a.create_channel(space, "general");
    for other in [&mut b, &mut c] {
        other.learn_epoch(space);
        other.pull(&mut a).unwrap();
    }
    (a, b, c, log)
}

#[track_caller]
fn same(devices: &[&Device], log: LogId) {
    let hashes: Vec<_> = devices.iter().map(|d| d.store.space_hash(&log.space).unwrap()).collect();
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "{hashes:?}");
}

#[test]
fn a_conversation_converges() {
    let (mut a, mut b, mut c, log) = club();
    let hello = a.say(log, "hello");
    b.pull(&mut a).unwrap();
    c.pull(&mut a).unwrap();
    let reply = ChannelOp::Post(Post {
        style: Style::Message,
        body: "hi there",
        reply_to: Some(hello),
        imported: None,
    });
    let reply = b.post(log, &[reply]).unwrap()[0];
    // C writes without having seen the reply, several events in one flush.
    c.post(
        log,
        &[text("me too"), ChannelOp::React { target: hello, emoji: "👍" }, ChannelOp::Pin { target: hello }],
    )
    .unwrap();
    a.post(log, &[ChannelOp::Edit { target: hello, body: "hello, world" }]).unwrap();
    for _ in 0..2 {
        a.pull(&mut b).unwrap();
        a.pull(&mut c).unwrap();
        b.pull(&mut a).unwrap();
        c.pull(&mut a).unwrap();
    }
    same(&[&a, &b, &c], log);
    let page = b.store.page(&log, PageStart::Newest, 10).unwrap();
    assert_eq!(page[0].body, "hello, world");
    assert!(page[0].edited && !page[0].pinned, "a member of rank 10 may not pin");
    assert_eq!(page[0].reactions, [("👍".to_owned(), c.id())]);
    assert_eq!(
        b.store.thread(&log, &hello, 10).unwrap().iter().map(|(d, m)| (*d, m.event)).collect::<Vec<_>>(),
        [(0, hello), (1, reply)]
    );
    let hits = c.store.search(&log, &Query::parse("world"), 5, |_| true).unwrap();
    assert_eq!(hits.iter().map(|hit| hit.message.event).collect::<Vec<_>>(), [hello]);
    assert!(c.store.search(&log, &Query::parse("nothing"), 5, |_| true).unwrap().is_empty());
}

/// Every page of every length from every start, against slices of a plain list.
#[test]
fn a_page_is_a_slice_of_the_whole_list() {
    let mut a = Device::new(1);
    let space = a.found();
    let log = a.create_channel(space, "general");
    let all: Vec<_> = (0..9).map(|n| a.say(log, &format!("message {n}"))).collect();
    let page = |start, limit| -> Vec<_> {
        let page = a.store.page(&log, start, limit).unwrap();
        page.into_iter().map(|message| message.event).collect()
    };
    for limit in 0..12 {
        assert_eq!(page(PageStart::Newest, limit), all[9_usize.saturating_sub(limit)..], "newest {limit}");
        for (at, event) in all.iter().enumerate() {
            assert_eq!(
                page(PageStart::Before(*event), limit),
                all[at.saturating_sub(limit)..at],
                "before {at}"
            );
            assert_eq!(
                page(PageStart::After(*event), limit),
                all[at + 1..(at + 1 + limit).min(9)],
                "after {at}"
            );
            let around = page(PageStart::Around(*event), limit);
            let slices: Vec<_> = all.windows(limit.clamp(1, 9)).collect();
            // Of all slices of that length the one that has the message nearest to its middle.
            let nearest = (0..slices.len()).min_by_key(|from| (from + limit / 2).abs_diff(at)).unwrap();
            let expected = if limit == 0 { &[][..] } else { slices[nearest] };
            assert_eq!(around, expected, "around {at}, {limit}");
        }
    }
}

#[test]
fn everything_survives_reopening_with_and_without_a_snapshot() {
    for snapshot in [false, true] {
        let storage = CrashStorage::new(5);
        let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
        let space = a.found();
        let log = a.create_channel(space, "general");
        for n in 0..50 {
            a.say(log, &format!("message {n}"));
        }
        if snapshot {
            a.store.snapshot().unwrap();
        }
        a.say(log, "after");
        let (hash, frontier) = (a.store.space_hash(&space).unwrap(), a.store.frontier(&log));
        drop(a);
        let mut a = Device::over(1, Box::new(storage.crash())).unwrap();
        assert_eq!(a.store.snapshot.is_some(), snapshot);
        assert_eq!((a.store.space_hash(&space).unwrap(), a.store.frontier(&log)), (hash, frontier));
        a.say(log, "and on");
        assert_eq!(a.bodies(log).len(), 52);
        assert_eq!(a.store.search(&log, &Query::parse("message 49"), 5, |_| true).unwrap().len(), 1);
        let report = a.store.audit_state_integrity().unwrap();
        assert_eq!(report.alarm, Vec::<String>::new());
        assert_eq!(report.events, 54);
        // A newcomer gets it all from a store that was opened anew.
        let mut b = Device::new(2);
        a.admit(space, &b, Rank::MEMBER);
        b.learn_epoch(space);
        b.pull(&mut a).unwrap();
        same(&[&a, &b], log);
    }
}

/// A snapshot made in slices, with everything that can come between two of them.
#[test]
fn a_snapshot_is_made_between_other_work() {
    let storage = CrashStorage::new(11);
    let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
    let space = a.found();
    let (log, other) = (a.create_channel(space, "general"), a.create_channel(space, "other"));
    let mut b = Device::new(2);
    a.admit(space, &b, Rank::MODERATOR);
    b.learn_epoch(space);
    let body = "some words of some length ".repeat(40);
    let many: Vec<ChannelOp<'_>> = (0..600).map(|_| text(&body)).collect();
    let first = a.post(log, &many).unwrap()[0];
    assert!(!Device::new(3).store.go_on_with_snapshot().unwrap(), "nothing is due in an empty store");
    b.pull(&mut a).unwrap();
    b.say(log, "written offline");
    a.say(other, "elsewhere");
    let mut slices = 0;
    while a.store.go_on_with_snapshot().unwrap() {
        slices += 1;
        match slices {
            1 => _ = a.say(log, "between two slices"),
            2 => {
                a.post(log, &[ChannelOp::Edit { target: first, body: "edited between" }]).unwrap();
                a.pull(&mut b).unwrap();
                let pins = a.pins(space, b.id());
                a.control(space, vec![ControlOp::Remove { user: b.user_id(), pins }]).unwrap();
                a.create_channel(space, "third");
            }
            _ => {}
        }
    }
    assert!(slices >= 3, "{slices} slices");
    assert!(!a.store.go_on_with_snapshot().unwrap(), "it was written");
    let (hash, frontier) = (a.store.space_hash(&space).unwrap(), a.store.frontier(&log));
    drop(a);
    let mut a = Device::over(1, Box::new(storage.crash())).unwrap();
    assert!(a.store.snapshot.is_some() && a.store.tail_len == 0, "all of it is in the snapshot");
    assert_eq!((a.store.space_hash(&space).unwrap(), a.store.frontier(&log)), (hash, frontier));
    assert_eq!(a.store.search(&log, &Query::parse("\"between two\""), 9, |_| true).unwrap().len(), 1);
    assert_eq!(a.store.search(&log, &Query::parse("edited"), 9, |_| true).unwrap().len(), 1);
    assert_eq!(a.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
}

#[test]
fn a_removed_member_is_cut_off_where_the_remover_stood() {
    let (mut a, mut b, mut c, log) = club();
    c.say(log, "seen");
    a.pull(&mut c).unwrap();
    b.pull(&mut c).unwrap();
    c.say(log, "written offline");
    let pins = a.pins(log.space, c.id());
    a.control(log.space, vec![ControlOp::Remove { user: c.user_id(), pins }]).unwrap();
    // B hears the offline message before, D after the removal.
    b.pull(&mut c).unwrap();
    assert_eq!(b.bodies(log), ["seen", "written offline"]);
    b.pull(&mut a).unwrap();
    assert_eq!(b.bodies(log), ["seen"]);
    a.pull(&mut b).unwrap();
    same(&[&a, &b], log);
    c.pull(&mut a).unwrap();
    c.say(log, "back-dated or not");
    a.pull(&mut c).unwrap();
    assert_eq!(a.bodies(log), ["seen"]);
    assert_eq!(a.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
}

/// Who was demoted so that writing was still allowed went on pinning by citing the control log as it was before.
#[test]
fn a_demoted_member_cannot_pin_by_an_old_control_log() {
    for snapshot in [false, true] {
        let storage = CrashStorage::new(9);
        let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
        let space = a.found();
        let mut b = Device::new(2);
        a.admit(space, &b, Rank::MODERATOR);
        let log = a.create_channel(space, "general");
        b.learn_epoch(space);
        b.pull(&mut a).unwrap();
        let (before, after) = (a.say(log, "pinned in time"), a.say(log, "pinned too late"));
        b.pull(&mut a).unwrap();
        b.post(log, &[ChannelOp::Pin { target: before }]).unwrap();
        a.pull(&mut b).unwrap();
        let pins = a.pins(space, b.id());
        a.control(space, vec![ControlOp::SetRank { user: b.user_id(), rank: Rank::MEMBER, pins }]).unwrap();
        // B pretends not to have heard. C hears that before the demotion, A after it.
        b.post(log, &[ChannelOp::Pin { target: after }, text("still here")]).unwrap();
        let mut c = Device::new(3);
        c.learn_epoch(space);
        c.pull(&mut b).unwrap();
        c.pull(&mut a).unwrap();
        a.pull(&mut b).unwrap();
        let pinned = |device: &Device| -> Vec<String> {
            let page = device.store.page(&log, PageStart::Newest, 9).unwrap();
            page.into_iter().filter(|message| message.pinned).map(|message| message.body).collect()
        };
        same(&[&a, &c], log);
        assert_eq!(
            (pinned(&a), pinned(&c)),
            (vec!["pinned in time".to_owned()], vec!["pinned in time".to_owned()])
        );
        assert_eq!(a.bodies(log).len(), 3, "B may write all the same");
        assert_eq!(a.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
        if snapshot {
            a.store.snapshot().unwrap();
        }
        drop(a);
        let mut a = Device::over(1, Box::new(storage.crash())).unwrap();
        same(&[&a, &c], log);
        // Made a moderator again, B pins as before.
        a.control(
            space,
            vec![ControlOp::SetRank { user: b.user_id(), rank: Rank::MODERATOR, pins: Vec::new() }],
        )
        .unwrap();
        b.pull(&mut a).unwrap();
        let last = a.say(log, "last");
        b.pull(&mut a).unwrap();
        b.post(log, &[ChannelOp::Pin { target: last }]).unwrap();
        a.pull(&mut b).unwrap();
        assert!(pinned(&a).contains(&"last".to_owned()));
    }
}

/// Every change of rank was taken for a demotion: the pins of a promotion cut off all that was said after it, once the
/// member was removed or silenced.
#[test]
fn a_promotion_cuts_nothing_off() {
    let (mut a, mut b, mut c, log) = club();
    c.say(log, "said by a member");
    a.pull(&mut c).unwrap();
    let pins = a.pins(log.space, c.id());
    a.control(log.space, vec![ControlOp::SetRank { user: c.user_id(), rank: Rank::MODERATOR, pins }])
        .unwrap();
    c.pull(&mut a).unwrap();
    c.say(log, "said by a moderator");
    a.pull(&mut c).unwrap();
    let pins = a.pins(log.space, c.id());
    a.control(log.space, vec![ControlOp::Remove { user: c.user_id(), pins }]).unwrap();
    b.pull(&mut a).unwrap();
    b.pull(&mut c).unwrap();
    assert_eq!((a.bodies(log).len(), b.bodies(log).len()), (2, 2));
}

#[test]
fn what_cannot_be_judged_yet_waits_and_changes_nothing() {
    let (mut a, b, _, log) = club();
    let mut late = Device::new(4);
    late.learn_epoch(log.space);
    a.say(log, "one");
    let first = a.bundles_for(&b, log);
    let mut b2 = b;
    a.say(log, "two");
    let both = a.bundles_for(&b2, log);
    b2.take(&first[0]).unwrap();
    a.say(log, "three");
    let third = a.bundles_for(&b2, log);
    let waits = late.take(&both[0]).unwrap();
    assert_eq!(waits, Outcome::Waits(Wait::Space(log.space)));
    let mut stranger = Device::new(5);
    for bundle in a.bundles_for(&stranger, LogId::control(log.space)) {
        stranger.take(&bundle).unwrap();
    }
    assert_eq!(stranger.take(&both[0]).unwrap(), Outcome::Waits(Wait::Epoch(0)));
    stranger.learn_epoch(log.space);
    assert!(matches!(stranger.take(&third[0]).unwrap(), Outcome::Waits(Wait::Event(_))));
    assert!(stranger.bodies(log).is_empty());
    assert!(matches!(stranger.take(&both[0]).unwrap(), Outcome::Applied { known: 0, .. }));
    assert!(
        matches!(stranger.take(&both[0]).unwrap(), Outcome::Applied { known: 2, .. }),
        "a replay is harmless"
    );
    assert_eq!(stranger.bodies(log), ["one", "two"]);
}

#[test]
fn an_equivocating_device_is_proven_and_frozen() {
    let (mut a, mut b, c, log) = club();
    // C's disk is set back: the same device signs two different events with one number.
    let mut twin = Device::new(3);
    twin.learn_epoch(log.space);
    twin.pull(&mut a).unwrap();
    let mut c = c;
    c.say(log, "pay Ann");
    twin.say(log, "pay Bob");
    a.pull(&mut c).unwrap();
    b.pull(&mut twin).unwrap();
    assert_eq!((a.bodies(log), b.bodies(log)), (vec!["pay Ann".into()], vec!["pay Bob".into()]));
    // B holds another head under the same number: it shows its branch, and A finds the contradiction.
    let bundles = b.bundles_for(&a, log);
    let proof = match a.take(&bundles[0]).unwrap() {
        Outcome::Equivocated { proofs, is_news: true } => proofs[0].clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(proof.verify(), Ok(1));
    assert!(b.store.apply_proof(&proof).unwrap());
    assert!(!b.store.apply_proof(&proof).unwrap(), "nothing new the second time");
    assert!(a.bodies(log).is_empty() && b.bodies(log).is_empty());
    same(&[&a, &b], log);
    c.say(log, "and more");
    for bundle in c.bundles_for(&a, log) {
        assert!(!matches!(a.take(&bundle), Ok(Outcome::Applied { .. })), "a frozen chain does not go on");
    }
    assert_eq!(a.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
}

#[test]
fn an_equivocator_parts_nobody_from_those_who_answered_the_other_branch() {
    let (mut a, mut b, mut c, log) = club();
    let mut twin = Device::new(3);
    twin.learn_epoch(log.space);
    twin.pull(&mut a).unwrap();
    c.say(log, "before");
    twin.pull(&mut c).unwrap();
    a.pull(&mut c).unwrap();
    b.pull(&mut c).unwrap();
    c.post(log, &[text("pay Ann"), text("at once")]).unwrap();
    twin.say(log, "pay Bob");
    a.pull(&mut c).unwrap();
    b.pull(&mut twin).unwrap();
    a.say(log, "Ann answers");
    b.say(log, "Bob answers");
    // Ann, who is ahead on her branch, cannot make sense of Bob's answer.
    let answer = b.bundles_for(&a, log).remove(0);
    assert!(matches!(a.take(&answer), Err(Error::Event(terachat_event::Error::Signature(_)))));
    let bundle = a.bundles_for(&b, log).remove(0);
    let Outcome::Equivocated { proofs, is_news: true } = b.take(&bundle).unwrap() else { panic!("no proof") };
    assert!(a.store.apply_proof(&proofs[0]).unwrap());
    a.pull(&mut b).unwrap();
    b.pull(&mut a).unwrap();
    a.say(log, "and life goes on");
    b.pull(&mut a).unwrap();
    assert_eq!(a.bodies(log), ["before", "Bob answers", "Ann answers", "and life goes on"]);
    same(&[&a, &b], log);
    assert_eq!(a.store.frontier(&log), b.store.frontier(&log));
    // Whoever comes later learns it from either.
    for other in [&mut a, &mut b] {
        let mut late = Device::new(2);
        late.learn_epoch(log.space);
        late.pull_control(other, log.space);
        for proof in other.store.proofs(&log.space) {
            late.store.apply_proof(&proof).unwrap();
        }
        late.pull(other).unwrap();
        same(&[&late, other], log);
        assert_eq!(late.store.frontier(&log), other.store.frontier(&log));
        assert_eq!(other.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
    }
    // The liar's further words reach nobody, and its own device refuses to sign once it knows.
    c.say(log, "still here");
    let more = c.bundles_for(&a, log).remove(0);
    assert!(!matches!(a.take(&more), Ok(Outcome::Applied { .. })));
    c.store.apply_proof(&proofs[0]).unwrap();
    assert!(matches!(c.post(log, &[text("again")]), Err(Error::Forbidden(_))));
}

#[test]
fn a_frozen_chain_survives_reopening() {
    for snapshot in [false, true] {
        let storage = CrashStorage::new(3);
        let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
        let space = a.found();
        let (mut b, mut twin) = (Device::new(2), Device::new(2));
        a.admit(space, &b, Rank::MEMBER);
        let log = a.create_channel(space, "general");
        for other in [&mut b, &mut twin] {
            other.learn_epoch(space);
            other.pull(&mut a).unwrap();
        }
        b.say(log, "one");
        twin.say(log, "other");
        a.pull(&mut b).unwrap();
        let bundle = twin.bundles_for(&a, log).remove(0);
        assert!(matches!(a.take(&bundle), Ok(Outcome::Equivocated { .. })));
        a.say(log, "well");
        if snapshot {
            a.store.snapshot().unwrap();
        }
        let (hash, frontier) = (a.store.space_hash(&space).unwrap(), a.store.frontier(&log));
        drop(a);
        let a = Device::over(1, Box::new(storage.crash())).unwrap();
        assert_eq!(a.store.snapshot.is_some(), snapshot);
        assert_eq!((a.store.space_hash(&space).unwrap(), a.store.frontier(&log)), (hash, frontier));
        assert_eq!(a.bodies(log), ["well"]);
        assert_eq!(a.store.proofs(&space).len(), 1);
    }
}

/// An administrator forked the control log and showed each branch to somebody who decided on top of it. Of the branch that
/// a replica did not hold it knew only a hash: so it took what the decider had seen only through that branch for unseen,
/// and replicas with the same events had different members for ever. Messages that cited the branch never arrived at all.
#[test]
fn a_forked_control_log_leaves_one_state_and_parts_nobody() {
    let (mut a, mut b, mut c, log) = club();
    let space = log.space;
    let mut x = Device::new(4);
    a.admit(space, &x, Rank::ADMIN);
    for other in [&mut b, &mut c, &mut x] {
        other.learn_epoch(space);
        other.pull(&mut a).unwrap();
    }
    let mut twin = Device::new(4);
    twin.learn_epoch(space);
    twin.pull(&mut a).unwrap();
    // What B decides reaches A only in the past of X's next word.
    let room = b.create_channel(space, "room");
    x.pull(&mut b).unwrap();
    let promote = |rank| ControlOp::SetRank { user: c.user_id(), rank, pins: Vec::new() };
    x.control(space, vec![promote(Rank::MODERATOR)]).unwrap();
    let mut newcomer = Device::new(5);
    x.admit(space, &newcomer, Rank::MEMBER);
    a.pull(&mut x).unwrap();
    // A knows what B decided, and removes B.
    let pins = a.pins(space, b.id());
    a.control(space, vec![ControlOp::Remove { user: b.user_id(), pins }]).unwrap();
    // C, a moderator for a while, pins, and the newcomer speaks; A answers.
    c.pull(&mut a).unwrap();
    newcomer.learn_epoch(space);
    newcomer.pull(&mut a).unwrap();
    let hello = c.post(log, &[text("hello")]).unwrap()[0];
    c.post(log, &[ChannelOp::Pin { target: hello }]).unwrap();
    newcomer.pull(&mut c).unwrap();
    newcomer.say(log, "I am new");
    a.pull(&mut c).unwrap();
    a.pull(&mut newcomer).unwrap();
    assert_eq!(a.bodies(log), ["hello", "I am new"]);
    a.say(log, "A answers");
    // Meanwhile D lives on the other branch.
    twin.control(space, vec![ControlOp::CreateChannel { name: "trap".into() }]).unwrap();
    let mut d = Device::new(2);
    d.learn_epoch(space);
    d.pull(&mut twin).unwrap();
    d.pull(&mut b).unwrap();
    d.say(log, "D speaks");

    gossip(&mut [&mut a, &mut d], space);
    assert_eq!(a.store.frontier(&LogId::control(space)), d.store.frontier(&LogId::control(space)));
    assert_eq!(a.store.frontier(&log), d.store.frontier(&log));
    same(&[&a, &d], log);
    let state = d.store.space(&space).unwrap();
    assert!(state.channels.contains_key(&room.channel.unwrap()), "A had seen what B decided");
    assert_eq!(state.rank_of(&c.id()), Some(Rank::MEMBER), "what X decided is void");
    assert!(state.member_of(&newcomer.id()).is_none());
    let page = d.store.page(&log, PageStart::Newest, 10).unwrap();
    assert!(page.iter().all(|message| !message.pinned), "who had the right by X alone had it not");
    // Whoever comes late learns it from either, before or after the proof.
    for other in [&mut a, &mut d] {
        for early in [false, true] {
            let mut late = Device::new(6);
            late.learn_epoch(space);
            if early {
                other.store.proofs(&space).iter().for_each(|proof| {
                    late.store.apply_proof(proof).unwrap();
                });
                late.pull(other).unwrap();
            }
            gossip(&mut [&mut late, other], space);
            same(&[&late, other], log);
            assert_eq!(late.store.frontier(&log), other.store.frontier(&log));
        }
        assert_eq!(other.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
    }
}

/// Somebody whom a member admitted on one branch of a forked control log decided something. Who held the other branch took that
/// in as a record, and gave it to newcomers in one bundle with the founding: for these nobody had admitted its author, so they
/// came to nothing.
#[test]
fn who_was_admitted_on_a_branch_that_is_not_here_keeps_no_newcomer_out() {
    let (mut a, mut b, _, log) = club();
    let space = log.space;
    let (mut x, mut twin, mut guest) = (Device::new(4), Device::new(4), Device::new(5));
    a.admit(space, &x, Rank::ADMIN);
    for other in [&mut b, &mut x, &mut twin] {
        other.learn_epoch(space);
        other.pull(&mut a).unwrap();
    }
    x.admit(space, &guest, Rank::MODERATOR);
    twin.control(space, vec![ControlOp::CreateChannel { name: "trap".into() }]).unwrap();
    guest.learn_epoch(space);
    guest.pull(&mut x).unwrap();
    guest.create_channel(space, "by the guest");
    a.pull(&mut guest).unwrap();
    b.pull(&mut twin).unwrap();
    gossip(&mut [&mut a, &mut b], space);
    assert!(b.store.frontier(&LogId::control(space)).unwrap().chain(&guest.id()).is_some(), "as a record");
    let mut late = Device::new(6);
    late.learn_epoch(space);
    b.store.proofs(&space).iter().for_each(|proof| assert!(late.store.apply_proof(proof).unwrap()));
    for bundle in b.bundles_for(&late, LogId::control(space)) {
        let outcome = late.take(&bundle);
        assert!(matches!(outcome, Ok(Outcome::Applied { .. })), "{outcome:?}");
    }
    late.pull(&mut b).unwrap();
    same(&[&a, &b, &late], log);
}

/// Events on two branches of one fork went into one bundle, which named the branches' events by author and number alone:
/// one of them was taken for the other, and whoever did not hold them could never take the bundle in (seed 1071).
#[test]
fn a_bundle_tells_two_branches_of_a_fork_apart() {
    let (mut a, mut b, mut c, log) = club();
    let mut twin = Device::new(3);
    twin.learn_epoch(log.space);
    twin.pull(&mut a).unwrap();
    c.say(log, "pay Ann");
    twin.say(log, "pay Bob");
    a.pull(&mut c).unwrap();
    b.pull(&mut twin).unwrap();
    a.say(log, "Ann answers");
    b.say(log, "Bob answers");
    gossip(&mut [&mut a, &mut b], log.space);
    let mut late = Device::new(6);
    late.learn_epoch(log.space);
    late.pull_control(&mut a, log.space);
    a.store.proofs(&log.space).iter().for_each(|proof| assert!(late.store.apply_proof(proof).unwrap()));
    let bundles = a.bundles_for(&late, log);
    assert_eq!(bundles.len(), 1);
    assert!(matches!(late.take(&bundles[0]), Ok(Outcome::Applied { .. })));
    assert_eq!(late.bodies(log).len(), 2);
    same(&[&a, &b, &late], log);
}

/// A fork was proven at one number while the same device had forked earlier too: behind the proven fork nobody was shown
/// anything any more, so the earlier one was never found, and two histories counted side by side.
#[test]
fn an_earlier_fork_is_found_after_a_later_one_was_proven() {
    let (mut a, mut b, mut c, log) = club();
    let (mut twin, mut third) = (Device::new(3), Device::new(3));
    for other in [&mut twin, &mut third] {
        other.learn_epoch(log.space);
        other.pull(&mut a).unwrap();
    }
    c.say(log, "first");
    twin.say(log, "another first");
    third.pull(&mut c).unwrap();
    c.say(log, "second");
    third.say(log, "another second");
    twin.say(log, "second of the other branch");
    a.pull(&mut c).unwrap();
    b.pull(&mut twin).unwrap();
    let bundle = third.bundles_for(&a, log).remove(0);
    assert!(matches!(a.take(&bundle), Ok(Outcome::Equivocated { is_news: true, .. })));
    assert_eq!((a.bodies(log), b.bodies(log).len()), (vec!["first".to_owned()], 2));
    assert!(b.store.apply_proof(&a.store.proofs(&log.space)[0]).unwrap());
    gossip(&mut [&mut a, &mut b], log.space);
    assert!(a.bodies(log).is_empty() && b.bodies(log).is_empty());
    same(&[&a, &b], log);
    assert_eq!(a.store.frontier(&log), b.store.frontier(&log));
}

/// What only the void branch had built on was no head any more, so the next event did not count it as seen.
#[test]
fn what_a_void_event_had_built_on_is_built_on_again() {
    let (mut a, mut b, mut c, log) = club();
    let mut twin = Device::new(3);
    twin.learn_epoch(log.space);
    twin.pull(&mut a).unwrap();
    let said = b.say(log, "said by B");
    c.pull(&mut b).unwrap();
    c.say(log, "one");
    twin.say(log, "other");
    a.pull(&mut c).unwrap();
    let bundle = twin.bundles_for(&a, log).remove(0);
    assert!(matches!(a.take(&bundle), Ok(Outcome::Equivocated { .. })));
    a.say(log, "an answer");
    let events = a.store.events(&log, 1).unwrap();
    assert_eq!(events[0].parents, [said]);
}

/// A space with a forked control log, opened again, is what it was.
#[test]
fn a_forked_control_log_survives_reopening() {
    for snapshot in [None, Some(false), Some(true)] {
        let storage = CrashStorage::new(3);
        let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
        let space = a.found();
        let (mut x, mut twin, mut b) = (Device::new(2), Device::new(2), Device::new(3));
        a.admit(space, &x, Rank::ADMIN);
        a.admit(space, &b, Rank::MODERATOR);
        let log = a.create_channel(space, "general");
        for other in [&mut x, &mut twin, &mut b] {
            other.learn_epoch(space);
            other.pull(&mut a).unwrap();
        }
        x.control(space, vec![ControlOp::CreateChannel { name: "one".into() }]).unwrap();
        let raise = ControlOp::SetRank { user: b.user_id(), rank: Rank::MEMBER, pins: Vec::new() };
        twin.control(space, vec![raise]).unwrap();
        twin.control(space, vec![ControlOp::CreateChannel { name: "other".into() }]).unwrap();
        a.pull(&mut x).unwrap();
        if snapshot == Some(false) {
            a.store.snapshot().unwrap();
        }
        b.pull(&mut twin).unwrap();
        let said = b.say(log, "what B says");
        b.post(log, &[ChannelOp::Pin { target: said }]).unwrap();
        gossip(&mut [&mut a, &mut b], space);
        let after = a.control(space, vec![ControlOp::CreateChannel { name: "after".into() }]).unwrap();
        gossip(&mut [&mut a, &mut b], space);
        same(&[&a, &b], log);
        if snapshot == Some(true) {
            a.store.snapshot().unwrap();
        }
        let (hash, frontier) = (a.store.space_hash(&space).unwrap(), a.store.frontier(&log));
        let page = a.store.page(&log, PageStart::Newest, 9).unwrap();
        assert!(page[0].pinned, "B was a moderator all along");
        drop(a);
        let mut a = Device::over(1, Box::new(storage.crash())).unwrap();
        assert_eq!((a.store.space_hash(&space).unwrap(), a.store.frontier(&log)), (hash, frontier));
        assert_eq!(a.store.page(&log, PageStart::Newest, 9).unwrap(), page);
        assert_eq!(a.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
        let mut late = Device::new(7);
        late.learn_epoch(space);
        gossip(&mut [&mut late, &mut a], space);
        same(&[&late, &a, &b], log);
        assert_eq!(after.seq, 5);
    }
}

#[test]
fn forged_and_damaged_bundles_are_refused_and_change_nothing() {
    let (mut a, mut b, _, log) = club();
    a.say(log, "true words");
    let good = a.bundles_for(&b, log).remove(0);
    let hash = b.store.space_hash(&log.space).unwrap();
    let mut refused = 0;
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        match b.take(&bad) {
            // The compressed frame has bits that mean nothing; what it brings is what was signed.
            Ok(Outcome::Applied { .. }) => {
                assert_eq!(b.bodies(log), ["true words"], "byte {at}");
                b = Device::new(2);
                b.learn_epoch(log.space);
                b.pull_control(&mut a, log.space);
            }
            Ok(_) => {}
            Err(_) => refused += 1,
        }
        assert_eq!(b.store.space_hash(&log.space).unwrap(), hash, "byte {at}");
    }
    assert!(refused > good.len() / 2);
    b.take(&good).unwrap();
    assert_eq!(b.bodies(log), ["true words"]);
}

#[test]
fn a_stranger_founds_no_space_under_anothers_id_and_writes_no_control_events() {
    let (mut a, mut b, _, log) = club();
    let mut eve = Device::new(9);
    eve.pull(&mut a).unwrap();
    eve.control(log.space, vec![ControlOp::CreateChannel { name: "trap".into() }]).unwrap();
    let bundle = eve.bundles_for(&b, LogId::control(log.space)).remove(0);
    assert_eq!(b.take(&bundle).unwrap(), Outcome::Waits(Wait::Author(eve.id())));
    let logs = b.store.logs();
    assert_eq!(logs.len(), 2);
}

#[test]
fn a_live_message_travels_in_little_more_than_its_proof() {
    let (mut a, mut b, _, log) = club();
    b.say(log, "before");
    a.pull(&mut b).unwrap();
    a.say(log, "a live message of some forty characters.");
    let bundles = a.bundles_for(&b, log);
    // Ids of space, channel, epoch, two devices and a control head, 32 each; a signature; salt, tag, text, framing.
    assert_eq!(bundles.len(), 1);
    assert!(bundles[0].len() < 6 * 32 + 64 + 16 + 16 + 40 + 60, "{} bytes", bundles[0].len());
}

#[test]
fn a_full_disk_loses_nothing_and_can_be_tried_again() {
    use crate::store::storage::Fault;
    let storage = CrashStorage::new(1);
    let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
    let space = a.found();
    let log = a.create_channel(space, "general");
    a.say(log, "before");
    storage.fail_at(storage.operations(), Fault::Full);
    let error = a.post(log, &[text("does not fit")]).unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error}");
    assert_eq!(a.bodies(log), ["before"]);
    a.say(log, "after");
    assert_eq!(a.bodies(log), ["before", "after"]);
    let reopened = Device::over(1, Box::new(storage.crash())).unwrap();
    assert_eq!(reopened.bodies(log), ["before", "after"]);
}

#[test]
fn a_wrong_key_is_told_apart_from_damage() {
    let storage = CrashStorage::new(1);
    drop(Device::over(1, Box::new(storage.clone())).unwrap());
    let wrong = terachat_vault::Secret::take(&mut [8; 32]);
    let entropy = Box::new(crate::testing::Counter::default());
    let error = crate::LocalStore::open(Box::new(storage), &wrong, entropy).err();
    assert_eq!(error, Some(Error::Store(crate::store::Error::WrongKey)));
}

/// Of small chunks the cache once kept as few as of large ones, so that showing a page of messages that came one by one read
/// all of them from the disk again each time.
#[test]
fn a_page_of_single_messages_stays_in_memory_and_large_ones_do_not_fill_it() {
    let mut a = Device::new(1);
    let space = a.found();
    let log = a.create_channel(space, "general");
    let held = |a: &Device| {
        let cache = a.store.cache.borrow();
        (cache.len(), cache.iter().map(|(_, chunk)| chunk.len()).sum::<usize>())
    };
    (0..200).for_each(|n| _ = a.say(log, &format!("message {n}")));
    a.store.page(&log, PageStart::Newest, 50).unwrap();
    assert_eq!(held(&a).0, 50);
    a.store.page(&log, PageStart::Newest, 200).unwrap();
    assert_eq!(held(&a).0, super::payloads::CACHE_LEN);
    let large = "x".repeat(60_000);
    (0..50).for_each(|_| _ = a.say(log, &large));
    let page = a.store.page(&log, PageStart::Newest, 50).unwrap();
    assert!(page.iter().all(|message| message.body == large));
    let (chunks, bytes) = held(&a);
    assert!(
        (30..=35).contains(&chunks) && bytes <= super::payloads::CACHE_BYTES,
        "{chunks} chunks, {bytes} bytes"
    );
}
