//! A welcome and a ratchet tree as whoever stores them gives them: only the two that belong together, unchanged, let
//! somebody in.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_fuzz::{Spoiled, groups::Groups};
use terachat_group::Group;

#[derive(Arbitrary, Debug)]
enum Part<'a> {
    Bytes(&'a [u8]),
    Honest(Spoiled),
}

impl Part<'_> {
    fn bytes(self, honest: &[u8]) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Honest(spoiled) => spoiled.apply(honest),
        }
    }
}

thread_local! {
    static GROUPS: Groups = Groups::new();
}

fuzz_target!(|input: (Part<'_>, Part<'_>)| {
    GROUPS.with(|groups| {
        let (welcome, tree) = (input.0.bytes(&groups.welcome), input.1.bytes(&groups.tree));
        if let Ok(joined) = Group::join(&groups.carol, &welcome, &tree, &groups.carols_private) {
            assert_eq!(joined.epoch_authenticator(), groups.alice.epoch_authenticator());
            assert_eq!(joined.ratchet_tree(), groups.tree);
        }
    });
});
