//! Devices that their users take back, in every order of delivery.
use super::orders::{Story, channel, channels};
use super::*;

/// A story in which the last person is a second device of the first one's user, admitted by the first. Everybody has heard
/// of it.
fn with_second_device(ranks: &[u8]) -> (Story, usize) {
    let mut story = Story::new(ranks, 1);
    let laptop = ranks.len() + 1;
    let user = DeviceKey::from_seed(&Secret::take(&mut [1 ^ 0x80; 32]));
    let device = DeviceKey::from_seed(&Secret::take(&mut [99; 32]));
    let card = Card::issue(&user, "p1", &device);
    story.people[laptop] = Person { user, device, card };
    story.act(0, story.admit(laptop, 10));
    (1..=laptop).for_each(|at| story.hear(at, 0));
    (story, laptop)
}

fn revoke(story: &Story, whose: usize) -> Vec<ControlOp> {
    vec![super::revoke(&story.people[whose])]
}

/// The owner's phone is the elder device. Whoever has it removes the owner's user, with the laptop, before the laptop revokes
/// it, and admits a friend; an administrator has not heard of anything.
#[test]
fn a_revocation_holds_against_whatever_the_device_does_beside_it() {
    let (mut story, laptop) = with_second_device(&[80, 10]);
    story.act(laptop, revoke(&story, 0));
    let removed = story.act(0, story.remove(0));
    let promoted = story.act(0, story.set(2, 90));
    story.act(1, channel("beside"));
    let ranks = [None, Some(80), Some(10), Some(100)];
    let log = story.ends(Some(12), &ranks, &[removed, promoted]);
    assert_eq!(channels(&log), ["beside"]);
    let phone = &story.people[0];
    assert!(log.state().revoked(&phone.card.user, &phone.device.id()).is_some());
    assert_eq!(log.state().present_devices().count(), 3);
}

/// A moderator carries the owner's word and is removed by the phone at that moment.
#[test]
fn it_holds_whoever_carries_it() {
    let (mut story, laptop) = with_second_device(&[50, 10]);
    story.act(1, revoke(&story, 0));
    let removed = story.act(0, story.remove(1));
    let created = story.act(0, channel("of the phone"));
    story.act(laptop, channel("of the laptop"));
    let log = story.ends(Some(12), &[None, Some(50), Some(10), Some(100)], &[removed, created]);
    assert_eq!(channels(&log), ["of the laptop"]);
}

/// What comes together with a revocation has no more weight than without it.
#[test]
fn a_revocation_lends_nothing_its_weight() {
    let mut story = Story::new(&[50, 80], 0);
    story.act(0, story.set(1, 60));
    story.hear(1, 0);
    let hidden = [story.remove(2), revoke(&story, 1)].concat();
    // Forbidden outright: B is of lower rank.
    let lost = story.act(1, hidden);
    story.act(2, story.remove(1));
    story.ends(Some(3), &[Some(100), None, Some(80)], &[lost]);
    // Allowed, and in a ring with the removal by a higher rank.
    let mut story = Story::new(&[50, 80], 0);
    story.act(0, story.set(1, 90));
    story.hear(1, 0);
    let before = story.known[1].clone();
    story.known[2].merge(&before);
    story.act(0, [story.set(2, 95), story.set(1, 80)].concat());
    story.hear(2, 0);
    let lost = story.act(1, [story.remove(2), revoke(&story, 1)].concat());
    story.act(2, story.remove(1));
    story.ends(Some(3), &[Some(100), None, Some(95)], &[lost]);
}

/// Nobody takes a device from somebody else: not with a revocation of one's own, not with a card that the device never
/// signed, not with one whose user did not.
#[test]
fn nobody_revokes_what_is_not_their_users() {
    let (mut story, laptop) = with_second_device(&[50, 10]);
    let phone = story.people[0].device.id();
    let mut claim = story.people[2].card.clone();
    claim.device = phone;
    let admit = ControlOp::Admit { card: claim, rank: Rank::GUEST, key_package: vec![] };
    let claimed = story.act(2, vec![admit]);
    let of_eve = Revocation::issue(&story.people[2].user, phone, None);
    let eves = story.act(2, vec![ControlOp::RevokeDevice { revocation: of_eve.clone(), pins: vec![] }]);
    let mut forged = of_eve;
    forged.user = story.people[0].card.user;
    let forgery = story.act(1, vec![ControlOp::RevokeDevice { revocation: forged, pins: vec![] }]);
    // The owner's word, but whoever is of rank 10 does not carry it.
    let carried = story.act(2, revoke(&story, 0));
    story.act(0, channel("of the phone"));
    story.act(laptop, channel("of the laptop"));
    let ranks = [Some(100), Some(50), Some(10), Some(100)];
    // What Eve revokes is nothing that anybody knows by her name, so that event counts and takes nothing away.
    let log = story.ends(Some(120), &ranks, &[claimed, forgery, carried]);
    assert_eq!(channels(&log), ["of the laptop", "of the phone"]);
    assert!(log.events().any(|(event, verdict)| event.hash == eves && verdict == Verdict::Counts));
}

/// A device may be revoked before anybody admits it, and while somebody does.
#[test]
fn a_revoked_device_is_let_in_by_nobody() {
    let (mut story, laptop) = with_second_device(&[50]);
    let user = DeviceKey::from_seed(&Secret::take(&mut [1 ^ 0x80; 32]));
    let device = DeviceKey::from_seed(&Secret::take(&mut [98; 32]));
    let card = Card::issue(&user, "p1", &device);
    story.people.push(Person { user, device, card });
    story.known.push(Replica::default());
    let tablet = laptop + 1;
    // The laptop admits it beside the revocation, and it acts at once.
    story.act(laptop, story.admit(tablet, 10));
    story.hear(tablet, laptop);
    let created = story.act(tablet, channel("of the tablet"));
    story.act(0, revoke(&story, tablet));
    let knowing = story.act(0, story.admit(tablet, 10));
    let ranks = [Some(100), Some(50), Some(100), None];
    let log = story.ends(Some(6), &ranks, &[created, knowing]);
    assert_eq!(channels(&log), [""; 0]);
}
