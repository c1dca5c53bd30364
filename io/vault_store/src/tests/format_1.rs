//! A vault as format 1 left it.
use super::world::*;
use crate::engine::Space;
use fjall::KeyspaceCreateOptions;

/// Puts the rows back into the keyspaces and the order of format 1, as far as `moved` says.
fn as_format_1(vault: &crate::TemplateVault, moved: impl Fn(usize) -> bool) {
    let engine = &vault.store.engine;
    for (space, name) in [(Space::Records, "records"), (Space::Versions, "versions")] {
        let before = engine.db.keyspace(name, KeyspaceCreateOptions::default).unwrap();
        for (at, row) in engine.rows(space, &[], &[]).enumerate() {
            let (key, value) = row.unwrap();
            before.insert(key.clone(), value).unwrap();
            if moved(at) {
                engine.space(space).remove(crate::order::stored(space, &key)).unwrap();
            }
        }
    }
    vault.flush().unwrap();
}

#[test]
fn its_records_are_there_with_all_versions_and_once_only() {
    // With everything in the old order, and as an interrupted move leaves it.
    let moves: [fn(usize) -> bool; 2] = [|_| true, |at| at % 2 == 0];
    for moved in moves {
        let world = World::new();
        let vault = world.create();
        let names: Vec<String> = (0..20).map(|n| format!("r{n}")).collect();
        {
            let session = session(&vault);
            for (name, text) in names.iter().zip(["one", "two"].iter().cycle()) {
                put(&session, name, text.as_bytes());
                put(&session, name, name.as_bytes());
            }
            session.delete("door", "r7").unwrap();
        }
        as_format_1(&vault, moved);
        drop(vault);

        for _ in 0..2 {
            let vault = world.open();
            for name in ["records", "versions"] {
                assert!(!vault.store.engine.db.keyspace_exists(name), "{name}");
            }
            let session = session(&vault);
            for name in &names {
                let expected = (name != "r7").then(|| name.clone().into_bytes());
                assert_eq!(get(&session, name), expected);
            }
            let first = session.get_version("door", "r3", 1).unwrap();
            assert_eq!(first.content.bytes(), Some(&b"two"[..]));
            whole(&vault);
        }
    }
}
