//! Members that are Wire's core-crypto, in Node. It founds groups, adds, removes, renews keys and seals messages by its own
//! ideas of who is a member and what a group is: clients with names, no extensions, key packages that expire. So it does not
//! come into our groups, which is tested; and what of RFC 9420 is our own code, the keys and frames of single messages, reads
//! what it seals and is read by it, in groups that the bare MLS library shares with it.
//!
//! `scripts/mls-peer` installs it and runs this; without it the tests say that they were skipped.
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
mod world;
use ed25519_zebra::{SigningKey, VerificationKeyBytes};
use openmls::prelude::{
    BasicCredential, Capabilities, CredentialType, CredentialWithKey, KeyPackage as BareKeyPackage,
    KeyPackageIn, LeafNodeParameters, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn,
    MlsMessageIn, MlsMessageOut, OpenMlsProvider, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProcessedMessageContent,
    ProtocolVersion, StagedWelcome,
    tls_codec::{Deserialize as _, Serialize as _},
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use serde_json::{Value, json};
use terachat_group::{DeviceId, DeviceSigner, Error, KeyPackage, Messages};
use terachat_vault::Secret;
use world::Seeded;
use world::bare::{BareSigner, SUITE};
use world::node::{Node, bytes, hex};

/// Where its `peer.mjs` lies beside its dependencies.
const PEER: &str = "TERACHAT_CORE_CRYPTO_PEER";
const GROUP: &[u8] = b"shared with Wire";

/// The bare library's member, with a device of ours to seal and open messages.
struct Bare {
    provider: OpenMlsRustCrypto,
    signer: BareSigner,
    device: DeviceSigner,
    client: Vec<u8>,
    entropy: Seeded,
}

impl Bare {
    /// The `number`-th client, of a name that core-crypto reads.
    fn new(number: u8) -> Self {
        Self {
            provider: OpenMlsRustCrypto::default(),
            signer: BareSigner(SigningKey::from([number; 32])),
            device: DeviceSigner::new(&Secret::take(&mut [number; 32])),
            client: format!("00000000-0000-4000-8000-{number:012}:{number:x}@example.org").into_bytes(),
            entropy: Seeded::new(number.into()),
        }
    }

    fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.client.clone()).into(),
            signature_key: <[u8; 32]>::from(VerificationKeyBytes::from(&self.signer.0)).to_vec().into(),
        }
    }

    fn capabilities() -> Capabilities {
        let credentials = [CredentialType::Basic, CredentialType::X509];
        Capabilities::new(Some(&[ProtocolVersion::Mls10]), Some(&[SUITE]), None, None, Some(&credentials))
    }

    fn key_package(&self) -> Vec<u8> {
        let made = BareKeyPackage::builder()
            .leaf_node_capabilities(Self::capabilities())
            .build(SUITE, &self.provider, &self.signer, self.credential())
            .unwrap();
        made.key_package().tls_serialize_detached().unwrap()
    }

    fn create(&self) -> MlsGroup {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .capabilities(Self::capabilities())
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build();
        let id = openmls::group::GroupId::from_slice(GROUP);
        MlsGroup::new_with_group_id(&self.provider, &self.signer, &config, id, self.credential()).unwrap()
    }

    fn join(&self, welcome: &[u8]) -> MlsGroup {
        let MlsMessageBodyIn::Welcome(welcome) =
            MlsMessageIn::tls_deserialize_exact(welcome).unwrap().extract()
        else {
            panic!("no welcome");
        };
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build();
        let staged = StagedWelcome::new_from_welcome(&self.provider, &config, welcome, None).unwrap();
        staged.into_group(&self.provider).unwrap()
    }

    /// Adds whom core-crypto made; commit and welcome.
    fn add(&self, group: &mut MlsGroup, key_package: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let read = KeyPackageIn::tls_deserialize_exact(key_package).unwrap();
        let valid = read.validate(self.provider.crypto(), ProtocolVersion::Mls10).unwrap();
        let (commit, welcome, _) = group.add_members(&self.provider, &self.signer, &[valid]).unwrap();
        group.merge_pending_commit(&self.provider).unwrap();
        (encoded(commit), encoded(welcome))
    }

    fn remove(&self, group: &mut MlsGroup, client: &[u8]) -> Vec<u8> {
        let is = |member: &openmls::prelude::Member| {
            BasicCredential::try_from(member.credential.clone()).unwrap().identity() == client
        };
        let leaf = group.members().find(is).unwrap().index;
        let (commit, ..) = group.remove_members(&self.provider, &self.signer, &[leaf]).unwrap();
        group.merge_pending_commit(&self.provider).unwrap();
        encoded(commit)
    }

    fn update(&self, group: &mut MlsGroup) -> Vec<u8> {
        let made = group.self_update(&self.provider, &self.signer, LeafNodeParameters::default()).unwrap();
        group.merge_pending_commit(&self.provider).unwrap();
        encoded(made.into_commit())
    }

    fn process(&self, group: &mut MlsGroup, commit: &[u8]) {
        let message = MlsMessageIn::tls_deserialize_exact(commit).unwrap();
        let message = message.try_into_protocol_message().unwrap();
        let processed = group.process_message(&self.provider, message).unwrap();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            panic!("no commit");
        };
        group.merge_staged_commit(&self.provider, *staged).unwrap();
    }

    /// What our own code makes of this epoch's message keys: from the library's state, where they stand while nothing was
    /// sealed yet, as the parts that `docs/format/profile.md` ("Message keys") describes.
    fn messages(&self, group: &MlsGroup) -> Messages {
        let stored = self.provider.storage().values.read().unwrap();
        let (_, secrets) = stored.iter().find(|(name, _)| name.starts_with(b"MessageSecrets")).unwrap();
        let secrets: Value = serde_json::from_slice(secrets).unwrap();
        let secrets = &secrets["message_secrets"];
        let tree = &secrets["secret_tree"];
        let leaves = u32::try_from(tree["size"].as_u64().unwrap() / 2 + 1).unwrap();
        let at = leaves as usize - 1;
        let nodes = if at.is_multiple_of(2) { &tree["leaf_nodes"] } else { &tree["parent_nodes"] };
        let mut epoch = vec![1, u8::try_from(GROUP.len()).unwrap()];
        epoch.extend_from_slice(GROUP);
        epoch.extend(group.epoch().as_u64().to_le_bytes());
        epoch.extend(numbers(&secrets["sender_data_secret"]));
        epoch.extend(group.own_leaf_index().u32().to_le_bytes());
        epoch.extend(leaves.to_le_bytes());
        let context = numbers(&secrets["serialized_context"]);
        epoch.extend(u32::try_from(context.len()).unwrap().to_le_bytes());
        epoch.extend(context);
        let last = group.members().last().unwrap().index.u32() + 1;
        epoch.extend(last.to_le_bytes());
        for leaf in 0..last {
            let member = group.members().find(|member| member.index.u32() == leaf);
            epoch.extend(member.map_or(vec![0; 32], |member| member.signature_key));
        }
        let root = [&[1][..], &(leaves - 1).to_be_bytes()].concat();
        let parts = [(vec![0], epoch), (root, numbers(&nodes[at / 2]))];
        Messages::from_parts(parts.iter().map(|(name, value)| (&name[..], &value[..]))).unwrap()
    }
}

