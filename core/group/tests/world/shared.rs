//! A group that members of ours share with those of another implementation: whoever changes it, all others follow, all are
//! in the same epoch, and each reads what each says. What happened is printed, for a note.
use super::{Person, ROOT};
use std::collections::BTreeMap;
use terachat_group::{
    Change, CipherSuite, Commit, DeviceId, Error, Group, KeyPackage, Messages, danger, new_key_package,
};
use terachat_vault::SecretBytes;

/// A label of the MLS exporter (RFC 9420, section 8.5) under which either side exports.
pub(crate) const LABEL: &str = "exporter";
/// Texts are of these lengths in turn, in bytes.
const LENS: [usize; 4] = [0, 1, 127, 5000];

/// What a commit of another implementation's consists of.
pub(crate) struct Made {
    pub(crate) commit: Vec<u8>,
    pub(crate) welcome: Option<Vec<u8>>,
    /// Where it does not stand in the welcome.
    pub(crate) tree: Vec<u8>,
}

/// What a member of another implementation says of its epoch.
pub(crate) struct Seen {
    pub(crate) epoch: u64,
    /// RFC 9420, section 8.7; none from one that does not show it.
    pub(crate) authenticator: Option<Vec<u8>>,
    /// What is exported under [`LABEL`].
    pub(crate) secret: Vec<u8>,
    /// The identities in the members' credentials, sorted.
    pub(crate) members: Vec<Vec<u8>>,
}

/// Another implementation, with members that it knows by the names given here.
pub(crate) trait Theirs {
    /// What it is called.
    const NAME: &'static str;

    /// What our `number`-th member is called in a group with this one; none where our own rules hold, by which it is its key.
    fn our_identity(&self, number: u64) -> Option<Vec<u8>>;
    /// A member with its identity and its key package, an MLSMessage.
    fn new_member(&mut self, name: &str) -> (Vec<u8>, Vec<u8>);
    fn create(&mut self, name: &str, group_id: &[u8]);
    fn join(&mut self, name: &str, welcome: &[u8], tree: &[u8]);
    fn add(&mut self, name: &str, key_package: &[u8]) -> Made;
    fn remove(&mut self, name: &str, identity: &[u8]) -> Made;
    fn update(&mut self, name: &str) -> Made;
    /// Whether it is still a member after that commit.
    fn process(&mut self, name: &str, commit: &[u8]) -> bool;
    fn seal(&mut self, name: &str, text: &[u8]) -> Vec<u8>;
    /// The text, and by whom it is where that is said.
    fn open(&mut self, name: &str, message: &[u8]) -> (Vec<u8>, Option<Vec<u8>>);
    fn look(&mut self, name: &str) -> Seen;
}

/// A member of ours: the product's group, and what seals and opens the messages of its epoch.
struct Own {
    person: Person,
    group: Group,
    messages: Messages,
}

impl Own {
    fn new(person: Person, mut group: Group) -> Self {
        let messages = group.take_messages().expect("of an epoch that just began");
        Self { person, group, messages }
    }

    fn goes_on(&mut self, mut group: Group) {
        self.messages = group.take_messages().expect("of an epoch that just began");
        self.group = group;
    }

    fn seal(&mut self, text: &[u8]) -> Vec<u8> {
        let reserve = self.messages.reserve(1).unwrap();
        self.messages.grant(reserve);
        self.messages.seal(&self.person.signer, text, &mut self.person.entropy).unwrap()
    }

    fn hears(&mut self, message: &[u8], from: &DeviceId, text: &[u8]) {
        let opened = self.messages.open(message, from).unwrap();
        assert_eq!(opened.text.expose_secret(), text);
        let generation = opened.generation;
        let again = self.messages.open(message, from).err();
        assert_eq!(again, Some(Error::Replayed { generation }));
    }
}

/// By what others know a member.
#[derive(Clone)]
struct Known {
    identity: Vec<u8>,
    device: DeviceId,
}

/// The group, as far as both sides have it.
pub(crate) struct Shared<T> {
    peer: T,
    /// Members of ours and of theirs, by their names.
    own: BTreeMap<&'static str, Own>,
    theirs: Vec<&'static str>,
    known: BTreeMap<&'static str, Known>,
    /// People of ours there were.
    people: u64,
    said: usize,
}

impl<T: Theirs> Shared<T> {
    /// A group that a member of ours makes.
    pub(crate) fn of_ours(peer: T, founder: &'static str) -> Self {
        let mut shared =
            Self::empty(peer, &format!("{founder} (ours) makes a group to share with {}", T::NAME));
        let (mut person, identity) = shared.person();
        let (id, entropy) = (b"shared".as_slice(), &mut person.entropy);
        let group = match &identity {
            None => Group::create(CipherSuite::X25519, &person.signer, id, ROOT, entropy),
            Some(identity) => danger::create(&person.signer, identity, id, entropy),
        }
        .unwrap();
        shared.knows(founder, identity, person.device());
        shared.own.insert(founder, Own::new(person, group));
        shared
    }

