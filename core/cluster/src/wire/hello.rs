use crate::{ClientKey, ClusterId, Signature};
use serde::{Deserialize, Serialize};
use terachat_event::DeviceKey;

const CLIENT: &str = "terachat 2026-11 cluster client connection";
const OPERATOR: &str = "terachat 2026-11 cluster operator connection";

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
pub struct Ends {
    /// The cluster of the node that is spoken to.
    pub cluster: ClusterId,
    /// That node's key.
    pub node: [u8; 32],
    /// The key that the other end has proved.
    pub connection: [u8; 32],
}

impl Ends {
    fn said(&self) -> Vec<u8> {
        [&self.cluster.0[..], &self.node, &self.connection].concat()
    }

    /// The greeting of the client that has this key.
    pub fn client(&self, key: &DeviceKey) -> Hello {
        Hello::Client(ClientKey(key.id().0), Signature(key.sign(CLIENT, &self.said())))
    }

    /// The greeting of the operator that has this key.
    pub fn operator(&self, key: &DeviceKey) -> Hello {
        Hello::Operator(Signature(key.sign(OPERATOR, &self.said())))
    }

    /// Whether the greeting is by whom it says; `operator` is the key of this node's.
    pub fn is_signed(&self, hello: &Hello, operator: &[u8; 32]) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

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
}
