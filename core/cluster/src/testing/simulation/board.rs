//! What clients do with a board, and what has to hold: what was acknowledged is fetched until it ends, a key has one content at a
//! time, and who follows the list hears of every key.
use super::world::World;
use crate::testing::Dice;
use crate::{Call, Fate, ItemKind, ItemName, Request, Response};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::sync::board::{BoardRecord, RecordKey, suite};
use terachat_shard::NodeId;

/// Keys there are. Few, so that they meet.
const KEYS: u64 = 12;
/// Names that are listed at once.
const PAGE: u16 = 3;

/// What was acknowledged for a key: until when which content stays.
type Promise = (u64, Vec<u8>);

#[derive(Default)]
pub(super) struct BoardPlay {
    publishing: BTreeMap<Call, BoardRecord>,
    /// Who asked for what, and what was promised then.
    fetching: BTreeMap<Call, (RecordKey, Option<Promise>)>,
    /// Contents that anybody ever tried to leave under a key.
    tried: BTreeMap<RecordKey, BTreeSet<Vec<u8>>>,
    promised: BTreeMap<RecordKey, Promise>,
    listing: Option<Call>,
    place: Option<(u64, u32)>,
    heard_of: BTreeSet<RecordKey>,
    pub(super) acknowledged: usize,
}

impl BoardPlay {
    /// Somebody leaves, fetches, follows or clears away something.
    pub(super) fn play(&mut self, world: &mut World, dice: &mut Dice, through: NodeId) {
        let number = dice.below(KEYS) as u16;
        match dice.below(8) {
            0..=3 => {
                // Some last for the whole run and beyond, most do not.
                let life = if number < 3 { 10 * super::DAY_MS as u64 } else { 500 };
                let end = world.now_ms() + life + dice.below(12_000);
                let content = [&[dice.below(3) as u8][..], &vec![7; dice.below(2) as usize * 900]].concat();
                let record = suite::record(number, end, &content);
                let request = Request::Put {
                    name: name(&record.key()),
                    bytes: record.bytes().to_vec(),
                    expires_ms: record.expires_ms(),
                };
                self.tried.entry(record.key()).or_default().insert(content);
                if let Some(call) = world.ask(through, request) {
                    self.publishing.insert(call, record);
                }
            }
            4 | 5 => self.fetch(world, suite::record(number, 0, b"").key(), through),
            6 => self.follow(world, through),
            _ => drop(world.ask(through, Request::Collect)),
        }
    }

    fn fetch(&mut self, world: &mut World, key: RecordKey, through: NodeId) {
        if let Some(call) = world.ask(through, Request::Get(name(&key))) {
            self.fetching.insert(call, (key, self.promised.get(&key).cloned()));
        }
    }

    fn follow(&mut self, world: &mut World, through: NodeId) {
        if self.listing.is_none() {
            self.listing = world.ask(through, Request::List { after: self.place, max: PAGE });
        }
    }

    /// Whoever was asked went away before it answered.
    pub(super) fn unanswered(&mut self, call: Call) {
        self.publishing.remove(&call);
        self.fetching.remove(&call);
        self.listing = self.listing.filter(|listing| *listing != call);
    }

    pub(super) fn hear(&mut self, now_ms: u64, call: Call, response: Response) {
        if let Some(record) = self.publishing.remove(&call) {
            self.published(now_ms, &record, response);
        } else if let Some((key, promised)) = self.fetching.remove(&call) {
            self.fetched(now_ms, key, promised, response);
        } else if self.listing == Some(call) {
            self.listing = None;
            if let Response::Listed(listed) = response {
                for (place, name) in listed {
                    assert!(self.place < Some(place), "the list goes on");
                    self.place = Some(place);
                    self.heard_of.insert(RecordKey(name.key));
                }
            }
        }
    }

    fn published(&mut self, now_ms: u64, record: &BoardRecord, response: Response) {
        let (key, content, end) = (record.key(), record.content(), record.expires_ms());
        match response {
            Response::Put(Fate::Added | Fate::Known | Fate::Renewed) => {
                self.acknowledged += 1;
                let promised = self.promised.entry(key).or_insert_with(|| (end, content.to_vec()));
                if promised.1 == content {
                    promised.0 = promised.0.max(end);
                } else if promised.0 <= now_ms {
                    *promised = (end, content.to_vec());
                } else {
                    assert!(end <= now_ms, "{key} has two contents at once");
                }
            }
            Response::Put(Fate::Taken) => {
                assert!(self.tried[&key].len() > 1, "nobody left another content under {key}");
            }
            Response::Put(Fate::Gone) | Response::Refused(_) => {}
            other => panic!("{other:?} is no answer to a record"),
        }
    }

    fn fetched(&self, now_ms: u64, key: RecordKey, promised: Option<Promise>, response: Response) {
        let promised = promised.filter(|(end, _)| *end > now_ms);
        match response {
            Response::Got(Some(bytes)) => {
                let record = BoardRecord::decode(bytes).expect("a whole record, truly signed");
                assert_eq!(record.key(), key);
                assert!(self.tried[&key].contains(record.content()), "nobody left this under {key}");
                if let Some((_, content)) = promised {
                    assert_eq!(record.content(), content, "{key} was promised to somebody else");
                    assert!(record.expires_ms() > now_ms, "{key} was renewed, and an older copy is given");
                }
            }
            Response::Got(None) => assert!(promised.is_none(), "{key} was acknowledged and is not there"),
            Response::Refused(_) => {}
            other => panic!("{other:?} is no answer to a fetch"),
        }
    }

    /// All that was promised is fetched again, now that everything works.
    pub(super) fn ask_for_all(&mut self, world: &mut World, members: &[NodeId]) {
        assert!(self.publishing.is_empty() && self.fetching.is_empty(), "somebody was never answered");
        let keys: Vec<RecordKey> = self.promised.keys().copied().collect();
        for (key, through) in keys.into_iter().zip(members.iter().cycle()) {
            self.fetch(world, key, *through);
        }
    }

    /// Follows the list to its end and clears away what is over.
    pub(super) fn end(&mut self, world: &mut World, through: NodeId) {
        assert!(self.fetching.is_empty(), "somebody was never answered");
        loop {
            let before = self.place;
            self.follow(world, through);
            world.run_until(world.now + super::SECOND / 4);
            for (call, response) in std::mem::take(&mut world.replies) {
                self.hear(world.now_ms(), call, response);
            }
            assert_eq!(self.listing, None, "nobody said what there is");
            if before == self.place {
                break;
            }
        }
        let now_ms = world.now_ms();
        for (key, (end, _)) in &self.promised {
            assert!(*end <= now_ms || self.heard_of.contains(key), "whoever followed never heard of {key}");
        }
        let over =
            |place: &crate::ItemPlace| place.item.expires_ms != 0 && place.item.expires_ms + 4_000 < now_ms;
        let left = world.truth.items().filter(|(_, place)| over(place)).count();
        assert_eq!(left, 0, "what is over is forgotten");
    }
}

fn name(key: &RecordKey) -> ItemName {
    ItemName { kind: ItemKind::Board, key: key.0 }
}
