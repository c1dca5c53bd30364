//! A node in this process, and peers that are not what they should be.
use crate::testing::{World, runtime};
use crate::{Error, RunOptions};
use std::time::{Duration, Instant};
use terachat_cluster::wire::{Ask, Ends, Frame, Kind, Told, decode, encode};
use terachat_cluster::{Fate, ITEM_LEN_MAX, ItemName, Message, Refused, Request, Response, Slot};
use terachat_host::OsEntropy;
use terachat_net::{Net, NetEvent, NetEvents, PeerKey};
use terachat_vault::Secret;
use tokio::time::timeout;

/// What no step comes near.
const PATIENCE: Duration = Duration::from_secs(60);

fn frame(kind: Kind, call: u64, body: &[u8]) -> Vec<u8> {
    Frame { kind, call, body }.encode()
}

async fn connect(world: &World) -> (Net, NetEvents, PeerKey) {
    let seed = Secret::generate(|seed| terachat_vault::Entropy::fill(&mut OsEntropy::new().unwrap(), seed));
    let (net, events) = Net::start(&seed, None).await.unwrap();
    let peer = net.dial(&world.contact.address, Some(PeerKey(world.contact.key.0))).await.unwrap();
    (net, events, peer)
}

/// The body of the next frame of this kind, and whether the connection is still there.
async fn next(events: &mut NetEvents, kind: Kind) -> Option<Vec<u8>> {
    loop {
        match timeout(PATIENCE, events.recv()).await.unwrap().unwrap() {
            NetEvent::Frame { bytes, .. } => {
                let frame = Frame::read(&bytes).unwrap();
                if frame.kind == kind {
                    return Some(frame.body.to_vec());
                }
            }
            NetEvent::Disconnected { .. } => return None,
            _ => {}
        }
    }
}

fn put(bytes: Vec<u8>) -> Request {
    Request::Put { name: ItemName::of_blob(&bytes), bytes, expires_ms: 0 }
}

/// The first value stands, for whoever asks, after the node was started anew as before.
#[test]
fn a_slot_has_one_value_over_a_restart() {
    runtime().block_on(async {
        let mut world = World::new(RunOptions::default()).await;
        let (slot, hour) = (Slot([1; 32]), 3_600_000);
        let client = world.client.connect().await.unwrap();
        let first = client.claim(slot, [7; 32], hour).await.unwrap();
        assert_eq!(first.value, [7; 32]);
        assert_eq!(client.claim(slot, [8; 32], hour).await.unwrap(), first);
        client.close().await;
        world.stop().await;
        world.start(RunOptions::default()).await.unwrap();
        let client = world.client_again().connect().await.unwrap();
        assert_eq!(client.claim(slot, [9; 32], 2 * hour).await.unwrap(), first);
        let again = client.claim(slot, [7; 32], 2 * hour).await.unwrap();
        assert!(again.value == first.value && again.until_ms > first.until_ms, "{again:?}");
        assert_eq!(client.claim(Slot([2; 32]), [9; 32], 1).await.unwrap().value, [9; 32]);
        for life_ms in [0, u64::MAX] {
            let refused = client.claim(Slot([3; 32]), [9; 32], life_ms).await;
            assert!(matches!(refused, Err(Error::Refused(Refused::Lifetime))), "{refused:?}");
        }
        client.close().await;
        world.end().await;
    });
}

/// It asks and asks and never reads: it fills its own queue, and is let go.
#[test]
fn a_client_that_does_not_read_stops_nobody_else() {
    runtime().block_on(async {
        let world = World::new(RunOptions::default()).await;
        let client = world.client.connect().await.unwrap();
        let bytes = vec![7; ITEM_LEN_MAX];
        let name = ItemName::of_blob(&bytes);
        assert_eq!(client.request(&put(bytes)).await.unwrap(), Response::Put(Fate::Added));

        let (net, mut events, peer) = connect(&world).await;
        let ends = Ends { cluster: world.cluster, node: world.contact.key.0, connection: net.key().0 };
        let hello = Ask::Hello(ends.client(&world.client.keys().device_key())).encode();
        net.send(peer, frame(Kind::Ask, 1, &hello)).await.unwrap();
        let told = next(&mut events, Kind::Told).await.unwrap();
        assert!(matches!(decode(&told), Some(Told::Welcome(_))));
        let ask = frame(Kind::Request, 2, &Request::Get(name).encode());
        let mut answered = 0;
        // Until it is let go: what it may have waiting is bounded, and so is what it has to send for that.
        while net.send(peer, ask.clone()).await.is_ok() {
            let small = put(format!("item {answered}").into_bytes());
            let put = timeout(PATIENCE, client.request(&small)).await.unwrap();
            assert_eq!(put.unwrap(), Response::Put(Fate::Added));
            answered += 1;
            assert!(answered < 10_000, "it is never let go");
        }
        assert!(answered > 16);
        client.close().await;
        world.end().await;
    });
}

