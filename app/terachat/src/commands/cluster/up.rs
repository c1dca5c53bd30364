//! A whole cluster on this machine: each node a process of its own.
mod nodes;

use super::{Home, bucket, failed, ledger, runtime, tried};
use crate::args::{CounterSpec, Global, LedgerArgs, UpArgs};
use crate::commands::listen::End;
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use nodes::{Nodes, Started};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use terachat_cluster::TicketFor;
use terachat_node::{Bucket, Client, ClientFolder, Driver, NodeFolder, Plan};
use terachat_shard::{Domain, Profile};

/// Between two looks at whether all are there.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a ticket is good that is used at once.
const TICKET_MS: u64 = 60_000;
const NODES: u8 = 7;

/// Where things are in the cluster's folder.
pub(super) struct Layout<'a> {
    folder: &'a Path,
    global: &'a Global,
}

impl Layout<'_> {
    pub(super) fn node(&self, number: u8) -> PathBuf {
        self.folder.join(format!("node-{number}"))
    }

    pub(super) fn key(&self, name: &str) -> PathBuf {
        self.folder.join("keys").join(format!("{name}.key"))
    }

    pub(super) fn counters(&self) -> PathBuf {
        self.folder.join("counters")
    }

    /// A node's keys, guarded by a file beside it and counted by one.
    fn home(&self, number: u8) -> Result<Home> {
        let key = self.key(&format!("node-{number}"));
        let home = Home::new(self.node(number), &self.bare())?.or_key_file(key);
        Ok(home.with_counter(CounterSpec::File(Some(self.counters()))))
    }

    /// What the flags say, without what they name for keys: these are many.
    fn bare(&self) -> Global {
        Global { sources: crate::args::SourceArgs::default(), ..self.global.clone() }
    }

    /// Nodes that were made before.
    fn made(&self) -> u8 {
        (1..=u8::MAX).take_while(|number| self.node(*number).join("node").exists()).last().unwrap_or(0)
    }
}

/// Brings all nodes up, waits until they are one cluster, and ends them when it is told to end.
pub(super) fn run(folder: &Path, args: &UpArgs, global: &Global, printer: &Printer) -> Result<()> {
    let layout = Layout { folder, global };
    let made = layout.made();
    let count = args.nodes.unwrap_or(if made == 0 { NODES } else { made }).max(made);
    // Before anything is made.
    let bucket = if count > made { bucket(&args.shards)? } else { None };
    let runtime = runtime()?;
    let ledger = runtime.block_on(kept(&layout, made, &args.ledger))?;
    make_folder(&folder.join("keys"))?;
    runtime.block_on(async {
        let mut end = End::new()?;
        let mut nodes = Nodes::new(&layout)?;
        let outcome = tokio::select! {
            () = end.wait() => Ok(()),
            outcome = bring_up(&layout, &mut nodes, (made, count), (args, bucket, ledger), printer) => match outcome {
                Ok(()) => tokio::select! {
                    () = end.wait() => Ok(()),
                    () = watch_over(&mut nodes, printer) => Ok(()),
                },
                Err(failure) => Err(failure),
            },
        };
        printer.talk("Ending the nodes.");
        nodes.end().await;
        outcome
    })
}

/// What keeps the ledger: of a cluster that is there what its first node says, which may be said again.
async fn kept(layout: &Layout<'_>, made: u8, args: &LedgerArgs) -> Result<Driver> {
    if made == 0 {
        let named = ledger(args, None)?;
        tried(&named).await?;
        return Ok(named);
    }
    let own = Driver::of(&layout.node(1)).map_err(failed)?;
    match ledger(args, Some(&own.ledger()))? {
        Driver::Openraft => Ok(own),
        named => named.require(&own.ledger()).map_err(failed).map(|()| named),
    }
}

async fn bring_up(
    layout: &Layout<'_>,
    nodes: &mut Nodes,
    (made, count): (u8, u8),
    (args, bucket, ledger): (&UpArgs, Option<Bucket>, Driver),
    printer: &Printer,
) -> Result<()> {
    let until = Instant::now() + args.patience;
    if made == 0 {
        let home = layout.home(1)?;
        home.make("node", |keys, path, entropy| {
            NodeFolder::found(path, keys, &plan(1, bucket.clone(), &ledger), entropy).map_err(failed)
        })?;
    }
    for number in 1..=made.max(1) {
        nodes.start(layout, number, printer)?;
    }
    nodes.wait_ready(until).await?;
    for number in made.max(1) + 1..=count {
        add(layout, number, bucket.clone(), &ledger).await?;
        nodes.start(layout, number, printer)?;
    }
    nodes.wait_ready(until).await?;
    admit_client(layout, &ledger).await?;
    wait_for_all(layout, count, until).await?;
    tell(layout, nodes.started(), count, printer)
}

