//! The secret from which an epoch's message keys are derived, taken out of what the MLS library stores.
//!
//! The library keeps it for the whole epoch and writes all of its tree anew for every message. Here it leaves the library's
//! state as soon as the epoch begins: `crate::Messages` keeps it, and forgets it step by step. Handshakes travel in the
//! clear, so the library itself has no use for it.
use super::codec::{decode, encode};
use super::store::{Cells, Kind, key};
use openmls::prelude::tls_codec::SecretVLBytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use terachat_vault::Secret;

/// What an epoch's messages are sealed with (RFC 9420, sections 6.3.2 and 9).
pub(crate) struct MessageRoot {
    pub(crate) sender_data: Secret<32>,
    pub(crate) encryption: Secret<32>,
    /// The GroupContext (section 8.1) as it is signed.
    pub(crate) context: Vec<u8>,
    /// Leaves of the whole tree, a power of two.
    pub(crate) leaves: u32,
    pub(crate) own: u32,
}

impl Cells {
    /// Takes the message root out of the library's state; `None` where it was taken before, or the state is not as this
    /// version of the library writes it.
    pub(crate) fn take_message_root(&mut self) -> Option<MessageRoot> {
        let name = key(Kind::MessageSecrets, &[]);
        let mut stored: Stored = decode(self.get(&name)?.expose_secret()).ok()?;
        let secrets = &mut stored.message_secrets;
        let tree = &mut secrets.tree;
        let leaves = tree.size / 2 + 1;
        let at = leaves as usize - 1;
        // The root stands between its two halves, in a tree of one leaf it is that leaf.
        let nodes = if at.is_multiple_of(2) { &mut tree.leaf_nodes } else { &mut tree.parent_nodes };
        let root = nodes.get_mut(at / 2)?.take()?;
        let root = MessageRoot {
            sender_data: secret(&secrets.sender_data)?,
            encryption: secret(&root)?,
            context: secrets.context.clone(),
            leaves,
            own: tree.own,
        };
        let stripped = encode(&stored, 256).ok()?;
        self.insert(name, Arc::new(stripped));
        Some(root)
    }
}

fn secret(wrapped: &Wrapped) -> Option<Secret<32>> {
    let bytes: &[u8; 32] = wrapped.value.as_slice().try_into().ok()?;
    Some(Secret::generate(|out| out.copy_from_slice(bytes)))
}

// The library's own types, field by field (openmls 0.9.2: `MessageSecretsStore`, `MessageSecrets`, `SecretTree`).

#[derive(Serialize, Deserialize)]
struct Stored {
    max_epochs: u64,
    /// Of former epochs, of which none are kept.
    past: Vec<Never>,
    message_secrets: Secrets,
}

#[derive(Serialize, Deserialize)]
struct Secrets {
    sender_data: Wrapped,
    membership: Wrapped,
    confirmation: Wrapped,
    context: Vec<u8>,
    tree: Tree,
    added_at: Option<(u64, u32)>,
}

#[derive(Serialize, Deserialize)]
struct Tree {
    own: u32,
    leaf_nodes: Vec<Option<Wrapped>>,
    parent_nodes: Vec<Option<Wrapped>>,
    handshake: Vec<Option<Never>>,
    application: Vec<Option<Never>>,
    /// Nodes.
    size: u32,
}

#[derive(Serialize, Deserialize)]
struct Wrapped {
    value: SecretVLBytes,
}

/// What is not there while the library seals nothing.
#[derive(Serialize, Deserialize)]
enum Never {}