    /// One that a member of theirs makes.
    pub(crate) fn of_theirs(peer: T, founder: &'static str) -> Self {
        let mut shared =
            Self::empty(peer, &format!("{founder} ({}) makes a group to share with ours", T::NAME));
        shared.new_theirs(founder);
        shared.peer.create(founder, b"shared");
        shared.theirs.push(founder);
        shared
    }

    fn empty(peer: T, what: &str) -> Self {
        eprintln!("epoch  authenticator\n    0  {:16}  {what}", "");
        Self { peer, own: BTreeMap::new(), theirs: Vec::new(), known: BTreeMap::new(), people: 0, said: 0 }
    }

    /// Somebody of ours, and what the others call them if not by their key.
    fn person(&mut self) -> (Person, Option<Vec<u8>>) {
        self.people += 1;
        (Person::new(self.people), self.peer.our_identity(self.people))
    }

    fn knows(&mut self, name: &'static str, identity: Option<Vec<u8>>, device: DeviceId) {
        let identity = identity.unwrap_or_else(|| device.to_vec());
        self.known.insert(name, Known { identity, device });
    }

    fn new_theirs(&mut self, name: &'static str) -> KeyPackage {
        let (identity, bytes) = self.peer.new_member(name);
        let key_package = match self.peer.our_identity(0) {
            None => KeyPackage::parse(&bytes),
            Some(_) => danger::parse_key_package(&bytes),
        }
        .unwrap();
        self.knows(name, Some(identity), key_package.device());
        key_package
    }

    /// Somebody of ours comes in.
    pub(crate) fn adds_one_of_ours(&mut self, who: &'static str, whom: &'static str) {
        let (mut person, identity) = self.person();
        let (public, private) = match &identity {
            None => new_key_package(CipherSuite::X25519, &person.signer, &mut person.entropy),
            Some(identity) => danger::new_key_package(&person.signer, identity, &mut person.entropy),
        }
        .unwrap();
        let is_plain = identity.is_some();
        self.knows(whom, identity, person.device());
        let made = if self.own.contains_key(who) {
            let added =
                if is_plain { danger::parse_key_package(&public) } else { KeyPackage::parse(&public) };
            self.commits(who, &[added.unwrap()], &[])
        } else {
            self.peer.add(who, &public)
        };
        self.follow(who, &made.commit);
        let group = enter(is_plain, &person, &made, &private);
        self.own.insert(whom, Own::new(person, group));
        self.tell(&format!("{} adds {}", self.side(who), self.side(whom)));
    }

    /// Somebody of theirs comes in.
    pub(crate) fn adds_one_of_theirs(&mut self, who: &'static str, whom: &'static str) {
        let key_package = self.new_theirs(whom);
        let made = if self.own.contains_key(who) {
            self.commits(who, &[key_package], &[])
        } else {
            self.peer.add(who, &key_package.to_bytes().unwrap())
        };
        self.follow(who, &made.commit);
        self.peer.join(whom, &made.welcome.expect("somebody was added"), &made.tree);
        self.theirs.push(whom);
        self.tell(&format!("{} adds {}", self.side(who), self.side(whom)));
    }

    pub(crate) fn updates(&mut self, who: &'static str) {
        let made =
            if self.own.contains_key(who) { self.commits(who, &[], &[]) } else { self.peer.update(who) };
        self.follow(who, &made.commit);
        self.tell(&format!("{} renews its keys", self.side(who)));
    }

    /// Whoever is removed learns of it, has no next epoch, and is gone.
    pub(crate) fn removes(&mut self, who: &'static str, whom: &'static str) {
        let what = format!("{} removes {}", self.side(who), self.side(whom));
        let gone = self.known[whom].clone();
        let made = if self.own.contains_key(who) {
            self.commits(who, &[], &[gone.device])
        } else {
            self.peer.remove(who, &gone.identity)
        };
        if let Some(removed) = self.own.remove(whom) {
            let (next, summary) = removed.group.process(&made.commit).unwrap();
            assert!(next.is_none(), "{whom} was removed");
            assert_eq!(summary.removed, [gone.device]);
        } else {
            self.theirs.retain(|name| *name != whom);
            assert!(!self.peer.process(whom, &made.commit), "{whom} was removed");
        }
        self.follow(who, &made.commit);
        self.tell(&what);
    }

    fn side(&self, name: &str) -> String {
        format!("{name} ({})", if self.own.contains_key(name) { "ours" } else { T::NAME })
    }

