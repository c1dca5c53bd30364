//! What seeds of the simulation found, each as the shortest story of it (`simulation.rs` plays the seeds themselves).
use super::{World, club};
use crate::api::{Answer, Place, Request};
use std::collections::BTreeSet;

fn vault() -> Place {
    Place { space: None, channel: Some("vault".into()) }
}

/// Who is in the group of the epoch that a device is in.
fn inside(world: &mut World, name: &str) -> BTreeSet<[u8; 32]> {
    let client = world.of(name);
    let space = client.store.spaces().next().unwrap();
    client.current_group(&space).unwrap().members().into_iter().collect()
}

/// Bob let Dan in, lost the race for it, and left; so Ada, the steward, let Dan in for him. Eve had removed Bob before any of that, and with
/// what he did since Dan's admission is void. Nobody had ever removed Dan, so nobody was responsible for seeing him out of the
/// group: he stayed until somebody spoke (seed 463).
#[test]
fn whoever_was_let_in_by_an_admission_that_became_void_is_seen_out() {
    let mut world = club(&["ada", "bob", "eve"]);
    world.ask("ada", Request::RoleSet { space: None, member: "eve".into(), rank: 90 });
    world.cut("ada", "eve");
    world.cut("ada", "bob");
    world.ask("ada", Request::Renew { space: None });
    world.enter("dan", 9);
    world.connect("bob", "dan");
    world.invite("bob", "dan", 10);
    world.ask("bob", Request::MemberRemove { space: None, member: "bob".into() });
    let Answer::Bundle { bytes, .. } = world.ask("dan", Request::BundleExport { space: None }) else {
        panic!()
    };
    world.ask("ada", Request::BundleImport { bytes });
    let ids =
        |world: &World, names: &[&str]| names.iter().map(|name| world.id(name)).collect::<BTreeSet<_>>();
    let before = ids(&world, &["ada", "dan", "eve"]);
    assert_eq!(inside(&mut world, "ada"), before, "Dan is in and Bob is out");

    world.ask("eve", Request::MemberRemove { space: None, member: "bob".into() });
    world.connect("ada", "eve");
    let members = &world.status("ada").spaces[0].members;
    assert!(members.iter().all(|member| member.name != "dan"), "{members:?}");
    let after = ids(&world, &["ada", "eve"]);
    for name in ["ada", "eve"] {
        assert_eq!(inside(&mut world, name), after, "{name}, without a word said");
        world.sound(name);
    }
    world.same(&["ada", "eve"]);
}

/// Bob was demoted and did not know of it. He let Dan in, which he had no right to any more, went on in the epoch that this made and in one
/// behind it, and spoke in both, as he may. Nobody processed a commit that counts for nothing, so his words stayed closed to all in
/// channels whose messages are sealed one by one (seed 694).
#[test]
fn who_was_demoted_unawares_is_read_in_and_behind_an_epoch_that_is_void() {
    let mut world = club(&["ada", "bob", "cyd"]);
    world.ask(
        "ada",
        Request::ChannelCreate { space: None, name: "vault".into(), forum: false, since_join: true },
    );
    world.say_in(vault(), "bob", "before");
    world.cut("ada", "bob");
    world.ask("ada", Request::RoleSet { space: None, member: "bob".into(), rank: 10 });
    world.enter("dan", 9);
    world.connect("bob", "dan");
    world.invite("bob", "dan", 10);
    world.say_in(vault(), "bob", "in it");
    world.ask("bob", Request::Renew { space: None });
    world.say_in(vault(), "bob", "behind it");
    world.cut("bob", "dan");

    world.connect("ada", "bob");
    for name in ["ada", "bob", "cyd"] {
        let shown = world.messages_in(vault(), name).into_iter();
        let shown: Vec<(bool, String)> = shown.map(|message| (message.sealed, message.body)).collect();
        let said = ["before", "in it", "behind it"].map(|said| (false, said.to_owned()));
        assert_eq!(shown, said, "{name}");
        let members = inside(&mut world, name);
        assert_eq!(members, ["ada", "bob", "cyd"].map(|name| world.id(name)).into(), "{name}");
        world.sound(name);
    }
    world.same(&["ada", "bob", "cyd"]);
}
