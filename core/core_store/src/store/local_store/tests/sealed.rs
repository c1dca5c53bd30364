//! Contents that are sealed one by one, in channels that members read since they joined.
use super::same;
use crate::model::{ChannelOp, ControlOp, Kept, Rank, Reason, Sealed, opened, sealable};
use crate::query::search_index::Query;
use crate::query::{MessageView, PageStart};
use crate::store::Write;
use crate::store::storage::CrashStorage;
use crate::sync::{Bundle, Draft, Frontier, KeyId, Limits, NoOpener, Opener, Outcome};
use crate::testing::{Device, key_of, text};
use crate::{Error, LocalStore};
use std::collections::BTreeSet;
use terachat_event::{DeviceId, EventRef, LogId, SpaceId};
use terachat_vault::SecretBytes;

/// Stands for a member's keys: opens each message once.
#[derive(Default)]
struct Keys {
    used: BTreeSet<Vec<u8>>,
    pending: Vec<Vec<u8>>,
}

impl Opener for Keys {
    fn open(
        &mut self,
        _: &LocalStore,
        _: &SpaceId,
        _: &KeyId,
        _: &DeviceId,
        message: &[u8],
    ) -> Option<SecretBytes> {
        self.pending.push(message.to_vec());
        self.used.insert(message.to_vec()).then(|| SecretBytes::take(seal(message)))
    }

    fn writes(&mut self) -> Vec<Write> {
        let pending = std::mem::take(&mut self.pending).into_iter();
        pending.map(|message| ([b"used/", &message[..]].concat(), Some(SecretBytes::take(vec![1])))).collect()
    }

    fn forget(&mut self) {
        self.pending.clear();
    }
}

fn seal(text: &[u8]) -> Vec<u8> {
    text.iter().map(|byte| byte ^ 0x55).collect()
}

fn sealed_post(body: &str) -> Vec<u8> {
    let text = sealable(&text(body), blake3::hash(body.as_bytes()).as_bytes()).unwrap();
    opened(&text, &seal(&text))
}

impl Device {
    fn put(&mut self, log: LogId, payload: Vec<u8>) -> Result<EventRef, Error> {
        let draft = Draft { log, payloads: vec![payload], key: Some(key_of(log.space)), wall_ms: 5 };
        Ok(self.store.apply_local(&self.key, &draft, |_| Vec::new())?[0])
    }

    fn put_blindly(&mut self, log: LogId, payload: Vec<u8>) -> EventRef {
        let draft = Draft { log, payloads: vec![payload], key: Some(key_of(log.space)), wall_ms: 5 };
        self.store.apply_unchecked(&self.key, &draft, |_| Vec::new()).unwrap()[0]
    }

    fn pull_opening(&mut self, other: &mut Device, log: LogId, opener: &mut dyn Opener) {
        for bundle in other.bundles_for(self, log) {
            let bundle = Bundle::decode(&bundle, Limits::PEER).unwrap();
            let outcome = self.store.apply_backlog_opening(&[bundle], opener).remove(0);
            assert!(matches!(outcome, Ok(Outcome::Applied { .. })), "{outcome:?}");
        }
    }

    fn page_of(&self, log: LogId) -> Vec<MessageView> {
        self.store.page(&log, PageStart::Newest, 99).unwrap()
    }
}

/// Ann and Bob, a channel that is read since joining, and one whose history is shared.
fn pair(storage: CrashStorage) -> (Device, Device, LogId, LogId) {
    let (mut ann, mut bob) = (Device::new(1), Device::over(2, Box::new(storage)).unwrap());
    let space = ann.found();
    ann.admit(space, &bob, Rank::MODERATOR);
    let shared = ann.create_channel(space, "shared");
    ann.control(space, vec![ControlOp::CreateSinceJoin { name: "vault".into(), forum: false }]).unwrap();
    let vault = *ann.store.logs().iter().find(|log| log.channel.is_some() && **log != shared).unwrap();
    bob.learn_epoch(space);
    bob.pull(&mut ann).unwrap();
    (ann, bob, vault, shared)
}

