//! Conflict-free replicated data types (Shapiro et al., "A comprehensive study of CRDTs", 2011), ordered by causal
//! dots and one total order; no wall clock decides anything.
//!
//! [`OrSet`] and [`OrMap`] keep reactions and pins, [`LwwRegister`] edits and headings, [`VectorClock`] what a control event
//! builds on; the list that grows is [`crate::model::Timeline`]. Orders that people make by hand need no list of their own kind:
//! control operations are applied in the total order, so a plain list goes through the same changes everywhere
//! ([`crate::model::Outline`]). All five are put to one test of their laws, `laws.rs`.
#[cfg(test)]
pub(crate) mod laws;
mod lww_register;
mod or_map;
mod or_set;
mod stamp;
mod traits;
mod vector_clock;

pub use lww_register::LwwRegister;
pub use or_map::OrMap;
pub use or_set::{OrSet, OrSetOp};
pub use stamp::Stamp;
pub use traits::Crdt;
pub use vector_clock::VectorClock;
