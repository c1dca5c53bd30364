use super::vault::{size, time};
use clap::{Args, Subcommand, value_parser};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use terachat_cluster::{ClientKey, ItemTag};
use terachat_node::{Bucket, Plan, RunOptions};
use terachat_shard::{Domain, NodeId};

/// A node of the organisation's storage: where it is, and what is to be done.
///
/// Its keys are guarded as those of a profile: by --key-file, --passphrase-file or --master-key. A counter (--counter) tells when
/// its folder is an older copy.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// The node's folder
    #[arg(long, global = true, env = "TERACHAT_NODE", value_name = "DIR", hide_env_values = true)]
    pub(crate) folder: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: NodeCommand,
}

/// One verb of a node's.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Make the first node of a new cluster; it is founded when the node first runs
    Init(PlanArgs),
    /// Make a node that joins a cluster, with a ticket of `terachat node invite`
    Join {
        /// What `terachat node invite` printed
        ticket: String,
        #[command(flatten)]
        plan: PlanArgs,
    },
    /// Run the node until it is told to end
    Run(Box<RunArgs>),
    /// Print a file of settings for `terachat node run`, with what each is for, its range and default
    Settings,
    /// Print a ticket that lets one more node, or one client, in, once; the node has to run
    Invite {
        /// For a client, who may put and get, instead of a node
        #[arg(long)]
        client: bool,
        /// How long it is good for, 1s to 365d
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = time)]
        lifetime: Duration,
    },
    /// Empty a node: its shards are moved to the others; this one, or another by its number
    Drain {
        /// Another node's number
        node: Option<NonZeroU32>,
    },
    /// Let a node that was being emptied take shards again
    Return {
        /// Another node's number
        node: Option<NonZeroU32>,
    },
    /// Count a node out for ever: this one once it is empty, or one that is lost, by its number
    Leave {
        /// Another node's number
        node: Option<NonZeroU32>,
        /// Though it still has shards: they count as lost and are made anew from the others
        #[arg(long)]
        force: bool,
    },
    /// Let nobody forget these items, nor time: a legal hold. Written into the cluster's history, which `terachat cluster audit` replays
    ///
    /// Held again for the same case, more are added; what several cases hold is held until the last of them is over.
    Hold {
        /// A name for the case, at most 64 bytes
        case: String,
        /// Names of items, as `terachat cluster items` prints them
        #[arg(required_unless_present = "names")]
        items: Vec<ItemTag>,
        /// A file with such names, one a line; `-` takes standard input
        #[arg(long, value_name = "FILE")]
        names: Option<PathBuf>,
    },
    /// A case is over: what no other one holds may be forgotten again
    Release {
        /// Its name
        case: String,
    },
    /// Show which cases hold how many items
    Holds,
    /// Give out what a case holds, into a folder; first that is written into the cluster's history
    ///
    /// What comes out is sealed as it is kept: whoever has a file's reference opens it with `terachat cluster get REFERENCE
    /// --exported DIR`. Broken off, say it again: it goes on where it was, and is a deed of its own.
    Export {
        /// The case
        case: String,
        /// Who gets it and why, for the history: at most 256 bytes
        #[arg(long, value_name = "TEXT")]
        to: String,
        /// The folder
        #[arg(long, short, value_name = "DIR")]
        out: PathBuf,
    },
    /// Show the clients that may put and get
    Clients,
    /// Let a client put and get no more
    Dismiss {
        /// Its key, as `terachat node clients` prints it
        client: ClientKey,
    },
    /// Show how this node sees the cluster
    Status {
        /// Go on: show it again every second
        #[arg(long)]
        watch: bool,
    },
}

/// What a node is to be.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlanArgs {
    /// Where it listens; port 0 takes a free one, which is kept
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: String,
    /// Where others dial it, if that is not where it listens; needed with 0.0.0.0
    #[arg(long, value_name = "ADDR")]
    pub(crate) address: Option<String>,
    /// Where it stands, as numbers SITE/RACK/HOST: shards of one stripe are kept as far apart as can be
    #[arg(long, value_name = "PLACE", default_value = "0/0/0")]
    pub(crate) place: PlaceSpec,
    /// How much it takes beside others, commonly its GiB; 1 to 4294967295
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) weight: NonZeroU32,
    #[command(flatten)]
    pub(crate) shards: ShardsArgs,
}

