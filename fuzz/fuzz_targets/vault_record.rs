//! What lies in a vault's store, whoever put it there.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_vault::{RecordAddress, RecordHeader, Secret, open_record};

fuzz_target!(|bytes: &[u8]| {
    let address = RecordAddress { collection: [1; 16], record: [2; 16], version: 3 };
    let header = RecordHeader::read(bytes);
    let opened = open_record(&Secret::take(&mut [7; 32]), &address, bytes);
    assert!(opened.is_err(), "nobody without the key makes a record");
    assert!(header.is_ok() || matches!(opened, Err(terachat_vault::Error::Envelope(_))));
});
