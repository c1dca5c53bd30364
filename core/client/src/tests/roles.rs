use super::{World, club, place};
use crate::Error;
use crate::api::{Answer, Place, Request, RoleStatus, Why};
use terachat_core_store::model::Permission;

fn change(rank: u8, give: &[&str], take: &[&str]) -> Request {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Request::RoleChange { space: None, rank, give: owned(give), take: owned(take) }
}

fn role(world: &mut World, who: &str, rank: u8) -> RoleStatus {
    let Answer::Roles { roles } = world.ask(who, Request::Roles { space: None }) else { panic!() };
    assert!(roles.windows(2).all(|pair| pair[0].rank > pair[1].rank), "{roles:?}");
    roles.into_iter().find(|role| role.rank == rank).unwrap()
}

fn why(world: &mut World, who: &str, place: Place, event: &str) -> Why {
    let Answer::Why(why) = world.ask(who, Request::Why { place, event: event.into() }) else { panic!() };
    *why
}

#[test]
fn a_role_is_given_and_loses_permissions_for_all_who_have_it() {
    let mut world = club(&["ada", "bob", "eve"]);
    world.ask("ada", Request::RoleSet { space: None, member: "eve".into(), rank: 10 });
    let hello = world.say("ada", "hello");
    let pin = |remove| Request::Pin { place: place(), message: hello.clone(), remove };
    let refused = world.try_ask("eve", pin(false)).unwrap_err();
    assert!(matches!(&refused, Error::LacksPermission { permission: Permission::Pin, .. }), "{refused:?}");
    assert_eq!(
        refused.to_string(),
        "not allowed: this takes the permission pin, which your role lacks; ada (rank 100), bob (rank 50) may give it"
    );
    world.ask("bob", change(10, &["pin"], &[]));
    let changed = role(&mut world, "eve", 10);
    assert_eq!(
        (changed.permissions.as_slice(), changed.changed),
        (&["post".to_owned(), "pin".into()][..], true)
    );
    assert_eq!(changed.members, ["eve"]);
    world.ask("eve", pin(false));
    world.ask("ada", change(10, &["moderate"], &["pin"]));
    assert!(world.try_ask("eve", pin(true)).is_err());
    world.ask("eve", Request::Delete { place: place(), message: hello.clone() });
    world.same(&["ada", "bob", "eve"]);
    world.sound("ada");
    let owner = role(&mut world, "bob", 100);
    assert_eq!((owner.permissions.len(), owner.unknown.len(), owner.changed), (10, 0, false));
}

#[test]
fn nobody_gives_what_they_lack_nor_reaches_their_own_rank() {
    let mut world = club(&["ada", "bob", "eve"]);
    world.ask("ada", change(50, &[], &["moderate"]));
    world.ask("ada", change(30, &["moderate"], &[]));
    world.ask("ada", Request::RoleSet { space: None, member: "eve".into(), rank: 10 });
    let set = |rank| Request::RoleSet { space: None, member: "eve".into(), rank };
    for request in [change(10, &["moderate"], &[]), set(30)] {
        let refused = world.try_ask("bob", request).unwrap_err();
        assert!(
            matches!(&refused, Error::ExceedsRole { permission: Some(Permission::Moderate), .. }),
            "{refused:?}"
        );
        assert!(refused.to_string().ends_with("; ada (rank 100) may do it"), "{refused}");
    }
    for request in [change(50, &[], &["pin"]), change(80, &["pin"], &[]), set(50)] {
        let refused = world.try_ask("bob", request).unwrap_err();
        assert!(matches!(&refused, Error::Outranked { .. }), "{refused:?}");
        assert!(refused.to_string().ends_with("; ada (rank 100) may do it"), "{refused}");
    }
    for (request, told) in [
        (change(100, &[], &["pin"]), "owners may everything"),
        (change(10, &[], &[]), "name at least one"),
        (change(10, &["pin"], &["pin"]), "either given or taken"),
        (change(10, &["fly"], &[]), "no such permission"),
        (change(101, &["pin"], &[]), "0 to 100"),
    ] {
        let refused = world.try_ask("ada", request).unwrap_err();
        assert!(matches!(&refused, Error::Input(text) if text.contains(told)), "{refused:?}");
    }
    assert!(
        world.try_ask("eve", change(0, &["post"], &[])).unwrap_err().to_string().contains("manage-roles")
    );
}

/// Bob moderates and opens a channel while he is away and Ada takes both from his role: everybody is told why that counts for
/// nothing.
#[test]
fn what_a_holder_did_while_away_is_void_and_told_why() {
    let mut world = club(&["ada", "bob", "eve"]);
    let (first, second) = (world.say("ada", "one"), world.say("ada", "two"));
    let delete = |message: &str| Request::Delete { place: place(), message: message.into() };
    world.ask("bob", delete(&first));
    world.cut("ada", "bob");
    let deleted = match world.ask("bob", delete(&second)) {
        Answer::Sent { id } => id,
        other => panic!("{other:?}"),
    };
    world.ask(
        "bob",
        Request::ChannelCreate { space: None, name: "mine".into(), forum: false, since_join: false },
    );
    world.ask("ada", change(50, &[], &["moderate", "manage-channels"]));
    world.connect("ada", "bob");
    world.same(&["ada", "bob", "eve"]);
    for name in ["ada", "bob", "eve"] {
        assert_eq!(world.bodies(name), ["", "two"], "{name}");
        let told = why(&mut world, name, place(), &deleted);
        assert_eq!((told.reason.as_str(), told.permission.as_deref()), ("beyond_pin", Some("moderate")));
        assert!(
            told.because.contains("what takes the permission moderate counts up to number 1"),
            "{told:?}"
        );
        assert_eq!(told.deciding[0].role, "pins");
        assert!(told.deciding[0].event.what.contains("of role 50: took"), "{told:?}");
        let log = Request::Log { place: Place::default(), limit: 100 };
        let Answer::Events { events } = world.ask(name, log) else { panic!() };
        let created = events.iter().find(|event| event.what.contains("created channel mine")).unwrap();
        let told = why(&mut world, name, Place::default(), &created.id);
        assert_eq!((told.reason.as_str(), told.permission.as_deref()), ("cut_off", Some("manage-channels")));
        assert_eq!(told.deciding[0].role, "cuts_off");
    }
    let refused = world.try_ask("bob", delete(&second)).unwrap_err();
    assert!(matches!(refused, Error::LacksPermission { permission: Permission::Moderate, .. }));
    world.sound("bob");
}
