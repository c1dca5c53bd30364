use std::sync::{Arc, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use libp2p_core::Multiaddr;
use libp2p_core::multiaddr::Protocol;
use libp2p_identity::Keypair;
use libp2p_swarm::Swarm;
use terachat_vault::Secret;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::address::Target;
use crate::behaviour::Behaviour;
use crate::event::{NetEvent, NetEvents};
use crate::limits::Limits;
use crate::queue::queue;
use crate::registry::{Dial, Registry};
use crate::task::{Command, Listening, serve};
use crate::transport::{listen, transport};
use crate::{Error, FRAME_LEN_MAX, PeerKey, Reason};

#[cfg(test)]
mod tests;

/// A device's place on the network: a handle, cheap to clone, to the task that [`Net::start`] spawns.
///
/// When the last clone is dropped everything is closed at once; [`Net::shutdown`] delivers first what is queued.
#[derive(Clone)]
pub struct Net {
    registry: Arc<Registry>,
    commands: mpsc::Sender<Command>,
    listening: Arc<Listening>,
}

impl Net {
    /// Joins the network as the device whose Ed25519 key comes from `seed`, and listens on `listen` if given
    /// (`127.0.0.1:0` takes any free port, `/ip4/0.0.0.0/tcp/4001` every interface). Must be called within a tokio
    /// runtime of any flavour with time and I/O enabled.
    ///
    /// # Errors
    /// [`Error::Address`] and [`Error::Listen`]; nothing runs then.
    pub async fn start(seed: &Secret<32>, listen: Option<&str>) -> Result<(Self, NetEvents), Error> {
        Self::start_within(Limits::default(), seed, listen).await
    }

    async fn start_within(
        limits: Limits,
        seed: &Secret<32>,
        addr: Option<&str>,
    ) -> Result<(Self, NetEvents), Error> {
        let mut bytes = *seed.expose_secret();
        let pair = Keypair::ed25519_from_bytes(&mut bytes).expect("32 bytes are a seed; the call wipes them");
        let id = pair.public().to_peer_id();
        let own = PeerKey::from_peer_id(&id).expect("the key was made from an Ed25519 seed");
        let (events, outlet) = queue(limits.inbound_bytes);
        let registry = Arc::new(Registry::new(own, instance(), limits, events));
        let config = libp2p_swarm::Config::with_tokio_executor();
        let behaviour = Behaviour::new(registry.clone());
        let mut swarm = Swarm::new(transport(&pair, &registry.limits), behaviour, id, config);
        let listening: Arc<Listening> = Arc::default();
        if let Some(text) = addr {
            let bound = listen(&mut swarm, text, &registry.limits).await?;
            listening.lock().unwrap_or_else(PoisonError::into_inner).insert(bound);
        }
        let (commands, inbox) = mpsc::channel(16);
        tokio::spawn(serve(swarm, inbox, registry.clone(), listening.clone()));
        Ok((Self { registry, commands, listening }, NetEvents(outlet)))
    }

    /// This device's own key.
    pub fn key(&self) -> PeerKey {
        self.registry.own
    }

    /// Where other devices can dial this one: multiaddresses with this device's key, so that a dialler checks it.
    pub fn listen_addrs(&self) -> Vec<String> {
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        let id = self.registry.own.to_peer_id().ok();
        let with_key = |addr: &Multiaddr| id.map_or(addr.clone(), |id| addr.clone().with(Protocol::P2p(id)));
        listening.iter().map(|addr| with_key(addr).to_string()).collect()
    }

    /// Connects to `addr` (`127.0.0.1:4001`, `host.example:4001`, `/ip4/127.0.0.1/tcp/4001`, `/dns/host.example/tcp/4001`, the last two
    /// also with `/p2p/<key>`) and returns the key of the device there once frames can be sent. A name is looked up each time, and
    /// its addresses are tried one after the other. When that device is connected already, also by a dial of
    /// its own, that connection serves.
    ///
    /// # Errors
    /// [`Error::WrongKey`] when another device answers than `expected` or the address names; [`Error::Dial`],
    /// [`Error::Timeout`] (15 s), [`Error::Address`], [`Error::Host`], [`Error::Key`], [`Error::OwnDevice`], [`Error::Shutdown`].
    pub async fn dial(&self, addr: &str, expected: Option<PeerKey>) -> Result<PeerKey, Error> {
        let target = Target::parse(addr)?.expecting(expected)?;
        let limit = self.registry.limits.dial;
        let timed_out = Error::Timeout { seconds: limit.as_secs() };
        timeout(limit, self.dial_target(target)).await.unwrap_or(Err(timed_out))
    }

    async fn dial_target(&self, target: Target) -> Result<PeerKey, Error> {
        if target.peer == Some(self.registry.own) {
            return Err(Error::OwnDevice);
        }
        if let Some(peer) = target.peer
            && let Some(link) = self.registry.link(peer)
        {
            if !link.outgoing.is_closed() {
                return Ok(peer);
            }
            // It is being closed: what is dialled now is a new one.
            link.ended().await;
        }
        let mut last = None;
        for addr in target.place.look_up().await? {
            match self.dial_addr(addr, target.peer).await {
                // Another one of the name's addresses may be the right one.
                Err(error @ (Error::Dial { .. } | Error::WrongKey { .. })) => last = Some(error),
                outcome => return outcome,
            }
        }
        Err(last.unwrap_or(Error::Shutdown))
    }

    async fn dial_addr(&self, addr: Multiaddr, expected: Option<PeerKey>) -> Result<PeerKey, Error> {
        let peer = expected.map(PeerKey::to_peer_id).transpose()?;
        let (answer, outcome) = oneshot::channel();
        let dial = Dial { expected, answer };
        let command = Command::Dial { addr, peer, dial };
        self.commands.send(command).await.map_err(|_| Error::Shutdown)?;
        outcome.await.unwrap_or_else(|_| {
            let reason = "the connection ended before it was usable".to_owned();
            Err(if self.registry.is_closed() { Error::Shutdown } else { Error::Dial { reason } })
        })
    }

    /// Queues a frame of 1 to [`FRAME_LEN_MAX`] bytes for a connected device, waiting while 8 MiB are queued for it.
    /// Frames of one caller arrive in the order sent. That they have arrived only the peer can say: what is queued when
    /// the connection breaks is lost, which [`NetEvent::Disconnected`] reports.
    ///
    /// # Errors
    /// [`Error::FrameLength`] (the connection goes on), [`Error::NotConnected`].
    pub async fn send(&self, peer: PeerKey, bytes: Vec<u8>) -> Result<(), Error> {
        if bytes.is_empty() || bytes.len() > FRAME_LEN_MAX {
            return Err(Error::FrameLength { len: bytes.len() });
        }
        let gone = || Error::NotConnected(peer);
        let link = self.registry.link(peer).ok_or_else(gone)?;
        let room = link.outgoing.reserve(NetEvent::COST + bytes.len()).await.map_err(|_| gone())?;
        link.outgoing.put(room, bytes).map_err(|_| gone())
    }

    /// The same if there is room just now; gives the frame back if there is none.
    ///
    /// # Errors
    /// As [`Net::send`].
    pub fn try_send(&self, peer: PeerKey, bytes: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        if bytes.is_empty() || bytes.len() > FRAME_LEN_MAX {
            return Err(Error::FrameLength { len: bytes.len() });
        }
        let link = self.registry.link(peer).ok_or(Error::NotConnected(peer))?;
        match link.outgoing.try_reserve(NetEvent::COST + bytes.len()) {
            Some(room) => {
                link.outgoing.put(room, bytes).map(|()| None).map_err(|_| Error::NotConnected(peer))
            }
            None if link.outgoing.is_closed() => Err(Error::NotConnected(peer)),
            None => Ok(Some(bytes)),
        }
    }

    /// Ends the connection to a device, if there is one, and returns when it has ended: after what was queued for the
    /// peer has been read by it, or after 5 s without that.
    pub async fn disconnect(&self, peer: PeerKey) {
        let Some(link) = self.registry.link(peer) else { return };
        link.outgoing.close();
        if timeout(self.registry.limits.close, link.ended()).await.is_err() {
            self.registry.retire(&link, peer, Reason::ClosedHere);
        }
    }

    /// Leaves the network: takes no further connections, ends all as [`Net::disconnect`] does (at most 5 s in all) and
    /// stops the task. [`NetEvents::recv`] then gives what is left, and `None`.
    pub async fn shutdown(self) {
        self.registry.close();
        let links = self.registry.links();
        links.iter().for_each(|(_, link)| link.outgoing.close());
        let all_ended = async {
            for (_, link) in &links {
                link.ended().await;
            }
        };
        // What has not ended by then is cut off by the task's end.
        let _ = timeout(self.registry.limits.close, all_ended).await;
        let (done, stopped) = oneshot::channel();
        if self.commands.send(Command::Stop { done }).await.is_ok() {
            let _ = stopped.await;
        }
    }
}

/// A number that no other run of this device's program has: the time in nanoseconds. It is compared, never ordered.
fn instance() -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    u64::try_from(nanos).unwrap_or(u64::MAX)
}
