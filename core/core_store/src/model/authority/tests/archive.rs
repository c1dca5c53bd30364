//! What a space requires of its archive, against removing it, against ending the requirement, and against each other: in every order.
use super::orders::{Story, channel, channels};
use super::*;
use crate::model::Held;

/// The people of these stories: an owner, an administrator who manages the archive too, a moderator, the archive.
fn story() -> Story {
    let mut story = Story::new(&[80, 50, 0], 0);
    let give = Permission::ManageArchive.into();
    let rank = Rank::ADMIN;
    story.act(0, vec![ControlOp::ChangeRole { rank, give, take: Permissions::NONE, pins: vec![] }]);
    for to in 1..4 {
        story.hear(to, 0);
    }
    story
}

const ARCHIVE: usize = 3;
const RANKS: [Option<u8>; 4] = [Some(100), Some(80), Some(50), Some(0)];

fn require(required: bool) -> ControlOp {
    ControlOp::RequireArchive { device: person(ARCHIVE as u8 + 1).device.id(), required }
}

fn hold(stands: bool) -> ControlOp {
    ControlOp::Hold { on: Held::Member(person(3).card.user), stands }
}

fn required(log: &ControlLog) -> Vec<DeviceId> {
    log.state().archive().devices().map(|(device, _)| *device).collect()
}

/// Somebody creates a channel while the archive is required, and somebody removes it who knows of that: the channel is the
/// archive's as all are, and the removal is void, whoever's it is; also the archive's own leaving.
#[test]
fn nobody_removes_an_archive_that_is_required() {
    let mut story = story();
    story.act(0, vec![require(true)]);
    story.act(2, channel("beside"));
    let mut tried = Vec::new();
    for by in [1, 2, ARCHIVE] {
        story.hear(by, 0);
        tried.push(story.act(by, story.remove(ARCHIVE)));
    }
    let log = story.comes_to(&RANKS, &tried);
    assert!(tried.iter().all(|hash| log.takes_archive(hash)), "the others are warned");
    assert_eq!((required(&log).len(), channels(&log)), (1, vec!["beside"]));
    assert!(log.state().present_devices().any(|device| *device == person(4).device.id()));
}

/// Whoever removes it without having heard of the requirement removes it: strong removal is as it was. What is required is not
/// there then, and everybody sees that.
#[test]
fn a_removal_beside_the_requirement_holds() {
    let mut story = story();
    story.act(0, vec![require(true)]);
    let removed = story.act(2, story.remove(ARCHIVE));
    let log = story.comes_to(&[Some(100), Some(80), Some(50), None], &[]);
    assert!(!log.takes_archive(&removed));
    assert_eq!(required(&log).len(), 1);
    // It is ended without asking for a rank that nobody has any more.
    story.hear(1, 0);
    story.hear(1, 2);
    story.act(1, vec![require(false)]);
    assert!(required(&story.comes_to(&[Some(100), Some(80), Some(50), None], &[])).is_empty());
}

/// One ends the requirement, and another, who has heard of it, removes the archive; one does both at once.
#[test]
fn it_is_removed_once_it_is_not_required() {
    let mut story = story();
    story.act(0, vec![require(true)]);
    story.hear(1, 0);
    story.act(1, vec![require(false)]);
    story.hear(2, 1);
    story.act(2, story.remove(ARCHIVE));
    let gone = [Some(100), Some(80), Some(50), None];
    assert!(required(&story.comes_to(&gone, &[])).is_empty());
    let mut story = self::story();
    story.act(0, vec![require(true)]);
    let both = [vec![require(false)], story.remove(ARCHIVE)].concat();
    story.act(0, both);
    assert!(required(&story.comes_to(&gone, &[])).is_empty());
}

/// Two say the contrary at once: one of them holds, for all the same; the removal of who demands it at the moment of being
/// removed cuts that off.
#[test]
fn of_contraries_one_holds_and_a_removed_administrators_word_does_not() {
    let mut story = story();
    story.act(0, vec![require(true)]);
    story.hear(1, 0);
    story.act(0, vec![require(false)]);
    story.act(1, vec![hold(true)]);
    let log = story.comes_to(&RANKS, &[]);
    assert!(required(&log).is_empty(), "nobody asked for it anew");
    assert_eq!(log.state().archive().holds().count(), 1, "a hold stays, for an archive to come");
    let mut story = self::story();
    story.act(0, story.remove(1));
    let cut = story.act(1, vec![require(true)]);
    let log = story.comes_to(&[Some(100), None, Some(50), Some(0)], &[cut]);
    assert!(required(&log).is_empty());
}

/// Whoever lacks the permission says nothing; nobody makes an archive of somebody who writes, of an equal, or of nobody, and no
/// hold stands that no archive could keep.
#[test]
fn what_is_required_or_held_by_whom_and_when() {
    let refused = |by: usize, ops: Vec<ControlOp>| {
        let mut story = story();
        let void = story.act(by, ops);
        story.comes_to(&RANKS, &[void]);
    };
    let of = |at: u8| ControlOp::RequireArchive { device: person(at).device.id(), required: true };
    refused(2, vec![require(true)]);
    refused(1, vec![of(3)]);
    refused(1, vec![of(2)]);
    refused(0, vec![of(9)]);
    refused(0, vec![require(false)]);
    refused(0, vec![hold(true)]);
    refused(0, vec![require(true), require(true)]);
    refused(0, vec![require(true), hold(true), require(false)]);
    refused(0, vec![require(true), hold(false)]);
    let mut story = story();
    story.act(1, vec![require(true), hold(true), hold(false), require(false)]);
    assert!(story.comes_to(&RANKS, &[]).state().archive().is_none());
}

/// Without any the root is what it was before there were archives; with one, members of an epoch agree on it.
#[test]
fn the_root_has_it_where_there_is_any() {
    let mut story = story();
    let before = story.comes_to(&RANKS, &[]).state().root();
    story.act(0, vec![require(true)]);
    let with = story.comes_to(&RANKS, &[]).state().root();
    story.act(0, vec![hold(true)]);
    let held = story.comes_to(&RANKS, &[]).state().root();
    story.act(0, vec![hold(false), require(false)]);
    assert_eq!(story.comes_to(&RANKS, &[]).state().root(), before);
    assert!(with != before && held != with && held != before);
}
