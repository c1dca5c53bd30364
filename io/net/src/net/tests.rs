//! Stories over real sockets on loopback.
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::address::Place;

struct Device {
    net: Net,
    events: NetEvents,
}

/// Limits under which a stalled peer is found in a fraction of a second.
fn hasty() -> Limits {
    Limits { tick: Duration::from_millis(100), ..Limits::default() }
}

async fn device_within(limits: Limits, seed: u8) -> Device {
    let seed = Secret::take(&mut [seed; 32]);
    let (net, events) = Net::start_within(limits, &seed, Some("127.0.0.1:0")).await.unwrap();
    Device { net, events }
}

async fn device(seed: u8) -> Device {
    device_within(Limits::default(), seed).await
}

/// Two connected devices; the first has dialled.
async fn pair() -> (Device, Device) {
    let (mut a, mut b) = (device(1).await, device(2).await);
    a.net.dial(&b.addr(), Some(b.net.key())).await.unwrap();
    a.expect_connected(b.net.key()).await;
    b.expect_connected(a.net.key()).await;
    (a, b)
}

impl Device {
    fn addr(&self) -> String {
        self.net.listen_addrs().remove(0)
    }

    fn socket_addr(&self) -> (&'static str, u16) {
        let target = Target::parse(&self.addr()).unwrap();
        match target.place {
            Place::Addr(addr) => match addr.iter().last() {
                Some(Protocol::Tcp(port)) => ("127.0.0.1", port),
                _ => unreachable!("a target is a TCP address"),
            },
            Place::Host(..) => unreachable!("it listens on an address"),
        }
    }

    async fn next(&mut self) -> NetEvent {
        timeout(Duration::from_secs(60), self.events.recv()).await.expect("an event within a minute").unwrap()
    }

    #[track_caller]
    fn is_quiet(&mut self) -> bool {
        futures::FutureExt::now_or_never(self.events.recv()).is_none()
    }

    async fn expect_connected(&mut self, key: PeerKey) {
        match self.next().await {
            NetEvent::Connected { peer, .. } => assert_eq!(peer, key),
            other => panic!("expected Connected, not {other:?}"),
        }
    }

    async fn expect_frame(&mut self, from: PeerKey) -> Vec<u8> {
        match self.next().await {
            NetEvent::Frame { peer, bytes } if peer == from => bytes,
            other => panic!("expected a frame of {from}, not {other:?}"),
        }
    }

    async fn expect_disconnected(&mut self, key: PeerKey) -> Reason {
        match self.next().await {
            NetEvent::Disconnected { peer, reason } if peer == key => reason,
            other => panic!("expected Disconnected, not {other:?}"),
        }
    }
}

/// A small generator (splitmix64), so that both sides know what the other sends.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Mostly small frames, some around the edges of buffers, a few of a megabyte.
    fn frame(&mut self) -> Vec<u8> {
        let len = match self.next() % 1000 {
            0 => 1 << 20,
            1..50 => 1 + self.next() % 70_000,
            50..60 => 16_380 + self.next() % 8,
            _ => 1 + self.next() % 2_000,
        };
        let first = self.next();
        (0..len).map(|i| first.wrapping_mul(i + 1).to_le_bytes()[5]).collect()
    }
}

#[tokio::test]
async fn both_sides_learn_who_is_connected_and_where() {
    let (mut a, mut b) = (device(1).await, device(2).await);
    let (_, port) = b.socket_addr();
    assert_eq!(a.net.dial(&format!("127.0.0.1:{port}"), None).await.unwrap(), b.net.key());
    let NetEvent::Connected { peer, addr, inbound: false } = a.next().await else { panic!("a has dialled") };
    assert_eq!((peer, addr.contains(&port.to_string())), (b.net.key(), true));
    let NetEvent::Connected { peer, inbound: true, .. } = b.next().await else { panic!("b was dialled") };
    assert_eq!(peer, a.net.key());
    assert_eq!(
        a.net.dial(&b.addr(), None).await.unwrap(),
        b.net.key(),
        "the connection serves a second dial"
    );
    assert!(a.is_quiet() && b.is_quiet());
}

