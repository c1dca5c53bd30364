//! A sealed message from a peer, and message keys from a disk that others can write to: a message opens only as it was sealed,
//! and nothing else changes a key.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_fuzz::{Spoiled, groups::Groups};
use terachat_group::Messages;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Message(&'a [u8]),
    SpoiledMessage(Spoiled),
    SpoiledKeys(u8, Spoiled),
}

thread_local! {
    static GROUPS: Groups = Groups::new();
}

fuzz_target!(|input: Input<'_>| {
    GROUPS.with(|groups| {
        let mut keys = groups.carols_keys.clone();
        let message = match input {
            Input::Message(bytes) => bytes.to_vec(),
            Input::SpoiledMessage(spoiled) => spoiled.apply(&groups.sealed),
            Input::SpoiledKeys(part, spoiled) => {
                let at = usize::from(part) % keys.len();
                keys[at].1 = spoiled.apply(&keys[at].1);
                groups.sealed.clone()
            }
        };
        let read = Messages::from_parts(keys.iter().map(|(name, value)| (&name[..], &value[..])));
        let Ok(mut messages) = read else { return };
        let opens = messages.open(&message, &groups.alice.device()).is_ok();
        assert_eq!(opens, !messages.changes().is_empty(), "keys change where a message opens");
        if keys == groups.carols_keys {
            assert_eq!(opens, message == groups.sealed);
        }
    });
});
