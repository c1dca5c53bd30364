//! For each reason the events that an explanation names.
use super::*;
use crate::model::{Deciding, Explanation, Forks, Precedence, Reason, Role};
use crate::model::{Permission, Permissions};

fn set(person: &Person, rank: u8) -> ControlOp {
    ControlOp::SetRank { user: person.card.user, rank: Rank::new(rank).unwrap(), pins: vec![] }
}

fn admit(person: &Person, rank: u8) -> ControlOp {
    ControlOp::Admit { card: person.card.clone(), rank: Rank::new(rank).unwrap(), key_package: vec![] }
}

fn channel(name: &str) -> ControlOp {
    ControlOp::CreateChannel { name: name.into() }
}

fn named(deciding: &[Deciding]) -> Vec<(Role, EventHash)> {
    deciding.iter().map(|deciding| (deciding.role, deciding.hash)).collect()
}

/// Explains an event and checks that the explanation fits the log and names what is expected.
#[track_caller]
fn case(log: &ControlLog, hash: EventHash, reason: Reason, deciding: &[(Role, EventHash)]) -> Explanation {
    let told = log.explain(&hash, &Forks::new()).expect("the event is here");
    assert_eq!((told.reason, named(&told.deciding)), (reason, deciding.to_vec()));
    let (event, verdict) = log.events().find(|(event, _)| event.hash == hash).unwrap();
    assert_eq!((told.event, told.verdict), (event.stamp.event(), verdict), "as the log has it");
    assert_eq!(told.cited, event.parents);
    for deciding in &told.deciding {
        assert_eq!(log.event(&deciding.hash).unwrap().stamp.event(), deciding.event);
    }
    told
}

fn rank(rank: u8) -> Option<Rank> {
    Rank::new(rank)
}

fn together(replicas: &[&Replica]) -> ControlLog {
    let mut all = Replica::default();
    replicas.iter().for_each(|replica| all.merge(replica));
    all.log()
}

#[test]
fn what_counts_rests_on_an_admission_and_a_rank() {
    let people: Vec<Person> = (1..4).map(person).collect();
    let mut a = founded(&people, &[10, 10]);
    let (genesis, admitted) = (a.events[0].hash, a.events[1].hash);
    let raised = a.append(&people[0], vec![set(&people[1], 60)]);
    let created = a.append(&people[1], vec![channel("c")]);
    // Nothing that comes later changes what it rested on.
    a.append(&people[0], vec![set(&people[1], 10)]);
    let log = a.log();
    case(&log, genesis, Reason::Counts { rank: None }, &[]);
    case(&log, admitted, Reason::Counts { rank: rank(100) }, &[(Role::Admits, genesis)]);
    let told = case(
        &log,
        created,
        Reason::Counts { rank: rank(60) },
        &[(Role::Ranks, raised), (Role::Admits, admitted)],
    );
    assert_eq!((told.counts(), told.cited), (true, vec![raised]));
}

#[test]
fn a_removal_that_its_target_did_not_know_of_is_named() {
    let people: Vec<Person> = (1..4).map(person).collect();
    let mut a = founded(&people, &[80, 10]);
    let mut b = a.clone();
    let removed = a.append(&people[0], vec![remove(&people[1])]);
    let acted = b.append(&people[1], vec![channel("late")]);
    let log = together(&[&a, &b]);
    let cut_off = Reason::CutOff { lost: None, held_by: None };
    assert!(!case(&log, acted, cut_off, &[(Role::CutsOff, removed)]).counts());
    let (genesis, admitted) = (a.events[0].hash, a.events[1].hash);
    case(&log, removed, Reason::Counts { rank: rank(100) }, &[(Role::Admits, genesis)]);
    // Until both are here nothing is amiss.
    case(&b.log(), acted, Reason::Counts { rank: rank(80) }, &[(Role::Admits, admitted)]);
}

/// B and C remove each other: which holds is named from both sides, and why.
#[track_caller]
fn mutual(b: &Replica, c: &Replica, [held, lost]: [EventHash; 2], precedence: Precedence) {
    let log = together(&[b, c]);
    let cut_off = Reason::CutOff { lost: None, held_by: Some(precedence) };
    assert!(!case(&log, lost, cut_off, &[(Role::CutsOff, held)]).counts());
    let told = log.explain(&held, &Forks::new()).unwrap();
    assert!(told.counts());
    assert_eq!(named(&told.deciding).last(), Some(&(Role::GivesWay(precedence), lost)));
}

