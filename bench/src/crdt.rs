//! A talk with edits, reactions and pins taken in by a second replica, kept, and opened again: beside other CRDTs.
mod child;
mod metadata;
mod own;
#[cfg(feature = "peers")]
mod peer;
#[cfg(feature = "peers")]
mod peers;
mod result;

pub(crate) use child::{Child, run_child};

use crate::measure::Spread;
use crate::report::Figure;
use crate::talk::Talk;
use crate::workload::Workload;
use anyhow::Result;
use metadata::Sizes;
use result::{Came, Kept};

pub(crate) const NAME: &str = "crdt";
/// Messages; a change is made for every ten of them.
const POSTS: usize = 100_000;
/// Messages on the page that is shown.
const PAGE: usize = 50;

/// What to run.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// How many messages there are.
    #[arg(long, default_value_t = POSTS)]
    posts: usize,
    /// Leave out automerge, loro and yrs.
    #[arg(long)]
    no_peers: bool,
}

impl Options {
    /// The whole, without peers if they are left out.
    pub(crate) fn whole(no_peers: bool) -> Self {
        Self { posts: POSTS, no_peers }
    }
}

/// Measures.
///
/// # Errors
/// The stores', the disk's, the peers'; a replica that does not show what was said.
pub(crate) fn run(workload: &Workload, runs: usize, options: Options) -> Result<Vec<Figure>> {
    let talk = Talk::new(workload, options.posts, 1..=16);
    eprintln!("{} events in {} flushes, {} bytes of text", talk.events, talk.flushes.len(), talk.text_len());
    let sent = own::send(&talk)?;
    let sizes = Sizes::of(&talk, &sent)?;
    let mut figures = Vec::new();
    for came in [Came::Whole, Came::Flushes] {
        let peers = if options.no_peers { Vec::new() } else { peers(&talk, came, runs)? };
        let ours = own::receive(&talk, &sent, came, runs)?;
        figures.extend(beside(came, &talk, &sizes, &ours, &peers));
    }
    figures.extend(sizes.figures());
    Ok(figures)
}

#[cfg(feature = "peers")]
fn peers(talk: &Talk, came: Came, runs: usize) -> Result<Vec<Kept>> {
    Ok(vec![
        result::of_peer::<peers::Automerge>(talk, came, runs)?,
        result::of_peer::<peers::Loro>(talk, came, runs)?,
        result::of_peer::<peers::Yrs>(talk, came, runs)?,
    ])
}

#[cfg(not(feature = "peers"))]
fn peers(_: &Talk, _: Came, _: usize) -> Result<Vec<Kept>> {
    eprintln!("SKIPPED automerge, loro and yrs: built without the feature `peers`");
    Ok(Vec::new())
}

/// The figures of one way to come, each ahead of all peers or a miss.
fn beside(came: Came, talk: &Talk, sizes: &Sizes, ours: &own::Received, peers: &[Kept]) -> Vec<Figure> {
    let events = talk.events as f64;
    let rate = |what: &str, spread: Spread| {
        Figure::new(NAME, format!("{}: {what}", came.name()), "events/s", spread.rate(events))
    };
    let more = |figure: Figure, of: &dyn Fn(&Kept) -> f64| compare(figure, peers, of, f64::max);
    let less = |figure: Figure, of: &dyn Fn(&Kept) -> f64| compare(figure, peers, of, f64::min);
    let peers_rate = |peer: &Kept| peer.apply_and_save().rate(events).median;
    let kept = &ours.kept;
    let value =
        |what: &str, unit, spread| Figure::new(NAME, format!("{}: {what}", came.name()), unit, spread);
    let mut figures = vec![
        more(
            rate("all but full text, by CPU time", Spread::of(kept.apply.iter().map(|t| t.cpu))),
            &peers_rate,
        ),
        rate("all but full text, by the wall clock", Spread::of(kept.apply.iter().map(|took| took.wall))),
        more(rate("with full text, by CPU time", ours.with_texts(|took| took.cpu)), &peers_rate),
        rate("with full text, by the wall clock", ours.with_texts(|took| took.wall)),
    ];
    if let Some(together) = &ours.together {
        let what = format!("all but full text, {} flushes a sync, by CPU time", own::TOGETHER);
        figures.push(more(rate(&what, *together), &peers_rate));
    }
    if let Some(backlog) = &ours.backlog {
        let what = format!("all but full text, a backlog of {} flushes, by CPU time", talk.flushes.len());
        figures.push(more(rate(&what, *backlog), &peers_rate));
    }
    let disk = |len: u64| Spread::of([len as f64]);
    let saved = |peer: &Kept| peer.len as f64;
    figures.extend([
        less(value("bytes on disk but full text", "bytes", disk(kept.len - sizes.full_text)), &saved),
        less(value("bytes on disk, full text included", "bytes", disk(kept.len)), &saved),
        Figure::once(NAME, format!("{}: of that the commit log", came.name()), "bytes", ours.log_len as f64),
        less(value("opened and last 50 messages", "ms", kept.opened()), &|peer| peer.opened().median),
        less(value("most memory by then", "MB", kept.memory()), &|peer| peer.memory().median),
        value("memory of the bare process", "MB", kept.bare()),
    ]);
    for peer in peers {
        let name = |what: &str| format!("{what}: {}", peer.name);
        let apply = Spread::of(peer.apply.iter().map(|took| took.cpu));
        figures.extend([
            rate(&name("apply and save, by CPU time"), peer.apply_and_save()),
            rate(&name("apply alone, by CPU time"), apply),
            Figure::once(NAME, format!("{}: {}", came.name(), name("saved")), "bytes", peer.len as f64),
            value(&name("loaded and last 50 messages"), "ms", peer.opened()),
            value(&name("most memory by then"), "MB", peer.memory()),
        ]);
    }
    figures
}

/// Ratios to all peers, and the aim to be ahead of the best.
fn compare(figure: Figure, peers: &[Kept], of: &dyn Fn(&Kept) -> f64, better: fn(f64, f64) -> f64) -> Figure {
    let Some(best) = peers.iter().map(of).reduce(better) else { return figure };
    let figure = peers.iter().fold(figure, |figure, peer| figure.beside(peer.name, of(peer)));
    if better(1.0, 2.0) > 1.5 { figure.at_least(best) } else { figure.at_most(best) }
}
