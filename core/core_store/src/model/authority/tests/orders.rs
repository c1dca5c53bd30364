//! Stories in every order in which they can arrive: whatever comes first, the same set of events gives the same bytes and the
//! same verdicts, at the end and at every moment on the way, and those that the story says.
use super::*;
use std::collections::HashMap;

/// More orders than this are not all tried, but as many of them as [`SAMPLES`], drawn by a seed.
const ORDERS_MAX: usize = 5_000;
const SAMPLES: u64 = 3_000;

/// What arrives.
#[derive(Clone)]
enum Arrival {
    Event(ControlEvent),
    /// The proof that a device signed two events with this number.
    Proof(DeviceId, u64),
}

/// Everything that may be compared of a log: the state as bytes, heads, verdicts, epochs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    state: Vec<u8>,
    heads: Vec<EventHash>,
    verdicts: Vec<(EventHash, Verdict)>,
    epochs: Vec<EventHash>,
}

impl Outcome {
    fn of(log: &ControlLog) -> Self {
        Self {
            state: {
                let mut bytes = Vec::new();
                log.state().put(&mut bytes);
                bytes
            },
            heads: log.heads(),
            verdicts: log.events().map(|(event, verdict)| (event.hash, verdict)).collect(),
            epochs: log.epochs(&BTreeSet::new()),
        }
    }
}

/// Which arrivals have to be there before each, as bits.
fn needs(arrivals: &[Arrival]) -> Vec<u64> {
    let place = |hash: &EventHash| {
        let is = |arrival: &Arrival| matches!(arrival, Arrival::Event(event) if event.hash == *hash);
        arrivals.iter().position(is).expect("a story holds all that its events build on")
    };
    let needs = |arrival: &Arrival| match arrival {
        Arrival::Event(event) => event.parents.iter().fold(0, |bits, parent| bits | 1 << place(parent)),
        Arrival::Proof(..) => 0,
    };
    arrivals.iter().map(needs).collect()
}

/// What may come next when `here` is here.
fn ready(needs: &[u64], here: u64) -> impl Iterator<Item = usize> {
    (0..needs.len()).filter(move |at| here & 1 << at == 0 && needs[*at] & !here == 0)
}

/// All causally consistent orders, or nothing when there are more than [`ORDERS_MAX`].
fn all_orders(needs: &[u64]) -> Option<Vec<Vec<usize>>> {
    let (mut whole, mut begun) = (Vec::new(), vec![Vec::new()]);
    while let Some(order) = begun.pop() {
        if order.len() == needs.len() {
            whole.push(order);
            if whole.len() > ORDERS_MAX {
                return None;
            }
            continue;
        }
        let here = order.iter().fold(0, |bits, at: &usize| bits | 1 << at);
        begun.extend(ready(needs, here).map(|next| [order.as_slice(), &[next]].concat()));
    }
    Some(whole)
}

fn drawn_order(needs: &[u64], mut seed: u64) -> Vec<usize> {
    let (mut order, mut here) = (Vec::new(), 0);
    while order.len() < needs.len() {
        let ready: Vec<usize> = ready(needs, here).collect();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let next = ready[(seed >> 33) as usize % ready.len()];
        here |= 1 << next;
        order.push(next);
    }
    order
}

/// Takes the arrivals in in all orders, or in many, and gives back the log that all of them lead to. `orders` is how many orders
/// there are; `None` for more than can be tried.
#[track_caller]
fn in_every_order(arrivals: &[Arrival], orders: Option<usize>) -> ControlLog {
    let needs = needs(arrivals);
    let all = all_orders(&needs);
    assert_eq!(all.as_ref().map(Vec::len), orders, "so many orders has this story");
    in_orders(arrivals, &needs, all)
}

/// As [`in_every_order`], in these orders.
#[track_caller]
fn in_orders(arrivals: &[Arrival], needs: &[u64], all: Option<Vec<Vec<usize>>>) -> ControlLog {
    let all = all.unwrap_or_else(|| (0..SAMPLES).map(|seed| drawn_order(needs, seed)).collect());
    let mut met: HashMap<u64, Outcome> = HashMap::new();
    let mut last = None;
    let mut told: Option<Vec<_>> = None;
    for (n, order) in all.iter().enumerate() {
        let (mut log, mut here) = (ControlLog::default(), 0);
        for at in order {
            match &arrivals[*at] {
                Arrival::Event(event) => log.insert(event.clone()),
                Arrival::Proof(device, seq) => log.freeze(*device, *seq),
            }
            here |= 1 << at;
            let outcome = Outcome::of(&log);
            let before = met.entry(here).or_insert_with(|| outcome.clone());
            assert_eq!(*before, outcome, "after {:?} of {order:?}", order.iter().position(|n| n == at));
        }
        // Explanations cost more: now and then.
        if n % 64 == 0 {
            let now: Vec<_> =
                log.events().map(|(event, _)| log.explain(&event.hash, &BTreeMap::new())).collect();
            assert_eq!(*told.get_or_insert_with(|| now.clone()), now, "explained after {order:?}");
        }
        last = Some(log);
    }
    last.expect("there is an order")
}

