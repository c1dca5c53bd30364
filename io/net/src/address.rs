use std::net::SocketAddr;

use libp2p_core::Multiaddr;
use libp2p_core::multiaddr::Protocol;

use crate::{Error, PeerKey};

/// Where to connect to, and which device must answer there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) addr: Multiaddr,
    pub(crate) peer: Option<PeerKey>,
}

impl Target {
    /// Reads `127.0.0.1:4001`, `[::1]:4001` or `/ip4/127.0.0.1/tcp/4001`, the last with or without `/p2p/<key>`. Names
    /// are not looked up: closed networks have no DNS.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let fail = || Error::Address { text: text.to_owned() };
        if let Ok(socket) = text.parse::<SocketAddr>() {
            let addr = Multiaddr::from(socket.ip()).with(Protocol::Tcp(socket.port()));
            return Ok(Self { addr, peer: None });
        }
        let mut addr: Multiaddr = text.parse().map_err(|_| fail())?;
        let mut peer = None;
        if let Some(Protocol::P2p(id)) = addr.iter().last() {
            peer = Some(PeerKey::from_peer_id(&id).ok_or_else(fail)?);
            addr.pop();
        }
        let parts: Vec<_> = addr.iter().collect();
        match parts.as_slice() {
            [Protocol::Ip4(_) | Protocol::Ip6(_), Protocol::Tcp(_)] => Ok(Self { addr, peer }),
            _ => Err(fail()),
        }
    }

    /// The same target, held to the key the caller expects.
    pub(crate) fn expecting(self, expected: Option<PeerKey>) -> Result<Self, Error> {
        match (expected, self.peer) {
            (Some(expected), Some(found)) if expected != found => Err(Error::WrongKey { expected, found }),
            (expected, named) => Ok(Self { peer: expected.or(named), ..self }),
        }
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
            assert_eq!((target.addr.to_string().as_str(), target.peer.is_some()), (addr, named));
        }
        let id = PeerKey([7; 32]);
        let key = libp2p_identity::Keypair::ed25519_from_bytes(id.0).unwrap().public().to_peer_id();
        case("127.0.0.1:4001", "/ip4/127.0.0.1/tcp/4001", false);
        case("[::1]:4001", "/ip6/::1/tcp/4001", false);
        case("/ip4/127.0.0.1/tcp/4001", "/ip4/127.0.0.1/tcp/4001", false);
        case(&format!("/ip4/127.0.0.1/tcp/4001/p2p/{key}"), "/ip4/127.0.0.1/tcp/4001", true);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "localhost",
            "localhost:4001",
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
