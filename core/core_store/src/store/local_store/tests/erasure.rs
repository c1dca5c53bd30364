//! Content of deleted messages: gone from every disk, and all goes on without it.
use super::{club, same};
use crate::model::{
    Attachment, ChannelOp, ControlOp, Extras, Heading, Held, Imported, Mention, Post, Rank, StoredFile, Style,
};
use crate::query::search_index::Query;
use crate::query::{MessageView, PageStart};
use crate::store::erasure::Stripped;
use crate::store::storage::{CrashStorage, Fault};
use crate::store::{Erasure, Storage};
use crate::sync::{Bundle, Frontier, Limits, Outcome};
use crate::testing::{Counter, Device, Dice, copy, disk, gossip, seeds, store_key, text};
use crate::{Error, LocalStore};
use std::collections::BTreeMap;
use terachat_event::{EventRef, LogId};

fn own(target: EventRef) -> ChannelOp<'static> {
    ChannelOp::Delete { target, moderates: false }
}

fn moderated(target: EventRef) -> ChannelOp<'static> {
    ChannelOp::Delete { target, moderates: true }
}

/// Whether these bytes stand in anything that the store can decrypt: every block of the log and every part of the snapshot.
fn holds(device: &Device, needle: &str) -> bool {
    let found = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    let log = &device.store.log;
    assert!(!log.has_void_snapshot().unwrap(), "nobody looks into it");
    let snapshot = log.snapshot().unwrap();
    let mut parts = snapshot.iter().flat_map(|snapshot| {
        (0..snapshot.parts()).map(move |number| log.snapshot_part(snapshot, number).unwrap())
    });
    log.blocks(None).unwrap().any(|block| found(&block.unwrap().body)) || parts.any(|part| found(&part))
}

/// Of a file in the cluster nothing is left but bytes that no key opens, also where the key was kept before it was posted.
#[test]
fn the_key_of_a_stored_file_goes_with_its_message() {
    const KEY: &str = "thirty-two bytes open the file!!";
    let (mut a, mut b, _, log) = club();
    let record = [crate::store::UPLOAD_KEYS, b"plan"].concat();
    let key = || terachat_vault::SecretBytes::copy_from(KEY.as_bytes());
    a.store.write_records(vec![(record.clone(), Some(key()))]).unwrap();
    let file = Attachment { name: "plan.pdf", media_type: "", len: 7, hash: [3; 32] };
    let extras = Extras { attachments: vec![file], ..Extras::default() };
    let stored = vec![StoredFile { address: [4; 32], key: *KEY.as_bytes().first_chunk().unwrap() }];
    let post = Post { style: Style::Message, body: "", reply_to: None, imported: None };
    let event = a.post(log, &[ChannelOp::PostStored(post, extras, stored.clone())]).unwrap()[0];
    a.store.write_records(vec![(record, None)]).unwrap();
    b.pull(&mut a).unwrap();
    same(&[&a, &b], log);
    for device in [&a, &b] {
        let view = device.store.message(&log, &event).unwrap();
        assert_eq!(view.attachments[0].stored.as_ref(), stored.first());
        assert!(device.store.channel(&log).unwrap().state.has_attachment(0) && holds(device, KEY));
    }
    a.post(log, &[own(event)]).unwrap();
    b.pull(&mut a).unwrap();
    for device in [&mut a, &mut b] {
        assert_eq!(device.store.compact().unwrap().pending, 0);
        assert!(!holds(device, KEY));
        assert!(device.store.message(&log, &event).unwrap().attachments.is_empty());
        sound(device);
    }
    same(&[&a, &b], log);
}

fn page(device: &Device, log: LogId) -> Vec<MessageView> {
    device.store.page(&log, PageStart::Newest, 999).unwrap()
}

