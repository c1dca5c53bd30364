//! Where nobody changed a role everything is what it was by rank alone; and how a change is written down.
use super::orders::{Story, channel};
use super::*;
use crate::model::Named;

/// What the rules were by rank alone.
mod by_rank {
    use super::*;

    pub(super) fn forbids(op: &ControlOp, rank: u8, target: u8) -> bool {
        match op {
            ControlOp::Admit { rank: granted, .. } => rank < 50 || rank <= granted.get(),
            ControlOp::Remove { .. } => rank < 50 || rank <= target,
            ControlOp::SetRank { rank: granted, .. } => {
                let governs = rank >= 50 && rank > target && rank > granted.get();
                let crowns = rank == 100 && target < 100;
                !(governs || crowns)
            }
            ControlOp::SetName { of: Named::Space, .. } => rank < 80,
            _ => rank < 50,
        }
    }

    pub(super) fn takes(left: u8, op: &ControlOp) -> bool {
        left < match op {
            ControlOp::Admit { rank, .. } | ControlOp::SetRank { rank, .. } => rank.get().max(50),
            ControlOp::SetName { of: Named::Space, .. } => 80,
            _ => 50,
        }
    }
}

/// Where nobody changed a role everything means what it meant by rank alone: who may what, and what a demotion takes.
#[test]
fn plain_roles_mean_what_ranks_meant() {
    const RANKS: [u8; 14] = [0, 1, 9, 10, 29, 30, 49, 50, 51, 79, 80, 81, 99, 100];
    for rank in RANKS {
        for (target, granted) in RANKS.into_iter().flat_map(|target| RANKS.map(|granted| (target, granted))) {
            let mut story = Story::new(&[rank, target], 1);
            let rename = ControlOp::SetName { of: Named::Space, name: "n".into() };
            let ops =
                [story.set(2, granted), story.admit(3, granted), story.remove(2), vec![rename], channel("c")];
            for op in ops.into_iter().flatten() {
                let state = story.known[0].log().shared_state();
                if state.rank_of(&story.people[1].device.id()).map(Rank::get) != Some(rank) {
                    // No founder admits an equal.
                    continue;
                }
                let target = state.rank_of(&story.people[2].device.id()).map(Rank::get);
                let Some(target) = target else { continue };
                let forbidden = state.forbidden(&story.people[1].device.id(), &op).is_some();
                assert_eq!(forbidden, by_rank::forbids(&op, rank, target), "{rank} on {target}: {op:?}");
            }
            // A demotion beside it, by somebody who knew the rank before.
            if rank == 100 || target == 100 || granted >= rank {
                continue;
            }
            for op in
                [story.set(2, 5), story.admit(3, 20), channel("c")].into_iter().map(|mut ops| ops.remove(0))
            {
                let mut both = story.known[0].clone();
                let mut other = both.clone();
                let acted = other.append(&story.people[1], vec![op.clone()]);
                both.append(&story.people[0], story.set(1, granted));
                both.merge(&other);
                let log = both.log();
                let told = log.explain(&acted, &BTreeMap::new()).unwrap();
                let void = by_rank::forbids(&op, rank, target) || by_rank::takes(granted, &op);
                assert_eq!(told.counts(), !void, "{rank}, left {granted}, on {target}: {op:?}");
            }
            story.known.clear();
        }
    }
}

fn change(give: Permissions, take: Permissions) -> ControlOp {
    ControlOp::ChangeRole { rank: Rank::MEMBER, give, take, pins: vec![] }
}

/// Roles that nobody changed are nothing that a state's root knows of; changed ones are, and a role changed back still is.
#[test]
fn the_root_knows_of_roles_where_they_were_changed() {
    let owner = person(1);
    let mut replica = founded(std::slice::from_ref(&owner), &[]);
    let root = |replica: &Replica| replica.log().state().root();
    let before = root(&replica);
    let pin = Permission::Pin.into();
    replica.append(&owner, vec![change(pin, Permissions::NONE)]);
    let given = root(&replica);
    replica.append(&owner, vec![change(Permissions::NONE, pin)]);
    let back = root(&replica);
    assert!(before != given && given != back && back != before);
    // What only a newer version knows is kept.
    replica.append(&owner, vec![change(Permissions::from_bits(1 << 50), Permissions::NONE)]);
    assert!(root(&replica) != back);
    let member = replica.log().state().roles().of(Rank::MEMBER);
    assert_eq!((member.known().count(), member.unknown().collect::<Vec<_>>()), (1, vec![50]));
}

#[test]
fn a_change_is_these_bytes() {
    let op = change(Permission::Pin.into(), Permissions::from_bits(1 << 7 | 1));
    let bytes = ControlTransaction(vec![op.clone()]).encode();
    assert_eq!(bytes, [1, 12, 10, 2, 0x81, 1, 0]);
    assert_eq!(ControlTransaction::decode(&bytes), Ok(ControlTransaction(vec![op])));
    let both = change(Permission::Pin.into(), Permission::Pin.into());
    assert!(ControlTransaction::decode(&ControlTransaction(vec![both]).encode()).is_err());
    assert!(ControlTransaction::decode(&[1, 12, 101, 2, 0, 0]).is_err(), "no such rank");
}