#[test]
fn what_was_opened_is_kept_and_what_was_not_looks_the_same_to_all_else() {
    let storage = CrashStorage::new(3);
    let (mut ann, mut bob, vault, _) = pair(storage.clone());
    let first = ann.put(vault, sealed_post("the first words")).unwrap();
    ann.put(vault, sealed_post("more words")).unwrap();
    ann.post(vault, &[ChannelOp::React { target: first, emoji: "+1" }]).unwrap();
    let mut cid = Device::new(3);
    ann.admit(vault.space, &cid, Rank::MEMBER);
    cid.learn_epoch(vault.space);
    cid.pull_control(&mut ann, vault.space);
    bob.pull_control(&mut ann, vault.space);
    bob.pull_opening(&mut ann, vault, &mut Keys::default());
    assert_eq!(bob.store.records(b"used/").count(), 2, "keys are written with what they opened");
    // What Bob hands on opens nothing to who has no keys, though Bob has read it.
    cid.pull_opening(&mut bob, vault, &mut NoOpener);
    let shown = |device: &Device| -> Vec<(String, bool)> {
        device.page_of(vault).into_iter().map(|view| (view.body, view.sealed)).collect()
    };
    let read = [("the first words".to_owned(), false), ("more words".to_owned(), false)];
    assert_eq!((shown(&ann), shown(&bob)), (read.to_vec(), read.to_vec()));
    assert_eq!(shown(&cid), [(String::new(), true), (String::new(), true)]);
    same(&[&ann, &bob], vault);
    same(&[&bob, &cid], vault);
    let found =
        |device: &mut Device| device.store.search(&vault, &Query::parse("words"), 9, |_| true).unwrap().len();
    assert_eq!((found(&mut ann), found(&mut bob), found(&mut cid)), (2, 2, 0));
    // Behind a snapshot, a power cut and a compaction all is as it was.
    bob.store.snapshot().unwrap();
    bob.put(vault, sealed_post("a third time")).unwrap();
    bob.store.compact().unwrap();
    drop(bob);
    let mut bob = Device::over(2, Box::new(storage.crash())).unwrap();
    assert_eq!(shown(&bob)[..2], read);
    assert_eq!(found(&mut bob), 2);
    ann.pull_opening(&mut bob, vault, &mut Keys::default());
    same(&[&ann, &bob], vault);
    for device in [&mut ann, &mut bob] {
        assert!(device.store.audit_state_integrity().unwrap().alarm.is_empty());
    }
}

#[test]
fn what_is_in_another_form_than_its_channels_counts_for_nothing() {
    let (mut ann, mut bob, vault, shared) = pair(CrashStorage::new(4));
    assert!(matches!(ann.post(vault, &[text("in clear")]), Err(Error::Payload(_))));
    assert!(matches!(ann.put(shared, sealed_post("sealed")), Err(Error::Payload(_))));
    // Whoever does it all the same.
    let clear = ann.put_blindly(vault, text("in clear").encode());
    let sealed = ann.put_blindly(shared, sealed_post("sealed"));
    bob.pull_opening(&mut ann, vault, &mut Keys::default());
    bob.pull_opening(&mut ann, shared, &mut Keys::default());
    for device in [&mut ann, &mut bob] {
        for (log, event) in [(vault, clear), (shared, sealed)] {
            assert!(device.page_of(log).is_empty());
            assert!(device.store.event(&log, &event).unwrap().void.is_some());
            assert_eq!(device.store.explain(&log, &event).unwrap().reason, Reason::AnotherForm);
        }
    }
    same(&[&ann, &bob], vault);
}

#[test]
fn an_opened_text_is_not_taken_from_a_peer() {
    let (mut ann, mut bob, vault, _) = pair(CrashStorage::new(5));
    ann.put(vault, sealed_post("for others' eyes")).unwrap();
    ann.store.bare_opened(true);
    let nothing = Frontier { log: vault, chains: Vec::new() };
    let bundle = ann.store.bundles_since(&nothing, Limits::PEER).unwrap().remove(0);
    assert!(matches!(bob.store.apply_remote(&bundle), Err(Error::Payload(_))));
    assert!(bob.page_of(vault).is_empty());
    bob.store.bare_opened(true);
    assert!(matches!(bob.store.apply_remote(&bundle), Ok(Outcome::Applied { .. })));
    assert_eq!(bob.page_of(vault)[0].body, "for others' eyes");
}

#[test]
fn a_message_that_opens_to_something_else_stays_sealed() {
    let (mut ann, mut bob, vault, _) = pair(CrashStorage::new(6));
    let said = sealable(&text("said"), &[1; 32]).unwrap();
    let message = seal(&sealable(&text("meant"), &[1; 32]).unwrap());
    let commitment = *blake3::keyed_hash(&[1; 32], &said[32..]).as_bytes();
    let kept = Kept::Message { reply_to: None, is_post: false, imported: None };
    let op = ChannelOp::Sealed(Sealed { kept, commitment, message: &message });
    ann.put_blindly(vault, op.encode());
    bob.pull_opening(&mut ann, vault, &mut Keys::default());
    assert_eq!((bob.page_of(vault)[0].sealed, bob.page_of(vault)[0].body.as_str()), (true, ""));
    same(&[&ann, &bob], vault);
}