/// The bytes that the library's state holds below here, however they are wrapped.
fn numbers(value: &Value) -> Vec<u8> {
    match value {
        Value::Array(all) => all.iter().map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap()).collect(),
        Value::Object(fields) => numbers(fields.values().next().unwrap()),
        other => panic!("{other}"),
    }
}

fn encoded(message: impl Into<MlsMessageOut>) -> Vec<u8> {
    message.into().to_bytes().unwrap()
}

/// Members of core-crypto.
struct Peer(Node);

impl Peer {
    fn start() -> Option<Self> {
        Node::start(PEER).map(Self)
    }

    fn ask(&mut self, name: &str, verb: &str, request: Value) -> Value {
        self.0.ask(name, verb, request).unwrap_or_else(|error| panic!("{name} {verb}: {error}"))
    }

    /// Its client's name and key package.
    fn new_member(&mut self, name: &str, number: u8) -> (Vec<u8>, Vec<u8>) {
        let made = self.ask(name, "new", json!({ "number": number }));
        (bytes(&made["client"]), bytes(&made["key_package"]))
    }

    fn take(&mut self, name: &str, message: &[u8]) -> Value {
        self.ask(name, "take", json!({ "message": hex(message) }))
    }

    fn process(&mut self, name: &str, commit: &[u8]) {
        assert_eq!(self.take(name, commit), json!({ "kind": "Commit", "active": true }), "{name}");
    }

    #[track_caller]
    fn agrees(&mut self, name: &str, bare: &Bare, group: &MlsGroup) {
        let theirs = self.ask(name, "state", json!({}));
        assert_eq!(theirs["epoch"], group.epoch().as_u64());
        let secret = group.export_secret(bare.provider.crypto(), "exporter", &[], 32).unwrap();
        assert_eq!(theirs["secret"], hex(&secret), "{name}");
        let mut clients: Vec<String> = group
            .members()
            .map(|member| hex(BasicCredential::try_from(member.credential).unwrap().identity()))
            .collect();
        clients.sort();
        assert_eq!(theirs["clients"], json!(clients));
    }