/// Several authors, of whom each knows what it has met, and the names of what they did.
pub(super) struct Story {
    pub(super) people: Vec<Person>,
    pub(super) known: Vec<Replica>,
}

impl Story {
    /// People 0, 1, 2... with these ranks from 1 on, admitted by 0; `more` are nobody yet.
    pub(super) fn new(ranks: &[u8], more: usize) -> Self {
        let people: Vec<Person> = (1..).take(1 + ranks.len() + more).map(person).collect();
        let base = founded(&people[..=ranks.len()], ranks);
        let known = people.iter().map(|_| base.clone()).collect();
        Self { people, known }
    }

    pub(super) fn act(&mut self, by: usize, ops: Vec<ControlOp>) -> EventHash {
        self.known[by].append(&self.people[by], ops)
    }

    /// `to` hears all that `from` knows.
    pub(super) fn hear(&mut self, to: usize, from: usize) {
        let from = self.known[from].clone();
        self.known[to].merge(&from);
    }

    pub(super) fn set(&self, whose: usize, rank: u8) -> Vec<ControlOp> {
        let user = self.people[whose].card.user;
        vec![ControlOp::SetRank { user, rank: Rank::new(rank).unwrap(), pins: vec![] }]
    }

    pub(super) fn remove(&self, whom: usize) -> Vec<ControlOp> {
        vec![remove(&self.people[whom])]
    }

    pub(super) fn admit(&self, whom: usize, rank: u8) -> Vec<ControlOp> {
        let card = self.people[whom].card.clone();
        vec![ControlOp::Admit { card, rank: Rank::new(rank).unwrap(), key_package: vec![] }]
    }

    fn arrivals(&self) -> Vec<Arrival> {
        let mut all = Replica::default();
        self.known.iter().for_each(|known| all.merge(known));
        all.events.into_iter().map(Arrival::Event).collect()
    }

    /// Every order gives these ranks, and these events and no others are void.
    #[track_caller]
    pub(super) fn ends(&self, orders: Option<usize>, ranks: &[Option<u8>], void: &[EventHash]) -> ControlLog {
        let log = in_every_order(&self.arrivals(), orders);
        self.check(&log, ranks, void);
        log
    }

    /// As [`Story::ends`], however many orders there are; and by the rules written down plainly.
    #[track_caller]
    pub(super) fn comes_to(&self, ranks: &[Option<u8>], void: &[EventHash]) -> ControlLog {
        let arrivals = self.arrivals();
        let needs = needs(&arrivals);
        let log = in_orders(&arrivals, &needs, all_orders(&needs));
        by_the_rules(&log);
        self.check(&log, ranks, void);
        log
    }

    #[track_caller]
    fn check(&self, log: &ControlLog, ranks: &[Option<u8>], void: &[EventHash]) {
        let found: Vec<_> = self.people.iter().map(|person| rank_of(log, person)).collect();
        assert_eq!(found, ranks);
        let is_void =
            |(event, verdict): (&ControlEvent, Verdict)| (verdict != Verdict::Counts).then_some(event.hash);
        let found: BTreeSet<EventHash> = log.events().filter_map(is_void).collect();
        assert_eq!(found, void.iter().copied().collect());
    }
}

pub(super) fn channel(name: &str) -> Vec<ControlOp> {
    vec![ControlOp::CreateChannel { name: name.into() }]
}

pub(super) fn channels(log: &ControlLog) -> Vec<&str> {
    let mut names: Vec<&str> = log.state().channels.values().map(|channel| channel.name.as_str()).collect();
    names.sort_unstable();
    names
}

