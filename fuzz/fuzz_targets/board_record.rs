//! Records as a board gives them, and what is in them once it was opened.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_core_store::store::dht_adapter::BoardStream;
use terachat_core_store::sync::board::BoardRecord;
use terachat_event::{DeviceId, LogId, SpaceId};
use terachat_fuzz::secret;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = BoardRecord::decode(bytes.to_vec()) {
        let log = LogId::control(SpaceId([1; 32]));
        let _ = BoardStream::derive(&secret(1), &log, &DeviceId([2; 32]), 3).open(0, &record);
    }
    terachat_client::fuzz_parcel(bytes);
});
