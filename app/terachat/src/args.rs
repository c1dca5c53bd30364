//! The command line, as clap reads it: what may be said, and no more.
mod archive;
mod channel;
mod cluster;
mod command;
mod etcd;
mod exchange;
mod global;
mod keys;
mod message;
mod node;
pub(crate) mod settings;
mod source;
mod space;
mod store;
mod vault;

pub(crate) use archive::ArchiveCommand;
pub(crate) use channel::ChannelCommand;
pub(crate) use cluster::{ClusterArgs, ClusterCommand, UpArgs};
pub(crate) use command::Command;
pub(crate) use etcd::LedgerArgs;
pub(crate) use exchange::{
    BoardArgs, BoardCommand, BundleCommand, CardCommand, ClusterClientArgs, DemoArgs, ListenArgs, OrderArgs,
    SyncArgs,
};
pub(crate) use global::Global;
pub(crate) use keys::KeysCommand;
pub(crate) use message::{AttachmentCommand, Carried, FetchArgs, FilterArgs, ImportArgs, ReadArgs, SendArgs};
pub(crate) use node::{NodeArgs, NodeCommand, RunArgs, ShardsArgs, node_id};
pub(crate) use source::{CounterSpec, NewSource, RecoveryArgs, SourceArgs, SourceSpec};
pub(crate) use space::{CategoryCommand, DeviceCommand, MemberCommand, RoleCommand, SpaceCommand, SuiteName};
pub(crate) use store::{AuditArgs, StoreCommand, StoreImportArgs};
pub(crate) use vault::{
    CollectionsCommand, GetArgs, ProbeArgs, PutArgs, ReceiptCommand, RecordArgs, RotateCommand, ServeArgs,
    TokenCommand, VaultArgs, VaultCommand, VaultPlace, scopes,
};

use clap::Parser;

/// Team chat without a server: sealed, signed, kept on your own disk.
///
/// Every command works on one profile folder. While `terachat listen` runs on it, the other commands go through that
/// process, so they can be used side by side.
#[derive(Debug, Parser)]
#[command(name = "terachat", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_may_stand_after_the_command() {
        let cli = Cli::try_parse_from(["terachat", "send", "hi", "--space", "crew", "--json"]).unwrap();
        assert_eq!((cli.global.space.as_deref(), cli.global.json), (Some("crew"), true));
    }

    #[test]
    fn ranks_beyond_a_hundred_and_tiny_demos_are_usage_errors() {
        for line in [
            vec!["terachat", "role", "set", "bo", "101"],
            vec!["terachat", "demo", "--devices", "2"],
            vec!["terachat", "demo", "--devices", "17"],
            vec!["terachat", "read", "--limit", "0"],
            vec!["terachat", "sync"],
        ] {
            assert_eq!(Cli::try_parse_from(&line).unwrap_err().exit_code(), 2, "{line:?}");
        }
    }
}
