//! What a read does about holders that are slow, silent or false, in time that only the test moves.
use super::*;

/// A cluster, an item that it keeps, and each node's shard of it.
struct Kept {
    state: State,
    name: ItemName,
    bytes: Vec<u8>,
    shards: BTreeMap<NodeId, Vec<u8>>,
}

fn peers(nodes: u32) -> impl Iterator<Item = NodeId> {
    (2..=nodes).map(node)
}

fn reaching(options: NodeOptions, state: &State, nodes: u32) -> Node {
    let mut one = Node::new(CLUSTER, node(1), key(1), options, Box::new(Dice(1)));
    for other in peers(nodes) {
        one.handle(Moment(1), state, Input::Reachable(other, true));
        one.handle(Moment(1), state, Input::Peer(other, Message::Ping(None)));
    }
    one
}

/// Node 1 puts it, and everybody keeps what he is sent.
fn kept(nodes: u32) -> Kept {
    let (mut state, _) = founded(nodes);
    let mut one = reaching(NodeOptions::default(), &state, nodes);
    let bytes = vec![5; 900];
    let name = ItemName::of_blob(&bytes);
    let put = Request::Put { name, bytes: bytes.clone(), expires_ms: 0 };
    let mut shards = BTreeMap::new();
    let mut outputs = one.handle(Moment(1), &state, Input::Client(Call(1), None, put));
    let mut acknowledged = false;
    while let Some(output) = outputs.pop() {
        let about = |bytes: &[u8]| {
            let shard = Shard::decode(bytes).unwrap();
            (shard.stripe(), shard.index(), shard.hash())
        };
        let input = match output {
            Output::Send(to, Message::Keep(call, bytes)) => {
                let receipt = Receipt::sign(CLUSTER, about(&bytes), to, u64::MAX, &key(to.0.get() as u8));
                shards.insert(to, bytes);
                Input::Peer(to, Message::Kept(call, Ok(receipt)))
            }
            Output::Disk(call, DiskWork::Keep(bytes)) => {
                let (stripe, index, hash) = about(&bytes);
                shards.insert(node(1), bytes);
                Input::Disk(call, DiskDone::Kept(stripe, index, hash))
            }
            Output::Propose(call, entry) => {
                let outcome = state.apply(state.applied() + 1, &entry).outcome;
                Input::Proposed(call, Ok(outcome))
            }
            Output::Reply(Call(1), response) => {
                acknowledged = response == Response::Put(crate::Fate::Added);
                continue;
            }
            _ => continue,
        };
        outputs.extend(one.handle(Moment(2), &state, input));
    }
    assert!(acknowledged && shards.len() == nodes as usize);
    Kept { state, name, bytes, shards }
}

/// How a holder answers: after so many microseconds, with this.
type Answer = (u64, Result<Vec<u8>, Lack>);

impl Kept {
    /// Reads through this node from then on; who answers how is what `answer` says of each. What came, and after how long.
    fn read(&self, one: &mut Node, from: u64, answer: impl Fn(NodeId) -> Answer) -> (Response, u64) {
        let mut coming: BTreeMap<(u64, u64), Input> = BTreeMap::new();
        let (mut now, mut number) = (from, 0);
        let mut outputs =
            one.handle(Moment(now), &self.state, Input::Client(Call(1), None, Request::Get(self.name)));
        loop {
            for output in std::mem::take(&mut outputs) {
                number += 1;
                let (after, input) = match output {
                    Output::Reply(Call(1), response) => return (response, now - from),
                    Output::Send(to, Message::Fetch(call, _, _)) => {
                        let (after, result) = answer(to);
                        (after, Input::Peer(to, Message::Fetched(call, result)))
                    }
                    Output::Disk(call, DiskWork::Fetch(..)) => {
                        (500, Input::Disk(call, DiskDone::Fetched(self.shards.get(&node(1)).cloned())))
                    }
                    Output::Barrier(call) => (500, Input::Barrier(call, true)),
                    _ => continue,
                };
                coming.insert((now + after, number), input);
            }
            let tick = now + 5 * MILLISECOND - now % (5 * MILLISECOND);
            let next = coming.first_key_value().map(|(at, _)| *at).filter(|(at, _)| *at < tick);
            let (at, input) = match next {
                Some(key) => (key.0, coming.remove(&key).unwrap()),
                None => (tick, Input::Tick),
            };
            now = at;
            outputs = one.handle(Moment(now), &self.state, input);
            assert!(now < from + 60 * SECOND, "no answer");
        }
    }

    fn honest(&self, holder: NodeId) -> Answer {
        (MILLISECOND, Ok(self.shards[&holder].clone()))
    }

