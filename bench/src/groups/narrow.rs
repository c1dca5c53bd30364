//! How the wide commits after a bulk add shrink as members renew their keys.
use super::NAME;
use super::own::{Crowd, Outsider, Retaken, Seeded};
use crate::measure::Spread;
use crate::report::Figure;
use anyhow::{Context, Result, ensure};
use terachat_group::CipherSuite;
use terachat_vault::Entropy;

/// Members of the group, all but its founder added by one commit.
const SIZE: usize = 1_000;
/// How many, spread over the tree, renew their keys by commits.
const SPREAD: usize = 64;
/// After how many renewals, in an order of chance, a commit is measured.
const AFTER: [usize; 4] = [0, 10, 100, 500];
/// Of how many members, and renewed by how many, both ways of renewing are compared.
const SAME: (usize, usize) = (64, 16);

/// Lengths of commits.
///
/// # Errors
/// A member's renewal does not process, or the two ways of renewing differ.
pub(super) fn figures() -> Result<Vec<Figure>> {
    both_ways_are_one()?;
    let mut figures = Vec::new();
    let mut group = Crowd::new(CipherSuite::X25519, SIZE, SPREAD);
    for renewed in 0..=SPREAD {
        if renewed == 0 || renewed.is_power_of_two() {
            let name = format!("commit at {SIZE} after {renewed} members' renewals, spread evenly");
            figures.push(Figure::once(NAME, name, "bytes", group.commit_len() as f64));
        }
        if renewed < SPREAD {
            group.renew(renewed).context("a member's renewal")?;
        }
    }
    let (mut group, mut members) = Crowd::outside(CipherSuite::X25519, SIZE);
    shuffle(&mut members);
    let (mut renewed, mut last) = (0, Vec::new());
    for after in AFTER {
        last.clear();
        for member in &mut members[renewed..after] {
            last.push(group.retake(member)?);
        }
        renewed = after;
        let name = format!("commit at {SIZE} after {renewed} members' renewals, in an order of chance");
        figures.push(Figure::once(NAME, name, "bytes", group.commit_len() as f64));
    }
    let each = |value: fn(&Retaken) -> f64| Spread::of(last.iter().map(value));
    let of = |what: &str, unit, spread| Figure::new(NAME, format!("{what} at {SIZE}"), unit, spread);
    figures.extend([
        of("an own place taken anew", "ms CPU", each(|it| it.making).per(1e-3)),
        of("another's place taken anew, processed", "ms CPU", each(|it| it.processing).per(1e-3)),
        of("what is shown for it", "bytes", each(|it| it.shown as f64)),
        of("commit by which it is taken", "bytes", each(|it| it.len as f64)),
    ]);
    Ok(figures)
}

/// Whoever renews has to have processed all commits before. Hundreds of members who do would take an hour; those who take their own place
/// anew (RFC 9420, section 12.4.3.2) fill the same nodes of the tree with new keys, and need no state for it. That the commits
/// that follow have the same length is looked at here.
fn both_ways_are_one() -> Result<()> {
    let (size, renewing) = SAME;
    let mut by_commits = Crowd::new(CipherSuite::X25519, size + 1, renewing);
    let (mut by_places, mut members) = Crowd::outside(CipherSuite::X25519, size + 1);
    let apart = size / renewing;
    for turn in 0..renewing {
        let who = by_commits.renew(turn)?;
        by_places.retake(&mut members[who * apart])?;
        let [commits, places] = [by_commits.commit_len(), by_places.commit_len()];
        ensure!(
            commits == places,
            "after {turn} renewals a commit has {commits} bytes, and {places} after as many places taken anew"
        );
    }
    Ok(())
}

/// Fisher and Yates.
fn shuffle(members: &mut [Outsider]) {
    let mut entropy = Seeded::new(1 << 50);
    for last in (1..members.len()).rev() {
        let mut draw = [0; 8];
        entropy.fill(&mut draw);
        members.swap(last, (u64::from_le_bytes(draw) % (last as u64 + 1)) as usize);
    }
}
