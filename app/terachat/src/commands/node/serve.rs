use super::{Home, failed, runtime};
use crate::args::RunArgs;
use crate::commands::listen::End;
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::render;
use serde_json::json;
use std::time::Duration;
use terachat_cluster::Program;
use terachat_node::{NodeFolder, RunOptions, Running};
use terachat_node_monitor::Monitor;

/// Between two words that the node waits for its ledger.
const WAITS_AFTER: Duration = Duration::from_secs(10);

/// Runs the node until it is told to end.
pub(super) fn run(home: &Home, args: &RunArgs, printer: &Printer) -> Result<()> {
    let keys = home.keys()?;
    let folder = NodeFolder::open(home.folder(), keys).map_err(failed)?;
    let runtime = runtime()?;
    let ended = runtime.block_on(serve(folder, args, printer));
    // Nothing that still waits for a peer holds up the end.
    runtime.shutdown_timeout(Duration::from_millis(500));
    ended
}

async fn serve(folder: NodeFolder, args: &RunArgs, printer: &Printer) -> Result<()> {
    let mut end = End::new()?;
    let monitor = match args.monitor {
        Some(address) => Some(Monitor::bind(address).await.map_err(Failure::from_text)?),
        None => None,
    };
    let options = args
        .options()
        .map_err(|why| Failure::new(why, "see terachat node settings for what goes with --etcd"))?;
    let mut parent = std::pin::pin!(parent_ends(args.end_with_input));
    let started = started(folder, options, printer);
    let mut running = tokio::select! {
        started = started => started?,
        () = end.wait() => return Ok(()),
        () = &mut parent => return Ok(()),
    };
    let url = monitor.as_ref().map(Monitor::url);
    let line = |what| line(&running, what, url.as_deref(), printer);
    let (listening, ready) = (line("listening"), line("ready"));
    if let Some(monitor) = monitor {
        // It ends with the process: it only shows.
        tokio::spawn(monitor.serve(running.watch()));
    }
    tokio::spawn(running.deployed(own_program()));
    printer.data(&listening)?;
    let is_ready = running.ready();
    let says_ready = async {
        is_ready.await;
        match printer.data(&ready) {
            Ok(()) => std::future::pending().await,
            failure => failure,
        }
    };
    let outcome = tokio::select! {
        () = end.wait() => Ok(()),
        () = &mut parent => Ok(()),
        ended = running.ended() => return ended.map_err(failed),
        outcome = says_ready => outcome,
    };
    let stopped = running.stop().await.map_err(failed);
    outcome.and(stopped)
}

/// Starts the node. Where etcd has the ledger it may have to be waited for, which is said.
async fn started(folder: NodeFolder, options: RunOptions, printer: &Printer) -> Result<Running> {
    let waits = format!("{} waits for the etcd that has its cluster's ledger", folder.names().1);
    let mut started = std::pin::pin!(folder.run(options));
    loop {
        tokio::select! {
            started = &mut started => return started.map_err(failed),
            () = tokio::time::sleep(WAITS_AFTER) => printer.warn(&waits),
        }
    }
}

/// This program: its version, and the hash of its file. `None` if the file cannot be read, which the log says.
async fn own_program() -> Option<Program> {
    let read = tokio::task::spawn_blocking(|| {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(std::fs::File::open(std::env::current_exe()?)?)?;
        Ok::<_, std::io::Error>(*hasher.finalize().as_bytes())
    });
    match read.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(hash) => Some(Program { version: env!("CARGO_PKG_VERSION").to_owned(), hash }),
        Err(error) => {
            tracing::warn!(%error, "the node does not say what it runs: its own program cannot be read");
            None
        }
    }
}

/// What is told of a step; for people nothing where they want quiet.
fn line(running: &Running, what: &str, monitor: Option<&str>, printer: &Printer) -> String {
    let (cluster, node, address) = running.names();
    if printer.is_json() {
        let mut value = json!({ what: address, "node": node.0, "cluster": cluster.to_string(), "process": std::process::id() });
        if let Some(url) = monitor {
            value["monitor"] = json!(url);
        }
        return value.to_string() + "\n";
    }
    if printer.is_quiet() {
        return String::new();
    }
    let text = match (what, monitor) {
        ("ready", _) => format!("{node} is ready"),
        (_, None) => format!("{node} listens on {address}"),
        (_, Some(url)) => format!("{node} listens on {address}; {url} shows how it does"),
    };
    render::one_line(&text) + "\n"
}

/// Waits for the end of standard input on a thread that nobody waits for.
async fn parent_ends(asked: bool) {
    if !asked {
        return std::future::pending().await;
    }
    let (over, is_over) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = over.send(());
    });
    match thread {
        Ok(_) => drop(is_over.await),
        Err(error) => {
            let Failure::Told { what, .. } = Failure::from_text(error) else { return };
            tracing::warn!(what, "the end of standard input is not noticed");
            std::future::pending().await
        }
    }
}
