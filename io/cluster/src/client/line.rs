//! A client's connections: dialled when they are needed, introduced, and let go when they end.
use super::Attempt;
use crate::Error;
use crate::links::Links;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use terachat_cluster::ClusterId;
use terachat_cluster::wire::{Ask, Contact, Ends, Frame, Kind, Told, Welcome};
use terachat_event::DeviceKey;
use terachat_net::{Net, NetEvent, NetEvents, PeerKey};
use terachat_vault::Secret;
use tokio::sync::watch;

/// For whom the connections speak.
pub(crate) enum Speaker {
    /// A client.
    Client(Arc<DeviceKey>),
    /// Whoever holds the keys of a node.
    Operator(Arc<DeviceKey>),
    /// Nobody yet: a newcomer with a ticket.
    Nobody,
}

pub(crate) struct Line {
    links: Links,
    cluster: ClusterId,
    speaker: Speaker,
    /// Nodes that know who speaks.
    introduced: Arc<Mutex<BTreeSet<PeerKey>>>,
    /// Changes with every event.
    changes: watch::Receiver<()>,
}

impl Line {
    pub(crate) async fn start(
        cluster: ClusterId,
        speaker: Speaker,
        seed: &Secret<32>,
    ) -> Result<Self, Error> {
        let (net, events) = Net::start(seed, None).await?;
        let links = Links::new(net);
        let introduced = Arc::default();
        let (changed, changes) = watch::channel(());
        tokio::spawn(listen_to(events, links.clone(), Arc::clone(&introduced), changed));
        Ok(Self { links, cluster, speaker, introduced, changes })
    }

    pub(crate) fn is_operator(&self) -> bool {
        matches!(self.speaker, Speaker::Operator(_))
    }

    /// Connects to a node and says who speaks, unless both is done already.
    pub(super) async fn connect(&self, contact: &Contact) -> Result<Option<Welcome>, Attempt> {
        let peer = PeerKey(contact.key.0);
        if self.is_ready(contact) {
            return Ok(None);
        }
        if !self.links.is_connected(peer) {
            self.links
                .net()
                .dial(&contact.address, Some(peer))
                .await
                .map_err(|error| Attempt::Next(error.into()))?;
            let mut changes = self.changes.clone();
            while !self.links.is_connected(peer) {
                changes.changed().await.map_err(|_| Attempt::Over(Error::Stopped))?;
            }
        }
        let ends = Ends { cluster: self.cluster, node: contact.key.0, connection: self.links.net().key().0 };
        let hello = match &self.speaker {
            Speaker::Client(key) => ends.client(key),
            Speaker::Operator(key) => ends.operator(key),
            Speaker::Nobody => return Ok(None),
        };
        let answer = self.call(contact, Kind::Ask, &Ask::Hello(hello).encode()).await?;
        match Told::decode(&answer).ok_or(Attempt::Over(Error::Answer))? {
            Told::Welcome(welcome) => {
                self.introduced.lock().unwrap_or_else(PoisonError::into_inner).insert(peer);
                Ok(Some(welcome))
            }
            Told::Refused(why) => Err(Attempt::Next(why.into())),
            _ => Err(Attempt::Over(Error::Answer)),
        }
    }

    /// Whether a node is connected and knows who speaks.
    pub(super) fn is_ready(&self, contact: &Contact) -> bool {
        let peer = PeerKey(contact.key.0);
        self.links.is_connected(peer) && self.knows(peer)
    }

    fn knows(&self, peer: PeerKey) -> bool {
        matches!(self.speaker, Speaker::Nobody)
            || self.introduced.lock().unwrap_or_else(PoisonError::into_inner).contains(&peer)
    }

    /// Calls a node that is connected.
    pub(super) async fn call(&self, contact: &Contact, kind: Kind, body: &[u8]) -> Result<Vec<u8>, Attempt> {
        let peer = PeerKey(contact.key.0);
        match self.links.call(peer, kind, body).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) | Err(_) => Err(Attempt::Next(terachat_net::Error::NotConnected(peer).into())),
        }
    }

    pub(super) async fn close(&self) {
        self.links.net().clone().shutdown().await;
    }
}

async fn listen_to(
    mut events: NetEvents,
    links: Links,
    introduced: Arc<Mutex<BTreeSet<PeerKey>>>,
    changed: watch::Sender<()>,
) {
    while let Some(event) = events.recv().await {
        match event {
            NetEvent::Connected { peer, .. } => links.connected(peer),
            NetEvent::Disconnected { peer, .. } => {
                introduced.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
                links.disconnected(peer);
            }
            NetEvent::Frame { peer, bytes } => match Frame::read(&bytes) {
                Some(frame) if matches!(frame.kind, Kind::Response | Kind::Told) => {
                    links.answered(peer, frame.call, frame.body);
                }
                // A node that dials back, or a member's talk: nothing for a client.
                _ => {}
            },
            _ => {}
        }
        changed.send_replace(());
    }
}
