//! Having all nodes read their shards again.
use super::file::shown;
use super::{as_client, failed};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::render;
use indicatif::ProgressBar;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use terachat_node::{Ask, Client, Contact, Error, ScrubReport, Told};
use terachat_shard::NodeId;

/// How long to look for a node that answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one node came to.
struct Scrubbed {
    node: NodeId,
    /// Bytes that were read.
    bytes: u64,
    /// Shards that it has, and those of them that are rotten; or why it is not known.
    shards: std::result::Result<(u64, u64), String>,
}

/// Has all nodes read everything, side by side.
pub(super) fn run(folder: &Path, global: &Global, printer: &Printer) -> Result<()> {
    let scrubbed = as_client(folder, global, PATIENCE, async |client, _| {
        // One that answers says who the members are.
        client.ask(&Ask::Status).await.map_err(failed)?;
        let progress = shown(printer, 0);
        let mut nodes = tokio::task::JoinSet::new();
        for contact in client.members() {
            let (client, progress) = (Arc::clone(client), progress.clone());
            nodes.spawn(async move { one(&client, &contact, &progress).await });
        }
        let mut scrubbed = nodes.join_all().await;
        progress.finish_and_clear();
        scrubbed.sort_by_key(|one| one.node);
        Ok::<Vec<Scrubbed>, Failure>(scrubbed)
    })?;
    let sound = scrubbed.iter().all(|one| matches!(one.shards, Ok((_, 0))));
    printer.data(&match printer.is_json() {
        true => json_of(&scrubbed, sound),
        false => text_of(&scrubbed, sound),
    })?;
    if sound { Ok(()) } else { Err(Failure::Shown) }
}

/// All of one node, a step after the other.
async fn one(client: &Client, contact: &Contact, progress: &ProgressBar) -> Scrubbed {
    let mut scrubbed = Scrubbed { node: contact.node, bytes: 0, shards: Ok((0, 0)) };
    match client.ask_node(contact, &Ask::Status).await {
        Ok(Told::Status(report)) => progress.inc_length(report.disk.live_bytes),
        Ok(_) => {}
        Err(error) => {
            scrubbed.shards = Err(error.to_string());
            return scrubbed;
        }
    }
    let mut anew = true;
    loop {
        match client.ask_node(contact, &Ask::Scrub { anew }).await {
            Ok(Told::Scrub(ScrubReport { bytes, through, disk, .. })) => {
                scrubbed.bytes += bytes;
                scrubbed.shards = Ok((disk.shards, disk.rotten));
                progress.inc(bytes);
                if through {
                    return scrubbed;
                }
            }
            Ok(_) => scrubbed.shards = Err(Error::Answer.to_string()),
            Err(error) => scrubbed.shards = Err(error.to_string()),
        }
        if scrubbed.shards.is_err() {
            return scrubbed;
        }
        anew = false;
    }
}

fn json_of(scrubbed: &[Scrubbed], sound: bool) -> String {
    let node = |one: &Scrubbed| match &one.shards {
        Ok((shards, rotten)) => {
            json!({ "node": one.node.0, "bytes": one.bytes, "shards": shards, "rotten": rotten })
        }
        Err(why) => json!({ "node": one.node.0, "bytes": one.bytes, "failed": why }),
    };
    let nodes: Vec<_> = scrubbed.iter().map(node).collect();
    render::json_value(&json!({ "sound": sound, "nodes": nodes }))
}

fn text_of(scrubbed: &[Scrubbed], sound: bool) -> String {
    let mut text = String::new();
    for one in scrubbed {
        let read = render::size(one.bytes);
        text += &match &one.shards {
            Ok((shards, 0)) => format!("{}: {read} read, all {shards} shards are sound\n", one.node),
            Ok((shards, rotten)) => {
                format!("{}: {read} read, {rotten} of {shards} shards are rotten\n", one.node)
            }
            Err(why) => render::one_line(&format!("{}: {read} read, then it failed: {why}", one.node)) + "\n",
        };
    }
    text + if sound {
        "Everything is sound.\n"
    } else {
        "Not everything is sound. What has rotted is made anew where others have enough; terachat cluster status shows how far that is.\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn each_node_has_a_line_and_all_have_a_verdict() {
        let node =
            |node, shards| Scrubbed { node: NodeId(NonZeroU32::new(node).unwrap()), bytes: 2 << 20, shards };
        let sound = [node(1, Ok((7, 0)))];
        assert_eq!(
            text_of(&sound, true),
            "node 1: 2.0 MiB read, all 7 shards are sound\nEverything is sound.\n"
        );
        let bad = [node(1, Ok((7, 2))), node(2, Err("it is away".to_owned()))];
        let text = text_of(&bad, false);
        assert!(text.contains("node 1: 2.0 MiB read, 2 of 7 shards are rotten\n"), "{text}");
        assert!(text.contains("node 2: 2.0 MiB read, then it failed: it is away\nNot everything"), "{text}");
    }
}
