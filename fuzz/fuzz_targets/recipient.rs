//! What is sealed outside of any group for a key made for one time, and that key as a peer publishes it: only what was sealed opens,
//! only in its context, and for whatever is a key something can be sealed.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_fuzz::{Counter, Spoiled, secret};
use terachat_group::Recipient;
use terachat_vault::SecretBytes;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Sealed(&'a [u8], &'a [u8]),
    Spoiled(Spoiled, Spoiled),
    Key(&'a [u8]),
    SpoiledKey(Spoiled),
    RoundTrip(&'a [u8], &'a [u8]),
}

const CONTEXT: &[u8] = b"context";
const TEXT: &[u8] = b"a secret";

struct Honest {
    recipient: Recipient,
    key: Vec<u8>,
    sealed: Vec<u8>,
}

impl Honest {
    fn new() -> Self {
        let recipient = Recipient::new(secret(1));
        let (key, text) = (recipient.public_key(), SecretBytes::copy_from(TEXT));
        let sealed = Recipient::seal(&key, CONTEXT, &text, &mut Counter::default()).expect("it is a key");
        Self { recipient, key, sealed }
    }
}

thread_local! {
    static HONEST: Honest = Honest::new();
}

fuzz_target!(|input: Input<'_>| {
    HONEST.with(|honest| {
        let (context, sealed) = match input {
            Input::Sealed(context, sealed) => (context.to_vec(), sealed.to_vec()),
            Input::Spoiled(context, sealed) => (context.apply(CONTEXT), sealed.apply(&honest.sealed)),
            Input::Key(key) => return publish(key),
            Input::SpoiledKey(key) => return publish(&key.apply(&honest.key)),
            Input::RoundTrip(context, text) => return round_trip(honest, context, text),
        };
        let opened = honest.recipient.open(&context, &sealed);
        let same = context == CONTEXT && sealed == honest.sealed;
        assert_eq!(opened.is_ok(), same, "every byte is authenticated");
        if let Ok(text) = opened {
            assert_eq!(text.expose_secret(), TEXT);
        }
    });
});

/// Whoever publishes no key has nothing sealed for it; it is no more than refused.
fn publish(key: &[u8]) {
    let sealed = Recipient::seal(key, CONTEXT, &SecretBytes::copy_from(TEXT), &mut Counter::default());
    assert!(sealed.is_err() || key.len() == 1216);
}

fn round_trip(honest: &Honest, context: &[u8], text: &[u8]) {
    let secret = SecretBytes::copy_from(text);
    let sealed = Recipient::seal(&honest.key, context, &secret, &mut Counter::default());
    let opened = honest.recipient.open(context, &sealed.expect("it is a key")).expect("it is for it");
    assert_eq!(opened.expose_secret(), text);
}
