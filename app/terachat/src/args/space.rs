//! Spaces and who is in them: members, devices, roles, categories.
use super::OrderArgs;
use clap::{Subcommand, value_parser};

/// A ciphersuite as people choose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SuiteName {
    /// X-Wing.
    PostQuantum,
    /// X25519.
    Classic,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SpaceCommand {
    /// Create a space that you own
    Create {
        /// 1 to 100 characters
        name: String,
        /// Agree on keys by X-Wing (X25519 and ML-KEM-768), so that what is recorded today stays closed to the quantum
        /// computers of later. Commits are some ten times as long, messages as short as ever. `terachat space reinit` changes it
        #[arg(long)]
        post_quantum: bool,
    },
    /// Move the space to another ciphersuite, with history, members and roles. Each device offers keys for it when it hears of
    /// this, and whoever asked moves the space once all have; `terachat status` shows for whom it waits. Takes the permission
    /// manage-suite, which is the owner's until it is given
    Reinit {
        /// `post-quantum` agrees on keys by X-Wing (X25519 and ML-KEM-768), `classic` by X25519 alone
        #[arg(long, value_name = "SUITE")]
        suite: SuiteName,
        /// Move it now, without the devices that have offered no keys: they enter by themselves once they meet a member
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        order: OrderArgs,
    },
    /// Give the space another name
    Rename {
        /// 1 to 100 characters
        name: String,
    },
    /// Renew this device's keys now: whoever copied them reads nothing that is written from now on. A device does so by
    /// itself when it writes and they are as old as the space lets them get, see `terachat space renewal`
    Renew {
        #[command(flatten)]
        order: OrderArgs,
    },
    /// Show when the space's keys are renewed by themselves, or say so: by whoever writes once one of both has come. To say it
    /// takes the permission manage-suite, which is the owner's until it is given. Every change of who is a member renews them, too
    Renewal {
        /// How old a device's keys get: 1 to 365 days. With more than 64 times as many devices it is later, so that there are at
        /// most 64 renewals a day
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=365))]
        days: Option<u16>,
        /// How many messages, edits and reactions are sealed with the same keys: 100 to 1,000,000
        #[arg(long, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
        messages: Option<u32>,
    },
    /// Take this device's place among the holders of the keys again, after they were lost or damaged: with the next member that
    /// it talks to (`terachat sync`). For a member's device only
    Rejoin,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CategoryCommand {
    /// Create a category
    Create {
        /// 1 to 100 characters
        name: String,
    },
    /// Give a category another name
    Rename {
        /// Category name, id or the beginning of the id
        category: String,
        /// 1 to 100 characters
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Remove a user with all devices
    Remove {
        /// User name, id or the beginning of the id
        member: String,
        #[command(flatten)]
        order: OrderArgs,
    },
    /// List the members
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// List your devices, or a member's, with the spaces they are in
    List {
        /// Whose: user name, id or the beginning of the id; yours when left out
        member: Option<String>,
    },
    /// Admit a further device of yours to every space that this one is in; prints an invitation to each
    ///
    /// The device is made from a backup: `terachat store export` here, `terachat store import` there, and there
    /// `terachat whoami` shows its card.
    Add {
        /// What `terachat whoami` showed on the new device
        card: String,
        #[command(flatten)]
        order: OrderArgs,
    },
    /// Take a device of yours back, for good, in every space
    ///
    /// What it wrote up to now stays as far as this device has it; everything beyond counts for nothing, however it is
    /// dated. Whoever has the device keeps what it could read.
    Revoke {
        /// Id of the device, or its beginning, as `terachat device list` shows it
        device: String,
        #[command(flatten)]
        order: OrderArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// Show what roles permit and who has them
    Show,
    /// Give a member another rank, and so another role
    Set {
        /// User name, id or the beginning of the id
        member: String,
        /// 0 (may read) to 100 (owner)
        #[arg(value_parser = value_parser!(u8).range(0..=100))]
        rank: u8,
    },
    /// Give a role permissions, for all who have it
    ///
    /// Takes the permission manage-roles and a higher rank; nobody gives what their own role lacks.
    Give {
        /// The role, by its rank: 0 to 99
        #[arg(value_parser = value_parser!(u8).range(0..=99))]
        role: u8,
        /// What its members may do from now on
        #[arg(required = true, value_parser = permissions())]
        permissions: Vec<String>,
    },
    /// Take permissions from a role, from all who have it
    ///
    /// What they did by them up to now stays as far as this device has it; everything beyond counts for nothing, however it is
    /// dated. Takes the permission manage-roles and a higher rank.
    Take {
        /// The role, by its rank: 0 to 99
        #[arg(value_parser = value_parser!(u8).range(0..=99))]
        role: u8,
        /// What its members may not do any more
        #[arg(required = true, value_parser = permissions())]
        permissions: Vec<String>,
    },
}

/// What permissions are called; the client knows no others.
fn permissions() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(terachat_client::api::permission_names())
}
