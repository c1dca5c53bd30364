use clap::{Args, Subcommand, value_parser};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use terachat_vault_server::{Right, ScopeVerb, Scopes};

/// A vault: where it is, what opens it, and what is to be done.
#[derive(Debug, Args)]
pub(crate) struct VaultArgs {
    #[command(flatten)]
    pub(crate) place: VaultPlace,
    #[command(subcommand)]
    pub(crate) command: VaultCommand,
}

/// Where a vault is and how it works.
#[derive(Debug, Clone, Args)]
pub(crate) struct VaultPlace {
    /// The vault's folder; by default `terachat-vault` in the system's folder for application data
    #[arg(long, global = true, env = "DATABASE_PATH", value_name = "DIR")]
    pub(crate) database: Option<PathBuf>,
    /// Memory for sealed blocks, 1MiB to 1TiB
    #[arg(long, global = true, env = "CACHE_SIZE", value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    pub(crate) cache_size: u64,
    /// After how long relaxed writes and the audit of reads are on the disk, 1ms to 1h
    #[arg(long, global = true, env = "FLUSH_INTERVAL", value_name = "TIME", default_value = "1s", value_parser = time)]
    pub(crate) flush_interval: Duration,
}

/// One verb of the vault's.
#[derive(Debug, Subcommand)]
pub(crate) enum VaultCommand {
    /// Make a vault, guarded by a passphrase, a new key file or what --master-key names
    Init,
    /// Serve the vault over HTTP until it is told to end
    Serve(ServeArgs),
    /// Store a new version of a record
    Put(PutArgs),
    /// Show a record, or write its bytes
    Get(GetArgs),
    /// List the records of a collection
    List {
        /// The collection
        collection: String,
        /// Most records to show
        #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Where the page before ended
        #[arg(long)]
        cursor: Option<String>,
        /// Only templates of this type: face, fingerprint, iris, voice or other
        #[arg(long = "type", value_name = "TYPE")]
        template_type: Option<String>,
    },
    /// Erase a record, or one version of it, and write the receipt
    Delete {
        #[command(flatten)]
        record: RecordArgs,
        /// Only this version
        #[arg(long)]
        version: Option<u64>,
        /// Where to write the signed receipt
        #[arg(long, value_name = "FILE")]
        receipt: Option<PathBuf>,
    },
    /// Do several things with the records of one collection, all of them or none
    Batch {
        /// The collection
        collection: String,
        /// File with the operations as JSON, as in the HTTP API: {"operations": [{"put": {…}}, {"delete": {"id": "ann"}}]}; `-`
        /// takes it from standard input
        file: PathBuf,
    },
    /// List the versions of a record
    Versions(RecordArgs),
    /// Store an older version's content as a new version
    Restore {
        #[command(flatten)]
        record: RecordArgs,
        /// The version to restore
        version: u64,
    },
    /// Compare a probe with one template (1:1)
    Verify {
        #[command(flatten)]
        record: RecordArgs,
        #[command(flatten)]
        probe: ProbeArgs,
    },
    /// Find the templates that are most like a probe (1:N)
    Identify {
        /// The collection
        collection: String,
        #[command(flatten)]
        probe: ProbeArgs,
        /// Most templates to name
        #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=1024))]
        count: u32,
    },
    /// List, make and erase collections
    #[command(subcommand)]
    Collections(CollectionsCommand),
    /// Make, list, rotate and revoke the tokens of the HTTP API
    #[command(subcommand)]
    Token(TokenCommand),
    /// Replace keys
    #[command(subcommand)]
    Rotate(RotateCommand),
    /// Let one more source open the vault, or replace the one of its kind
    Guard {
        #[command(flatten)]
        source: super::NewSource,
    },
    /// No longer let a kind of source open the vault
    Unguard {
        /// passphrase, file, keychain, tpm, pkcs11 or recovery
        kind: String,
    },
    /// Show which kinds of sources open the vault
    Sources,
    /// Make a recovery key that opens the vault, and split it: any M of N shares join
    ///
    /// Each keeper gets one share, on paper or on a medium of their own. A new key makes the shares of the one before
    /// worthless. To open with shares: --master-key recovery:FILE,FILE
    Recovery(super::RecoveryArgs),
    /// Let the counter that --counter names guard the vault against being set back, in the place of the one before
    ///
    /// For a vault that had none, for one that moved to another machine, and where the counter is lost. Whether the vault was
    /// set back before is not known then.
    Adopt,
    /// Show the audit log, or check all of it
    Audit {
        /// Check the chain, its signature, and that nothing is missing
        #[arg(long, conflicts_with_all = ["from", "limit"])]
        check: bool,
        /// The first event
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// About how many entries
        #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Open every version of every record; fails if anything is damaged
    Check,
    /// Fetch the receipts of erasures, and judge them
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Destroy the keys of everything that was erased so far now, instead of soon
    Sweep,
    /// Say that the system's clock is right although it jumped ahead; until then nothing expires
    ConfirmClock,
    /// Write everything, sealed, to one file
    Backup {
        /// Where to
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// File whose first line is the passphrase that will open the backup
        #[arg(long, value_name = "FILE")]
        backup_passphrase_file: PathBuf,
    },
    /// Make a vault of a backup
    RestoreBackup {
        /// The backup
        file: PathBuf,
        /// File whose first line is the passphrase that opens the backup
        #[arg(long, value_name = "FILE")]
        backup_passphrase_file: PathBuf,
    },
    /// Rewrite the database without what was overwritten or erased
    Compact,
    /// Show counters
    Stats,
}

#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// The collection
    pub(crate) collection: String,
    /// The record's id
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// File with the probe as JSON: {"type": "face", "body": {"vector": [0.6, -0.8]}}; `-` takes it from standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) probe: PathBuf,
    /// From which score on two count as of one person: a cosine, -1 to 1
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) threshold: f64,
}

