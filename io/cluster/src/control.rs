//! What is said about a cluster itself, by whoever joins, asks how it is, or works on it: `docs/format/cluster-message.md`.
use crate::report::{AuditReport, Report, ScrubReport};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use terachat_cluster::{
    ClientKey, ClusterId, Exhibit, Export, ItemName, JoinConsent, NodeKey, Refusal, Signature, SignedDeed,
    TicketFor,
};
use terachat_event::DeviceKey;
use terachat_shard::NodeId;

const VERSION: u8 = 1;
/// Bytes of deeds that are told at once: one may have 135 KiB.
pub const HISTORY_MAX: usize = 512 << 10;
const CLIENT: &str = "terachat 2026-11 cluster client connection";
const OPERATOR: &str = "terachat 2026-11 cluster operator connection";
const ADMISSION: &str = "terachat 2026-11 cluster admission";

/// Where a member is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Its number.
    pub node: NodeId,
    /// Its key.
    pub key: NodeKey,
    /// Where to dial it.
    pub address: String,
}

/// Who speaks on a connection that is not a member's. The connection has a key of its own, drawn for it, so that one client can
/// have several; whoever it speaks for signs both ends of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hello {
    /// A client that was admitted.
    Client(ClientKey, Signature),
    /// Whoever holds the keys of the node that is spoken to.
    Operator(Signature),
}

/// The two ends of a connection, as whoever speaks for one of them signs them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) cluster: ClusterId,
    pub(crate) node: [u8; 32],
    pub(crate) connection: [u8; 32],
}

impl Ends {
    fn said(&self) -> Vec<u8> {
        [&self.cluster.0[..], &self.node, &self.connection].concat()
    }

    pub(crate) fn client(&self, key: &DeviceKey) -> Hello {
        Hello::Client(ClientKey(key.id().0), Signature(key.sign(CLIENT, &self.said())))
    }

    pub(crate) fn operator(&self, key: &DeviceKey) -> Hello {
        Hello::Operator(Signature(key.sign(OPERATOR, &self.said())))
    }

    /// Whether the greeting is by whom it says; `operator` is the key of this node's.
    pub(crate) fn is_signed(&self, hello: &Hello, operator: &[u8; 32]) -> bool {
        match hello {
            Hello::Client(key, signature) => {
                terachat_event::verify(&key.0, CLIENT, &self.said(), &signature.0)
            }
            Hello::Operator(signature) => {
                terachat_event::verify(operator, OPERATOR, &self.said(), &signature.0)
            }
        }
    }
}

/// That a client wants to be admitted: signed, so that nobody is admitted under a key that is another's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The client's key.
    pub client: ClientKey,
    /// The ticket's secret. Used up by this.
    pub ticket: [u8; 32],
    /// By the client's key.
    pub signature: Signature,
}

impl Admission {
    pub(crate) fn sign(cluster: ClusterId, ticket: [u8; 32], key: &DeviceKey) -> Self {
        let said = [&cluster.0[..], &ticket].concat();
        Self { client: ClientKey(key.id().0), ticket, signature: Signature(key.sign(ADMISSION, &said)) }
    }

    pub(crate) fn is_signed(&self, cluster: ClusterId) -> bool {
        let said = [&cluster.0[..], &self.ticket].concat();
        terachat_event::verify(&self.client.0, ADMISSION, &said, &self.signature.0)
    }
}

/// What can be asked of a node, beside a client's requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Who speaks here. Anybody.
    Hello(Hello),
    /// A node wants to join. Anybody with a ticket.
    Join(JoinConsent),
    /// A client wants to be admitted. Anybody with a ticket.
    Admit(Admission),
    /// How things are. Clients and operators.
    Status,
    /// Replay the cluster's history and say what comes out. Clients and operators.
    Audit,
    /// A ticket. Operators.
    Invite {
        /// As what it lets in.
        role: TicketFor,
        /// For how long, in milliseconds.
        lifetime_ms: u64,
    },
    /// Empty a node. Operators.
    Drain(NodeId),
    /// Let a node take shards again. Operators.
    Return(NodeId),
    /// Count a node out for ever. Operators.
    Leave {
        /// Which.
        node: NodeId,
        /// Though it still has shards, which then count as lost.
        force: bool,
    },
    /// Let a client no longer put and get. Operators.
    Dismiss(ClientKey),
    /// Read some of the node's shards again, in the order in which they lie, and say what was found. Clients and operators.
    Scrub {
        /// From the beginning on, not where the step before ended.
        anew: bool,
    },
    /// Items must not be forgotten: a legal hold. Operators.
    Hold {
        /// For which case.
        case: String,
        /// At most [`terachat_cluster::HELD_ITEMS_MAX`].
        items: Vec<ItemName>,
    },
    /// A case is over. Operators.
    Release(String),
    /// Which cases hold how much. Clients and operators.
    Holds,
    /// What a case holds, in the order of names. Operators.
    Exhibits {
        /// Which case.
        case: String,
        /// From behind this one on.
        after: Option<ItemName>,
    },
    /// What a case holds is to be given out: once that is in the cluster's history, whoever asked may get these items over this
    /// connection. Operators.
    Export(Export),
    /// The cluster's history from this deed on. Clients and operators.
    History(u64),
}

