//! The JSON of requests and answers. Each type is also its own schema in the OpenAPI document.
mod base64;
mod millis;
mod octets;
mod operate;
mod record;
mod template;

pub(crate) use self::base64::Base64;
pub(crate) use millis::Millis;
pub(crate) use octets::Octets;
pub(crate) use operate::{
    AuditCheck, AuditEntryView, AuditPage, BackupRequest, CheckView, Collection, CollectionOptionsBody,
    Collections, Compacted, Dropped, NewRotation, RateBody, RotationStarted, RotationView, Rotations,
    StatsView, Swept, TokenBody, TokenRequest, TokenRotation, Tokens, VaultView,
};
pub(crate) use record::{
    Applied, BatchRequest, Content, DurabilityBody, Erased, ListQuery, PutRequest, ReceiptView, RecordPage,
    RecordView, Stored, Versions,
};
pub(crate) use template::{
    Identified, IdentifyRequest, MatchView, Probe, TemplateType, Verified, VerifyRequest,
};
