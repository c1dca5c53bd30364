//! What the leader does for the whole: it counts every stripe's shards, page by page and round and round, and has made anew,
//! moved and dropped what the plan says. Nothing is remembered from one count to the next: who takes over counts.
use super::message::{Lack, Message, PAGE_LEN};
use super::{Call, Counted, Moment, Node, Proposed, SECOND};
use crate::{Entry, Receipt, State};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use terachat_shard::{Blocked, Census, Health, Members, NodeId, Plan, StripeCensus, StripeId, Surplus};

/// Between two counts while something is to be mended.
const SHORT_REST: u64 = SECOND / 5;

/// How whole everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthReport<'a> {
    /// Nobody has counted yet.
    Unknown,
    /// This node leads, and has counted.
    Counted(&'a Health),
    /// The leader said: shards in place, and shards that there should be.
    Heard(u64, u64),
}

impl HealthReport<'_> {
    /// Shards in place, and shards that there should be.
    pub fn shards(self) -> Option<(u64, u64)> {
        match self {
            Self::Unknown => None,
            Self::Counted(health) => Some((health.in_place, health.shards)),
            Self::Heard(in_place, shards) => Some((in_place, shards)),
        }
    }
}

/// What a leader has had done, since there was last nothing to do, and what cannot be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Microseconds since it began; `None` if there is nothing to do.
    pub lasted: Option<u64>,
    /// Shards made anew or moved.
    pub shards: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Stripes, as of the last count, of which shards have no node left to stand on.
    pub short_of_nodes: u64,
}

#[derive(Debug)]
enum Stage {
    Resting {
        until: Moment,
    },
    Counting {
        call: Call,
        page: Vec<StripeId>,
        waiting: BTreeSet<NodeId>,
        /// Who has said what it has. Whoever has not, because it was not asked or has not answered, may have anything.
        told: BTreeSet<NodeId>,
        /// Who has said that it counts.
        counts: BTreeSet<NodeId>,
        found: Vec<(NodeId, Counted)>,
        until: Moment,
    },
    Mending {
        /// What is still to be asked for, and when: evenly over the time that it may take, for whoever puts and gets has the same
        /// disks and lines.
        to_come: VecDeque<(Moment, Mend)>,
        waiting: BTreeSet<Call>,
        not_before: Moment,
        until: Moment,
    },
}

/// A shard that a node is to have, and who may have a copy of it.
#[derive(Debug, Clone, Copy)]
struct Mend {
    stripe: StripeId,
    index: u8,
    node: NodeId,
    copy: Option<NodeId>,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Resting { until: Moment(0) }
    }
}

/// How far the count is.
#[derive(Debug, Default)]
pub(super) struct Steward {
    stage: Stage,
    /// The last stripe of the page before.
    after: Option<StripeId>,
    /// What was counted in this round so far.
    counting: Health,
    /// Something was to be done in this round.
    busy: bool,
    counted: Option<Health>,
    heard: Option<(u64, u64)>,
    /// Who was asked and neither said what it has nor that it counts, since when: its disk fails or hangs, whatever else it answers.
    mute: BTreeMap<NodeId, Moment>,
    /// Those of them that were so in this round.
    mute_now: BTreeSet<NodeId>,
    /// A node came or went since the round began.
    changed: bool,
    deeds: usize,
    /// When there was something to do first.
    began: Option<Moment>,
    /// Of shards that were brought to where they should be since then: how many, and their bytes.
    done: (u64, u64),
    /// Stripes that are short of nodes: in this round so far, and in the last.
    short: (u64, u64),
}

impl Steward {
    pub(super) fn report(&self) -> HealthReport<'_> {
        match (&self.counted, self.heard) {
            (Some(health), _) => HealthReport::Counted(health),
            (None, Some((in_place, shards))) => HealthReport::Heard(in_place, shards),
            (None, None) => HealthReport::Unknown,
        }
    }

    /// What the leader says.
    pub(super) fn heard(&mut self, health: Option<(u64, u64)>) {
        self.heard = health.or(self.heard);
    }

    pub(super) fn lead(&mut self, yes: bool, now: Moment) {
        *self =
            Self { heard: self.report().shards(), stage: Stage::Resting { until: now }, ..Self::default() };
        self.changed = yes;
    }

    pub(super) fn upkeep(&self, now: Moment) -> Upkeep {
        let ((shards, bytes), (_, short_of_nodes)) = (self.done, self.short);
        Upkeep { lasted: self.began.map(|began| now.since(began)), shards, bytes, short_of_nodes }
    }

    /// A member is counting what it was asked for.
    pub(super) fn still_counts(&mut self, from: NodeId, answer: Call) {
        if let Stage::Counting { call, waiting, counts, .. } = &mut self.stage
            && *call == answer
            && waiting.contains(&from)
        {
            counts.insert(from);
        }
    }

    /// Of a page all have been waited for.
    fn missed(&mut self, mute: impl IntoIterator<Item = NodeId>, now: Moment) {
        for node in mute {
            self.mute.entry(node).or_insert(now);
            self.mute_now.insert(node);
        }
    }

    pub(super) fn somebody_changed(&mut self) {
        self.changed = true;
    }
}

