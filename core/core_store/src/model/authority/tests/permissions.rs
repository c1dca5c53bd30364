//! What roles permit, changed against acting, against giving them to others, and against each other: in every order.
use super::orders::{Story, channel, channels};
use super::*;

fn change(rank: u8, give: &[Permission], take: &[Permission]) -> Vec<ControlOp> {
    let set = |all: &[Permission]| all.iter().copied().collect();
    vec![ControlOp::ChangeRole {
        rank: Rank::new(rank).unwrap(),
        give: set(give),
        take: set(take),
        pins: vec![],
    }]
}

fn give(rank: u8, permission: Permission) -> Vec<ControlOp> {
    change(rank, &[permission], &[])
}

fn take(rank: u8, permission: Permission) -> Vec<ControlOp> {
    change(rank, &[], &[permission])
}

use Permission::{ManageChannels, ManageRoles, Moderate, Pin as Pins, Remove, RenameSpace};

/// The owner takes from a role what one of its holders does at that moment by it, and then goes on to do. Other roles, and
/// what else the role permits, stay.
#[test]
fn a_permission_is_taken_against_acting() {
    let mut story = Story::new(&[50, 60], 1);
    story.act(0, take(50, ManageChannels));
    let beside = story.act(1, channel("beside"));
    story.act(1, story.admit(3, 10));
    story.act(2, channel("of another role"));
    story.hear(1, 0);
    let after = story.act(1, channel("after"));
    let ranks = [Some(100), Some(50), Some(60), Some(10)];
    let log = story.comes_to(&ranks, &[beside, after]);
    assert_eq!(channels(&log), ["of another role"]);
}

/// Offline all the time, a holder acts, before the role gets the permission back and after: what it did beside the taking stays
/// void, what it does with the permission counts.
#[test]
fn a_role_changes_while_its_holder_is_away() {
    let mut story = Story::new(&[50], 0);
    let away = story.act(1, channel("away"));
    story.act(0, take(50, ManageChannels));
    story.act(0, give(50, ManageChannels));
    let still_away = story.act(1, channel("still away"));
    story.hear(1, 0);
    story.act(1, channel("back"));
    let log = story.comes_to(&[Some(100), Some(50)], &[away, still_away]);
    assert_eq!(channels(&log), ["back"]);
}

/// An administrator gives a role what the owner takes from it at that moment. The giving counts where it comes later, as a rank's
/// does; whoever used it beside the taking did so in vain.
#[test]
fn given_and_taken_at_once() {
    let mut story = Story::new(&[80, 10], 0);
    let given = story.act(1, give(10, ManageChannels));
    story.act(0, take(10, ManageChannels));
    story.hear(2, 1);
    let used = story.act(2, channel("in vain"));
    let log = story.comes_to(&[Some(100), Some(80), Some(10)], &[used]);
    let last = log.events().map(|(event, _)| event).filter(|event| event.changes_role()).last().unwrap().hash;
    assert_eq!(log.state().roles().of(Rank::MEMBER).has(ManageChannels), last == given);
}

/// Who loses the permission to change roles changes none beside that, gives none and makes nobody anything.
#[test]
fn whoever_manages_roles_is_stopped_by_losing_that() {
    for act in [give(10, Pins), take(10, Permission::Post)] {
        let mut story = Story::new(&[80, 10], 0);
        story.act(0, take(80, ManageRoles));
        let changed = story.act(1, act);
        let raised = story.act(1, story.set(2, 50));
        let log = story.comes_to(&[Some(100), Some(80), Some(10)], &[changed, raised]);
        assert_eq!(log.state().roles().of(Rank::MEMBER), Permissions::by_rank(Rank::MEMBER));
    }
    // Demoted, it reaches no role from its own rank on.
    let mut story = Story::new(&[80], 0);
    story.act(0, story.set(1, 60));
    let own = story.act(1, take(60, Pins));
    story.act(1, take(50, Pins));
    story.comes_to(&[Some(100), Some(60)], &[own]);
}