#[test]
fn of_mutual_removals_the_higher_rank_holds_and_is_named() {
    let people: Vec<Person> = (1..4).map(person).collect();
    let mut b = founded(&people, &[50, 80]);
    let mut c = b.clone();
    b.append(&people[0], vec![set(&people[1], 90)]);
    let by_b = b.append(&people[1], vec![remove(&people[2])]);
    let by_c = c.append(&people[2], vec![remove(&people[1])]);
    let ranks = Precedence::Rank { held: Rank::new(90).unwrap(), gave_way: Rank::ADMIN };
    mutual(&b, &c, [by_b, by_c], ranks);
}

/// The owner raises B, then C above B again: each of them acts on what it has seen of it, at rank 80.
fn two_of_rank_80(people: &[Person], mut base: Replica) -> [(Replica, EventHash); 2] {
    base.append(&people[0], vec![set(&people[1], 80)]);
    let mut b = base.clone();
    base.append(&people[0], vec![set(&people[2], 80), set(&people[1], 50)]);
    let by_b = b.append(&people[1], vec![remove(&people[2])]);
    let by_c = base.append(&people[2], vec![remove(&people[1])]);
    [(b, by_b), (base, by_c)]
}

#[test]
fn of_mutual_removals_by_equal_ranks_the_senior_holds_and_is_named() {
    let people: Vec<Person> = (1..4).map(person).collect();
    let base = founded(&people, &[50, 50]);
    let (first, second) = (base.events[1].stamp, base.events[2].stamp);
    let [(b, by_b), (c, by_c)] = two_of_rank_80(&people, base);
    let seniority = Precedence::Seniority { held: Some(first), gave_way: Some(second) };
    mutual(&b, &c, [by_b, by_c], seniority);
}

#[test]
fn of_mutual_removals_by_equals_the_lower_hash_holds_and_is_named() {
    let people: Vec<Person> = (1..4).map(person).collect();
    let mut base = founded(&people[..1], &[]);
    // One event admits both, so neither is senior.
    base.append(&people[0], vec![admit(&people[1], 50), admit(&people[2], 50)]);
    let [(b, by_b), (c, by_c)] = two_of_rank_80(&people, base);
    mutual(&b, &c, [by_b.min(by_c), by_b.max(by_c)], Precedence::Hash);
}

#[test]
fn what_came_beside_a_demotion_stays_void_after_the_promotion() {
    let people: Vec<Person> = (1..4).map(person).collect();
    let mut a = founded(&people, &[80, 10]);
    let admitted = a.events[1].hash;
    let mut b = a.clone();
    let demoted = a.append(&people[0], vec![set(&people[1], 10)]);
    let beside = b.append(&people[1], vec![channel("beside")]);
    let mut low = a.clone();
    let meanwhile = low.append(&people[1], vec![channel("meanwhile")]);
    let promoted = a.append(&people[0], vec![set(&people[1], 80)]);
    let mut high = a.clone();
    let after = high.append(&people[1], vec![channel("after")]);
    let log = together(&[&b, &high]);
    let cut_off = Reason::CutOff { lost: Some(Permission::ManageChannels), held_by: None };
    case(&log, beside, cut_off, &[(Role::CutsOff, demoted)]);
    let [ranks, admits] = [(Role::Ranks, promoted), (Role::Admits, admitted)];
    case(&log, after, Reason::Counts { rank: rank(80) }, &[ranks, admits]);
    // Who acts on the demotion lacks the rank, whatever comes beside it.
    let lacks = Some(Permission::ManageChannels);
    let forbidden = Reason::Forbidden { rank: rank(10), operation: 0, lacks };
    let log = together(&[&a, &low]);
    case(&log, meanwhile, forbidden, &[(Role::Ranks, demoted), (Role::Admits, admitted)]);
}

