//! Questions about the cluster itself: who may ask them, and what is done.
use super::{Engine, Event, Who};
use crate::deeds::Doer;
use std::sync::Arc;
use terachat_cluster::wire::{Ask, Ends, Hello, Kind, ScrubReport, Told, Unwelcome, Welcome};
use terachat_cluster::{Call, DiskDone, DiskWork, JoinConsent, Outcome, TicketFor, What};
use terachat_host::{OsEntropy, clock};
use terachat_net::PeerKey;
use terachat_shard::NodeId;
use terachat_vault::Entropy;

/// Questions of one connection that are under way at once.
const ASKED_MAX: usize = 4;
/// Bytes that are read again for one question: nobody's shard waits longer than that takes.
const SCRUB_LEN: u64 = 8 << 20;

impl Engine {
    pub(super) fn ask(&mut self, peer: PeerKey, number: u64, body: &[u8]) {
        let Some(guest) = self.guests.get(&peer) else { return };
        let who = guest.who;
        let busy = guest.under_way >= ASKED_MAX;
        let Some(ask) = Ask::decode(body) else { return self.refuse(peer, number, Unwelcome::Form) };
        // A greeting is answered at once; a client with many requests may greet twice.
        if busy && !matches!(ask, Ask::Hello(_)) {
            return self.refuse(peer, number, Unwelcome::Busy);
        }
        match (ask, who) {
            (Ask::Hello(hello), _) => self.hello(peer, number, &hello),
            (Ask::Join(consent), _) => self.join(peer, number, consent),
            (Ask::Admit(admission), _) => {
                let cluster = self.parts.place.borrow().cluster;
                if !admission.is_signed(cluster) {
                    return self.refuse(peer, number, Unwelcome::Stranger);
                }
                let (client, ticket) = (admission.client, admission.ticket);
                self.let_in(peer, number, ticket, TicketFor::Client, What::Admitted { client, ticket });
            }
            (_, Who::Stranger) => self.refuse(peer, number, Unwelcome::Stranger),
            (Ask::Status, _) => self.status(peer, number),
            (Ask::Audit, _) => self.audit(peer, number),
            (Ask::Scrub { anew }, _) => self.scrub(peer, number, anew),
            (Ask::Holds, _) => {
                let holds = |(case, items): (&str, usize)| (case.to_owned(), items as u64);
                let holds = self.state.read().roster().holds().map(holds).collect();
                self.tell(peer, number, &Told::Holds(holds));
            }
            (Ask::History(from), _) => self.history(peer, number, from),
            (_, Who::Client(_)) => self.refuse(peer, number, Unwelcome::Stranger),
            (Ask::Invite { role, lifetime_ms }, _) => self.invite(peer, number, role, lifetime_ms),
            (Ask::Drain(node), _) => self.act(peer, number, What::Draining(node)),
            (Ask::Return(node), _) => self.act(peer, number, What::Returned(node)),
            (Ask::Leave { node, force }, _) => self.leave(peer, number, node, force),
            (Ask::Dismiss(client), _) => self.act(peer, number, What::Dismissed(client)),
            (Ask::Hold { case, items }, _) => self.act(peer, number, What::Held { case, items }),
            (Ask::Release(case), _) => self.act(peer, number, What::Released(case)),
            (Ask::Exhibits { case, after }, _) => self.exhibits(peer, number, case, after),
            (Ask::Export(export), _) => self.export(peer, number, export),
        }
    }

    /// Has the disk read some more again. The answer comes when it has.
    fn scrub(&mut self, peer: PeerKey, number: u64, anew: bool) {
        if self.parts.disk.waiting() >= super::DISK_WAITING_MAX {
            return self.refuse(peer, number, Unwelcome::Busy);
        }
        // The node counts its own calls from a random number on that is far below.
        let call = Call(u64::MAX - self.next_call);
        self.next_call += 1;
        self.rereading.insert(call, (peer, number));
        if let Some(guest) = self.guests.get_mut(&peer) {
            guest.under_way += 1;
        }
        self.parts.disk.ask(call, DiskWork::Reread { budget: SCRUB_LEN, anew });
    }

    /// The disk has done something; whether that was somebody's here.
    pub(super) fn reread(&mut self, call: Call, done: &DiskDone) -> bool {
        let Some((peer, number)) = self.rereading.remove(&call) else { return false };
        if let Some(guest) = self.guests.get_mut(&peer) {
            guest.under_way = guest.under_way.saturating_sub(1);
        }
        let told = match done {
            DiskDone::Reread(step, usage) => Told::Scrub(ScrubReport {
                node: self.own,
                bytes: step.bytes,
                through: step.through,
                disk: (*usage).into(),
            }),
            _ => Told::Refused(Unwelcome::Disk),
        };
        self.tell(peer, number, &told);
        true
    }

