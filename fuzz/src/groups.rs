//! A small MLS group to throw things at.
use crate::{Counter, secret};
use terachat_group::{Change, CipherSuite, DeviceSigner, Group, KeyPackage, ReInit, new_key_package};
use terachat_vault::SecretBytes;

const ROOT: [u8; 32] = [7; 32];

/// Alice and Bob have a group, and Alice adds Carol: what everybody has before they hear of it, and what Alice sends.
pub struct Groups {
    /// Alice, in the epoch with Carol.
    pub alice: Group,
    /// Bob, in the epoch before.
    pub bob: Group,
    /// Carol's key.
    pub carol: DeviceSigner,
    /// The private part of her key package.
    pub carols_private: SecretBytes,
    /// Her key package.
    pub key_package: Vec<u8>,
    /// The commit that adds her.
    pub commit: Vec<u8>,
    /// Her welcome.
    pub welcome: Vec<u8>,
    /// The ratchet tree of the epoch with her.
    pub tree: Vec<u8>,
    /// The group info of that epoch.
    pub info: Vec<u8>,
    /// The commit by which Bob rejoins there.
    pub rejoining: Vec<u8>,
    /// Bob's key.
    pub bobs: DeviceSigner,
    /// A message that Alice sealed in that epoch, and the stored keys by which Carol opens it.
    pub sealed: Vec<u8>,
    /// See `sealed`.
    pub carols_keys: Vec<(Vec<u8>, Vec<u8>)>,
    /// Carol, in the epoch with her.
    pub carols: Group,
    /// What Alice tells of the group that takes that one's place, in which Carol is.
    pub reinit: ReInit,
    /// The private part of the key package by which she is.
    pub carols_next: SecretBytes,
    /// The authenticator of its first epoch.
    pub successor: [u8; 32],
}

impl Groups {
    /// The same in every run.
    #[allow(clippy::new_without_default, reason = "it does work")]
    pub fn new() -> Self {
        let mut entropy = Counter::default();
        let [alice, bob, carol] = [1, 2, 3].map(|n| DeviceSigner::new(&secret(n)));
        let mut founded =
            Group::create(CipherSuite::X25519, &alice, b"fuzz", ROOT, &mut entropy).expect("a group is made");
        let mut add = |group: &Group, signer| {
            let (public, private) =
                new_key_package(CipherSuite::X25519, signer, &mut entropy).expect("a key package is made");
            let add = [KeyPackage::parse(&public).expect("it is a key package")];
            let change = Change { add: &add, remove: &[], control_root: ROOT };
            let (next, commit) = group.commit(&alice, &change, &mut entropy).expect("a commit is made");
            (next, commit.message, commit.welcome.expect("somebody was added"), private, public)
        };
        let (next, _, welcome, bobs_private, _) = add(&founded, &bob);
        founded = next;
        let joined = Group::join(&bob, &welcome, &founded.ratchet_tree(), &bobs_private);
        let joined = joined.expect("the welcome is Bob's");
        let (next, commit, welcome, carols_private, key_package) = add(&founded, &carol);
        let tree = next.ratchet_tree();
        let info = next.group_info(&alice).expect("it is Alice's group");
        let (_, rejoining) = Group::rejoin(&bob, &info, &tree, &mut entropy).expect("he rejoins");
        let (mut next, signer) = (next, alice);
        let mut messages = next.take_messages().expect("nobody took them");
        let reserve = messages.reserve(1).expect("an epoch has more");
        messages.grant(reserve);
        let sealed = messages.seal(&signer, b"a message", &mut entropy).expect("one is reserved");
        let mut joined_too = Group::join(&carol, &welcome, &tree, &carols_private).expect("it is hers");
        let parts = joined_too.take_messages().expect("nobody took them").changes();
        let kept =
            |(name, value): (Vec<u8>, Option<SecretBytes>)| Some((name, value?.expose_secret().to_vec()));
        let carols_keys = parts.into_iter().filter_map(kept).collect();
        let (public, carols_next) =
            new_key_package(CipherSuite::X25519, &carol, &mut entropy).expect("a key package is made");
        let add = [KeyPackage::parse(&public).expect("it is a key package")];
        let (made, reinit) = next
            .reinit(&signer, CipherSuite::X25519, b"fuzz again", &add, ROOT, &mut entropy)
            .expect("a group is made");
        let (alice, bobs, bob) = (next, bob, joined);
        Self {
            alice,
            bob,
            carol,
            carols_private,
            key_package,
            commit,
            welcome,
            tree,
            info,
            rejoining,
            bobs,
            sealed,
            carols_keys,
            carols: joined_too,
            reinit,
            carols_next,
            successor: made.epoch_authenticator(),
        }
    }
}