#[test]
fn a_lack_of_rank_names_what_gave_the_ranks() {
    let people: Vec<Person> = (1..5).map(person).collect();
    let mut a = founded(&people, &[60, 50]);
    let (genesis, b, c) = (a.events[0].hash, a.events[1].hash, a.events[2].hash);
    let raised = a.append(&people[0], vec![set(&people[1], 70)]);
    let too_high = a.append(&people[2], vec![channel("c"), remove(&people[1])]);
    // Who steps down first may not do in the same event what the rank before permitted.
    let stepped = a.append(&people[2], vec![set(&people[2], 10), channel("d")]);
    let crowned = a.append(&people[1], vec![admit(&people[3], 70)]);
    let again = a.append(&people[1], vec![admit(&people[2], 5)]);
    let founded_twice = ControlOp::Genesis { name: "x".into(), owner: people[1].card.clone(), salt: [0; 16] };
    let founded_twice = a.append(&people[1], vec![founded_twice]);
    let gone = a.append(&people[0], vec![remove(&people[2])]);
    let after = a.append(&people[2], vec![channel("e")]);
    let twice = a.append(&people[1], vec![remove(&people[2])]);
    let in_vain = a.append(&people[3], vec![channel("f")]);
    let stranger = a.append(&person(9), vec![channel("f")]);
    let unreadable = a.append(&people[0], vec![]);
    let log = a.log();
    let forbidden = |had: u8, operation| Reason::Forbidden { rank: rank(had), operation, lacks: None };
    let own = |hash| (Role::Admits, hash);
    let (rank_b, rank_b_as_target) = ((Role::Ranks, raised), (Role::RanksTarget, raised));
    case(&log, too_high, forbidden(50, 1), &[own(c), rank_b_as_target, (Role::AdmitsTarget, b)]);
    let lacks = Some(Permission::ManageChannels);
    let lacking = Reason::Forbidden { rank: rank(10), operation: 1, lacks };
    case(&log, stepped, lacking, &[(Role::Ranks, stepped), own(c)]);
    case(&log, crowned, forbidden(70, 0), &[rank_b, own(b)]);
    case(&log, again, forbidden(70, 0), &[rank_b, own(b), (Role::AdmitsTarget, c)]);
    case(&log, founded_twice, forbidden(70, 0), &[rank_b, own(b), (Role::Founds, genesis)]);
    let none = Reason::Forbidden { rank: None, operation: 0, lacks: None };
    case(&log, after, none, &[(Role::Removes, gone)]);
    case(&log, twice, forbidden(70, 0), &[rank_b, own(b), (Role::RemovesTarget, gone)]);
    case(&log, in_vain, none, &[(Role::AdmitsInVain, crowned)]);
    case(&log, stranger, none, &[]);
    case(&log, unreadable, Reason::Unreadable, &[]);
}

/// B admits C and C admits D while A removes B: each admission is explained by the one before.
#[test]
fn a_void_admission_is_followed_to_its_cause() {
    let people: Vec<Person> = (1..6).map(person).collect();
    let mut a = founded(&people[..2], &[80]);
    let mut b = a.clone();
    let removed = a.append(&people[0], vec![remove(&people[1])]);
    let admits_c = b.append(&people[1], vec![admit(&people[2], 60)]);
    let admits_d = b.append(&people[2], vec![admit(&people[3], 50)]);
    let created = b.append(&people[3], vec![channel("c")]);
    let log = together(&[&a, &b]);
    let told = case(&log, created, Reason::AdmissionVoid, &[(Role::AdmitsInVain, admits_d)]);
    let of_d = told.deciding[0].why.as_deref().unwrap();
    assert_eq!((of_d.hash, of_d.reason), (admits_d, Reason::AdmissionVoid));
    assert_eq!(named(&of_d.deciding), [(Role::AdmitsInVain, admits_c)]);
    let of_c = of_d.deciding[0].why.as_deref().unwrap();
    assert_eq!((of_c.hash, of_c.reason), (admits_c, Reason::CutOff { lost: None, held_by: None }));
    assert_eq!(named(&of_c.deciding), [(Role::CutsOff, removed)]);
    // Whoever acts on top of all that finds out that it was no member.
    let mut late = a.clone();
    late.merge(&b);
    let after = late.append(&people[3], vec![channel("d")]);
    let none = Reason::Forbidden { rank: None, operation: 0, lacks: None };
    let told = case(&late.log(), after, none, &[(Role::AdmitsInVain, admits_d)]);
    assert_eq!(told.deciding[0].why.as_deref().map(|why| why.reason), Some(Reason::AdmissionVoid));
}

