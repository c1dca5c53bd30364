//! The cluster's history, told by nodes and replayed by whoever asks.
use crate::{Client, Error};
use terachat_cluster::wire::{Ask, Contact, Told};
use terachat_cluster::{Chronicle, Roster, SignedDeed};

/// The whole history and what it comes to, as whichever node answers tells it. It was replayed here: no node's word is taken for it, but
/// for where it ends.
///
/// # Errors
/// [`Error::History`] naming the first deed that does not follow, [`Error::Unwelcome`], [`Error::NoNode`].
pub async fn history(client: &Client) -> Result<(Chronicle, Roster), Error> {
    replay(client, async |from| told(client.ask(&Ask::History(from)).await?)).await
}

/// The same as one node tells it.
///
/// # Errors
/// As [`history`].
pub async fn history_of(client: &Client, node: &Contact) -> Result<(Chronicle, Roster), Error> {
    replay(client, async |from| told(client.ask_node(node, &Ask::History(from)).await?)).await
}

async fn replay(
    client: &Client,
    ask: impl AsyncFn(u64) -> Result<Vec<SignedDeed>, Error>,
) -> Result<(Chronicle, Roster), Error> {
    let (mut chronicle, mut roster) = (Chronicle::default(), Roster::default());
    loop {
        let deeds = ask(chronicle.next().0).await?;
        if deeds.is_empty() {
            break;
        }
        for deed in deeds {
            chronicle.append(deed, &mut roster)?;
        }
    }
    if roster.cluster() == Some(client.cluster()) { Ok((chronicle, roster)) } else { Err(Error::Answer) }
}

fn told(told: Told) -> Result<Vec<SignedDeed>, Error> {
    if let Told::History(deeds) = told { Ok(deeds) } else { Err(Error::Answer) }
}