/// Removals, demotions and changes of roles that stop each other: the higher rank's holds.
#[test]
fn of_changes_that_stop_each_other_the_higher_rank_holds() {
    let mut story = Story::new(&[60, 80], 0);
    story.act(0, story.set(1, 90));
    story.hear(1, 0);
    story.act(1, take(80, ManageRoles));
    let demoted = story.act(2, story.set(1, 10));
    story.comes_to(&[Some(100), Some(90), Some(80)], &[demoted]);
    let mut story = Story::new(&[80, 60], 0);
    story.act(0, story.set(2, 90));
    story.hear(2, 0);
    let taken = story.act(1, take(60, Remove));
    let removed = story.act(2, story.remove(1));
    let log = story.comes_to(&[Some(100), None, Some(90)], &[taken]);
    assert!(log.explain(&removed, &BTreeMap::new()).unwrap().counts());
}

/// A member leaves, by its own word, while its role loses what removing takes.
#[test]
fn leaving_takes_no_permission() {
    let mut story = Story::new(&[50, 10], 0);
    story.act(0, take(50, Remove));
    let removed = story.act(1, story.remove(2));
    story.act(1, story.remove(1));
    story.comes_to(&[Some(100), None, Some(10)], &[removed]);
}

/// B, of rank 60, lacks a permission that others have, or role 40 has one that B lacks: nothing that B may do in the control log
/// gets it one, or gives one to a friend.
#[test]
fn nobody_gets_or_gives_a_permission_by_any_operation() {
    let base = || {
        let mut story = Story::new(&[60, 10, 40], 1);
        story.act(0, change(60, &[], &[Moderate]));
        story.act(0, change(40, &[Moderate], &[]));
        story.hear(1, 0);
        story
    };
    let unknown = Permissions::from_bits(1 << 40);
    let raw = |rank: u8| {
        let rank = Rank::new(rank).unwrap();
        vec![ControlOp::ChangeRole { rank, give: unknown, take: Permissions::NONE, pins: vec![] }]
    };
    let story = base();
    let tries = [
        give(60, Moderate),
        give(80, Moderate),
        take(60, Pins),
        take(80, Pins),
        give(10, Moderate),
        // Not even what the role has already.
        give(40, Moderate),
        give(10, RenameSpace),
        raw(10),
        story.set(2, 40),
        story.set(1, 40),
        story.set(1, 80),
        story.admit(4, 40),
        [give(10, Pins), give(10, Moderate)].concat(),
        [story.set(1, 50), story.set(1, 40)].concat(),
        [story.set(1, 50), take(50, Pins)].concat(),
    ];
    for ops in tries {
        let mut story = base();
        let said = format!("{ops:?}");
        let before = story.known[0].log();
        let tried = story.act(1, ops);
        let log = story.comes_to(&[Some(100), Some(60), Some(10), Some(40), None], &[tried]);
        assert_eq!(log.state().root(), before.state().root(), "{said}");
    }
    // What it has it gives, and takes what it lacks; and it is above whoever has more than it.
    for ops in [give(10, Pins), take(40, Moderate), story.set(3, 30), story.set(2, 30), story.admit(4, 30)] {
        let mut story = base();
        let done = story.act(1, ops);
        assert!(story.known[1].log().explain(&done, &BTreeMap::new()).unwrap().counts());
    }
}

/// B gives a role to a friend by old knowledge, after the role was given what B lacks.
#[test]
fn a_role_that_grew_is_not_given_by_who_has_less() {
    for grants in [|story: &Story| story.admit(3, 40), |story: &Story| story.set(2, 40)] {
        let mut story = Story::new(&[60, 10], 1);
        story.act(0, give(40, RenameSpace));
        let granted = story.act(1, grants(&story));
        let ranks = [Some(100), Some(60), Some(10), None];
        story.comes_to(&ranks, &[granted]);
    }
    // B steps down into it by old knowledge.
    let mut story = Story::new(&[60], 0);
    story.act(0, give(40, RenameSpace));
    let stepped = story.act(1, story.set(1, 40));
    story.comes_to(&[Some(100), Some(60)], &[stepped]);
    // Who gives the role more knows who has it by then: nothing is wrong with that.
    let mut story = Story::new(&[60], 1);
    story.act(1, story.admit(2, 40));
    story.hear(0, 1);
    story.act(0, give(40, RenameSpace));
    story.comes_to(&[Some(100), Some(60), Some(40)], &[]);
}

