use terachat_group::CipherSuite;

/// Why a person could not be invited by what their devices left on a board. Nothing changed, but for key packages that were claimed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The caller's: no user has that id.
    #[error(
        "{0} is no user's id; take it from `terachat whoami --json` there, from a card, or from `terachat status`"
    )]
    NoPerson(String),
    /// The person's, or the board's: it has no key packages of theirs.
    #[error(
        "there are no key packages of {0} on this board; ask them for `terachat card publish` with the same board, or for a card from `terachat whoami`"
    )]
    Nobody(String),
    /// The person's, or the board's: what it has is too old.
    #[error(
        "all key packages of {0} on this board have expired; ask them to sync with the board, or for a card from `terachat whoami`"
    )]
    Expired(String),
    /// The person's: there are some, and none for this suite.
    #[error(
        "{person} has no key packages for spaces of suite {suite} on this board; ask them for `terachat card publish --post-quantum`, or for a card from `terachat whoami --post-quantum`"
    )]
    OtherSuite {
        /// Whom.
        person: String,
        /// The space's suite.
        suite: CipherSuite,
    },
    /// The board's, or a revoked device's: what it has is not what the person's devices signed.
    #[error(
        "what this board shows as key packages of {person} does not hold ({why}); ask them for a card from `terachat whoami`, and look after the board"
    )]
    Forged {
        /// Whom.
        person: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The publishing device's: a key package of another device's.
    #[error(
        "a device of {0} shows another device's key packages as its own; ask them for a card from `terachat whoami`"
    )]
    ForeignCredential(String),
    /// The person's: all devices that published were taken back.
    #[error(
        "{0} took back all devices that have key packages on this board; ask them for a card of another one"
    )]
    Revoked(String),
    /// The board's, or whoever claimed them all: none is left, not even the one of last resort.
    #[error(
        "all key packages of {0} on this board are used up; once their device has synced with the board there are new ones, or ask for a card from `terachat whoami`"
    )]
    UsedUp(String),
    /// The caller's: there is nobody to invite.
    #[error(
        "all devices of {0} that have key packages on this board are in the space already; `terachat member list` shows the members"
    )]
    AlreadyIn(String),
}
