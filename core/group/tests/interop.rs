//! A member that is the bare MLS library with its own cryptography: it reads what we write, we read what it
//! writes, and it can do all that ours does not.
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
mod world;
use openmls::prelude::{
    CredentialType, Extension, ExtensionType, Extensions, GroupContext, KeyPackage as BareKeyPackage,
    LeafNodeParameters, Lifetime, MlsGroup, MlsMessageIn, OpenMlsProvider, ProcessedMessageContent,
    RequiredCapabilitiesExtension, UnknownExtension, tls_codec::Deserialize as _,
};
use terachat_group::{CONTROL_ROOT_EXTENSION, Change, Error, Group, KeyPackage};
use world::ROOT;
use world::bare::{Bare, bytes, mixed};

#[track_caller]
fn same(ours: &Group, theirs: &MlsGroup, bare: &Bare) {
    assert_eq!(ours.epoch(), theirs.epoch().as_u64());
    assert_eq!(ours.epoch_authenticator(), theirs.epoch_authenticator().as_slice());
    let secret = theirs.export_secret(bare.provider.crypto(), "x", &[], 32).unwrap();
    assert_eq!(ours.epoch_secret("x").expose_secret()[..], secret);
}

#[test]
fn the_bare_library_shares_a_group_with_ours() {
    let (mut alice, alices, carols, bare, mut theirs) = mixed();
    same(&alices, &theirs, &bare);

    let update = theirs.self_update(&bare.provider, &bare.signer, LeafNodeParameters::default()).unwrap();
    theirs.merge_pending_commit(&bare.provider).unwrap();
    let update = bytes(update.into_commit());
    let (alices, summary) = world::process(&alices, &update);
    assert_eq!(summary.committer, bare.device);
    let (carols, _) = world::process(&carols, &update);
    same(&alices, &theirs, &bare);
    world::same_epoch(&alices, &carols);

    let carol = carols.device();
    let change = Change { add: &[], remove: &[carol], control_root: [3; 32] };
    let (alices, commit) = alices.commit(&alice.signer, &change, &mut alice.entropy).unwrap();
    let message = MlsMessageIn::tls_deserialize_exact(&commit.message).unwrap();
    let processed =
        theirs.process_message(&bare.provider, message.try_into_protocol_message().unwrap()).unwrap();
    let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
        panic!("no commit");
    };
    theirs.merge_staged_commit(&bare.provider, *staged).unwrap();
    same(&alices, &theirs, &bare);
}

#[test]
fn key_packages_that_do_not_belong_here() {
    let bare = Bare::new(77);
    let known = [ExtensionType::Unknown(CONTROL_ROOT_EXTENSION)];
    let ever = Lifetime::init(0, u64::MAX);
    let case = |key_package: BareKeyPackage| KeyPackage::parse(&bytes(key_package)).unwrap_err();
    assert_eq!(case(bare.bundle(&[5; 32], ever, &known)), Error::ForeignCredential);
    assert_eq!(case(bare.bundle(b"bob", ever, &known)), Error::ForeignCredential);
    assert!(matches!(case(bare.bundle(&bare.device, ever, &[])), Error::Unsupported(_)));
    for lifetime in
        [Lifetime::init(0, 1), Lifetime::init(0, u64::MAX - 1), Lifetime::init(u64::MAX - 1, u64::MAX)]
    {
        assert_eq!(case(bare.bundle(&bare.device, lifetime, &known)), Error::Expires);
    }
}

