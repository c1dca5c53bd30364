use super::deed::{
    ADDRESS_LEN_MAX, CASE_LEN_MAX, Deed, HELD_ITEMS_MAX, JoinConsent, NodeProfile, Program,
    RECIPIENT_LEN_MAX, VERSION_LEN_MAX, What, ticket_hash,
};
use crate::{ClientKey, ClusterId, ItemName, NodeKey, Refusal};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use terachat_shard::NodeId;

/// Nodes of a cluster at most: a stripe stands on all of them.
pub(super) const NODES_MAX: usize = 255;
/// Tickets that are out at once, and clients, and cases that hold something.
const MANY: usize = 65_536;
/// Items that are held, counted once for each case: as many pieces of 1 MiB are a tebibyte, and 33 MiB in memory.
const HELD_MAX: usize = 1 << 20;

/// As what a ticket lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TicketFor {
    /// A node.
    Node,
    /// A client.
    Client,
}

/// What the cluster has decided of a node. Whether it answers is another matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeStatus {
    /// It takes shards.
    Active,
    /// It is to be emptied.
    Draining,
    /// It is out, for ever.
    Left,
}

/// A node that is or was a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// What it said of itself.
    pub profile: NodeProfile,
    /// What was decided of it.
    pub status: NodeStatus,
    /// What it runs, if it has said so.
    pub program: Option<Program>,
    /// The entry up to which it has said where shards are to stand; 0 if it never did.
    pub placed: u64,
}

/// Who belongs to the cluster, and what may not be forgotten: a function of its deeds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roster {
    cluster: Option<ClusterId>,
    nodes: BTreeMap<NodeId, NodeRecord>,
    clients: BTreeSet<ClientKey>,
    tickets: BTreeMap<[u8; 32], (TicketFor, u64)>,
    /// By the case that holds them.
    held: BTreeMap<String, BTreeSet<ItemName>>,
    /// How many nodes took shards before the last change of that number: who cut a stripe for as many may not know yet.
    active_before: u8,
}

