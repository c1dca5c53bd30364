//! What the state is made of: operations, the space with its members and channels, who may do what, and a channel's
//! messages. Pure values; nothing here reads or writes anything.
mod archive;
mod authority;
mod channel;
mod channel_op;
mod control_op;
mod extras;
mod identity_log;
mod identity_meta;
mod kept;
mod mls_state;
#[cfg(test)]
mod operations;
mod outline;
mod permissions;
mod refusal;
mod renewal;
mod roles;
mod sealed;
mod skeleton;
mod space;
mod style;
mod timeline;

pub use archive::{Archive, Held};
pub(crate) use authority::{Authority, Forks, Written};
pub use authority::{ControlEvent, ControlLog, Deciding, Explanation, Precedence, Reason, Role, Verdict};
pub(crate) use channel::Surroundings;
pub use channel::{ChannelState, MessageState, Thread};
pub use channel_op::{BODY_LEN_MAX, ChannelOp, EMOJI_LEN_MAX, Imported, Post};
pub use control_op::{ControlOp, ControlTransaction, EpochLink, GroupCommit, Pin, ReInit, vouched};
pub use extras::{
    ATTACHMENTS_MAX, Attachment, Extras, Heading, MENTIONS_MAX, Mention, StoredFile, TAG_CHARS_MAX, TAGS_MAX,
    TITLE_CHARS_MAX,
};
pub use identity_log::{IdentityLog, Revocation};
pub use identity_meta::Card;
pub use kept::Kept;
pub use mls_state::{BodyKey, EpochKey};
pub use outline::{Category, CategoryId, Channel, ChannelKind, Named, Outline, TOPIC_CHARS_MAX};
pub use permissions::{Permission, Permissions};
pub use refusal::Refusal;
pub use renewal::Renewal;
pub use roles::{Rank, Roles};
pub use sealed::{History, SEALED_MESSAGE_LEN_MAX, Sealed, opened, sealable};
pub(crate) use sealed::{as_sent, content_of};
pub(crate) use skeleton::Bones;
pub use skeleton::Skeleton;
pub(crate) use space::same_user;
pub use space::{Member, Revoked, SpaceState, SuiteWish};
pub use style::Style;
pub use timeline::Timeline;
