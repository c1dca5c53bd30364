use crate::directory::Directory;
use crate::links::Links;
use std::sync::{Arc, PoisonError, RwLock};
use terachat_cluster::wire::Kind;
use terachat_ledger::{Call, Carrier, Unreachable};
use terachat_net::PeerKey;
use terachat_shard::NodeId;

/// Carries the ledger's calls over the connections that the members have anyway.
pub(crate) struct LinkCarrier {
    links: Links,
    directory: Arc<RwLock<Directory>>,
}

impl LinkCarrier {
    pub(crate) fn new(links: Links, directory: Arc<RwLock<Directory>>) -> Self {
        Self { links, directory }
    }
}

impl Carrier for LinkCarrier {
    fn call(&self, to: NodeId, request: Vec<u8>) -> Call<'_, Result<Vec<u8>, Unreachable>> {
        Box::pin(async move {
            let key = self.directory.read().unwrap_or_else(PoisonError::into_inner).key_of(to);
            let peer = PeerKey(key.ok_or(Unreachable::NotSent)?.0);
            match self.links.call(peer, Kind::LedgerCall, &request).await {
                Ok(Some(answer)) => Ok(answer),
                Ok(None) => Err(Unreachable::NoAnswer),
                Err(_) => Err(Unreachable::NotSent),
            }
        })
    }

    fn is_connected(&self, to: NodeId) -> bool {
        let key = self.directory.read().unwrap_or_else(PoisonError::into_inner).key_of(to);
        key.is_some_and(|key| self.links.is_connected(PeerKey(key.0)))
    }
}
