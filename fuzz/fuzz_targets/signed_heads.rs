//! Many signatures verified together, of which some were changed: the verdict on each is that of checking it alone.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_event::{DeviceId, DeviceKey, EventHash, LogId, SignedHead, SpaceId, verify_heads};
use terachat_fuzz::secret;

#[derive(Arbitrary, Debug)]
enum Head {
    /// As one of a few devices signs it.
    Signed(u8),
    /// The same with one byte of it changed: of the signature, the key or the hash.
    Changed(u8, u8, u8),
    /// Any bytes.
    Any([u8; 32], [u8; 64]),
    /// A key and a nonce that are few above 0 or below 2^255, where small orders and encodings that are not canonical are,
    /// with s = 0.
    Edge(i8, i8),
}

fuzz_target!(|heads: Vec<Head>| {
    let log = LogId::control(SpaceId([1; 32]));
    let heads: Vec<_> = heads.iter().take(40).map(|case| head(&log, case)).collect();
    let bad = heads.iter().map(|(author, head)| head.verify(&log, author).is_err());
    let expected: Vec<_> = bad.enumerate().filter_map(|(at, bad)| bad.then_some(at)).collect();
    assert_eq!(verify_heads(&log, &heads), expected);
});

fn head(log: &LogId, case: &Head) -> (DeviceId, SignedHead) {
    match case {
        Head::Signed(who) => signed(log, *who),
        Head::Changed(who, at, change) => {
            let (mut author, mut head) = signed(log, *who);
            match usize::from(*at) {
                at @ 0..64 => head.signature[at] ^= change,
                at @ 64..96 => author.0[at - 64] ^= change,
                at => head.hash.0[at % 32] ^= change,
            }
            (author, head)
        }
        Head::Any(key, signature) => {
            (DeviceId(*key), SignedHead { seq: 1, hash: EventHash([0; 32]), signature: *signature })
        }
        Head::Edge(key, nonce) => {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&edge(*nonce));
            (DeviceId(edge(*key)), SignedHead { seq: 1, hash: EventHash([0; 32]), signature })
        }
    }
}

fn signed(log: &LogId, who: u8) -> (DeviceId, SignedHead) {
    let key = DeviceKey::from_seed(&secret(who));
    (key.id(), key.sign_head(log, u64::from(who) + 1, EventHash([who; 32])))
}

/// `number`, or 2^255 + `number` if it is negative, modulo 64; the next bit of its size is the sign's.
fn edge(number: i8) -> [u8; 32] {
    let sign = (number.unsigned_abs() & 0x40) << 1;
    let mut bytes = if number < 0 { [0xff; 32] } else { [0; 32] };
    bytes[0] = if number < 0 { 0xc0 | number.cast_unsigned() } else { number.cast_unsigned() & 0x3f };
    bytes[31] = bytes[31] & 0x7f | sign;
    bytes
}
