use super::access::Access;
use std::time::Duration;

/// Where etcd is, and how a node behaves.
#[derive(Debug, Clone)]
pub struct EtcdSettings {
    /// Where etcd is, and how it is reached.
    pub access: Access,
    /// What the names of the ledger's keys begin with. No other program uses them, and no other ledger.
    pub prefix: String,
    /// How long a call may take, all tries together.
    pub call_limit: Duration,
    /// How long etcd may take to answer a question.
    pub ask_limit: Duration,
    /// Seconds after which a leader that is not heard of leads no more. Fewer than 2 are 2 to etcd.
    pub leader_seconds: u32,
    /// Entries after which the leader makes a snapshot.
    pub snapshot_entries: u64,
    /// Entries that are kept behind a snapshot, for nodes that lag a little.
    pub kept_entries: u64,
}

impl EtcdSettings {
    /// The usual ones, for a ledger below this prefix.
    pub fn new(access: Access, prefix: String) -> Self {
        Self {
            access,
            prefix,
            call_limit: Duration::from_secs(5),
            ask_limit: Duration::from_secs(2),
            leader_seconds: 3,
            snapshot_entries: 20_000,
            kept_entries: 1_000,
        }
    }
}
