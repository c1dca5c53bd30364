//! A space's control state as bytes: `docs/format/store.md`, "Control state". In columns, in the order of the maps, so
//! that a large organisation's members are read in one pass.
use super::{Member, SpaceState};
use crate::Error;
use crate::crdt::Stamp;
use crate::model::{Rank, Renewal};
use crate::wire::{Reader, put};
use std::collections::BTreeMap;
use std::sync::Arc;
use terachat_event::{DeviceId, UserId};

const REMOVED: u8 = 0x80;

impl SpaceState {
    /// Appends the state.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let few = (
            &self.name,
            &self.channels,
            &self.cuts,
            &self.outline,
            &self.revoked,
            &self.roles,
            &self.entered,
            &self.archive,
            &self.suite_wish,
        );
        let mut few = postcard::to_allocvec(&few).expect("plain values encode into a growing buffer");
        if let Some(renewal) = &self.renewal {
            few.extend(postcard::to_allocvec(renewal).expect("plain values encode into a growing buffer"));
        }
        put(out, few.len() as u64);
        out.extend(few);
        put(out, self.members.len() as u64);
        self.members.keys().for_each(|user| out.extend_from_slice(&user.0));
        // Many are admitted at once.
        let mut stamps: Vec<Stamp> = self.members.values().map(|member| member.since).collect();
        stamps.sort_unstable();
        stamps.dedup();
        put(out, stamps.len() as u64);
        for stamp in &stamps {
            put(out, stamp.lamport);
            out.extend_from_slice(&stamp.author.0);
            put(out, stamp.seq);
        }
        for member in self.members.values() {
            put(out, stamps.binary_search(&member.since).expect("it was put there") as u64);
        }
        for member in self.members.values() {
            out.push(member.rank.get() | if member.removed { REMOVED } else { 0 });
        }
        self.members.values().for_each(|member| put(out, member.name.len() as u64));
        self.members.values().for_each(|member| out.extend_from_slice(member.name.as_bytes()));
        put(out, self.devices.len() as u64);
        self.devices.keys().for_each(|device| out.extend_from_slice(&device.0));
        let places: BTreeMap<&UserId, u64> = self.members.keys().zip(0..).collect();
        self.devices.values().for_each(|user| put(out, places[user]));
    }

    /// Reads what [`SpaceState::put`] wrote.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let bad = Error::Malformed("a control state");
        let len = reader.count(reader.rest().len())?;
        let few = postcard::take_from_bytes(reader.bytes(len)?).map_err(|_| bad.clone())?;
        let ((name, channels, cuts, outline, revoked, roles, entered, archive, suite_wish), rest) = few;
        let renewal = match rest {
            [] => None,
            rest => Some(postcard::from_bytes::<Renewal>(rest).map_err(|_| bad.clone())?),
        };
        let count = reader.count(reader.rest().len() / 32)?;
        let users: Vec<UserId> = ids(reader, count)?.map(UserId).collect();
        let stamps = (0..reader.count(count)?).map(|_| {
            let (lamport, author) = (reader.number()?, DeviceId(reader.array()?));
            Ok(Stamp { lamport, author, seq: reader.number()? })
        });
        let stamps: Vec<Stamp> = stamps.collect::<Result<_, Error>>()?;
        let since: Vec<u32> = (0..count).map(|_| reader.index(stamps.len())).collect::<Result<_, _>>()?;
        let ranks = reader.bytes(count)?;
        let mut members = Vec::with_capacity(count);
        let lens: Vec<usize> =
            (0..count).map(|_| reader.count(reader.rest().len())).collect::<Result<_, _>>()?;
        for (at, len) in lens.into_iter().enumerate() {
            let name = std::str::from_utf8(reader.bytes(len)?).map_err(|_| bad.clone())?.to_owned();
            let rank = Rank::new(ranks[at] & !REMOVED).ok_or(bad.clone())?;
            let member =
                Member { name, rank, since: stamps[since[at] as usize], removed: ranks[at] & REMOVED != 0 };
            members.push((users[at], Arc::new(member)));
        }
        let count = reader.count(reader.rest().len() / 32)?;
        let ids: Vec<DeviceId> = ids(reader, count)?.map(DeviceId).collect();
        let owners = ids.into_iter().map(|id| Ok((id, users[reader.index(users.len())? as usize])));
        let devices: Vec<(DeviceId, UserId)> = owners.collect::<Result<_, Error>>()?;
        // From sorted lists, each map is built in one pass.
        let (members, devices) = (members.into_iter().collect(), devices.into_iter().collect());
        Ok(Self {
            name,
            members,
            devices,
            channels,
            cuts,
            outline,
            revoked,
            roles,
            entered,
            archive,
            suite_wish,
            renewal,
        })
    }
}

fn ids<'a>(reader: &mut Reader<'a>, count: usize) -> Result<impl Iterator<Item = [u8; 32]> + 'a, Error> {
    let bytes = reader.bytes(count * 32)?;
    Ok(bytes.chunks_exact(32).map(|id| id.try_into().expect("32 bytes")))
}

