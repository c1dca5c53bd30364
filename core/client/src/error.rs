/// What can go wrong on a device. Every variant leaves state and disk as they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's: there is no profile in this storage.
    #[error("there is no profile here; make one with `terachat init`, or name its folder with --home")]
    NoProfile,
    /// The caller's: there is a profile already.
    #[error("there is a profile here already; use it, or choose another folder with --home")]
    ProfileExists,
    /// The storage's: the profile's key file is not what it should be.
    #[error("the profile's key file is damaged or not from terachat ({0}); restore the folder from a backup")]
    Profile(&'static str),
    /// The caller's: the source of the master key does not open the profile, or its key file is damaged.
    #[error(transparent)]
    Keyring(#[from] terachat_vault::KeyringError),
    /// The profile is an older copy than its counter says, or the counter cannot be used. Nothing was signed.
    #[error(transparent)]
    Rollback(#[from] terachat_vault::RollbackError),
    /// The caller's: the profile has a counter, and was to be opened without.
    #[error("this profile is guarded by a counter ({0}) against being set back; open it with that counter")]
    Guarded(&'static str),
    /// The caller's: nothing is called that.
    #[error("no {what} is called {name:?} here; `terachat status` lists what there is")]
    Unknown {
        /// Space, channel, member, message.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// The caller's: several things are called that.
    #[error("{name:?} could be several {what}s; give more of the id, as `terachat status` shows it")]
    Ambiguous {
        /// Space, channel, member, message.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// The caller's: this user may not do that.
    #[error("not allowed: {0}")]
    NotAllowed(&'static str),
    /// The caller's: this user's role lacks a permission.
    #[error(
        "not allowed: this takes the permission {permission}, which your role lacks; {givers} may give it"
    )]
    LacksPermission {
        /// Which.
        permission: terachat_core_store::model::Permission,
        /// Who may give it, in words.
        givers: String,
    },
    /// The caller's: nobody gives what their own role lacks.
    #[error(
        "not allowed: this gives {}, which your role lacks; {givers} may do it",
        .permission.map_or("a permission that is newer than this version".to_owned(), |it| format!("the permission {it}"))
    )]
    ExceedsRole {
        /// Which; absent for one that this version does not know.
        permission: Option<terachat_core_store::model::Permission>,
        /// Who may give it, in words.
        givers: String,
    },
    /// The caller's: nobody acts upon their own rank or a higher one.
    #[error(
        "not allowed: this is about a member or a role of your own rank or a higher one; {above} may do it"
    )]
    Outranked {
        /// Who may do it, in words.
        above: String,
    },
    /// The caller's: the space requires an archive, and this would take it out. Nothing changed.
    #[error(
        "not allowed: {archive} is an archive that the space requires; `terachat archive release` ends that, by whoever has the permission manage-archive"
    )]
    RequiresArchive {
        /// The user whose device it is.
        archive: String,
    },
    /// The peer's: a commit to the group that takes a member's device out though nobody removed it. It counts for nothing.
    #[error(
        "{by} tried to take {whom}, who is a member, out of the group without removing it, which does not count; ask them why"
    )]
    Evicts {
        /// Whose device made the commit.
        by: String,
        /// Whose device it would take out.
        whom: String,
    },
    /// The caller's: an argument is out of bounds.
    #[error("{0}")]
    Input(&'static str),
    /// The caller's: the space's keys are not here yet, or not any more.
    #[error(
        "this device is not in the group of space {0}; sync with a member; if its keys were lost, \
         `terachat space rejoin`; ask for an invitation if it was removed"
    )]
    NotInGroup(String),
    /// The caller's: the group moved to another suite without this device. Nothing changed.
    #[error(
        "the members of space {0} have moved it to another ciphersuite without this device; sync with a member or a board until it has taken its place, which it does by itself"
    )]
    LeftOut(String),
    /// The caller's: the group went on for long where this device was not. Nothing changed.
    #[error(
        "the members of space {0} went on for too long without this device; sync with a member or a board until it has taken its place, which it does by itself"
    )]
    Parted(String),
    /// The caller's: the space is in a suite that this version does not know. Nothing changed.
    #[error(
        "space {space} has moved to ciphersuite {suite:#06x}, which this version of terachat does not know; install a newer one, and sync with a member directly"
    )]
    NewerSuite {
        /// The space's name.
        space: String,
        /// The suite's number.
        suite: u16,
    },
    /// The caller's: the space requires an archive, which has no keys for the new suite yet. Nothing changed.
    #[error(
        "not allowed: {archive} is an archive that the space requires, and has not offered keys for that suite; have it sync first, or end the requirement with `terachat archive release`"
    )]
    LeavesArchive {
        /// The user whose device it is.
        archive: String,
    },
    /// Another member's: its change comes first, and is not here yet. Nothing changed.
    #[error(
        "another member's change to space {0} comes first and is not on the board yet; say it again in a moment"
    )]
    NotItsTurn(String),
    /// The board's: what was asked for is done on this device, and cannot be left there.
    #[error(
        "the change is made on this device and not left for the others yet ({0}); leave it with `terachat board sync`"
    )]
    NotLeft(String),
    /// The caller's: what seals single messages in this epoch is not here. Nothing was sent in another way.
    #[error(
        "the keys that seal single messages in space {0} are not here; `terachat space renew` makes others"
    )]
    NoMessageKeys(String),
    /// The caller's: a channel that this device does not keep.
    #[error("this device does not keep channel {0:?}; `terachat channel keep` takes it back")]
    NotKept(String),
    /// The caller's: what is shown of a channel is its newest, and its past, on which everything that is said stands, is on its way.
    #[error(
        "the past of channel {channel:?} is still on its way, and only its newest is here; say it again once it has come, in {left_s} s at the latest"
    )]
    PastComing {
        /// The channel's name.
        channel: String,
        /// After how many seconds it is written in with what is here then, whether or not that is all.
        left_s: u64,
    },
    /// The caller's: a message of a kept channel that is shown ahead of the channel's past, and is named in it only behind that.
    #[error(
        "{what} {name} is here ahead of the past of channel {channel:?}, and can be named once that has come as far: `terachat sync`, or wait while `terachat listen` is connected"
    )]
    NotReached {
        /// What was named.
        what: &'static str,
        /// As it was named.
        name: String,
        /// The channel's name.
        channel: String,
    },
    /// The caller's: what takes a right away has to name where a member's messages end, in every channel.
    #[error(
        "this device does not have all channels of space {0}, so it cannot say where a member's messages end; keep them all and sync first, or do it on another device"
    )]
    NotWhole(String),
    /// The peer's: a frame that no honest device sends.
    #[error("a peer sent {0}; it is broken, hostile or newer than this version")]
    Frame(&'static str),
    /// The caller's: a file that is no backup, or not a whole one. Nothing changed.
    #[error("the backup cannot be used: {0}; copy it again, or take another one")]
    Backup(&'static str),
    /// The board's: it cannot be read or written. What was exchanged before stays.
    #[error(transparent)]
    Board(#[from] terachat_core_store::sync::board::BoardError),
    /// A person cannot be invited by what a board shows of them.
    #[error(transparent)]
    Directory(#[from] crate::DirectoryError),
    /// The state layer's.
    #[error(transparent)]
    Store(#[from] terachat_core_store::Error),
    /// The group's.
    #[error("the group refused: {0}")]
    Group(#[from] terachat_group::Error),
}

impl From<terachat_core_store::store::Error> for Error {
    fn from(error: terachat_core_store::store::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<terachat_core_store::store::StorageError> for Error {
    fn from(error: terachat_core_store::store::StorageError) -> Self {
        terachat_core_store::store::Error::from(error).into()
    }
}
