use super::template::{Metadata, Template, TemplateType};
use super::{Base64, Millis};
use crate::hex;
use crate::problem::Problem;
use serde::{Deserialize, Serialize};
use terachat_template::BodyKind;
use terachat_vault::SecretBytes;
use terachat_vault_store as store;
use terachat_vault_store::{Batch, Durability, Expect, Operation, Outcome, PutOptions, RecordInfo};

/// What a record holds: bytes, or a template.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Content {
    /// A secret of any kind, at most 2 MiB.
    Bytes(Base64),
    /// A biometric template.
    Template(Box<Template>),
}

impl Content {
    pub(crate) fn take(self) -> Result<store::Content, Problem> {
        match self {
            Self::Bytes(bytes) => Ok(SecretBytes::take(bytes.take()).into()),
            Self::Template(template) => Ok(template.take()?.into()),
        }
    }

    fn of(content: &store::Content) -> Result<Self, Problem> {
        match content {
            store::Content::Bytes(bytes) => Ok(Self::Bytes(Base64::new(bytes.expose_secret()))),
            store::Content::Template(template) => Ok(Self::Template(Box::new(Template::of(template)?))),
        }
    }
}

/// What is to be stored.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutRequest {
    pub(crate) content: Content,
    /// From when on it is expired, in milliseconds since 1970.
    #[serde(default)]
    pub(crate) keep_until_ms: Option<Millis>,
    /// Whether it may be compressed before sealing: not for content that an attacker can partly choose, because the
    /// sealed length then tells something of it.
    #[serde(default)]
    pub(crate) compress: bool,
}

/// Stored.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Stored {
    /// The new version: also the ETag.
    pub(crate) version: u64,
}

/// One version of a record.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RecordView {
    #[schema(examples("ann-1"))]
    id: String,
    /// Its version, from 1: also the ETag. Never used twice for one id.
    version: u64,
    /// When this version was stored, in milliseconds since 1970.
    stored_ms: u64,
    /// From when on it is expired, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_until_ms: Option<u64>,
    /// The version that this one restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    restored_from: Option<u64>,
    /// Bytes of the content.
    len: usize,
    /// For a template, in lists: what is known of it besides the biometric data.
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<TemplateView>,
    /// The content; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content>,
}

/// What is known of a template besides the biometric data.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TemplateView {
    metadata: Metadata,
    /// Which kind of body it has.
    kind: KindView,
}

/// The kinds of bodies.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KindView {
    Vector,
    Minutiae,
    Opaque,
    Unknown,
}

impl RecordView {
    /// Without the content.
    pub(crate) fn listed(info: RecordInfo) -> Self {
        let kind = |kind| match kind {
            BodyKind::Vector => KindView::Vector,
            BodyKind::Minutiae => KindView::Minutiae,
            BodyKind::Opaque => KindView::Opaque,
            _ => KindView::Unknown,
        };
        let view = |(metadata, body): &(_, BodyKind)| TemplateView {
            metadata: Metadata::of(metadata),
            kind: kind(*body),
        };
        Self { template: info.template.as_ref().map(view), ..Self::bare(info) }
    }

    /// With the content.
    pub(crate) fn whole(record: store::Record) -> Result<Self, Problem> {
        let content = Content::of(&record.content)?;
        Ok(Self { content: Some(content), ..Self::bare(record.info) })
    }

    fn bare(info: RecordInfo) -> Self {
        Self {
            id: info.id,
            version: info.version,
            stored_ms: info.stored_ms,
            keep_until_ms: info.keep_until_ms,
            restored_from: info.restored_from,
            len: info.len,
            template: None,
            content: None,
        }
    }
}

/// One page of a collection's records, in a stable order of no meaning.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RecordPage {
    pub(crate) records: Vec<RecordView>,
    /// Records that should be on this page and do not open: an alarm if there are any.
    pub(crate) damaged: usize,
    /// Where the next page starts; absent after the last. A page may be short while there is a next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// The versions of a record that are kept, newest first.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Versions {
    pub(crate) versions: Vec<RecordView>,
}

/// What a record is expected to be: anything, absent, present at whatever version, or exactly at one.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ExpectBody {
    #[default]
    Any,
    Absent,
    Present,
    Version(Millis),
}

impl From<ExpectBody> for Expect {
    fn from(expect: ExpectBody) -> Self {
        match expect {
            ExpectBody::Any => Self::Any,
            ExpectBody::Absent => Self::Absent,
            ExpectBody::Present => Self::Present,
            ExpectBody::Version(version) => Self::Version(version.0),
        }
    }
}

/// Stores a new version.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutOperation {
    #[schema(min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", examples("ann-1"))]
    id: String,
    content: Content,
    #[serde(default)]
    expect: ExpectBody,
    #[serde(default)]
    keep_until_ms: Option<Millis>,
    #[serde(default)]
    compress: bool,
}

/// Erases all versions of a record.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteOperation {
    #[schema(min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", examples("bob-1"))]
    id: String,
    #[serde(default)]
    expect: ExpectBody,
}

/// Erases one version.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteVersionOperation {
    #[schema(min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", examples("bob-1"))]
    id: String,
    version: Millis,
}

/// Stores an older version's content as a new version.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestoreOperation {
    #[schema(min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", examples("cid-1"))]
    id: String,
    version: Millis,
    #[serde(default)]
    expect: ExpectBody,
}

/// One operation of a batch, under its name.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum OperationBody {
    Put(Box<PutOperation>),
    Delete(DeleteOperation),
    DeleteVersion(DeleteVersionOperation),
    Restore(RestoreOperation),
}

