//! Whoever asks a cluster: knows several nodes, begins with the one that is reached first, and goes on to another one by itself.
mod line;
mod race;
#[cfg(test)]
mod tests;

use crate::{Error, Keys, Ticket};
use line::{Line, Speaker};
use race::Reached;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use terachat_cluster::wire::{Ask, Contact, Kind, LedgerAt, Told, Unwelcome, Welcome};
use terachat_cluster::{
    ClusterId, ItemKind, ItemName, NodeKey, Refused, Request, Response, Slot, Standing, TicketFor,
};
use terachat_host::OsEntropy;
use terachat_vault::{Entropy, Secret};
use tokio::time::{Instant, sleep, timeout};

/// How long one node may take to be connected, and to answer. A node itself answers within 5 s, if only by what is missing.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(7);
/// A change of the cluster waits for a leader.
const CHANGE_WITHIN: Duration = Duration::from_secs(15);
/// After all nodes were asked in vain.
const PAUSE: Duration = Duration::from_millis(150);
/// How long a request is tried for, all nodes and tries together, unless the caller says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Members that a ticket names beside the one that gave it.
const OTHERS: usize = 3;

/// A connection to a cluster, as a client, as the operator of one node, or as nobody yet.
pub struct Client {
    line: Arc<Line>,
    cluster: ClusterId,
    /// Whom to ask, in this order: the first is the one that was reached first or answered last.
    members: Mutex<Vec<Contact>>,
    /// All members, as a node said.
    known: Mutex<Vec<Contact>>,
    /// Only one race at a time: who asks meanwhile takes what it came to.
    racing: tokio::sync::Mutex<()>,
    patience: Duration,
}

impl Client {
    /// Speaks for an admitted client.
    ///
    /// # Errors
    /// [`Error::Net`], [`Error::Host`]; no node is asked yet.
    pub async fn new(cluster: ClusterId, members: Vec<Contact>, keys: &Keys) -> Result<Self, Error> {
        let key = Arc::new(keys.device_key());
        Self::speak(cluster, members, Speaker::Client(key), &drawn()?).await
    }

