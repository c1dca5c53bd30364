//! The keys that a commit's path puts into the tree (RFC 9420, section 7.6).
//!
//! A member derives those that it shares with the committer and compares them. Those below where the two meet nobody compares, and a
//! key there that nothing can be sealed for would have every later commit fail that has to reach the members below it. The
//! library keeps the path to itself, so it is read off the commit's bytes once more: a few keys, however large the group.
use crate::{CipherSuite, Error, policy, wire::Reader};
use openmls::prelude::{LeafNode, tls_codec::Serialize as _};

/// SenderType (section 6).
const MEMBER: u8 = 1;
const NEW_MEMBER_COMMIT: u8 = 4;

/// Refuses a commit whose path has such a key. `message` is a PublicMessage that the library has verified, `leaf` the leaf that it found
/// in its path.
pub(crate) fn check(suite: CipherSuite, message: &[u8], leaf: &LeafNode) -> Result<(), Error> {
    let leaf = leaf.tls_serialize_detached().map_err(|error| Error::bug("encoding a leaf", error))?;
    let mut commit = Reader::new("commit", message);
    // Version and wire format, the group's id, the epoch.
    commit.take(4)?;
    commit.vector()?;
    commit.take(8)?;
    match commit.byte()? {
        MEMBER => {
            commit.take(4)?;
        }
        NEW_MEMBER_COMMIT => {}
        _ => return Err(Error::Malformed("commit")),
    }
    // Data that is authenticated, the kind of content, proposals; that there is a path, and its leaf.
    commit.vector()?;
    commit.byte()?;
    commit.vector()?;
    if commit.byte()? != 1 || commit.take(leaf.len())? != leaf {
        return Err(Error::Malformed("commit"));
    }
    let mut nodes = Reader::new("commit", commit.vector()?);
    while !nodes.is_empty() {
        policy::encryption_key(suite, "commit", nodes.vector()?)?;
        // What is sealed for others.
        nodes.vector()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
