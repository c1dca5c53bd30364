use crate::talk::{Shown, Talk};
use anyhow::Result;

/// Another program's document of the conversation: a list of maps {author, ts, body, reply_to} in which an edit puts another
/// body, a reaction a key into the map `reactions`, a pin the flag `pinned`.
pub(super) trait Peer {
    /// Its name and version.
    const NAME: &'static str;
    /// Its document.
    type Document;

    /// What a sender sends of the talk: one update of one transaction, or an update for each flush, which is a transaction.
    fn send(talk: &Talk, is_whole: bool) -> Result<Vec<Vec<u8>>>;
    /// A document that has nothing of the talk.
    fn empty() -> Self::Document;
    /// Takes in one update.
    fn apply(document: &mut Self::Document, update: &[u8]) -> Result<()>;
    /// The bytes to be kept of it.
    fn save(document: &mut Self::Document) -> Result<Vec<u8>>;
    /// A document of bytes that were kept, or of a sender's whole.
    fn load(bytes: &[u8]) -> Result<Self::Document>;
    /// The newest messages, oldest first.
    fn last(document: &Self::Document, count: usize) -> Result<Vec<Shown>>;
    /// How many messages there are.
    fn count(document: &Self::Document) -> Result<usize>;
}