/// All on loopback, each on a host of its own as far as placement is concerned.
fn plan(number: u8, bucket: Option<Bucket>, ledger: &Driver) -> Plan {
    Plan {
        listen: "127.0.0.1:0".to_owned(),
        address: None,
        domain: Domain { site: 0, rack: 0, host: u32::from(number) },
        weight: std::num::NonZeroU32::MIN,
        bucket,
        ledger: ledger.clone(),
    }
}

async fn add(layout: &Layout<'_>, number: u8, bucket: Option<Bucket>, ledger: &Driver) -> Result<()> {
    let invite = async |operator: &Client| operator.invite(TicketFor::Node, TICKET_MS, ledger.ledger()).await;
    let ticket = operator(layout, invite).await?;
    let home = layout.home(number)?;
    let runtime = tokio::runtime::Handle::current();
    home.make("node", |keys, path, entropy| {
        let joined = tokio::task::block_in_place(|| {
            runtime.block_on(NodeFolder::join(path, keys, &plan(number, bucket, ledger), &ticket, entropy))
        });
        joined.map_err(failed)
    })?;
    Ok(())
}

/// The client of this machine, admitted once.
async fn admit_client(layout: &Layout<'_>, ledger: &Driver) -> Result<()> {
    let folder = layout.folder.join("client");
    if folder.join("access").exists() {
        return Ok(());
    }
    let invite =
        async |operator: &Client| operator.invite(TicketFor::Client, TICKET_MS, ledger.ledger()).await;
    let ticket = operator(layout, invite).await?;
    let home = Home::new(folder, &layout.bare())?.or_key_file(layout.key("client"));
    let runtime = tokio::runtime::Handle::current();
    home.make("client", |keys, path, entropy| {
        tokio::task::block_in_place(|| runtime.block_on(ClientFolder::join(path, keys, &ticket, entropy)))
            .map_err(failed)
    })?;
    Ok(())
}

/// Asks the first node as whoever has its keys.
async fn operator<T>(
    layout: &Layout<'_>,
    work: impl AsyncFnOnce(&Client) -> std::result::Result<T, terachat_node::Error>,
) -> Result<T> {
    let home = layout.home(1)?;
    let keys = home.keys_of_running()?;
    let (cluster, own) = terachat_node::contact_of(home.folder(), &keys).map_err(failed)?;
    let operator = Client::operator(cluster, own, &keys).await.map_err(failed)?;
    let answer = work(&operator).await;
    operator.close().await;
    answer.map_err(failed)
}

/// Waits until the ledger has all nodes as its members and each is heard.
async fn wait_for_all(layout: &Layout<'_>, count: u8, until: Instant) -> Result<()> {
    loop {
        let report = operator(layout, async |operator| operator.ask(&terachat_node::Ask::Status).await).await;
        if let Ok(terachat_node::Told::Status(report)) = &report {
            let heard = |silent: &Option<u64>| silent.is_some_and(|silent| silent < 2_000);
            let heard = report.members.iter().filter(|member| heard(&member.silent_ms)).count();
            let votes = report.members.iter().filter(|member| member.voter).count();
            let enough = Profile::new(usize::from(count)).map_or(1, Profile::voters);
            let decided = report.etcd || votes >= enough;
            if heard >= usize::from(count) && decided && report.leader.is_some() {
                return Ok(());
            }
        }
        if Instant::now() >= until {
            report?;
            return Err(Failure::new(
                "not all nodes came up in time",
                "look at their output with RUST_LOG=debug, or give them longer with --patience",
            ));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn tell(layout: &Layout<'_>, started: &[Started], count: u8, printer: &Printer) -> Result<()> {
    if printer.is_json() {
        let nodes: Vec<_> = started
            .iter()
            .map(|node| json!({ "node": node.number, "process": node.process(), "address": node.address }))
            .collect();
        let value = json!({ "up": count, "folder": layout.folder, "nodes": nodes });
        return printer.data(&(value.to_string() + "\n"));
    }
    let folder = layout.folder.display();
    let mut text = format!("{count} nodes are one cluster in {folder}\n");
    if let Ok(profile) = Profile::new(usize::from(count)) {
        for shortfall in profile.shortfalls() {
            text += &format!("  This many nodes cannot promise more: {shortfall}\n");
        }
    }
    printer.data(&text)?;
    printer.talk(&format!("Put a file:  terachat cluster --folder {folder} put FILE"));
    printer.talk(&format!("Look at it:  terachat cluster --folder {folder} status"));
    printer.talk("Ctrl-C ends the nodes; the same command brings them up again.");
    Ok(())
}

/// Says when a node ends by itself. The others go on, and so does this.
async fn watch_over(nodes: &mut Nodes, printer: &Printer) {
    loop {
        let (number, why) = nodes.next_end().await;
        printer.warn(&format!(
            "node {number} has ended ({why}); start it again: terachat node run --folder {}",
            nodes.folder(number).display()
        ));
    }
}

fn make_folder(path: &Path) -> Result<()> {
    #[allow(unused_mut, reason = "where there are no modes")]
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path).map_err(|error| Failure::file("make", path, &error))
}
