//! The test vector of `docs/format/event.md`: whoever writes events in another language gets these very bytes.
use terachat_event::{
    ChannelId, DeviceKey, Error, EventHash, Header, Kind, LogId, SpaceId, chain_start, genesis_start, link,
    payload_commitment, payload_hash, prefix,
};
use terachat_vault::Secret;

const DOCUMENT: &str = include_str!("../../../docs/format/event.md");

fn key(seed: u8) -> DeviceKey {
    DeviceKey::from_seed(&Secret::take(&mut [seed; 32]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The value beside `name` in the document's table of vectors.
#[track_caller]
fn documented(name: &str) -> String {
    let row = format!("| {name} | `");
    let line = DOCUMENT.lines().find_map(|line| line.strip_prefix(&row));
    line.unwrap_or_else(|| panic!("no vector called {name:?}")).trim_end_matches("` |").to_owned()
}

#[track_caller]
fn case(name: &str, bytes: &[u8]) {
    assert_eq!(hex(bytes), documented(name), "{name}");
}

#[test]
fn a_genesis_is_hashed_and_signed_as_documented() {
    let ann = key(1);
    case("ann", &ann.id().0);
    let mut header = Vec::new();
    Header {
        kind: Kind::Control,
        seq: 1,
        lamport: 1,
        wall_ms: 1_760_000_000_000,
        epoch: None,
        parents: &[],
        control: &[],
    }
    .write(&mut header);
    case("genesis header", &header);
    let start = genesis_start(&ann.id());
    case("genesis h_0", &start.0);
    case("genesis payload hash", &payload_hash(b"genesis"));
    let hash = link(&prefix(&start, &header), &payload_hash(b"genesis"));
    case("genesis h_1", &hash.0);
    let log = LogId::control(SpaceId(hash.0));
    case("genesis signature", &ann.sign_head(&log, 1, hash).signature);
}

#[test]
fn a_sealed_event_is_hashed_and_signed_as_documented() {
    let bob = key(2);
    case("bob", &bob.id().0);
    let log = LogId::channel(SpaceId([0xaa; 32]), ChannelId([0xbb; 32]));
    let mut header = Vec::new();
    Header {
        kind: Kind::Sealed,
        seq: 1,
        lamport: 4,
        wall_ms: 1_760_000_000_123,
        epoch: Some(2),
        parents: &[EventHash([0x11; 32]), EventHash([0x22; 32])],
        control: &[EventHash([0x33; 32])],
    }
    .write(&mut header);
    case("sealed header", &header);
    let start = chain_start(&log, &bob.id());
    case("sealed h_0", &start.0);
    let prefix = prefix(&start, &header);
    let commitment =
        payload_commitment(&Secret::take(&mut [0x44; 32]), &prefix, b"operation", &mut Vec::new());
    case("sealed payload hash", &commitment);
    let hash = link(&prefix, &commitment);
    case("sealed h_1", &hash.0);
    let head = bob.sign_head(&log, 1, hash);
    case("sealed signature", &head.signature);
    assert_eq!(head.verify(&log, &bob.id()), Ok(()));
    assert!(matches!(head.verify(&LogId::control(log.space), &bob.id()), Err(Error::Signature(_))));
}
