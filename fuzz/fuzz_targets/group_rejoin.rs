//! A group info and a ratchet tree as a peer shows them, and an external commit as it comes in an event: only what was signed is
//! taken in, and a commit only as its maker's.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_fuzz::{Counter, Spoiled, groups::Groups};
use terachat_group::Group;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Info(&'a [u8]),
    SpoiledInfo(Spoiled, Spoiled),
    Commit(&'a [u8]),
    SpoiledCommit(Spoiled),
}

thread_local! {
    static GROUPS: Groups = Groups::new();
}

fuzz_target!(|input: Input<'_>| {
    GROUPS.with(|groups| {
        let (info, tree) = match input {
            Input::Info(bytes) => (bytes.to_vec(), groups.tree.clone()),
            Input::SpoiledInfo(info, tree) => (info.apply(&groups.info), tree.apply(&groups.tree)),
            Input::Commit(bytes) => return commit(groups, bytes),
            Input::SpoiledCommit(spoiled) => return commit(groups, &spoiled.apply(&groups.rejoining)),
        };
        let rejoined = Group::rejoin(&groups.bobs, &info, &tree, &mut Counter::default()).is_ok();
        assert_eq!(rejoined, info == groups.info && tree == groups.tree, "every byte is signed");
    });
});

fn commit(groups: &Groups, bytes: &[u8]) {
    let taken = groups.alice.process_rejoin(bytes, &groups.bobs.device()).is_ok();
    assert_eq!(taken, bytes == groups.rejoining, "only what was signed is taken in");
    assert!(groups.alice.process_rejoin(bytes, &groups.carol.device()).is_err(), "nobody else made it");
}