    /// Speaks for whoever holds the keys of a node, to that node only.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub async fn operator(cluster: ClusterId, node: Contact, keys: &Keys) -> Result<Self, Error> {
        let key = Arc::new(keys.operator());
        Self::speak(cluster, vec![node], Speaker::Operator(key), &drawn()?).await
    }

    /// Speaks for nobody, over a connection of this key.
    pub(crate) async fn stranger(
        cluster: ClusterId,
        members: Vec<Contact>,
        seed: &Secret<32>,
    ) -> Result<Self, Error> {
        Self::speak(cluster, members, Speaker::Nobody, seed).await
    }

    async fn speak(
        cluster: ClusterId,
        members: Vec<Contact>,
        speaker: Speaker,
        seed: &Secret<32>,
    ) -> Result<Self, Error> {
        let line = Arc::new(Line::start(cluster, speaker, seed).await?);
        let members = Mutex::new(members);
        let (known, racing) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { line, cluster, members, known, racing, patience: PATIENCE })
    }

    /// Tries a request for so long.
    #[must_use]
    pub fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The cluster that is spoken to.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The members that are known by now, in the order in which they are asked. Whoever remembers them in it begins the next time with
    /// the one that did best.
    pub fn members(&self) -> Vec<Contact> {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Contact>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, members: &[Contact]) {
        members.clone_into(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
        if !members.is_empty() && !self.line.is_operator() {
            let mut asked = self.locked();
            *asked = in_order(&asked, members);
        }
    }

    /// Has a request met by whichever node can. Requests may be repeated: a put twice is one put.
    ///
    /// # Errors
    /// [`Error::Refused`] with the last node's word, [`Error::NoNode`] if none answered.
    pub async fn request(&self, request: &Request) -> Result<Response, Error> {
        let body = request.encode();
        self.try_all(|contact| self.request_of(contact, request, &body)).await
    }

    async fn request_of(
        &self,
        contact: Contact,
        request: &Request,
        body: &[u8],
    ) -> Result<Response, Attempt> {
        let answer = self.call(&contact, Kind::Request, body, ANSWER_WITHIN).await?;
        match Response::decode(&answer).map_err(|_| Attempt::Over(Error::Answer))? {
            Response::Refused(refused) if is_final(&refused) => Err(Attempt::Over(refused.into())),
            Response::Refused(refused) => Err(Attempt::Next(refused.into())),
            response if is_forged(request, &response) => Err(Attempt::Next(Error::Forged)),
            response => Ok(response),
        }
    }

    /// Claims a slot: gives back what stands there now, which is `value` for the first who claimed it and that one's value for
    /// everybody else, until it ends. `life_ms` counts from now on by the clocks of the cluster, 1 to those of
    /// [90 days](terachat_core_store::sync::board::RECORD_LIFETIME_MS_MAX). The same claim again is the same claim, and stays longer.
    ///
    /// # Errors
    /// As [`Client::request`]. After [`Refused::NoMajority`] nothing was claimed; after [`Refused::Unknown`] and [`Error::NoNode`] it may
    /// have been, and may be claimed again.
    pub async fn claim(&self, slot: Slot, value: [u8; 32], life_ms: u64) -> Result<Standing, Error> {
        match self.request(&Request::Claim { slot, value, life_ms }).await? {
            Response::Claimed(standing) => Ok(standing),
            _ => Err(Error::Answer),
        }
    }

    /// Asks about the cluster, whichever node answers.
    ///
    /// # Errors
    /// [`Error::Unwelcome`] with the last node's word, [`Error::NoNode`] if none answered.
    pub async fn ask(&self, ask: &Ask) -> Result<Told, Error> {
        let body = ask.encode();
        self.try_all(|contact| self.ask_of(contact, &body)).await
    }

    /// Asks one node, once.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn ask_node(&self, contact: &Contact, ask: &Ask) -> Result<Told, Error> {
        self.ask_of(contact.clone(), &ask.encode()).await.map_err(|attempt| match attempt {
            Attempt::Over(error) | Attempt::Next(error) => error,
        })
    }

    /// A ticket for one newcomer, of an operator, which says where the cluster's ledger is.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn invite(&self, role: TicketFor, lifetime_ms: u64, ledger: LedgerAt) -> Result<Ticket, Error> {
        let Told::Ticket(secret) = self.ask(&Ask::Invite { role, lifetime_ms }).await? else {
            return Err(Error::Answer);
        };
        // The node that was asked knows the ticket already; three others for when it is away.
        let asked = self.members();
        let others = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let others = others.into_iter().filter(|contact| !asked.contains(contact)).take(OTHERS);
        let members = asked.iter().cloned().chain(others).collect();
        Ok(Ticket { role, cluster: self.cluster, secret, members, ledger })
    }

    async fn ask_of(&self, contact: Contact, body: &[u8]) -> Result<Told, Attempt> {
        let answer = self.call(&contact, Kind::Ask, body, CHANGE_WITHIN).await?;
        match Told::decode(&answer).ok_or(Attempt::Over(Error::Answer))? {
            Told::Refused(why @ (Unwelcome::NoMajority | Unwelcome::Busy | Unwelcome::Stranger)) => {
                Err(Attempt::Next(why.into()))
            }
            Told::Refused(why) => Err(Attempt::Over(why.into())),
            told => {
                if let Told::Welcome(Welcome { members, .. }) = &told {
                    self.learn(members);
                }
                Ok(told)
            }
        }
    }

    async fn call(
        &self,
        contact: &Contact,
        kind: Kind,
        body: &[u8],
        within: Duration,
    ) -> Result<Vec<u8>, Attempt> {
        if let Some(welcome) = race::greet(&self.line, contact).await? {
            self.learn(&welcome.members);
        }
        timeout(within, self.line.call(contact, kind, body)).await.map_err(|_| late(contact, "answer"))?
    }

    /// One node after the other, from the one that is reached first on, and again, until time is over.
    async fn try_all<T, F>(&self, attempt: impl Fn(Contact) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Attempt>>,
    {
        let until = Instant::now() + self.patience;
        let mut last = no_node("no node is known".to_owned());
        loop {
            let mut tried = BTreeSet::new();
            let mut strangers = 0;
            // Who is learned of meanwhile is asked in the next round at the latest.
            for _ in 0..self.members().len() {
                let (reached, failures) = self.reach(&tried).await;
                for (contact, error) in failures {
                    strangers += usize::from(is_stranger(&error));
                    self.put_last(&contact);
                    tried.insert(contact.key);
                    last = worth_more(last, error);
                }
                let contact = match reached {
                    Reached::Node(contact) => contact,
                    Reached::None => break,
                    Reached::Over(error) => return Err(error),
                };
                match attempt(contact.clone()).await {
                    Ok(answer) => return Ok(answer),
                    Err(Attempt::Over(error)) => return Err(error),
                    Err(Attempt::Next(error)) => {
                        strangers += usize::from(is_stranger(&error));
                        last = worth_more(last, error);
                    }
                }
                self.put_last(&contact);
                tried.insert(contact.key);
                if Instant::now() >= until {
                    break;
                }
            }
            let members = self.members().len();
            // One node may not have heard of a newcomer yet; all of them have.
            if strangers >= members || Instant::now() + PAUSE >= until {
                if let Error::NoNode { nodes, seconds, .. } = &mut last {
                    (*nodes, *seconds) = (members, self.patience.as_secs());
                }
                return Err(last);
            }
            sleep(PAUSE).await;
        }
    }

    /// The first of the others that can be asked, and who could not meanwhile.
    async fn reach(&self, tried: &BTreeSet<NodeKey>) -> (Reached, Vec<(Contact, Error)>) {
        let others = || {
            let members = self.members().into_iter();
            members.filter(|contact| !tried.contains(&contact.key)).collect::<Vec<_>>()
        };
        // Whoever can be asked at once need not wait for others' races.
        if let Some(first) = others().into_iter().next().filter(|first| self.line.is_ready(first)) {
            return (Reached::Node(first), Vec::new());
        }
        let _racing = self.racing.lock().await;
        let (reached, welcome, failures) = race::run(&self.line, others()).await;
        if let Some(welcome) = welcome {
            self.learn(&welcome.members);
        }
        if let Reached::Node(contact) = &reached {
            self.put_first(contact);
        }
        (reached, failures)
    }

    fn put_first(&self, contact: &Contact) {
        let mut members = self.locked();
        if let Some(at) = members.iter().position(|member| member.key == contact.key) {
            members[..=at].rotate_right(1);
        }
    }

    fn put_last(&self, contact: &Contact) {
        let mut members = self.locked();
        if let Some(at) = members.iter().position(|member| member.key == contact.key) {
            members[at..].rotate_left(1);
        }
    }

    /// Leaves.
    pub async fn close(self) {
        self.line.close().await;
    }
}

