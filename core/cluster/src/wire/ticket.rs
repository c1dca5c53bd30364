use super::{Contact, LedgerAt};
use crate::{ClusterId, TicketFor};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const NODE: &str = "tcnode-";
const CLIENT: &str = "tcclient-";
/// Longest text that is looked at.
const LEN_MAX: usize = 8 << 10;

/// What lets one node or one client in, once: which cluster, where it is, and the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// As what.
    pub role: TicketFor,
    /// In which cluster.
    pub cluster: ClusterId,
    /// The secret.
    pub secret: [u8; 32],
    /// Members to ask.
    pub members: Vec<Contact>,
    /// Where the cluster's ledger is, which a node has to be told of besides.
    pub ledger: LedgerAt,
}

/// A text that is no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no ticket; copy the whole line that `terachat node invite` printed")]
pub struct BadTicket;

#[derive(Serialize, Deserialize)]
struct Content {
    cluster: ClusterId,
    secret: [u8; 32],
    members: Vec<Contact>,
    ledger: LedgerAt,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (members, ledger) = (self.members.clone(), self.ledger.clone());
        let content = Content { cluster: self.cluster, secret: self.secret, members, ledger };
        f.write_str(match self.role {
            TicketFor::Node => NODE,
            TicketFor::Client => CLIENT,
        })?;
        f.write_str(&URL_SAFE_NO_PAD.encode(super::encode(&content)))
    }
}

/// Without the secret.
impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({:?}, {})", self.role, self.cluster)
    }
}

impl FromStr for Ticket {
    type Err = BadTicket;

    fn from_str(text: &str) -> Result<Self, BadTicket> {
        let text = text.trim();
        let (role, rest) = match (text.strip_prefix(NODE), text.strip_prefix(CLIENT)) {
            (Some(rest), _) => (TicketFor::Node, rest),
            (_, Some(rest)) => (TicketFor::Client, rest),
            _ => return Err(BadTicket),
        };
        if rest.len() > LEN_MAX {
            return Err(BadTicket);
        }
        let bytes = URL_SAFE_NO_PAD.decode(rest).map_err(|_| BadTicket)?;
        let Content { cluster, secret, members, ledger } = super::decode(&bytes).ok_or(BadTicket)?;
        if members.is_empty() { Err(BadTicket) } else { Ok(Self { role, cluster, secret, members, ledger }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeKey;
    use std::num::NonZeroU32;
    use terachat_shard::NodeId;

    #[test]
    fn a_ticket_is_read_as_it_was_written_and_shows_no_secret() {
        for role in [TicketFor::Node, TicketFor::Client] {
            let contact = Contact {
                node: NodeId(NonZeroU32::MIN),
                key: NodeKey([2; 32]),
                address: "127.0.0.1:4001".to_owned(),
            };
            let ledger = LedgerAt::Etcd("prefix".to_owned());
            let ticket = Ticket {
                role,
                cluster: ClusterId([1; 16]),
                secret: [0xab; 32],
                members: vec![contact],
                ledger,
            };
            let text = ticket.to_string();
            assert_eq!(format!(" {text}\n").parse(), Ok(ticket.clone()));
            assert!(!format!("{ticket:?}").contains("ab"), "{ticket:?}");
            assert_eq!(text[..text.len() - 1].parse::<Ticket>(), Err(BadTicket));
            assert_eq!(text[3..].parse::<Ticket>(), Err(BadTicket));
        }
    }
}