    fn commits(&mut self, who: &str, add: &[KeyPackage], remove: &[DeviceId]) -> Made {
        let own = self.own.get_mut(who).unwrap();
        let change = Change { add, remove, control_root: own.group.control_root() };
        let (next, commit) = own.group.commit(&own.person.signer, &change, &mut own.person.entropy).unwrap();
        let tree = next.ratchet_tree();
        own.goes_on(next);
        let Commit { message, welcome } = commit;
        Made { commit: message, welcome, tree }
    }

    fn follow(&mut self, committer: &str, commit: &[u8]) {
        let by = self.known[committer].device;
        for own in self.own.iter_mut().filter(|(name, _)| **name != committer).map(|(_, own)| own) {
            let (next, summary) = super::process(&own.group, commit);
            assert_eq!(summary.committer, by);
            own.goes_on(next);
        }
        for name in self.theirs.iter().filter(|name| **name != committer) {
            assert!(self.peer.process(name, commit), "{name} stays");
        }
    }

    /// All are in the same epoch, each reads each, and what happened is printed.
    fn tell(&mut self, what: &str) {
        let ours = &self.own.values().next().expect("somebody of ours is in the group").group;
        super::agree(self.own.values().map(|own| &own.group));
        let (epoch, authenticator) = (ours.epoch(), ours.epoch_authenticator());
        let mut members: Vec<_> = ours
            .members()
            .iter()
            .map(|device| self.known.values().find(|known| known.device == *device).unwrap().identity.clone())
            .collect();
        members.sort();
        let mut shown = 0;
        for name in &self.theirs {
            let seen = self.peer.look(name);
            assert_eq!(seen.epoch, epoch, "{name}");
            assert_eq!(seen.secret, ours.epoch_secret(LABEL).expose_secret(), "{name}");
            assert_eq!(seen.members, members, "{name}");
            if let Some(theirs) = seen.authenticator {
                assert_eq!(theirs, authenticator, "{name}");
                shown += 1;
            }
        }
        let read = self.talk();
        let authenticator: String = authenticator[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let said = if shown > 0 { "authenticators" } else { "exported secrets" };
        eprintln!("{epoch:5}  {authenticator}  {what}; equal {said}, {read} messages read");
    }

    /// Each says something, and all others read it; how often one was read.
    fn talk(&mut self) -> usize {
        let mut read = 0;
        let names: Vec<_> = self.own.keys().copied().chain(self.theirs.iter().copied()).collect();
        for from in &names {
            let text = vec![b'x'; LENS[self.said % LENS.len()]];
            self.said += 1;
            let message = match self.own.get_mut(from) {
                Some(own) => own.seal(&text),
                None => self.peer.seal(from, &text),
            };
            let known = &self.known[from];
            for to in names.iter().filter(|to| *to != from) {
                if let Some(own) = self.own.get_mut(to) {
                    own.hears(&message, &known.device, &text);
                } else {
                    let (opened, by) = self.peer.open(to, &message);
                    assert_eq!(opened, text, "{to} reads {from}");
                    assert!(by.is_none_or(|by| by == known.identity), "{to} reads {from}");
                }
                read += 1;
            }
        }
        read
    }
}

fn enter(is_plain: bool, person: &Person, made: &Made, private: &SecretBytes) -> Group {
    let welcome = made.welcome.as_deref().expect("somebody was added");
    if is_plain {
        danger::join(&person.signer, welcome, private)
    } else {
        Group::join(&person.signer, welcome, &made.tree, private)
    }
    .unwrap()
}

/// Our group: each side adds, renews and removes, its own members and the other's, by who was there from the beginning and who
/// came by the other side's welcome.
pub(crate) fn our_group(peer: impl Theirs) {
    let mut group = Shared::of_ours(peer, "Ada");
    group.adds_one_of_theirs("Ada", "first");
    group.updates("first");
    group.updates("Ada");
    group.adds_one_of_theirs("first", "second");
    group.adds_one_of_ours("second", "Ben");
    group.updates("Ben");
    group.adds_one_of_theirs("Ben", "third");
    group.adds_one_of_ours("Ada", "Cleo");
    group.updates("third");
    group.updates("second");
    group.removes("first", "second");
    group.removes("third", "Ben");
    group.removes("Cleo", "first");
    group.removes("Ada", "Cleo");
    group.updates("Ada");
    group.updates("third");
}

/// Their group, the same.
pub(crate) fn their_group(peer: impl Theirs) {
    let mut group = Shared::of_theirs(peer, "founder");
    group.adds_one_of_ours("founder", "Ada");
    group.updates("Ada");
    group.updates("founder");
    group.adds_one_of_theirs("Ada", "second");
    group.adds_one_of_ours("second", "Ben");
    group.adds_one_of_theirs("founder", "third");
    group.adds_one_of_ours("Ben", "Cleo");
    group.updates("Ben");
    group.updates("third");
    group.removes("founder", "Ben");
    group.removes("second", "third");
    group.removes("Ada", "founder");
    group.removes("Ada", "Cleo");
    group.updates("second");
    group.updates("Ada");
}
