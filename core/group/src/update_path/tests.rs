//! A member that lies about the lowest node of its path, which those in the other half of the tree cannot derive: properly signed, hashed
//! and confirmed, as the library makes it for a provider that lies to it.
mod liar;

use crate::{CipherSuite, DeviceSigner, Error, Group, KeyPackage, Successor, new_key_package, wire::Reader};
use liar::{Liar, Lie, Made};
use terachat_vault::{Entropy, Secret, SecretBytes};

const ROOT: [u8; 32] = [7; 32];

/// Counts, so that the same number draws the same.
struct Counting(u64);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 += 1;
        blake3::Hasher::new().update(&self.0.to_le_bytes()).finalize_xof().fill(out);
    }
}

struct Person {
    signer: DeviceSigner,
    entropy: Counting,
}

impl Person {
    fn new(number: u64) -> Self {
        let mut entropy = Counting(number << 32);
        Self { signer: DeviceSigner::new(&Secret::generate(|out| entropy.fill(out))), entropy }
    }

    fn key_package(&mut self, suite: CipherSuite) -> (KeyPackage, SecretBytes) {
        let (public, private) = new_key_package(suite, &self.signer, &mut self.entropy).unwrap();
        (KeyPackage::parse(&public).unwrap(), private)
    }
}

/// So many members, the first of whom let in the others by one commit.
fn members(suite: CipherSuite, count: u64) -> (Vec<Person>, Vec<Group>) {
    let mut people: Vec<_> = (1..=count).map(Person::new).collect();
    let (add, private): (Vec<_>, Vec<_>) =
        people[1..].iter_mut().map(|person| person.key_package(suite)).unzip();
    let founder = &mut people[0];
    let alone = Group::create(suite, &founder.signer, b"group", ROOT, &mut founder.entropy).unwrap();
    let change = crate::Change { add: &add, remove: &[], control_root: ROOT };
    let (first, commit) = alone.commit(&founder.signer, &change, &mut founder.entropy).unwrap();
    let (welcome, tree) = (commit.welcome.unwrap(), first.ratchet_tree());
    let join = |(person, private): (&Person, &SecretBytes)| {
        Group::join(&person.signer, &welcome, &tree, private).unwrap()
    };
    let others: Vec<_> = people[1..].iter().zip(&private).map(join).collect();
    (people, [first].into_iter().chain(others).collect())
}

/// Keys that nothing can be sealed for, in the place of `good`.
fn none_of(suite: CipherSuite, good: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new(), good[1..].to_vec(), [good, &[0]].concat()];
    match suite {
        CipherSuite::X25519 => {
            let mut second = [0; 32];
            second[0] = 1;
            all.extend([vec![0; 32], second.to_vec()]);
        }
        // A coefficient of 4095, and the least that is too large: 3329.
        CipherSuite::XWing => {
            for first in [[0xFF, 0xFF], [0x01, 0x0D]] {
                let mut bad = good.to_vec();
                (bad[0], bad[1]) = (first[0], bad[1] & 0xF0 | first[1] & 0x0F);
                all.push(bad);
            }
        }
    }
    all
}

/// The keys in a commit's path, the lowest first.
fn path(commit: &[u8], leaf_len: usize) -> Vec<Vec<u8>> {
    let mut reader = Reader::new("commit", commit);
    reader.take(4).unwrap();
    reader.vector().unwrap();
    reader.take(8).unwrap();
    if reader.byte().unwrap() == super::MEMBER {
        reader.take(4).unwrap();
    }
    reader.vector().unwrap();
    reader.byte().unwrap();
    reader.vector().unwrap();
    reader.take(1 + leaf_len).unwrap();
    let mut nodes = Reader::new("commit", reader.vector().unwrap());
    let mut keys = Vec::new();
    while !nodes.is_empty() {
        keys.push(nodes.vector().unwrap().to_vec());
        nodes.vector().unwrap();
    }
    keys
}

/// Makes something honestly, and then the same once more for each lie about its lowest node.
fn with_each_lie(suite: CipherSuite, make: impl Fn(Lie) -> Made) -> (Made, Vec<Made>) {
    let honest = make(None);
    let good = path(&honest.message, honest.leaf_len).remove(0);
    let lies = none_of(suite, &good).into_iter().map(|bad| make(Some((good.clone(), bad)))).collect();
    (honest, lies)
}

