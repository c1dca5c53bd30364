use crate::hex;
use crate::scopes::Scopes;
use crate::token::{NewToken, TokenInfo};
use serde::{Deserialize, Serialize};
use terachat_vault::Algorithm;
use terachat_vault_store as store;
use zeroize::Zeroizing;

/// How a collection keeps its records.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CollectionOptionsBody {
    /// The cipher.
    #[serde(default)]
    #[schema(default = "aes-256-gcm")]
    algorithm: AlgorithmBody,
    /// Versions kept of each record, the newest included. Older ones are erased.
    #[serde(default = "sixteen")]
    #[schema(minimum = 1, maximum = 1_000_000, default = 16)]
    versions_max: u32,
}

fn sixteen() -> u32 {
    16
}

/// The cipher of a collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) enum AlgorithmBody {
    /// AES-256-GCM: the faster one where the processor has AES instructions.
    #[default]
    #[serde(rename = "aes-256-gcm")]
    Aes256Gcm,
    /// ChaCha20-Poly1305.
    #[serde(rename = "chacha20-poly1305")]
    ChaCha20Poly1305,
}

impl From<CollectionOptionsBody> for store::CollectionOptions {
    fn from(body: CollectionOptionsBody) -> Self {
        let algorithm = match body.algorithm {
            AlgorithmBody::Aes256Gcm => Algorithm::Aes256Gcm,
            AlgorithmBody::ChaCha20Poly1305 => Algorithm::ChaCha20Poly1305,
        };
        Self { algorithm, versions_max: body.versions_max }
    }
}

/// A collection.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Collection {
    #[schema(examples("door"))]
    name: String,
    /// The id under which it stands in the audit log and in receipts.
    #[schema(examples("5d3c9e0b1f2a48677081b2c3d4e5f607"))]
    id: String,
    algorithm: AlgorithmBody,
    versions_max: u32,
    /// Its newest generation of the data key.
    generation: u32,
    /// Records in it.
    records: u64,
    /// Versions of them.
    versions: u64,
    /// Sealed bytes of them.
    sealed_bytes: u64,
}

impl From<store::CollectionInfo> for Collection {
    fn from(info: store::CollectionInfo) -> Self {
        let algorithm = match info.options.algorithm {
            Algorithm::Aes256Gcm => AlgorithmBody::Aes256Gcm,
            Algorithm::ChaCha20Poly1305 => AlgorithmBody::ChaCha20Poly1305,
        };
        Self {
            name: info.name,
            id: hex::encode(&info.id),
            algorithm,
            versions_max: info.options.versions_max,
            generation: info.generation,
            records: info.records,
            versions: info.versions,
            sealed_bytes: info.sealed_bytes,
        }
    }
}

/// The collections that this token may list, by name.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Collections {
    pub(crate) collections: Vec<Collection>,
}

/// A collection was erased.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Dropped {
    /// How many records it had.
    pub(crate) records: u64,
}

/// A token that is to be made.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    /// What the audit log will call its holder.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples("door-controller-7"))]
    pub(crate) name: String,
    pub(crate) scopes: Scopes,
    /// After how many seconds it ends; 90 days by default, 10 years at most.
    #[serde(default = "ninety_days")]
    #[schema(minimum = 1, maximum = 315_619_200, default = 7_776_000)]
    pub(crate) expires_in_s: u64,
}

fn ninety_days() -> u64 {
    90 * 24 * 3600
}

/// How a token is to be replaced.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRotation {
    /// For how many seconds the old one is taken too; a day by default, 30 days at most.
    #[serde(default = "one_day")]
    #[schema(minimum = 0, maximum = 2_592_000, default = 86_400)]
    pub(crate) grace_s: u64,
    /// After how many seconds the new one ends; 90 days by default, 10 years at most.
    #[serde(default = "ninety_days")]
    #[schema(minimum = 1, maximum = 315_619_200, default = 7_776_000)]
    pub(crate) expires_in_s: u64,
}

fn one_day() -> u64 {
    24 * 3600
}

/// A new token. This is the only time that it is shown.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TokenBody {
    /// The token, for `Authorization: Bearer …`.
    #[schema(value_type = String, examples("tcvault_5f1d0c7a93be2684…"))]
    token: Zeroizing<String>,
    info: TokenInfo,
}