impl Node {
    pub(super) fn tick_stewarding(&mut self, state: &State) {
        if !self.leads() {
            return;
        }
        let deeds = state.chronicle().deeds().len();
        self.steward.changed |= deeds != self.steward.deeds;
        self.steward.deeds = deeds;
        match &self.steward.stage {
            Stage::Resting { until } if *until <= self.now || self.steward.changed => self.count_page(state),
            Stage::Counting { until, .. } if *until <= self.now => self.plan_page(state),
            Stage::Mending { until, .. } if *until <= self.now => self.next_page(state),
            Stage::Mending { to_come, waiting, not_before, .. } => {
                let over = to_come.is_empty() && waiting.is_empty() && *not_before <= self.now;
                if over { self.next_page(state) } else { self.ask_for_mends() }
            }
            _ => {}
        }
    }

    /// Asks every member what it has of the next stripes.
    fn count_page(&mut self, state: &State) {
        if self.steward.after.is_none() {
            (self.steward.counting, self.steward.busy, self.steward.changed) =
                (Health::default(), false, false);
            self.steward.short.0 = 0;
        }
        let from = self.steward.after.map_or(Bound::Unbounded, Bound::Excluded);
        let page: Vec<StripeId> =
            state.stripes().range((from, Bound::Unbounded)).take(PAGE_LEN).map(|(id, _)| *id).collect();
        // What lies between the stripes, and behind the last, is counted with them: shards that no record names.
        let first = self.steward.after.map_or(StripeId([0; 16]), next);
        let last = page.get(PAGE_LEN - 1).copied().unwrap_or(StripeId([0xff; 16]));
        let nodes: BTreeSet<NodeId> =
            state.roster().members().map(|(node, _)| node).filter(|node| self.answers(*node)).collect();
        let call = self.call();
        for node in &nodes {
            self.send(*node, Message::Count(call, first, last));
        }
        let until = self.now + self.options.answer_within;
        self.steward.stage = Stage::Counting {
            call,
            page,
            waiting: nodes,
            told: BTreeSet::new(),
            counts: BTreeSet::new(),
            found: Vec::new(),
            until,
        };
    }

    /// A member says what it has.
    pub(super) fn counted(&mut self, state: &State, from: NodeId, answer: Call, counted: &[Counted]) {
        let Stage::Counting { call, waiting, told, found, .. } = &mut self.steward.stage else { return };
        if answer != *call || !waiting.remove(&from) {
            return;
        }
        told.insert(from);
        found.extend(counted.iter().map(|shard| (from, *shard)));
        if waiting.is_empty() {
            self.plan_page(state);
        }
    }

