//! One node of the organisation's storage: made, run, and worked on while it runs.
mod clients;
mod export;
mod holds;
mod home;
mod serve;

use crate::args::{Global, LedgerArgs, NodeArgs, NodeCommand, ShardsArgs, node_id, settings};
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::render;
use serde_json::json;
use std::sync::Arc;
use terachat_cluster::TicketFor;
use terachat_node::{Ask, Bucket, Client, Contact, Driver, LedgerAt, NodeFolder, Ticket, Told};
use terachat_shard::NodeId;
use tokio::runtime::{Builder, Runtime};

/// A node's settings, in its folder.
const SETTINGS: &str = "node.toml";

pub(super) use home::Home;

/// Does what is asked of the node.
pub(super) fn run(args: NodeArgs, global: &Global, printer: &Printer) -> Result<()> {
    let NodeArgs { folder, command } = args;
    if matches!(command, NodeCommand::Settings) {
        return printer.data(&settings::template());
    }
    let folder = folder
        .ok_or_else(|| Failure::new("no folder is named for the node", "name one with --folder DIR"))?;
    let home = Home::new(folder, global)?;
    match command {
        NodeCommand::Init(args) => {
            let ledger = ledger(&args.ledger, None)?;
            runtime()?.block_on(tried(&ledger))?;
            let plan = args.plan(bucket(&args.shards)?, ledger);
            let made = home.make("node", |keys, path, entropy| {
                NodeFolder::found(path, keys, &plan, entropy).map_err(failed)
            })?;
            told(&made, printer, "Run it: terachat node run. It founds the cluster, and then can invite.")
        }
        NodeCommand::Join { ticket, plan: args } => {
            let ticket: Ticket = ticket.parse().map_err(Failure::from_text)?;
            // Before the ticket is used up.
            let plan = args.plan(bucket(&args.shards)?, ledger(&args.ledger, Some(&ticket.ledger))?);
            let runtime = runtime()?;
            let made = home.make("node", |keys, path, entropy| {
                runtime.block_on(NodeFolder::join(path, keys, &plan, &ticket, entropy)).map_err(failed)
            })?;
            told(&made, printer, "It is a member now. Run it: terachat node run")
        }
        NodeCommand::Run(args) => {
            let own = Some(home.folder().join(SETTINGS)).filter(|file| file.exists());
            match args.settings.clone().or(own) {
                Some(file) => serve::run(&home, &settings::run_args(&file, std::env::args_os())?, printer),
                None => serve::run(&home, &args, printer),
            }
        }
        NodeCommand::Settings => unreachable!("it needs no folder, and is done"),
        NodeCommand::Invite { client, lifetime } => {
            let role = if client { TicketFor::Client } else { TicketFor::Node };
            let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
            let at = Driver::of(home.folder()).map_err(failed)?.ledger();
            let ticket = asked(&home, async |operator, _| operator.invite(role, lifetime, at).await)?;
            printer.data(&match printer.is_json() {
                true => render::json_value(&json!({ "ticket": ticket.to_string() })),
                false => format!("{ticket}\n"),
            })?;
            printer.talk(match role {
                TicketFor::Node => "It lets one node in, once: terachat node join TICKET --folder DIR",
                TicketFor::Client => "It lets one client in, once: terachat cluster join TICKET",
            });
            Ok(())
        }
        NodeCommand::Drain { node } => {
            change(&home, printer, "is being emptied", |own| Ask::Drain(node_id(node, own)))
        }
        NodeCommand::Return { node } => {
            change(&home, printer, "takes shards again", |own| Ask::Return(node_id(node, own)))
        }
        NodeCommand::Leave { node, force } => {
            change(&home, printer, "is out", |own| Ask::Leave { node: node_id(node, own), force })
        }
        NodeCommand::Hold { case, items, names } => {
            holds::hold(&home, &case, items, names.as_deref(), printer)
        }
        NodeCommand::Release { case } => holds::release(&home, case, printer),
        NodeCommand::Holds => holds::list(&home, printer),
        NodeCommand::Export { case, to, out } => export::run(&home, &case, &to, &out, printer),
        NodeCommand::Clients => clients::list(&home, printer),
        NodeCommand::Dismiss { client } => clients::dismiss(&home, client, printer),
        NodeCommand::Status { watch } => super::cluster::node_status(&home, watch, printer),
    }
}

