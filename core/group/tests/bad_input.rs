//! What a group is sent and must refuse, one test for each sort: with which error, and that nothing is different afterwards, byte by
//! byte: neither the group's state, nor the keys of its messages, nor what a newcomer keeps.
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
mod world;
use openmls::prelude::{
    ExtensionType, KeyPackage as BareKeyPackage, Lifetime, MlsGroup, MlsMessageBodyIn, MlsMessageIn,
    OpenMlsProvider, ProtocolVersion, tls_codec::Deserialize as _,
};
use std::collections::BTreeMap;
use terachat_group::{
    CONTROL_ROOT_EXTENSION, Change, DeviceId, Error, Fault, Group, KeyPackage, MESSAGE_BYTES_MAX, Messages,
    SEALED_LEN_MAX, TREE_BYTES_MAX, danger,
};
use world::bare::{Bare, bytes, handmade, mixed};
use world::{Person, ROOT, group_of, process};

/// A member with all that it stores.
struct Member {
    person: Person,
    group: Group,
    messages: Messages,
    /// The message keys' parts.
    disk: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Member {
    fn new(person: Person, mut group: Group) -> Self {
        let messages = group.take_messages().unwrap();
        let mut member = Self { person, group, messages, disk: BTreeMap::new() };
        member.write();
        member
    }

    fn write(&mut self) {
        for (name, value) in self.messages.changes() {
            match value {
                Some(value) => self.disk.insert(name, value.expose_secret().to_vec()),
                None => self.disk.remove(&name),
            };
        }
    }

    /// The group's bytes and the message keys'.
    fn state(&mut self) -> (Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>) {
        self.write();
        (self.group.to_bytes().expose_secret().to_vec(), self.disk.clone())
    }

    fn device(&self) -> DeviceId {
        self.person.device()
    }

    fn seal(&mut self, text: &[u8]) -> Vec<u8> {
        let reserve = self.messages.reserve(1).unwrap();
        for (name, value) in reserve.changes() {
            match value {
                Some(value) => self.disk.insert(name, value.expose_secret().to_vec()),
                None => self.disk.remove(&name),
            };
        }
        self.messages.grant(reserve);
        self.messages.seal(&self.person.signer, text, &mut self.person.entropy).unwrap()
    }

    fn commit(&mut self) -> Vec<u8> {
        self.person.commit(&self.group, &[], &[]).1.message
    }

    /// A commit that is refused with this error.
    #[track_caller]
    fn refuses(&mut self, commit: &[u8], expected: Error) {
        let before = self.state();
        assert_eq!(self.group.process(commit).unwrap_err(), expected);
        assert!(before == self.state(), "the state is another");
    }

    /// A message that is.
    #[track_caller]
    fn refuses_to_open(&mut self, message: &[u8], from: &DeviceId, expected: Error) {
        let before = self.state();
        assert_eq!(self.messages.open(message, from).err(), Some(expected));
        assert!(before == self.state(), "the state is another");
    }

    #[track_caller]
    fn opens(&mut self, message: &[u8], from: &DeviceId) {
        let before = self.state();
        self.messages.open(message, from).unwrap();
        assert!(before != self.state(), "a key is used up");
    }
}

fn members(n: usize) -> Vec<Member> {
    let (people, groups) = group_of(n);
    people.into_iter().zip(groups).map(|(person, group)| Member::new(person, group)).collect()
}

/// Ann, Bob, Eve.
fn three() -> (Member, Member, Member) {
    let mut all = members(3).into_iter();
    (all.next().unwrap(), all.next().unwrap(), all.next().unwrap())
}

/// A second group of the same people, under another name.
fn elsewhere(person: &mut Person) -> Group {
    Group::create(person.suite, &person.signer, b"elsewhere", ROOT, &mut person.entropy).unwrap()
}

#[test]
fn malformed() {
    let (mut ann, mut bob, _) = three();
    let (commit, sealed, from) = (ann.commit(), ann.seal(b"text"), ann.device());
    for len in 0..commit.len() {
        bob.refuses(&commit[..len], Error::Malformed("message"));
    }
    bob.refuses(&[&commit[..], &[0]].concat(), Error::Malformed("message"));
    for len in 0..sealed.len() {
        bob.refuses_to_open(&sealed[..len], &from, Error::Malformed("private message"));
    }
    bob.refuses_to_open(&[&sealed[..], &[0]].concat(), &from, Error::Malformed("private message"));
    // Well-formed, and of another sort.
    bob.refuses(&sealed, Error::Unsupported("a PrivateMessage"));
    bob.refuses_to_open(&commit, &from, Error::Malformed("private message"));
    assert!(bob.group.process(&commit).is_ok());
    bob.opens(&sealed, &from);
}

#[test]
fn replayed() {
    let (mut ann, mut bob, _) = three();
    let (commit, sealed, from) = (ann.commit(), ann.seal(b"text"), ann.device());
    bob.opens(&sealed, &from);
    bob.refuses_to_open(&sealed, &from, Error::Replayed { generation: 0 });
    let (next, _) = process(&bob.group, &commit);
    let mut bob = Member::new(bob.person, next);
    bob.refuses(&commit, Error::StaleEpoch { message: 1, group: 2 });
    // Over and over.
    bob.refuses(&commit, Error::StaleEpoch { message: 1, group: 2 });
}

#[test]
fn reordered() {
    let (mut ann, mut bob, _) = three();
    let sealed: Vec<_> = (0..3).map(|n| ann.seal(&[n])).collect();
    let (next, first) = ann.person.commit(&ann.group, &[], &[]);
    let mut ann = Member::new(ann.person, next);
    let (second, later, from) = (ann.commit(), ann.seal(b"later"), ann.device());
    // A commit before the one that it builds on, and a message of an epoch that is not here yet, wait.
    bob.refuses(&second, Error::FutureEpoch { message: 2, group: 1 });
    bob.refuses_to_open(&later, &from, Error::FutureEpoch { message: 2, group: 1 });
    // Messages of one epoch open in any order, each once.
    for at in [2, 0, 1] {
        bob.opens(&sealed[at], &from);
        let generation = u32::try_from(at).unwrap();
        bob.refuses_to_open(&sealed[at], &from, Error::Replayed { generation });
    }
    let (next, _) = process(&bob.group, &first.message);
    let mut bob = Member::new(bob.person, next);
    bob.opens(&later, &from);
    process(&bob.group, &second);
}

#[test]
fn of_a_stale_epoch() {
    let (mut ann, mut bob, mut eve) = three();
    let (sealed, lost, from) = (ann.seal(b"text"), eve.commit(), ann.device());
    let (next, won) = ann.person.commit(&ann.group, &[], &[]);
    let (bobs, _) = process(&bob.group, &won.message);
    bob = Member::new(bob.person, bobs);
    // A commit that lost against another of its epoch, on either side, and a message that came too late.
    bob.refuses(&lost, Error::StaleEpoch { message: 1, group: 2 });
    Member::new(ann.person, next).refuses(&lost, Error::StaleEpoch { message: 1, group: 2 });
    bob.refuses_to_open(&sealed, &from, Error::StaleEpoch { message: 1, group: 2 });
}

#[test]
fn of_the_wrong_group() {
    let (mut ann, mut bob, _) = three();
    let from = ann.device();
    let mut other = Member::new(Person::new(1), elsewhere(&mut ann.person));
    bob.refuses(&other.commit(), Error::WrongGroup);
    bob.refuses_to_open(&other.seal(b"text"), &from, Error::WrongGroup);
    // Of the same name and epoch, and another group all the same.
    let mut stranger = {
        let mut people: Vec<_> = [1, 8].map(Person::new).into_iter().collect();
        let group = people[0].create();
        let (key_package, _) = people[1].key_package();
        let (group, _) = people[0].commit(&group, &[key_package], &[]);
        Member::new(people.remove(0), group)
    };
    assert_eq!((stranger.group.group_id(), stranger.group.epoch()), (bob.group.group_id(), 1));
    let before = bob.state();
    for error in [
        bob.group.process(&stranger.commit()).err().unwrap(),
        bob.messages.open(&stranger.seal(b"text"), &from).err().unwrap(),
    ] {
        assert!(matches!(error, Error::Forged(_)), "{error:?}");
    }
    assert!(before == bob.state(), "the state is another");
}

/// Behind `mls10`, the wire format, "channel" with its length, the epoch and the kind of sender, its leaf.
const LEAF_AT: usize = 2 + 2 + 8 + 8 + 1;

#[test]
fn of_a_forged_sender() {
    let (ann, mut bob, mut eve) = three();
    let (sealed, commit) = (eve.seal(b"text"), eve.commit());
    assert_eq!(commit[LEAF_AT..LEAF_AT + 4], [0, 0, 0, 2], "Eve's leaf");
    // Eve's commit in Ann's name, in the reader's own, in that of nobody: who made it is under the signature.
    let as_leaf = |leaf: u8| {
        let mut forged = commit.clone();
        forged[LEAF_AT + 3] = leaf;
        forged
    };
    bob.refuses(&as_leaf(0), Error::Forged("membership tag"));
    bob.refuses(&as_leaf(1), Error::OwnCommit);
    bob.refuses(&as_leaf(3), Error::UnknownMember);
    bob.refuses(&as_leaf(77), Error::UnknownMember);
    // Eve's message, said to be Ann's, or of somebody who is not in the group.
    bob.refuses_to_open(&sealed, &ann.device(), Error::Forged("sender"));
    bob.refuses_to_open(&sealed, &[9; 32], Error::Forged("sender"));
    // Ann's, by somebody with the epoch's secrets: messages.rs, a_member_cannot_seal_in_anothers_name.
    bob.opens(&sealed, &eve.device());
    // A commit of a member that was removed.
    let (mut ann, mut bob, eve) = (ann, bob, eve);
    let (_, removal) = ann.person.commit(&ann.group, &[], &[eve.device()]);
    let (next, _) = process(&bob.group, &removal.message);
    bob = Member::new(bob.person, next);
    let mut forged = commit.clone();
    forged[LEAF_AT - 2] = 2;
    bob.refuses(&forged, Error::UnknownMember);
}

#[test]
fn oversized() {
    let (ann, mut bob, _) = three();
    let long = vec![0; TREE_BYTES_MAX + 1];
    let over = |max: usize| (&long[..=max], Error::Oversized { len: max + 1, max });
    let (message, error) = over(MESSAGE_BYTES_MAX);
    bob.refuses(message, error.clone());
    assert_eq!(KeyPackage::parse(message).unwrap_err(), error);
    let (sealed, too_long) = over(SEALED_LEN_MAX);
    bob.refuses_to_open(sealed, &ann.device(), too_long);
    let mut dave = Person::new(9);
    let (welcome, tree, private) = welcome_for(&mut dave);
    let before = private.expose_secret().to_vec();
    let join = |welcome: &[u8], tree: &[u8]| Group::join(&dave.signer, welcome, tree, &private).unwrap_err();
    assert_eq!(join(message, &tree), error);
    let (tree, error) = over(TREE_BYTES_MAX);
    assert_eq!(join(&welcome, tree), error);
    assert_eq!(private.expose_secret(), before);
}

fn known() -> [ExtensionType; 1] {
    [ExtensionType::Unknown(CONTROL_ROOT_EXTENSION)]
}

/// A commit by the bare library's member that adds these, whatever our own verbs would say to them.
fn adding(bare: &Bare, group: &mut MlsGroup, add: BareKeyPackage) -> Vec<u8> {
    let provider = &bare.provider;
    let builder = group.commit_builder().propose_adds([add]).load_psks(provider.storage()).unwrap();
    let built = builder.build(provider.rand(), provider.crypto(), &bare.signer, |_| true).unwrap();
    bytes(built.stage_commit(provider).unwrap().into_commit())
}

/// Whoever would add it refuses.
#[track_caller]
fn is_not_added(key_package: BareKeyPackage, expected: &Error) {
    assert_eq!(KeyPackage::parse(&bytes(key_package)).unwrap_err(), *expected);
    assert_eq!(expected.fault(), Fault::Peer);
}

/// And so does whoever is to follow a commit that adds it.
#[track_caller]
fn is_not_let_in(make: impl Fn(&Bare) -> BareKeyPackage, expected: &Error) {
    let key_package = make(&Bare::new(78));
    is_not_added(key_package.clone(), expected);
    let (ann, group, _, bare, mut theirs) = mixed();
    let mut ann = Member::new(ann, group);
    let commit = adding(&bare, &mut theirs, key_package);
    ann.refuses(&commit, expected.clone());
}

#[test]
fn a_key_package_that_expired() {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let made = |bare: &Bare, (from, to)| bare.bundle(&bare.device, Lifetime::init(from, to), &known());
    // Long ago; just now; not valid yet. The bare library adds none of these either.
    for lifetime in [(0, 1), (0, now - 1), (now + 3600, now + 7200)] {
        is_not_added(made(&Bare::new(78), lifetime), &Error::Expires);
    }
    // In an hour; in the far future. No clock decides here, so it is all the same.
    for lifetime in [(0, now + 3600), (0, u64::MAX - 1), (1, u64::MAX)] {
        is_not_let_in(|bare| made(bare, lifetime), &Error::Expires);
    }
    let text = Error::Expires.to_string();
    assert!(text.contains("expired") && text.contains("ask its device for a new one"), "{text}");
}

#[test]
fn a_key_package_with_a_foreign_credential() {
    let ever = Lifetime::init(0, u64::MAX);
    for identity in [&b""[..], b"bob", &[5; 32], &[5; 31]] {
        is_not_let_in(|bare| bare.bundle(identity, ever, &known()), &Error::ForeignCredential);
    }
    // Read under the terms of others it is sound, and still comes into none of our groups.
    let foreign = Bare::new(78).bundle(b"bob", ever, &[]);
    let foreign = danger::parse_key_package(&bytes(foreign)).unwrap();
    let (mut ann, _, _) = three();
    let before = ann.state();
    let change = Change { add: &[foreign], remove: &[], control_root: ROOT };
    let refused = ann.group.commit(&ann.person.signer, &change, &mut ann.person.entropy).unwrap_err();
    assert_eq!((refused.fault(), refused), (Fault::Caller, Error::OtherTerms));
    assert!(before == ann.state(), "the state is another");
}

/// Properly signed, with keys that nothing can be sealed for: of no length that the suite knows, or of small order.
#[test]
fn a_key_package_with_keys_that_are_none() {
    let (good, other, small) = ([9; 32], [11; 32], [0; 32]);
    KeyPackage::parse(&handmade(78, &good, &other)).expect("it is the keys that are refused below");
    for key in [&[][..], &good[1..], &[9; 33], &small] {
        for (init_key, encryption_key) in [(key, &good[..]), (&other, key)] {
            let error = KeyPackage::parse(&handmade(78, init_key, encryption_key)).unwrap_err();
            assert!(matches!(error, Error::Invalid { what: "key package", .. }), "{error:?}");
            // A member that lies adds it all the same, which the library lets it where the leaf's own key is the bad one.
            if encryption_key == good {
                continue;
            }
            let (ann, group, _, bare, mut theirs) = mixed();
            let mut ann = Member::new(ann, group);
            let commit = adding(&bare, &mut theirs, unchecked(&handmade(78, init_key, encryption_key)));
            let (before, error) = (ann.state(), ann.group.process(&commit).unwrap_err());
            assert!(matches!(error, Error::Invalid { what: "key package", .. }), "{error:?}");
            assert!(before == ann.state(), "the state is another");
        }
    }
}

/// As the bare library reads it.
fn unchecked(key_package: &[u8]) -> BareKeyPackage {
    let MlsMessageBodyIn::KeyPackage(read) =
        MlsMessageIn::tls_deserialize_exact(key_package).unwrap().extract()
    else {
        panic!("no key package");
    };
    read.validate(Bare::new(1).provider.crypto(), ProtocolVersion::Mls10).unwrap()
}

/// Welcome and tree by which this person is let into a group, and what it kept for it.
fn welcome_for(person: &mut Person) -> (Vec<u8>, Vec<u8>, terachat_vault::SecretBytes) {
    let (mut people, groups) = group_of(2);
    let (key_package, private) = person.key_package();
    let (next, commit) = people[0].commit(&groups[0], &[key_package], &[]);
    (commit.welcome.unwrap(), next.ratchet_tree(), private)
}

#[test]
fn a_welcome_for_somebody_else() {
    let (mut dave, mut zoe) = (Person::new(8), Person::new(9));
    let (welcome, tree, daves) = welcome_for(&mut dave);
    let (_, zoes) = zoe.key_package();
    let (_, another) = dave.key_package();
    for (person, private, expected) in [
        // For another device; for another key package of the same device; with what another device kept.
        (&zoe, &zoes, Error::NotForUs),
        (&dave, &another, Error::NotForUs),
        (&zoe, &daves, Error::OtherDevice),
    ] {
        let before = private.expose_secret().to_vec();
        assert_eq!(Group::join(&person.signer, &welcome, &tree, private).unwrap_err(), expected);
        assert_eq!(private.expose_secret(), before);
    }
    // And it is as good as before to whom it is for.
    assert!(Group::join(&dave.signer, &welcome, &tree, &daves).is_ok());
    assert!(Error::NotForUs.to_string().contains("try this device's others"));
}