/// What a member can send that RFC 9420 allows and we do not.
#[test]
fn commits_of_a_member_that_breaks_our_rules() {
    let refused = |make: &dyn Fn(&Bare, &mut MlsGroup) -> Vec<u8>| {
        let (_, alices, _, bare, mut theirs) = mixed();
        let before = alices.to_bytes();
        let error = alices.process(&make(&bare, &mut theirs)).unwrap_err();
        assert_eq!(before.expose_secret(), alices.to_bytes().expose_secret());
        error
    };
    let commit = |bare: &Bare,
                  group: &mut MlsGroup,
                  adds: Vec<BareKeyPackage>,
                  extensions: Option<Extensions<GroupContext>>| {
        let mut builder = group.commit_builder().propose_adds(adds);
        if let Some(extensions) = extensions {
            builder = builder.propose_group_context_extensions(extensions).unwrap();
        }
        let provider = &bare.provider;
        let staged = builder
            .load_psks(provider.storage())
            .unwrap()
            .build(provider.rand(), provider.crypto(), &bare.signer, |_| true)
            .unwrap();
        bytes(staged.stage_commit(provider).unwrap().into_commit())
    };
    let known = [ExtensionType::Unknown(CONTROL_ROOT_EXTENSION)];

    let error = refused(&|bare, group| {
        let stranger = Bare::new(78);
        let foreign = stranger.bundle(&[5; 32], Lifetime::init(0, u64::MAX), &known);
        commit(bare, group, vec![foreign], None)
    });
    assert_eq!(error, Error::ForeignCredential);

    let error = refused(&|bare, group| {
        let stranger = Bare::new(78);
        let clocked = stranger.bundle(&stranger.device, Lifetime::init(0, u64::MAX - 1), &known);
        commit(bare, group, vec![clocked], None)
    });
    assert_eq!(error, Error::Expires);

    let required = || {
        Extension::RequiredCapabilities(RequiredCapabilitiesExtension::new(
            &known,
            &[],
            &[CredentialType::Basic],
        ))
    };
    let root = |len| Extension::Unknown(CONTROL_ROOT_EXTENSION, UnknownExtension(vec![1; len]));
    for extensions in [vec![], vec![required()], vec![required(), root(31)], vec![root(32), required()]] {
        let error = refused(&|bare, group| {
            commit(bare, group, vec![], Some(Extensions::from_vec(extensions.clone()).unwrap()))
        });
        assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    }

    let error = refused(&|bare, group| {
        let as_another =
            LeafNodeParameters::builder().with_credential_with_key(bare.credential(&[5; 32])).build();
        bytes(group.self_update(&bare.provider, &bare.signer, as_another).unwrap().into_commit())
    });
    assert_eq!(error, Error::ForeignCredential);

    let error = refused(&|bare, group| {
        let proposal = group.propose_self_update(&bare.provider, &bare.signer, LeafNodeParameters::default());
        bytes(proposal.unwrap().0)
    });
    assert!(matches!(error, Error::Unsupported(_)));

    // A commit by reference to a proposal that nobody here has.
    let error = refused(&|bare, group| {
        let leaf = group.members().next().unwrap().index;
        group.propose_remove_member(&bare.provider, &bare.signer, leaf).unwrap();
        bytes(group.commit_to_pending_proposals(&bare.provider, &bare.signer).unwrap().0)
    });
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
}

#[test]
fn a_commit_without_a_path_is_the_rfcs_to_allow() {
    let (_, alices, _, bare, mut theirs) = mixed();
    let stranger = Bare::new(78);
    let provider = &bare.provider;
    let staged = theirs
        .commit_builder()
        .propose_adds([stranger.good()])
        .load_psks(provider.storage())
        .unwrap()
        .build(provider.rand(), provider.crypto(), &bare.signer, |_| true)
        .unwrap();
    let commit = bytes(staged.stage_commit(provider).unwrap().into_commit());
    theirs.merge_pending_commit(provider).unwrap();
    let (alices, summary) = world::process(&alices, &commit);
    assert_eq!(summary.added, [stranger.device]);
    assert_eq!(summary.control_root, ROOT);
    same(&alices, &theirs, &bare);
}

/// Messages that the bare library seals are opened by ours and the other way round, in trees of several shapes.
#[test]
fn the_bare_library_opens_our_messages_and_we_open_its() {
    for n in 1..6 {
        let (mut people, groups) = world::group_of(n);
        let bare = Bare::new(77);
        let add = [KeyPackage::parse(&bytes(bare.good())).unwrap()];
        let (mut alices, commit) = people[0].commit(&groups[0], &add, &[]);
        let mut theirs = bare.join(&commit.welcome.unwrap(), &alices.ratchet_tree());
        let alice = &mut people[0];
        let mut messages = alices.take_messages().unwrap();
        let reserve = messages.reserve(5).unwrap();
        messages.grant(reserve);
        for number in 0..3u8 {
            let text = vec![number; 70 * usize::from(number)];
            let sealed = messages.seal(&alice.signer, &text, &mut alice.entropy).unwrap();
            let message = MlsMessageIn::tls_deserialize_exact(&sealed).unwrap();
            let message = message.try_into_protocol_message().unwrap();
            let opened = theirs.process_message(&bare.provider, message).unwrap();
            let ProcessedMessageContent::ApplicationMessage(opened) = opened.into_content() else {
                panic!("no message");
            };
            assert_eq!(opened.into_bytes(), text);

            let sealed = bytes(theirs.create_message(&bare.provider, &bare.signer, &text).unwrap());
            let opened = messages.open(&sealed, &bare.device).unwrap();
            assert_eq!(opened.text.expose_secret(), text);
            assert_eq!(opened.generation, u32::from(number));
        }
    }
}
