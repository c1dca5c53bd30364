//! automerge, loro and yrs at the same talk: unsigned, unencrypted, in memory, all by one actor.
mod automerge;
mod loro;
mod yrs;

pub(super) use automerge::Automerge;
pub(super) use loro::Loro;
pub(super) use yrs::Yrs;