/// The owner removes an administrator, who at that moment promotes, admits and creates; a member has seen some of it and goes
/// on, and a second administrator knows of nothing.
#[test]
fn revoke_against_act() {
    let mut story = Story::new(&[80, 10, 60], 1);
    story.act(0, story.remove(1));
    let promoted = story.act(1, story.set(2, 50));
    let admitted = story.act(1, story.admit(4, 10));
    story.hear(2, 1);
    // By the rank that the void promotion gave: in what it knew, it had it.
    story.act(2, channel("by rights then"));
    let created = story.act(1, channel("never"));
    story.act(3, channel("elsewhere"));
    let ranks = [Some(100), None, Some(10), Some(60), None];
    let log = story.ends(Some(60), &ranks, &[promoted, admitted, created]);
    assert_eq!(channels(&log), ["by rights then", "elsewhere"]);
}

/// Two remove each other and go on as if they had won; somebody builds on what the loser did.
#[test]
fn mutual_revocation_by_different_ranks() {
    let mut story = Story::new(&[50, 80, 60], 0);
    story.act(0, story.set(1, 90));
    story.hear(1, 0);
    story.act(1, story.remove(2));
    story.act(1, channel("of the winner"));
    let lost = story.act(2, story.remove(1));
    let created = story.act(2, channel("of the loser"));
    story.hear(3, 2);
    story.act(3, channel("on top"));
    story.act(0, channel("beside"));
    let log = story.ends(Some(105), &[Some(100), Some(90), None, Some(60)], &[lost, created]);
    assert_eq!(channels(&log), ["beside", "of the winner", "on top"]);
}

#[test]
fn mutual_revocation_by_equal_ranks() {
    let mut story = Story::new(&[50, 50], 0);
    story.act(0, story.set(1, 80));
    story.hear(1, 0);
    story.act(0, [story.set(2, 80), story.set(1, 50)].concat());
    story.hear(2, 0);
    story.act(1, story.remove(2));
    story.act(1, channel("of the senior"));
    let lost = story.act(2, story.remove(1));
    let created = story.act(2, channel("of the junior"));
    story.act(0, channel("beside"));
    let log = story.ends(Some(45), &[Some(100), Some(50), None], &[lost, created]);
    assert_eq!(channels(&log), ["beside", "of the senior"]);
}

/// B is demoted and promoted again by the owner, and demoted a little by somebody who knows of neither. What it did beside each
/// demotion falls if the rank that was left did not permit it, whatever came afterwards.
#[test]
fn demoted_and_promoted_again() {
    let mut story = Story::new(&[80, 10, 90], 2);
    story.act(0, story.set(1, 10));
    let beside = story.act(1, story.set(2, 50));
    story.hear(1, 0);
    let knowing = story.act(1, channel("too low"));
    story.act(0, story.set(1, 80));
    story.hear(1, 0);
    story.act(1, story.set(2, 30));
    let too_high = story.act(1, story.admit(4, 70));
    story.act(1, story.admit(5, 40));
    story.act(3, story.set(1, 60));
    let ranks = [Some(100), Some(80), Some(30), Some(90), None, Some(40)];
    story.ends(Some(40), &ranks, &[beside, knowing, too_high]);
}

/// The owner crowns another and steps down; the new owner puts the old one back to a member, who does not hear of it.
#[test]
fn an_ownership_changes_hands() {
    let mut story = Story::new(&[80, 80], 1);
    story.act(0, story.set(1, 100));
    story.act(0, story.set(0, 80));
    story.hear(1, 0);
    story.act(1, story.set(0, 10));
    let admitted = story.act(0, story.admit(3, 60));
    let created = story.act(0, channel("of the old owner"));
    story.act(1, channel("of the new owner"));
    // An administrator reaches for the owner before and after it stepped down: never high enough.
    let early = story.act(2, story.remove(0));
    story.hear(2, 0);
    let late = story.act(2, story.remove(0));
    let void = [admitted, created, early, late];
    let log = story.ends(Some(65), &[Some(10), Some(100), Some(80), None], &void);
    assert_eq!(channels(&log), ["of the new owner"]);
}

/// One owner crowns whom another removes at that moment; the crowned one acts as an owner, and the crowning one has stepped down.
#[test]
fn crowned_and_removed_at_once() {
    let mut story = Story::new(&[80, 80, 10], 0);
    story.act(0, story.set(2, 100));
    (1..4).for_each(|to| story.hear(to, 0));
    story.act(0, story.set(1, 100));
    story.act(0, story.set(0, 80));
    story.act(2, story.remove(1));
    story.act(2, channel("of the other owner"));
    story.hear(1, 0);
    let reached = story.act(1, story.remove(0));
    let reigned = story.act(1, story.set(3, 90));
    let ranks = [Some(80), None, Some(100), Some(10)];
    let log = story.ends(Some(15), &ranks, &[reached, reigned]);
    assert_eq!(channels(&log), ["of the other owner"]);
}