#[track_caller]
fn is_refused<T>(told: Result<T, Error>, what: &str) {
    match told {
        Err(Error::Invalid { what: of, detail }) if of == what => {
            assert!(detail.contains("nothing can be sealed for"), "{detail}");
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("the {what} was taken"),
    }
}

/// What the founder's commit has to reach after a bulk add: every member by itself. Each member that renews its keys stands for those
/// below the nodes that it fills, until a commit reaches one node for each level of the tree.
#[test]
fn commits_narrow_as_members_renew() {
    let (mut people, mut groups) = members(CipherSuite::X25519, 16);
    let change = crate::Change { add: &[], remove: &[], control_root: ROOT };
    let mut reached = Vec::new();
    for turn in 0..people.len() {
        let Person { signer, entropy } = &mut people[0];
        let (_, commit) = groups[0].commit(signer, &change, entropy).unwrap();
        reached.push(commit.message.len());
        // The founder's own turn is over with the bulk add.
        let who = (turn + 1) % people.len();
        let Person { signer, entropy } = &mut people[who];
        let (next, commit) = groups[who].commit(signer, &change, entropy).unwrap();
        for (at, group) in groups.iter_mut().enumerate().filter(|(at, _)| *at != who) {
            *group =
                group.process(&commit.message).unwrap_or_else(|error| panic!("{at}: {error}")).0.unwrap();
        }
        groups[who] = next;
    }
    // An encapsulation and a sealed path secret, each behind its length.
    let one = 33 + 49;
    let (first, last) = (reached[0], reached[reached.len() - 1]);
    assert!(reached.is_sorted_by(|wider, narrower| wider >= narrower), "{reached:?}");
    assert_eq!(first - last, (15 - 4) * one, "{reached:?}");
}

/// Of four, the third lies about the node above her and the fourth, whom alone she cannot deceive.
#[test]
fn a_commit_with_a_parent_key_that_is_none() {
    for suite in CipherSuite::ALL {
        let (people, groups) = members(suite, 4);
        let make = |lie: Lie| Liar::new(&groups[2], lie).commit(&people[2].signer, &[]);
        let (honest, lies) = with_each_lie(suite, make);
        for group in [&groups[0], &groups[1], &groups[3]] {
            assert!(group.process(&honest.message).is_ok());
            let before = group.to_bytes();
            for lie in &lies {
                let told = [group.process(&lie.message), group.look_ahead(&lie.message)];
                for told in told {
                    match group.device() == people[3].signer.device() {
                        // He has derived another key.
                        true => {
                            assert!(matches!(told, Err(Error::Invalid { what: "commit", .. })), "{told:?}")
                        }
                        false => is_refused(told, "commit"),
                    }
                }
            }
            assert_eq!(group.to_bytes().expose_secret(), before.expose_secret());
        }
    }
}

/// The third comes in anew by an external commit, and lies about the same node.
#[test]
fn a_rejoining_with_a_parent_key_that_is_none() {
    for suite in CipherSuite::ALL {
        let (people, groups) = members(suite, 4);
        let info = groups[0].group_info(&people[0].signer).unwrap();
        let tree = groups[0].ratchet_tree();
        let make = |lie: Lie| Liar::outside(lie).rejoin(&people[2].signer, suite, &info, &tree);
        let (honest, lies) = with_each_lie(suite, make);
        let device = people[2].signer.device();
        for group in [&groups[0], &groups[1]] {
            assert!(group.process_rejoin(&honest.message, &device).is_ok());
            let before = group.to_bytes();
            for lie in &lies {
                is_refused(group.process_rejoin(&lie.message, &device), "commit");
                is_refused(group.look_ahead(&lie.message), "commit");
            }
            assert_eq!(group.to_bytes().expose_secret(), before.expose_secret());
        }
    }
}

/// Such a key in a tree that is shown: to a newcomer, to one who takes its place again, be that node in its way or not, and to those who
/// are to follow into another group.
#[test]
fn a_tree_with_a_parent_key_that_is_none() {
    for suite in CipherSuite::ALL {
        let (people, groups) = members(suite, 4);
        let mut people = people.into_iter();
        let (mut founder, third) = (people.next().unwrap(), people.nth(1).unwrap());
        let (mut newcomer, mut fifth) = (Person::new(8), Person::new(9));
        let (package, private) = newcomer.key_package(suite);
        let add = std::slice::from_ref(&package);
        let make = |lie: Lie| Liar::new(&groups[2], lie).commit(&third.signer, add);
        let (honest, lies) = with_each_lie(suite, make);
        let join = |made: &Made| {
            let welcome = made.welcome.as_deref().unwrap();
            Group::join(&newcomer.signer, welcome, &made.group.ratchet_tree(), &private)
        };
        let shown = |made: &Made| (made.group.group_info(&third.signer).unwrap(), made.group.ratchet_tree());
        assert!(join(&honest).is_ok());
        for lie in &lies {
            is_refused(join(lie), "welcome");
            let (info, tree) = shown(lie);
            // His way goes past the node above it, and that is sound.
            is_refused(Group::rejoin(&fifth.signer, &info, &tree, &mut fifth.entropy), "group info");
            // Hers goes past that very node, so the library fails to seal for it.
            let told = Group::rejoin(&founder.signer, &info, &tree, &mut founder.entropy);
            assert!(matches!(told, Err(Error::Invalid { what: "group info", .. })), "{:?}", told.err());
        }
    }
}

#[test]
fn a_successor_with_a_parent_key_that_is_none() {
    for suite in CipherSuite::ALL {
        let mut people: Vec<_> = (1..=4).map(Person::new).collect();
        let add: Vec<_> = people[1..].iter_mut().map(|person| person.key_package(suite).0).collect();
        let maker = &mut people[0];
        let alone = Group::create(suite, &maker.signer, b"successor", ROOT, &mut maker.entropy).unwrap();
        let make = |lie: Lie| Liar::new(&alone, lie).commit(&maker.signer, &add);
        let (honest, lies) = with_each_lie(suite, make);
        let parse = |made: &Made| {
            Successor::parse(&made.group.group_info(&maker.signer).unwrap(), &made.group.ratchet_tree())
        };
        assert_eq!(parse(&honest).unwrap().members.len(), 4);
        lies.iter().for_each(|lie| is_refused(parse(lie), "group info"));
    }
}