impl OperationBody {
    fn take(self) -> Result<Operation, Problem> {
        Ok(match self {
            Self::Put(put) => Operation::Put {
                id: put.id,
                content: put.content.take()?,
                options: PutOptions {
                    expect: put.expect.into(),
                    keep_until_ms: put.keep_until_ms.map(|ms| ms.0),
                    compress: put.compress,
                },
            },
            Self::Delete(delete) => Operation::Delete { id: delete.id, expect: delete.expect.into() },
            Self::DeleteVersion(delete) => {
                Operation::DeleteVersion { id: delete.id, version: delete.version.0 }
            }
            Self::Restore(restore) => Operation::Restore {
                id: restore.id,
                version: restore.version.0,
                expect: restore.expect.into(),
            },
        })
    }
}

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DurabilityBody {
    /// Once it is on the disk.
    #[default]
    Durable,
    /// Once the operating system has it: a power cut within the flush interval may take it back.
    Relaxed,
}

impl From<DurabilityBody> for Durability {
    fn from(durability: DurabilityBody) -> Self {
        match durability {
            DurabilityBody::Durable => Self::Durable,
            DurabilityBody::Relaxed => Self::Relaxed,
        }
    }
}

/// Operations that happen together or not at all, each on another record.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchRequest {
    /// 1 to 1,000 operations with at most 16 MiB of content.
    #[schema(min_items = 1, max_items = 1000)]
    operations: Vec<OperationBody>,
    /// When the batch is acknowledged. Erasures are always durable.
    #[serde(default)]
    durability: DurabilityBody,
    /// Whether to answer before the keys of what is erased are destroyed; the receipt is then fetched later.
    #[serde(default)]
    erase_later: bool,
}

impl BatchRequest {
    pub(crate) fn take(self, idempotency_key: Option<String>) -> Result<Batch, Problem> {
        let operations: Result<_, _> = self.operations.into_iter().map(OperationBody::take).collect();
        Ok(Batch {
            operations: operations?,
            durability: self.durability.into(),
            idempotency_key,
            erase_later: self.erase_later,
        })
    }
}

/// What one operation did.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutcomeView {
    /// Stored as this version.
    Stored { version: u64 },
    /// So many versions are unlisted, and their keys are, or will be, destroyed.
    Erased { versions: u64 },
}

impl From<Outcome> for OutcomeView {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Stored { version } => Self::Stored { version },
            Outcome::Erased { versions } => Self::Erased { versions },
        }
    }
}

/// What a batch did.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Applied {
    /// One outcome for each operation, in their order.
    pub(crate) outcomes: Vec<OutcomeView>,
    /// The number of the erasure, where something was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) erasure: Option<u64>,
    /// Its receipt, unless it comes later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<ReceiptView>,
}

impl Applied {
    pub(crate) fn of(applied: &store::Applied, receipt: Option<&store::ErasureReceipt>) -> Self {
        Self {
            outcomes: applied.outcomes.iter().map(|outcome| (*outcome).into()).collect(),
            erasure: applied.erasure.map(|erasure| erasure.0),
            receipt: receipt.map(Into::into),
        }
    }
}

/// What a deletion did.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Erased {
    /// How many versions.
    pub(crate) versions: u64,
    /// The number of the erasure.
    pub(crate) erasure: u64,
    /// The signed receipt; absent while the keys are not destroyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<ReceiptView>,
}

/// Proof, signed with the vault's audit key, that keys were destroyed.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ReceiptView {
    /// The number of the erasure.
    erasure: u64,
    /// The vault's id.
    #[schema(examples("000102030405060708090a0b0c0d0e0f"))]
    vault: String,
    /// Blinded id of the collection.
    collection: String,
    /// What was erased.
    records: Vec<ErasedRecordView>,
    /// When it was unlisted, in milliseconds since 1970.
    unlisted_ms: u64,
    /// When the keys were destroyed, in milliseconds since 1970.
    destroyed_ms: u64,
    /// Epoch of the keyring without the old keys.
    keyring_epoch: u64,
    /// Number of the audit event that unlisted them.
    audit_seq: u64,
    /// Its chain hash.
    audit_hash: String,
    /// The whole receipt with its signature, as `terachat vault receipt verify` takes it.
    encoded: Base64,
}

/// One erased record in a receipt.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ErasedRecordView {
    /// Blinded id of the record.
    record: String,
    /// Hash of the caller's id, by which its owner knows it.
    id_hash: String,
    /// The erased versions.
    versions: Vec<u64>,
}

impl From<&store::ErasureReceipt> for ReceiptView {
    fn from(receipt: &store::ErasureReceipt) -> Self {
        let record = |record: &store::ErasedRecord| ErasedRecordView {
            record: hex::encode(&record.record),
            id_hash: hex::encode(&record.id_hash),
            versions: record.versions.iter().map(|(version, ..)| *version).collect(),
        };
        Self {
            erasure: receipt.erasure.0,
            vault: hex::encode(&receipt.vault),
            collection: hex::encode(&receipt.collection),
            records: receipt.records.iter().map(record).collect(),
            unlisted_ms: receipt.unlisted_ms,
            destroyed_ms: receipt.destroyed_ms,
            keyring_epoch: receipt.keyring_epoch,
            audit_seq: receipt.audit_seq,
            audit_hash: hex::encode(&receipt.audit_hash),
            encoded: Base64::new(&receipt.encode()),
        }
    }
}

/// Which records a list shows.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Most records of this page.
    #[serde(default = "hundred")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(crate) limit: u32,
    /// Where the page before ended: its `next`.
    #[param(pattern = "^[0-9a-f]{64}$")]
    pub(crate) cursor: Option<String>,
    /// Only templates of this type.
    #[serde(rename = "type")]
    pub(crate) template_type: Option<TemplateType>,
}

fn hundred() -> u32 {
    100
}
