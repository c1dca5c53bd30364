//! Several devices of one user, and one that is lost.
use super::backup::{enter_restored, export};
use super::*;
use crate::api::DeviceStatus;
use terachat_core_store::model::Revocation;
use terachat_event::DeviceId;

/// A club in which bob has a second device, which `device add` let in.
fn club_with_second_device(names: &[&'static str]) -> World {
    let mut world = club(names);
    world.say("ada", "hello");
    let backup = export(&mut world, "bob");
    enter_restored(&mut world, "phone", &backup);
    world.connect("bob", "phone");
    let card = world.card("phone");
    let Answer::Invitations { invitations } = world.ask("bob", Request::DeviceAdd { card }) else { panic!() };
    assert_eq!(invitations.len(), 1);
    for invitation in invitations {
        world.ask("phone", Request::Join { invitation });
    }
    world.connect("ada", "phone");
    world.say("phone", "from the phone");
    world.same(&["ada", "bob", "phone"]);
    world
}

fn devices(world: &mut World, name: &str) -> Vec<DeviceStatus> {
    match world.ask(name, Request::DeviceList { space: None, member: None }) {
        Answer::Devices { devices, missing: 0, .. } => devices,
        other => panic!("{other:?}"),
    }
}

fn device(world: &World, name: &str) -> String {
    DeviceId(world.id(name)).to_string()
}

fn send(body: &str) -> Request {
    Request::Send { place: place(), body: body.into(), reply_to: None }
}

#[test]
fn a_revoked_device_is_out_of_space_and_group_and_its_user_stays() {
    let mut world = club_with_second_device(&["ada", "bob"]);
    let phone = device(&world, "phone");
    let all = devices(&mut world, "bob");
    assert_eq!(all.iter().filter(|device| device.spaces == ["club"]).count(), 2);
    assert!(all.iter().all(|device| !device.revoked));
    // Whoever has it is not heard of for a while, and goes on.
    world.cut("ada", "phone");
    world.cut("bob", "phone");
    world.ask("phone", send("by the thief"));
    let answer = world.ask("bob", Request::DeviceRevoke { device: phone[..12].to_owned() });
    assert_eq!(answer, Answer::Revoked { spaces: 1 });
    world.say("bob", "after");
    world.connect("ada", "phone");
    world.connect("bob", "phone");
    world.settle();
    for name in ["ada", "bob"] {
        assert_eq!(world.bodies(name), ["hello", "from the phone", "after"], "{name}");
        world.sound(name);
    }
    world.same(&["ada", "bob"]);
    let space = world.of("ada").store.spaces().next().unwrap();
    let epoch = world.of("ada").epoch(&space).unwrap();
    let group = world.of("ada").group(&space, &epoch.commit).unwrap().unwrap();
    let (bob, lost) = (world.id("bob"), world.id("phone"));
    assert!(group.members().contains(&bob) && !group.members().contains(&lost));
    assert!(!world.bodies("phone").contains(&"after".to_owned()), "it is sealed for those who stay");
    let known = devices(&mut world, "bob").into_iter().find(|device| device.device == phone).unwrap();
    assert!(known.revoked && known.spaces.is_empty());
    // Nobody lets it in again.
    let card = world.card("phone");
    for name in ["ada", "bob"] {
        let invite = Request::Invite { space: None, card: card.clone(), rank: Some(10) };
        let refused = world.try_ask(name, invite).unwrap_err();
        assert!(refused.to_string().contains("revoked"), "{name}: {refused}");
    }
}

/// Ada has a second space with bob's phone, in which bob's other device is not.
#[test]
fn it_is_out_of_every_space_in_which_somebody_hears_of_it() {
    let mut world = club_with_second_device(&["ada", "bob"]);
    let Answer::Space { id: guild, .. } =
        world.ask("ada", Request::SpaceCreate { name: "guild".into(), post_quantum: false })
    else {
        panic!()
    };
    let card = world.card("phone");
    let invite = Request::Invite { space: Some(guild.clone()), card, rank: Some(10) };
    let Answer::Invitation { invitation } = world.ask("ada", invite) else { panic!() };
    world.ask("phone", Request::Join { invitation });
    let members = |world: &mut World| {
        let spaces = world.status("ada").spaces;
        let guild = spaces.iter().find(|space| space.name == "guild").unwrap();
        let devices = guild.members.iter().map(|member| member.devices.len()).sum::<usize>();
        (devices, guild.epoch)
    };
    assert_eq!(members(&mut world), (2, Some(1)));
    world.cut("ada", "phone");
    let phone = device(&world, "phone");
    let answer = world.ask("bob", Request::DeviceRevoke { device: phone });
    assert_eq!(answer, Answer::Revoked { spaces: 1 });
    assert_eq!(members(&mut world), (1, Some(2)), "ada carried it there, and saw the device out");
    world.sound("ada");
}

/// The revocation is durable before it reaches any space, and is carried when it can be.
#[test]
fn what_could_not_be_said_at_once_is_said_later() {
    let mut world = club_with_second_device(&["ada", "bob"]);
    let phone = device(&world, "phone");
    let lost = DeviceId(world.id("phone"));
    let bob = world.of("bob");
    let revocation = Revocation::issue(&bob.identity.user, lost, None);
    bob.keep_revocation(&revocation).unwrap();
    // Any control event that arrives has it carried.
    world.ask(
        "ada",
        Request::ChannelCreate { space: None, name: "more".into(), forum: false, since_join: false },
    );
    let known = devices(&mut world, "bob").into_iter().find(|device| device.device == phone).unwrap();
    assert!(known.revoked && known.spaces.is_empty(), "{known:?}");
    world.same(&["ada", "bob"]);
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let mut world = club_with_second_device(&["ada", "bob"]);
    let (own, adas) = (device(&world, "bob"), device(&world, "ada"));
    let card = world.card("ada");
    for (request, words) in [
        (Request::DeviceRevoke { device: own }, "the device you are using"),
        (Request::DeviceRevoke { device: adas }, "device of yours"),
        (Request::DeviceRevoke { device: String::new() }, "device of yours"),
        (Request::DeviceAdd { card }, "another user's"),
    ] {
        let refused = world.try_ask("bob", request).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    assert!(devices(&mut world, "bob").iter().all(|device| !device.revoked));
}

/// Who is removed is removed with every device: none of them is in the group, and none reads what comes after.
#[test]
fn a_member_is_removed_with_all_devices() {
    let mut world = club_with_second_device(&["ada", "bob", "cid"]);
    world.ask("ada", Request::MemberRemove { space: None, member: "bob".into() });
    world.say("ada", "after");
    world.settle();
    let space = world.of("ada").store.spaces().next().unwrap();
    for name in ["ada", "cid"] {
        let epoch = world.of(name).epoch(&space).unwrap();
        let group = world.of(name).group(&space, &epoch.commit).unwrap().unwrap();
        let mut members = group.members();
        members.sort_unstable();
        let mut stay = [world.id("ada"), world.id("cid")];
        stay.sort_unstable();
        assert_eq!(members, stay, "{name}");
        assert!(world.bodies(name).contains(&"after".to_owned()), "{name}");
    }
    for name in ["bob", "phone"] {
        assert!(!world.bodies(name).contains(&"after".to_owned()), "{name}");
    }
    world.same(&["ada", "cid"]);
}

/// Each device has keys of its own to the messages of a channel that one reads since one's joining.
#[test]
fn both_devices_of_a_user_read_and_write_in_a_channel_since_joining() {
    let mut world = club_with_second_device(&["ada", "bob"]);
    let vault = || Place { space: None, channel: Some("vault".into()) };
    world.ask(
        "ada",
        Request::ChannelCreate { space: None, name: "vault".into(), forum: false, since_join: true },
    );
    for name in ["ada", "bob", "phone"] {
        world.say_in(vault(), name, &format!("by {name}"));
    }
    for name in ["ada", "bob", "phone"] {
        let seen: Vec<(bool, String)> = world
            .messages_in(vault(), name)
            .into_iter()
            .map(|message| (message.sealed, message.body))
            .collect();
        assert_eq!(seen, ["ada", "bob", "phone"].map(|by| (false, format!("by {by}"))), "{name}");
    }
    world.same(&["ada", "bob", "phone"]);
}
