use crate::crdt::peer::Peer;
use crate::talk::{Act, Shown, Talk, name, reaction};
use anyhow::{Context, Result};
use yrs::types::ToJson;
use yrs::updates::decoder::Decode;
use yrs::{Any, Array, Doc, Map, MapPrelim, MapRef, Out, ReadTxn, StateVector, Transact, Update};

pub(crate) struct Yrs;

/// The list begins with the newest message: yrs walks the whole list to find its end, and so takes a sender who appends a
/// quarter of an hour.
const LIST: &str = "messages";

impl Peer for Yrs {
    const NAME: &'static str = "yrs 0.28";
    type Document = Doc;

    fn send(talk: &Talk, is_whole: bool) -> Result<Vec<Vec<u8>>> {
        let sender = Doc::new();
        let list = sender.get_or_insert_array(LIST);
        let mut messages: Vec<MapRef> = Vec::with_capacity(talk.posts);
        let mut updates = Vec::new();
        let mut change = sender.transact_mut();
        for flush in &talk.flushes {
            for act in &flush.acts {
                match act {
                    Act::Post { body, reply_to } => {
                        let message = list.push_front(&mut change, MapPrelim::default());
                        message.insert(&mut change, "author", name(flush.author));
                        message.insert(&mut change, "ts", i64::try_from(flush.wall_ms)?);
                        message.insert(&mut change, "body", body.as_str());
                        if let Some(to) = reply_to {
                            message.insert(&mut change, "reply_to", i64::try_from(*to)?);
                        }
                        messages.push(message);
                    }
                    Act::Edit { target, body } => {
                        messages[*target].insert(&mut change, "body", body.as_str());
                    }
                    Act::React { target, emoji } => {
                        let map: MapRef = messages[*target].get_or_init(&mut change, "reactions");
                        map.insert(&mut change, reaction(emoji, flush.author), true);
                    }
                    Act::Pin { target } => {
                        messages[*target].insert(&mut change, "pinned", true);
                    }
                }
            }
            if !is_whole {
                updates.push(change.encode_update_v1());
                drop(change);
                change = sender.transact_mut();
            }
        }
        drop(change);
        if is_whole {
            updates.push(sender.transact().encode_state_as_update_v1(&StateVector::default()));
        }
        Ok(updates)
    }

    fn empty() -> Doc {
        let document = Doc::new();
        document.get_or_insert_array(LIST);
        document
    }

    fn apply(document: &mut Doc, update: &[u8]) -> Result<()> {
        document.transact_mut().apply_update(Update::decode_v1(update)?)?;
        Ok(())
    }

    fn save(document: &mut Doc) -> Result<Vec<u8>> {
        Ok(document.transact().encode_state_as_update_v1(&StateVector::default()))
    }

    fn load(bytes: &[u8]) -> Result<Doc> {
        let mut document = Self::empty();
        Self::apply(&mut document, bytes)?;
        Ok(document)
    }

    fn last(document: &Doc, count: usize) -> Result<Vec<Shown>> {
        let list = document.get_or_insert_array(LIST);
        let read = document.transact();
        let newest = list.iter(&read).take(count).map(|message| shown(&read, &message));
        let mut newest = newest.collect::<Result<Vec<_>>>()?;
        newest.reverse();
        Ok(newest)
    }

    fn count(document: &Doc) -> Result<usize> {
        Ok(document.get_or_insert_array(LIST).len(&document.transact()) as usize)
    }
}

fn shown(read: &impl ReadTxn, message: &Out) -> Result<Shown> {
    let Out::YMap(message) = message else { anyhow::bail!("a message is no map") };
    let Any::Map(fields) = message.to_json(read) else { anyhow::bail!("a message is no map") };
    let text = |key: &str| -> Result<String> {
        match fields.get(key).context("a field is missing")? {
            Any::String(text) => Ok(text.to_string()),
            _ => anyhow::bail!("a field is no text"),
        }
    };
    let mut reactions: Vec<String> = match fields.get("reactions") {
        Some(Any::Map(map)) => map.keys().cloned().collect(),
        _ => Vec::new(),
    };
    reactions.sort();
    Ok(Shown {
        author: text("author")?,
        body: text("body")?,
        reactions,
        pinned: fields.contains_key("pinned"),
    })
}