    /// Counts what was found, and has done what is to be done about it.
    fn plan_page(&mut self, state: &State) {
        let rest = Stage::Resting { until: self.now };
        let Stage::Counting { page, waiting, told, counts, found, .. } =
            std::mem::replace(&mut self.steward.stage, rest)
        else {
            return;
        };
        self.steward.missed(waiting.difference(&counts).copied(), self.now);
        let mut census: Census = Census::new();
        for id in &page {
            if let Some(stripe) = state.stripes().get(id) {
                census.insert(*id, StripeCensus::new(&stripe.record));
            }
        }
        for (node, shard) in found {
            let Some(stripe) = state.stripes().get(&shard.stripe) else { continue };
            let Some(counted) = census.get_mut(&shard.stripe) else { continue };
            let is_it = stripe.record.hash(shard.index) == Some(shard.hash);
            // A place that the stripe has not is nothing of its.
            let _ = match shard.sound && is_it {
                true => counted.found_sound(shard.index, node),
                false => counted.found_rotten(shard.index, node),
            };
        }
        // One that answers by now and was not asked is silent as well: what it has is not lost.
        let silent = |node: NodeId| !told.contains(&node) || !self.answers(node);
        // What the records name on nodes that are silent is away, not lost; it counts for nothing before they answer.
        for (id, counted) in &mut census {
            let Some(stripe) = state.stripes().get(id) else { continue };
            for index in stripe.record.counts().indices() {
                if let Some(node) = stripe.record.holder(index).filter(|node| silent(*node)) {
                    let _ = counted.found_sound(index, node);
                }
            }
        }
        let members = self.members(state, silent);
        let plan = self.plan(state, &census, silent);
        let mut misnamed = misnamed(state, &census, &members);
        misnamed.extend(renamed(state, &census, &members, &plan));
        add(&mut self.steward.counting, &Health::count(&census, &members));
        let short = plan.blocked.values().filter(|why| matches!(why, Blocked::TooFewNodes { .. }));
        self.steward.short.0 += short.count() as u64;
        self.carry_out(&plan, &misnamed);
        // What did not fit the limit is counted in another round.
        self.steward.busy |= plan.bytes_left > 0;
        self.steward.after = page.get(PAGE_LEN - 1).copied();
    }

    /// What is to be done about a page. Whoever was there a moment ago will be again, or be away for long enough: until then what it
    /// has counts as there. What others have lost is made anew meanwhile, but nothing is moved, and no copy given up.
    fn plan(&self, state: &State, census: &Census, silent: impl Fn(NodeId) -> bool + Copy) -> Plan {
        let unsure = |node: NodeId| silent(node) && !self.is_away(node);
        let members = self.members(state, |node| silent(node) && !unsure(node));
        let mut plan = Plan::new(census, &members, self.options.repair_rate);
        if state.roster().members().any(|(node, _)| unsure(node)) {
            plan.moves.clear();
            plan.surplus.clear();
            for repair in &mut plan.repairs {
                repair.targets.retain(|(_, node)| !unsure(*node));
            }
            plan.repairs.retain(|repair| !repair.targets.is_empty());
        }
        plan
    }

    /// Whether a node that has not said what it has was silent for too long to be waited for, or mute.
    fn is_away(&self, node: NodeId) -> bool {
        let silent = node != self.id && self.silent_since(node) > self.options.away_after;
        let mute = self.steward.mute.get(&node).map(|since| self.now.since(*since));
        silent || mute.is_some_and(|mute| mute > self.options.away_after)
    }

    fn carry_out(&mut self, plan: &Plan, misnamed: &[(StripeId, u8, NodeId)]) {
        let made = plan.repairs.iter().flat_map(|repair| {
            let mend =
                |&(index, node): &(u8, NodeId)| Mend { stripe: repair.stripe, index, node, copy: None };
            repair.targets.iter().map(mend)
        });
        let moved = plan.moves.iter().map(|step| {
            let copy = Some(step.from);
            Mend { stripe: step.stripe, index: step.index, node: step.to, copy }
        });
        let vouched =
            misnamed.iter().map(|&(stripe, index, node)| Mend { stripe, index, node, copy: Some(node) });
        let mends: Vec<Mend> = made.chain(moved).chain(vouched).collect();
        self.steward.busy |= !mends.is_empty() || !plan.surplus.is_empty();
        if !mends.is_empty() {
            self.steward.began.get_or_insert(self.now);
        }
        for surplus in &plan.surplus {
            self.send(surplus.node, Message::Drop(surplus.stripe, surplus.index));
        }
        let takes = plan.bytes().saturating_mul(SECOND) / self.options.repair_rate.max(1);
        let count = (mends.len() as u64).max(1);
        let at = |number: u64| self.now + takes / count * number;
        self.steward.stage = Stage::Mending {
            to_come: (0..).map(at).zip(mends).collect(),
            waiting: BTreeSet::new(),
            not_before: self.now + takes,
            until: self.now + takes + 2 * self.options.answer_within,
        };
        self.ask_for_mends();
    }

    /// Asks for what is due.
    fn ask_for_mends(&mut self) {
        let now = self.now;
        while let Stage::Mending { to_come, .. } = &mut self.steward.stage
            && let Some((_, mend)) = to_come.pop_front_if(|(at, _)| *at <= now)
        {
            let call = self.call();
            if let Stage::Mending { waiting, .. } = &mut self.steward.stage {
                waiting.insert(call);
            }
            self.send(mend.node, Message::Mend(call, mend.stripe, mend.index, mend.copy));
        }
    }

