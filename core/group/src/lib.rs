//! Who can read: MLS groups (RFC 9420) behind a few verbs
