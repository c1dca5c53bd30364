//! The vault beside a naive model of it, through every operation and reopening.
use super::world::*;
use crate::{Batch, Error, Expect, ListOptions, Operation, Outcome, PutOptions, Session, TemplateVault};
use proptest::prelude::*;
use std::collections::BTreeMap;

const IDS: [&str; 4] = ["a", "b", "c", "d"];
const VERSIONS_MAX: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Put { id: usize, len: usize, expect: u8, compress: bool },
    Delete { id: usize },
    DeleteVersion { id: usize, back: usize },
    Restore { id: usize, back: usize },
    Batch { ids: Vec<(usize, bool)> },
    Sweep,
    RotateKek,
    RotateDek,
    RotationSteps(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..IDS.len();
    prop_oneof![
        8 => (id.clone(), 0..4000usize, 0..4u8, any::<bool>()).prop_map(|(id, len, expect, compress)| Step::Put { id, len, expect, compress }),
        2 => id.clone().prop_map(|id| Step::Delete { id }),
        2 => (id.clone(), 0..4usize).prop_map(|(id, back)| Step::DeleteVersion { id, back }),
        2 => (id.clone(), 0..4usize).prop_map(|(id, back)| Step::Restore { id, back }),
        2 => prop::collection::vec((id, any::<bool>()), 1..4).prop_map(|ids| Step::Batch { ids }),
        1 => Just(Step::Sweep),
        1 => Just(Step::RotateKek),
        1 => Just(Step::RotateDek),
        3 => (1..6u8).prop_map(Step::RotationSteps),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Default)]
struct Model {
    records: BTreeMap<&'static str, BTreeMap<u64, Vec<u8>>>,
    last: BTreeMap<&'static str, u64>,
}

impl Model {
    fn put(&mut self, id: &'static str, bytes: Vec<u8>) -> u64 {
        let last = self.last.entry(id).or_default();
        *last += 1;
        let versions = self.records.entry(id).or_default();
        versions.insert(*last, bytes);
        // What was too many by number is pruned, holes count as well.
        let last = *last;
        versions.retain(|version, _| version + VERSIONS_MAX as u64 > last);
        last
    }

    fn newest(&self, id: &str) -> u64 {
        self.records.get(id).and_then(|versions| versions.last_key_value()).map_or(0, |(version, _)| *version)
    }

    /// The version that is so many before the newest, be it there or not.
    fn back(&self, id: &str, back: usize) -> u64 {
        self.newest(id).saturating_sub(back as u64)
    }

    fn remove(&mut self, id: &'static str, version: u64) -> bool {
        let Some(versions) = self.records.get_mut(id) else { return false };
        let removed = versions.remove(&version).is_some();
        if versions.is_empty() {
            self.records.remove(id);
        }
        removed
    }

