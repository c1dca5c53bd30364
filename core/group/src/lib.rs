//! Who can read: MLS groups (RFC 9420) behind a few verbs.
//!
//! A group's state is a value. [`Group::commit`] and [`Group::process`] give back the *next* epoch's [`Group`]
//! and leave the one they were called on as it was: whoever keeps the old value can go back to it when another
//! commit of the same epoch wins, and an error cannot have changed anything.
//!
//! ```
//! # use terachat_group::{Change, CipherSuite, DeviceSigner, Group, KeyPackage, new_key_package};
//! # use terachat_vault::{Entropy, Secret};
//! # struct Counting(u8);
//! # impl Entropy for Counting {
//! #     fn fill(&mut self, out: &mut [u8]) { out.fill_with(|| { self.0 = self.0.wrapping_add(1); self.0 }) }
//! # }
//! # let mut entropy = Counting(0);
//! let alice = DeviceSigner::new(&Secret::take(&mut [1; 32]));
//! let bob = DeviceSigner::new(&Secret::take(&mut [2; 32]));
//! let (public, private) = new_key_package(CipherSuite::X25519, &bob, &mut entropy)?; // Bob publishes the one and keeps the other
//!
//! let group = Group::create(CipherSuite::X25519, &alice, b"channel", [7; 32], &mut entropy)?;
//! let add = [KeyPackage::parse(&public)?];
//! let change = Change { add: &add, remove: &[], control_root: [7; 32] };
//! let (group, commit) = group.commit(&alice, &change, &mut entropy)?;
//!
//! let welcome = commit.welcome.expect("somebody was added");
//! let bobs = Group::join(&bob, &welcome, &group.ratchet_tree(), &private)?;
//! assert_eq!(bobs.epoch_secret("body").expose_secret(), group.epoch_secret("body").expose_secret());
//! # Ok::<(), terachat_group::Error>(())
//! ```
//!
//! # What is fixed
//! * The ciphersuite is one of two ([`CipherSuite`]), the group's from its first epoch on. To change it is to make another
//!   group ([`Group::reinit`]) that only this one's members can enter by its welcome.
//! * Handshakes travel as PublicMessage (RFC 9420, section 6.2) inside the caller's own signed events. Proposals
//!   travel inside their commit only: Add, Remove and GroupContextExtensions; anything else is refused. A device
//!   that lost its state rejoins by an external commit ([`Group::rejoin`]), which changes nothing but its own leaf.
//! * Every commit made here carries an update path, so each one also heals its committer (section 16.6).
//! * One member is one device: its BasicCredential's identity *is* its 32-byte Ed25519 signature key, and both
//!   are checked wherever a leaf comes from. Signatures follow ZIP-215, as everywhere in this workspace.
//! * The ratchet tree travels beside the welcome ([`Group::ratchet_tree`]), never inside it.
//! * The control log's root stands in the GroupContext as the private-use extension [`CONTROL_ROOT_EXTENSION`],
//!   so the members of an epoch agree on it: a commit that does not know it cannot be confirmed.
//! * A group has only its own epoch's secrets. What seals single messages is taken out of it ([`Group::take_messages`]) and
//!   stored apart, so that a message costs a few durable bytes and its key can be forgotten.
//!
//! # Randomness and time
//! All randomness comes from the [`Entropy`](terachat_vault::Entropy) handed in: one draw of 32 bytes a verb, from
//! which everything is derived, HPKE's ephemeral keys included. The same entropy gives the same messages,
//! whatever the number of threads. Reading (`process`, `join`) draws none.
//!
//! The clock decides nothing. The MLS library insists on looking at it: it stamps stored secrets with the time
//! (never read here) and checks the lifetimes of key packages. Those made here are valid for ever and others are
//! refused, so that no two replicas disagree by the clock; withdrawing a key package is the caller's business
//! (the identity log, the publisher). The library also runs wide commits on its thread pool.
//!
//! # Other implementations
//! `tests/interop.rs` shares groups with the bare library and its own cryptography, `tests/ts_mls.rs` with ts-mls in
//! Node, `tests/core_crypto.rs` with Wire's core-crypto: made here and joined there and the other way round, each side adds, removes,
//! renews and reads the other's messages. Whoever wants in has to know what is fixed above, as ts-mls can be told. core-crypto
//! cannot: it is met in groups without it, which [`danger`] makes for tests.
//!
//! # WebAssembly
//! Compiles for `wasm32-unknown-unknown` in a JavaScript host without flags: the library takes its clock from
//! there. No `getrandom` backend is ever called.
//!
//! # What it does not do
//! It does not order commits, store or send anything, or know which device belongs to which user.
mod change;
pub mod danger;
mod engine;
mod error;
mod group;
mod join;
mod key_package;
mod messages;
mod policy;
mod process;
mod recipient;
mod reinit;
mod rejoin;
mod signer;
mod suite;
#[cfg(test)]
mod testing;
mod update_path;
mod wire;

pub use change::{Change, Commit};
pub use error::{Error, Fault};
pub use group::Group;
pub use key_package::{KeyPackage, new_key_package, new_last_resort_key_package};
pub use messages::{GENERATIONS_MAX, Messages, Opened, Part, Reserve, SEALED_LEN_MAX, SEALED_TEXT_LEN_MAX};
pub use policy::CONTROL_ROOT_EXTENSION;
pub use process::Summary;
pub use recipient::Recipient;
pub use reinit::{ReInit, Successor};
pub use signer::DeviceSigner;
pub use suite::CipherSuite;

/// A device: its Ed25519 public key, which is also its MLS signature key and its credential's identity.
pub type DeviceId = [u8; 32];

/// The longest handshake message, welcome or key package that is looked at, in bytes. A commit that adds 10,000
/// members has 4 MB.
pub const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// The longest ratchet tree that is looked at, in bytes. One of 10,000 members has 3 to 5 MB.
pub const TREE_BYTES_MAX: usize = 64 << 20;
