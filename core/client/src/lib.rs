//! Composes event, store and group into a device
