use super::*;
use crate::minutiae::tests::record;
use proptest::prelude::*;

fn text(max: usize) -> impl Strategy<Value = String> {
    prop::collection::vec("[a-zé0-9 ]", 1..=max / 2).prop_map(|parts| parts.concat())
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let consent = (any::<u64>(), text(256), text(256)).prop_map(|(given_at_ms, purpose, reference)| {
        Consent { given_at_ms, purpose: purpose.parse().unwrap(), reference: reference.parse().unwrap() }
    });
    let labels = prop::collection::btree_map(text(64), text(256), 0..=4);
    let options = (
        prop::option::of(0..=100u8),
        prop::option::of(text(256)),
        prop::option::of(consent),
        any::<Option<u64>>(),
    );
    (text(256), options, labels).prop_map(|(subject, (quality, device, consent, keep_until_ms), labels)| {
        let mut metadata = Metadata::new(subject.parse().unwrap(), TemplateType::Fingerprint);
        metadata.quality = quality.map(|quality| quality.try_into().unwrap());
        metadata.capture_device = device.map(|device| device.parse().unwrap());
        metadata.consent = consent;
        metadata.keep_until_ms = keep_until_ms;
        for (key, value) in labels {
            metadata.labels.insert(key.parse().unwrap(), value.parse().unwrap()).unwrap();
        }
        metadata
    })
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        prop::collection::vec(-1e30f32..1e30, 1..40)
            .prop_filter_map("a zero vector", |values| Embedding::take(values).ok().map(Body::Vector)),
        Just(()).prop_map(|()| Body::Minutiae(Minutiae::take(record()).unwrap())),
        prop::collection::vec(any::<u8>(), 1..100)
            .prop_map(|bytes| Body::Opaque(Opaque::take(bytes).unwrap())),
    ]
}

proptest! {
    #[test]
    fn templates_read_what_they_wrote(metadata in metadata(), body in body(), cut: prop::sample::Index) {
        let template = Template::new(metadata, body).unwrap();
        let bytes = template.encode();
        prop_assert_eq!(bytes.len(), bytes.capacity());
        prop_assert_eq!(Template::decode(&bytes), Ok(template));
        prop_assert!(Template::decode(&bytes[..cut.index(bytes.len())]).is_err());
        prop_assert!(Template::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    /// Whatever is read is canonical: it writes back to the very bytes it came from.
    #[test]
    fn flipped_bytes_never_panic_and_never_read_as_another_encoding(metadata in metadata(), body in body(), at: prop::sample::Index, flip in 1..=255u8) {
        let mut bytes = Template::new(metadata, body).unwrap().encode();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(template) = Template::decode(&bytes) {
            prop_assert_eq!(template.encode(), bytes);
        }
    }
}

/// The bytes that `docs/format/template.md` shows.
fn example() -> Vec<u8> {
    let mut metadata = Metadata::new("ann".parse().unwrap(), TemplateType::Face);
    metadata.quality = Some(90.try_into().unwrap());
    metadata.keep_until_ms = Some(0x1_0000);
    metadata.labels.insert("door".parse().unwrap(), "7".parse().unwrap()).unwrap();
    let body = Body::Vector(Embedding::take(vec![1.0, -0.5]).unwrap());
    Template::new(metadata, body).unwrap().encode().to_vec()
}

#[test]
fn the_documented_example() {
    let expected = [
        b"TCtmpl\0\x01".as_slice(),
        &[1, 1, 90, 4],
        b"\x03\0ann",
        &[0, 0, 1, 0, 0, 0, 0, 0],
        b"\x01\x04\0door\x01\x007",
        &[8, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xbf],
    ];
    assert_eq!(example(), expected.concat());
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Vec<u8>), expected: Error) {
    let mut bytes = example();
    change(&mut bytes);
    assert_eq!(Template::decode(&bytes), Err(expected));
}

#[test]
fn each_broken_rule_has_its_error() {
    refused(|bytes| bytes[7] = 2, Error::Format("it does not begin with TCtmpl and version 1"));
    refused(|bytes| bytes[8] = 0, Error::TypeNumber(0));
    refused(|bytes| bytes[8] = 6, Error::TypeNumber(6));
    refused(|bytes| bytes[9] = 4, Error::Format("an unknown kind of body"));
    refused(|bytes| bytes[9] = 2, Error::Minutiae("shorter than its header"));
    refused(|bytes| bytes[10] = 101, Error::Quality(101));
    refused(|bytes| bytes[11] = 12, Error::Format("an unknown flag"));
    refused(|bytes| bytes[14] = 0xff, Error::Format("a text is not UTF-8"));
    refused(|bytes| bytes[14] = b'\n', Error::ControlCharacter { what: "subject" });
    refused(|bytes| bytes.truncate(11), Error::Format("it is cut short"));
    refused(|bytes| bytes.push(0), Error::Format("its length is not the one that it declares"));
    let number = |place: usize, value: f32| {
        move |bytes: &mut Vec<u8>| {
            let at = bytes.len() - 8 + 4 * place;
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
    };
    refused(number(1, f32::NAN), Error::NotFinite { at: 1 });
    refused(number(0, f32::INFINITY), Error::NotFinite { at: 0 });
    let body = |len: u32, body: Vec<u8>| {
        move |bytes: &mut Vec<u8>| {
            bytes.truncate(bytes.len() - 12);
            bytes.extend(len.to_le_bytes());
            bytes.extend(body);
        }
    };
    refused(body(8, vec![0; 8]), Error::ZeroVector);
    refused(body(0, vec![]), Error::Dimension(0));
    refused(body(6, vec![1; 6]), Error::Format("a vector's length is no multiple of 4"));
    refused(body(4 * 4097, vec![1; 4 * 4097]), Error::Dimension(4097));
    refused(body(u32::MAX, vec![1; 8]), Error::Format("its length is not the one that it declares"));
}

#[test]
fn labels_stand_in_one_order_only() {
    let mut metadata = Metadata::new("ann".parse().unwrap(), TemplateType::Other);
    for key in ["a", "b"] {
        metadata.labels.insert(key.parse().unwrap(), "".parse().unwrap()).unwrap();
    }
    let body = Body::Opaque(Opaque::take(vec![1]).unwrap());
    let bytes = Template::new(metadata, body).unwrap().encode();
    assert!(Template::decode(&bytes).is_ok());
    for (a, b) in [(b'b', b'a'), (b'a', b'a')] {
        let mut bytes = bytes.to_vec();
        let at = bytes.len() - 5 - 10;
        (bytes[at + 2], bytes[at + 7]) = (a, b);
        assert_eq!(Template::decode(&bytes), Err(Error::Format("labels are not strictly ascending")));
    }
}
