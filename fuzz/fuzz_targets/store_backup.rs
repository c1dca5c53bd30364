//! A backup of a store: keyring, epoch secrets, chunks, and the frames in them; and a state map.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_core_store::query::StateMap;
use terachat_event::SpaceId;

fuzz_target!(|bytes: &[u8]| {
    terachat_client::fuzz_backup(bytes);
    let space = SpaceId([1; 32]);
    let _ = StateMap::open(bytes, [space]);
    if let Ok(map) = StateMap::decode(space, bytes) {
        // What is read is in order, so comparing it cannot go wrong, and a map is never unlike itself.
        assert_eq!(map.differences(&map), Ok(Vec::new()));
    }
});