impl From<NewToken> for TokenBody {
    fn from(new: NewToken) -> Self {
        Self { token: Zeroizing::new(new.expose_token().to_owned()), info: new.info }
    }
}

/// All tokens, by name, without their secrets.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Tokens {
    pub(crate) tokens: Vec<TokenInfo>,
}

/// Which keys are to be rotated. The master key is rotated by `terachat vault rotate master`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum NewRotation {
    /// The key-encrypting key: rewraps keys, done at once.
    Kek {},
    /// The data key of a collection: re-encrypts its records in the background.
    Dek {
        #[schema(min_length = 1, max_length = 64, examples("door"))]
        collection: String,
    },
}

/// A rotation was begun.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RotationStarted {
    /// The new key-encrypting key is in use.
    Kek {
        /// Its version.
        version: u32,
    },
    /// New writes use the new data key; the rest follows.
    Dek {
        #[schema(examples("door"))]
        collection: String,
        /// Its generation.
        generation: u32,
    },
}

/// Keys, and the rotations that are running.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Rotations {
    /// Version of the key-encrypting key, from 1.
    pub(crate) kek_version: u32,
    /// The kinds of sources that open the vault.
    #[schema(examples(json!(["passphrase"])))]
    pub(crate) sources: Vec<&'static str>,
    pub(crate) running: Vec<RotationView>,
}

/// How far the re-encryption of a collection is.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RotationView {
    #[schema(examples("door"))]
    collection: String,
    /// The generation everything goes to.
    generation: u32,
    /// The older generations that are still there.
    older: Vec<u32>,
    /// Versions looked at so far.
    done: u64,
    /// Versions to look at, as counted when it began.
    total: u64,
    /// Sealed bytes written so far.
    bytes: u64,
    /// Sealed bytes a second.
    bytes_per_s: u64,
    /// How long it will take from here, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining_s: Option<u64>,
    /// When it began, in milliseconds since 1970.
    started_ms: u64,
}

impl From<store::RotationProgress> for RotationView {
    fn from(progress: store::RotationProgress) -> Self {
        Self {
            collection: progress.collection,
            generation: progress.generation,
            older: progress.older,
            done: progress.done,
            total: progress.total,
            bytes: progress.bytes,
            bytes_per_s: progress.bytes_per_s,
            remaining_s: progress.remaining.map(|time| time.as_secs()),
            started_ms: progress.started_ms,
        }
    }
}

/// How fast re-encryption may go.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateBody {
    /// Most records a second.
    #[schema(minimum = 1, maximum = 10_000_000, examples(20_000))]
    pub(crate) records_per_s: u32,
}

/// One page of the audit log.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AuditPage {
    pub(crate) entries: Vec<AuditEntryView>,
    /// Where the next page starts; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<u64>,
}

/// One access in the audit log.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AuditEntryView {
    /// Number of the event it stands in.
    seq: u64,
    /// When, in milliseconds since 1970.
    time_ms: u64,
    /// Who: a token's name, or who ran the command line.
    #[schema(examples("door-controller-7"))]
    actor: String,
    /// What.
    #[schema(examples("read"))]
    action: String,
    /// Blinded id of the collection; zeros for what concerns the whole vault.
    collection: String,
    /// Blinded id of the record; zeros for what concerns the whole collection.
    record: String,
    /// The version, or the number that the action has.
    version: u64,
    /// More, where the action has it, as hexadecimal digits.
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
}

impl From<store::AuditEntry> for AuditEntryView {
    fn from(entry: store::AuditEntry) -> Self {
        Self {
            seq: entry.seq,
            time_ms: entry.time_ms,
            actor: entry.actor,
            action: action(entry.action),
            collection: hex::encode(&entry.collection),
            record: hex::encode(&entry.record),
            version: entry.version,
            note: hex::encode(&entry.note),
        }
    }
}

/// `DeleteVersion` as `delete_version`.
fn action(action: store::Action) -> String {
    let mut name = String::new();
    for c in format!("{action:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// The whole audit log holds.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AuditCheck {
    /// Events, from number 1 to this.
    events: u64,
    /// Accesses in them.
    entries: u64,
    /// Chain hash of the newest event.
    head: String,
    /// The vault's audit key.
    audit_key: String,
    /// The signature on the head.
    signature: String,
}

impl From<store::AuditReport> for AuditCheck {
    fn from(report: store::AuditReport) -> Self {
        Self {
            events: report.events,
            entries: report.entries,
            head: hex::encode(&report.head),
            audit_key: hex::encode(&report.audit_key),
            signature: hex::encode(&report.signature),
        }
    }
}

/// What a check of all records found.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct CheckView {
    /// Records that opened.
    records: u64,
    /// Versions that opened, the newest ones included.
    versions: u64,
    /// Whether the records are, all together, what the newest audit event says.
    complete: bool,
    /// Those that did not open, at most 1,000.
    damaged: Vec<DamageView>,
}

