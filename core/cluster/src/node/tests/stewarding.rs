//! What a leader counts and has mended, and who is believed.
use super::*;

fn led() -> Node {
    let mut one = started();
    let (state, _) = founded(4);
    for number in 2..=4 {
        one.handle(Moment(1), &state, Input::Reachable(node(number), true));
    }
    one.handle(Moment(1), &state, Input::Leader(Some(node(1))));
    one
}

/// A round of counting, in which each node says that it has its own shard, but for these.
fn round(one: &mut Node, state: &State, now: Moment, without: &[u8]) -> Vec<Output> {
    for number in 2..=4 {
        one.handle(now, state, Input::Peer(node(number), Message::Ping(None)));
    }
    let asked = one.handle(now, state, Input::Tick);
    let call = asked.iter().find_map(|output| match output {
        Output::Send(_, Message::Count(call, ..)) => Some(*call),
        _ => None,
    });
    let call = call.expect("the members are asked what they have");
    let own = asked.iter().find_map(|output| match output {
        Output::Disk(call, DiskWork::Count(..)) => Some(*call),
        _ => None,
    });
    let record = state.stripes()[&STRIPE].record.clone();
    let has = |index: u8| {
        let shard = Counted { stripe: STRIPE, index, hash: record.hash(index).unwrap(), sound: true };
        if without.contains(&index) { Vec::new() } else { vec![shard] }
    };
    let own = Input::Disk(own.expect("the node counts too"), DiskDone::Counted(has(0)));
    let mut outputs = one.handle(now, state, own);
    for index in 1..4 {
        let message = Message::Counted(call, has(index));
        outputs.extend(one.handle(now, state, Input::Peer(node(u32::from(index) + 1), message)));
    }
    outputs
}

#[test]
fn what_was_mended_is_told_until_there_is_nothing_to_do() {
    let (state, mut one) = (with_a_stripe(), led());
    let nothing = Upkeep::default();
    assert_eq!((one.upkeep(), started().upkeep()), (Some(nothing), None));
    let now = Moment(2);
    let asked = round(&mut one, &state, now, &[2]);
    let mend = asked.iter().find_map(|output| match output {
        Output::Send(to, Message::Mend(call, STRIPE, 2, None)) => Some((*to, *call)),
        _ => None,
    });
    let (to, call) = mend.expect("the lost shard is made anew");
    assert_eq!(to, node(3));
    assert_eq!(one.upkeep(), Some(Upkeep { lasted: Some(0), ..nothing }));
    let hash = state.stripes()[&STRIPE].record.hash(2).unwrap();
    let receipt = Receipt::sign(CLUSTER, (STRIPE, 2, hash), node(3), u64::MAX, &key(3));
    let later = Moment(SECOND);
    one.handle(later, &state, Input::Peer(node(3), Message::Mended(call, Ok(receipt))));
    let lasted = Some(SECOND - 2);
    assert_eq!(one.upkeep(), Some(Upkeep { lasted, shards: 1, bytes: 100, short_of_nodes: 0 }));
    // The rest after a round in which there was something to do, and a round in which there is not.
    one.handle(later, &state, Input::Tick);
    assert_eq!(one.health().shards(), Some((3, 4)));
    round(&mut one, &state, Moment(2 * SECOND), &[]);
    one.handle(Moment(2 * SECOND + 1), &state, Input::Tick);
    assert_eq!((one.health().shards(), one.upkeep()), (Some((4, 4)), Some(nothing)));
}

