//! What people hold: one binary
fn main() {}
