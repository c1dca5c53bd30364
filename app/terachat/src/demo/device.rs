use super::child::{self, Ended};
use super::listener::Listener;
use crate::failure::{Failure, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use terachat_client::api::{Message, SpaceStatus, Status};

/// Messages in one page when a channel is read whole.
const PAGE: usize = 5000;

/// A person with one device: a folder, and perhaps a running `listen`.
pub(super) struct Device {
    pub(super) name: &'static str,
    pub(super) home: PathBuf,
    pub(super) listener: Option<Listener>,
    program: PathBuf,
    passphrase: PathBuf,
    patience: Duration,
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<Message>,
}

impl Device {
    pub(super) fn new(
        name: &'static str,
        folder: &Path,
        passphrase: &Path,
        patience: Duration,
    ) -> Result<Self> {
        let program = std::env::current_exe().map_err(|error| {
            Failure::new(format_args!("cannot find this program: {error}"), "start it by its full path")
        })?;
        let home = folder.join(name.to_lowercase());
        Ok(Self { name, home, listener: None, program, passphrase: passphrase.to_owned(), patience })
    }

    /// A command of this program on this device's folder.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TERACHAT_"))
        {
            command.env_remove(name);
        }
        // Its keys are made for the demo and thrown away: a small limit for locked memory is no reason not to show it.
        let counters = self.home.with_file_name("counters");
        command
            .env("TERACHAT_UNPINNED_KEYS", "1")
            .env("TERACHAT_COUNTER", format!("file:{}", counters.display()))
            .arg("--home")
            .arg(&self.home)
            .arg("--passphrase-file")
            .arg(&self.passphrase)
            .arg("--json")
            .args(args);
        command
    }

    /// Runs a command to its end, however it ends.
    pub(super) fn attempt(&self, args: &[&str]) -> Result<Ended> {
        let line = format!("{}: terachat {}", self.name, args.join(" "));
        child::run(self.command(args), line, self.patience)
    }

    /// Runs a command that must succeed.
    pub(super) fn ask<T: serde::de::DeserializeOwned>(&self, args: &[&str]) -> Result<T> {
        self.attempt(args)?.json()
    }

    /// Runs a command that must succeed and gives one of the texts it answers.
    pub(super) fn text(&self, args: &[&str], field: &str) -> Result<String> {
        let value: serde_json::Value = self.ask(args)?;
        let text = value[field].as_str().map(str::to_owned);
        text.ok_or_else(|| {
            Failure::new(format_args!("{}: no {field} in {value}", args.join(" ")), "please report this")
        })
    }

    /// What it knows of the demo's space; `None` before it knows any.
    pub(super) fn space(&self) -> Result<Option<SpaceStatus>> {
        let status: Status = self.ask(&["status"])?;
        Ok(status.spaces.into_iter().next())
    }

    /// A channel's newest messages, oldest first.
    pub(super) fn read(&self, channel: &str, limit: usize) -> Result<Vec<Message>> {
        let page: Page = self.ask(&["read", "--channel", channel, "--limit", &limit.to_string()])?;
        Ok(page.messages)
    }

    /// Shows every message of a channel to `see`, newest page first.
    pub(super) fn read_all(&self, channel: &str, mut see: impl FnMut(&Message)) -> Result<()> {
        let mut before: Option<String> = None;
        loop {
            let limit = PAGE.to_string();
            let mut args = vec!["read", "--channel", channel, "--limit", &limit];
            args.extend(before.iter().flat_map(|id| ["--before", id.as_str()]));
            let page: Page = self.ask(&args)?;
            page.messages.iter().for_each(&mut see);
            if page.messages.len() < PAGE {
                return Ok(());
            }
            before = page.messages.first().map(|message| message.id.clone());
        }
    }

    /// Starts `listen`, connected to `peers`.
    pub(super) fn listen(&mut self, peers: &[String]) -> Result<()> {
        let mut args = vec!["listen", "--quiet"];
        args.extend(peers.iter().flat_map(|addr| ["--peer", addr.as_str()]));
        let talk = self.home.with_extension("log");
        self.listener = Some(Listener::start(self.command(&args), &talk, self.patience)?);
        Ok(())
    }

    /// Ends `listen` in order, if it runs.
    pub(super) fn hush(&mut self) -> Result<()> {
        self.listener.take().map_or(Ok(()), |listener| listener.stop(self.patience))
    }

    pub(super) fn addr(&self) -> Option<String> {
        self.listener.as_ref().map(|listener| listener.addr.clone())
    }
}
