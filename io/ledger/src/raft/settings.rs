use std::time::Duration;

/// How a node of a ledger behaves. The defaults fit a local network.
///
/// A leader that dies is missed after `election_ms_max` and one more draw between `election_ms_min` and
/// `election_ms_max`, plus up to one and a half heartbeats: 450 to 675 ms by default.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Milliseconds between a leader's signs of life; less than `election_ms_min` by far.
    pub heartbeat_ms: u64,
    /// Milliseconds, at least.
    pub election_ms_min: u64,
    /// Milliseconds, more than `election_ms_min`. A leader that was heard of within them is not voted out.
    pub election_ms_max: u64,
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
            election_ms_min: 150,
            election_ms_max: 300,
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
    /// What openraft is told, or which settings contradict each other.
    pub(crate) fn openraft(&self) -> Result<openraft::Config, String> {
        let config = openraft::Config {
            cluster_name: "terachat".to_owned(),
            heartbeat_interval: self.heartbeat_ms,
            election_timeout_min: self.election_ms_min,
            election_timeout_max: self.election_ms_max,
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
