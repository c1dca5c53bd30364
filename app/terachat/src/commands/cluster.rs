//! The cluster as a whole: run on this machine, looked at, and used by a client.
mod audit;
mod exported;
mod file;
mod history;
mod scrub;
mod status;
mod up;

use super::node::{Home, bucket, failed, ledger, runtime, tried};
use crate::args::{ClusterArgs, ClusterCommand, Global};
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::render;
use etcetera::BaseStrategy;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use terachat_node::{Client, ClientFolder};

pub(super) use exported::told as told_of_export;
pub(super) use file::{fetched_into, shown};
pub(super) use status::node_status;

/// Does what is asked of the cluster.
pub(super) fn run(args: ClusterArgs, global: &Global, printer: &Printer) -> Result<()> {
    let folder = match args.folder {
        Some(folder) => folder,
        None => default_folder()?,
    };
    match args.command {
        ClusterCommand::Up(args) => up::run(&folder, &args, global, printer),
        ClusterCommand::Join { ticket } => join(&folder, &ticket, global, printer),
        ClusterCommand::Status { watch } => status::run(&folder, watch, global, printer),
        ClusterCommand::Put { file } => file::put(&folder, &file, global, printer),
        ClusterCommand::Get { reference, out: Some(out), exported: Some(exported) } => {
            exported::open(&exported, &reference, &out, printer)
        }
        ClusterCommand::Get { reference, out, .. } => {
            file::get(&folder, &reference, out.as_deref(), global, printer)
        }
        ClusterCommand::Items { reference } => file::items(&folder, &reference, global, printer),
        ClusterCommand::Audit => audit::run(&folder, global, printer),
        ClusterCommand::History => history::run(&folder, global, printer),
        ClusterCommand::Verify { export } => exported::verify(&export, printer),
        ClusterCommand::Scrub => scrub::run(&folder, global, printer),
    }
}

fn default_folder() -> Result<PathBuf> {
    let none =
        |_| Failure::new("there is no home folder to keep the cluster in", "name one with --folder DIR");
    Ok(etcetera::base_strategy::choose_native_strategy().map_err(none)?.data_dir().join("terachat-cluster"))
}

/// The client of this folder, opened by a key beside it unless the flags name something else.
fn client_home(folder: &Path, global: &Global) -> Result<Home> {
    let key = folder.join("keys").join("client.key");
    let home = Home::new(folder.join("client"), global)?;
    Ok(if key.exists() { home.or_key_file(key) } else { home })
}

fn join(folder: &Path, ticket: &str, global: &Global, printer: &Printer) -> Result<()> {
    let ticket = ticket.parse().map_err(Failure::from_text)?;
    let home = Home::new(folder.join("client"), global)?;
    let runtime = runtime()?;
    home.make("client", |keys, path, entropy| {
        runtime.block_on(ClientFolder::join(path, keys, &ticket, entropy)).map_err(failed)
    })?;
    printer.data(&match printer.is_json() {
        true => render::json_value(&json!({ "cluster": ticket.cluster.to_string() })),
        false => format!("A client of cluster {}\n", ticket.cluster),
    })?;
    printer.talk("Put a file: terachat cluster put FILE");
    Ok(())
}

/// Does something as this folder's client, each step within so long, and remembers where the nodes are.
fn as_client<T>(
    folder: &Path,
    global: &Global,
    patience: Duration,
    work: impl AsyncFnOnce(&Arc<Client>, &ClientFolder) -> Result<T>,
) -> Result<T> {
    let home = client_home(folder, global)?;
    let mut client_folder = ClientFolder::open(home.folder(), home.keys_of_running()?).map_err(failed)?;
    with_client(&mut client_folder, patience, work)
}

/// The same with a folder that is open.
pub(super) fn with_client<T>(
    folder: &mut ClientFolder,
    patience: Duration,
    work: impl AsyncFnOnce(&Arc<Client>, &ClientFolder) -> Result<T>,
) -> Result<T> {
    let runtime = runtime()?;
    let (done, members) = runtime.block_on(async {
        let client = Arc::new(folder.connect().await.map_err(failed)?.patient(patience));
        let done = work(&client, folder).await;
        let members = client.members();
        if let Ok(client) = Arc::try_unwrap(client) {
            client.close().await;
        }
        Ok::<_, Failure>((done, members))
    })?;
    if done.is_ok() {
        folder.remember(members).map_err(failed)?;
    }
    done
}
