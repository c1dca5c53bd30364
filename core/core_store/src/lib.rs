//! The state layer: model, CRDTs, sync, store and query.
pub mod model;