#[tokio::test]
async fn ten_thousand_frames_each_way_arrive_whole_and_in_order() {
    let (a, b) = pair().await;
    let (a_key, b_key) = (a.net.key(), b.net.key());
    let send = |net: Net, to, seed| async move {
        let mut random = Random(seed);
        for _ in 0..10_000 {
            net.send(to, random.frame()).await.unwrap();
        }
    };
    let receive = |mut device: Device, from, seed| async move {
        let mut random = Random(seed);
        for n in 0..10_000 {
            assert!(device.expect_frame(from).await == random.frame(), "frame {n} is another one");
        }
        device
    };
    let (a_net, b_net) = (a.net.clone(), b.net.clone());
    let ((), (), mut a, mut b) = tokio::join!(
        send(a_net, b_key, 7),
        send(b_net, a_key, 8),
        receive(a, b_key, 8),
        receive(b, a_key, 7)
    );
    assert!(a.is_quiet() && b.is_quiet());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_frame_passes_and_a_longer_one_is_refused_here() {
    let (a, mut b) = pair().await;
    let longest = vec![5; FRAME_LEN_MAX];
    a.net.send(b.net.key(), longest.clone()).await.unwrap();
    for len in [0, FRAME_LEN_MAX + 1] {
        assert!(
            matches!(a.net.send(b.net.key(), vec![5; len]).await, Err(Error::FrameLength { len: l }) if l == len)
        );
    }
    a.net.send(b.net.key(), vec![6]).await.unwrap();
    assert!(b.expect_frame(a.net.key()).await == longest);
    assert_eq!(b.expect_frame(a.net.key()).await, [6]);
}

/// The peer's own check is passed by, so that the length really goes over the wire.
#[tokio::test]
async fn a_peer_that_announces_too_long_a_frame_loses_its_connection_and_only_that() {
    let (mut a, mut b) = pair().await;
    let other = device(3).await;
    other.net.dial(&b.addr(), None).await.unwrap();
    b.expect_connected(other.net.key()).await;

    let link = a.net.registry.link(b.net.key()).unwrap();
    link.outgoing.try_put(1, vec![1; FRAME_LEN_MAX + 1]).unwrap();
    assert_eq!(b.expect_disconnected(a.net.key()).await, Reason::FrameTooLong(0x0100_0001));
    a.expect_disconnected(b.net.key()).await;

    other.net.send(b.net.key(), vec![7]).await.unwrap();
    assert_eq!(b.expect_frame(other.net.key()).await, [7]);
    a.net.dial(&b.addr(), None).await.unwrap();
    b.expect_connected(a.net.key()).await;
}

#[tokio::test]
async fn a_name_is_looked_up_and_nothing_listens_on_one() {
    let (a, b) = (device(1).await, device(2).await);
    let (_, port) = b.socket_addr();
    let own = b.net.key();
    assert_eq!(a.net.dial(&format!("localhost:{port}"), Some(own)).await.unwrap(), own);
    let with_key = format!("/dns/localhost/tcp/{port}/p2p/{}", own.to_peer_id().unwrap());
    assert_eq!(a.net.dial(&with_key, None).await.unwrap(), own);
    let seed = Secret::take(&mut [9; 32]);
    assert!(matches!(Net::start(&seed, Some("localhost:0")).await, Err(Error::Listen { .. })));
}

#[tokio::test]
async fn another_key_than_the_expected_one_is_refused() {
    let (a, b) = (device(1).await, device(2).await);
    let (_, port) = b.socket_addr();
    let expected = device(3).await.net.key();
    let by_argument = a.net.dial(&format!("127.0.0.1:{port}"), Some(expected)).await;
    let by_address =
        a.net.dial(&format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", expected.to_peer_id().unwrap()), None).await;
    for refused in [by_argument, by_address] {
        assert!(
            matches!(refused, Err(Error::WrongKey { expected: e, found }) if (e, found) == (expected, b.net.key()))
        );
    }
    assert!(matches!(a.net.dial(&b.addr(), Some(expected)).await, Err(Error::WrongKey { .. })));
    assert!(matches!(a.net.dial(&a.addr(), None).await, Err(Error::OwnDevice)));
    let (_, own_port) = a.socket_addr();
    let own = a.net.dial(&format!("127.0.0.1:{own_port}"), None).await;
    assert!(matches!(own, Err(Error::OwnDevice)), "{own:?}");
    assert!(
        matches!(a.net.send(b.net.key(), vec![1]).await, Err(Error::NotConnected(key)) if key == b.net.key())
    );
}

#[tokio::test]
async fn where_nobody_listens_a_dial_fails_at_once() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = device(1).await.net.dial(&free.to_string(), None).await;
    assert!(matches!(refused, Err(Error::Dial { reason }) if reason.contains("refused")));
}

/// Both dial, and both send as soon as their own dial returns: the frames sent on a connection that loses would be
/// missing, and the events would show a second connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_that_dial_each_other_at_once_have_one_connection_and_lose_nothing() {
    const FRAMES: u32 = 20;
    async fn side(mut own: Device, addr: String, other: PeerKey) -> Device {
        own.net.dial(&addr, Some(other)).await.unwrap();
        for n in 0..FRAMES {
            own.net.send(other, n.to_be_bytes().to_vec()).await.unwrap();
        }
        own.expect_connected(other).await;
        for n in 0..FRAMES {
            assert_eq!(own.expect_frame(other).await, n.to_be_bytes());
        }
        own
    }
    for round in 0..50 {
        let (a, b) = (device(10 + round).await, device(100 + round).await);
        let (a_key, b_key, a_addr, b_addr) = (a.net.key(), b.net.key(), a.addr(), b.addr());
        let (a, b) = tokio::join!(tokio::spawn(side(a, b_addr, b_key)), tokio::spawn(side(b, a_addr, a_key)));
        let (mut a, mut b) = (a.unwrap(), b.unwrap());
        assert!(a.is_quiet() && b.is_quiet(), "there is one connection");
        a.net.disconnect(b_key).await;
        assert_eq!(a.expect_disconnected(b_key).await, Reason::ClosedHere);
        assert_eq!(b.expect_disconnected(a_key).await, Reason::ClosedByPeer);
    }
}