impl Roster {
    /// The cluster's name, once it is founded.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.cluster
    }

    /// All nodes that ever joined.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &NodeRecord)> {
        self.nodes.iter().map(|(node, record)| (*node, record))
    }

    /// Nodes that have not left.
    pub fn members(&self) -> impl Iterator<Item = (NodeId, &NodeRecord)> {
        self.nodes().filter(|(_, record)| record.status != NodeStatus::Left)
    }

    /// Nodes that take shards.
    pub fn active(&self) -> impl Iterator<Item = (NodeId, &NodeRecord)> {
        self.nodes().filter(|(_, record)| record.status == NodeStatus::Active)
    }

    /// The node of this number, if there ever was one.
    pub fn node(&self, node: NodeId) -> Option<&NodeRecord> {
        self.nodes.get(&node)
    }

    /// The member of this key.
    pub fn node_of(&self, key: &NodeKey) -> Option<NodeId> {
        self.members().find(|(_, record)| record.profile.key == *key).map(|(node, _)| node)
    }

    /// Whether this client may put and get.
    pub fn admits(&self, client: &ClientKey) -> bool {
        self.clients.contains(client)
    }

    /// Clients that may put and get.
    pub fn clients(&self) -> impl Iterator<Item = &ClientKey> {
        self.clients.iter()
    }

    /// Whether a ticket would let in now; a deed that shows it uses it up.
    ///
    /// # Errors
    /// [`Refusal::Ticket`].
    pub fn check_ticket(&self, secret: &[u8; 32], role: TicketFor, now_ms: u64) -> Result<(), Refusal> {
        self.ticket(secret, role, now_ms).map(drop)
    }

    /// Whether an item must not be forgotten.
    pub fn is_held(&self, name: &ItemName) -> bool {
        self.held.values().any(|items| items.contains(name))
    }

    /// Legal holds: the case, and how many items it holds.
    pub fn holds(&self) -> impl Iterator<Item = (&str, usize)> {
        self.held.iter().map(|(case, items)| (case.as_str(), items.len()))
    }

    /// What a case holds.
    pub(super) fn held_for(&self, case: &str) -> Option<&BTreeSet<ItemName>> {
        self.held.get(case)
    }

    /// Whether a stripe may be cut for so many nodes: as many as take shards, or did before the last change.
    pub fn fits(&self, nodes: usize) -> bool {
        nodes == self.active().count() || nodes == usize::from(self.active_before)
    }

    /// What a deed changes, and the number of the node that came in by it. Who signed is not looked at here.
    ///
    /// # Errors
    /// Any [`Refusal`] of a deed; nothing is changed then.
    pub(super) fn apply(&mut self, deed: &Deed) -> Result<Option<NodeId>, Refusal> {
        let before = self.active().count();
        let joined = self.change(deed)?;
        if self.active().count() != before {
            self.active_before = u8::try_from(before).unwrap_or(u8::MAX);
        }
        Ok(joined)
    }

    fn change(&mut self, deed: &Deed) -> Result<Option<NodeId>, Refusal> {
        match &deed.what {
            What::Founded { cluster, profile } => {
                if self.cluster.is_some() || deed.by != FIRST {
                    return Err(Refusal::AlreadyFounded);
                }
                check(profile)?;
                self.cluster = Some(*cluster);
                self.nodes.insert(FIRST, active(profile));
                return Ok(Some(FIRST));
            }
            _ if self.cluster.is_none() => return Err(Refusal::NotFounded),
            What::Invited { ticket, role, until_ms } => {
                self.tickets.retain(|_, (_, until)| *until > deed.at_ms);
                room(self.tickets.len())?;
                self.tickets.insert(*ticket, (*role, *until_ms));
            }
            What::Joined(consent) => return self.join(consent, deed.at_ms).map(Some),
            What::Admitted { client, ticket } => {
                let ticket = self.ticket(ticket, TicketFor::Client, deed.at_ms)?;
                room(self.clients.len())?;
                self.tickets.remove(&ticket);
                self.clients.insert(*client);
            }
            What::Dismissed(client) => {
                self.clients.remove(client);
            }
            What::Draining(node) => self.set_status(*node, NodeStatus::Draining)?,
            What::Returned(node) => self.set_status(*node, NodeStatus::Active)?,
            What::Left(node) => self.set_status(*node, NodeStatus::Left)?,
            What::Moved { node, address } => {
                check_address(address)?;
                self.member_mut(*node)?.profile.address.clone_from(address);
            }
            What::Held { case, items } => self.hold(case, items)?,
            What::Released(case) => {
                self.held.remove(case).ok_or(Refusal::NoCase)?;
            }
            What::Exported(export) => {
                if !is_shown(&export.to, RECIPIENT_LEN_MAX) {
                    return Err(Refusal::Recipient);
                }
                let held = self.held_for(&export.case).ok_or(Refusal::NoCase)?;
                if export.items > held.len() as u64 {
                    return Err(Refusal::Recipient);
                }
            }
            What::Deployed(program) => {
                if !is_shown(&program.version, VERSION_LEN_MAX) {
                    return Err(Refusal::Version);
                }
                self.member_mut(deed.by)?.program = Some(program.clone());
            }
            What::Placed(mark) => {
                let node = self.member_mut(deed.by)?;
                if mark.entry < node.placed {
                    return Err(Refusal::Placed);
                }
                node.placed = mark.entry;
            }
        }
        Ok(None)
    }

    fn join(&mut self, consent: &JoinConsent, at_ms: u64) -> Result<NodeId, Refusal> {
        check(&consent.profile)?;
        if self.cluster != Some(consent.cluster) || !consent.is_signed() {
            return Err(Refusal::Signature);
        }
        // Who asks again, because the answer was lost, is who it is already.
        if let Some(node) = self.node_of(&consent.profile.key) {
            return Ok(node);
        }
        if self.nodes.values().any(|record| record.profile.key == consent.profile.key) {
            return Err(Refusal::KeyUsed);
        }
        let ticket = self.ticket(&consent.ticket, TicketFor::Node, at_ms)?;
        if self.members().count() >= NODES_MAX {
            return Err(Refusal::TooMany);
        }
        // No number is given twice, so nodes that left stay in the map.
        let last = self.nodes.keys().next_back().map_or(0, |node| node.0.get());
        let node = last.checked_add(1).and_then(NonZeroU32::new).map(NodeId).ok_or(Refusal::TooMany)?;
        self.tickets.remove(&ticket);
        self.nodes.insert(node, active(&consent.profile));
        Ok(node)
    }

    fn hold(&mut self, case: &str, items: &[ItemName]) -> Result<(), Refusal> {
        if !is_shown(case, CASE_LEN_MAX) || !(1..=HELD_ITEMS_MAX).contains(&items.len()) {
            return Err(Refusal::Case);
        }
        let held: usize = self.held.values().map(BTreeSet::len).sum();
        room(self.held.len())?;
        if held + items.len() > HELD_MAX {
            return Err(Refusal::TooMany);
        }
        self.held.entry(case.to_owned()).or_default().extend(items);
        Ok(())
    }

    /// The hash of a ticket that is good for this now.
    fn ticket(&self, secret: &[u8; 32], role: TicketFor, at_ms: u64) -> Result<[u8; 32], Refusal> {
        let hash = ticket_hash(secret);
        let (meant, until_ms) = self.tickets.get(&hash).ok_or(Refusal::Ticket)?;
        if *meant == role && at_ms <= *until_ms { Ok(hash) } else { Err(Refusal::Ticket) }
    }

    fn member_mut(&mut self, node: NodeId) -> Result<&mut NodeRecord, Refusal> {
        let member = self.nodes.get_mut(&node).filter(|record| record.status != NodeStatus::Left);
        member.ok_or(Refusal::NoMember(node))
    }

    fn set_status(&mut self, node: NodeId, status: NodeStatus) -> Result<(), Refusal> {
        self.member_mut(node)?;
        if status != NodeStatus::Active && self.active().all(|(other, _)| other == node) {
            return Err(Refusal::LastNode(node));
        }
        self.member_mut(node)?.status = status;
        Ok(())
    }
}

/// The number of the node that founds.
const FIRST: NodeId = NodeId(NonZeroU32::MIN);

fn active(profile: &NodeProfile) -> NodeRecord {
    NodeRecord { profile: profile.clone(), status: NodeStatus::Active, program: None, placed: 0 }
}

fn check(profile: &NodeProfile) -> Result<(), Refusal> {
    check_address(&profile.address)
}

fn check_address(address: &str) -> Result<(), Refusal> {
    if (1..=ADDRESS_LEN_MAX).contains(&address.len()) { Ok(()) } else { Err(Refusal::Address) }
}

/// Whether a text is not empty, no longer than this, and without anything that is not shown.
fn is_shown(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && !text.contains(char::is_control)
}

fn room(len: usize) -> Result<(), Refusal> {
    if len < MANY { Ok(()) } else { Err(Refusal::TooMany) }
}