/// A try that came to nothing.
pub(crate) enum Attempt {
    /// Another node may do better.
    Next(Error),
    /// None will.
    Over(Error),
}

/// These members, those that were known already first and in their order.
fn in_order(known: &[Contact], members: &[Contact]) -> Vec<Contact> {
    let place = |member: &Contact| known.iter().position(|known| known.key == member.key);
    let mut ordered = members.to_vec();
    ordered.sort_by_key(|member| place(member).unwrap_or(known.len()));
    ordered
}

/// What a node said is worth more than that another one did not answer; what was said first is kept, but that nobody is known there.
fn worth_more(last: Error, error: Error) -> Error {
    match error {
        error if is_stranger(&error) => error,
        Error::Net(error) if matches!(last, Error::NoNode { .. }) => {
            no_node(error.to_string().split(';').next().unwrap_or_default().to_owned())
        }
        error if matches!(last, Error::NoNode { .. }) => error,
        _ => last,
    }
}

fn no_node(last: String) -> Error {
    Error::NoNode { nodes: 1, seconds: ANSWER_WITHIN.as_secs(), last }
}

fn late(contact: &Contact, what: &str) -> Attempt {
    Attempt::Next(no_node(format!("{} did not {what} in time", contact.node)))
}

fn is_stranger(error: &Error) -> bool {
    matches!(error, Error::Unwelcome(Unwelcome::Stranger) | Error::Refused(Refused::Stranger))
}

/// Whether these are not the bytes that the name of a blob stands for.
fn is_forged(request: &Request, response: &Response) -> bool {
    match (request, response) {
        (Request::Get(name), Response::Got(Some(bytes))) if name.kind == ItemKind::Blob => {
            ItemName::of_blob(bytes) != *name
        }
        _ => false,
    }
}

/// Whether another node would say the same.
fn is_final(refused: &Refused) -> bool {
    matches!(
        refused,
        Refused::Item
            | Refused::Ledger(_)
            | Refused::Damaged
            | Refused::Record
            | Refused::Lifetime
            | Refused::Lasting
    )
}

/// The key of a connection: drawn for it, so that one client may have several.
fn drawn() -> Result<Secret<32>, Error> {
    let mut entropy = OsEntropy::new()?;
    Ok(Secret::generate(|seed| entropy.fill(seed)))
}
