//! A vault in a folder of its own, whose clock the test holds.
use crate::{Access, Config, Content, Error, PutOptions, Session, TemplateVault};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use terachat_template::{Body, Embedding, Metadata, Template, TemplateType};
use terachat_vault::{PassphraseCost, PassphraseSource, SecretBytes};

pub(super) const NOW_MS: u64 = 1_800_000_000_000;

pub(super) struct World {
    _folder: tempfile::TempDir,
    pub(super) clock: Arc<AtomicU64>,
    pub(super) config: Config,
}

pub(super) fn passphrase(words: &str) -> PassphraseSource {
    PassphraseSource::new(SecretBytes::take(words.into()), PassphraseCost::INSECURE_FAST)
}

pub(super) fn secret(bytes: &[u8]) -> Content {
    Content::Bytes(SecretBytes::take(bytes.to_vec()))
}

pub(super) fn face(subject: &str, vector: &[f32], keep_until_ms: Option<u64>) -> Content {
    let mut metadata = Metadata::new(subject.parse().unwrap(), TemplateType::Face);
    metadata.keep_until_ms = keep_until_ms;
    Template::new(metadata, Body::Vector(Embedding::take(vector.to_vec()).unwrap())).unwrap().into()
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(NOW_MS));
        let mut config = Config::new(folder.path().join("vault"));
        config.cache_size = 4 << 20;
        config.background = false;
        config.clock = {
            let clock = clock.clone();
            Arc::new(move || clock.load(Ordering::Relaxed))
        };
        Self { _folder: folder, clock, config }
    }

    pub(super) fn path(&self) -> &Path {
        &self.config.path
    }

    pub(super) fn create(&self) -> TemplateVault {
        let vault = TemplateVault::create(&self.config, &mut [&mut passphrase("correct horse")]).unwrap();
        vault.create_collection("op", "door", &crate::CollectionOptions::default()).unwrap();
        vault
    }

    pub(super) fn open(&self) -> TemplateVault {
        self.try_open().unwrap()
    }

    pub(super) fn try_open(&self) -> Result<TemplateVault, Error> {
        TemplateVault::open(&self.config, &mut passphrase("correct horse"))
    }

    pub(super) fn pass(&self, time: Duration) {
        self.clock.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
    }
}

pub(super) fn session(vault: &TemplateVault) -> Session {
    vault.session("ann", Access::full()).unwrap()
}

pub(super) fn put(session: &Session, id: &str, bytes: &[u8]) -> u64 {
    session.put("door", id, secret(bytes), &PutOptions::default()).unwrap()
}

/// The newest content of a record; `None` when there is none.
pub(super) fn get(session: &Session, id: &str) -> Option<Vec<u8>> {
    match session.get("door", id) {
        Ok(record) => Some(record.content.bytes().unwrap().to_vec()),
        Err(Error::NotFound) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Everything holds: the audit log, every record, and that there are the right ones.
#[track_caller]
pub(super) fn whole(vault: &TemplateVault) {
    vault.audit().unwrap();
    let report = vault.check().unwrap();
    assert_eq!(report.damaged, []);
    assert!(report.complete, "the records are those of the audit log");
    let stats = vault.stats();
    assert_eq!((report.records, report.versions), (stats.records, stats.versions));
}
