//! MLS groups: what our verbs cost beside the bare library, and what goes over the wire.
mod arrive;
mod away;
mod bare;
mod messages;
mod narrow;
mod own;

use crate::measure::{Spread, time};
use crate::report::Figure;
use anyhow::{Result, ensure};
use bare::Bare;
use clap::Args;
use own::Own;
use terachat_group::CipherSuite;

const NAME: &str = "groups";
const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// Our verb, its state made into bytes included, over the library's own with its own storage.
const OVERHEAD: f64 = 1.15;
/// Bytes of a welcome for one newcomer.
const WELCOME: f64 = 1_024.0;
/// The largest group in which X-Wing is measured: a commit in one that was made at once has 1.2 kB for each member.
const QUANTUM_MOST: usize = 1_000;
/// Commits that a device missed.
const EPOCHS: usize = 1_000;
/// The size at which they do.
const UPDATED: usize = 1_000;

#[derive(Args, Clone, Copy)]
pub(crate) struct Options {
    /// The largest group, of 10, 100, 1,000 and 10,000 members; making the last takes a minute.
    #[arg(long = "most-members", default_value_t = 10_000)]
    most: usize,
}

/// Measures both in turn.
///
/// # Errors
/// One of the two does not do what it should.
pub(crate) fn run(runs: usize, options: Options) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for size in SIZES.into_iter().filter(|size| *size <= options.most) {
        eprintln!("a group of {size}");
        figures.extend(at(size, runs)?);
        figures.extend(messages::figures(size, runs)?);
        figures.extend(arrive::first_message(size, runs)?);
        if size <= QUANTUM_MOST {
            figures.extend(quantum(size, runs)?);
        }
    }
    if options.most >= UPDATED {
        figures.extend(narrow::figures()?);
        eprintln!("{} newcomers at once", arrive::CROWD);
        figures.extend(arrive::crowd()?);
        eprintln!("{EPOCHS} epochs to catch up with");
        figures.extend(away::figures(UPDATED, EPOCHS)?);
    }
    Ok(figures)
}

/// Commits, their processing and joining in a group of `size`.
fn at(size: usize, runs: usize) -> Result<Vec<Figure>> {
    let ((mut alice, mut bob), own_bulk) = time(|| Own::pair(CipherSuite::X25519, size));
    let ((mut bare_alice, mut bare_bob), bare_bulk) = {
        let (pair, took) = time(|| Bare::pair(size));
        (pair?, took)
    };
    let (mut commits, mut processes, mut joins, mut stored) = Default::default();
    let (mut bare_commits, mut bare_processes, mut bare_joins) = Default::default();
    let mut welcome_len = 0;
    let add = |to: &mut Vec<f64>, took: crate::measure::Took| to.push(took.cpu);
    // The first round warms up.
    for round in 0..=runs {
        let timed: [&mut Vec<f64>; 6] = [
            &mut commits,
            &mut processes,
            &mut joins,
            &mut bare_commits,
            &mut bare_processes,
            &mut bare_joins,
        ];
        let mut tell = |which: usize, took| {
            if round > 0 {
                add(timed[which], took);
            }
        };
        let (update, took) = time(|| alice.update());
        tell(0, took);
        let (bytes, took) = time(|| bob.process(&update));
        tell(1, took);
        stored = bytes;
        let (update, took) = time(|| bare_alice.update());
        tell(3, took);
        let update = update?;
        let (done, took) = time(|| bare_bob.process(&update));
        done?;
        tell(4, took);

        let mut carol = own::Newcomer::new(CipherSuite::X25519);
        let invited = alice.invite(&carol);
        welcome_len = invited.welcome.len();
        let ((), took) = time(|| carol.join(&invited));
        tell(2, took);
        bob.process(&invited.message);
        ensure!(alice.agrees(&bob) && alice.agrees_with(&carol), "our members do not agree");
        let gone = alice.remove(&carol);
        bob.process(&gone);

        let mut carol = Bare::newcomer();
        let invited = bare_alice.invite(&carol)?;
        let (done, took) = time(|| carol.join(&invited));
        done?;
        tell(5, took);
        bare_bob.process(&invited.message)?;
        ensure!(bare_alice.agrees(&bare_bob) && bare_alice.agrees(&carol), "bare members do not agree");
        let gone = bare_alice.remove(&carol)?;
        bare_bob.process(&gone)?;
    }
    let both = |what: &str, own: Vec<f64>, bare: Vec<f64>| {
        let (own, bare) = (Spread::of(own).per(1e-3), Spread::of(bare).per(1e-3));
        Figure::new(NAME, format!("{what} at {size}"), "ms CPU", own)
            .beside("bare openmls", bare.median)
            .at_most(bare.median * OVERHEAD)
    };
    let once = |what: &str, unit, value: f64| Figure::once(NAME, format!("{what} at {size}"), unit, value);
    Ok(vec![
        once("all added in one commit", "s CPU", own_bulk.cpu).beside("bare openmls", bare_bulk.cpu),
        both("commit", commits, bare_commits),
        both("process", processes, bare_processes),
        both("join", joins, bare_joins),
        once("welcome for one", "bytes", welcome_len as f64).at_most(WELCOME),
        once("state kept of an epoch", "bytes", stored as f64),
    ])
}

/// The same verbs with X-Wing, beside themselves with X25519.
fn quantum(size: usize, runs: usize) -> Result<Vec<Figure>> {
    // Commit, process, join; then the lengths of a commit, a welcome and the state.
    let mut costs: [[Vec<f64>; 6]; 2] = Default::default();
    for (suite, costs) in CipherSuite::ALL.into_iter().zip(&mut costs) {
        let (mut alice, mut bob) = Own::pair(suite, size);
        for round in 0..=runs {
            let (update, commit) = time(|| alice.update());
            let (stored, process) = time(|| bob.process(&update));
            let mut carol = own::Newcomer::new(suite);
            let invited = alice.invite(&carol);
            let ((), join) = time(|| carol.join(&invited));
            bob.process(&invited.message);
            ensure!(alice.agrees(&bob) && alice.agrees_with(&carol), "members do not agree");
            let gone = alice.remove(&carol);
            bob.process(&gone);
            let lengths = [update.len(), invited.welcome.len(), stored].map(|len| len as f64);
            let seen = [commit, process, join].map(|took| took.cpu * 1e3).into_iter().chain(lengths);
            // The first round warms up.
            if round > 0 {
                costs.iter_mut().zip(seen).for_each(|(to, value)| to.push(value));
            }
        }
    }
    let [classic, quantum] = costs;
    let names =
        ["commit", "process", "join", "commit's length", "welcome's length", "state kept of an epoch"];
    let figures = names.into_iter().zip(classic).zip(quantum).map(|((name, classic), quantum)| {
        let unit = if name.contains("length") || name.contains("state") { "bytes" } else { "ms CPU" };
        Figure::new(NAME, format!("{name} with X-Wing at {size}"), unit, Spread::of(quantum))
            .beside("X25519", Spread::of(classic).median)
    });
    Ok(figures.collect())
}