#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    #[command(flatten)]
    pub(crate) record: RecordArgs,
    /// File with the content; `-` takes it from standard input
    pub(crate) file: PathBuf,
    /// The file is JSON, as in the HTTP API: {"template": {…}} or {"bytes": "…"}
    #[arg(long)]
    pub(crate) content_json: bool,
    /// Only if the record is at this version; 0: only if there is none
    #[arg(long, value_name = "VERSION")]
    pub(crate) expect: Option<u64>,
    /// Erase it after this time, as 90d or 12h
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) keep: Option<Duration>,
    /// Compress before sealing: not for what an attacker can partly choose
    #[arg(long)]
    pub(crate) compress: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) record: RecordArgs,
    /// This version rather than the newest
    #[arg(long)]
    pub(crate) version: Option<u64>,
    /// Write the bytes to this file; `-` writes them to standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 for any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub(crate) listen: SocketAddr,
    /// The certificate, PEM, with those between it and a root; read anew on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Speak plain HTTP beyond this machine: whoever listens then sees tokens and templates
    #[arg(long)]
    pub(crate) insecure_plain_http: bool,
    /// Give /metrics without a token
    #[arg(long)]
    pub(crate) open_metrics: bool,
    /// Requests at work at once
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u32).range(1..=65_536))]
    pub(crate) requests: u32,
    /// Requests a second of each token; 0 for no limit
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u32).range(0..=1_000_000))]
    pub(crate) rate: u32,
    /// Requests at once of each token
    #[arg(long, default_value_t = 2000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) burst: u32,
    /// How long a request may take, 100ms to 1h
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub(crate) request_time: Duration,
    /// How long requests at work are waited for when stopping, 0s to 1h
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub(crate) drain_time: Duration,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CollectionsCommand {
    /// List them
    List,
    /// Make one, or change how many versions it keeps
    Create {
        /// Its name: 1 to 64 bytes, not beginning with a dot
        name: String,
        /// aes-256-gcm or chacha20-poly1305
        #[arg(long, default_value = "aes-256-gcm", value_parser = ["aes-256-gcm", "chacha20-poly1305"])]
        cipher: String,
        /// Versions kept of each record, the newest included
        #[arg(long, default_value_t = 16, value_parser = value_parser!(u32).range(1..=1_000_000))]
        versions: u32,
    },
    /// Erase one with everything in it
    Drop {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; it is shown once
    Create {
        /// What the audit log will call its holder
        name: String,
        /// Verbs in a collection, as door=read,match; `*` stands for every collection, `all` for every verb (read, list,
        /// write, delete, match); may be given several times
        #[arg(long = "grant", value_name = "COLLECTION=VERBS")]
        grants: Vec<String>,
        /// Rights on the whole vault: collections, tokens, keys, audit, backup, maintenance, stats, or all
        #[arg(long, value_name = "RIGHTS", value_delimiter = ',')]
        operator: Vec<String>,
        /// After how long it ends, 1s to 3653d
        #[arg(long, value_name = "TIME", default_value = "90d", value_parser = time)]
        expires: Duration,
    },
    /// List them, without their secrets
    List,
    /// End one at once
    Revoke {
        /// Its name
        name: String,
    },
    /// Replace one; the new one is shown once
    Rotate {
        /// Its name
        name: String,
        /// For how long the old one is taken too, 0s to 30d
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = time)]
        grace: Duration,
        /// After how long the new one ends, 1s to 3653d
        #[arg(long, value_name = "TIME", default_value = "90d", value_parser = time)]
        expires: Duration,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RotateCommand {
    /// The key-encrypting key: rewraps keys, done at once
    Kek,
    /// The data key of a collection: re-encrypts its records, and ends when nothing is left under the old key
    Dek {
        /// The collection
        collection: String,
        /// Show how far it is
        #[arg(long)]
        progress: bool,
        /// Most records a second
        #[arg(long, default_value_t = 20_000, value_parser = value_parser!(u32).range(1..=10_000_000))]
        rate: u32,
    },
    /// The master key and the key-encrypting key; other sources no longer open the vault
    Master {
        #[command(flatten)]
        source: super::NewSource,
    },
    /// Show the rotations that are running, without beginning one
    Status,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Show the receipt of an erasure, or write it to a file
    Show {
        /// The erasure's number, as `vault batch` or the HTTP API gave it
        erasure: u64,
        /// Where to write the signed receipt
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check the signature of an erasure receipt, without a vault
    Verify {
        /// The receipt, as `vault delete --receipt` or the HTTP API gave it
        file: PathBuf,
        /// The vault's public audit key, 64 hexadecimal digits, as `vault init` showed it
        #[arg(long, value_name = "KEY")]
        audit_key: String,
    },
}

/// Scopes from the command line.
///
/// # Errors
/// What cannot be read, and what is allowed.
pub(crate) fn scopes(grants: &[String], operator: &[String]) -> Result<Scopes, String> {
    let mut scopes = Scopes::default();
    for grant in grants {
        let (collection, verbs) =
            grant.rsplit_once('=').ok_or(format!("{grant:?} is not COLLECTION=VERBS"))?;
        let entry = scopes.collections.entry(collection.to_owned()).or_default();
        for verb in verbs.split(',') {
            match verb {
                "all" => entry.extend(ScopeVerb::ALL),
                verb => _ = entry.insert(named(verb, "verb", "read, list, write, delete, match or all")?),
            }
        }
    }
    for right in operator {
        match right.as_str() {
            "all" => scopes.operator.extend(Right::ALL),
            right => {
                let known = "collections, tokens, keys, audit, backup, maintenance, stats or all";
                _ = scopes.operator.insert(named(right, "right", known)?);
            }
        }
    }
    Ok(scopes)
}

fn named<T: serde::de::DeserializeOwned>(name: &str, what: &str, known: &str) -> Result<T, String> {
    serde_json::from_value(name.into()).map_err(|_| format!("{name:?} is no {what}; it is {known}"))
}

/// Bytes, as `256MiB`, `64M` or a plain number.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 =
        match text[digits.len()..].to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
            "" => 1,
            "k" => 1 << 10,
            "m" => 1 << 20,
            "g" => 1 << 30,
            "t" => 1 << 40,
            _ => return Err("a size is a number with KiB, MiB, GiB or TiB, as 256MiB".to_owned()),
        };
    let number: u64 =
        digits.trim().parse().map_err(|_| "a size is a number with a unit, as 256MiB".to_owned())?;
    number.checked_mul(unit).ok_or("this size is too large".to_owned())
}