    /// A node that joined a moment ago, and did not hear it.
    pub(super) fn ask_of_member(&self, peer: PeerKey, node: NodeId, number: u64, body: &[u8]) {
        if matches!(Ask::decode(body), Some(Ask::Join(_))) {
            let cluster = self.parts.place.borrow().cluster;
            let members = self.directory(crate::directory::Directory::list);
            self.tell(peer, number, &Told::Welcome(Welcome { cluster, members, joined: Some(node) }));
        }
    }

    fn hello(&mut self, peer: PeerKey, number: u64, hello: &Hello) {
        let ends = Ends {
            cluster: self.parts.place.borrow().cluster,
            node: self.parts.links.net().key().0,
            connection: peer.0,
        };
        let known = match hello {
            Hello::Client(client, _) => self.state.read().roster().admits(client),
            Hello::Operator(_) => true,
        };
        if !known || !ends.is_signed(hello, &self.parts.operator) {
            return self.refuse(peer, number, Unwelcome::Stranger);
        }
        let who = match hello {
            Hello::Client(client, _) => Who::Client(*client),
            Hello::Operator(_) => Who::Operator,
        };
        if let Some(guest) = self.guests.get_mut(&peer) {
            guest.who = who;
        }
        let members = self.directory(crate::directory::Directory::list);
        self.tell(peer, number, &Told::Welcome(Welcome { cluster: ends.cluster, members, joined: None }));
    }

    fn join(&mut self, peer: PeerKey, number: u64, consent: JoinConsent) {
        let cluster = self.parts.place.borrow().cluster;
        // A node joins over a connection of its own key, and so no other one's consent is shown again.
        if consent.cluster != cluster || consent.profile.key.0 != peer.0 {
            return self.refuse(peer, number, Unwelcome::Stranger);
        }
        let ticket = consent.ticket;
        self.let_in(peer, number, ticket, TicketFor::Node, What::Joined(consent));
    }

    /// Lets in who shows a good ticket. A bad one is not brought before the ledger: strangers write nothing into it.
    fn let_in(&mut self, peer: PeerKey, number: u64, ticket: [u8; 32], role: TicketFor, what: What) {
        let cluster = self.parts.place.borrow().cluster;
        let directory = Arc::clone(&self.parts.directory);
        self.answer(peer, number, |doer| async move {
            doer.catch_up().await?;
            let known = match &what {
                What::Joined(consent) => doer.state.read().roster().node_of(&consent.profile.key).is_some(),
                What::Admitted { client, .. } => doer.state.read().roster().admits(client),
                _ => false,
            };
            let joined = match known {
                // Whoever asks again, because the answer was lost, is in already.
                true => match &what {
                    What::Joined(consent) => doer.state.read().roster().node_of(&consent.profile.key),
                    _ => None,
                },
                false => {
                    let good = doer.state.read().roster().check_ticket(&ticket, role, clock::now_ms());
                    good.map_err(Unwelcome::Ledger)?;
                    match doer.act(what).await? {
                        Outcome::Joined(node) => Some(node),
                        _ => None,
                    }
                }
            };
            let remembered = directory.read().unwrap_or_else(std::sync::PoisonError::into_inner).list();
            let members =
                crate::directory::Directory::new(doer.state.read().roster(), &remembered, [].iter()).list();
            Ok(Told::Welcome(Welcome { cluster, members, joined }))
        });
    }

    fn invite(&mut self, peer: PeerKey, number: u64, role: TicketFor, lifetime_ms: u64) {
        self.answer(peer, number, move |doer| async move {
            let mut secret = [0; 32];
            OsEntropy::new().map_err(|_| Unwelcome::Busy)?.fill(&mut secret);
            let until_ms = clock::now_ms().saturating_add(lifetime_ms);
            doer.act(What::invite(&secret, role, until_ms)).await?;
            Ok(Told::Ticket(secret))
        });
    }

    fn act(&mut self, peer: PeerKey, number: u64, what: What) {
        self.answer(peer, number, |doer| async move {
            doer.act(what).await?;
            Ok(Told::Done)
        });
    }

    fn leave(&mut self, peer: PeerKey, number: u64, node: NodeId, force: bool) {
        self.answer(peer, number, move |doer| async move {
            doer.catch_up().await?;
            let shards = super::report::shards(&doer.state.read()).get(&node).copied().unwrap_or(0);
            if shards > 0 && !force {
                return Err(Unwelcome::NotEmpty { node, shards });
            }
            doer.act(What::Left(node)).await?;
            Ok(Told::Done)
        });
    }

    /// Does what takes its time, and tells what came of it.
    pub(super) fn answer<F>(&mut self, peer: PeerKey, number: u64, work: impl FnOnce(Doer) -> F)
    where
        F: Future<Output = Result<Told, Unwelcome>> + Send + 'static,
    {
        if let Some(guest) = self.guests.get_mut(&peer) {
            guest.under_way += 1;
        }
        let (links, events) = (self.parts.links.clone(), self.parts.events.clone());
        let work = work(self.parts.doer.clone());
        tokio::spawn(async move {
            let told = work.await.unwrap_or_else(Told::Refused);
            let _ = links.send(peer, Kind::Told, number, &told.encode());
            let _ = events.send(Event::Answered(peer));
        });
    }
}
