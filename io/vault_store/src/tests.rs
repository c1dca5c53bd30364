//! The vault as a whole.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod crash;
mod damage;
mod every_write;
mod format_1;
mod full_disk;
mod kill;
mod model;
mod soak;
mod stories;
mod world;
