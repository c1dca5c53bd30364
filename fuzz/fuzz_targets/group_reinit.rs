//! The group that takes another's place as its maker tells of it: to everybody, of which only what was signed is believed, and to
//! those who were taken along, who follow by what belongs together and by nothing else.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_fuzz::{Spoiled, groups::Groups};
use terachat_group::{ReInit, Successor};

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

fuzz_target!(|input: (Part<'_>, Part<'_>, Option<Part<'_>>)| {
    GROUPS.with(|groups| {
        let honest = &groups.reinit;
        let welcome = honest.welcome.as_deref().expect("Carol is taken along");
        let told = ReInit {
            group_info: input.0.bytes(&honest.group_info),
            ratchet_tree: input.1.bytes(&honest.ratchet_tree),
            welcome: input.2.map(|part| part.bytes(welcome)),
        };
        let same = (&told.group_info, &told.ratchet_tree) == (&honest.group_info, &honest.ratchet_tree);
        let seen = Successor::parse(&told.group_info, &told.ratchet_tree);
        assert_eq!(seen.is_ok(), same, "every byte is signed");
        if let Ok(seen) = seen {
            assert_eq!((seen.maker, seen.members.len()), (groups.alice.device(), 2));
        }
        match groups.carols.follow(&groups.carol, &told, &groups.carols_next) {
            Ok(next) => {
                assert!(same, "it follows nothing but what is told to all");
                assert_eq!(next.epoch_authenticator(), groups.successor);
            }
            Err(_) => assert!(told != *honest, "who is taken along can follow"),
        }
    });
});