/// The bucket that new nodes are to use, if one is named; it has been tried out.
pub(super) fn bucket(args: &ShardsArgs) -> Result<Option<Bucket>> {
    let named = args.bucket();
    let bucket = named.map_err(|why| Failure::new(why, "name the file of credentials otherwise"))?;
    if let Some(bucket) = &bucket {
        bucket.try_out().map_err(failed)?;
    }
    Ok(bucket)
}

/// What keeps the ledger of a new node's cluster; of one that joins, of which the ticket says where it is.
pub(super) fn ledger(args: &LedgerArgs, of: Option<&LedgerAt>) -> Result<Driver> {
    args.driver(of).map_err(|why| Failure::new(why, "name the files for etcd otherwise"))
}

/// That an etcd for a new cluster can be used.
pub(super) async fn tried(ledger: &Driver) -> Result<()> {
    match ledger {
        Driver::Openraft => Ok(()),
        Driver::Etcd(etcd) => etcd.try_out().await.map_err(failed),
    }
}

fn told(made: &NodeFolder, printer: &Printer, next: &str) -> Result<()> {
    let (cluster, node) = made.names();
    printer.data(&match printer.is_json() {
        true => render::json_value(&json!({
            "cluster": cluster.to_string(), "node": node.0, "address": made.address(),
        })),
        false => format!("{node} of cluster {cluster}\n"),
    })?;
    printer.talk(next);
    Ok(())
}

fn change(home: &Home, printer: &Printer, done: &str, ask: impl FnOnce(NodeId) -> Ask) -> Result<()> {
    let mut about = String::new();
    asked(home, async |operator, own| {
        let ask = ask(own.node);
        about = match &ask {
            Ask::Drain(node) | Ask::Return(node) | Ask::Leave { node, .. } => node.to_string(),
            _ => own.node.to_string(),
        };
        match operator.ask(&ask).await? {
            Told::Done => Ok(()),
            _ => Err(terachat_node::Error::Answer),
        }
    })?;
    printer.data(&match printer.is_json() {
        true => render::json_value(&json!({ "done": true })),
        false => format!("{about} {done}\n"),
    })
}

/// Asks the node of this folder, which has to run, as whoever has its keys.
pub(super) fn asked<T>(
    home: &Home,
    work: impl AsyncFnOnce(&Arc<Client>, &Contact) -> std::result::Result<T, terachat_node::Error>,
) -> Result<T> {
    let keys = home.keys_of_running()?;
    let (cluster, own) = terachat_node::contact_of(home.folder(), &keys).map_err(failed)?;
    runtime()?.block_on(async {
        let operator = Arc::new(Client::operator(cluster, own.clone(), &keys).await.map_err(failed)?);
        let answer = work(&operator, &own).await;
        if let Ok(operator) = Arc::try_unwrap(operator) {
            operator.close().await;
        }
        answer.map_err(failed)
    })
}

/// Several threads: a node seals, cuts and hashes while others wait for its ledger.
pub(super) fn runtime() -> Result<Runtime> {
    let built = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    built.map_err(|error| Failure::new(format_args!("the system gives no event queue: {error}"), "try again"))
}

/// An error of the nodes', as its two lines.
pub(super) fn failed(error: terachat_node::Error) -> Failure {
    let text = error.to_string();
    match text.rsplit_once("; ") {
        Some((what, next)) => Failure::new(what, next),
        None => Failure::new(text, "terachat cluster status shows where things stand"),
    }
}