/// An administrator is removed while it is offline. It goes on: admits somebody who admits somebody, removes a moderator, and
/// goes on still when it has heard. The owner lets in one of those whom it admitted, who is a member from then on.
#[test]
fn an_administrator_acts_on_after_its_removal() {
    let mut story = Story::new(&[80, 50], 2);
    story.act(0, story.remove(1));
    let admits = story.act(1, story.admit(3, 50));
    let removes = story.act(1, story.remove(2));
    story.hear(3, 1);
    let admits_more = story.act(3, story.admit(4, 10));
    let creates = story.act(3, channel("of whom it admitted"));
    story.act(2, channel("of whom it removed"));
    story.hear(1, 0);
    let knowing = story.act(1, channel("after it heard"));
    story.hear(0, 3);
    story.act(0, story.admit(4, 20));
    let void = [admits, removes, admits_more, creates, knowing];
    let log = story.ends(Some(136), &[Some(100), None, Some(50), None, Some(20)], &void);
    assert_eq!(channels(&log), ["of whom it removed"]);
}

/// An administrator's chain forks, and the proof comes at any time, before the administrator is known too.
#[test]
fn a_fork_is_proven_at_any_time() {
    let mut story = Story::new(&[80, 10], 1);
    story.act(1, story.set(2, 60));
    story.hear(2, 1);
    story.act(2, channel("by what it did before"));
    let admitted = story.act(1, story.admit(3, 50));
    story.hear(3, 1);
    let orphaned = story.act(3, channel("by whom it admitted"));
    let created = story.act(1, channel("on the fork"));
    story.hear(0, 1);
    story.act(0, story.set(2, 70));
    let proof = Arrival::Proof(story.people[1].device.id(), 2);
    let log = in_every_order(&[story.arrivals(), vec![proof]].concat(), Some(150));
    story.check(&log, &[Some(100), Some(80), Some(70), None], &[admitted, orphaned, created]);
    assert_eq!(channels(&log), ["by what it did before"]);
}

/// Six act at once, each a few times: too many orders to try them all.
#[test]
fn everybody_at_once() {
    let mut story = Story::new(&[80, 80, 60, 60, 60], 0);
    story.act(0, story.remove(1));
    story.act(0, channel("a"));
    let removes = story.act(1, story.remove(4));
    story.act(2, story.remove(3));
    story.act(2, story.set(5, 10));
    let removed = story.act(3, channel("d"));
    let demoted = ["f", "g"].map(|name| story.act(5, channel(name)));
    ["e", "h"].into_iter().for_each(|name| _ = story.act(4, channel(name)));
    let ranks = [Some(100), None, Some(80), None, Some(60), Some(10)];
    let log = story.ends(None, &ranks, &[removes, removed, demoted[0], demoted[1]]);
    assert_eq!(channels(&log), ["a", "e", "h"]);
}

/// An administrator was removed, and in an older past made up one who made up another, who removed a moderator: nobody of them was
/// ever a member, but all that the moderator had done since was void (ADR 0004).
#[test]
fn whom_only_void_events_admitted_cuts_nobody_off() {
    let mut story = Story::new(&[80, 50], 2);
    story.act(0, story.remove(1));
    let admits = story.act(1, story.admit(3, 70));
    story.hear(3, 1);
    let admits_more = story.act(3, story.admit(4, 60));
    story.hear(4, 3);
    let removes = story.act(4, story.remove(2));
    ["c", "d"].into_iter().for_each(|name| _ = story.act(2, channel(name)));
    let ranks = [Some(100), None, Some(50), None, None];
    let log = story.ends(Some(60), &ranks, &[admits, admits_more, removes]);
    assert_eq!(channels(&log), ["c", "d"]);
}

/// D removes B by a rank that C, who removes D, does not know of: D's removal is cut off by that of a lower rank, and then
/// nothing of B's may fall by it.
#[test]
fn a_removal_that_is_cut_off_cuts_nobody_off() {
    let mut story = Story::new(&[70, 55, 60], 0);
    story.act(0, story.set(2, 80));
    story.hear(2, 0);
    story.act(1, story.remove(2));
    let removes = story.act(2, story.remove(3));
    story.act(3, channel("b"));
    let log = story.ends(Some(12), &[Some(100), Some(70), None, Some(60)], &[removes]);
    assert_eq!(channels(&log), ["b"]);
}

