//! What callers put in and get out.
use crate::Error;
use terachat_template::{BodyKind, Metadata, Template};
use terachat_vault::SecretBytes;

/// Most bytes of one record's content: 2 MiB, room for the largest template.
pub const CONTENT_LEN_MAX: usize = 2 << 20;
/// Longest record id in bytes of UTF-8.
pub const ID_LEN_MAX: usize = 256;
/// Longest name of a collection in bytes of UTF-8.
pub const COLLECTION_NAME_LEN_MAX: usize = 64;
/// Longest name of an actor in bytes of UTF-8.
pub const ACTOR_LEN_MAX: usize = 128;
/// Most operations of one batch.
pub const BATCH_LEN_MAX: usize = 1000;
/// Most records of one page of a list.
pub const PAGE_LEN_MAX: usize = 1000;

/// What a record holds.
pub enum Content {
    /// A secret of any kind: a key, a token, a state. 0 to [`CONTENT_LEN_MAX`] bytes.
    Bytes(SecretBytes),
    /// A biometric template.
    Template(Box<Template>),
}

impl Content {
    /// The template in it.
    pub fn template(&self) -> Option<&Template> {
        match self {
            Self::Template(template) => Some(template),
            Self::Bytes(_) => None,
        }
    }

    /// The bytes in it.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes.expose_secret()),
            Self::Template(_) => None,
        }
    }
}

impl From<Template> for Content {
    fn from(template: Template) -> Self {
        Self::Template(Box::new(template))
    }
}

impl From<SecretBytes> for Content {
    fn from(bytes: SecretBytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// Shows what kind it is, never what is in it.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.expose_secret().len()),
            Self::Template(template) => write!(f, "Template({})", template.metadata().template_type),
        }
    }
}

/// One version of a record, opened and checked.
#[derive(Debug)]
pub struct Record {
    /// What is known of it besides the content.
    pub info: RecordInfo,
    /// The content.
    pub content: Content,
}

/// What is known of one version of a record, without its content.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordInfo {
    /// The caller's id.
    pub id: String,
    /// The version, from 1. Never used twice for one id, not even after the record was erased: it can serve as an ETag.
    pub version: u64,
    /// When this version was stored, in milliseconds since 1970.
    pub stored_ms: u64,
    /// From when on it is expired, in milliseconds since 1970; `None`: it is kept.
    pub keep_until_ms: Option<u64>,
    /// The version that this one restored.
    pub restored_from: Option<u64>,
    /// Bytes of the content before sealing and compression.
    pub len: usize,
    /// For a template: its metadata and the kind of its body.
    pub template: Option<(Metadata, BodyKind)>,
}

/// Which version a write expects to find.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expect {
    /// Any, or none (HTTP: no condition).
    #[default]
    Any,
    /// That there is no such record (HTTP: `If-None-Match: *`).
    Absent,
    /// That there is one, at whatever version (HTTP: `If-Match: *`).
    Present,
    /// Exactly this version (HTTP: `If-Match`).
    Version(u64),
}

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on the disk: it survives a power cut. Many callers' writes share one fsync.
    #[default]
    Durable,
    /// Once the operating system has it: it survives the end of this process, and a power cut after
    /// [`Config::flush_interval`](crate::Config::flush_interval).
    Relaxed,
}

/// How a record is to be stored.
#[derive(Debug, Clone, Default)]
pub struct PutOptions {
    /// Which version is expected.
    pub expect: Expect,
    /// From when on it is expired, in milliseconds since 1970. For a template the earlier one of this and of its own
    /// metadata counts.
    pub keep_until_ms: Option<u64>,
    /// Whether the content may be compressed (zstd) before sealing. The sealed length then tells something of the content:
    /// not for content that an attacker can partly choose. Vectors gain nothing by it.
    pub compress: bool,
}

