//! A node's settings in a file: the long options of `terachat node run`, as TOML.
use super::{Cli, RunArgs};
use crate::failure::{Failure, Result};
use clap::{Arg, Args, Command, CommandFactory, FromArgMatches};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

/// Width of the comments.
const WIDTH: usize = 100;

/// The options of `terachat node run` once more, with what the file says in the place of the defaults. The command line and the
/// environment go before the file.
///
/// # Errors
/// When the file cannot be read, is no TOML, names what is no setting, or gives one a value that it cannot have.
pub(crate) fn run_args(file: &Path, line: impl Iterator<Item = OsString>) -> Result<RunArgs> {
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::file("read the settings in", file, &error))?;
    let table = text.parse::<toml::Table>().map_err(|error| {
        let what = format!("{} is no TOML: {}", file.display(), error.to_string().trim_end());
        Failure::new(what, "terachat node settings prints a file that is")
    })?;
    let known: Vec<String> = settings().filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let wrong = |what: &str| {
            let what = format!("{}: `{key}` {what}", file.display());
            Failure::new(what, "terachat node settings prints all settings with their ranges")
        };
        if !known.contains(&key) {
            return Err(wrong("is no setting"));
        }
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            _ => return Err(wrong("has to be a text or a whole number")),
        };
        values.insert(key, value);
    }
    let instead = |arg: Arg| match arg.get_long().and_then(|long| values.get(long)) {
        Some(value) => {
            let value = value.clone();
            arg.default_value(value)
        }
        None => arg,
    };
    let run = |run: Command| run.mut_args(instead);
    let command = Cli::command().mut_subcommand("node", |node| node.mut_subcommand("run", run));
    let parsed = command.try_get_matches_from(line).and_then(|matches| {
        let run = matches.subcommand_matches("node").and_then(|node| node.subcommand_matches("run"));
        run.map(RunArgs::from_arg_matches).transpose()
    });
    // The line alone was good: what is wrong now comes from the file.
    let parsed = parsed.map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Failure::new(
            format!("{}: {first}", file.display()),
            "terachat node settings prints all settings with their ranges",
        )
    })?;
    parsed.ok_or_else(|| Failure::new("the settings of a node are for `terachat node run`", "run that"))
}

/// A file with every setting: what it is for, and its default, to be uncommented.
pub(crate) fn template() -> String {
    let mut out = String::from(
        "# Settings of a node of the organisation's storage: `terachat node run --settings FILE`, or DIR/node.toml.\n\
         # Options on the command line and TERACHAT_NODE_... in the environment go before what is here.\n",
    );
    for arg in settings() {
        let Some(name) = arg.get_long() else { continue };
        out.push('\n');
        let help =
            arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
        for line in help.lines().flat_map(wrapped) {
            let _ = writeln!(out, "{}", format!("# {line}").trim_end());
        }
        let default = arg.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
        let value = default.or_else(|| example(name).map(str::to_owned)).unwrap_or_default();
        let _ = writeln!(out, "#{name} = {}", toml::Value::String(value));
    }
    out
}

/// What a setting without a default may be.
fn example(name: &str) -> Option<&'static str> {
    match name {
        "monitor" => Some("127.0.0.1:9470"),
        "etcd" => Some("https://etcd-1.example.org:2379,https://etcd-2.example.org:2379"),
        "etcd-ca" => Some("/etc/terachat/etcd-ca.pem"),
        "etcd-cert" => Some("/etc/terachat/etcd-node.pem"),
        "etcd-key" => Some("/etc/terachat/etcd-node.key"),
        "etcd-credentials" => Some("/etc/terachat/etcd-user"),
        _ => None,
    }
}

/// The options that a file may set.
fn settings() -> impl Iterator<Item = Arg> {
    let run = RunArgs::augment_args(Command::new("run"));
    let args: Vec<Arg> = run.get_arguments().filter(|arg| !arg.is_hide_set()).cloned().collect();
    args.into_iter().filter(|arg| arg.get_long() != Some("settings"))
}

fn wrapped(line: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split_whitespace() {
        let last = lines.last_mut().expect("it begins with one");
        if !last.is_empty() && last.len() + 1 + word.len() > WIDTH {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    const LINE: [&str; 5] = ["terachat", "node", "--folder", "x", "run"];

    fn with(text: &str, more: &[&str]) -> Result<RunArgs> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("node.toml");
        std::fs::write(&file, text).unwrap();
        let line = LINE.iter().chain(more).map(OsString::from);
        run_args(&file, line)
    }

    fn says(text: &str, what: &str) {
        let Err(Failure::Told { what: told, .. }) = with(text, &[]) else { panic!("{text} is taken") };
        assert!(told.contains(what) && told.contains("node.toml"), "{told}");
    }

    #[test]
    fn a_line_goes_before_the_file_and_the_file_before_the_default() {
        let args =
            with("batch = \"128KiB\"\nbatches = 3\nmonitor = \"127.0.0.1:9\"", &["--batches", "2"]).unwrap();
        assert_eq!((args.batch, args.batches), (128 << 10, 2));
        assert_eq!(args.monitor.map(|address| address.port()), Some(9));
        assert_eq!(args.segment, 128 << 20);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told() {
        says("batch = ", "no TOML");
        says("bach = 1", "`bach` is no setting");
        says("settings = \"other\"", "`settings` is no setting");
        says("end-with-input = 1", "`end-with-input` is no setting");
        says("batch = [1]", "a text or a whole number");
        says("batch = \"1KiB\"", "--batch");
        says("monitor = \"nowhere\"", "--monitor");
    }

    /// Every setting is in the file, and the file as it is printed, or with all of it uncommented, changes nothing.
    #[test]
    fn the_file_that_is_printed_has_every_setting_with_its_default() {
        let template = template();
        let Some(plain) = Cli::try_parse_from(LINE).ok().and_then(|cli| match cli.command {
            super::super::Command::Node(args) => match args.command {
                super::super::NodeCommand::Run(run) => Some(format!("{run:?}")),
                _ => None,
            },
            _ => None,
        }) else {
            panic!("the line runs a node")
        };
        assert_eq!(format!("{:?}", with(&template, &[]).unwrap()), plain);
        let set: String = template
            .lines()
            .filter_map(|line| {
                line.strip_prefix('#').filter(|line| !line.starts_with([' ', '#']) && !line.is_empty())
            })
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(set.lines().count(), settings().count());
        let all = with(&set, &[]).unwrap();
        assert!(all.etcd.access().unwrap().is_some_and(|etcd| etcd.endpoints.len() == 2));
        let etcd = Cli::try_parse_from(LINE).map(|_| with("", &[]).unwrap().etcd).unwrap();
        let without = RunArgs { monitor: None, etcd, ..all };
        assert_eq!(format!("{without:?}"), plain);
    }
}