/// It asks for as much as it can and reads nothing, and stays just below what it would be let go for.
#[test]
fn a_client_that_does_not_read_leaves_room_for_others() {
    runtime().block_on(async {
        let options = RunOptions { guests_bytes: 4 * ITEM_LEN_MAX, ..RunOptions::default() };
        let world = World::new(options).await;
        // It asks once and takes what it is told.
        let other = world.another_client("other").await.connect().await.unwrap().patient(Duration::ZERO);
        let bytes = vec![7; ITEM_LEN_MAX];
        let name = ItemName::of_blob(&bytes);
        assert_eq!(other.request(&put(bytes)).await.unwrap(), Response::Put(Fate::Added));

        let (net, mut events, peer) = connect(&world).await;
        let ends = Ends { cluster: world.cluster, node: world.contact.key.0, connection: net.key().0 };
        let hello = Ask::Hello(ends.client(&world.client.keys().device_key())).encode();
        net.send(peer, frame(Kind::Ask, 1, &hello)).await.unwrap();
        next(&mut events, Kind::Told).await.unwrap();
        let ask = frame(Kind::Request, 2, &Request::Get(name).encode());
        // As much as its own process takes from the network unread, what is on the way, and twice what the node has for all.
        for _ in 0..32 {
            net.send(peer, ask.clone()).await.unwrap();
            // The node has come to it when it has answered the other one, which has nothing waiting and so is never busy.
            let got = timeout(PATIENCE, other.request(&Request::Get(name))).await.unwrap();
            assert!(matches!(got.unwrap(), Response::Got(Some(_))));
        }
        other.close().await;
        world.end().await;
    });
}

/// Whoever is no member and no client says what only those may say, and what nobody may.
#[test]
fn a_stranger_is_told_so_or_nothing() {
    runtime().block_on(async {
        let world = World::new(RunOptions::default()).await;
        let (net, mut events, peer) = connect(&world).await;
        for kind in [Kind::Message, Kind::LedgerCall, Kind::LedgerAnswer, Kind::Response, Kind::Told] {
            for body in [&Message::Ping(None).encode()[..], b"", b"\x01\xff\xff\xff\xff"] {
                net.send(peer, frame(kind, 1, body)).await.unwrap();
            }
        }
        net.send(peer, frame(Kind::Request, 1, &put(vec![1]).encode())).await.unwrap();
        let response = Response::decode(&next(&mut events, Kind::Response).await.unwrap()).unwrap();
        assert_eq!(response, Response::Refused(Refused::Stranger));
        let asks = [Ask::Status, Ask::Audit, Ask::Scrub { anew: true }, Ask::Drain(world.contact.node)];
        for body in asks.iter().map(encode).chain([b"\x01\xff".to_vec(), vec![]]) {
            net.send(peer, frame(Kind::Ask, 1, &body)).await.unwrap();
            let told = next(&mut events, Kind::Told).await.unwrap();
            assert!(matches!(decode(&told), Some(Told::Refused(_))), "{body:?}");
        }
        // A client may look, and not work on it.
        let client = world.client.connect().await.unwrap();
        assert!(client.ask_node(&world.contact, &Ask::Status).await.is_ok());
        let error = client.ask_node(&world.contact, &Ask::Drain(world.contact.node)).await.unwrap_err();
        assert!(error.to_string().contains("may not ask"), "{error}");
        client.close().await;
        net.send(peer, b"no frame".to_vec()).await.unwrap();
        assert_eq!(next(&mut events, Kind::Told).await, None, "it is let go");
        world.end().await;
    });
}

/// Whoever does not say who it is holds its connection for no longer than that takes, whatever else it says; who has said it stays.
#[test]
fn a_guest_that_does_not_greet_is_let_go() {
    assert_eq!(
        RunOptions::default().greet_within,
        Duration::from_secs(10),
        "as docs/format/cluster-message.md says"
    );
    runtime().block_on(async {
        let within = Duration::from_millis(600);
        let world = World::new(RunOptions { greet_within: within, ..RunOptions::default() }).await;
        let client = world.client.connect().await.unwrap();
        let status = async || client.ask_node(&world.contact, &Ask::Status).await;
        assert!(status().await.is_ok());
        let begun = Instant::now();
        let (_silent, mut silent_events, _) = connect(&world).await;
        let (talks, mut talks_events, peer) = connect(&world).await;
        // Its greeting is of another connection, its question is no client's.
        let ends = Ends { cluster: world.cluster, node: world.contact.key.0, connection: [7; 32] };
        let hello = Ask::Hello(ends.client(&world.client.keys().device_key()));
        for ask in [hello, Ask::Status] {
            talks.send(peer, frame(Kind::Ask, 1, &ask.encode())).await.unwrap();
            let told = next(&mut talks_events, Kind::Told).await.unwrap();
            assert!(matches!(decode(&told), Some(Told::Refused(_))));
        }
        assert_eq!(next(&mut silent_events, Kind::Told).await, None, "it is let go");
        assert_eq!(next(&mut talks_events, Kind::Told).await, None, "so is this one");
        assert!(begun.elapsed() >= within, "it had its time: {:?}", begun.elapsed());
        // Connected for longer than they were.
        assert!(status().await.is_ok(), "who has greeted stays");
        client.close().await;
        world.end().await;
    });
}

/// Whoever asks again and again has everything read once.
#[test]
fn a_client_has_everything_read_again() {
    runtime().block_on(async {
        let world = World::new(RunOptions::default()).await;
        let client = world.client.connect().await.unwrap();
        for seed in 0..6 {
            let mut item = vec![0; 3 << 20];
            blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut item);
            assert_eq!(client.request(&put(item)).await.unwrap(), Response::Put(Fate::Added));
        }
        let (mut bytes, mut steps) = (0, 0);
        loop {
            let ask = Ask::Scrub { anew: steps == 0 };
            let Told::Scrub(step) = client.ask_node(&world.contact, &ask).await.unwrap() else {
                panic!("a scrub's report")
            };
            (bytes, steps) = (bytes + step.bytes, steps + 1);
            if step.through {
                assert_eq!((step.disk.rotten, step.node), (0, world.contact.node));
                break;
            }
        }
        // The node itself may have read a part of it meanwhile.
        assert!(steps > 1 && bytes >= 8 << 20, "{bytes} bytes in {steps} steps");
        client.close().await;
        world.end().await;
    });
}
