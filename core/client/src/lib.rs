//! Composes event, store and group into a device: text in, signed and sealed events out, and back.
pub mod api;
