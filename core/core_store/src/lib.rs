//! The state layer: model, CRDTs, sync, store and query