impl PlanArgs {
    /// As the node wants it, with the bucket that [`ShardsArgs::bucket`] gave.
    pub(crate) fn plan(&self, bucket: Option<Bucket>) -> Plan {
        Plan {
            listen: self.listen.clone(),
            address: self.address.clone(),
            domain: self.place.0,
            weight: self.weight,
            bucket,
        }
    }
}

/// Where a new node keeps its shards; written into its folder, and the same ever after.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShardsArgs {
    /// Keep shards in a bucket of a service that speaks S3, s3://BUCKET or s3://BUCKET/PREFIX, instead of the node's folder; many nodes may have
    /// the same
    #[arg(long, value_name = "URL", value_parser = Bucket::parse)]
    shards: Option<Bucket>,
    /// The bucket's service, as https://s3.example.org:9000; without it Amazon's of the region
    #[arg(long, value_name = "URL", requires = "shards")]
    s3_endpoint: Option<String>,
    /// The bucket's region; by default us-east-1, which services other than Amazon's commonly pass over
    #[arg(long, value_name = "REGION", requires = "shards")]
    s3_region: Option<String>,
    /// A file with the credentials, as AWS's own programs read it; without it AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN are
    /// taken. Read whenever the node starts
    #[arg(long, value_name = "FILE", requires = "shards")]
    s3_credentials: Option<PathBuf>,
}

impl ShardsArgs {
    /// The bucket, if one is named.
    pub(crate) fn bucket(&self) -> Result<Option<Bucket>, String> {
        let Some(mut bucket) = self.shards.clone() else { return Ok(None) };
        bucket.endpoint.clone_from(&self.s3_endpoint);
        if let Some(region) = &self.s3_region {
            bucket.region.clone_from(region);
        }
        if let Some(file) = &self.s3_credentials {
            // The node may be run from elsewhere.
            let file = std::path::absolute(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let text = file.into_os_string().into_string();
            bucket.credentials = Some(text.map_err(|file| format!("{} is not UTF-8", file.display()))?);
        }
        Ok(Some(bucket))
    }
}

/// A failure domain in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlaceSpec(pub(crate) Domain);

impl FromStr for PlaceSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a place is three numbers, SITE/RACK/HOST, as 1/4/12".to_owned();
        let numbers: Vec<u32> =
            text.split('/').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        match numbers[..] {
            [site, rack, host] => Ok(Self(Domain { site, rack, host })),
            _ => Err(wrong()),
        }
    }
}

