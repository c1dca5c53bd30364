use std::time::Duration;

/// How a node of a ledger behaves. The defaults fit a local network.
///
/// A leader whose connections end is replaced after four heartbeats of silence, one that is silent for another reason after
/// `election_ms`; the election itself takes some round trips and syncs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Milliseconds between a leader's signs of life: 4 at least, and less than a third of `election_ms`.
    pub heartbeat_ms: u64,
    /// Milliseconds of silence after which a leader that is connected counts as lost. A leader of whom a majority heard within
    /// them is not voted out.
    pub election_ms: u64,
    /// How long a leader waits for entries to arrive at a node and be written there, 1 MiB of them at most, before it
    /// sends them again. Longer than that takes on the slowest line and disk, or nothing arrives; a node that was cut
    /// off for a moment is missed for as long.
    pub append_limit: Duration,
    /// How long a call may take, all tries together.
    pub call_limit: Duration,
    /// How long a new voter may take to learn all there is.
    pub catch_up_limit: Duration,
    /// Places of the log after which a snapshot is made.
    pub snapshot_entries: u64,
    /// Bytes of the log after which a snapshot is made: what a restart reads, and what is in memory.
    pub snapshot_bytes: usize,
    /// Bytes of the log that are kept behind a snapshot, for nodes that lag a little.
    pub kept_bytes: usize,
    /// Bytes after which a file of the log is closed.
    pub segment_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat_ms: 50,
            election_ms: 300,
            append_limit: Duration::from_secs(1),
            call_limit: Duration::from_secs(5),
            catch_up_limit: Duration::from_secs(60),
            snapshot_entries: 20_000,
            snapshot_bytes: 64 << 20,
            kept_bytes: 8 << 20,
            segment_bytes: 16 << 20,
        }
    }
}

impl Settings {
    /// Milliseconds after a leader's word in which nobody stands for election, whatever is known of the leader.
    pub(crate) fn lease_ms(&self) -> u64 {
        self.heartbeat_ms.saturating_mul(4).min(self.election_ms)
    }

    /// What openraft is told, or which settings contradict each other.
    pub(crate) fn openraft(&self) -> Result<openraft::Config, String> {
        if self.heartbeat_ms < 4 || self.election_ms / 3 < self.heartbeat_ms {
            return Err(format!(
                "an election after {} ms does not fit a heartbeat each {} ms; it takes three of them at least",
                self.election_ms, self.heartbeat_ms
            ));
        }
        let config = openraft::Config {
            cluster_name: "terachat".to_owned(),
            heartbeat_interval: self.heartbeat_ms,
            // Elections are this crate's own; what is left of these times is the lease, which is over when they begin, and how
            // long an answer to a candidate may take.
            enable_elect: false,
            election_timeout_min: self.lease_ms() - self.heartbeat_ms / 2 - 1,
            election_timeout_max: self.lease_ms() - self.heartbeat_ms / 2,
            // A part of a snapshot, or the last one with the installation.
            install_snapshot_timeout: 10_000,
            snapshot_max_chunk_size: 512 << 10,
            // This crate's own housekeeping asks for snapshots, by bytes as well.
            snapshot_policy: openraft::SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: u64::MAX,
            replication_lag_threshold: self.snapshot_entries.saturating_mul(2),
            ..openraft::Config::default()
        };
        config.validate().map_err(|error| error.to_string())
    }
}
