//! The machine's files, clock and entropy