/// A time, as `500ms`, `30s`, `5m`, `12h` or `90d`; a plain number is milliseconds.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms: u64 = match &text[digits.len()..] {
        "" | "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("a time is a number with ms, s, m, h or d, as 30s".to_owned()),
    };
    let number: u64 =
        digits.trim().parse().map_err(|_| "a time is a number with a unit, as 30s".to_owned())?;
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or("this time is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        for (text, expected) in [
            ("7", Some(7)),
            ("1KiB", Some(1024)),
            ("256MiB", Some(256 << 20)),
            ("2g", Some(2 << 30)),
            ("1XB", None),
            ("MiB", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
        let seconds = |n| Some(Duration::from_secs(n));
        for (text, expected) in [
            ("1000", seconds(1)),
            ("1s", seconds(1)),
            ("2m", seconds(120)),
            ("1h", seconds(3600)),
            ("90d", seconds(7_776_000)),
            ("1y", None),
            ("s", None),
        ] {
            assert_eq!(time(text).ok(), expected, "{text}");
        }
    }

    /// The operators' page names every variable and every flag of the server's.
    #[test]
    fn the_operators_page_has_all_settings() {
        use clap::CommandFactory;
        let page = include_str!("../../../../docs/vault.md");
        let program = crate::args::Cli::command();
        let vault = program.find_subcommand("vault").unwrap();
        let serve = vault.find_subcommand("serve").unwrap();
        let variables = vault.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
        let flags = serve.get_arguments().filter_map(|arg| arg.get_long()).filter(|long| *long != "help");
        let words: Vec<String> =
            variables.map(str::to_owned).chain(flags.map(|long| format!("--{long}"))).collect();
        assert!(words.len() > 10, "{words:?}");
        for word in words.iter().map(String::as_str).chain(["RUST_LOG"]) {
            assert!(page.contains(&format!("`{word}")), "{word} is not in docs/vault.md");
        }
    }

    #[test]
    fn scopes_are_read_from_words() {
        let scopes = |grants: &[&str], operator: &[&str]| {
            let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            scopes(&owned(grants), &owned(operator))
        };
        assert_eq!(scopes(&["*=all"], &["all"]).unwrap(), Scopes::full());
        let some = scopes(&["a=b=read,match"], &["audit"]).unwrap();
        assert_eq!(some.collections["a=b"], [ScopeVerb::Read, ScopeVerb::Match].into());
        for (grants, operator) in [(&["door"][..], &[][..]), (&["door=look"], &[]), (&[], &["king"])] {
            assert!(scopes(grants, operator).is_err());
        }
    }
}
