//! A few devices, without network or clock.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
pub(crate) mod bare;
pub(crate) mod node;
pub(crate) mod shared;

use terachat_group::{
    Change, CipherSuite, Commit, DeviceId, DeviceSigner, Group, KeyPackage, Summary, new_key_package,
};
use terachat_vault::{Entropy, Secret, SecretBytes};

pub(crate) const ROOT: [u8; 32] = [7; 32];

/// Reproducible, and different for each seed.
pub(crate) struct Seeded(blake3::OutputReader);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new_keyed(&[9; 32]).update(&seed.to_le_bytes()).finalize_xof())
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }
}

/// Somebody with a device.
pub(crate) struct Person {
    pub(crate) signer: DeviceSigner,
    pub(crate) entropy: Seeded,
    /// Of the groups it is in.
    pub(crate) suite: CipherSuite,
}

impl Person {
    pub(crate) fn new(number: u64) -> Self {
        Self::of(CipherSuite::X25519, number)
    }

    pub(crate) fn of(suite: CipherSuite, number: u64) -> Self {
        let mut entropy = Seeded::new(number);
        Self { signer: DeviceSigner::new(&Secret::generate(|out| entropy.fill(out))), entropy, suite }
    }

    pub(crate) fn device(&self) -> DeviceId {
        self.signer.device()
    }

    pub(crate) fn key_package(&mut self) -> (KeyPackage, SecretBytes) {
        let (public, private) = new_key_package(self.suite, &self.signer, &mut self.entropy).unwrap();
        let parsed = KeyPackage::parse(&public).unwrap();
        assert_eq!(parsed.device(), self.device());
        (parsed, private)
    }

    pub(crate) fn create(&mut self) -> Group {
        Group::create(self.suite, &self.signer, b"channel", ROOT, &mut self.entropy).unwrap()
    }

    pub(crate) fn commit(
        &mut self,
        group: &Group,
        add: &[KeyPackage],
        remove: &[DeviceId],
    ) -> (Group, Commit) {
        let change = Change { add, remove, control_root: group.control_root() };
        group.commit(&self.signer, &change, &mut self.entropy).unwrap()
    }
}

/// A group of the first `n` persons, each with its own view of it.
pub(crate) fn group_of(n: usize) -> (Vec<Person>, Vec<Group>) {
    group_in(CipherSuite::X25519, n)
}

pub(crate) fn group_in(suite: CipherSuite, n: usize) -> (Vec<Person>, Vec<Group>) {
    let mut people: Vec<_> = (1..=n as u64).map(|number| Person::of(suite, number)).collect();
    let first = people[0].create();
    if n == 1 {
        return (people, vec![first]);
    }
    let (adds, privates): (Vec<_>, Vec<_>) = people[1..].iter_mut().map(Person::key_package).unzip();
    let (group, commit) = people[0].commit(&first, &adds, &[]);
    let (welcome, tree) = (commit.welcome.unwrap(), group.ratchet_tree());
    let mut groups = vec![group];
    for (person, private) in people[1..].iter().zip(&privates) {
        groups.push(Group::join(&person.signer, &welcome, &tree, private).unwrap());
    }
    agree(&groups);
    (people, groups)
}

#[track_caller]
pub(crate) fn agree<'a>(groups: impl IntoIterator<Item = &'a Group>) {
    let mut groups = groups.into_iter();
    let first = groups.next().unwrap();
    for other in groups {
        same_epoch(first, other);
    }
}

#[track_caller]
pub(crate) fn same_epoch(a: &Group, b: &Group) {
    assert_eq!(a.epoch(), b.epoch());
    assert_eq!(a.group_id(), b.group_id());
    assert_eq!(a.members(), b.members());
    assert_eq!(a.control_root(), b.control_root());
    assert_eq!(a.epoch_authenticator(), b.epoch_authenticator());
    assert_eq!(a.ratchet_tree(), b.ratchet_tree());
    assert_eq!(a.epoch_secret("x").expose_secret(), b.epoch_secret("x").expose_secret());
}

#[track_caller]
pub(crate) fn process(group: &Group, message: &[u8]) -> (Group, Summary) {
    let (next, summary) = group.process(message).unwrap();
    (next.expect("this device stays"), summary)
}