/// Everybody admits the next one and all of it is void: an explanation of that ends.
#[test]
fn explanations_inside_one_another_are_bounded() {
    let people: Vec<Person> = (1..40).map(person).collect();
    let mut a = founded(&people[..2], &[80]);
    let mut b = a.clone();
    a.append(&people[0], vec![remove(&people[1])]);
    for n in 1..30 {
        b.append(&people[n], vec![admit(&people[n + 1], 79 - n as u8)]);
    }
    let created = b.append(&people[20], vec![channel("c")]);
    let told = together(&[&a, &b]).explain(&created, &Forks::new()).unwrap();
    let depth = std::iter::successors(Some(&told), |told| told.deciding.first()?.why.as_deref()).count();
    assert_eq!(depth, 1 + 16);
}

#[test]
fn an_equivocation_is_named_with_both_events() {
    let people: Vec<Person> = (1..4).map(person).collect();
    let mut a = founded(&people[..2], &[80]);
    let mut other = a.clone();
    let (device, fork) = (people[1].device.id(), a.events.len() as u64 - 1);
    assert_eq!(fork, 1, "B's first event is the forked one");
    let admits = a.append(&people[1], vec![admit(&people[2], 60)]);
    let branch = other.append(&people[1], vec![channel("other")]);
    let created = a.append(&people[2], vec![channel("c")]);
    let mut log = a.log();
    log.freeze(device, fork);
    let forks = Forks::from([(device, [admits, branch])]);
    let equivocated = Reason::Equivocated { from: 1, signed: Some([admits, branch]) };
    let told = log.explain(&admits, &forks).unwrap();
    assert_eq!(
        (told.reason, told.verdict, told.deciding.len()),
        (equivocated, Verdict::Void(EQUIVOCATED), 0)
    );
    // Whom the device admitted was no member.
    let told = log.explain(&created, &forks).unwrap();
    assert_eq!(told.reason, Reason::Forbidden { rank: None, operation: 0, lacks: None });
    assert_eq!(named(&told.deciding), [(Role::AdmitsInVain, admits)]);
    assert_eq!(told.deciding[0].why.as_deref().map(|why| why.reason), Some(equivocated));
    assert!(log.explain(&branch, &forks).is_none(), "the other branch is not here");
}

/// The owner takes from role 50 what B did by it, and gives role 60 less than role 50 has.
#[test]
fn a_missing_permission_is_named_with_what_took_it() {
    let people: Vec<Person> = (1..5).map(person).collect();
    let change = |rank: u8, give: Permissions, take: Permissions| ControlOp::ChangeRole {
        rank: Rank::new(rank).unwrap(),
        give,
        take,
        pins: vec![],
    };
    let none = Permissions::NONE;
    let mut a = founded(&people, &[50, 60]);
    let (b, c) = (a.events[1].hash, a.events[2].hash);
    let mut beside = a.clone();
    let acted = beside.append(&people[1], vec![channel("beside")]);
    let took = a.append(&people[0], vec![change(50, none, Permission::ManageChannels.into())]);
    let log = together(&[&a, &beside]);
    let lost = Some(Permission::ManageChannels);
    case(&log, acted, Reason::CutOff { lost, held_by: None }, &[(Role::CutsOff, took)]);
    let after = a.append(&people[1], vec![channel("after")]);
    let unrelated = a.append(&people[0], vec![change(50, none, Permission::Pin.into())]);
    let pinless = a.append(&people[0], vec![change(60, none, Permission::Moderate.into())]);
    let exceeds = a.append(&people[2], vec![admit(&people[3], 50)]);
    let log = a.log();
    let lacks =
        |rank_then, lacks| Reason::Forbidden { rank: rank(rank_then), operation: 0, lacks: Some(lacks) };
    let own = |hash| (Role::Admits, hash);
    case(&log, after, lacks(50, Permission::ManageChannels), &[(Role::ChangesRole, took), own(b)]);
    case(&log, exceeds, lacks(60, Permission::Moderate), &[(Role::ChangesRole, pinless), own(c)]);
    assert!(log.explain(&unrelated, &Forks::new()).unwrap().counts());
}
