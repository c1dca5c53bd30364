//! Coming in with a ticket: as a node, or as a client.
use crate::client::Client;
use crate::client_folder::ClientFolder;
use crate::folder::{NodeFolder, Place, Plan};
use crate::runtime::listening;
use crate::{Error, Keys, Ticket};
use std::path::Path;
use terachat_cluster::wire::{Admission, Ask, Told, Welcome};
use terachat_cluster::{JoinConsent, NodeKey, NodeProfile, TicketFor};
use terachat_net::Net;
use terachat_vault::Entropy;

impl NodeFolder {
    /// Joins a cluster: takes a port, shows the ticket to a member, and makes the folder of the node that was let in. It works from
    /// its first run on.
    ///
    /// # Errors
    /// [`Error::Role`], [`Error::Used`], [`Error::LedgerInEtcd`], [`Error::LedgerOnNodes`], [`Error::NoLedger`], [`Error::Unwelcome`],
    /// [`Error::NoNode`]; nothing is left then.
    pub async fn join(
        path: &Path,
        keys: Keys,
        plan: &Plan,
        ticket: &Ticket,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<Self, Error> {
        if ticket.role != TicketFor::Node {
            return Err(Error::Role("client", "cluster join"));
        }
        drop(crate::folder::empty(path)?);
        // Before the ticket is used up.
        plan.ledger.require(&ticket.ledger)?;
        plan.ledger.find(ticket.cluster).await?;
        let (listen, address) = take_port(&keys, plan).await?;
        let key = keys.device_key();
        let profile = NodeProfile {
            key: NodeKey(key.id().0),
            address: address.clone(),
            domain: plan.domain,
            weight: plan.weight,
        };
        let consent = JoinConsent::sign(ticket.cluster, ticket.secret, profile, &key);
        let client = Client::stranger(ticket.cluster, ticket.members.clone(), keys.seed()).await?;
        let told = client.ask(&Ask::Join(consent)).await;
        client.close().await;
        let Told::Welcome(Welcome { cluster, members, joined: Some(node) }) = told? else {
            return Err(Error::Answer);
        };
        Self::make(path, keys, plan, entropy, |_| Place {
            cluster,
            node,
            founding: false,
            listen,
            address,
            domain: plan.domain,
            weight: plan.weight,
            members,
        })
    }
}

/// The port that the node will listen on: it is taken for a moment, to see that it can be.
async fn take_port(keys: &Keys, plan: &Plan) -> Result<(String, String), Error> {
    let (net, _events) = Net::start(keys.seed(), Some(&plan.listen)).await?;
    let taken = listening(&net, &plan.listen, plan.address.as_deref().unwrap_or_default());
    net.shutdown().await;
    taken
}

impl ClientFolder {
    /// Has a client admitted, and makes its folder.
    ///
    /// # Errors
    /// As [`NodeFolder::join`].
    pub async fn join(
        path: &Path,
        keys: Keys,
        ticket: &Ticket,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<Self, Error> {
        if ticket.role != TicketFor::Client {
            return Err(Error::Role("node", "node join"));
        }
        drop(crate::folder::empty(path)?);
        let admission = Admission::sign(ticket.cluster, ticket.secret, &keys.device_key());
        let client = Client::stranger(ticket.cluster, ticket.members.clone(), keys.seed()).await?;
        let told = client.ask(&Ask::Admit(admission)).await;
        client.close().await;
        let Told::Welcome(Welcome { cluster, members, .. }) = told? else { return Err(Error::Answer) };
        Self::make(path, keys, cluster, members, entropy)
    }
}
