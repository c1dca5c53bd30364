//! The power goes, or a disk is full for a moment, at every write of a change of membership, at whoever makes it and at whoever hears
//! of it. All go on, come to the same, and nothing is sealed with one key twice.
use super::since_join::{keys, sealed_in};
use super::{Counter, World, club, passphrase};
use crate::Client;
use crate::api::{Answer, Place, Request};
use crate::membership::commit_of;
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::store::Storage;
use terachat_core_store::store::storage::Fault;
use terachat_core_store::sync::{Frontier, Limits};
use terachat_event::{EventHash, SpaceId};

/// A change of membership, which makes an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    Invite,
    Remove,
    Renew,
}

/// Where each message that left a device stands: its epoch, its sender's device, and its number there.
type Places = BTreeMap<Vec<u8>, (EventHash, [u8; 32], u32)>;

fn vault() -> Place {
    Place { space: None, channel: Some("vault".into()) }
}

fn space(client: &Client) -> Option<SpaceId> {
    client.store.spaces().next()
}

impl World {
    /// Does it, as far as the disks allow; what was done already is no error.
    fn change(&mut self, change: Change) {
        match change {
            Change::Invite => {
                let Ok(Answer::Card { card, .. }) =
                    self.try_ask("eve", Request::WhoAmI { post_quantum: false })
                else {
                    return;
                };
                let invite = Request::Invite { space: None, card, rank: Some(50) };
                if let Ok(Answer::Invitation { invitation }) = self.try_ask("ada", invite) {
                    let _ = self.try_ask("eve", Request::Join { invitation });
                }
            }
            Change::Remove => {
                let _ = self.try_ask("ada", Request::MemberRemove { space: None, member: "eve".into() });
            }
            Change::Renew => {
                let _ = self.try_ask("ada", Request::Renew { space: None });
            }
        }
    }

