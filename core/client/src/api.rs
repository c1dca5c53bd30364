//! What a device can be asked and what it answers: the one list of verbs behind the command line, the local
//! socket and every binding. Plain values, all serialisable; names select by exact name, id or unique id prefix.
mod answer;
mod archive;
mod arrange;
mod audit;
mod board;
mod check;
mod keep;
mod live;
mod log;
mod message;
mod place;
mod request;
mod status;

pub use answer::Answer;
pub use archive::{ArchiveRange, ArchiveReport};
pub use arrange::Arrangement;
pub use audit::{AuditLine, AuditReport, StateDifference};
pub use board::{BoardFetched, BoardPublished, Invited, PendingInvitation, SupplyStatus};
pub use check::{StoreChecked, StoreDamage, StoreReport};
pub use keep::Selection;
pub use live::{LiveChange, Notice};
pub use log::{CitedHead, DecidingEvent, EventLine, KnownAhead, Why};
pub use message::{
    AttachedFile, FileKey, ForumPost, Hit, ImportRecord, KeyedFile, Message, MessageFilter, NewPost,
};
pub use place::Place;
pub use request::Request;
pub use status::{
    ArchiveStatus, ChannelStatus, DeviceStatus, HoldStatus, MemberStatus, MoveStatus, RenewalStatus,
    RoleStatus, SpaceStatus, Status,
};
pub use terachat_core_store::model::Style;

/// What permissions are called, in the order of their numbers.
pub fn permission_names() -> impl Iterator<Item = &'static str> {
    terachat_core_store::model::Permission::ALL.into_iter().map(terachat_core_store::model::Permission::name)
}
