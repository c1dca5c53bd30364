//! PLACEHOLDER until the real `terachat_client::Client` is merged: the same verbs over a plain list of operations that
//! devices copy from each other. Nothing in it is sealed, signed or checked; it only lets the program be tried.
#![allow(clippy::map_entry)]
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use terachat_client::api::*;
use terachat_core_store::store::storage::Storage;
use terachat_vault::{Entropy, PassphraseCost, Secret};

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Error(String);

fn fail<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error(text.into()))
}

fn storage<T>(result: Result<T, terachat_core_store::store::StorageError>) -> Result<T, Error> {
    result.map_err(|error| Error(error.to_string()))
}

#[derive(Serialize, Deserialize)]
struct Profile {
    name: String,
    seed: [u8; 32],
    check: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Op {
    lamport: u64,
    id: String,
    device: String,
    name: String,
    space: String,
    wall_ms: u64,
    what: What,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum What {
    Space(String),
    Channel(String),
    Member { device: String, name: String, rank: u8 },
    Remove { device: String },
    Text { channel: String, body: String, reply_to: Option<String> },
    Edit { message: String, body: String },
    React { message: String, emoji: String, remove: bool },
    Pin { message: String, remove: bool },
    Record { channel: String, source: u64, record: ImportRecord },
}

#[derive(Serialize, Deserialize)]
enum Frame {
    Ops(Vec<Op>),
    Hash(String),
}

pub(crate) struct Client {
    storage: Box<dyn Storage>,
    profile: Profile,
    device: String,
    ops: BTreeMap<(u64, String), Op>,
    peers: BTreeSet<[u8; 32]>,
    joined: BTreeSet<String>,
    frames: VecDeque<([u8; 32], Vec<u8>)>,
    notices: VecDeque<Notice>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

impl Client {
    pub(crate) fn create(
        mut storage: Box<dyn Storage>,
        name: &str,
        passphrase: &[u8],
        _cost: PassphraseCost,
        mut entropy: Box<dyn Entropy + Send>,
        _now_ms: u64,
    ) -> Result<Self, Error> {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let profile = Profile { name: name.to_owned(), seed, check: hex(passphrase) };
        self::storage(storage.replace("profile", &serde_json::to_vec(&profile).unwrap_or_default()))?;
        Self::open(storage, passphrase, entropy)
    }

    pub(crate) fn open(
        mut storage: Box<dyn Storage>,
        passphrase: &[u8],
        _entropy: Box<dyn Entropy + Send>,
    ) -> Result<Self, Error> {
        let whole = |storage: &dyn Storage, file: &str| -> Result<Vec<u8>, Error> {
            let len = self::storage(storage.size(file))?.unwrap_or(0);
            if len == 0 {
                Ok(vec![])
            } else {
                self::storage(storage.read(file, 0, usize::try_from(len).unwrap_or(0)))
            }
        };
        let profile: Profile = serde_json::from_slice(&whole(&*storage, "profile")?).map_err(|_| {
            Error("this folder holds no profile; make one with `terachat init --name NAME`".into())
        })?;
        if profile.check != hex(passphrase) {
            return fail(
                "the passphrase does not open this profile; try again, or restore the folder from a backup",
            );
        }
        let text = whole(&*storage, "ops")?;
        let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        if end < text.len() {
            self::storage(storage.truncate("ops", end as u64))?;
        }
        let mut ops = BTreeMap::new();
        for line in text[..end].split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let damaged = || Error("the commit log is damaged; restore the folder from a backup".into());
            let text = std::str::from_utf8(line).map_err(|_| damaged())?;
            let (sum, json) = text.split_once(' ').ok_or_else(damaged)?;
            if sum != digest(json) {
                return Err(damaged());
            }
            let op: Op = serde_json::from_str(json).map_err(|_| damaged())?;
            ops.insert((op.lamport, op.id.clone()), op);
        }
        let device = {
            let mut seed = profile.seed;
            let pair = libp2p_identity_key(&mut seed);
            hex(&pair)
        };
        let (peers, frames, notices) = Default::default();
        let joined = BTreeSet::new();
        Ok(Self { storage, profile, device, ops, peers, joined, frames, notices })
    }

    pub(crate) fn network_seed(&self) -> Secret<32> {
        Secret::take(&mut self.profile.seed.clone())
    }

    fn state(&self, space: &str) -> String {
        let ids: String = self.ops.values().filter(|op| op.space == space).map(|op| op.id.as_str()).collect();
        digest(&ids)
    }

    fn members(&self, space: &str) -> BTreeMap<String, (String, u8)> {
        let mut members = BTreeMap::new();
        for op in self.ops.values().filter(|op| op.space == space) {
            match &op.what {
                What::Member { device, name, rank } => {
                    members.insert(device.clone(), (name.clone(), *rank));
                }
                What::Remove { device } => {
                    members.remove(device);
                }
                _ => {}
            }
        }
        members
    }

    fn spaces(&self) -> Vec<(String, String)> {
        let spaces = self.ops.values().filter_map(|op| match &op.what {
            What::Space(name) => Some((op.space.clone(), name.clone())),
            _ => None,
        });
        spaces.collect()
    }

    fn space(&self, wanted: &Option<String>) -> Result<String, Error> {
        let found: Vec<_> = self
            .spaces()
            .into_iter()
            .filter(|(id, name)| {
                wanted.as_ref().is_none_or(|wanted| name == wanted || id.starts_with(wanted))
            })
            .collect();
        match found.as_slice() {
            [(id, _)] => Ok(id.clone()),
            [] => fail("there is no such space here; `terachat status` lists those there are"),
            _ => fail("several spaces fit; name one with --space"),
        }
    }

    fn channel(&self, place: &Place) -> Result<(String, String), Error> {
        let space = self.space(&place.space)?;
        let names: Vec<String> = self.channels(&space);
        let found: Vec<_> = names
            .iter()
            .filter(|name| {
                place.channel.as_ref().is_none_or(|wanted| *name == wanted || digest(name) == *wanted)
            })
            .collect();
        match found.as_slice() {
            [name] => Ok((space, (*name).clone())),
            [] => fail("there is no such channel here; `terachat status` lists those there are"),
            _ => fail("several channels fit; name one with --channel"),
        }
    }

    fn channels(&self, space: &str) -> Vec<String> {
        let all = self.ops.values().filter(|op| op.space == space);
        all.filter_map(|op| if let What::Channel(name) = &op.what { Some(name.clone()) } else { None })
            .collect()
    }

    fn add(&mut self, space: &str, now_ms: u64, whats: Vec<What>) -> Result<String, Error> {
        let mut lamport = self.ops.last_key_value().map_or(0, |(key, _)| key.0);
        let mut new = Vec::new();
        for what in whats {
            lamport += 1;
            let id = digest(&format!("{} {lamport} {what:?}", self.device));
            new.push(Op {
                lamport,
                id,
                device: self.device.clone(),
                name: self.profile.name.clone(),
                space: if space.is_empty() {
                    digest(&format!("{}{lamport}", self.device))
                } else {
                    space.into()
                },
                wall_ms: now_ms,
                what,
            });
        }
        let last = new.last().map(|op| op.id.clone()).unwrap_or_default();
        self.apply(new)?;
        Ok(last)
    }

    fn apply(&mut self, new: Vec<Op>) -> Result<(), Error> {
        let mut text = String::new();
        let mut added = Vec::new();
        for op in new {
            let key = (op.lamport, op.id.clone());
            if !self.ops.contains_key(&key) {
                let json = serde_json::to_string(&op).unwrap_or_default();
                text.push_str(&format!("{} {json}\n", digest(&json)));
                self.ops.insert(key, op.clone());
                added.push(op);
            }
        }
        if added.is_empty() {
            return Ok(());
        }
        storage(self.storage.append("ops", text.as_bytes()))?;
        storage(self.storage.sync("ops"))?;
        for peer in self.peers.clone() {
            self.push(peer, added.clone());
        }
        for op in &added {
            match &op.what {
                What::Text { .. } | What::Record { .. } => {
                    if let Some(message) = self.message(op) {
                        self.notices.push_back(Notice::Message(message));
                    }
                }
                What::Edit { .. } | What::React { .. } | What::Pin { .. } => {}
                other => self
                    .notices
                    .push_back(Notice::Space { space: op.space.clone(), what: format!("{other:?}") }),
            }
        }
        Ok(())
    }

    fn push(&mut self, peer: [u8; 32], ops: Vec<Op>) {
        let name = hex(&peer);
        let ours: Vec<Op> = ops
            .into_iter()
            .filter(|op| self.members(&op.space).contains_key(&name) || op.device == name)
            .collect();
        for part in ours.chunks(500) {
            let frame = serde_json::to_vec(&Frame::Ops(part.to_vec())).unwrap_or_default();
            self.frames.push_back((peer, frame));
        }
        let hash = self.spaces().iter().map(|(id, _)| self.state(id)).collect::<String>();
        let frame = serde_json::to_vec(&Frame::Hash(hash)).unwrap_or_default();
        self.frames.push_back((peer, frame));
    }

    fn message(&self, op: &Op) -> Option<Message> {
        let (channel, author, ts_ms, style, body, reply_to, imported) = match &op.what {
            What::Text { channel, body, reply_to } => (
                channel,
                op.name.clone(),
                i64::try_from(op.wall_ms).unwrap_or(0),
                Style::Message,
                body,
                reply_to.clone(),
                false,
            ),
            What::Record { channel, source, record } => {
                let reply = record.reply_to.and_then(|to| {
                    self.ops.values().find_map(|op| match &op.what {
                        What::Record { source: other, record, .. } if source == other && record.id == to => {
                            Some(op.id.clone())
                        }
                        _ => None,
                    })
                });
                (channel, record.author.clone(), record.ts_ms, record.style, &record.body, reply, true)
            }
            _ => return None,
        };
        let mut message = Message {
            id: op.id.clone(),
            space: op.space.clone(),
            channel: channel.clone(),
            author,
            user: op.device.clone(),
            ts_ms,
            style,
            body: body.clone(),
            edited: false,
            reply_to,
            reactions: vec![],
            pinned: false,
            imported,
            depth: 0,
        };
        if !imported {
            for other in self.ops.values() {
                match &other.what {
                    What::Edit { message: id, body } if *id == op.id => {
                        message.body = body.clone();
                        message.edited = true;
                    }
                    What::React { message: id, emoji, .. } if *id == op.id => {
                        message.reactions.push((emoji.clone(), 1))
                    }
                    What::Pin { message: id, remove } if *id == op.id => message.pinned = !remove,
                    _ => {}
                }
            }
        }
        Some(message)
    }

    fn all(&self, space: &str, channel: &str) -> Vec<Message> {
        let all = self.ops.values().filter(|op| op.space == space).filter_map(|op| self.message(op));
        all.filter(|message| message.channel == channel).collect()
    }

    fn find(&self, id: &str) -> Result<String, Error> {
        let mut found = self.ops.values().filter(|op| op.id.starts_with(id));
        match (found.next(), found.next()) {
            (Some(op), None) => Ok(op.id.clone()),
            (None, _) => fail(format!("there is no message {id} here; `terachat read` shows the ids")),
            _ => fail(format!("several messages begin with {id}; give more of the id")),
        }
    }

    fn last(&self, source: u64) -> u64 {
        let ids = self.ops.values().filter_map(|op| match &op.what {
            What::Record { source: other, record, .. } if *other == source => Some(record.id),
            _ => None,
        });
        ids.max().unwrap_or(0)
    }

    pub(crate) fn execute(&mut self, request: Request, now: u64) -> Result<Answer, Error> {
        Ok(match request {
            Request::WhoAmI => Answer::Card {
                name: self.profile.name.clone(),
                user: self.device.clone(),
                device: self.device.clone(),
                card: format!("card:{}:{}", self.device, self.profile.name),
            },
            Request::SpaceCreate { name } => {
                self.add("", now, vec![What::Space(name.clone())])?;
                let id = self.spaces().last().map(|one| one.0.clone()).unwrap_or_default();
                let me =
                    What::Member { device: self.device.clone(), name: self.profile.name.clone(), rank: 100 };
                self.add(&id, now, vec![me])?;
                Answer::Space { id, name }
            }
            Request::ChannelCreate { space, name } => {
                let space = self.space(&space)?;
                Answer::Channel { id: self.add(&space, now, vec![What::Channel(name.clone())])?, name }
            }
            Request::Status => {
                let spaces = self.spaces().into_iter().map(|(id, name)| {
                    let members = self.members(&id);
                    let channels = self.channels(&id).into_iter().map(|name| ChannelStatus {
                        id: digest(&name),
                        events: self.ops.len(),
                        messages: self.ops.values().filter(|op| op.space == id && matches!(&op.what, What::Text{channel,..}|What::Record{channel,..} if *channel == name)).count(),
                        state_hash: digest(&self.state(&id)),
                        name,
                    });
                    SpaceStatus {
                        epoch: Some(1),
                        rank: members.get(&self.device).map(|one| one.1),
                        state_hash: self.state(&id),
                        channels: channels.collect(),
                        members: members
                            .iter()
                            .map(|(id, (name, rank))| MemberStatus {
                                user: id.clone(),
                                name: name.clone(),
                                rank: *rank,
                                devices: vec![id.clone()],
                            })
                            .collect(),
                        waiting: vec![],
                        id,
                        name,
                    }
                });
                Answer::Status(Status {
                    device: self.device.clone(),
                    spaces: spaces.collect(),
                    disk_len: storage(self.storage.size("ops"))?.unwrap_or(0),
                })
            }
            Request::Invite { space, card, rank } => {
                let space = self.space(&space)?;
                let parts: Vec<&str> = card.split(':').collect();
                let ["card", device, name] = parts[..] else { return fail("this is no card; copy it whole") };
                let what =
                    What::Member { device: device.into(), name: name.into(), rank: rank.unwrap_or(10) };
                self.add(&space, now, vec![what])?;
                Answer::Invitation { invitation: format!("invitation:{space}") }
            }
            Request::Join { invitation } => {
                let Some(space) = invitation.strip_prefix("invitation:") else {
                    return fail("this is no invitation; copy it whole");
                };
                self.joined.insert(space.to_owned());
                Answer::Joined { space: space.to_owned(), ready: false }
            }
            Request::MemberRemove { space, member } => {
                let space = self.space(&space)?;
                let members = self.members(&space);
                let found = members.iter().find(|(id, one)| one.0 == member || id.starts_with(&member));
                let Some((device, _)) = found else {
                    return fail("there is no such member; `terachat member list`");
                };
                self.add(&space, now, vec![What::Remove { device: device.clone() }])?;
                Answer::Done
            }
            Request::RoleSet { .. } => Answer::Done,
            Request::Send { place, body, reply_to } => {
                let (space, channel) = self.channel(&place)?;
                let reply_to = reply_to.map(|id| self.find(&id)).transpose()?;
                Answer::Sent { id: self.add(&space, now, vec![What::Text { channel, body, reply_to }])? }
            }
            Request::Edit { place, message, body } => {
                let (space, message) = (self.channel(&place)?.0, self.find(&message)?);
                Answer::Sent { id: self.add(&space, now, vec![What::Edit { message, body }])? }
            }
            Request::React { place, message, emoji, remove } => {
                let (space, message) = (self.channel(&place)?.0, self.find(&message)?);
                Answer::Sent { id: self.add(&space, now, vec![What::React { message, emoji, remove }])? }
            }
            Request::Pin { place, message, remove } => {
                let (space, message) = (self.channel(&place)?.0, self.find(&message)?);
                Answer::Sent { id: self.add(&space, now, vec![What::Pin { message, remove }])? }
            }
            Request::Read { place, limit, after, before, .. } => {
                let (space, channel) = self.channel(&place)?;
                let mut messages = self.all(&space, &channel);
                if let Some(after) = after {
                    let at = messages.iter().position(|one| one.id == after).map_or(0, |at| at + 1);
                    messages = messages.split_off(at);
                    messages.truncate(limit);
                } else {
                    if let Some(before) = before {
                        let at = messages.iter().position(|one| one.id == before).unwrap_or(0);
                        messages.truncate(at);
                    }
                    messages = messages.split_off(messages.len().saturating_sub(limit));
                }
                Answer::Messages { messages }
            }
            Request::Search { query, limit, .. } => {
                let word = query.to_lowercase();
                let all = self.ops.values().filter_map(|op| self.message(op));
                let found = all.filter(|one| one.body.to_lowercase().contains(&word)).take(limit);
                Answer::Hits {
                    hits: found.map(|message| Hit { message, score: 1.0, highlights: vec![] }).collect(),
                }
            }
            Request::ImportPosition { source, .. } => Answer::ImportPosition { last_id: self.last(source) },
            Request::Import { place, source, records } => {
                let (space, channel) = self.channel(&place)?;
                let (last, all) = (self.last(source), records.len());
                let new: Vec<What> = records
                    .into_iter()
                    .filter(|record| record.id > last)
                    .map(|record| What::Record { channel: channel.clone(), source, record })
                    .collect();
                let added = new.len();
                self.add(&space, now, new)?;
                Answer::Imported { added, skipped: all - added }
            }
            Request::Log { .. } => Answer::Events {
                events: self
                    .ops
                    .values()
                    .map(|op| EventLine {
                        id: op.id.clone(),
                        hash: digest(&op.id),
                        device: op.device.clone(),
                        author: op.name.clone(),
                        seq: op.lamport,
                        lamport: op.lamport,
                        wall_ms: op.wall_ms,
                        epoch: Some(1),
                        parents: vec![],
                        what: format!("{:?}", op.what),
                        void: None,
                        signed: true,
                    })
                    .collect(),
            },
            Request::Audit => Answer::Audit(AuditReport { events: self.ops.len(), ..Default::default() }),
            Request::BundleExport { space } => {
                let space = self.space(&space)?;
                let ops: Vec<&Op> = self.ops.values().filter(|op| op.space == space).collect();
                Answer::Bundle { events: ops.len(), bytes: serde_json::to_vec(&ops).unwrap_or_default() }
            }
            Request::BundleImport { bytes } => {
                let ops: Vec<Op> = serde_json::from_slice(&bytes)
                    .map_err(|_| Error("this is no bundle; was it copied whole?".into()))?;
                let removed = ops
                    .iter()
                    .any(|op| matches!(&op.what, What::Remove { device } if *device == self.device));
                if removed {
                    let refused = vec!["no key: this device was removed".into()];
                    return Ok(Answer::BundleApplied { added: 0, known: 0, waiting: vec![], refused });
                }
                let before = self.ops.len();
                self.apply(ops)?;
                let added = self.ops.len() - before;
                Answer::BundleApplied { added, known: 0, waiting: vec![], refused: vec![] }
            }
        })
    }

    pub(crate) fn connected(&mut self, peer: [u8; 32]) {
        self.peers.insert(peer);
        self.push(peer, self.ops.values().cloned().collect());
    }

    pub(crate) fn disconnected(&mut self, peer: [u8; 32]) {
        self.peers.remove(&peer);
    }

    pub(crate) fn receive(&mut self, peer: [u8; 32], frame: Vec<u8>, _now: u64) -> Result<(), Error> {
        match serde_json::from_slice(&frame)
            .map_err(|_| Error("the frame is damaged; drop the peer".into()))?
        {
            Frame::Ops(ops) => {
                let ops = ops.into_iter().filter(|op| {
                    let members = self.members(&op.space);
                    members.is_empty() || members.contains_key(&op.device)
                });
                let ops: Vec<Op> = ops.collect();
                self.apply(ops)
            }
            Frame::Hash(hash) => {
                if hash == self.spaces().iter().map(|(id, _)| self.state(id)).collect::<String>() {
                    self.notices.push_back(Notice::InSync { peer: hex(&peer) });
                }
                Ok(())
            }
        }
    }

    pub(crate) fn poll_frame(&mut self) -> Option<([u8; 32], Vec<u8>)> {
        self.frames.pop_front()
    }

    pub(crate) fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    pub(crate) fn close(self) -> Result<(), Error> {
        Ok(())
    }
}

/// The public key of a seed; borrowed from the networking crate's own dependency graph for the placeholder.
fn libp2p_identity_key(seed: &mut [u8; 32]) -> [u8; 32] {
    let key = ed25519_zebra::SigningKey::from(*seed);
    ed25519_zebra::VerificationKey::from(&key).into()
}