/// One operation of a [`Batch`].
#[derive(Debug)]
pub enum Operation {
    /// Stores a new version.
    Put {
        /// The record's id.
        id: String,
        /// What is stored.
        content: Content,
        /// How.
        options: PutOptions,
    },
    /// Erases all versions of a record.
    Delete {
        /// The record's id.
        id: String,
        /// Which version is expected.
        expect: Expect,
    },
    /// Erases one version; when it is the newest, the one before it becomes the newest, and with the last one the record
    /// is gone.
    DeleteVersion {
        /// The record's id.
        id: String,
        /// The version.
        version: u64,
    },
    /// Stores an older version's content as a new version.
    Restore {
        /// The record's id.
        id: String,
        /// The version to restore.
        version: u64,
        /// Which version is expected to be the newest.
        expect: Expect,
    },
}

/// Operations on one collection that happen together or not at all, each on another record.
#[derive(Debug, Default)]
pub struct Batch {
    /// What is done: 1 to [`BATCH_LEN_MAX`] operations with at most 16 MiB of content.
    pub operations: Vec<Operation>,
    /// When it is acknowledged. Erasures are always durable.
    pub durability: Durability,
    /// A key of the caller's choice, 1 to 128 bytes: a second batch of this actor with this key within
    /// [`Config::idempotency_ttl`](crate::Config::idempotency_ttl) does nothing and gets the first one's answer.
    pub idempotency_key: Option<String>,
    /// Whether to return before the keys of what was erased are destroyed. They are within
    /// [`Config::sweep_interval`](crate::Config::sweep_interval); the receipt is then fetched by
    /// [`TemplateVault::receipt`](crate::TemplateVault::receipt).
    pub erase_later: bool,
}

/// What one operation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Stored as this version.
    Stored {
        /// The new version.
        version: u64,
    },
    /// Unlisted, and its keys are, or will be, destroyed.
    Erased {
        /// How many versions.
        versions: u64,
    },
}

/// What a batch did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// One outcome for each operation, in their order.
    pub outcomes: Vec<Outcome>,
    /// The number under which the receipt of what was erased is kept; `None` when nothing was.
    pub erasure: Option<ErasureId>,
    /// Whether this is the answer of an earlier batch with the same idempotency key.
    pub repeated: bool,
}

/// Number of an erasure, by which its receipt is fetched. Unique in a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErasureId(pub u64);

/// Which records a list shows.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Most records of this page: 1 to [`PAGE_LEN_MAX`]; 0 stands for 100.
    pub limit: usize,
    /// Where the page before ended; `None` for the first page.
    pub cursor: Option<crate::Cursor>,
    /// Only templates of this type.
    pub template_type: Option<terachat_template::TemplateType>,
}

/// One page of a list, in the order of the blinded ids: no order that people know, but a stable one. A record that is there
/// all the time while pages are fetched is shown exactly once, whatever is written meanwhile.
#[derive(Debug, Clone)]
pub struct Page {
    /// The records' newest versions. May be fewer than asked for, even none, while there is a next page: a filter looks at
    /// a bounded number of records for each page.
    pub records: Vec<RecordInfo>,
    /// Records that should be on this page and do not open. Each is an alarm in the audit log.
    pub damaged: usize,
    /// Where the next page starts; `None` after the last.
    pub next: Option<crate::Cursor>,
}

/// One record that looks like the probe.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The record's id.
    pub id: String,
    /// The version that was compared.
    pub version: u64,
    /// How alike they are: the cosine, -1 to 1.
    pub score: f64,
}

pub(crate) fn check_text(what: &'static str, text: &str, max: usize) -> Result<(), Error> {
    let problem = match text {
        "" => "is empty; give it at least one character",
        _ if text.len() > max => "is too long; see the limits in the documentation",
        _ if text.chars().any(char::is_control) => "has control characters; remove them",
        _ => return Ok(()),
    };
    Err(Error::Name { what, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_printable() {
        assert!(check_text("id", &"a".repeat(ID_LEN_MAX), ID_LEN_MAX).is_ok());
        for bad in ["", "a\n", &"a".repeat(ID_LEN_MAX + 1)] {
            assert!(matches!(check_text("id", bad, ID_LEN_MAX), Err(Error::Name { what: "id", .. })));
        }
    }

    #[test]
    fn debug_shows_no_content() {
        let content = Content::from(SecretBytes::take(b"hunter2".to_vec()));
        assert_eq!(format!("{content:?}"), "Bytes(7 bytes)");
    }
}