#[track_caller]
fn sound(device: &mut Device) {
    assert_eq!(device.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
}

/// All that `device` has of a log, as bundles in which only what is kept of these events' payloads is left.
fn bare_bundles(device: &mut Device, log: LogId, bare: &[EventRef]) -> Vec<Vec<u8>> {
    device.store.recompute_missing(&log).unwrap();
    let nothing = Frontier { log, chains: Vec::new() };
    let bundles = device.store.bundles_since(&nothing, Limits::PEER).unwrap();
    let index = device.store.index(&log).unwrap();
    let without = |bundle: Bundle| {
        let key = device.store.epoch_key(&log, bundle.batch.key.as_ref());
        let chunks = bundle.open_chunks(key.as_deref()).unwrap();
        let mut next: Vec<u64> = bundle.batch.authors.iter().map(|author| author.first_seq).collect();
        let left: Vec<Option<Vec<u8>>> = (bundle.batch.events.iter())
            .map(|event| {
                let seq = &mut next[event.author as usize];
                *seq += 1;
                let author = bundle.batch.authors[event.author as usize].device;
                let event = EventRef { author, seq: *seq - 1 };
                let at = index.find(&event).filter(|_| bare.contains(&event))?;
                device.store.left_of(index, at).unwrap()
            })
            .collect();
        let stripped = Stripped::without(&bundle.batch, &chunks, |at| left[at].as_deref());
        Bundle::pack(stripped.batch, &stripped.chunks, key.as_deref(), &mut Counter::default()).encode()
    };
    bundles.into_iter().map(without).collect()
}

#[test]
fn what_was_deleted_is_gone_from_disk_and_from_what_is_sent() {
    let storage = CrashStorage::new(5);
    let (mut b, mut c) = (Device::new(2), Device::new(3));
    let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
    let space = a.found();
    a.admit(space, &b, Rank::MODERATOR);
    a.admit(space, &c, Rank::MEMBER);
    let log = a.create_channel(space, "general");
    b.learn_epoch(space);
    c.learn_epoch(space);
    let files = vec![Attachment { name: "sesame.png", media_type: "image/png", len: 3, hash: [1; 32] }];
    let heading = Heading { title: "open sesame", tags: vec!["sesame"] };
    let extras = Extras { heading: Some(heading), mentions: vec![Mention::Everyone], attachments: files };
    let imported = Imported { source: 7, id: 9, ts_ms: 1, author: "sesame" };
    let post = Post { style: Style::Action, body: "sesame one", reply_to: None, imported: Some(imported) };
    let first = a.post(log, &[ChannelOp::PostWith(post, extras)]).unwrap()[0];
    let renamed = Heading { title: "sesame again", tags: vec!["sesame"] };
    let edits = [
        ChannelOp::Edit { target: first, body: "sesame two" },
        ChannelOp::SetHeading { target: first, heading: renamed, moderates: false },
    ];
    a.post(log, &edits).unwrap();
    let answer =
        Post { style: Style::Message, body: "sesame, an answer", reply_to: Some(first), imported: None };
    let answer = a.post(log, &[ChannelOp::Post(answer)]).unwrap()[0];
    let kept =
        Post { style: Style::Message, body: "a word that stays", reply_to: Some(answer), imported: None };
    a.post(log, &[ChannelOp::Post(kept)]).unwrap();
    b.pull(&mut a).unwrap();
    a.store.snapshot().unwrap();
    a.store.search(&log, &Query::parse("sesame"), 9, |_| true).unwrap();
    assert!(holds(&a, "sesame two") && holds(&a, "sesame again"));
    a.post(log, &[own(first), own(answer)]).unwrap();
    // Not erased yet, and not handed on any more.
    c.pull(&mut a).unwrap();
    assert!(!holds(&c, "sesame") && holds(&a, "sesame two"));
    b.pull(&mut a).unwrap();
    same(&[&a, &b, &c], log);
    assert_eq!(page(&a, log), page(&c, log));
    let before = (a.store.space_hash(&space).unwrap(), page(&a, log), a.store.frontier(&log));
    assert_eq!(a.store.compact().unwrap(), Erasure { erased: 4, pending: 0, held: 0 });
    assert!(!holds(&a, "sesame") && holds(&a, "a word that stays"));
    assert_eq!((a.store.space_hash(&space).unwrap(), page(&a, log), a.store.frontier(&log)), before);
    assert_eq!(a.store.compact().unwrap(), Erasure::default(), "nothing is left to do");
    assert_eq!(a.store.imported(&log, &a.id(), 7, 9), Some(first), "a record is not imported twice");
    let posts = a.store.posts(&log, &[], None, 9).unwrap();
    assert_eq!(posts.iter().map(|post| (post.message.event, post.replies)).collect::<Vec<_>>(), [(first, 1)]);
    assert_eq!(posts, c.store.posts(&log, &[], None, 9).unwrap());
    let tagged = |device: &Device| device.store.posts(&log, &["sesame".to_owned()], None, 9).unwrap();
    assert!(tagged(&a).is_empty() && tagged(&b).is_empty() && tagged(&c).is_empty());
    for device in [&a, &b, &c] {
        let state = &device.store.channel(&log).unwrap().state;
        assert!(state.mentions(&Mention::Everyone).is_empty(), "who never had it knows of no mention");
    }
    for device in [&mut a, &mut b, &mut c] {
        let mut found = |query| device.store.search(&log, &Query::parse(query), 9, |_| true).unwrap().len();
        assert_eq!([found("sesame"), found("stays")], [0, 1]);
        sound(device);
        assert_eq!(device.store.missing_bodies(&log), []);
    }
    // One who has the texts, one who lacks all, and one who was away for a part of it.
    let mut late = Device::new(4);
    late.learn_epoch(space);
    late.pull(&mut a).unwrap();
    same(&[&a, &late], log);
    let files = copy(&storage);
    for snapshot in [true, false] {
        let report = LocalStore::check(Box::new(disk(&files, 1)), &store_key(), Box::new(Counter::default()));
        assert!(report.unwrap().is_sound());
        let mut storage = disk(&files, 2);
        if !snapshot {
            storage.remove("snapshot").unwrap();
        }
        let mut again = Device::over(1, Box::new(storage)).unwrap();
        assert_eq!(again.store.snapshot.is_some(), snapshot);
        same(&[&a, &again], log);
        sound(&mut again);
        assert_eq!(again.store.compact().unwrap(), Erasure::default());
    }
}

/// A peer that withholds content which nobody deleted: its events are proven and keep their place, the content counts as
/// missing, is asked for, and comes from somebody else.
#[test]
fn content_that_nobody_deleted_is_missing_until_it_comes() {
    let storage = CrashStorage::new(5);
    let (mut a, mut b, log) = {
        let (a, b, _, log) = club();
        (a, b, log)
    };
    let hello = a.say(log, "hello");
    let edit = a.post(log, &[ChannelOp::Edit { target: hello, body: "hello there" }]).unwrap()[0];
    b.pull(&mut a).unwrap();
    let answer = Post { style: Style::Message, body: "hi", reply_to: Some(hello), imported: None };
    b.post(log, &[ChannelOp::Post(answer)]).unwrap();
    a.pull(&mut b).unwrap();
    let mut victim = Device::over(4, Box::new(storage.clone())).unwrap();
    victim.learn_epoch(log.space);
    victim.pull_control(&mut a, log.space);
    for bundle in bare_bundles(&mut a, log, &[hello, edit]) {
        assert!(matches!(victim.take(&bundle), Ok(Outcome::Applied { .. })));
    }
    let shown = page(&victim, log);
    assert!(shown[0].missing && !shown[0].deleted && shown[0].body.is_empty());
    assert_eq!((shown[1].reply_to, shown[1].body.as_str()), (Some(hello), "hi"));
    assert_ne!(victim.store.state_hash(&log), a.store.state_hash(&log));
    assert_eq!(victim.store.missing_bodies(&log), [hello, edit]);
    assert_eq!(victim.store.bundles_with(&log, &[hello]).unwrap().len(), 0, "it has nothing to give");
    sound(&mut victim);
    // What an honest peer has comes back, proven by the hash that is here; also behind a crash and a snapshot.
    for event in [hello, edit] {
        let answers = b.store.bundles_with(&log, &[event]).unwrap();
        for bundle in &answers {
            victim.take(&bundle.encode()).unwrap();
        }
    }
    same(&[&a, &b, &victim], log);
    assert_eq!(page(&victim, log), page(&a, log));
    assert_eq!(victim.store.missing_bodies(&log), []);
    assert_eq!(victim.store.search(&log, &Query::parse("there"), 9, |_| true).unwrap().len(), 1);
    sound(&mut victim);
    let mut victim = Device::over(4, Box::new(storage.crash())).unwrap();
    same(&[&a, &victim], log);
    // Then it is deleted after all: what had come back is erased too.
    a.post(log, &[own(hello)]).unwrap();
    victim.pull(&mut a).unwrap();
    assert!(holds(&victim, "hello there"));
    assert_eq!(victim.store.compact().unwrap(), Erasure { erased: 2, pending: 0, held: 0 });
    assert!(!holds(&victim, "hello"));
    same(&[&a, &victim], log);
    sound(&mut victim);
    assert_eq!(victim.store.compact().unwrap(), Erasure::default());
    assert_eq!(victim.store.records(b"body/").count(), 0);
}

/// What is kept of an event is under its hash: nobody makes a message of something else, moves an edit, or gives a text that
/// was not written.
#[test]
fn nothing_else_stands_in_for_what_was_written() {
    let (mut a, _, _, log) = club();
    let (hello, other) = (a.say(log, "hello"), a.say(log, "other"));
    a.post(log, &[ChannelOp::Edit { target: hello, body: "edited" }]).unwrap();
    let reaction = a.post(log, &[ChannelOp::React { target: hello, emoji: "+1" }]).unwrap()[0];
    let honest = bare_bundles(&mut a, log, &[]).remove(0);
    assert_eq!(bare_bundles(&mut a, log, &[reaction]).remove(0).len(), honest.len(), "it has no content");
    let bundle = Bundle::decode(&honest, Limits::PEER).unwrap();
    let key = a.store.epoch_key(&log, bundle.batch.key.as_ref()).unwrap();
    let chunks = bundle.open_chunks(Some(&key)).unwrap();
    let index = a.store.index(&log).unwrap();
    let left =
        |at: u32| ChannelOp::decode(&a.store.left_of(index, at).unwrap().unwrap()).map(|op| op.encode());
    let changed = |at: u32, change: fn(&mut crate::model::Kept, EventRef)| {
        let bytes = left(at).unwrap();
        let Ok(ChannelOp::Erased { content, mut kept }) = ChannelOp::decode(&bytes) else {
            panic!("it is bare")
        };
        change(&mut kept, EventRef { author: hello.author, seq: 2 });
        ChannelOp::Erased { content, kept }.encode()
    };
    use crate::model::Kept;
    let cases: Vec<(usize, Vec<u8>)> = vec![
        (0, text("hullo").encode()),
        (0, changed(0, |kept, _| *kept = Kept::Message { reply_to: None, is_post: true, imported: None })),
        (0, changed(0, |kept, other| *kept = Kept::Edit { target: other })),
        (2, changed(2, |kept, other| *kept = Kept::Edit { target: other })),
        (2, changed(2, |kept, _| *kept = Kept::Message { reply_to: None, is_post: false, imported: None })),
        (3, ChannelOp::Erased { content: [7; 32], kept: Kept::Edit { target: hello } }.encode()),
        (1, left(0).unwrap()),
    ];
    assert_eq!(other.seq, 2);
    for (place, payload) in cases {
        let forged =
            Stripped::without(&bundle.batch, &chunks, |at| (at == place).then_some(payload.as_slice()));
        let forged = Bundle::pack(forged.batch, &forged.chunks, Some(&key), &mut Counter::default());
        let mut victim = Device::new(4);
        victim.learn_epoch(log.space);
        victim.store.apply_remote(&bundle_of_control(&a, log)).unwrap();
        // An edit of what is to come is waited for first, and then refused.
        let refused = victim.store.apply_remote(&forged);
        let is_refused = matches!(refused, Err(Error::Event(terachat_event::Error::Signature(_))));
        assert!(is_refused || matches!(refused, Ok(Outcome::Waits(_))), "{refused:?}");
        assert_eq!(victim.store.len(&log), 0);
    }
}

fn bundle_of_control(from: &Device, log: LogId) -> Bundle {
    let control = LogId::control(log.space);
    let mut copy = Device::new(9);
    copy.learn_epoch(log.space);
    let nothing = Frontier { log: control, chains: Vec::new() };
    // Packing draws randomness, so it takes a store of its own to change.
    let index = from.store.index(&control).unwrap();
    let positions: Vec<u32> = (0..index.len()).collect();
    let signature = |chain: u32, _| Some(index.chains[chain as usize].head.signature);
    let batch = index.batch(&positions, signature).unwrap();
    let payloads: Vec<Vec<u8>> = positions.iter().map(|at| from.store.payload(index, *at).unwrap()).collect();
    let chunks = crate::sync::cut(&batch, &payloads);
    assert_eq!(nothing.chains.len(), 0);
    Bundle::pack(batch, &chunks, None, &mut Counter::default())
}

/// An old bundle with the text brings nothing back, be it alone, with something new, or among others; nor does a late edit.
#[test]
fn what_was_erased_does_not_come_back_with_an_old_bundle() {
    let (mut a, mut b, mut c, log) = club();
    let hello = a.say(log, "sesame");
    b.pull(&mut a).unwrap();
    c.pull(&mut a).unwrap();
    let old = c.bundles_for(&Device::new(5), log);
    a.post(log, &[own(hello)]).unwrap();
    b.pull(&mut a).unwrap();
    assert_eq!(b.store.compact().unwrap(), Erasure { erased: 1, pending: 0, held: 0 });
    b.take(&old[0]).unwrap();
    assert!(!holds(&b, "sesame"));
    // C has not heard of the deletion: its bundle repeats the text and brings something new, an edit among it.
    c.say(log, "something new");
    a.post(log, &[ChannelOp::Edit { target: hello, body: "sesame again" }]).unwrap();
    let mixed = bare_bundles(&mut c, log, &[]);
    assert!(matches!(b.take(&mixed[0]), Ok(Outcome::Applied { known: 1, .. })));
    assert!(!holds(&b, "sesame"));
    // The edit goes without its text; and with it, from one who does not know better, it is not written.
    let with_text = {
        let mut naive = Device::new(6);
        naive.learn_epoch(log.space);
        naive.pull_control(&mut a, log.space);
        bare_bundles_with_all(&mut a, log)
    };
    for bundle in with_text {
        b.take(&bundle).unwrap();
    }
    assert!(!holds(&b, "sesame"));
    a.pull(&mut b).unwrap();
    c.pull(&mut a).unwrap();
    same(&[&a, &b, &c], log);
    [&mut a, &mut b, &mut c].into_iter().for_each(sound);
}

/// All of a log as its disk holds it, whatever was deleted since: what a peer sends that keeps to no rule.
fn bare_bundles_with_all(device: &mut Device, log: LogId) -> Vec<Vec<u8>> {
    device.store.recompute_missing(&log).unwrap();
    let index = device.store.index(&log).unwrap();
    let positions: Vec<u32> = (0..index.len()).collect();
    let signature = |chain: u32, _| Some(index.chains[chain as usize].head.signature);
    let mut batch = index.batch(&positions, signature).unwrap();
    let payloads: Vec<Vec<u8>> =
        positions.iter().map(|at| device.store.stored_payload(index, *at).unwrap()).collect();
    batch.set_payloads(&payloads);
    let chunks = crate::sync::cut(&batch, &payloads);
    let key = device.store.epoch_key(&log, batch.key.as_ref());
    vec![Bundle::pack(batch, &chunks, key.as_deref(), &mut Counter::default()).encode()]
}

/// A has a text, C had erased it, and the deletion that C carried out has come to nothing: its author was removed, with a pin before it.
fn erased_in_vain(body: &str) -> (Device, Device, LogId, EventRef) {
    let (mut a, mut b, mut c, log) = club();
    let said = a.say(log, body);
    b.pull(&mut a).unwrap();
    c.pull(&mut a).unwrap();
    let pins = a.pins(log.space, b.id());
    b.post(log, &[moderated(said)]).unwrap();
    c.pull(&mut b).unwrap();
    assert_eq!(c.store.compact().unwrap(), Erasure { erased: 1, pending: 0, held: 0 });
    a.control(log.space, vec![ControlOp::SetRank { user: b.user_id(), rank: Rank::MEMBER, pins }]).unwrap();
    a.pull(&mut b).unwrap();
    c.pull(&mut a).unwrap();
    (a, c, log, said)
}

/// Hands over what is missing.
fn give_back(a: &mut Device, c: &mut Device, log: LogId) {
    let missing = c.store.missing_bodies(&log);
    for bundle in a.store.bundles_with(&log, &missing).unwrap() {
        c.take(&bundle.encode()).unwrap();
    }
}

/// The text is missing where it was erased, and comes back from where it was not.
#[test]
fn a_deletion_that_comes_to_nothing_gives_the_text_back() {
    let (mut a, mut c, log, hello) = erased_in_vain("hello");
    assert_eq!(page(&a, log)[0].body, "hello");
    assert!(page(&c, log)[0].missing);
    assert_eq!(c.store.missing_bodies(&log), [hello]);
    give_back(&mut a, &mut c, log);
    same(&[&a, &c], log);
    assert_eq!(page(&c, log), page(&a, log));
    [&mut a, &mut c].into_iter().for_each(sound);
    // Somebody who comes now has it from C as from A.
    let mut late = Device::new(4);
    late.learn_epoch(log.space);
    late.pull(&mut c).unwrap();
    same(&[&a, &late], log);
}

/// What came back lies in a record, outside of the log that is dropped.
#[test]
fn content_that_came_back_goes_with_a_channel_that_is_dropped() {
    let (mut a, mut c, log, _) = erased_in_vain("sesame");
    give_back(&mut a, &mut c, log);
    assert!(holds(&c, "sesame"));
    let author = c.id();
    c.store.drop_channel(&log, &author).unwrap();
    assert!(!holds(&c, "sesame"));
    // Taken back, it is whole without what the record had.
    c.pull(&mut a).unwrap();
    same(&[&a, &c], log);
    [&mut a, &mut c].into_iter().for_each(sound);
}

/// Each write of an erasure fails in each way, and then the power goes as well: nothing is lost but what was to go, and whoever
/// goes on comes to an end.
#[test]
fn whatever_write_of_it_fails_it_is_done_in_the_end() {
    let first = CrashStorage::new(6);
    let (mut b, mut a) = (Device::new(2), Device::over(1, Box::new(first.clone())).unwrap());
    let space = a.found();
    a.admit(space, &b, Rank::MODERATOR);
    let log = a.create_channel(space, "general");
    b.learn_epoch(space);
    let hello = a.say(log, "sesame");
    a.post(log, &[ChannelOp::Edit { target: hello, body: "sesame again" }, text("it stays")]).unwrap();
    let lost = a.say(log, "sesame, too");
    b.pull(&mut a).unwrap();
    // One of the texts was erased and came back: it is in a record.
    let pins = a.pins(space, b.id());
    b.post(log, &[moderated(lost)]).unwrap();
    a.pull(&mut b).unwrap();
    let mut c = Device::new(3);
    c.learn_epoch(space);
    for bundle in bare_bundles_with_all(&mut b, log) {
        c.pull_control(&mut a, space);
        c.take(&bundle).unwrap();
    }
    a.store.compact().unwrap();
    a.control(space, vec![ControlOp::SetRank { user: b.user_id(), rank: Rank::MEMBER, pins }]).unwrap();
    c.pull_control(&mut a, space);
    for bundle in c.store.bundles_with(&log, &[lost]).unwrap() {
        a.take(&bundle.encode()).unwrap();
    }
    assert_eq!(page(&a, log).last().unwrap().body, "sesame, too");
    a.post(log, &[own(hello), own(lost)]).unwrap();
    a.store.index_texts().unwrap();
    a.store.log.replace_snapshot(&[b"sesame"]).unwrap();
    assert!(holds(&a, "sesame again") && holds(&a, "sesame, too"));
    let before = (a.store.space_hash(&space).unwrap(), page(&a, log), a.store.frontier(&log));
    let files = copy(&first);
    for fault in [Fault::PowerCut, Fault::Full, Fault::Io] {
        for write in 0.. {
            let storage = disk(&files, write);
            let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
            let operations = storage.operations();
            storage.fail_at(operations + write, fault);
            let result = a.store.compact();
            let done = storage.operations() <= operations + write;
            assert_eq!(result.is_ok(), done, "{fault:?} at write {write}: {result:?}");
            drop(a);
            let mut a = Device::over(1, Box::new(storage.crash())).unwrap();
            let now = (a.store.space_hash(&space).unwrap(), page(&a, log), a.store.frontier(&log));
            assert_eq!(now, before, "{fault:?} at write {write}");
            assert_eq!(a.store.compact().unwrap().pending, 0);
            assert!(!holds(&a, "sesame") && holds(&a, "it stays"), "{fault:?} at write {write}");
            assert_eq!(a.store.records(b"body/").count(), 0);
            sound(&mut a);
            if done {
                assert!(write >= 5, "or this tests nothing");
                break;
            }
        }
    }
}

/// Everybody gives everybody what they have and what they were asked for, until nothing changes.
fn settle(devices: &mut [Device], log: LogId) {
    for _ in 0..3 {
        for to in 0..devices.len() {
            for from in 0..devices.len() {
                if to == from {
                    continue;
                }
                let [to, from] = devices.get_disjoint_mut([to, from]).unwrap();
                to.pull(from).unwrap();
                to.ask_missing(from, log);
            }
        }
    }
}

/// Random posts, answers, edits, deletions, demotions and compactions in random orders of delivery, against the rule itself:
/// same states everywhere; what a deletion holds of is in nobody's files; what none holds of is read by everybody, unless
/// nobody has it any more, and then by nobody.
#[test]
fn replicas_agree_whoever_erases_when() {
    for seed in seeds("TERACHAT_ERASURE_SEEDS", 0..24) {
        let mut dice = Dice(seed << 32);
        let (a, b, c, log) = club();
        let mut devices = vec![a, b, c];
        let mut texts: BTreeMap<EventRef, Vec<String>> = BTreeMap::new();
        for step in 0..60 {
            let who = dice.below(devices.len() as u64) as usize;
            let messages: Vec<EventRef> = page(&devices[who], log).iter().map(|view| view.event).collect();
            let body = format!("<{seed}-{step}>");
            let target = dice.pick(&messages).copied();
            let device = &mut devices[who];
            match (dice.below(12), target) {
                (0..=2, target) | (_, target @ None) => {
                    let reply_to = target.filter(|_| step % 2 == 0);
                    let post = Post { style: Style::Message, body: &body, reply_to, imported: None };
                    let event = device.post(log, &[ChannelOp::Post(post)]).unwrap()[0];
                    texts.insert(event, vec![body]);
                }
                (3..=4, Some(target)) => {
                    device.post(log, &[ChannelOp::Edit { target, body: &body }]).unwrap();
                    texts.entry(target).or_default().push(body);
                }
                (5, Some(target)) => drop(device.post(log, &[own(target)]).unwrap()),
                (6, Some(target)) => drop(device.post(log, &[moderated(target)]).unwrap()),
                (7, _) => drop(device.store.compact().unwrap()),
                (8, _) if who == 0 && step > 20 => {
                    // What the moderator wrote beyond what the founder has seen comes to nothing.
                    let pins = devices[0].pins(log.space, devices[1].id());
                    let (user, rank) = (devices[1].user_id(), Rank::MEMBER);
                    devices[0].control(log.space, vec![ControlOp::SetRank { user, rank, pins }]).unwrap();
                }
                (9, _) if devices.len() < 5 && step > 30 => {
                    let mut late = Device::new(4 + devices.len() as u8);
                    late.learn_epoch(log.space);
                    late.pull(&mut devices[who]).unwrap();
                    devices.push(late);
                }
                _ => {
                    let other = (who + 1 + dice.below(devices.len() as u64 - 1) as usize) % devices.len();
                    let [one, two] = devices.get_disjoint_mut([who, other]).unwrap();
                    one.pull(two).unwrap();
                }
            }
        }
        settle(&mut devices, log);
        let pages: Vec<Vec<MessageView>> = devices.iter().map(|device| page(device, log)).collect();
        for (device, shown) in devices.iter().zip(&pages) {
            assert_eq!(shown, &pages[0], "seed {seed}");
            assert_eq!(
                device.store.space_hash(&log.space).unwrap(),
                devices[0].store.space_hash(&log.space).unwrap(),
                "seed {seed}"
            );
        }
        for device in &mut devices {
            assert_eq!(device.store.compact().unwrap().pending, 0);
            sound(device);
            assert_eq!(page(device, log), pages[0], "seed {seed}");
            for view in &pages[0] {
                let bodies = &texts[&view.event];
                let held = bodies.iter().filter(|body| holds(device, body)).count();
                if view.deleted {
                    assert_eq!(held, 0, "seed {seed}: {bodies:?} of a deleted message");
                } else if !view.missing {
                    assert!(bodies.contains(&view.body) && holds(device, &view.body), "seed {seed}");
                }
            }
        }
    }
}

/// An archive keeps what is under a legal hold, and what somebody who has not heard of the deletion writes into it; nobody else
/// does, and all have the same state. Once the hold ends it is erased.
#[test]
fn what_is_held_stays_on_an_archives_disk() {
    let (mut a, mut b, mut c, log) = club();
    let mut keeper = Device::new(4);
    keeper.store.belongs_to(keeper.id());
    keeper.learn_epoch(log.space);
    a.admit(log.space, &keeper, Rank::GUEST);
    let device = keeper.id();
    let on = Held::Channel(log.channel.unwrap());
    let ops =
        vec![ControlOp::RequireArchive { device, required: true }, ControlOp::Hold { on, stands: true }];
    a.control(log.space, ops).unwrap();
    b.pull(&mut a).unwrap();
    let hello = b.say(log, "sesame");
    a.pull(&mut b).unwrap();
    c.pull(&mut a).unwrap();
    keeper.pull(&mut a).unwrap();
    a.post(log, &[moderated(hello)]).unwrap();
    keeper.pull(&mut a).unwrap();
    b.post(log, &[ChannelOp::Edit { target: hello, body: "open it" }]).unwrap();
    for device in [&mut keeper, &mut a, &mut c] {
        device.pull(&mut b).unwrap();
    }
    assert!(holds(&keeper, "open it") && !holds(&a, "open it") && holds(&c, "open it"));
    gossip(&mut [&mut a, &mut b, &mut c, &mut keeper], log.space);
    assert_eq!(keeper.store.compact().unwrap(), Erasure { erased: 0, pending: 0, held: 2 });
    assert_eq!(keeper.store.held_count(), Ok(2));
    assert_eq!([&mut a, &mut b, &mut c].map(|it| it.store.compact().unwrap().erased), [1, 2, 2]);
    let holding = |device: &Device| (holds(device, "sesame"), holds(device, "open it"));
    assert_eq!(
        [&a, &b, &c, &keeper].map(holding),
        [(false, false), (false, false), (false, false), (true, true)]
    );
    assert_eq!((page(&keeper, log)[0].deleted, page(&keeper, log)[0].body.as_str()), (true, ""));
    // Nobody is handed it.
    let mut late = Device::new(5);
    late.learn_epoch(log.space);
    late.pull(&mut keeper).unwrap();
    assert_eq!(holding(&late), (false, false));
    same(&[&a, &b, &c, &keeper, &late], log);

    a.control(log.space, vec![ControlOp::Hold { on, stands: false }]).unwrap();
    keeper.pull(&mut a).unwrap();
    assert_eq!(keeper.store.compact().unwrap(), Erasure { erased: 2, pending: 0, held: 0 });
    assert_eq!(holding(&keeper), (false, false));
    gossip(&mut [&mut a, &mut b, &mut c, &mut keeper], log.space);
    same(&[&a, &b, &c, &keeper], log);
    [&mut a, &mut b, &mut c, &mut keeper].into_iter().for_each(sound);
}
