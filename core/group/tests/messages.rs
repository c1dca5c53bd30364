//! Sealed messages: order, crashes, liars, and how little is written.
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
mod world;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use terachat_group::{Error, GENERATIONS_MAX, Group, Messages, Part, SEALED_LEN_MAX, SEALED_TEXT_LEN_MAX};
use world::{Person, group_of};

/// A device's disk: what was written to it is there after a crash.
#[derive(Default)]
struct Disk(BTreeMap<Vec<u8>, Vec<u8>>);

impl Disk {
    fn write(&mut self, parts: Vec<Part>) -> usize {
        let len =
            |(name, value): &Part| name.len() + value.as_ref().map_or(0, |value| value.expose_secret().len());
        let total = parts.iter().map(len).sum();
        for (name, value) in parts {
            match value {
                Some(value) => self.0.insert(name, value.expose_secret().to_vec()),
                None => self.0.remove(&name),
            };
        }
        total
    }

    fn read(&self) -> Messages {
        Messages::from_parts(self.0.iter().map(|(name, value)| (&name[..], &value[..]))).unwrap()
    }
}

/// A member with its keys on disk.
struct Member {
    person: Person,
    messages: Messages,
    disk: Disk,
}

impl Member {
    fn new(person: Person, mut group: Group) -> Self {
        let mut messages = group.take_messages().unwrap();
        assert!(group.take_messages().is_none(), "they are given out once");
        assert!(Group::from_bytes(group.to_bytes().expose_secret()).unwrap().take_messages().is_none());
        let mut disk = Disk::default();
        disk.write(messages.changes());
        Self { person, messages, disk }
    }

    fn reserve(&mut self, count: u32) {
        let reserve = self.messages.reserve(count).unwrap();
        self.disk.write(reserve.changes());
        self.messages.grant(reserve);
    }

    fn seal(&mut self, text: &[u8]) -> Vec<u8> {
        if self.messages.reserved() == 0 {
            self.reserve(8);
        }
        self.messages.seal(&self.person.signer, text, &mut self.person.entropy).unwrap()
    }

    fn open(&mut self, message: &[u8], from: &Member) -> Result<Vec<u8>, Error> {
        let opened = self.messages.open(message, &from.person.device())?;
        Ok(opened.text.expose_secret().to_vec())
    }

    fn crash(&mut self) {
        self.messages = self.disk.read();
    }
}

fn members(n: usize) -> Vec<Member> {
    let (people, groups) = group_of(n);
    people.into_iter().zip(groups).map(|(person, group)| Member::new(person, group)).collect()
}

fn two() -> (Member, Member) {
    let mut all = members(2).into_iter();
    (all.next().unwrap(), all.next().unwrap())
}

#[test]
fn everybody_opens_what_anybody_sealed_once() {
    for n in [2, 3, 5, 8] {
        let mut all = members(n);
        for sender in 0..n {
            let message = all[sender].seal(format!("from {sender}").as_bytes());
            let (before, rest) = all.split_at_mut(sender);
            let (sender, after) = rest.split_first_mut().unwrap();
            assert_eq!(
                sender.messages.open(&message, &sender.person.device()).err(),
                Some(Error::OwnMessage)
            );
            for other in before.iter_mut().chain(after) {
                assert!(other.open(&message, sender).is_ok());
                assert_eq!(other.open(&message, sender), Err(Error::Replayed { generation: 0 }));
            }
        }
    }
}