/// B's role loses a permission and a lower role gets it, by two who know nothing of each other or one after the other: B, who had it
/// when it did not help, gives the lower role by old knowledge.
#[test]
fn what_a_role_lost_is_not_given_with_another_that_got_it() {
    for one_after_the_other in [false, true] {
        let mut story = Story::new(&[60, 80], 1);
        story.act(0, take(60, Pins));
        if one_after_the_other {
            story.hear(2, 0);
        }
        // Role 20 has no pins of itself.
        story.act(2, give(20, Pins));
        let granted = story.act(1, story.admit(3, 20));
        story.comes_to(&[Some(100), Some(60), Some(80), None], &[granted]);
    }
}

/// B is put into a role by one, which loses a permission by another, at once or after: what B does by old knowledge and its old
/// role takes it all the same.
#[test]
fn a_demotion_leaves_no_more_than_the_role_has_in_the_end() {
    for after in [false, true] {
        let mut story = Story::new(&[60, 80], 0);
        story.act(0, story.set(1, 50));
        if after {
            story.hear(2, 0);
        }
        story.act(2, take(50, ManageChannels));
        let acted = story.act(1, channel("by the old role"));
        let log = story.comes_to(&[Some(100), Some(50), Some(80)], &[acted]);
        assert!(channels(&log).is_empty());
    }
    // What whoever took it knew of stays.
    let mut story = Story::new(&[60, 80], 0);
    story.act(0, story.set(1, 50));
    story.act(1, channel("known"));
    story.hear(2, 0);
    story.hear(2, 1);
    story.act(2, take(50, ManageChannels));
    let log = story.comes_to(&[Some(100), Some(50), Some(80)], &[]);
    assert_eq!(channels(&log), ["known"]);
}

/// A promotion may be a loss: the higher role lacks what the lower one has.
#[test]
fn a_promotion_takes_what_the_higher_role_lacks() {
    let mut story = Story::new(&[10], 0);
    story.act(0, give(10, ManageChannels));
    story.hear(1, 0);
    story.act(0, story.set(1, 20));
    let acted = story.act(1, channel("by the lower role"));
    story.comes_to(&[Some(100), Some(20)], &[acted]);
}

/// B admits a further device of C's as an owner's, which says nothing as long as C is a member by somebody else's word. That
/// word falls: C is nobody then, and not an owner by B's.
#[test]
fn a_further_device_does_not_make_its_user_a_member_of_any_rank() {
    let mut story = Story::new(&[60, 70], 1);
    let admitted = story.act(2, story.admit(3, 10));
    story.hear(1, 2);
    let further = person(40).device;
    let card = Card::issue(&story.people[3].user, "further", &further);
    story.act(1, vec![ControlOp::Admit { card, rank: Rank::OWNER, key_package: vec![] }]);
    story.act(0, story.remove(2));
    let log = story.comes_to(&[Some(100), Some(60), None, None], &[admitted]);
    assert_eq!(log.state().rank_of(&further.id()), None);
}

/// A removed administrator would have removed who demotes B, and taken from B's new role what B does. Both fall at once, before it
/// is B's turn: the demotion leaves what the role permits without them.
#[test]
fn a_change_that_fell_is_not_missed_by_who_is_demoted() {
    let mut story = Story::new(&[60, 90, 80], 0);
    story.act(0, story.remove(2));
    let taken = story.act(2, take(50, ManageChannels));
    let removed = story.act(2, story.remove(3));
    story.act(3, story.set(1, 50));
    story.act(1, channel("beside"));
    let log = story.comes_to(&[Some(100), Some(50), None, Some(80)], &[taken, removed]);
    assert_eq!(channels(&log), ["beside"]);
}

/// A change of a role that is void takes nothing from anybody.
#[test]
fn a_void_change_stops_nobody() {
    let mut story = Story::new(&[80, 50], 0);
    story.act(0, story.remove(1));
    let taken = story.act(1, take(50, ManageChannels));
    story.act(2, channel("beside both"));
    let log = story.comes_to(&[Some(100), None, Some(50)], &[taken]);
    assert_eq!(channels(&log), ["beside both"]);
    assert!(log.state().roles().is_plain());
}
