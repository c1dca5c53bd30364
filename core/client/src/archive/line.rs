//! The lines of an export: `docs/format/archive-export.md`. What a line says in words follows from its bytes, so a reader makes
//! every line anew and compares.
use super::ArchiveError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use terachat_core_store::model::{ChannelOp, ControlOp, Extras, Heading, Held, Imported, Kept, Mention};

/// The version of the format.
pub(crate) const VERSION: u32 = 1;
/// What the exporting device signs.
pub(crate) const CONTEXT: &str = "terachat 2026-11 archive export";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Line {
    /// The first: whose archive this is of what.
    Archive(Opening),
    /// From here on events are this log's.
    Log(LogLine),
    /// A key by which events are checked.
    Key(KeyLine),
    /// An event.
    Event(Box<EventLine>),
    /// An event that was not asked for, on the way from one that was to the signature.
    Link(LinkLine),
    /// A signature on the newest event of a chain.
    Head(HeadLine),
    /// Two events that a device signed with one number, base64 of `docs/format/event.md`, "Proof of equivocation".
    Fork(String),
    /// The last: what was before it, signed.
    Manifest(Manifest),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Opening {
    pub(crate) version: u32,
    pub(crate) space: String,
    pub(crate) name: String,
    pub(crate) device: String,
    pub(crate) channel: Option<String>,
    pub(crate) from_ms: Option<u64>,
    pub(crate) to_ms: Option<u64>,
    pub(crate) exported_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogLine {
    /// The channel; none for the control log.
    pub(crate) channel: Option<String>,
    pub(crate) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyLine {
    /// Counted from 0 in each log.
    pub(crate) number: u32,
    /// The control event that made the epoch.
    pub(crate) commit: String,
    pub(crate) epoch: u64,
    pub(crate) body: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventLine {
    pub(crate) device: String,
    pub(crate) seq: u64,
    pub(crate) lamport: u64,
    pub(crate) wall_ms: u64,
    /// By the first card for the device.
    pub(crate) user: Option<String>,
    pub(crate) author: Option<String>,
    pub(crate) said: Said,
    /// The exporting device's word, as `deleted` is.
    pub(crate) void: Option<String>,
    pub(crate) deleted: bool,
    /// The key's number.
    pub(crate) key: Option<u32>,
    /// The hash before it; only with the first event of a chain in this log.
    pub(crate) before: Option<String>,
    pub(crate) hash: String,
    pub(crate) header: String,
    pub(crate) payload: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkLine {
    pub(crate) device: String,
    pub(crate) seq: u64,
    pub(crate) header: String,
    pub(crate) payload_hash: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeadLine {
    pub(crate) device: String,
    pub(crate) seq: u64,
    pub(crate) hash: String,
    pub(crate) signature: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) lines: u64,
    pub(crate) events: u64,
    pub(crate) hash: String,
    pub(crate) signature: String,
}

/// What an event says, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    pub(crate) what: String,
    /// The message that it is about or answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mentions: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) attachments: Vec<Attached>,
    /// Of a record of a foreign log: who wrote it there, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) imported: Option<(String, i64)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attached {
    pub(crate) name: String,
    pub(crate) media_type: String,
    pub(crate) len: u64,
    pub(crate) hash: String,
    /// In the organisation's cluster; its key is in the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
}

impl Line {
    /// The line as it stands in the file, with its line feed.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("plain values encode into a growing buffer");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a line without its line feed; one that is written in another way than [`Line::encode`] writes it is refused.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ArchiveError> {
        let line: Self =
            serde_json::from_slice(bytes).map_err(|_| ArchiveError::Line("it is none of an export's"))?;
        let canonical = line.encode();
        match canonical.strip_suffix(b"\n") == Some(bytes) {
            true => Ok(line),
            false => Err(ArchiveError::Line("it is not written as an export writes it")),
        }
    }
}

impl Said {
    /// What a payload of a channel says.
    pub(crate) fn in_channel(payload: &[u8]) -> Self {
        let Ok(op) = ChannelOp::decode(payload) else { return Self::what("unknown") };
        let about = |what: &str, target: &dyn ToString| Self {
            message: Some(target.to_string()),
            ..Self::what(what)
        };
        match &op {
            ChannelOp::Post(post) | ChannelOp::PostWith(post, _) | ChannelOp::PostStored(post, ..) => {
                let (extras, stored) = match &op {
                    ChannelOp::PostWith(_, extras) => (Some(extras), &[][..]),
                    ChannelOp::PostStored(_, extras, stored) => (Some(extras), &stored[..]),
                    _ => (None, &[][..]),
                };
                let mut said = Self::what(match post.reply_to {
                    Some(_) => "answer",
                    None => "message",
                });
                said.message = post.reply_to.as_ref().map(ToString::to_string);
                said.text = Some(post.body.to_owned());
                let imported = |imported: &Imported<'_>| (imported.author.to_owned(), imported.ts_ms);
                said.imported = post.imported.as_ref().map(imported);
                extras.into_iter().for_each(|extras| said.carries(extras));
                for (attached, stored) in said.attachments.iter_mut().zip(stored) {
                    attached.address = Some(hex(&stored.address));
                }
                said
            }
            ChannelOp::Edit { target, body } => {
                Self { text: Some((*body).to_owned()), ..about("edit", target) }
            }
            ChannelOp::SetHeading { target, heading, .. } => {
                let mut said = about("heading", target);
                said.headed(heading);
                said
            }
            ChannelOp::React { target, emoji } => {
                Self { text: Some((*emoji).to_owned()), ..about("reaction", target) }
            }
            ChannelOp::Unreact { target, emoji, .. } => {
                Self { text: Some((*emoji).to_owned()), ..about("reaction taken back", target) }
            }
            ChannelOp::Pin { target } => about("pin", target),
            ChannelOp::Unpin { target, .. } => about("unpin", target),
            ChannelOp::Delete { target, .. } => about("deletion", target),
            ChannelOp::Read { target } => about("read mark", target),
            ChannelOp::Erased { kept, .. } => Self::kept(kept, "erased"),
            ChannelOp::Sealed(sealed) => Self::kept(&sealed.kept, "sealed for others"),
        }
    }

    /// What operations of a control log do.
    pub(crate) fn in_control(ops: &[ControlOp]) -> Self {
        if ops.is_empty() {
            return Self::what("unknown");
        }
        Self::what(&ops.iter().map(decided).collect::<Vec<_>>().join("; "))
    }

    fn what(what: &str) -> Self {
        Self { what: what.to_owned(), ..Self::default() }
    }

    fn kept(kept: &Kept, why: &str) -> Self {
        let (what, message) = match kept {
            Kept::Message { reply_to: Some(message), .. } => ("answer", Some(message)),
            Kept::Message { .. } => ("message", None),
            Kept::Edit { target } => ("edit", Some(target)),
            Kept::Heading { target, .. } => ("heading", Some(target)),
        };
        Self { message: message.map(ToString::to_string), ..Self::what(&format!("{what}, {why}")) }
    }

    fn carries(&mut self, extras: &Extras<'_>) {
        extras.heading.iter().for_each(|heading| self.headed(heading));
        self.mentions = extras
            .mentions
            .iter()
            .map(|mention| match mention {
                Mention::Everyone => "everyone".to_owned(),
                Mention::User(user) => user.to_string(),
            })
            .collect();
        let attached = extras.attachments.iter().map(|file| Attached {
            name: file.name.to_owned(),
            media_type: file.media_type.to_owned(),
            len: file.len,
            hash: hex(&file.hash),
            address: None,
        });
        self.attachments = attached.collect();
    }

    fn headed(&mut self, heading: &Heading<'_>) {
        self.title = Some(heading.title.to_owned());
        self.tags = heading.tags.iter().map(|tag| (*tag).to_owned()).collect();
    }
}

/// A control operation in words that follow from it alone.
fn decided(op: &ControlOp) -> String {
    match op {
        ControlOp::Genesis { name, owner, .. } => {
            format!("founds {name:?}, owner {:?} {}", owner.name, owner.user)
        }
        ControlOp::Admit { card, rank, .. } => {
            format!("admits {:?} {} with device {}, rank {rank}", card.name, card.user, card.device)
        }
        ControlOp::Remove { user, .. } => format!("removes {user}"),
        ControlOp::RevokeDevice { revocation, .. } => {
            format!("revokes device {} of {}", revocation.device, revocation.user)
        }
        ControlOp::SetRank { user, rank, .. } => format!("gives {user} rank {rank}"),
        ControlOp::ChangeRole { rank, give, take, .. } => {
            format!("changes role {rank}: gives {:#x}, takes {:#x}", give.bits(), take.bits())
        }
        ControlOp::CreateChannel { name } => format!("creates channel {name:?}"),
        ControlOp::CreateForum { name } => format!("creates forum {name:?}"),
        ControlOp::CreateSinceJoin { name, forum } => {
            let kind = if *forum { "forum" } else { "channel" };
            format!("creates {kind} {name:?}, read since joining")
        }
        ControlOp::CreateCategory { name } => format!("creates category {name:?}"),
        ControlOp::SetName { name, .. } => format!("renames something to {name:?}"),
        ControlOp::SetTopic { channel, topic } => format!("describes channel {channel}: {topic:?}"),
        ControlOp::Place { channel, .. } => format!("places channel {channel}"),
        ControlOp::Commit(commit) => format!("opens epoch {}", commit.epoch),
        ControlOp::WantSuite { suite } => format!("asks to move to suite {suite:#06x}"),
        ControlOp::SetRenewal(renewal) => {
            format!("has keys renewed after {} days or {} messages", renewal.days, renewal.messages)
        }
        ControlOp::OfferKeyPackage { .. } => "offers keys for the suite that was asked for".to_owned(),
        ControlOp::ReInit(reinit) => {
            format!("moves to suite {:#06x}, opens its epoch {}", reinit.suite, reinit.commit.epoch)
        }
        ControlOp::RequireArchive { device, required: true } => format!("requires archive {device}"),
        ControlOp::RequireArchive { device, .. } => format!("requires archive {device} no longer"),
        ControlOp::Hold { on, stands } => {
            let verb = if *stands { "puts a legal hold on" } else { "ends the legal hold on" };
            match on {
                Held::Channel(channel) => format!("{verb} channel {channel}"),
                Held::Member(user) => format!("{verb} what {user} writes"),
            }
        }
    }
}

pub(crate) use crate::status::hex;

/// Bytes as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of a text.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, ArchiveError> {
    STANDARD.decode(text).map_err(|_| ArchiveError::Line("it has bytes that are not base64"))
}

/// An id, hash or key of 32 bytes.
pub(crate) fn id(text: &str) -> Result<[u8; 32], ArchiveError> {
    // Every id reads the same digits.
    let id: Result<terachat_event::EventHash, _> = text.parse();
    id.map(|id| id.0).map_err(|_| ArchiveError::Line("it has an id that is not 64 hexadecimal digits"))
}