#[test]
fn a_member_alone_seals() {
    let mut alone = members(1).remove(0);
    let message = alone.seal(b"note");
    assert_eq!(alone.messages.place(&message).unwrap(), (alone.person.device(), 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever the order, what is lost, and where the receiver crashes before it stored what it opened: each message opens
    /// exactly once.
    #[test]
    fn messages_come_in_any_order(order in Just((0..20usize).collect::<Vec<_>>()).prop_shuffle(), lost in 0..5usize, crashes: [bool; 20]) {
        let (mut ann, mut bob) = two();
        let sealed: Vec<Vec<u8>> = (0..20u8).map(|n| ann.seal(&[n])).collect();
        for (at, crashes) in order[lost..].iter().zip(crashes) {
            if crashes {
                // It opened the message and did not get to store it: the key is still there.
                bob.open(&sealed[*at], &ann).unwrap();
                bob.crash();
            }
            prop_assert_eq!(bob.open(&sealed[*at], &ann).unwrap(), vec![u8::try_from(*at).unwrap()]);
            bob.disk.write(bob.messages.changes());
            bob.crash();
            let replayed = matches!(bob.open(&sealed[*at], &ann), Err(Error::Replayed { .. }));
            prop_assert!(replayed);
        }
    }

    /// A sender that crashes at any step never seals twice with one generation.
    #[test]
    fn no_generation_is_used_twice(steps in prop::collection::vec(0..4u8, 1..60)) {
        let (mut ann, bob) = two();
        let (mut places, mut ciphertexts) = (BTreeSet::new(), BTreeSet::new());
        let mut pending = None;
        for step in steps {
            match step {
                // Reserved, and not yet durable.
                0 => pending = Some(ann.messages.reserve(3).unwrap()),
                // Durable, and not yet granted.
                1 => _ = pending.as_ref().map(|reserve| ann.disk.write(reserve.changes())),
                2 => {
                    ann.crash();
                    pending = None;
                }
                _ => {
                    let message = ann.seal(b"the same text");
                    prop_assert!(places.insert(bob.messages.place(&message).unwrap()), "a generation twice");
                    prop_assert!(ciphertexts.insert(message));
                }
            }
            // What `seal` reserved is behind it.
            if step == 3 {
                pending = None;
            }
        }
    }
}

#[test]
fn nothing_is_sealed_before_it_is_reserved() {
    let (mut ann, _) = two();
    let seal = |ann: &mut Member| ann.messages.seal(&ann.person.signer, b"x", &mut ann.person.entropy);
    assert_eq!(seal(&mut ann), Err(Error::NotReserved));
    let _ = ann.messages.reserve(1).unwrap();
    assert_eq!(seal(&mut ann), Err(Error::NotReserved));
    ann.reserve(1);
    assert!(seal(&mut ann).is_ok());
    assert_eq!(seal(&mut ann), Err(Error::NotReserved));
    ann.reserve(2);
    assert!(seal(&mut ann).is_ok());
    ann.crash();
    assert_eq!(seal(&mut ann), Err(Error::NotReserved), "what was reserved before a crash is given up");
}

#[test]
fn an_epoch_has_an_end() {
    let (mut ann, mut bob) = two();
    assert_eq!(ann.messages.left(), GENERATIONS_MAX);
    let first = ann.seal(b"first");
    ann.reserve(GENERATIONS_MAX - 9);
    for _ in 1..GENERATIONS_MAX - 2 {
        ann.messages.seal(&ann.person.signer, b"x", &mut ann.person.entropy).unwrap();
    }
    let last_but_one = ann.seal(b"last");
    assert_eq!(ann.messages.left(), 1);
    assert_eq!(ann.messages.reserve(2).err(), Some(Error::EpochUsedUp));
    // The first comes after all that it overtook.
    assert_eq!(bob.open(&last_but_one, &ann).unwrap(), b"last");
    assert_eq!(bob.open(&first, &ann).unwrap(), b"first");
}

#[test]
fn what_is_written_for_a_message_does_not_grow_with_the_group() {
    let mut written = Vec::new();
    for n in [2, 64] {
        let mut all = members(n);
        let mut ann = all.remove(0);
        let bob = &mut all[0];
        ann.reserve(64);
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let message = ann.messages.seal(&ann.person.signer, b"x", &mut ann.person.entropy).unwrap();
            bob.open(&message, &ann).unwrap();
            sizes.push(bob.disk.write(bob.messages.changes()));
        }
        assert!(
            ann.messages.changes().is_empty(),
            "what was reserved is sealed with, and nothing more written"
        );
        written.push(sizes);
    }
    // The first of a sender takes one node a level, the others the sender's place.
    assert_eq!(written[0], [2 * 5 + 32 + 5 + 36, 5 + 36, 5 + 36]);
    assert_eq!(written[1], [7 * 5 + 6 * 32 + 5 + 36, 5 + 36, 5 + 36]);
}

/// What is on disk after a message was opened and stored does not open it.
#[test]
fn a_key_that_was_used_is_nowhere() {
    let (mut ann, mut bob) = two();
    let sealed: Vec<_> = (0..3).map(|_| ann.seal(b"x")).collect();
    // The second overtakes the first.
    bob.open(&sealed[1], &ann).unwrap();
    bob.disk.write(bob.messages.changes());
    let mut thief = bob.disk.read();
    assert!(matches!(thief.open(&sealed[1], &ann.person.device()), Err(Error::Replayed { .. })));
    assert!(thief.open(&sealed[0], &ann.person.device()).is_ok(), "one that is still under way");
    assert!(thief.open(&sealed[2], &ann.person.device()).is_ok(), "one to come");
    // The sender's disk opens none of what is reserved.
    let next = ann.disk.read().reserve(1).unwrap();
    let mut again = ann.disk.read();
    again.grant(next);
    let later = again.seal(&ann.person.signer, b"x", &mut ann.person.entropy).unwrap();
    assert_eq!(bob.messages.place(&later).unwrap().1, 8);
}

#[test]
fn what_is_not_for_us_or_not_right_is_refused_and_changes_nothing() {
    let mut all = members(3).into_iter();
    let (mut ann, mut bob, mut eve) = (all.next().unwrap(), all.next().unwrap(), all.next().unwrap());
    let good = ann.seal(b"text");
    let evil = eve.seal(b"evil");
    let (anns, eves) = (ann.person.device(), eve.person.device());
    // Of others.
    let other = {
        let (people, mut groups) = group_of(2);
        let (mut zoe, mut zoes) = (people.into_iter().next().unwrap(), groups.remove(0));
        let mut messages = zoes.take_messages().unwrap();
        let reserve = messages.reserve(1).unwrap();
        messages.grant(reserve);
        messages.seal(&zoe.signer, b"x", &mut zoe.entropy).unwrap()
    };
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    // "channel" is the group, from byte 5; then the epoch, the kind, what is beside.
    let epoch = 12;
    let cases = [
        (vec![0; SEALED_LEN_MAX + 1], Error::Oversized { len: SEALED_LEN_MAX + 1, max: SEALED_LEN_MAX }),
        (Vec::new(), Error::Malformed("private message")),
        (good[..good.len() - 1].to_vec(), Error::Malformed("private message")),
        (with(6, b'x'), Error::WrongGroup),
        (with(epoch + 7, 0), Error::StaleEpoch { message: 0, group: 1 }),
        (with(epoch + 7, 2), Error::FutureEpoch { message: 2, group: 1 }),
        (with(epoch + 8, 3), Error::Unsupported("a sealed handshake")),
        (with(good.len() - 1, good[good.len() - 1] ^ 1), Error::Forged("ciphertext")),
        (with(epoch + 12, good[epoch + 12] ^ 1), Error::Forged("sender data")),
        (evil.clone(), Error::Forged("sender")),
    ];
    for (message, expected) in cases {
        assert_eq!(bob.messages.open(&message, &anns).err(), Some(expected));
        assert!(bob.messages.changes().is_empty());
    }
    // Another group of the same name and epoch.
    assert!(matches!(bob.messages.open(&other, &anns).err(), Some(Error::Forged(_))));
    assert!(bob.messages.changes().is_empty());
    assert!(bob.messages.open(&good, &anns).is_ok());
    assert!(bob.messages.open(&evil, &eves).is_ok());

    let long = vec![0; SEALED_TEXT_LEN_MAX + 1];
    ann.reserve(1);
    let refused = ann.messages.seal(&ann.person.signer, &long, &mut ann.person.entropy);
    assert_eq!(refused, Err(Error::Oversized { len: long.len(), max: SEALED_TEXT_LEN_MAX }));
    let longest = ann.messages.seal(&ann.person.signer, &long[1..], &mut ann.person.entropy).unwrap();
    assert!(bob.messages.open(&longest, &anns).is_ok());
    let foreign = ann.messages.seal(&eve.person.signer, b"x", &mut ann.person.entropy);
    assert_eq!(foreign, Err(Error::OtherDevice));
}

#[test]
fn parts_that_are_not_an_epochs_are_refused() {
    let (mut ann, _) = two();
    ann.seal(b"x");
    let parts: Vec<(Vec<u8>, Vec<u8>)> = ann.disk.0.clone().into_iter().collect();
    let read = |parts: &[(Vec<u8>, Vec<u8>)]| {
        Messages::from_parts(parts.iter().map(|(name, value)| (&name[..], &value[..]))).err()
    };
    assert_eq!(read(&parts), None);
    for at in 0..parts.len() {
        for spoil in 0..3 {
            let mut parts = parts.clone();
            match spoil {
                0 => _ = parts[at].1.pop(),
                1 => parts[at].1.push(0),
                _ => parts[at].0.push(9),
            }
            assert!(matches!(read(&parts), Some(Error::Damaged(_))), "part {at}, {spoil}");
        }
    }
    assert!(matches!(read(&parts[1..]), Some(Error::Damaged(_))));
}

/// As they were written before the devices were a part of their own.
#[test]
fn parts_of_the_former_version_are_read() {
    let (mut ann, mut bob) = two();
    let message = ann.seal(b"x");
    let mut parts = bob.disk.0.clone();
    let devices = parts.remove(&[4][..]).unwrap();
    let epoch = parts.get_mut(&[0][..]).unwrap();
    epoch[0] = 1;
    epoch.extend_from_slice(&2u32.to_le_bytes());
    epoch.extend_from_slice(&devices);
    bob.messages = Messages::from_parts(parts.iter().map(|(name, value)| (&name[..], &value[..]))).unwrap();
    assert_eq!(bob.open(&message, &ann).unwrap(), b"x");
}

/// Somebody admitted later has none of the keys, and neither has whoever was removed.
#[test]
fn each_epoch_has_keys_of_its_own() {
    let (mut people, groups) = group_of(2);
    let (mut zoe, mut ann) = (Person::new(9), people.remove(0));
    let (package, private) = zoe.key_package();
    let (mut next, commit) = ann.commit(&groups[0], &[package], &[groups[1].device()]);
    let zoes = Group::join(&zoe.signer, &commit.welcome.unwrap(), &next.ratchet_tree(), &private).unwrap();
    let mut before = Member::new(ann, group_of(2).1.remove(0));
    let old = before.seal(b"before");
    let mut zoe = Member::new(zoe, zoes);
    assert_eq!(zoe.open(&old, &before), Err(Error::StaleEpoch { message: 1, group: 2 }));
    let mut messages = next.take_messages().unwrap();
    let reserve = messages.reserve(1).unwrap();
    messages.grant(reserve);
    let new = messages.seal(&before.person.signer, b"after", &mut before.person.entropy).unwrap();
    assert_eq!(zoe.open(&new, &before).unwrap(), b"after");
    let mut removed = Member::new(people.remove(0), groups.into_iter().nth(1).unwrap());
    assert_eq!(removed.open(&new, &before), Err(Error::FutureEpoch { message: 2, group: 1 }));
}

/// Every member can derive every other's keys; who seals with them signs as somebody else.
#[test]
fn a_member_cannot_seal_in_anothers_name() {
    let mut all = members(3);
    let (anns, eves) = (all[0].person.device(), all[2].person.device());
    let mut parts = all[2].disk.0.clone();
    let devices = parts.get_mut(&[4][..]).unwrap();
    let place = devices.windows(32).position(|bytes| bytes == anns).unwrap();
    devices[place..place + 32].copy_from_slice(&eves);
    let epoch = parts.get_mut(&[0][..]).unwrap();
    // Behind version, "channel" with its length, epoch, and the sender data secret: her own leaf.
    assert_eq!(epoch[49..53], [2, 0, 0, 0]);
    epoch[49] = 0;
    let parts = parts.iter().map(|(name, value)| (&name[..], &value[..]));
    let mut stolen = Messages::from_parts(parts).unwrap();
    let reserve = stolen.reserve(1).unwrap();
    stolen.grant(reserve);
    let eve = &mut all[2].person;
    let forged = stolen.seal(&eve.signer, b"as ann", &mut eve.entropy).unwrap();
    let bob = &mut all[1].messages;
    assert_eq!(bob.place(&forged).unwrap(), (anns, 0));
    assert_eq!(bob.open(&forged, &anns).err(), Some(Error::Forged("signature")));
    assert_eq!(bob.open(&forged, &eves).err(), Some(Error::Forged("sender")));
    assert!(bob.changes().is_empty());
    // And what ann seals then opens all the same.
    let honest = all[0].seal(b"by ann");
    assert!(all[1].messages.open(&honest, &anns).is_ok());
}
