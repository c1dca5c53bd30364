//! Members that are Wire's core-crypto, in Node: each side founds a group, adds, renews its keys, removes and is removed, and reads
//! the messages of the other.
//!
//! It names clients and not keys, its key packages expire, and it knows no control root: the product's groups refuse it, which
//! is tested. So our members are in groups of RFC 9420 without our rules (`terachat_group::danger`): the same [`Group`], the same commits,
//! the same message keys. It does not show its epoch's authenticator (section 8.7); what is compared is a secret that either
//! side exports, which follows from the same epoch secret.
//!
//! `scripts/mls-peer` installs it and runs this; without it the tests say that they were skipped.
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
mod world;
use serde_json::{Value, json};
use terachat_group::{Error, KeyPackage, danger};
use world::node::{Node, bytes, hex};
use world::shared::{Made, Seen, Theirs, our_group, their_group};

/// Where its `peer.mjs` lies beside its dependencies.
const PEER: &str = "TERACHAT_CORE_CRYPTO_PEER";
/// `mls10` and `mls_key_package` (RFC 9420, section 6): it gives and takes key packages without.
const KEY_PACKAGE: [u8; 4] = [0, 1, 0, 5];

/// Members of core-crypto.
struct Peer {
    node: Node,
    clients: u8,
}

impl Peer {
    fn start() -> Option<Self> {
        Some(Self { node: Node::start(PEER)?, clients: 0 })
    }

    fn ask(&mut self, name: &str, verb: &str, request: Value) -> Value {
        self.node.ask(name, verb, request).unwrap_or_else(|error| panic!("{name} {verb}: {error}"))
    }

    fn made(&mut self, name: &str, verb: &str, request: Value) -> Made {
        let made = self.ask(name, verb, request);
        let welcome = made["welcome"].as_str().map(|_| bytes(&made["welcome"]));
        Made { commit: bytes(&made["message"]), welcome, tree: Vec::new() }
    }
}

impl Theirs for Peer {
    const NAME: &'static str = "core-crypto";

    /// It reads names of this form alone.
    fn our_identity(&self, number: u64) -> Option<Vec<u8>> {
        Some(format!("00000000-0000-4000-9000-{number:012}:{number:x}@example.org").into_bytes())
    }

    fn new_member(&mut self, name: &str) -> (Vec<u8>, Vec<u8>) {
        self.clients += 1;
        let made = self.ask(name, "new", json!({ "number": self.clients }));
        (bytes(&made["client"]), [&KEY_PACKAGE, &bytes(&made["key_package"])[..]].concat())
    }

    fn create(&mut self, name: &str, group_id: &[u8]) {
        self.ask(name, "create", json!({ "group_id": hex(group_id) }));
    }

    fn join(&mut self, name: &str, welcome: &[u8], _: &[u8]) {
        self.ask(name, "join", json!({ "welcome": hex(welcome) }));
    }

    fn add(&mut self, name: &str, key_package: &[u8]) -> Made {
        let key_package = key_package.strip_prefix(&KEY_PACKAGE).expect("a key package");
        self.made(name, "add", json!({ "key_packages": [hex(key_package)] }))
    }

    fn remove(&mut self, name: &str, identity: &[u8]) -> Made {
        self.made(name, "remove", json!({ "client": hex(identity) }))
    }

    fn update(&mut self, name: &str) -> Made {
        self.made(name, "update", json!({}))
    }

    fn process(&mut self, name: &str, commit: &[u8]) -> bool {
        let taken = self.ask(name, "take", json!({ "message": hex(commit) }));
        assert_eq!(taken["kind"], "Commit", "{name}");
        taken["active"] == true
    }

    fn seal(&mut self, name: &str, text: &[u8]) -> Vec<u8> {
        bytes(&self.ask(name, "seal", json!({ "text": hex(text) }))["message"])
    }

    fn open(&mut self, name: &str, message: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
        let opened = self.ask(name, "take", json!({ "message": hex(message) }));
        (bytes(&opened["text"]), Some(bytes(&opened["sender"])))
    }

    fn look(&mut self, name: &str) -> Seen {
        let state = self.ask(name, "state", json!({}));
        let mut members: Vec<_> = state["clients"].as_array().unwrap().iter().map(bytes).collect();
        members.sort();
        Seen {
            epoch: state["epoch"].as_u64().unwrap(),
            authenticator: None,
            secret: bytes(&state["secret"]),
            members,
        }
    }
}

#[test]
fn a_group_of_ours_is_shared_with_core_crypto() {
    let Some(peer) = Peer::start() else { return };
    our_group(peer);
}

#[test]
fn a_group_of_its_is_shared_with_ours() {
    let Some(peer) = Peer::start() else { return };
    their_group(peer);
}

/// It names clients and not keys, its key packages expire, and it does not know our control root: each alone keeps it out of the
/// product's groups.
#[test]
fn its_key_packages_do_not_come_into_the_products_groups() {
    let Some(mut peer) = Peer::start() else { return };
    let (_, key_package) = peer.new_member("guest");
    assert_eq!(KeyPackage::parse(&key_package).unwrap_err(), Error::ForeignCredential);
    let key_package = danger::parse_key_package(&key_package).unwrap();
    let (mut people, groups) = world::group_of(2);
    let before = groups[0].to_bytes();
    let change =
        terachat_group::Change { add: &[key_package], remove: &[], control_root: groups[0].control_root() };
    let ada = &mut people[0];
    let refused = groups[0].commit(&ada.signer, &change, &mut ada.entropy);
    assert_eq!(refused.err(), Some(Error::OtherTerms));
    assert_eq!(before.expose_secret(), groups[0].to_bytes().expose_secret());
}