#[tokio::test]
async fn a_disconnect_delivers_what_was_queued_and_a_new_dial_connects_again() {
    let (mut a, mut b) = pair().await;
    let (a_key, b_key) = (a.net.key(), b.net.key());
    for n in 0..100 {
        a.net.send(b_key, vec![n; 10_000]).await.unwrap();
    }
    a.net.disconnect(b_key).await;
    assert_eq!(a.expect_disconnected(b_key).await, Reason::ClosedHere);
    for n in 0..100 {
        assert_eq!(b.expect_frame(a_key).await, [n; 10_000]);
    }
    assert_eq!(b.expect_disconnected(a_key).await, Reason::ClosedByPeer);
    a.net.dial(&b.addr(), None).await.unwrap();
    a.expect_connected(b_key).await;
    b.expect_connected(a_key).await;
    b.net.send(a_key, vec![1]).await.unwrap();
    assert_eq!(a.expect_frame(b_key).await, [1]);
}

#[tokio::test]
async fn a_shutdown_delivers_what_was_queued_and_ends_the_events() {
    let (mut a, mut b) = pair().await;
    let (a_key, b_key) = (a.net.key(), b.net.key());
    a.net.send(b_key, vec![7; 1 << 20]).await.unwrap();
    let a_net = a.net.clone();
    a.net.clone().shutdown().await;
    assert!(b.expect_frame(a_key).await == vec![7; 1 << 20]);
    assert_eq!(b.expect_disconnected(a_key).await, Reason::ClosedByPeer);
    assert_eq!(a.expect_disconnected(b_key).await, Reason::ClosedHere);
    assert!(a.events.recv().await.is_none());
    assert!(matches!(a_net.dial(&b.addr(), None).await, Err(Error::Shutdown)));
    assert!(matches!(b.net.dial(&a.addr(), None).await, Err(Error::Dial { .. })));
}