/// How a node works. Each can be given by the environment too, which `terachat cluster up` hands on.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// A file with settings, as `terachat node settings` prints one; options and the environment go before it
    ///
    /// Without it, DIR/node.toml is read if there is one.
    #[arg(long, env = "TERACHAT_NODE_SETTINGS", value_name = "FILE", hide_env_values = true)]
    pub(crate) settings: Option<PathBuf>,
    /// Where it shows by HTTP how it does: /healthz, /readyz, /metrics for Prometheus, / for people; port 0 takes a free one
    ///
    /// Whoever reaches it sees who the members are and how much they hold. It has neither tokens nor TLS: give it this machine's
    /// own address, or one on the network that the monitoring is on.
    #[arg(long, env = "TERACHAT_NODE_MONITOR", value_name = "ADDR")]
    pub(crate) monitor: Option<SocketAddr>,
    /// Bytes of small items that are put into one stripe at most, 64KiB to 4MiB
    #[arg(long, env = "TERACHAT_NODE_BATCH", value_name = "SIZE", default_value = "256KiB", value_parser = within(size, 64 << 10, 4 << 20))]
    pub(crate) batch: u64,
    /// Bytes that wait to be written at most; clients are refused beyond, 4MiB to 1GiB
    #[arg(long, env = "TERACHAT_NODE_WAITING", value_name = "SIZE", default_value = "64MiB", value_parser = within(size, 4 << 20, 1 << 30))]
    pub(crate) waiting: u64,
    /// Stripes that are written at once, 1 to 64; what comes meanwhile waits and goes together
    #[arg(long, env = "TERACHAT_NODE_BATCHES", value_name = "N", default_value = "1", value_parser = value_parser!(u8).range(1..=64))]
    pub(crate) batches: u8,
    /// After a stripe the next one waits so long, at most, for as many clients as wrote before, 0ms to 1s; who writes alone does not wait
    #[arg(long, env = "TERACHAT_NODE_GATHER", value_name = "TIME", default_value = "8ms", value_parser = between(time, 0, 1_000))]
    pub(crate) gather: Duration,
    /// A node that was silent for so long is asked last, 50ms to 1m
    #[arg(long, env = "TERACHAT_NODE_SILENT_AFTER", value_name = "TIME", default_value = "400ms", value_parser = between(time, 50, 60_000))]
    pub(crate) silent_after: Duration,
    /// The shards of a node that was silent for so long are made anew where there is room, 1s to 7d; longer than a restart takes
    #[arg(long, env = "TERACHAT_NODE_AWAY_AFTER", value_name = "TIME", default_value = "30s", value_parser = between(time, 1_000, 604_800_000))]
    pub(crate) away_after: Duration,
    /// A shard that has not come within so long is asked for elsewhere too, 1ms to 10s
    #[arg(long, env = "TERACHAT_NODE_HEDGE_AFTER", value_name = "TIME", default_value = "15ms", value_parser = between(time, 1, 10_000))]
    pub(crate) hedge_after: Duration,
    /// Bytes a second that repairs and moves read and write, and that a node reads after its start to be counted, 64KiB to 64GiB
    ///
    /// What is read to be counted keeps to it only while others want shards.
    #[arg(long, env = "TERACHAT_NODE_REPAIR_RATE", value_name = "SIZE", default_value = "64MiB", value_parser = within(size, 64 << 10, 64 << 30))]
    pub(crate) repair_rate: u64,
    /// Between two counts of all shards, 100ms to 1d
    #[arg(long, env = "TERACHAT_NODE_COUNT_EVERY", value_name = "TIME", default_value = "10s", value_parser = between(time, 100, 86_400_000))]
    pub(crate) count_every: Duration,
    /// Bytes a second that are read again to find what rots, 64KiB to 64GiB
    #[arg(long, env = "TERACHAT_NODE_SCRUB_RATE", value_name = "SIZE", default_value = "8MiB", value_parser = within(size, 64 << 10, 64 << 30))]
    pub(crate) scrub_rate: u64,
    /// All shards are read again once in so long, if --scrub-rate allows, 1s to 365d
    #[arg(long, env = "TERACHAT_NODE_SCRUB_EVERY", value_name = "TIME", default_value = "1d", value_parser = between(time, 1_000, 31_536_000_000))]
    pub(crate) scrub_every: Duration,
    /// Small stripes are put together when no client has asked for so long, 100ms to 1d
    #[arg(long, env = "TERACHAT_NODE_QUIET_FOR", value_name = "TIME", default_value = "5s", value_parser = between(time, 100, 86_400_000))]
    pub(crate) quiet_for: Duration,
    /// Bytes of an object of shards at most, of a node that keeps them in a bucket, 4KiB to 64MiB
    #[arg(long, env = "TERACHAT_NODE_OBJECT", value_name = "SIZE", default_value = "8MiB", value_parser = within(size, 4 << 10, 64 << 20))]
    pub(crate) object: u64,
    /// Bytes of a file of shards, 4KiB to 1GiB
    #[arg(long, env = "TERACHAT_NODE_SEGMENT", value_name = "SIZE", default_value = "128MiB", value_parser = within(size, 4 << 10, 1 << 30))]
    pub(crate) segment: u64,
    /// Between two signs of life of the ledger's leader, 20ms to 10s; the same on all nodes
    #[arg(long, env = "TERACHAT_NODE_HEARTBEAT", value_name = "TIME", default_value = "100ms", value_parser = between(time, 20, 10_000))]
    pub(crate) heartbeat: Duration,
    /// A leader that is connected and was silent for so long is voted out, 100ms to 1m; at least three times --heartbeat
    ///
    /// One whose connections have ended is replaced after four heartbeats, or after this time if that is less.
    #[arg(long, env = "TERACHAT_NODE_ELECTION", value_name = "TIME", default_value = "700ms", value_parser = between(time, 100, 60_000))]
    pub(crate) election: Duration,
    /// Between two checkpoints by which an older copy of the folder is known, 1s to 30d
    ///
    /// A copy is known as old from the next checkpoint on; one is made at each end and each start as well. A chip's counter wears
    /// out by 100,000 to 1,000,000 of them: with a TPM take an hour or more.
    #[arg(long, env = "TERACHAT_NODE_CHECKPOINT_EVERY", value_name = "TIME", default_value = "1m", value_parser = between(time, 1_000, 2_592_000_000))]
    pub(crate) checkpoint_every: Duration,
    /// Between two signed words of the leader in the cluster's history on where all shards stand, 1m to 365d; none where nothing changed
    #[arg(long, env = "TERACHAT_NODE_CLAIM_EVERY", value_name = "TIME", default_value = "1h", value_parser = between(time, 60_000, 31_536_000_000))]
    pub(crate) claim_every: Duration,
    /// End when standard input does: whoever started it has ended
    #[arg(long, hide = true)]
    pub(crate) end_with_input: bool,
}

