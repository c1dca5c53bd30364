//! The one signed, hash-chained record
