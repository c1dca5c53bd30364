use super::{CounterSpec, SourceArgs};
use clap::Args;
use std::path::PathBuf;
use terachat_client::api::Place;

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Profile folder; by default `terachat` in the system's folder for application data
    #[arg(long, global = true, env = "TERACHAT_HOME", value_name = "DIR", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sources: SourceArgs,
    /// What tells when the folder is an older copy: file[:FOLDER], tpm[:TCTI], or none when it is made
    ///
    /// A profile is made with a file in the system's folder for application state, a vault with none.
    #[arg(long, global = true, env = "TERACHAT_COUNTER", value_name = "COUNTER", hide_env_values = true)]
    pub(crate) counter: Option<CounterSpec>,
    /// Go on where the system does not let keys be locked into memory; keep swap off or encrypted then
    #[arg(
        long,
        global = true,
        env = "TERACHAT_UNPINNED_KEYS",
        value_parser = clap::builder::FalseyValueParser::new(),
        hide_env_values = true
    )]
    pub(crate) allow_unpinned_keys: bool,
    /// Answer with JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Space, by name, id or the beginning of its id; needed only where there are several
    #[arg(long, global = true, value_name = "SPACE")]
    pub(crate) space: Option<String>,
    /// Channel, by name, id or the beginning of its id; needed only where there are several
    #[arg(long, global = true, value_name = "CHANNEL")]
    pub(crate) channel: Option<String>,
    /// Say nothing but what was asked for
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

impl Global {
    /// The channel that `--space` and `--channel` name.
    pub(crate) fn place(&self) -> Place {
        Place { space: self.space.clone(), channel: self.channel.clone() }
    }
}