impl RunArgs {
    /// As the node wants it.
    pub(crate) fn options(&self) -> RunOptions {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let length = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        let mut options = RunOptions::default();
        options.node.batch_len = length(self.batch);
        options.node.batches = usize::from(self.batches);
        options.node.gather_for = micros(self.gather);
        options.node.waiting_max = length(self.waiting);
        options.node.silent_after = micros(self.silent_after);
        options.node.away_after = micros(self.away_after);
        options.node.hedge_after = micros(self.hedge_after);
        options.node.repair_rate = self.repair_rate;
        options.node.count_every = micros(self.count_every);
        options.node.scrub_rate = self.scrub_rate;
        options.node.scrub_every = micros(self.scrub_every);
        options.node.quiet_for = micros(self.quiet_for);
        options.objects.object_len = u32::try_from(self.object).unwrap_or(u32::MAX);
        options.shards.segment_len = u32::try_from(self.segment).unwrap_or(u32::MAX);
        options.ledger.heartbeat_ms = millis(self.heartbeat);
        options.ledger.election_ms = millis(self.election);
        options.checkpoint_every = self.checkpoint_every;
        options.claim_every = self.claim_every;
        options
    }
}

/// A number within these bounds.
fn within(
    parse: fn(&str) -> Result<u64, String>,
    least: u64,
    most: u64,
) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let value = parse(text)?;
        let fits = (least..=most).contains(&value);
        if fits { Ok(value) } else { Err("this is outside of the range; see --help".to_owned()) }
    }
}

/// A time within these bounds, in milliseconds.
fn between(
    parse: fn(&str) -> Result<Duration, String>,
    least: u64,
    most: u64,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    move |text| {
        let value = parse(text)?;
        let fits = (Duration::from_millis(least)..=Duration::from_millis(most)).contains(&value);
        if fits { Ok(value) } else { Err("this is outside of the range; see --help".to_owned()) }
    }
}

/// A node's number as the cluster has it.
pub(crate) fn node_id(node: Option<NonZeroU32>, own: NodeId) -> NodeId {
    node.map_or(own, NodeId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_three_numbers() {
        let place = |text: &str| text.parse::<PlaceSpec>().ok().map(|place| place.0);
        assert_eq!(place("1/4/12"), Some(Domain { site: 1, rack: 4, host: 12 }));
        for text in ["", "1", "1/2", "1/2/3/4", "a/b/c", "-1/0/0"] {
            assert_eq!(place(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_have_bounds() {
        let batch = within(size, 64 << 10, 4 << 20);
        assert_eq!((batch("64KiB"), batch("4MiB")), (Ok(64 << 10), Ok(4 << 20)));
        assert!(batch("63KiB").is_err() && batch("5MiB").is_err() && batch("x").is_err());
        let pause = between(time, 100, 1_000);
        assert!(
            pause("99ms").is_err() && pause("100ms").is_ok() && pause("1s").is_ok() && pause("2s").is_err()
        );
    }
}
