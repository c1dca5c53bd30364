//! Random operations against a naive model: who is in the set, and what the control root is.
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
mod world;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use terachat_group::{Change, DeviceId, Error, Group, KeyPackage};
use terachat_vault::SecretBytes;
use world::{Person, ROOT, agree, same_epoch};

const PEOPLE: usize = 6;

#[derive(Debug, Clone)]
struct Step {
    committer: prop::sample::Index,
    add: BTreeSet<usize>,
    remove: BTreeSet<usize>,
    root: Option<u8>,
    /// The commit loses against an empty one of this member, and is made again on top.
    rival: Option<prop::sample::Index>,
}

fn step() -> impl Strategy<Value = Step> {
    let some = || prop::collection::btree_set(0..PEOPLE, 0..3);
    (any::<prop::sample::Index>(), some(), some(), any::<Option<u8>>(), any::<Option<prop::sample::Index>>())
        .prop_map(|(committer, add, remove, root, rival)| Step { committer, add, remove, root, rival })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn every_view_is_the_models_and_survives_storage(steps in prop::collection::vec(step(), 1..10)) {
        let mut people: Vec<_> = (1..=PEOPLE as u64).map(Person::new).collect();
        let mut groups = BTreeMap::from([(0, people[0].create())]);
        let (mut members, mut root) = (BTreeSet::from([0]), ROOT);

        for (number, step) in steps.into_iter().enumerate() {
            let pick = |index: prop::sample::Index| *members.iter().nth(index.index(members.len())).unwrap();
            let committer = pick(step.committer);
            let add: Vec<usize> = step.add.difference(&members).copied().collect();
            let remove: Vec<usize> = step.remove.intersection(&members).copied().filter(|&m| m != committer).collect();
            let root_next = step.root.map_or(root, |byte| [byte; 32]);
            let (packages, privates): (Vec<KeyPackage>, Vec<SecretBytes>) =
                add.iter().map(|&person| people[person].key_package()).unzip();
            let devices: Vec<DeviceId> = remove.iter().map(|&person| people[person].device()).collect();
            let change = Change { add: &packages, remove: &devices, control_root: root_next };

            let person = &mut people[committer];
            let (mut next, mut commit) =
                groups[&committer].commit(&person.signer, &change, &mut person.entropy).unwrap();
            if let Some(rival) = step.rival.map(pick).filter(|&rival| rival != committer) {
                // Everybody processes the losing commit first, then goes back to the value it kept.
                for (&member, group) in groups.iter().filter(|(member, _)| **member != committer) {
                    let (after, _) = group.process(&commit.message).unwrap();
                    prop_assert_eq!(after.is_none(), remove.contains(&member));
                }
                let (rivals, won) = people[rival].commit(&groups[&rival], &[], &[]);
                prop_assert_eq!(
                    next.process(&won.message).unwrap_err(),
                    Error::StaleEpoch { message: next.epoch() - 1, group: next.epoch() }
                );
                let mut after = BTreeMap::from([(rival, rivals)]);
                for (&member, group) in groups.iter().filter(|(member, _)| **member != rival) {
                    after.insert(member, group.process(&won.message).unwrap().0.unwrap());
                }
                groups = after;
                let person = &mut people[committer];
                (next, commit) = groups[&committer].commit(&person.signer, &change, &mut person.entropy).unwrap();
            }

            let mut after = BTreeMap::new();
            for (&member, group) in groups.iter().filter(|(member, _)| **member != committer) {
                let (view, summary) = group.process(&commit.message).unwrap();
                prop_assert_eq!(summary.committer, people[committer].device());
                prop_assert_eq!(summary.added.len(), add.len());
                prop_assert_eq!(summary.removed.iter().collect::<BTreeSet<_>>(), devices.iter().collect());
                prop_assert_eq!(summary.control_root, root_next);
                prop_assert_eq!(view.is_none(), remove.contains(&member));
                after.extend(view.map(|view| (member, view)));
            }
            prop_assert_eq!(commit.welcome.is_some(), !add.is_empty());
            if let Some(welcome) = commit.welcome {
                let tree = next.ratchet_tree();
                for (&newcomer, private) in add.iter().zip(&privates) {
                    let joined = Group::join(&people[newcomer].signer, &welcome, &tree, private).unwrap();
                    after.insert(newcomer, joined);
                }
            }
            after.insert(committer, next);

            members.extend(&add);
            members.retain(|member| !remove.contains(member));
            root = root_next;
            prop_assert_eq!(after.keys().copied().collect::<BTreeSet<_>>(), members.clone());
            agree(after.values());
            let expected: BTreeSet<_> = members.iter().map(|&member| people[member].device()).collect();
            // Each view goes through storage in every other step; the live ones must not differ from the stored.
            groups = after
                .into_iter()
                .map(|(member, live)| {
                    assert_eq!(live.members().into_iter().collect::<BTreeSet<_>>(), expected);
                    assert_eq!(live.control_root(), root);
                    let stored = Group::from_bytes(live.to_bytes().expose_secret()).unwrap();
                    same_epoch(&live, &stored);
                    assert_eq!(stored.to_bytes().expose_secret(), live.to_bytes().expose_secret());
                    (member, if (member + number) % 2 == 0 { stored } else { live })
                })
                .collect();
        }
    }
}
