//! A page of a channel's newest events against a store that has the control log only. The first byte says which bytes follow: a
//! page as it travels, which is decoded and judged; or where an honest one is spoiled. Nothing but the honest page is ever shown.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use terachat_core_store::LocalStore;
use terachat_core_store::sync::{Bundle, Frontier, Limits, NewestPage, Want};
use terachat_fuzz::{empty_store, world};

thread_local! {
    static WORLD: RefCell<(LocalStore, Vec<u8>)> = RefCell::new(reader());
}

const WANT: Want = Want::First { messages: 9 };

/// A reader who has the control log and the key, and the bytes of an honest page.
fn reader() -> (LocalStore, Vec<u8>) {
    let mut world = world(40);
    let page =
        world.store.newest(&world.channel, &WANT).expect("it can be read").expect("there is one").encode();
    let mut store = empty_store();
    let nothing = Frontier { log: world.control, chains: Vec::new() };
    let control: Vec<Bundle> = world.store.bundles_since(&nothing, Limits::PEER).expect("it can be read");
    for bundle in &control {
        store.apply_remote(bundle).expect("the control log is taken in");
    }
    let key = world.store.epoch_secret(&world.channel.space, &world.key.commit).expect("the founder has it");
    let record = LocalStore::epoch_secret_record(&world.channel.space, &world.key.commit, &key);
    store.write_records(vec![record]).expect("memory has room");
    (store, page)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((shape, bytes)) = bytes.split_first() else { return };
    WORLD.with_borrow_mut(|(store, honest)| {
        let mut page = if shape & 1 == 0 { bytes.to_vec() } else { honest.clone() };
        if shape & 1 == 1 {
            for spoil in bytes.chunks_exact(3).take(8) {
                let at = usize::from(u16::from_le_bytes([spoil[0], spoil[1]])) % page.len();
                page[at] ^= spoil[2];
            }
        }
        let Ok(read) = NewestPage::decode(&page) else { return };
        let log = read.log;
        let events = read.events();
        let taken = store.take_newest(&WANT, read, shape & 2 == 2);
        if store.has_preview(&log) {
            assert!(taken.is_ok(), "a refused page is shown");
            assert!(events == 0 || same_events(&page, honest), "a page that nobody signed is shown");
            store.drop_preview(&log).expect("memory has room");
        }
    });
});

/// Whether two pages say the same: a bundle's salt and its compression say nothing.
fn same_events(one: &[u8], other: &[u8]) -> bool {
    let batches = |bytes: &[u8]| {
        let page = NewestPage::decode(bytes).expect("it was read before");
        page.bundles.into_iter().map(|bundle| bundle.batch.events).collect::<Vec<_>>()
    };
    batches(one) == batches(other)
}
