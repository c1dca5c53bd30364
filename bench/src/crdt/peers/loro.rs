use crate::crdt::peer::Peer;
use crate::talk::{Act, Shown, Talk, name, reaction};
use anyhow::{Context, Result};
use loro::{ExportMode, LoroDoc, LoroMap, LoroValue};

pub(crate) struct Loro;

impl Peer for Loro {
    const NAME: &'static str = "loro 1.17";
    type Document = LoroDoc;

    fn send(talk: &Talk, is_whole: bool) -> Result<Vec<Vec<u8>>> {
        let sender = LoroDoc::new();
        let list = sender.get_list("messages");
        let mut messages: Vec<LoroMap> = Vec::with_capacity(talk.posts);
        let mut updates = Vec::new();
        let mut sent = sender.oplog_vv();
        for flush in &talk.flushes {
            for act in &flush.acts {
                match act {
                    Act::Post { body, reply_to } => {
                        let message = list.push_container(LoroMap::new())?;
                        message.insert("author", name(flush.author))?;
                        message.insert("ts", i64::try_from(flush.wall_ms)?)?;
                        message.insert("body", body.as_str())?;
                        if let Some(to) = reply_to {
                            message.insert("reply_to", i64::try_from(*to)?)?;
                        }
                        messages.push(message);
                    }
                    Act::Edit { target, body } => messages[*target].insert("body", body.as_str())?,
                    Act::React { target, emoji } => {
                        let map = messages[*target].ensure_mergeable_map("reactions")?;
                        map.insert(&reaction(emoji, flush.author), true)?;
                    }
                    Act::Pin { target } => messages[*target].insert("pinned", true)?,
                }
            }
            if !is_whole {
                sender.commit();
                updates.push(sender.export(ExportMode::updates(&sent))?);
                sent = sender.oplog_vv();
            }
        }
        if is_whole {
            sender.commit();
            updates.push(sender.export(ExportMode::all_updates())?);
        }
        Ok(updates)
    }

    fn empty() -> LoroDoc {
        LoroDoc::new()
    }

    fn apply(document: &mut LoroDoc, update: &[u8]) -> Result<()> {
        document.import(update)?;
        Ok(())
    }

    fn save(document: &mut LoroDoc) -> Result<Vec<u8>> {
        Ok(document.export(ExportMode::Snapshot)?)
    }

    fn load(bytes: &[u8]) -> Result<LoroDoc> {
        let document = LoroDoc::new();
        document.import(bytes)?;
        Ok(document)
    }

    fn last(document: &LoroDoc, count: usize) -> Result<Vec<Shown>> {
        let list = document.get_list("messages");
        let len = list.len();
        (len.saturating_sub(count)..len)
            .map(|at| {
                let message = list.get(at).context("a message is missing")?;
                let message = message.get_deep_value();
                shown(message.as_map().context("a message is no map")?)
            })
            .collect()
    }

    fn count(document: &LoroDoc) -> Result<usize> {
        Ok(document.get_list("messages").len())
    }
}

fn shown(message: &loro::LoroMapValue) -> Result<Shown> {
    let text = |key: &str| -> Result<String> {
        let text = message.get(key).and_then(LoroValue::as_string).context("a field is missing")?;
        Ok(text.as_str().to_owned())
    };
    let reactions = message.get("reactions").and_then(LoroValue::as_map);
    let mut reactions: Vec<String> = reactions.into_iter().flat_map(|map| map.keys().cloned()).collect();
    reactions.sort();
    Ok(Shown {
        author: text("author")?,
        body: text("body")?,
        reactions,
        pinned: message.contains_key("pinned"),
    })
}
