use crate::Call;
use terachat_shard::NodeId;

/// How a request reaches another node: authenticated connections in the product, memory in a test.
///
/// Requests may be lost, come twice or overtake each other. Under way at once is one per peer and a few more, and on
/// nodes that do not lead one for each entry that is proposed there. Dropping the call gives it up; the request may
/// arrive nevertheless.
pub trait Carrier: Send + Sync + 'static {
    /// Brings `request` to `to`, where the driver's `answer` is called with the sender's proven identity, and brings
    /// back what that returned. Requests and answers are at most `raft::MESSAGE_LEN_MAX` bytes.
    ///
    /// There is no limit of time in it: the caller has one.
    fn call(&self, to: NodeId, request: Vec<u8>) -> Call<'_, Result<Vec<u8>, Unreachable>>;

    /// Whether there is a connection to `to`. One that has ended says that its leader may be replaced sooner; where nobody
    /// notices that it has, it is only later.
    fn is_connected(&self, to: NodeId) -> bool;
}

/// A node that gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// The request certainly did not arrive: there was no connection to send it on.
    #[error("the node cannot be reached")]
    NotSent,
    /// It may have arrived.
    #[error("the connection ended before an answer came")]
    NoAnswer,
}