#[cfg(test)]
mod tests {
    use super::super::{Revoked, SuiteWish};
    use super::*;
    use crate::model::{
        Archive, CategoryId, Channel, ChannelKind, Held, History, Outline, Permission, Permissions,
        Revocation, Roles,
    };
    use proptest::prelude::*;
    use terachat_event::{ChannelId, DeviceKey, EventHash};
    use terachat_vault::Secret;

    fn id() -> impl Strategy<Value = [u8; 32]> {
        any::<u8>().prop_map(|n| [n; 32])
    }

    fn stamp() -> impl Strategy<Value = Stamp> {
        (any::<u64>(), id(), any::<u64>()).prop_map(|(lamport, author, seq)| Stamp {
            lamport,
            author: DeviceId(author),
            seq,
        })
    }

    fn state() -> impl Strategy<Value = SpaceState> {
        let member = ("\\PC{0,9}", 0..=100u8, stamp(), any::<bool>());
        let members = prop::collection::btree_map(id().prop_map(UserId), member, 0..9);
        let devices = prop::collection::vec((id(), any::<prop::sample::Index>()), 0..9);
        let channels = prop::collection::btree_map(id().prop_map(ChannelId), ("\\PC{0,9}", stamp()), 0..4);
        let cuts = prop::collection::btree_map(
            (
                prop::sample::select(&Permission::IN_CHANNELS[..]),
                id().prop_map(ChannelId),
                id().prop_map(DeviceId),
            ),
            any::<u64>(),
            0..4,
        );
        let revoked =
            prop::collection::vec((1..9u8, id(), any::<bool>(), any::<u64>()), 0..3).prop_map(|all| {
                all.into_iter().map(|(user, device, by_user, last)| {
                    let user = DeviceKey::from_seed(&Secret::take(&mut [user; 32]));
                    let revocation = Revocation::issue(&user, DeviceId(device), None);
                    let cuts = [(ChannelId(device), last)].into();
                    let key = (revocation.user, revocation.device);
                    (key, Arc::new(Revoked { revocation, by_user, cuts }))
                })
            });
        let roles = prop::collection::vec((0..=100u8, any::<u64>()), 0..3).prop_map(|all| {
            let role = |(rank, bits)| (Rank::new(rank).unwrap(), Permissions::from_bits(bits));
            Roles::new(all.into_iter().map(role))
        });
        let entered = prop::collection::vec((id(), id(), any::<u64>()), 0..3);
        let archive = prop::collection::btree_map(id(), stamp(), 0..3).prop_map(|all| Archive {
            devices: all.iter().map(|(id, since)| (DeviceId(*id), *since)).collect(),
            holds: all.iter().map(|(id, since)| (Held::Member(UserId(*id)), *since)).collect(),
        });
        let suite_wish = prop::option::of((any::<u16>(), id(), stamp())).prop_map(|wish| {
            wish.map(|(suite, event, since)| SuiteWish { suite, event: EventHash(event), since })
        });
        let renewal = prop::option::of((1..=365u16, 100..=1_000_000u32))
            .prop_map(|set| set.map(|(days, messages)| Renewal { days, messages }));
        let rare = (suite_wish, renewal);
        ("\\PC{0,9}", members, devices, channels, cuts, revoked, roles, entered, archive, rare).prop_map(
            |(name, members, devices, channels, cuts, revoked, roles, entered, archive, rare)| {
                let (suite_wish, renewal) = rare;
                let users: Vec<UserId> = members.keys().copied().collect();
                let devices = devices.into_iter().filter(|_| !users.is_empty());
                SpaceState {
                    name,
                    devices: devices.map(|(id, at)| (DeviceId(id), users[at.index(users.len())])).collect(),
                    members: members
                        .into_iter()
                        .map(|(user, (name, rank, since, removed))| {
                            (user, Arc::new(Member { name, rank: Rank::new(rank).unwrap(), since, removed }))
                        })
                        .collect(),
                    outline: {
                        let mut outline = Outline::default();
                        channels.keys().for_each(|id| outline.append(*id));
                        outline
                    },
                    channels: channels
                        .into_iter()
                        .map(|(id, (name, since))| {
                            let (kind, topic) = (ChannelKind::Forum, name.clone());
                            let history =
                                if since.seq % 2 == 0 { History::Shared } else { History::SinceJoin };
                            let category = Some(CategoryId(id.0));
                            (id, Channel { name, since, kind, history, topic, category })
                        })
                        .collect(),
                    cuts,
                    revoked: revoked.into_iter().collect(),
                    roles,
                    archive,
                    suite_wish,
                    renewal,
                    entered: entered
                        .into_iter()
                        .map(|(device, channel, seq)| ((DeviceId(device), ChannelId(channel)), seq))
                        .collect(),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_state_reads_what_it_wrote(state in state(), junk: Vec<u8>, cut: prop::sample::Index) {
            let mut bytes = Vec::new();
            state.put(&mut bytes);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(SpaceState::read(&mut reader).unwrap(), state);
            reader.end().unwrap();
            prop_assert!(SpaceState::read(&mut Reader::new(&bytes[..cut.index(bytes.len())])).is_err());
            let _ = SpaceState::read(&mut Reader::new(&junk));
        }
    }
}