/// A peer restarted on the same key while its old connection looks alive here (its network is gone, nothing was said).
#[tokio::test]
async fn a_peer_that_comes_back_replaces_its_dead_connection() {
    for (seed, other) in [(1, 2), (2, 1)] {
        let (mut a, mut b) = (device(seed).await, device(other).await);
        let (a_key, b_key) = (a.net.key(), b.net.key());
        // Between the two lies a wire that can go silent without closing.
        let wire = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let through = wire.local_addr().unwrap().to_string();
        let far = b.socket_addr();
        let wire = tokio::spawn(async move {
            let (mut near, _) = wire.accept().await.unwrap();
            let mut far = TcpStream::connect(far).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
        a.net.dial(&through, Some(b_key)).await.unwrap();
        a.expect_connected(b_key).await;
        b.expect_connected(a_key).await;

        let again = device(seed).await;
        again.net.dial(&b.addr(), Some(b_key)).await.unwrap();
        assert_eq!(b.expect_disconnected(a_key).await, Reason::Replaced);
        b.expect_connected(a_key).await;
        b.net.send(a_key, vec![9]).await.unwrap();
        let mut again = again;
        again.expect_connected(b_key).await;
        assert_eq!(again.expect_frame(b_key).await, [9]);
        wire.abort();
    }
}

/// The peer dies with its frame half sent, as the wire between the two shows; nothing of the half is reported.
#[tokio::test]
async fn a_peer_killed_mid_frame_is_reported_as_disconnected() {
    let (mut a, mut b) = (device(1).await, device(2).await);
    let (a_key, b_key) = (a.net.key(), b.net.key());
    let wire = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = wire.local_addr().unwrap().to_string();
    let far = a.socket_addr();
    tokio::spawn(async move {
        let (near, _) = wire.accept().await.unwrap();
        let (mut from_b, mut to_b) = near.into_split();
        let (mut from_a, mut to_a) = TcpStream::connect(far).await.unwrap().into_split();
        let back = tokio::spawn(async move { tokio::io::copy(&mut from_a, &mut to_b).await });
        let _ = tokio::io::copy(&mut (&mut from_b).take(1 << 20), &mut to_a).await;
        back.abort();
    });
    b.net.dial(&through, Some(a_key)).await.unwrap();
    a.expect_connected(b_key).await;
    b.expect_connected(a_key).await;
    b.net.send(a_key, vec![1]).await.unwrap();
    b.net.send(a_key, vec![2; FRAME_LEN_MAX]).await.unwrap();
    assert_eq!(a.expect_frame(b_key).await, [1]);
    let reason = a.expect_disconnected(b_key).await;
    assert!(matches!(reason, Reason::Lost(_)), "{reason:?}");
    assert!(matches!(a.net.send(b_key, vec![1]).await, Err(Error::NotConnected(_))));
    b.expect_disconnected(a_key).await;
}

#[tokio::test]
async fn a_reader_that_stalls_holds_up_nobody_else_and_is_disconnected() {
    // Only `a` is hasty, so it must not take the others' rare keepalives for silence.
    let limits = Limits { tick: Duration::from_millis(250), silence_ticks: 1000, ..Limits::default() };
    let mut a = device_within(limits, 1).await;
    let stalled = device(2).await;
    let mut lively = device(3).await;
    let (a_key, stalled_key, lively_key) = (a.net.key(), stalled.net.key(), lively.net.key());
    a.net.dial(&stalled.addr(), None).await.unwrap();
    a.expect_connected(stalled_key).await;
    a.net.dial(&lively.addr(), None).await.unwrap();
    a.expect_connected(lively_key).await;
    lively.expect_connected(a_key).await;

    // `stalled` never takes an event, so this fills all queues on the way and then waits.
    let queued = Arc::new(AtomicUsize::new(0));
    let (net, counter) = (a.net.clone(), queued.clone());
    let flood = tokio::spawn(async move {
        loop {
            if let Err(error) = net.send(stalled_key, vec![1; 1 << 20]).await {
                return error;
            }
            counter.fetch_add(1, Relaxed);
        }
    });
    // A hundred round trips with the other peer while not one frame more is taken for the stalled one.
    let (mut seen, mut rounds_stalled) = (0, 0);
    while rounds_stalled < 100 {
        a.net.send(lively_key, vec![2; 1024]).await.unwrap();
        assert_eq!(lively.expect_frame(a_key).await, [2; 1024]);
        let now = queued.load(Relaxed);
        rounds_stalled = if now == seen { rounds_stalled + 1 } else { 0 };
        seen = now;
        assert!(!flood.is_finished(), "the stalled peer is given time");
    }
    assert!(seen < 200, "the queues are bounded, but {seen} MiB were taken");
    assert!(matches!(flood.await.unwrap(), Error::NotConnected(key) if key == stalled_key));
    assert_eq!(a.expect_disconnected(stalled_key).await, Reason::Stalled);
    assert!(a.is_quiet());
}

#[tokio::test]
async fn keepalives_hold_an_idle_connection_and_silence_ends_it() {
    let (mut a, mut b) = (device_within(hasty(), 1).await, device_within(hasty(), 2).await);
    let mute = device(3).await;
    a.net.dial(&b.addr(), None).await.unwrap();
    a.expect_connected(b.net.key()).await;
    b.expect_connected(a.net.key()).await;
    a.net.dial(&mute.addr(), None).await.unwrap();
    a.expect_connected(mute.net.key()).await;
    // `mute` sends its keepalives a hundred times too slowly for `a`, which ends that connection and only that.
    assert_eq!(a.expect_disconnected(mute.net.key()).await, Reason::Stalled);
    assert!(b.is_quiet());
    a.net.send(b.net.key(), vec![1]).await.unwrap();
    assert_eq!(b.expect_frame(a.net.key()).await, [1]);
}

#[tokio::test]
async fn garbage_from_a_plain_socket_disturbs_nobody() {
    let (mut a, mut b) = pair().await;
    let (a_key, b_key) = (a.net.key(), b.net.key());
    let mut random = Random(3);
    let noise_header = b"\x13/multistream/1.0.0\n\x07/noise\n";
    for n in 0..40u64 {
        let mut garbage: Vec<u8> = (0..4096).map(|_| random.next().to_le_bytes()[0]).collect();
        if n % 2 == 0 {
            garbage.splice(0..0, noise_header.iter().copied());
        }
        let mut socket = TcpStream::connect(b.socket_addr()).await.unwrap();
        // The device may hang up before it has read all.
        let _ = socket.write_all(&garbage).await;
        let _ = socket.shutdown().await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
        a.net.send(b_key, n.to_be_bytes().to_vec()).await.unwrap();
        assert_eq!(b.expect_frame(a_key).await, n.to_be_bytes());
    }
    assert!(a.is_quiet() && b.is_quiet());
}

/// Sockets that say nothing take places only until their time is up, and further ones are turned away meanwhile.
#[tokio::test]
async fn silent_sockets_are_bounded_and_make_room_again() {
    let limits = Limits { pending_inbound: 4, handshake: Duration::from_secs(1), ..Limits::default() };
    let mut b = device_within(limits, 2).await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(TcpStream::connect(b.socket_addr()).await.unwrap());
    }
    // The fifth is turned away while the others still have their time.
    let _ = sockets[4].read_to_end(&mut Vec::new()).await;
    for socket in &sockets[..4] {
        let open = socket.try_read(&mut [0]).unwrap_err();
        assert_eq!(open.kind(), io::ErrorKind::WouldBlock);
    }
    for socket in &mut sockets[..4] {
        let _ = socket.read_to_end(&mut Vec::new()).await;
    }
    let a = device(1).await;
    a.net.dial(&b.addr(), None).await.unwrap();
    b.expect_connected(a.net.key()).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused() {
    let b = device_within(Limits { connections: 1, ..Limits::default() }, 9).await;
    let (first, second) = (device(1).await, device(2).await);
    first.net.dial(&b.addr(), None).await.unwrap();
    assert!(matches!(second.net.dial(&b.addr(), None).await, Err(Error::Dial { .. })));
    first.net.send(b.net.key(), vec![1]).await.unwrap();
}

#[tokio::test]
async fn dropping_the_events_leaves_the_network() {
    let (a, mut b) = pair().await;
    drop(a.events);
    b.expect_disconnected(a.net.key()).await;
    assert!(matches!(a.net.dial(&b.addr(), None).await, Err(Error::Shutdown)));
}

#[tokio::test]
async fn a_wrong_listen_address_is_an_error() {
    let seed = Secret::take(&mut [1; 32]);
    assert!(matches!(Net::start(&seed, Some("192.0.2.1:1")).await, Err(Error::Listen { .. })));
    assert!(matches!(Net::start(&seed, Some("nonsense")).await, Err(Error::Address { .. })));
}
