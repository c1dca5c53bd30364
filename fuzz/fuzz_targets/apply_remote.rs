//! A peer's bundle against a store: a refusal or a wait changes nothing. Input: a batch and its payloads' bytes, for
//! the control log, which needs no key.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use terachat_core_store::model::Skeleton;
use terachat_core_store::sync::{Batch, BatchAuthor, BatchEvent, Bundle, ChunkLen, Outcome};
use terachat_event::{DeviceId, DeviceKey, EventHash, Header, Kind, Step, chain_start};
use terachat_fuzz::{Counter, World, owner, secret, world};

#[derive(Arbitrary, Debug)]
struct Input {
    in_channel: bool,
    /// Which of a few known devices, its first number, its signature.
    authors: Vec<(u8, u8, bool)>,
    /// Author, Lamport time, parents, payload.
    events: Vec<(u8, u8, Vec<(u8, u8)>, Vec<u8>)>,
    /// Whose chain a skeleton claims to be in, its number, what it builds on; the last one's hash is cited.
    skeletons: Vec<(u8, u8, Vec<u8>)>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(world(3));
}

fuzz_target!(|input: Input| {
    WORLD.with_borrow_mut(|world| {
        let log = if input.in_channel { world.channel } else { world.control };
        let (batch, payloads) = batch(world, &input);
        let before = (world.store.frontier(&log), world.store.state_hash(&log), world.store.disk_len());
        let chunks = cut(&batch, &payloads);
        let secret = world.store.epoch_secret(&log.space, &world.key.commit).expect("the founder has it");
        let key = log.channel.map(|id| terachat_core_store::model::EpochKey::derive(&secret, &id));
        let bundle = Bundle::pack(batch, &chunks, key.as_ref(), &mut Counter::default());
        match world.store.apply_remote(&bundle) {
            // Unsigned events can only be ones that were here already.
            Ok(Outcome::Applied { new, .. }) => assert!(new.is_empty(), "an unsigned event was taken in"),
            Ok(Outcome::Equivocated { .. }) => panic!("somebody was framed"),
            _ => {}
        }
        let after = (world.store.frontier(&log), world.store.state_hash(&log), world.store.disk_len());
        assert_eq!(before, after);
    });
});

fn batch(world: &World, input: &Input) -> (Batch, Vec<Vec<u8>>) {
    let log = if input.in_channel { world.channel } else { world.control };
    let device = |n: u8| match n % 3 {
        0 => owner().id(),
        1 => DeviceKey::from_seed(&secret(7)).id(),
        _ => DeviceId([n; 32]),
    };
    let mut authors: Vec<BatchAuthor> = input
        .authors
        .iter()
        .take(4)
        .map(|(n, first, signed)| BatchAuthor {
            device: device(*n),
            first_seq: u64::from(*first % 8).max(1),
            count: 0,
            signature: [u8::from(*signed); 64],
        })
        .collect();
    if authors.is_empty() {
        authors.push(BatchAuthor { device: device(0), first_seq: 1, count: 0, signature: [0; 64] });
    }
    let (mut events, mut parents, mut payloads) = (Vec::new(), Vec::new(), Vec::new());
    for (author, lamport, list, payload) in input.events.iter().take(8) {
        let author = usize::from(*author) % authors.len();
        authors[author].count += 1;
        let list = list.iter().take(4);
        let before = parents.len();
        parents.extend(list.map(|(author, seq)| {
            (u32::from(*author) % u32::try_from(authors.len()).expect("few"), u64::from(*seq % 8).max(1))
        }));
        events.push(BatchEvent {
            author: u32::try_from(author).expect("few"),
            control: 0,
            lamport: u64::from(*lamport % 8),
            wall_ms: 5,
            parents: u32::try_from(parents.len() - before).expect("few"),
            payload_len: u32::try_from(payload.len()).expect("short"),
        });
        payloads.push(payload.clone());
    }
    let mut controls =
        world.store.control(&log.space).expect("it can be read").expect("it was founded").heads();
    let mut skeletons: Vec<Skeleton> = Vec::new();
    for (author, seq, list) in input.skeletons.iter().take(4) {
        // Of what is known, and of the skeletons before.
        let known = |n: &u8| {
            let earlier = skeletons.get(usize::from(*n)).map(Skeleton::hash);
            earlier.unwrap_or(controls[usize::from(*n) % controls.len()])
        };
        let mut parents: Vec<EventHash> = list.iter().take(3).map(known).collect();
        parents.sort_unstable();
        parents.dedup();
        let (seq, mut header) = (u64::from(*seq % 8).max(1), Vec::new());
        let (kind, lamport, wall_ms, epoch) = (Kind::Control, 9, 0, None);
        Header { kind, seq, lamport, wall_ms, epoch, parents: &parents, control: &[] }.write(&mut header);
        let previous = if seq == 1 { chain_start(&world.control, &device(*author)) } else { known(author) };
        let step = Step { header, payload_hash: [1; 32] };
        skeletons.push(Skeleton { author: device(*author), previous, step });
    }
    controls.extend(skeletons.last().map(Skeleton::hash));
    controls.sort_unstable();
    let sealed = input.in_channel;
    let key = sealed.then_some(world.key);
    let controls = if sealed { vec![controls] } else { Vec::new() };
    let chunk_len = ChunkLen::for_history(payloads.iter().map(Vec::len).sum());
    let stubs = Vec::new();
    (Batch { log, key, authors, controls, chunk_len, events, parents, stubs, skeletons }, payloads)
}

fn cut(batch: &Batch, payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut from = 0;
    batch
        .chunk_ends()
        .into_iter()
        .map(|end| {
            let chunk = payloads[from..end].concat();
            from = end;
            chunk
        })
        .collect()
}