/// A node that was silent when the members were asked, and answers by the time that all others have: nobody knows what it has, so
/// nothing of it is lost. It was taken for lost, made anew elsewhere, and the sound shard was given up as one too many.
#[test]
fn who_was_not_asked_has_lost_nothing() {
    let (state, mut one) = (with_a_stripe(), led());
    let later = Moment(SECOND);
    for number in [2, 4] {
        one.handle(later, &state, Input::Peer(node(number), Message::Ping(None)));
    }
    let asked = one.handle(later, &state, Input::Tick);
    let of_members = asked.iter().filter_map(|output| match output {
        Output::Send(to, Message::Count(call, ..)) => Some((*to, *call)),
        _ => None,
    });
    let of_members: Vec<(NodeId, Call)> = of_members.collect();
    assert_eq!(of_members.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [node(2), node(4)]);
    let own = asked.iter().find_map(|output| match output {
        Output::Disk(call, DiskWork::Count(..)) => Some(*call),
        _ => None,
    });
    one.handle(later, &state, Input::Peer(node(3), Message::Ping(None)));
    let record = state.stripes()[&STRIPE].record.clone();
    let has =
        |index: u8| vec![Counted { stripe: STRIPE, index, hash: record.hash(index).unwrap(), sound: true }];
    let mut outputs =
        one.handle(later, &state, Input::Disk(own.expect("the node counts too"), DiskDone::Counted(has(0))));
    for (to, call) in of_members {
        let index = u8::try_from(to.0.get()).unwrap() - 1;
        let counted = Message::Counted(call, has(index));
        outputs.extend(one.handle(later, &state, Input::Peer(to, counted)));
    }
    let mends = outputs.iter().filter(|output| matches!(output, Output::Send(_, Message::Mend(..))));
    assert_eq!(mends.count(), 0, "{outputs:?}");
    one.handle(later, &state, Input::Tick);
    assert_eq!(one.health().shards(), Some((3, 4)), "it does not count before it has said so");
}

/// A stripe of four of whose nodes one has left: its shard has nowhere to go.
#[test]
fn a_stripe_that_is_short_of_nodes_is_told() {
    let (mut state, mut one) = (with_a_stripe(), led());
    let left = crate::testing::deed(&state, 1, 0, crate::What::Left(node(4)));
    state.apply(state.applied() + 1, &left);
    round(&mut one, &state, Moment(2), &[3]);
    one.handle(Moment(SECOND), &state, Input::Tick);
    assert_eq!(one.upkeep().map(|upkeep| upkeep.short_of_nodes), Some(1));
}

/// A node whose disk fails or hangs while it answers everything else: after a while what it had is made anew on another one. One that says
/// that it counts is waited for.
#[test]
fn who_cannot_count_is_away_in_time() {
    let away_after = NodeOptions::default().away_after;
    for says_so in [false, true] {
        let (state, mut one) = (with_a_stripe_among(5), led());
        one.handle(Moment(1), &state, Input::Reachable(node(5), true));
        let record = state.stripes()[&STRIPE].record.clone();
        let has = |number: u32| {
            let index = u8::try_from(number).unwrap() - 1;
            let shard = record.hash(index).filter(|_| number < 5);
            shard
                .map(|hash| Counted { stripe: STRIPE, index, hash, sound: true })
                .into_iter()
                .collect::<Vec<_>>()
        };
        let mut mends: Vec<(u64, NodeId)> = Vec::new();
        for tick in 0..400 {
            let now = Moment(SECOND + tick * SECOND / 4);
            for number in 2..=5 {
                one.handle(now, &state, Input::Peer(node(number), Message::Ping(None)));
            }
            let mut outputs = one.handle(now, &state, Input::Tick);
            while let Some(output) = outputs.pop() {
                let input = match output {
                    Output::Disk(call, DiskWork::Count(..)) => Input::Disk(call, DiskDone::Counted(has(1))),
                    Output::Send(to, Message::Count(call, ..)) if to != node(3) => {
                        Input::Peer(to, Message::Counted(call, has(to.0.get())))
                    }
                    Output::Send(to, Message::Count(call, ..)) if says_so => {
                        Input::Peer(to, Message::Counting(call))
                    }
                    Output::Send(to, Message::Mend(_, STRIPE, 2, None)) => {
                        mends.push((now.0, to));
                        continue;
                    }
                    _ => continue,
                };
                outputs.extend(one.handle(now, &state, input));
            }
        }
        match says_so {
            true => assert_eq!(mends, []),
            false => {
                let (first, to) = *mends.first().expect("what it had is made anew");
                assert_eq!(to, node(5));
                assert!(first > away_after && first < 2 * away_after, "{first}");
            }
        }
    }
}