    fn got(&self) -> Response {
        Response::Got(Some(self.bytes.clone()))
    }
}

fn options(hedge_after: u64) -> NodeOptions {
    NodeOptions { hedge_after, cache_len: 0, ..NodeOptions::default() }
}

/// A node that answers late holds nobody up for longer than it takes to ask another; without that it would, which the test sees too.
#[test]
fn a_slow_node_does_not_hold_up_a_read() {
    let kept = kept(7);
    let hedge = NodeOptions::default().hedge_after;
    let mut held_up = 0;
    for slow in peers(7) {
        let answer = |holder| match holder == slow {
            true => (SECOND, Ok(kept.shards[&holder].clone())),
            false => kept.honest(holder),
        };
        let mut patient = reaching(options(30 * SECOND), &kept.state, 7);
        let (got, took) = kept.read(&mut patient, 10, answer);
        assert_eq!(got, kept.got());
        if took < SECOND {
            assert!(took < 3 * MILLISECOND, "the slow one was not asked, {took} us");
            continue;
        }
        held_up += 1;
        let mut one = reaching(options(hedge), &kept.state, 7);
        let (got, took) = kept.read(&mut one, 10, answer);
        assert_eq!(got, kept.got());
        // The clock ticks every 5 ms.
        assert!(took >= hedge && took < hedge + 8 * MILLISECOND, "{slow} held it up for {took} us");
        let (got, took) = kept.read(&mut one, 2 * SECOND, answer);
        assert_eq!(got, kept.got());
        assert!(took < 3 * MILLISECOND, "who was slow is asked last: {took} us");
    }
    assert_eq!(held_up, 2, "three shards are read: its own, and of two others");
}

/// Who never answers is the same, and who cannot be reached is not even asked.
#[test]
fn a_silent_node_does_not_hold_up_a_read() {
    let kept = kept(7);
    for silent in peers(7) {
        let answer = |holder| match holder == silent {
            true => (3600 * SECOND, Err(Lack::Missing)),
            false => kept.honest(holder),
        };
        let mut one = reaching(options(NodeOptions::default().hedge_after), &kept.state, 7);
        let (got, took) = kept.read(&mut one, 10, answer);
        assert_eq!(got, kept.got());
        assert!(took < NodeOptions::default().hedge_after + 8 * MILLISECOND, "{took} us");
        one.handle(Moment(SECOND), &kept.state, Input::Reachable(silent, false));
        let (got, took) = kept.read(&mut one, 2 * SECOND, |holder| {
            assert_ne!(holder, silent);
            kept.honest(holder)
        });
        assert!(got == kept.got() && took < 3 * MILLISECOND, "{took} us");
    }
}

/// A holder that gives other bytes costs one more question. Where it is one too many, the error names it and nobody else.
#[test]
fn a_holder_that_gives_other_bytes_is_named_and_read_around() {
    let kept = kept(7);
    let other = with_a_stripe();
    let counts = other.stripes()[&STRIPE].record.counts();
    let of_another_stripe = Shard::new(STRIPE, counts, 1, &payload(1)).unwrap().encode();
    let forge = |holder: NodeId| -> Vec<u8> {
        let mut own = kept.shards[&holder].clone();
        match holder.0.get() % 4 {
            0 => *own.last_mut().unwrap() ^= 1,
            1 => own.clone_from(&kept.shards[&node(1)]),
            2 => own.clone_from(&of_another_stripe),
            _ => own.truncate(9),
        }
        own
    };
    for liars in 1..=6 {
        let answer = |holder: NodeId| match holder.0.get() <= 1 + liars {
            true => (MILLISECOND, Ok(forge(holder))),
            false => kept.honest(holder),
        };
        let mut one = reaching(options(NodeOptions::default().hedge_after), &kept.state, 7);
        let (got, _) = kept.read(&mut one, 10, answer);
        // Three shards are needed, and its own is sound.
        if liars <= 4 {
            assert_eq!(got, kept.got(), "{liars} of seven lie");
            continue;
        }
        let Response::Refused(Refused::Unreadable { have, need: 3, lacking }) = got else {
            panic!("{liars} lie: {got:?}");
        };
        let named: Vec<NodeId> = lacking.iter().filter_map(|(_, holder, _)| *holder).collect();
        assert_eq!(u32::from(have), 7 - liars);
        assert!(lacking.iter().all(|(_, _, lack)| *lack == Lack::Forged), "{lacking:?}");
        assert!((2..=1 + liars).map(node).all(|liar| named.contains(&liar)), "{lacking:?}");
        assert_eq!(named.len() as u32, liars, "nobody else: {lacking:?}");
    }
}
