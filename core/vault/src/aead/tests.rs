use super::*;
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    let text: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    text.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Both implementations, cached and one-shot, seal `text` to exactly `sealed` (ciphertext and tag) and open it again.
#[track_caller]
fn vector(algorithm: Algorithm, [key, nonce, aad, text, sealed]: [&str; 5]) {
    let [key, nonce, aad, text, sealed] = [key, nonce, aad, text, sealed].map(hex);
    let (key, nonce) = (Secret::take(&mut key.try_into().unwrap()), nonce.try_into().unwrap());
    for other in [false, true] {
        let mut once = text.clone();
        let (opened, tag) = if other {
            let cached = portable::Key::new(algorithm, &key);
            let mut buffer = text.clone();
            let tag = cached.seal(&nonce, &aad, &mut buffer);
            append(&mut buffer, &tag);
            assert_eq!(buffer, sealed, "{algorithm:?}, portable");
            let len = cached.open(&nonce, &aad, &mut buffer).unwrap();
            (
                buffer[..len].to_vec(),
                portable::seal_once(algorithm, key.expose_secret(), &nonce, &aad, &mut once),
            )
        } else {
            let cached = SealKey::new(algorithm, &key);
            let mut buffer = text.clone();
            cached.seal(&nonce, &aad, &mut buffer);
            assert_eq!(buffer, sealed, "{algorithm:?}, native");
            let opened = cached.open(&nonce, &aad, &buffer).unwrap();
            assert_eq!(cached.open_secret(&nonce, &aad, &buffer).ok().unwrap().expose_secret(), text);
            (opened, imp::seal_once(algorithm, key.expose_secret(), &nonce, &aad, &mut once))
        };
        assert_eq!(opened, text);
        append(&mut once, &tag);
        assert_eq!(once, sealed, "{algorithm:?}, once");
    }
    let opened = open_secret_once(algorithm, &key, &nonce, &aad, &sealed).ok().unwrap();
    assert_eq!(opened.expose_secret(), text);
}

/// RFC 8439, section 2.8.2.
#[test]
fn rfc_8439_vector() {
    vector(
        Algorithm::ChaCha20Poly1305,
        [
            "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
            "070000004041424344454647",
            "50515253c0c1c2c3c4c5c6c7",
            "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73637265656e20776f756c642062652069742e",
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116
             1ae10b594f09e26a7e902ecbd0600691",
        ],
    );
}

/// "The Galois/Counter Mode of Operation" (McGrew and Viega, as submitted to NIST), test cases 13 to 16.
#[test]
fn nist_gcm_vectors() {
    let zeros = "00".repeat(32);
    vector(Algorithm::Aes256Gcm, [&zeros, &zeros[..24], "", "", "530f8afbc74536b9a963b4f1c4cb738b"]);
    vector(
        Algorithm::Aes256Gcm,
        [
            &zeros,
            &zeros[..24],
            "",
            &zeros[..32],
            "cea7403d4d606b6e074ec5d3baf39d18 d0d1c8a799996bf0265b98b5d48ab919",
        ],
    );
    let key = "feffe9928665731c6d6a8f9467308308 feffe9928665731c6d6a8f9467308308";
    let text = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
    let sealed = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
    vector(
        Algorithm::Aes256Gcm,
        [key, "cafebabefacedbaddecaf888", "", text, &format!("{sealed} b094dac5d93471bdec1a502270e3cc6c")],
    );
    vector(
        Algorithm::Aes256Gcm,
        [
            key,
            "cafebabefacedbaddecaf888",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            &text[..120],
            &format!("{} 76fc6ece0f4e1768cddf8853bb2d551b", &sealed[..120]),
        ],
    );
}

#[test]
fn algorithms_keep_their_numbers() {
    for number in 0..=u8::MAX {
        assert_eq!(Algorithm::from_number(number).is_some(), (1..=2).contains(&number));
        assert!(Algorithm::from_number(number).is_none_or(|algorithm| algorithm as u8 == number));
    }
}

proptest! {
    /// The browser's implementation and the native one write and read the same bytes.
    #[test]
    fn both_implementations_agree(aes: bool, mut key: [u8; 32], nonce: [u8; 12], aad: Vec<u8>, text: Vec<u8>, flip: prop::sample::Index) {
        let algorithm = if aes { Algorithm::Aes256Gcm } else { Algorithm::ChaCha20Poly1305 };
        let key = Secret::take(&mut key);
        let (native, other) = (SealKey::new(algorithm, &key), portable::Key::new(algorithm, &key));
        let (mut a, mut b, mut once) = (text.clone(), text.clone(), text.clone());
        native.seal(&nonce, &aad, &mut a);
        let tag = other.seal(&nonce, &aad, &mut b);
        append(&mut b, &tag);
        seal_once(algorithm, &key, &nonce, &aad, &mut once);
        prop_assert_eq!(&a, &b);
        prop_assert_eq!(&a, &once);
        prop_assert_eq!(&native.open(&nonce, &aad, &b).unwrap(), &text);
        let opened = portable::open_once(algorithm, key.expose_secret(), &nonce, &aad, &mut b).unwrap();
        prop_assert_eq!(&b[..opened], &text);
        let at = flip.index(a.len());
        a[at] ^= 1;
        prop_assert!(native.open(&nonce, &aad, &a).is_err());
        prop_assert!(native.open_secret(&nonce, &aad, &a).is_err());
        prop_assert!(open_once(algorithm, &key, &nonce, &aad, &mut a.clone()).is_err());
        prop_assert!(other.open(&nonce, &aad, &mut a).is_err());
    }
}