impl Ask {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a whole question; `None` if the bytes are something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        decode(bytes)
    }
}

/// What a node answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// The connection, or the newcomer, is known from now on.
    Welcome(Welcome),
    /// How things are.
    Status(Box<Report>),
    /// What the history says.
    Audit(AuditReport),
    /// The ticket's secret.
    Ticket([u8; 32]),
    /// It is done.
    Done,
    /// It is not.
    Refused(Unwelcome),
    /// What was read again, and found.
    Scrub(ScrubReport),
    /// Cases, and how many items each holds.
    Holds(Vec<(String, u64)>),
    /// What a case holds, [`terachat_cluster::EXHIBITS_MAX`] items at most; the last of them if there were fewer.
    Exhibits(Vec<Exhibit>),
    /// The deed by which something was given out.
    Exported(Box<SignedDeed>),
    /// Deeds in their order, at most [`HISTORY_MAX`] bytes of them; none at the end of the history.
    History(Vec<SignedDeed>),
}

impl Told {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a whole answer; `None` if the bytes are something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        decode(bytes)
    }
}

/// What a newcomer has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its members.
    pub members: Vec<Contact>,
    /// The number of the node that joined, if one did.
    pub joined: Option<NodeId>,
}

/// Why a node does not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Unwelcome {
    /// Not a member, a client or an operator, or not allowed to ask for this.
    #[error(
        "this node does not know your key, or you may not ask for this; ask a member's operator for a ticket: terachat node invite"
    )]
    Stranger,
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(Refusal),
    /// The ledger has no leader.
    #[error(
        "the cluster has no majority that this node reaches, or no etcd if that has its ledger, so nothing can be changed; bring nodes or \
         etcd back, then try again"
    )]
    NoMajority,
    /// The node still has shards that nobody else has.
    #[error(
        "{node} still holds {shards} shards; drain it first and wait, or leave with --force and let them be made anew"
    )]
    NotEmpty {
        /// Which.
        node: NodeId,
        /// How many.
        shards: u64,
    },
    /// Too much is under way for this connection.
    #[error("the node is busy with too many requests; ask again a little later")]
    Busy,
    /// The question.
    #[error("the node does not understand the question; update all to the same version")]
    Form,
    /// What the case holds is not what was to be given out.
    #[error("what the case holds has changed since it was listed; export it again")]
    Changed,
    /// The disk, or the bucket.
    #[error("the node cannot read its shards now; look at its disk or bucket, and at what it says itself")]
    Disk,
}

pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(value, vec![VERSION]).expect("a value in memory can be written")
}

