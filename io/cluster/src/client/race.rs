//! Which node is reached first: each further one is dialled a moment after the one before, and the first that greets is taken. Only
//! connections race. No request is sent twice for it.
use super::line::Line;
use super::{Attempt, CONNECT_WITHIN, late};
use crate::Error;
use std::sync::Arc;
use std::time::Duration;
use terachat_cluster::wire::{Contact, Welcome};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a node has before the next one is dialled, too: the least that RFC 8305 (Happy Eyeballs, section 5) recommends. Within one
/// site a node has greeted in a few milliseconds, so there nobody else is dialled.
const HEAD_START: Duration = Duration::from_millis(100);

/// How a race ended.
pub(super) enum Reached {
    /// This one is connected and knows who speaks.
    Node(Contact),
    /// None is.
    None,
    /// It makes no sense to try others.
    Over(Error),
}

/// Connects to one of these, the earlier the rather: who was reached, what it said when it was greeted now, and who failed meanwhile.
pub(super) async fn run(
    line: &Arc<Line>,
    contacts: Vec<Contact>,
) -> (Reached, Option<Welcome>, Vec<(Contact, Error)>) {
    let mut waiting = contacts.into_iter();
    let (mut racing, mut failures) = (JoinSet::new(), Vec::new());
    loop {
        if let Some(contact) = waiting.next() {
            let line = Arc::clone(line);
            racing.spawn(async move {
                let greeted = greet(&line, &contact).await;
                (contact, greeted)
            });
        }
        let ended = match waiting.len() {
            0 => racing.join_next().await,
            _ => match timeout(HEAD_START, racing.join_next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            },
        };
        match ended {
            None => return (Reached::None, None, failures),
            Some(Ok((contact, Ok(welcome)))) => return (Reached::Node(contact), welcome, failures),
            Some(Ok((_, Err(Attempt::Over(error))))) => return (Reached::Over(error), None, failures),
            Some(Ok((contact, Err(Attempt::Next(error))))) => failures.push((contact, error)),
            // The runtime ends.
            Some(Err(_)) => return (Reached::Over(Error::Stopped), None, failures),
        }
    }
}

/// Connects to a node and says who speaks, unless both is done already: then what it said.
pub(super) async fn greet(line: &Line, contact: &Contact) -> Result<Option<Welcome>, Attempt> {
    let connected = timeout(CONNECT_WITHIN, line.connect(contact)).await;
    connected.unwrap_or_else(|_| Err(late(contact, "greet")))
}