/// One record that did not open.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct DamageView {
    /// What does not fit, with the blinded ids.
    detail: String,
}

impl From<store::CheckReport> for CheckView {
    fn from(report: store::CheckReport) -> Self {
        let damage = |error: &store::Error| DamageView { detail: error.to_string() };
        Self {
            records: report.records,
            versions: report.versions,
            complete: report.complete,
            damaged: report.damaged.iter().map(damage).collect(),
        }
    }
}

/// The database was rewritten.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Compacted {
    /// Bytes on disk before.
    pub(crate) bytes_before: u64,
    /// Bytes on disk after.
    pub(crate) bytes_after: u64,
}

/// Keys of what was erased were destroyed.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Swept {
    /// Of how many versions.
    pub(crate) versions: u64,
}

/// With what a backup is sealed.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupRequest {
    /// The passphrase that opens the backup: long, and kept apart from it.
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 1024)]
    pub(crate) passphrase: Zeroizing<String>,
}

/// The vault, and whom one is to it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct VaultView {
    /// Which vault this is: random, made once, kept by backups.
    #[schema(examples("000102030405060708090a0b0c0d0e0f"))]
    pub(crate) id: String,
    /// The public key that verifies the audit log and all receipts. Keep a copy outside of the vault.
    pub(crate) audit_key: String,
    /// The version of this program.
    pub(crate) version: &'static str,
    /// The token that asked.
    pub(crate) token: TokenInfo,
}

/// Counters since the vault was opened, and what is in it now.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct StatsView {
    /// Records that are listed now.
    records: u64,
    /// Versions of them, the newest included.
    versions: u64,
    /// Sealed bytes of them.
    sealed_bytes: u64,
    /// Bytes that the database takes on disk.
    disk_bytes: u64,
    /// Records read.
    reads: u64,
    /// Records that were asked for and not found.
    misses: u64,
    /// Versions stored.
    puts: u64,
    /// Versions erased.
    erased: u64,
    /// 1:1 comparisons.
    verifications: u64,
    /// 1:N searches.
    identifications: u64,
    /// Commits, each with one audit event.
    commits: u64,
    /// Commits that waited for the disk.
    syncs: u64,
    /// Sweeps that destroyed keys.
    sweeps: u64,
    /// Erased versions whose keys are still to be destroyed.
    pending_erasures: u64,
    /// Records that did not open: an alarm if it is not 0.
    damaged: u64,
    /// Versions re-encrypted by rotations.
    reencrypted: u64,
    /// Opened key pages that were found in memory.
    page_hits: u64,
    /// Key pages that had to be opened.
    page_misses: u64,
    /// Templates in the galleries that are loaded.
    gallery_templates: u64,
    /// Number of the newest audit event.
    audit_seq: u64,
}

impl From<store::Stats> for StatsView {
    fn from(stats: store::Stats) -> Self {
        Self {
            records: stats.records,
            versions: stats.versions,
            sealed_bytes: stats.sealed_bytes,
            disk_bytes: stats.disk_bytes,
            reads: stats.reads,
            misses: stats.misses,
            puts: stats.puts,
            erased: stats.erased,
            verifications: stats.verifications,
            identifications: stats.identifications,
            commits: stats.commits,
            syncs: stats.syncs,
            sweeps: stats.sweeps,
            pending_erasures: stats.pending_erasures,
            damaged: stats.damaged,
            reencrypted: stats.reencrypted,
            page_hits: stats.page_hits,
            page_misses: stats.page_misses,
            gallery_templates: stats.gallery_templates,
            audit_seq: stats.audit_seq,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn actions_are_words() {
        assert_eq!(super::action(terachat_vault_store::Action::DeleteVersion), "delete_version");
        assert_eq!(super::action(terachat_vault_store::Action::Read), "read");
    }
}
