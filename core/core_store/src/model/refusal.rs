use super::Permission;

/// Why somebody may not do something in the control log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its author is no member.
    NoMember,
    /// The author's role lacks this permission.
    Lacks(Permission),
    /// It is about a member, or a role, of the author's own rank or a higher one.
    Outranked,
    /// It gives a role that has a permission which the author's lacks, or such a permission. `None` for one that this version
    /// does not know.
    Exceeds(Option<Permission>),
    /// It takes a device out of the space that is required as an archive.
    TakesArchive,
    /// It makes no sense in this state, whoever does it.
    Senseless(&'static str),
}

impl Refusal {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoMember => "the author is not a member",
            Self::Lacks(permission) => lacks(permission),
            Self::Outranked => "it is about a role or a member of the author's own rank or a higher one",
            Self::Exceeds(None) => "it gives a permission that the author's role lacks",
            Self::Exceeds(Some(permission)) => exceeds(permission),
            Self::TakesArchive => TAKES_ARCHIVE,
            Self::Senseless(why) => why,
        }
    }
}

/// Why a removal of an archive is void: its members are warned by it.
pub(crate) const TAKES_ARCHIVE: &str =
    "it removes an archive that the space requires; the requirement has to be ended first";

fn lacks(permission: Permission) -> &'static str {
    match permission {
        Permission::Post => "it takes the permission post",
        Permission::Pin => "it takes the permission pin",
        Permission::Invite => "it takes the permission invite",
        Permission::Remove => "it takes the permission remove",
        Permission::ManageChannels => "it takes the permission manage-channels",
        Permission::RenameSpace => "it takes the permission rename-space",
        Permission::Moderate => "it takes the permission moderate",
        Permission::ManageRoles => "it takes the permission manage-roles",
        Permission::ManageArchive => "it takes the permission manage-archive",
        Permission::ManageSuite => "it takes the permission manage-suite",
    }
}

fn exceeds(permission: Permission) -> &'static str {
    match permission {
        Permission::Post => "it gives the permission post, which the author's role lacks",
        Permission::Pin => "it gives the permission pin, which the author's role lacks",
        Permission::Invite => "it gives the permission invite, which the author's role lacks",
        Permission::Remove => "it gives the permission remove, which the author's role lacks",
        Permission::ManageChannels => {
            "it gives the permission manage-channels, which the author's role lacks"
        }
        Permission::RenameSpace => "it gives the permission rename-space, which the author's role lacks",
        Permission::Moderate => "it gives the permission moderate, which the author's role lacks",
        Permission::ManageRoles => "it gives the permission manage-roles, which the author's role lacks",
        Permission::ManageArchive => "it gives the permission manage-archive, which the author's role lacks",
        Permission::ManageSuite => "it gives the permission manage-suite, which the author's role lacks",
    }
}