    /// A shard is where it should be, or could not be brought there.
    pub(super) fn mended(&mut self, state: &State, from: NodeId, call: Call, result: Result<Receipt, Lack>) {
        let Stage::Mending { waiting, .. } = &mut self.steward.stage else { return };
        if !waiting.remove(&call) {
            return;
        }
        let Ok(receipt) = result else { return };
        let Some(stripe) = state.stripes().get(&receipt.stripe) else { return };
        let holder = stripe.record.holder(receipt.index);
        let (shards, bytes) = self.steward.done;
        self.steward.done = (shards + 1, bytes + stripe.record.shard_len() as u64);
        if receipt.node == from && holder != Some(from) {
            self.propose(Proposed::Upkeep, &Entry::Holder(receipt));
        }
    }

    fn next_page(&mut self, state: &State) {
        if self.steward.after.is_some() {
            return self.count_page(state);
        }
        let rest = if self.steward.busy { SHORT_REST } else { self.options.count_every };
        self.steward.counted = Some(std::mem::take(&mut self.steward.counting));
        self.steward.short.1 = self.steward.short.0;
        let mute = std::mem::take(&mut self.steward.mute_now);
        self.steward.mute.retain(|node, _| mute.contains(node));
        if !self.steward.busy {
            (self.steward.began, self.steward.done) = (None, (0, 0));
        }
        self.steward.stage = Stage::Resting { until: self.now + rest };
    }
}

/// Shards that are not where their records say, and who has them: a record could not be changed when they came there, or the node
/// that it names has lost its own.
fn misnamed(state: &State, census: &Census, members: &Members) -> Vec<(StripeId, u8, NodeId)> {
    let mut misnamed = Vec::new();
    for (id, counted) in census {
        let Some(stripe) = state.stripes().get(id) else { continue };
        let has = |index: u8, node: NodeId| counted.sound().any(|shard| shard == (index, node));
        let named = |index: &u8| stripe.record.holder(*index).filter(|node| has(*index, *node));
        let truly: BTreeSet<NodeId> =
            stripe.record.counts().indices().filter_map(|index| named(&index)).collect();
        let mut free: BTreeSet<NodeId> = counted
            .sound()
            .map(|(_, node)| node)
            .filter(|node| !truly.contains(node) && members.answers(*node))
            .collect();
        for index in stripe.record.counts().indices().filter(|index| named(index).is_none()) {
            if let Some(node) = free.iter().copied().find(|node| has(index, *node)) {
                free.remove(&node);
                misnamed.push((*id, index, node));
            }
        }
    }
    misnamed
}

/// Copies that count, while the record names another one that is to go: the record has to name these first.
fn renamed(state: &State, census: &Census, members: &Members, plan: &Plan) -> Vec<(StripeId, u8, NodeId)> {
    let goes =
        |stripe: StripeId, index: u8, node: NodeId| plan.surplus.contains(&Surplus { stripe, index, node });
    let named = plan.surplus.iter().filter(|surplus| {
        let stripe = state.stripes().get(&surplus.stripe);
        stripe.and_then(|stripe| stripe.record.holder(surplus.index)) == Some(surplus.node)
    });
    let stays = named.filter_map(|surplus| {
        let mut copies = census.get(&surplus.stripe)?.sound().filter(|(index, _)| *index == surplus.index);
        let (_, node) =
            copies.find(|(_, node)| members.answers(*node) && !goes(surplus.stripe, surplus.index, *node))?;
        Some((surplus.stripe, surplus.index, node))
    });
    stays.collect()
}

fn next(id: StripeId) -> StripeId {
    StripeId(u128::from_be_bytes(id.0).saturating_add(1).to_be_bytes())
}

/// Adds what was counted of other stripes.
fn add(sum: &mut Health, part: &Health) {
    sum.stripes += part.stripes;
    sum.unreadable.extend(&part.unreadable);
    sum.at_the_limit += part.at_the_limit;
    sum.shards += part.shards;
    sum.in_place += part.in_place;
    sum.reasons.missing += part.reasons.missing;
    sum.reasons.away += part.reasons.away;
    sum.reasons.rotten += part.reasons.rotten;
    sum.reasons.doubled += part.reasons.doubled;
}
