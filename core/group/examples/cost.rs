//! What a group costs: `cargo run --release -p terachat-group --example cost -- [members...]`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]
use std::time::{Duration, Instant};
use terachat_group::{Change, CipherSuite, DeviceSigner, Group, KeyPackage, new_key_package};
use terachat_vault::{Entropy, Secret};

const ROOT: [u8; 32] = [0; 32];
const ROUNDS: u32 = 20;

struct Seeded(blake3::OutputReader);

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }
}

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).map(|arg| arg.parse().unwrap()).collect();
    println!(
        "members  add all  join  commit  process  open  store (ms)    commit  welcome  tree  state (bytes)"
    );
    for members in if sizes.is_empty() { vec![10, 100, 1000] } else { sizes } {
        measure(members);
    }
}

fn measure(members: usize) {
    let mut entropy = Seeded(blake3::Hasher::new().update(&members.to_le_bytes()).finalize_xof());
    let people: Vec<_> =
        (0..members).map(|_| DeviceSigner::new(&Secret::generate(|out| entropy.fill(out)))).collect();
    let (packages, privates): (Vec<_>, Vec<_>) = people[1..]
        .iter()
        .map(|person| {
            let (public, private) = new_key_package(CipherSuite::X25519, person, &mut entropy).unwrap();
            (KeyPackage::parse(&public).unwrap(), private)
        })
        .unzip();
    let alone = Group::create(CipherSuite::X25519, &people[0], b"cost", ROOT, &mut entropy).unwrap();
    let bulk = Change { add: &packages, remove: &[], control_root: ROOT };
    let (add_all, (mut first, commit)) = time(|| alone.commit(&people[0], &bulk, &mut entropy).unwrap());
    let (welcome, tree) = (commit.welcome.unwrap(), first.ratchet_tree());
    let (join, mut second) = time(|| Group::join(&people[1], &welcome, &tree, &privates[0]).unwrap());
    let mut others: Vec<_> = (2..members.min(2 + ROUNDS as usize))
        .map(|i| Group::join(&people[i], &welcome, &tree, &privates[i - 1]).unwrap())
        .collect();

    // Some members update, as they will in a group that lives; then the committer has paths to speak to.
    let update = Change { add: &[], remove: &[], control_root: ROOT };
    for i in 0..others.len() {
        let (next, commit) = others[i].commit(&people[i + 2], &update, &mut entropy).unwrap();
        others[i] = next;
        for (_, other) in others.iter_mut().enumerate().filter(|(other, _)| *other != i) {
            *other = other.process(&commit.message).unwrap().0.unwrap();
        }
        first = first.process(&commit.message).unwrap().0.unwrap();
        second = second.process(&commit.message).unwrap().0.unwrap();
    }
    let (mut committing, mut processing, mut bytes) = (Duration::ZERO, Duration::ZERO, 0);
    for _ in 0..ROUNDS {
        let (took, (next, commit)) = time(|| first.commit(&people[0], &update, &mut entropy).unwrap());
        let (took_too, (other, _)) = time(|| second.process(&commit.message).unwrap());
        (first, second) = (next, other.unwrap());
        committing += took;
        processing += took_too;
        bytes = commit.message.len();
    }
    let (store, state) = time(|| second.to_bytes());
    let (open, _) = time(|| Group::from_bytes(state.expose_secret()).unwrap());
    println!(
        "{members:7} {:8.1} {:5.1} {:7.2} {:8.2} {:5.2} {:6.2}    {bytes:14} {:8} {:6} {:6}",
        ms(add_all),
        ms(join),
        ms(committing / ROUNDS),
        ms(processing / ROUNDS),
        ms(open),
        ms(store),
        welcome.len(),
        tree.len(),
        state.expose_secret().len()
    );
}

fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