    #[track_caller]
    fn compare(&self, session: &Session) {
        for id in IDS {
            let versions = self.records.get(id);
            let expected: Vec<u64> =
                versions.iter().flat_map(|versions| versions.keys().rev().copied()).collect();
            let found = session.versions("door", id);
            let found: Vec<u64> = match found {
                Ok(infos) => infos.iter().map(|info| info.version).collect(),
                Err(Error::NotFound) => Vec::new(),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(found, expected, "versions of {id}");
            for version in 0..=self.last.get(id).copied().unwrap_or(0) + 1 {
                let expected = versions.and_then(|versions| versions.get(&version));
                match session.get_version("door", id, version) {
                    Ok(record) => assert_eq!(record.content.bytes(), expected.map(Vec::as_slice)),
                    Err(error) => assert_eq!((error, expected), (Error::NotFound, None)),
                }
            }
            assert_eq!(
                get(session, id).as_ref(),
                versions.and_then(|v| v.last_key_value()).map(|(_, bytes)| bytes)
            );
        }
        let mut listed = Vec::new();
        let mut options = ListOptions { limit: 1, ..ListOptions::default() };
        loop {
            let page = session.list("door", &options).unwrap();
            listed.extend(page.records.into_iter().map(|info| info.id));
            options.cursor = page.next;
            if options.cursor.is_none() {
                break;
            }
        }
        listed.sort();
        assert_eq!(listed, self.records.keys().map(|id| (*id).to_owned()).collect::<Vec<_>>());
    }
}

fn do_step(world: &World, vault: &mut Option<TemplateVault>, model: &mut Model, n: usize, step: &Step) {
    let open = vault.as_ref().unwrap();
    let session = session(open);
    match step {
        Step::Put { id, len, expect, compress } => {
            let id = IDS[*id];
            let current = model.newest(id);
            let expect = [Expect::Any, Expect::Absent, Expect::Present, Expect::Version(current)]
                [usize::from(*expect)];
            let bytes = vec![n as u8; *len];
            let options = PutOptions { expect, compress: *compress, ..PutOptions::default() };
            let refused = match expect {
                Expect::Any => false,
                Expect::Absent => current != 0,
                Expect::Present | Expect::Version(_) => current == 0,
            };
            let result = session.put("door", id, secret(&bytes), &options);
            if refused {
                assert_eq!(result, Err(Error::Conflict { current }));
            } else {
                assert_eq!(result, Ok(model.put(id, bytes)));
            }
        }
        Step::Delete { id } => {
            let id = IDS[*id];
            match (session.delete("door", id), model.records.remove(id)) {
                (Ok(receipt), Some(versions)) => {
                    receipt.verify(&open.audit_key()).unwrap();
                    let erased: usize = receipt.records.iter().map(|record| record.versions.len()).sum();
                    assert_eq!(erased, versions.len());
                }
                (Err(error), None) => assert_eq!(error, Error::NotFound),
                (result, model) => panic!("{result:?} where the model has {model:?}"),
            }
        }
        Step::DeleteVersion { id, back } => {
            let (id, version) = (IDS[*id], model.back(IDS[*id], *back));
            let result = session.delete_version("door", id, version);
            assert_eq!(result.err(), (!model.remove(id, version)).then_some(Error::NotFound));
        }
        Step::Restore { id, back } => {
            let (id, version) = (IDS[*id], model.back(IDS[*id], *back));
            let old = model.records.get(id).and_then(|versions| versions.get(&version)).cloned();
            let result = session.restore("door", id, version);
            assert_eq!(result, old.map(|bytes| model.put(id, bytes)).ok_or(Error::NotFound));
        }
        Step::Batch { ids } => {
            let mut seen = BTreeMap::new();
            seen.extend(ids.iter().map(|(id, put)| (IDS[*id], *put)));
            let operations = seen.iter().map(|(id, put)| match put {
                true => Operation::Put {
                    id: (*id).to_owned(),
                    content: secret(&[n as u8; 9]),
                    options: PutOptions::default(),
                },
                false => Operation::Delete { id: (*id).to_owned(), expect: Expect::Any },
            });
            let batch = Batch { operations: operations.collect(), erase_later: true, ..Batch::default() };
            let possible = seen.iter().all(|(id, put)| *put || model.records.contains_key(id));
            match session.apply("door", batch) {
                Ok(applied) => {
                    assert!(possible);
                    for ((id, put), outcome) in seen.into_iter().zip(applied.outcomes) {
                        let expected = match put {
                            true => Outcome::Stored { version: model.put(id, vec![n as u8; 9]) },
                            false => {
                                Outcome::Erased { versions: model.records.remove(id).unwrap().len() as u64 }
                            }
                        };
                        assert_eq!(outcome, expected);
                    }
                }
                Err(error) => assert_eq!((error, possible), (Error::NotFound, false)),
            }
        }
        Step::Sweep => drop(open.sweep().unwrap()),
        Step::RotateKek => drop(open.keys("op").unwrap().rotate_kek().unwrap()),
        Step::RotateDek => drop(open.keys("op").unwrap().rotate_dek("door").unwrap()),
        Step::RotationSteps(steps) => (0..*steps).for_each(|_| assert!(open.store.rotation_step().is_ok())),
        Step::Reopen => {
            // A session keeps the vault open.
            drop(session);
            vault.take();
            *vault = Some(world.open());
        }
    }
}

fn compare(steps: &[Step]) {
    let world = World::new();
    let vault = world.create();
    let options = crate::CollectionOptions { versions_max: VERSIONS_MAX as u32, ..Default::default() };
    vault.create_collection("op", "door", &options).unwrap();
    let (mut vault, mut model) = (Some(vault), Model::default());
    for (n, step) in steps.iter().enumerate() {
        do_step(&world, &mut vault, &mut model, n, step);
        model.compare(&session(vault.as_ref().unwrap()));
    }
    let open = vault.as_ref().unwrap();
    whole(open);
    open.keys("op").unwrap().wait("door").unwrap();
    open.sweep().unwrap();
    model.compare(&session(open));
    whole(open);
}

/// Found by the model: an older version that had become the newest again was not pruned when the next one took its place.
#[test]
fn a_version_that_was_the_newest_for_a_while_is_pruned_as_well() {
    let put = || Step::Put { id: 0, len: 0, expect: 0, compress: false };
    let steps = [
        put(),
        put(),
        Step::Restore { id: 0, back: 0 },
        Step::DeleteVersion { id: 0, back: 0 },
        Step::DeleteVersion { id: 0, back: 0 },
        Step::Restore { id: 0, back: 0 },
    ];
    compare(&steps);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn the_vault_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        compare(&steps);
    }
}
