//! What clients do with slots, and what has to hold: what somebody was told stands in a slot stands there until the end that was told with
//! it, whatever breaks, so that nothing else is told of that slot meanwhile; and nobody is told of a value that nobody claimed.
use super::world::World;
use crate::testing::Dice;
use crate::{Call, ClientKey, Refused, Request, Response, Slot, Standing};
use std::collections::{BTreeMap, BTreeSet};
use terachat_shard::NodeId;

/// Slots there are. Few, so that clients meet.
const SLOTS: u64 = 6;
/// Values that are claimed, and clients that do.
const VALUES: u64 = 4;

#[derive(Default)]
pub(super) struct SlotPlay {
    claiming: BTreeMap<Call, (Slot, [u8; 32])>,
    /// Values that anybody ever claimed for a slot.
    tried: BTreeMap<Slot, BTreeSet<[u8; 32]>>,
    /// What was told, with the latest end.
    promised: BTreeMap<Slot, Standing>,
    /// Claims that were first, and those that were told of another.
    pub(super) first: usize,
    pub(super) second: usize,
}

impl SlotPlay {
    /// Somebody claims something.
    pub(super) fn play(&mut self, world: &mut World, dice: &mut Dice, through: NodeId) {
        let slot = dice.below(SLOTS) as u8;
        // Some stand for the whole run and beyond, most do not.
        let life_ms = if slot < 2 { 10 * super::DAY_MS as u64 } else { 500 } + dice.below(12_000);
        self.claim(world, Slot([slot; 32]), dice.below(VALUES) as u8, life_ms, through);
    }

    fn claim(&mut self, world: &mut World, slot: Slot, value: u8, life_ms: u64, through: NodeId) {
        let request = Request::Claim { slot, value: [value; 32], life_ms };
        self.tried.entry(slot).or_default().insert([value; 32]);
        if let Some(call) = world.ask_as(through, Some(ClientKey([value; 32])), request) {
            self.claiming.insert(call, (slot, [value; 32]));
        }
    }

    /// Whoever was asked went away before it answered.
    pub(super) fn unanswered(&mut self, call: Call) {
        self.claiming.remove(&call);
    }

    /// Whether this was the answer to a claim.
    pub(super) fn hear(&mut self, now_ms: u64, call: Call, response: &Response) -> bool {
        let Some((slot, value)) = self.claiming.remove(&call) else { return false };
        let told = match response {
            Response::Claimed(told) => *told,
            Response::Refused(Refused::Stranger | Refused::Ledger(_) | Refused::Lifetime) => {
                panic!("{response:?}")
            }
            Response::Refused(_) => return true,
            other => panic!("{other:?} is no answer to a claim"),
        };
        assert!(self.tried[&slot].contains(&told.value), "nobody claimed {told:?} for {slot:?}");
        *if told.value == value { &mut self.first } else { &mut self.second } += 1;
        let promised = self.promised.entry(slot).or_insert(told);
        if promised.value == told.value {
            promised.until_ms = promised.until_ms.max(told.until_ms);
        } else {
            let over = promised.until_ms <= now_ms || told.until_ms <= now_ms;
            assert!(over, "two values were told of {slot:?}, {promised:?} and {told:?}, and none has ended");
            if promised.until_ms < told.until_ms {
                *promised = told;
            }
        }
        true
    }

    /// Every slot of which something was promised is claimed for something else, now that everything works.
    pub(super) fn ask_for_all(&mut self, world: &mut World, members: &[NodeId]) {
        assert!(self.claiming.is_empty(), "somebody was never answered");
        let slots: Vec<Slot> = self.promised.keys().copied().collect();
        for (slot, through) in slots.into_iter().zip(members.iter().cycle()) {
            self.claim(world, slot, VALUES as u8, 1_000, *through);
        }
    }

    pub(super) fn end(&self, world: &World) {
        assert!(self.claiming.is_empty(), "somebody was never answered");
        let now_ms = world.now_ms();
        let left = |slot: u8| {
            let claimed = world.truth.slot(&Slot([slot; 32]));
            claimed.is_some_and(|claimed| claimed.standing.until_ms + 4_000 < now_ms)
        };
        assert!(!(0..SLOTS as u8).any(left), "a claim that is over is forgotten");
    }
}
