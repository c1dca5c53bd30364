//! Members of stories with forks put all they have of the space into a file, as backups and bundle files do it, and somebody who
//! reads it from its beginning comes to the state of who wrote it: nothing in it is refused, and nothing waits.
//! `TERACHAT_FILE_SEEDS=FROM..TO` plays other stories than those of each run.
use super::*;

const SEEDS: Range<u64> = 0..24;

/// What the files held.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    files: u64,
    bundles: u64,
    forks: u64,
    /// Events behind forks that a file held, since something before the fork stands under one signature with them; and that it
    /// did without.
    behind: usize,
    left_out: usize,
}

/// Somebody who reads a file with all that `writer` has.
fn read(writer: &mut Device, space: SpaceId, limits: Limits, written: &mut Written) -> Device {
    let mut reader = Device::new(9);
    reader.learn_epoch(space);
    let proofs = writer.store.proofs(&space);
    proofs.iter().for_each(|proof| assert!(reader.store.apply_proof(proof).unwrap()));
    written.files += 1;
    written.forks += proofs.len() as u64;
    for log in writer.store.logs() {
        let (mut whole, mut events) = (writer.store.whole_log(log).unwrap(), 0);
        while let Some(bundle) = writer.store.next_of(&mut whole, limits).unwrap() {
            events += bundle.batch.events.len();
            written.bundles += 1;
            let outcome = reader.take(&bundle.encode());
            let is_taken = matches!(&outcome, Ok(Outcome::Applied { new, known: 0 }) if new.len() == bundle.batch.events.len());
            assert!(is_taken, "{log:?}: {outcome:?}");
        }
        let index = writer.store.index(&log).unwrap();
        let behind = (0..index.len()).filter(|at| index.is_frozen(&index.event_ref(*at))).count();
        let left_out = index.len() as usize - events;
        written.left_out += left_out;
        written.behind += behind.checked_sub(left_out).expect("nothing that may count is left out");
    }
    reader
}

/// What a file has to bring: the state, and where each chain stands as far as it counts.
fn brought(device: &Device, space: SpaceId) -> ([u8; 32], Vec<Option<Frontier>>) {
    let channels = device.store.space(&space).unwrap().channels.keys();
    let logs = channels.map(|id| LogId::channel(space, *id)).chain([LogId::control(space)]);
    (device.store.space_hash(&space).unwrap(), logs.map(|log| device.store.frontier(&log)).collect())
}

/// A story of up to three who have a twin, by whom nobody speaks of what cannot be seen: an honest writer's store has all that its
/// events name.
fn play(seed: u64) -> Story {
    let mut story = Story::play_with(seed, seed.is_multiple_of(2), true);
    for _ in 0..seed % 3 {
        story.clone_somebody();
        (0..STEPS / 2).for_each(|_| story.step());
    }
    story
}

#[test]
fn who_reads_a_file_from_its_beginning_comes_to_the_state_of_who_wrote_it() {
    let mut written = Written::default();
    for seed in seeds("TERACHAT_FILE_SEEDS", SEEDS) {
        let mut story = play(seed);
        let space = story.space;
        // As each of them stands, then as all do, then after what was committed one by one was put together.
        for round in 0..3 {
            match round {
                0 => {}
                1 => gossip(&mut story.devices.iter_mut().collect::<Vec<_>>(), space),
                _ => story.devices.iter_mut().for_each(|device| _ = device.store.compact().unwrap()),
            }
            for (at, writer) in story.devices.iter_mut().enumerate() {
                let expected = brought(writer, space);
                // All in as few bundles as can be, and as many as there can be.
                for payload_len in [Limits::PEER.payload_len, 1] {
                    let limits = Limits { payload_len, ..Limits::PEER };
                    let told = std::panic::AssertUnwindSafe(|| {
                        let mut reader = read(writer, space, limits, &mut written);
                        assert_eq!(brought(&reader, space), expected);
                        let audit = reader.store.audit_state_integrity().unwrap();
                        assert_eq!(audit.alarm, Vec::<String>::new());
                    });
                    std::panic::catch_unwind(told).unwrap_or_else(|_| {
                        panic!("seed {seed}, round {round}, device {at}, {payload_len} bytes a bundle")
                    });
                }
            }
        }
    }
    eprintln!("{written:?}");
    let Written { forks, behind, left_out, .. } = written;
    assert!(forks > 0 && behind > 0 && left_out > 0, "or this tests little: {written:?}");
}

/// A fork takes back that a channel was created in which others have spoken: nobody can judge that, and it is not in the file.
#[test]
fn a_channel_whose_creation_came_to_nothing_is_left_out() {
    let (mut a, mut x, mut twin) = (Device::new(1), Device::new(2), Device::new(2));
    let space = a.found();
    a.admit(space, &x, Rank::ADMIN);
    let log = a.create_channel(space, "general");
    for other in [&mut x, &mut twin] {
        other.learn_epoch(space);
        other.pull(&mut a).unwrap();
    }
    let room = x.create_channel(space, "room");
    a.pull(&mut x).unwrap();
    a.say(room, "in the room");
    twin.create_channel(space, "trap");
    gossip(&mut [&mut a, &mut twin], space);
    a.say(log, "elsewhere");
    let (mut written, expected) = (Written::default(), brought(&a, space));
    let reader = read(&mut a, space, Limits::PEER, &mut written);
    assert_eq!(brought(&reader, space), expected);
    assert!(a.store.len(&room) == 1 && reader.store.index(&room).is_none());
    assert_eq!((written.forks, written.bundles), (1, 2), "{written:?}");
    assert_eq!(reader.bodies(log), ["elsewhere"]);
}
