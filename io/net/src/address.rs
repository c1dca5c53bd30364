use std::net::SocketAddr;

use libp2p_core::Multiaddr;
use libp2p_core::multiaddr::Protocol;

use crate::{Error, PeerKey};

/// Where to connect to, and which device must answer there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) peer: Option<PeerKey>,
}

/// A place in the network.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// An address and a port.
    Addr(Multiaddr),
    /// A host's name, to be looked up at each dial, and a port.
    Host(String, u16),
}

/// Longest name of a host (RFC 1035, section 2.3.4), and of one of its parts.
const HOST_LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;

impl Target {
    /// Reads `127.0.0.1:4001`, `[::1]:4001`, `host.example:4001`, `/ip4/127.0.0.1/tcp/4001` or `/dns/host.example/tcp/4001`, the last two
    /// with or without `/p2p/<key>`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let fail = || Error::Address { text: text.to_owned() };
        if let Ok(socket) = text.parse::<SocketAddr>() {
            return Ok(Self { place: Place::Addr(multiaddr(socket)), peer: None });
        }
        if let Some((host, port)) = text.rsplit_once(':')
            && !text.starts_with('/')
        {
            let port = port.parse().map_err(|_| fail())?;
            return Ok(Self { place: Place::host(host, port).ok_or_else(fail)?, peer: None });
        }
        let mut addr: Multiaddr = text.parse().map_err(|_| fail())?;
        let mut peer = None;
        if let Some(Protocol::P2p(id)) = addr.iter().last() {
            peer = Some(PeerKey::from_peer_id(&id).ok_or_else(fail)?);
            addr.pop();
        }
        let parts: Vec<_> = addr.iter().collect();
        let place = match parts.as_slice() {
            [Protocol::Ip4(_) | Protocol::Ip6(_), Protocol::Tcp(_)] => Place::Addr(addr),
            [Protocol::Dns(host), Protocol::Tcp(port)] => Place::host(host, *port).ok_or_else(fail)?,
            _ => return Err(fail()),
        };
        Ok(Self { place, peer })
    }

    /// The same target, held to the key the caller expects.
    pub(crate) fn expecting(self, expected: Option<PeerKey>) -> Result<Self, Error> {
        match (expected, self.peer) {
            (Some(expected), Some(found)) if expected != found => Err(Error::WrongKey { expected, found }),
            (expected, named) => Ok(Self { peer: expected.or(named), ..self }),
        }
    }
}

fn multiaddr(socket: SocketAddr) -> Multiaddr {
    Multiaddr::from(socket.ip()).with(Protocol::Tcp(socket.port()))
}

impl Place {
    /// A host by its name; `None` if none can be called so. What looks like an address in numbers is none.
    fn host(name: &str, port: u16) -> Option<Self> {
        let label = |label: &str| {
            let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=LABEL_LEN_MAX).contains(&label.len()) && !label.starts_with('-') && label.bytes().all(inner)
        };
        let bare = name.strip_suffix('.').unwrap_or(name);
        let numbers = bare.rsplit('.').next()?.bytes().all(|byte| byte.is_ascii_digit());
        let is_name = bare.len() <= HOST_LEN_MAX && !numbers && bare.split('.').all(label);
        is_name.then(|| Self::Host(name.to_owned(), port))
    }

    /// The addresses to be tried, in this order.
    ///
    /// # Errors
    /// [`Error::Host`] when nobody knows the name.
    pub(crate) async fn look_up(self) -> Result<Vec<Multiaddr>, Error> {
        let (name, port) = match self {
            Self::Addr(addr) => return Ok(vec![addr]),
            Self::Host(name, port) => (name, port),
        };
        let found = tokio::net::lookup_host((name.as_str(), port)).await.map(Iterator::collect::<Vec<_>>);
        let addrs: Vec<Multiaddr> = match found {
            Ok(found) => found.into_iter().map(multiaddr).collect(),
            Err(error) => return Err(Error::Host { name, reason: error.to_string() }),
        };
        if addrs.is_empty() {
            return Err(Error::Host { name, reason: "it has no address".to_owned() });
        }
        Ok(addrs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "12D3KooWRZVuBVYPYkGvJXLbjKuStGSEZgKmpSMmWqKHRVjbcEgf";

    #[test]
    fn addresses_are_read_in_every_form() {
        #[track_caller]
        fn case(text: &str, addr: &str, named: bool) {
            let target = Target::parse(text).unwrap();
            let Place::Addr(found) = target.place else { panic!("{text} is a name") };
            assert_eq!((found.to_string().as_str(), target.peer.is_some()), (addr, named));
        }
        let id = PeerKey([7; 32]);
        let key = libp2p_identity::Keypair::ed25519_from_bytes(id.0).unwrap().public().to_peer_id();
        case("127.0.0.1:4001", "/ip4/127.0.0.1/tcp/4001", false);
        case("[::1]:4001", "/ip6/::1/tcp/4001", false);
        case("/ip4/127.0.0.1/tcp/4001", "/ip4/127.0.0.1/tcp/4001", false);
        case(&format!("/ip4/127.0.0.1/tcp/4001/p2p/{key}"), "/ip4/127.0.0.1/tcp/4001", true);
    }

    #[test]
    fn names_are_read_and_looked_up_later() {
        let key = libp2p_identity::Keypair::ed25519_from_bytes([7; 32]).unwrap().public().to_peer_id();
        let host = |name: &str| Place::Host(name.to_owned(), 4001);
        for (text, name, named) in [
            ("localhost:4001", "localhost", false),
            ("node-3.rack_1.example.:4001", "node-3.rack_1.example.", false),
            ("/dns/node3/tcp/4001", "node3", false),
            (&format!("/dns/node3/tcp/4001/p2p/{key}"), "node3", true),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!((target.place, target.peer.is_some()), (host(name), named), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let (long, label) = ("a.".repeat(130) + "b:1", "a".repeat(64) + ":1");
        for text in [
            "",
            "localhost",
            ":4001",
            "a..b:4001",
            "-a:4001",
            "a b:4001",
            "user@host:4001",
            "300.1.1.1:4001",
            "127.0.0:4001",
            "host:70000",
            "host:",
            &long,
            &label,
            "/ip4/127.0.0.1",
            "/ip4/127.0.0.1/udp/4001",
            "127.0.0.1:70000",
        ] {
            assert!(matches!(Target::parse(text), Err(Error::Address { .. })), "{text}");
        }
        assert!(Target::parse(&format!("/p2p/{KEY}")).is_err());
    }

    #[test]
    fn two_keys_that_differ_are_refused_before_dialling() {
        let target = || Target { peer: Some(PeerKey([1; 32])), ..Target::parse("127.0.0.1:1").unwrap() };
        assert!(matches!(target().expecting(Some(PeerKey([2; 32]))), Err(Error::WrongKey { .. })));
        assert_eq!(target().expecting(None).unwrap().peer, Some(PeerKey([1; 32])));
    }
}
