//! Conflict-free replicated data types (Shapiro et al., "A comprehensive study of CRDTs", 2011), ordered by causal
//! dots and one total order; no wall clock decides anything.
mod lww_register;
mod or_set;
mod stamp;
mod traits;
mod vector_clock;

pub use lww_register::LwwRegister;
pub use or_set::{OrSet, OrSetOp};
pub use stamp::Stamp;
pub use traits::Crdt;
pub use vector_clock::VectorClock;
