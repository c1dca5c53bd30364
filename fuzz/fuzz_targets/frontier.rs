//! What a peer says it has, in whatever numbers it likes.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use terachat_core_store::sync::{Bundle, ChainHead, Frontier, Limits};
use terachat_event::{DeviceId, EventHash};
use terachat_fuzz::{World, empty_store, owner, world};

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(world(5));
}

fuzz_target!(|input: (bool, Vec<(bool, u64, Option<[u8; 32]>)>)| {
    WORLD.with_borrow_mut(|world| {
        let (in_channel, chains) = input;
        let log = if in_channel { world.channel } else { world.control };
        let known = world.store.frontier(&log).expect("the log is here");
        let chains = chains
            .into_iter()
            .map(|(own, seq, hash)| ChainHead {
                device: if own { owner().id() } else { DeviceId([5; 32]) },
                seq,
                hash: hash.map_or(known.chains[0].hash, EventHash),
            })
            .collect();
        let Ok(bundles) = world.store.bundles_since(&Frontier { log, chains }, Limits::PEER) else { return };
        for bundle in bundles {
            let read = Bundle::decode(&bundle.encode(), Limits::PEER).expect("what it sends is well formed");
            let _ = empty_store().apply_remote(&read);
        }
    });
});