#[test]
fn only_the_leader_says_how_whole_all_is() {
    let (state, mut one) = (with_a_stripe(), started());
    let mut hear = |leader: Option<u32>, from: u32, said: Option<(u64, u64)>| {
        one.handle(Moment(1), &state, Input::Leader(leader.map(node)));
        one.handle(Moment(1), &state, Input::Peer(node(from), Message::Ping(said)));
        one.health().shards()
    };
    assert_eq!(hear(None, 2, Some((9, 9))), None);
    assert_eq!(hear(Some(3), 2, Some((9, 9))), None);
    assert_eq!(hear(Some(3), 3, Some((3, 4))), Some((3, 4)));
    assert_eq!(hear(Some(3), 2, Some((9, 9))), Some((3, 4)));
    assert_eq!(hear(Some(2), 2, None), Some((3, 4)), "it has not counted yet");
    assert_eq!(hear(Some(2), 2, Some((4, 4))), Some((4, 4)));
}

/// What has to be read before a count is read in steps, between which others have the disk.
#[test]
fn a_count_waits_for_what_is_to_be_read() {
    let (state, mut two) =
        (founded(4).0, Node::new(CLUSTER, node(2), key(2), NodeOptions::default(), Box::new(Dice(1))));
    let rate = NodeOptions::default().repair_rate;
    let whole = (StripeId([0; 16]), StripeId([0xff; 16]));
    let counts = |outputs: &[Output]| -> Vec<Call> {
        let count = |output: &Output| match output {
            Output::Disk(call, DiskWork::Count(..)) => Some(*call),
            _ => None,
        };
        outputs.iter().filter_map(count).collect()
    };
    let at = |micros: u64| Moment(SECOND + micros);
    let ask = |number: u64| Input::Peer(node(1), Message::Count(Call(number), whole.0, whole.1));
    let first = counts(&two.handle(at(0), &state, ask(1)));
    let [first] = first[..] else { panic!("once: {first:?}") };
    // Nobody wants anything: at once. That it takes its time is said once.
    let outputs = two.handle(at(1), &state, Input::Disk(first, DiskDone::Uncounted(rate)));
    assert!(outputs.contains(&Output::Send(node(1), Message::Counting(Call(1)))));
    let second = counts(&outputs);
    let [second] = second[..] else { panic!("once: {second:?}") };
    // A member wants a shard: after as long as the rate says.
    two.handle(at(2), &state, Input::Peer(node(3), Message::Fetch(Call(9), STRIPE, 0)));
    let uncounted = Input::Disk(second, DiskDone::Uncounted(rate / 2));
    assert_eq!(two.handle(at(3), &state, uncounted), []);
    assert_eq!(counts(&two.handle(at(3 + SECOND / 2 - 1), &state, Input::Tick)), []);
    let third = counts(&two.handle(at(3 + SECOND / 2), &state, Input::Tick));
    let [third] = third[..] else { panic!("once: {third:?}") };
    // The leader gave it up and asks for something else: that is counted next, and what it does not want is not.
    assert_eq!(counts(&two.handle(at(SECOND), &state, ask(2))), []);
    let next = counts(&two.handle(at(SECOND), &state, Input::Disk(third, DiskDone::Uncounted(1))));
    let [next] = next[..] else { panic!("once: {next:?}") };
    let told = two.handle(at(SECOND), &state, Input::Disk(next, DiskDone::Counted(Vec::new())));
    assert_eq!(told, [Output::Send(node(1), Message::Counted(Call(2), Vec::new()))]);
}