/// Three remove each other in a ring, each by what it alone has heard: the highest rank holds, whom it removed removes
/// nobody, and the third, whom nobody removes any more, holds beside it.
#[test]
fn a_ring_of_removals_is_opened_where_the_rank_is_highest() {
    let mut story = Story::new(&[60, 50, 55], 0);
    story.act(0, story.set(2, 70));
    story.hear(2, 0);
    story.act(0, story.set(3, 80));
    story.hear(3, 0);
    let lost = story.act(1, story.remove(2));
    story.act(2, story.remove(3));
    story.act(3, story.remove(1));
    story.ends(Some(15), &[Some(100), None, Some(70), None], &[lost]);
}

/// B was admitted before C, so of two removals by equals B's holds. A guest, who may admit nobody, admits B again, at any moment:
/// the last event that named a device once said since when it is a member, void ones too, and B lost.
#[test]
fn a_void_admission_makes_nobody_junior() {
    let mut story = Story::new(&[50, 50, 10], 0);
    let readmitted = story.act(3, story.admit(1, 0));
    let again = ControlOp::Genesis { name: "s".into(), owner: story.people[1].card.clone(), salt: [1; 16] };
    let founded = story.act(3, vec![again]);
    story.act(0, story.set(1, 80));
    story.hear(1, 0);
    story.act(0, [story.set(2, 80), story.set(1, 50)].concat());
    story.hear(2, 0);
    story.act(1, story.remove(2));
    let lost = story.act(2, story.remove(1));
    let ranks = [Some(100), Some(50), None, Some(10)];
    story.ends(Some(45), &ranks, &[readmitted, founded, lost]);
}

/// M is removed, and in an older past admits C, whom the owner admitted after B: that event falls, and C is as junior as before.
#[test]
fn an_admission_that_fell_makes_nobody_senior() {
    let mut story = Story::new(&[80], 2);
    let (m, b, c) = (1, 2, 3);
    story.act(0, channel("so that B's and C's admissions come later"));
    story.act(0, story.admit(b, 50));
    story.act(0, story.admit(c, 50));
    story.act(0, story.remove(m));
    let fell = story.act(m, story.admit(c, 50));
    story.act(0, story.set(b, 80));
    story.hear(b, 0);
    story.act(0, [story.set(c, 80), story.set(b, 50)].concat());
    story.hear(c, 0);
    story.act(b, story.remove(c));
    let lost = story.act(c, story.remove(b));
    story.ends(Some(27), &[Some(100), None, Some(50), None], &[fell, lost]);
}

/// A device that two users call theirs is the one's by whom it was admitted. The other user is removed while it acts, and then
/// whoever may admit nobody shows the other card: what the device did stays.
#[test]
fn a_void_admission_makes_no_device_somebody_elses() {
    let mut story = Story::new(&[60, 50, 10], 0);
    story.act(0, story.remove(1));
    story.act(2, channel("of C's device"));
    let other = DeviceKey::from_seed(&Secret::take(&mut [2 ^ 0x80; 32]));
    let card = Card::issue(&other, "p2", &story.people[2].device);
    let shown = story.act(3, vec![ControlOp::Admit { card, rank: Rank::GUEST, key_package: vec![] }]);
    let log = story.ends(Some(6), &[Some(100), None, Some(50), Some(10)], &[shown]);
    assert_eq!(channels(&log), ["of C's device"]);
}

/// B removes M, and so does the owner, while M admits X a second time and X removes B. The owner's removal alone makes M's
/// admission void, so B's threatens X no more: it falls with B, though B is of higher rank.
#[test]
fn an_admission_that_fell_holds_nobody_up() {
    let mut story = Story::new(&[60, 80], 1);
    let (m, b, x) = (1, 2, 3);
    story.act(0, story.admit(x, 50));
    story.act(0, story.set(b, 50));
    story.act(0, story.set(x, 70));
    story.hear(x, 0);
    story.act(0, story.remove(m));
    let fell = story.act(m, story.admit(x, 40));
    let lost = story.act(b, story.remove(m));
    story.act(x, story.remove(b));
    story.ends(Some(84), &[Some(100), None, None, Some(70)], &[fell, lost]);
}
