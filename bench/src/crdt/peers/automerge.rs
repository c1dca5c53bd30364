use crate::crdt::peer::Peer;
use crate::talk::{Act, Shown, Talk, name, reaction};
use anyhow::{Context, Result};
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjId, ObjType, ROOT, ReadDoc};

pub(crate) struct Automerge;

impl Peer for Automerge {
    const NAME: &'static str = "automerge 0.12";
    type Document = AutoCommit;

    fn send(talk: &Talk, is_whole: bool) -> Result<Vec<Vec<u8>>> {
        let mut sender = AutoCommit::new();
        let list = sender.put_object(ROOT, "messages", ObjType::List)?;
        let mut messages: Vec<ObjId> = Vec::with_capacity(talk.posts);
        let mut updates = Vec::new();
        for flush in &talk.flushes {
            for act in &flush.acts {
                match act {
                    Act::Post { body, reply_to } => {
                        let message = sender.insert_object(&list, messages.len(), ObjType::Map)?;
                        sender.put(&message, "author", name(flush.author))?;
                        sender.put(&message, "ts", flush.wall_ms)?;
                        sender.put(&message, "body", body.as_str())?;
                        if let Some(to) = reply_to {
                            sender.put(&message, "reply_to", *to as u64)?;
                        }
                        messages.push(message);
                    }
                    Act::Edit { target, body } => sender.put(&messages[*target], "body", body.as_str())?,
                    Act::React { target, emoji } => {
                        let known = sender.get(&messages[*target], "reactions")?;
                        let reactions = match known {
                            Some((_, id)) => id,
                            None => sender.put_object(&messages[*target], "reactions", ObjType::Map)?,
                        };
                        sender.put(&reactions, reaction(emoji, flush.author), true)?;
                    }
                    Act::Pin { target } => sender.put(&messages[*target], "pinned", true)?,
                }
            }
            if !is_whole {
                updates.push(sender.save_incremental());
            }
        }
        if is_whole {
            updates.push(sender.save());
        }
        Ok(updates)
    }

    fn empty() -> AutoCommit {
        AutoCommit::new()
    }

    fn apply(document: &mut AutoCommit, update: &[u8]) -> Result<()> {
        document.load_incremental(update)?;
        Ok(())
    }

    fn save(document: &mut AutoCommit) -> Result<Vec<u8>> {
        Ok(document.save())
    }

    fn load(bytes: &[u8]) -> Result<AutoCommit> {
        Ok(AutoCommit::load(bytes)?)
    }

    fn last(document: &AutoCommit, count: usize) -> Result<Vec<Shown>> {
        let list = messages(document)?;
        let len = document.length(&list);
        (len.saturating_sub(count)..len).map(|at| shown(document, &list, at)).collect()
    }

    fn count(document: &AutoCommit) -> Result<usize> {
        Ok(document.length(&messages(document)?))
    }
}

fn messages(document: &AutoCommit) -> Result<ObjId> {
    Ok(document.get(ROOT, "messages")?.context("no messages")?.1)
}

fn shown(document: &AutoCommit, list: &ObjId, at: usize) -> Result<Shown> {
    let message = document.get(list, at)?.context("a message is missing")?.1;
    let text = |key: &str| -> Result<String> {
        let value = document.get(&message, key)?.context("a field is missing")?.0;
        Ok(value.as_str().context("a field is no text")?.to_owned())
    };
    let reactions = document.get(&message, "reactions")?;
    Ok(Shown {
        author: text("author")?,
        body: text("body")?,
        reactions: reactions.map_or_else(Vec::new, |(_, id)| document.keys(&id).collect()),
        pinned: document.get(&message, "pinned")?.is_some(),
    })
}
