use super::child::{Seen, open_again};
#[cfg(feature = "peers")]
use super::peer::Peer;
use crate::measure::{Spread, Took};
use crate::talk::Talk;
use anyhow::{Result, ensure};
use std::path::Path;

/// A peer's run that takes more seconds than this is not repeated.
#[cfg(feature = "peers")]
const PATIENCE_S: f64 = 60.0;

/// How a talk comes to a second replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// In one piece.
    Whole,
    /// As it was made: an update for each flush.
    Flushes,
}

impl Came {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Whole => "one bundle",
            Self::Flushes => "flush by flush",
        }
    }
}

/// What a replica that took in the talk took, and what it takes to open what it keeps.
pub(super) struct Kept {
    pub(super) name: &'static str,
    pub(super) apply: Vec<Took>,
    pub(super) save: Vec<Took>,
    /// Bytes on disk.
    pub(super) len: u64,
    seen: Vec<Seen>,
}

impl Kept {
    /// Opens what is kept, each time in a fresh process.
    ///
    /// # Errors
    /// The child's; it shows something else than what was said.
    pub(super) fn new(
        (name, program): (&'static str, &str),
        talk: &Talk,
        (apply, save): (Vec<Took>, Vec<Took>),
        (path, len): (&Path, u64),
        runs: usize,
    ) -> Result<Self> {
        let digest = super::child::digest(&talk.last(super::PAGE));
        let seen = (0..runs).map(|_| open_again(program, path)).collect::<Result<Vec<_>>>()?;
        ensure!(seen.iter().all(|seen| seen.digest == digest), "{name} does not show what was said");
        ensure!(seen.iter().all(|seen| seen.count == talk.posts), "{name} lost messages");
        Ok(Self { name, apply, save, len, seen })
    }

    pub(super) fn apply_and_save(&self) -> Spread {
        Spread::of(self.apply.iter().zip(&self.save).map(|(apply, save)| apply.cpu + save.cpu))
    }

    /// Milliseconds until the page is there.
    pub(super) fn opened(&self) -> Spread {
        Spread::of(self.seen.iter().map(|seen| seen.wall_s * 1e3))
    }

    /// Megabytes at most.
    pub(super) fn memory(&self) -> Spread {
        Spread::of(self.seen.iter().map(|seen| seen.memory_most.map_or(f64::NAN, |len| len as f64 / 1e6)))
    }

    /// Megabytes before anything was opened.
    pub(super) fn bare(&self) -> Spread {
        Spread::of(self.seen.iter().map(|seen| seen.memory_before.map_or(f64::NAN, |len| len as f64 / 1e6)))
    }
}

/// What a peer takes.
///
/// # Errors
/// The peer's.
#[cfg(feature = "peers")]
pub(super) fn of_peer<P: Peer>(talk: &Talk, came: Came, runs: usize) -> Result<Kept> {
    use crate::measure::time;
    let updates = P::send(talk, came == Came::Whole)?;
    eprintln!("{}, {}: {} updates", P::NAME, came.name(), updates.len());
    let (mut apply, mut save, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let (document, took) = time(|| match came {
            Came::Whole => P::load(&updates[0]),
            Came::Flushes => {
                let mut document = P::empty();
                updates.iter().try_for_each(|update| P::apply(&mut document, update))?;
                Ok(document)
            }
        });
        apply.push(took);
        let mut document = document?;
        ensure!(P::count(&document)? == talk.posts, "{} lost messages", P::NAME);
        let (saved, took) = time(|| P::save(&mut document));
        bytes = saved?;
        save.push(took);
        if apply.last().is_some_and(|took| took.wall > PATIENCE_S) {
            eprintln!("{}, {}: too slow to be repeated", P::NAME, came.name());
            break;
        }
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("saved");
    std::fs::write(&path, &bytes)?;
    Kept::new((P::NAME, P::NAME), talk, (apply, save), (&path, bytes.len() as u64), runs)
}