    /// Each side reads what the other one seals: some texts each, of several lengths, in turns.
    #[track_caller]
    fn talks(&mut self, name: &str, client: &[u8], bare: &mut Bare, group: &MlsGroup) {
        let mut messages = bare.messages(group);
        let is = |member: &openmls::prelude::Member| {
            BasicCredential::try_from(member.credential.clone()).unwrap().identity() == client
        };
        let device: DeviceId = group.members().find(is).unwrap().signature_key.try_into().unwrap();
        let reserve = messages.reserve(4).unwrap();
        messages.grant(reserve);
        for (number, len) in (0..).zip([0, 1, 127, 5000]) {
            let text = vec![b'x'; len];
            let sealed = messages.seal(&bare.device, &text, &mut bare.entropy).unwrap();
            let opened = self.take(name, &sealed);
            assert_eq!(opened, json!({ "text": hex(&text), "sender": hex(&bare.client) }), "{len} bytes");
            let sealed = bytes(&self.ask(name, "seal", json!({ "text": hex(&text) }))["message"]);
            let opened = messages.open(&sealed, &device).unwrap();
            assert_eq!((opened.text.expose_secret(), opened.generation), (&text[..], number));
            assert_eq!(messages.open(&sealed, &device).err(), Some(Error::Replayed { generation: number }));
        }
    }
}

/// It names clients and not keys, its key packages expire, and it does not know our control root: each alone keeps it out.
#[test]
fn its_key_packages_do_not_come_into_our_groups() {
    let Some(mut peer) = Peer::start() else { return };
    let (_, key_package) = peer.new_member("guest", 1);
    // It gives a KeyPackage, where cards hold an MLSMessage with one (RFC 9420, section 6).
    assert!(matches!(KeyPackage::parse(&key_package), Err(Error::Malformed(_))));
    let message = [&[0, 1, 0, 5], &key_package[..]].concat();
    assert_eq!(KeyPackage::parse(&message).unwrap_err(), Error::ForeignCredential);
}

#[test]
fn a_group_of_ours_with_members_of_its() {
    let Some(mut peer) = Peer::start() else { return };
    let mut bare = Bare::new(9);
    let mut group = bare.create();
    let members = [peer.new_member("first", 1), peer.new_member("second", 2)];
    for (at, name) in ["first", "second"].into_iter().enumerate() {
        let (commit, welcome) = bare.add(&mut group, &members[at].1);
        if at > 0 {
            peer.process("first", &commit);
        }
        peer.ask(name, "join", json!({ "welcome": hex(&welcome) }));
        peer.agrees(name, &bare, &group);
    }
    peer.talks("second", &members[1].0, &mut bare, &group);

    // They renew their keys, and so do we.
    let update = bytes(&peer.ask("first", "update", json!({}))["message"]);
    bare.process(&mut group, &update);
    peer.process("second", &update);
    peer.agrees("first", &bare, &group);
    peer.talks("first", &members[0].0, &mut bare, &group);
    let update = bare.update(&mut group);
    for (name, (client, _)) in ["first", "second"].into_iter().zip(&members) {
        peer.process(name, &update);
        peer.agrees(name, &bare, &group);
        if name == "second" {
            peer.talks(name, client, &mut bare, &group);
        }
    }

    // They bring somebody in; we remove one of them.
    let (third, key_package) = peer.new_member("third", 3);
    let added = peer.ask("first", "add", json!({ "key_packages": [hex(&key_package)] }));
    bare.process(&mut group, &bytes(&added["message"]));
    peer.process("second", &bytes(&added["message"]));
    peer.ask("third", "join", json!({ "welcome": added["welcome"] }));
    peer.agrees("third", &bare, &group);
    peer.talks("third", &third, &mut bare, &group);
    let removal = bare.remove(&mut group, &members[0].0);
    assert_eq!(peer.take("first", &removal), json!({ "kind": "Commit", "active": false }));
    peer.process("second", &removal);
    peer.process("third", &removal);
    peer.agrees("third", &bare, &group);
    peer.talks("second", &members[1].0, &mut bare, &group);
}

#[test]
fn a_group_of_its_with_members_of_ours() {
    let Some(mut peer) = Peer::start() else { return };
    let (founder, _) = peer.new_member("founder", 1);
    peer.ask("founder", "create", json!({ "group_id": hex(GROUP) }));
    let (mut bare, other) = (Bare::new(8), Bare::new(9));
    let key_packages = json!([hex(&bare.key_package()), hex(&other.key_package())]);
    let added = peer.ask("founder", "add", json!({ "key_packages": key_packages }));
    let welcome = bytes(&added["welcome"]);
    let (mut group, mut others) = (bare.join(&welcome), other.join(&welcome));
    peer.agrees("founder", &bare, &group);
    peer.talks("founder", &founder, &mut bare, &group);

    let update = other.update(&mut others);
    bare.process(&mut group, &update);
    peer.process("founder", &update);
    peer.agrees("founder", &bare, &group);

    // It removes one of us, and is removed by the other.
    let removal = bytes(&peer.ask("founder", "remove", json!({ "client": hex(&other.client) }))["message"]);
    bare.process(&mut group, &removal);
    other.process(&mut others, &removal);
    assert!(!others.is_active());
    peer.agrees("founder", &bare, &group);
    peer.talks("founder", &founder, &mut bare, &group);
    let removal = bare.remove(&mut group, &founder);
    assert_eq!(peer.take("founder", &removal), json!({ "kind": "Commit", "active": false }));
}
