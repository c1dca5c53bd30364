//! The working group's passive clients (`crate::testing`): somebody is let into a group and follows its commits, by the MLS library on
//! this crate's cryptography, and wherever no proposals travel apart from their commit, on this crate's storage as well. Who is
//! welcomed without a pre-shared key also joins by [`Group`]'s own verb.
use super::{Cells, Crypto, Engine, StateKind};
use crate::policy::Terms;
use crate::testing::{bytes, each};
use crate::{DeviceSigner, Group};
use openmls::prelude::{
    KeyPackage, KeyPackageBundle, KeyPackageVerifyError, MlsGroup, MlsGroupJoinConfig, MlsMessageBodyIn,
    MlsMessageIn, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProcessedMessageContent, ProtocolVersion, RatchetTreeIn,
    StagedWelcome, Welcome, tls_codec::Deserialize as _,
};
use openmls::schedule::PreSharedKeyId;
use openmls_rust_crypto::MemoryStorage;
use openmls_traits::{OpenMlsProvider, storage::StorageProvider as _};
use serde_json::{Value, json};
use terachat_vault::Secret;

/// This crate's cryptography on the library's own storage, which keeps proposals too.
struct Mixed {
    storage: MemoryStorage,
    crypto: Crypto,
}

impl OpenMlsProvider for Mixed {
    type CryptoProvider = Crypto;
    type RandProvider = Crypto;
    type StorageProvider = MemoryStorage;

    fn storage(&self) -> &MemoryStorage {
        &self.storage
    }

    fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    fn rand(&self) -> &Crypto {
        &self.crypto
    }
}

fn key_package(vector: &Value) -> KeyPackage {
    let message = bytes(&vector["key_package"]);
    let MlsMessageBodyIn::KeyPackage(unchecked) =
        MlsMessageIn::tls_deserialize_exact(&message).unwrap().extract()
    else {
        panic!("no key package");
    };
    // Some have expired, and the library does not give back the checked form of these.
    let valid = unchecked.clone().validate(&Crypto::new(None), ProtocolVersion::Mls10);
    assert!(matches!(valid, Ok(_) | Err(KeyPackageVerifyError::LifetimeError(_))), "{valid:?}");
    serde_json::from_value(serde_json::to_value(unchecked).unwrap()).unwrap()
}

/// Both halves, as the library stores them: it makes such a value for its own key packages only.
fn bundle(vector: &Value, key_package: &KeyPackage) -> KeyPackageBundle {
    let key = |name: &str| json!({ "vec": bytes(&vector[name]) });
    serde_json::from_value(json!({
        "key_package": key_package,
        "private_init_key": key("init_priv"),
        "private_encryption_key": { "key": key("encryption_priv") },
    }))
    .unwrap()
}

fn store(provider: &impl OpenMlsProvider, vector: &Value) {
    let key_package = key_package(vector);
    let reference = key_package.hash_ref(provider.crypto()).unwrap();
    provider.storage().write_key_package(&reference, &bundle(vector, &key_package)).unwrap();
    for psk in vector["external_psks"].as_array().unwrap() {
        let id = PreSharedKeyId::external(bytes(&psk["psk_id"]), Vec::new());
        id.store(provider, &bytes(&psk["psk"])).unwrap();
    }
}

fn message(value: &Value) -> MlsMessageIn {
    MlsMessageIn::tls_deserialize_exact(bytes(value)).unwrap()
}

fn welcome(vector: &Value) -> Welcome {
    let MlsMessageBodyIn::Welcome(welcome) = message(&vector["welcome"]).extract() else {
        panic!("no welcome");
    };
    welcome
}

fn tree(vector: &Value) -> Option<Vec<u8>> {
    vector["ratchet_tree"].as_str().map(|_| bytes(&vector["ratchet_tree"]))
}

fn join(provider: &impl OpenMlsProvider, vector: &Value) -> MlsGroup {
    store(provider, vector);
    // Some commits take a secret of a former epoch.
    let config = MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .number_of_resumption_psks(4)
        .build();
    let mut builder = StagedWelcome::build_from_welcome(provider, &config, welcome(vector)).unwrap();
    if let Some(tree) = tree(vector) {
        let tree = RatchetTreeIn::tls_deserialize_exact(tree).unwrap();
        builder = builder.with_ratchet_tree(tree);
    }
    let group = builder.skip_lifetime_validation().build().unwrap().into_group(provider).unwrap();
    assert_eq!(group.epoch_authenticator().as_slice(), bytes(&vector["initial_epoch_authenticator"]));
    group
}

/// Joins and follows all that comes; how many commits.
fn follow(provider: &impl OpenMlsProvider, vector: &Value) -> usize {
    let mut group = join(provider, vector);
    let epochs = vector["epochs"].as_array().unwrap();
    for epoch in epochs {
        for proposal in epoch["proposals"].as_array().unwrap() {
            let message = message(proposal).try_into_protocol_message().unwrap();
            let processed = group.process_message(provider, message).unwrap();
            let ProcessedMessageContent::ProposalMessage(proposal) = processed.into_content() else {
                panic!("no proposal");
            };
            group.store_pending_proposal(provider.storage(), *proposal).unwrap();
        }
        let message = message(&epoch["commit"]).try_into_protocol_message().unwrap();
        let processed = group.process_message(provider, message).unwrap();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            panic!("no commit");
        };
        group.merge_staged_commit(provider, *staged).unwrap();
        assert_eq!(group.epoch_authenticator().as_slice(), bytes(&epoch["epoch_authenticator"]));
    }
    epochs.len()
}

#[test]
fn passive_client_welcome() {
    let mut by_our_verb = 0;
    each("passive-client-welcome.json", 8, |vector| {
        follow(&Mixed { storage: MemoryStorage::default(), crypto: Crypto::new(None) }, vector);
        follow(&Engine::reading(Cells::default()), vector);
        if vector["external_psks"].as_array().unwrap().is_empty() {
            by_our_verb += 1;
            let engine = Engine::reading(Cells::default());
            store(&engine, vector);
            let private = engine.into_cells().to_bytes(StateKind::KeyPackage);
            let seed = bytes(&vector["signature_priv"]);
            let signer = DeviceSigner::new(&Secret::generate(|out| out.copy_from_slice(&seed)));
            let welcome = bytes(&vector["welcome"]);
            let tree = tree(vector);
            let group =
                Group::enter(Terms::Plain, &signer, &welcome, tree.as_deref(), &private, None).unwrap();
            assert_eq!(group.epoch_authenticator().to_vec(), bytes(&vector["initial_epoch_authenticator"]));
        }
    });
    eprintln!("passive-client-welcome.json: {by_our_verb} join by Group's own verb");
}

#[test]
fn passive_client_handling_commit() {
    let (mut commits, mut on_our_storage) = (0, 0);
    each("passive-client-handling-commit.json", 13, |vector| {
        commits += follow(&Mixed { storage: MemoryStorage::default(), crypto: Crypto::new(None) }, vector);
        let no_proposals =
            |epoch: &Value| epoch["proposals"].as_array().is_some_and(|proposals| proposals.is_empty());
        if vector["epochs"].as_array().unwrap().iter().all(no_proposals) {
            on_our_storage += follow(&Engine::reading(Cells::default()), vector);
        }
    });
    eprintln!("passive-client-handling-commit.json: {commits} commits, {on_our_storage} on our storage, too");
}
