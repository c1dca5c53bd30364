//! The cluster's history, told by a node and replayed by whoever asks.
use crate::control::{Ask, Told};
use crate::{Client, Error};
use terachat_cluster::{Chronicle, Roster};

/// The whole history and what it comes to. It was replayed here: no node's word is taken for it, but for where it ends.
///
/// # Errors
/// [`Error::History`] naming the first deed that does not follow, [`Error::Unwelcome`], [`Error::NoNode`].
pub async fn history(client: &Client) -> Result<(Chronicle, Roster), Error> {
    let (mut chronicle, mut roster) = (Chronicle::default(), Roster::default());
    loop {
        let Told::History(deeds) = client.ask(&Ask::History(chronicle.next().0)).await? else {
            return Err(Error::Answer);
        };
        if deeds.is_empty() {
            break;
        }
        for deed in deeds {
            chronicle.append(deed, &mut roster)?;
        }
    }
    if roster.cluster() == Some(client.cluster()) { Ok((chronicle, roster)) } else { Err(Error::Answer) }
}
