#[cfg(test)]
use crate::testing::verify_all;
use crate::{ClusterId, NodeKey};
use serde::{Deserialize, Serialize};
#[cfg(not(test))]
use terachat_event::verify_all;
use terachat_event::{DeviceKey, Statement};
use terachat_shard::{NodeId, ShardHash, StripeId};

const CONTEXT: &str = "terachat 2026-11 cluster shard receipt";

/// Entries of the ledger for which a receipt is good: a write whose record comes later than that is not taken, so a node may drop
/// a shard that no record names once the ledger has gone on so far. No clock decides it.
pub const RECEIPT_ENTRIES: u64 = 1 << 16;

/// A signature by a node's key (RFC 8032).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[[u8; 32]; 2]", into = "[[u8; 32]; 2]")]
pub struct Signature(pub [u8; 64]);

impl From<[[u8; 32]; 2]> for Signature {
    fn from([front, back]: [[u8; 32]; 2]) -> Self {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&front);
        bytes[32..].copy_from_slice(&back);
        Self(bytes)
    }
}

impl From<Signature> for [[u8; 32]; 2] {
    fn from(signature: Signature) -> Self {
        let half = |at: usize| std::array::from_fn(|byte| signature.0[at + byte]);
        [half(0), half(32)]
    }
}

/// A node's word that it has a shard on its disk: what a write is acknowledged for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The shard's stripe.
    pub stripe: StripeId,
    /// Its place there.
    pub index: u8,
    /// Its hash.
    pub hash: ShardHash,
    /// Who has it.
    pub node: NodeId,
    /// The last entry of the ledger for which this is good.
    pub until: u64,
    /// The node's signature over all of it and the cluster.
    pub signature: Signature,
}

impl Receipt {
    /// The receipt of the node that signs.
    pub fn sign(
        cluster: ClusterId,
        (stripe, index, hash): (StripeId, u8, ShardHash),
        node: NodeId,
        until: u64,
        key: &DeviceKey,
    ) -> Self {
        let mut receipt = Self { stripe, index, hash, node, until, signature: Signature([0; 64]) };
        receipt.signature = Signature(key.sign(CONTEXT, &receipt.said(cluster)));
        receipt
    }

    /// Whether the node of this key signed it, in this cluster.
    pub fn is_signed_by(&self, cluster: ClusterId, key: &NodeKey) -> bool {
        terachat_event::verify(&key.0, CONTEXT, &self.said(cluster), &self.signature.0)
    }

    /// Positions of those that the node of the key beside them did not sign, in this cluster. Cheaper than one by one.
    pub(crate) fn not_signed(cluster: ClusterId, receipts: &[(Self, NodeKey)]) -> Vec<usize> {
        let said: Vec<Vec<u8>> = receipts.iter().map(|(receipt, _)| receipt.said(cluster)).collect();
        let statements: Vec<Statement<'_>> = receipts
            .iter()
            .zip(&said)
            .map(|((receipt, key), said)| Statement {
                signer: key.0,
                context: CONTEXT,
                bytes: said,
                signature: receipt.signature.0,
            })
            .collect();
        verify_all(&statements)
    }

    fn said(&self, cluster: ClusterId) -> Vec<u8> {
        let mut said = Vec::with_capacity(97);
        said.extend(cluster.0);
        said.extend(self.stripe.0);
        said.push(self.index);
        said.extend(self.hash.0);
        said.extend(self.node.0.get().to_le_bytes());
        said.extend(self.until.to_le_bytes());
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{key, node};

    #[test]
    fn a_receipt_is_for_one_shard_of_one_node_in_one_cluster() {
        let (cluster, signer) = (ClusterId([1; 16]), key(1));
        let shard = (StripeId([2; 16]), 3, ShardHash([4; 32]));
        let receipt = Receipt::sign(cluster, shard, node(5), 6, &signer);
        let public = NodeKey(signer.id().0);
        assert!(receipt.is_signed_by(cluster, &public));
        assert!(!receipt.is_signed_by(ClusterId([2; 16]), &public));
        assert!(!receipt.is_signed_by(cluster, &NodeKey(key(2).id().0)));
        let changes: [fn(&mut Receipt); 6] = [
            |receipt| receipt.stripe.0[0] ^= 1,
            |receipt| receipt.index += 1,
            |receipt| receipt.hash.0[0] ^= 1,
            |receipt| receipt.node = node(6),
            |receipt| receipt.until += 1,
            |receipt| receipt.signature.0[40] ^= 1,
        ];
        for change in changes {
            let mut changed = receipt.clone();
            change(&mut changed);
            assert!(!changed.is_signed_by(cluster, &public), "{changed:?}");
        }
    }
}