    /// Delivers what it can, past a device whose power is gone.
    fn talk(&mut self) {
        let names: Vec<&'static str> = self.devices.keys().copied().collect();
        let by_id: BTreeMap<_, _> = names.iter().map(|name| (self.id(name), *name)).collect();
        loop {
            let mut quiet = true;
            for name in &names {
                while let Some((to, frame)) = self.of(name).poll_frame() {
                    quiet = false;
                    let (from, now) = (self.id(name), self.now);
                    let _ = self.of(by_id[&to]).receive(from, frame, now);
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn try_whisper(&mut self, name: &str, body: &str) {
        let _ = self.try_ask(name, Request::Send { place: vault(), body: body.into(), reply_to: None });
        self.talk();
    }

    /// Its connections end.
    fn leave(&mut self, name: &'static str) {
        let others: Vec<&'static str> = self.devices.keys().copied().filter(|other| *other != name).collect();
        others.into_iter().for_each(|other| self.cut(name, other));
    }

    fn reboot(&mut self, name: &'static str, n: u64) {
        let (_, storage) = self.devices.remove(name).unwrap();
        let storage = storage.crash();
        let boxed: Box<dyn Storage> = Box::new(storage.clone());
        let client = Client::open(boxed, &mut passphrase("secret"), Box::new(Counter(n << 40))).unwrap();
        self.devices.insert(name, (client, storage));
        let crashed = self.id(name);
        let others: Vec<&'static str> = self.devices.keys().copied().filter(|other| *other != name).collect();
        for other in others {
            self.links.remove(&(name, other));
            self.links.remove(&(other, name));
            self.of(other).disconnected(crashed);
        }
    }

    fn note_places(&mut self, places: &mut Places) {
        let names: Vec<&'static str> = self.devices.keys().copied().collect();
        for name in names {
            let client = self.of(name);
            let Ok(log) = client.place(&vault()) else { continue };
            let all = Frontier { log, chains: Vec::new() };
            let Ok(bundles) = client.store.bundles_since(&all, Limits::PEER) else { continue };
            for bundle in bundles {
                let key = bundle.batch.key.unwrap();
                if client.store.epoch_secret(&log.space, &key.commit).is_none()
                    || !client.has_message_keys(&log.space, &key.commit)
                {
                    continue;
                }
                for message in sealed_in(client, &bundle) {
                    if let Ok((device, number)) = keys(client, &log.space, &key.commit).place(&message) {
                        places.insert(message, (key.commit, device, number));
                    }
                }
            }
        }
    }

    /// No two epochs have a secret in common, no two commits a message, and nobody signed two events with one number.
    fn nothing_twice(&mut self, name: &str, what: &str) {
        let client = self.of(name);
        let space = space(client).unwrap();
        assert!(client.store.proofs(&space).is_empty(), "{what}: somebody signed two events with one number");
        let control = client.store.control(&space).unwrap().unwrap();
        let commits: Vec<_> = control
            .events()
            .filter_map(|(event, _)| Some((event.hash, commit_of(event)?.message.clone())))
            .collect();
        let messages: BTreeSet<_> = commits.iter().map(|(_, message)| message).collect();
        assert_eq!(messages.len(), commits.len(), "{what}: a commit twice");
        let secrets = commits.iter().filter_map(|(hash, _)| client.store.epoch_secret(&space, hash));
        let secrets: Vec<[u8; 32]> = secrets.map(|secret| *secret.expose_secret()).collect();
        assert_eq!(secrets.iter().collect::<BTreeSet<_>>().len(), secrets.len(), "{what}: a secret twice");
    }
}

/// One change with a fault at one write of one device. Gives back whether the write was reached.
fn story(change: Change, fault: Fault, victim: &'static str, nth: u64) -> bool {
    let what = format!("{change:?}, {fault:?}, {victim} at write {nth}");
    let mut world = match change {
        Change::Remove => club(&["ada", "bob", "eve"]),
        _ => club(&["ada", "bob"]),
    };
    world.ask(
        "ada",
        Request::ChannelCreate { space: None, name: "vault".into(), forum: false, since_join: true },
    );
    for name in ["ada", "bob"] {
        world.say_in(vault(), name, &format!("{name} before"));
    }
    if change == Change::Invite {
        world.enter("eve", 9);
        world.connect("ada", "eve");
    }
    let mut places = Places::new();
    world.note_places(&mut places);
    let storage = world.devices[victim].1.clone();
    let fails_at = storage.operations() + nth;
    storage.fail_at(fails_at, fault);
    world.change(change);
    world.talk();
    for name in ["ada", "bob"] {
        world.try_whisper(name, &format!("{name} meanwhile"));
    }
    let reached = storage.operations() > fails_at;
    world.note_places(&mut places);
    match fault {
        Fault::PowerCut => world.reboot(victim, 90 + nth),
        _ => world.leave(victim),
    }
    world.connect("ada", "bob");
    if change != Change::Renew {
        world.connect("ada", "eve");
    }
    // In the epoch in which each was interrupted, before there is another.
    for name in ["ada", "bob"] {
        world.try_whisper(name, &format!("{name} again"));
    }
    world.note_places(&mut places);
    world.change(change);
    world.settle();
    let inside: &[&str] = if change == Change::Invite { &["ada", "bob", "eve"] } else { &["ada", "bob"] };
    for name in inside {
        world.say_in(vault(), name, &format!("{name} after"));
        world.say(name, &format!("{name} in general"));
    }
    world.note_places(&mut places);
    let numbers: BTreeSet<_> = places.values().collect();
    assert_eq!(numbers.len(), places.len(), "{what}: a generation twice");
    world.same(inside);
    let read = world.messages_in(vault(), "ada");
    assert!(read.iter().all(|message| !message.sealed), "{what}");
    let bodies = |world: &mut World, name: &str| -> Vec<String> {
        world.messages_in(vault(), name).into_iter().map(|message| message.body).collect()
    };
    assert_eq!(bodies(&mut world, "ada"), bodies(&mut world, "bob"), "{what}");
    for name in inside {
        let last = bodies(&mut world, name);
        let after = last.iter().filter(|body| body.ends_with(" after")).count();
        assert_eq!(after, inside.len(), "{what}: {name} reads {last:?}");
        assert_eq!(world.bodies(name).len(), inside.len(), "{what}");
        world.sound(name);
        world.nothing_twice(name, &what);
        let client = world.of(name);
        let group = client.current_group(&space(client).unwrap()).unwrap();
        assert_eq!(group.members().len(), inside.len(), "{what}: who is in the group");
    }
    if change == Change::Remove {
        let read = bodies(&mut world, "eve");
        assert!(!read.iter().any(|body| body.ends_with(" after")), "{what}: eve reads {read:?}");
    }
    reached
}

/// All writes of these devices, one after the other; there are at least so many.
#[track_caller]
fn at_every_write(change: Change, fault: Fault, victims: &[(&'static str, u64)]) {
    for (victim, least) in victims {
        let writes = (0..200).find(|nth| !story(change, fault, victim, *nth)).expect("the writes end");
        assert!(writes >= *least, "{change:?}: {victim} writes {writes} times");
    }
}

#[test]
fn an_invitation_survives_a_power_cut_at_any_write() {
    at_every_write(Change::Invite, Fault::PowerCut, &[("ada", 6), ("bob", 6), ("eve", 6)]);
}

#[test]
fn a_removal_survives_a_power_cut_at_any_write() {
    at_every_write(Change::Remove, Fault::PowerCut, &[("ada", 6), ("bob", 6)]);
}

#[test]
fn a_renewal_survives_a_power_cut_at_any_write() {
    at_every_write(Change::Renew, Fault::PowerCut, &[("ada", 6), ("bob", 6)]);
}

#[test]
fn an_invitation_survives_a_full_disk_at_any_write() {
    at_every_write(Change::Invite, Fault::Full, &[("ada", 6), ("bob", 6), ("eve", 6)]);
}

#[test]
fn a_removal_survives_a_full_disk_at_any_write() {
    at_every_write(Change::Remove, Fault::Full, &[("ada", 6), ("bob", 6)]);
}

#[test]
fn a_renewal_survives_a_full_disk_at_any_write() {
    at_every_write(Change::Renew, Fault::Full, &[("ada", 6), ("bob", 6)]);
}