/// Reads a whole value; `None` if the bytes are something else.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (&VERSION, rest) = bytes.split_first()? else { return None };
    match postcard::take_from_bytes(rest) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use terachat_cluster::{Deed, What};
    use terachat_vault::Secret;

    fn key(n: u8) -> DeviceKey {
        DeviceKey::from_seed(&Secret::take(&mut [n; 32]))
    }

    #[test]
    fn a_greeting_is_for_one_connection_to_one_node_of_one_cluster() {
        let ends = Ends { cluster: ClusterId([1; 16]), node: [2; 32], connection: [3; 32] };
        let operator = key(9).id().0;
        for hello in [ends.client(&key(4)), ends.operator(&key(9))] {
            assert!(ends.is_signed(&hello, &operator));
            for other in [
                Ends { cluster: ClusterId([7; 16]), ..ends },
                Ends { node: [7; 32], ..ends },
                Ends { connection: [7; 32], ..ends },
            ] {
                assert!(!other.is_signed(&hello, &operator), "{hello:?}");
            }
        }
        assert!(!ends.is_signed(&ends.operator(&key(4)), &operator), "another's keys");
        let Hello::Client(_, signature) = ends.client(&key(4)) else { panic!("a client") };
        assert!(!ends.is_signed(&Hello::Client(ClientKey(key(5).id().0), signature), &operator));
        assert!(!ends.is_signed(&Hello::Operator(signature), &key(4).id().0), "one is not the other");
    }

    #[test]
    fn an_admission_is_by_the_key_that_is_admitted() {
        let admission = Admission::sign(ClusterId([1; 16]), [2; 32], &key(3));
        assert!(admission.is_signed(ClusterId([1; 16])));
        assert!(!admission.is_signed(ClusterId([2; 16])));
        let mut other = admission.clone();
        other.client = ClientKey(key(4).id().0);
        assert!(!other.is_signed(ClusterId([1; 16])));
        let mut other = admission;
        other.ticket[0] ^= 1;
        assert!(!other.is_signed(ClusterId([1; 16])));
    }

    #[test]
    fn values_are_read_whole_or_not_at_all() {
        let bytes = Ask::Status.encode();
        assert_eq!(Ask::decode(&bytes), Some(Ask::Status));
        assert_eq!(Ask::decode(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(Ask::decode(&bytes[..1]), None);
        assert_eq!(Ask::decode(&[2, 3]), None, "another version");
    }

    /// Some of everything that a stranger can send or be sent.
    fn samples() -> Vec<Vec<u8>> {
        let contact = Contact {
            node: NodeId(NonZeroU32::MIN),
            key: NodeKey([7; 32]),
            address: "[::1]:4001".to_owned(),
        };
        let ends = Ends { cluster: ClusterId([1; 16]), node: [2; 32], connection: [3; 32] };
        let asks = [
            Ask::Hello(ends.client(&key(4))),
            Ask::Admit(Admission::sign(ClusterId([1; 16]), [2; 32], &key(3))),
            Ask::Invite { role: TicketFor::Client, lifetime_ms: 5 },
            Ask::Leave { node: contact.node, force: true },
            Ask::Hold {
                case: "case".to_owned(),
                items: vec![ItemName::of_blob(b"one"), ItemName::of_blob(b"two")],
            },
            Ask::Release("case".to_owned()),
            Ask::Exhibits { case: "case".to_owned(), after: Some(ItemName::of_blob(b"one")) },
            Ask::Export(Export {
                case: "case".to_owned(),
                to: "court".to_owned(),
                items: 2,
                digest: [7; 32],
            }),
            Ask::History(300),
        ];
        let welcome =
            Welcome { cluster: ends.cluster, members: vec![contact.clone(), contact], joined: None };
        let what = What::Released("case".to_owned());
        let deed = Deed { seq: 300, previous: [4; 32], at_ms: 5, by: NodeId(NonZeroU32::MIN), what };
        let deed = SignedDeed::sign(deed, &key(5));
        let told = [
            Told::Welcome(welcome),
            Told::Ticket([9; 32]),
            Told::Refused(Unwelcome::Ledger(Refusal::Held)),
            Told::Holds(vec![("case".to_owned(), 2)]),
            Told::Exhibits(vec![
                Exhibit { name: ItemName::of_blob(b"one"), content: Some(([7; 32], 300)) },
                Exhibit { name: ItemName::of_blob(b"two"), content: None },
            ]),
            Told::Exported(Box::new(deed.clone())),
            Told::History(vec![deed.clone(), deed]),
        ];
        asks.iter().map(Ask::encode).chain(told.iter().map(Told::encode)).collect()
    }

    /// Whatever comes, it is a value that is written as it was read, or none.
    #[test]
    fn any_bytes_are_a_value_or_none() {
        let reads = |bytes: &[u8]| {
            if let Some(ask) = Ask::decode(bytes) {
                assert_eq!(Ask::decode(&ask.encode()), Some(ask));
            }
            if let Some(told) = Told::decode(bytes) {
                assert_eq!(Told::decode(&told.encode()), Some(told));
            }
        };
        for sample in samples() {
            for at in 0..sample.len() {
                reads(&sample[..at]);
                for value in 0..=u8::MAX {
                    let mut bytes = sample.clone();
                    bytes[at] = value;
                    reads(&bytes);
                }
                // A length that is far too long.
                reads(&[&sample[..at], &[0xff; 9], &sample[at..]].concat());
            }
        }
    }
}
