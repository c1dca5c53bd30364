//! A backlog: bundles that wait for a device that was away, or that came faster than they were judged. They are put together
//! before they are judged, so that an author's signature is checked once for all of its flushes among them, and the disk
//! waited for once.
use super::merge::{Joined, MERGED_EVENTS_MAX, MERGED_PAYLOADS_MAX, Merge};
use super::{Bundle, NoOpener, Opener, Outcome};
use crate::model::{EpochKey, History};
use crate::store::{Staged, Staging, Trust};
use crate::{Error, LocalStore, Wait};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use terachat_event::LogId;

/// Most bytes of payloads in all that is being put together.
const OPEN_MAX: usize = 4 << 20;

/// Bundles on their way in.
struct Backlog<'a> {
    bundles: &'a [Bundle],
    opener: &'a mut dyn Opener,
    outcomes: Vec<Option<Result<Outcome, Error>>>,
    /// What is still to be looked at, in order.
    pending: VecDeque<usize>,
    /// What is being put together, by log: channels do not depend on each other.
    open: BTreeMap<LogId, Merge>,
    /// Most bundles put together. Half as many as where one did not fit among others, then twice as many for each success: so a
    /// sender of bad ones among good ones wastes no more work than a share of what is done anyway.
    bundles_max: usize,
    /// How many bundles were looked at, each time counted.
    tries: usize,
}

/// How a bundle can be taken in.
enum Way {
    /// With others.
    Together(Arc<EpochKey>),
    /// By itself, after all before it.
    Alone,
    /// Not now, whatever is before it.
    Waits(Wait),
}

impl LocalStore {
    /// Takes in bundles from peers, in this order, each whole or not at all, and says what became of each: as
    /// [`LocalStore::apply_remote`] does of one after the other, at a fraction of the cost where they are small. What the
    /// answers call applied is durable, unless commits are deferred.
    ///
    /// Of an author's flushes that are judged together only the newest signature is checked, which covers those before it by
    /// the chain of hashes. A flush whose own signature is damaged is therefore taken in here where a later one of its author
    /// proves it; singly it would be refused, and the later one wait for it. Memory: some 10 MiB beside the bundles.
    ///
    /// # Errors
    /// In each bundle's own answer; a bad one leaves the others as they are.
    pub fn apply_backlog(&mut self, bundles: &[Bundle]) -> Vec<Result<Outcome, Error>> {
        self.apply_backlog_opening(bundles, &mut NoOpener)
    }

    /// The same; what was sealed message by message is opened on the way, as by [`LocalStore::apply_remote_opening`].
    ///
    /// # Errors
    /// As there.
    pub fn apply_backlog_opening(
        &mut self,
        bundles: &[Bundle],
        opener: &mut dyn Opener,
    ) -> Vec<Result<Outcome, Error>> {
        if let [bundle] = bundles {
            return vec![self.apply_remote_opening(bundle, opener)];
        }
        let answered = "whatever left the queue was answered or is open, and nothing is";
        let outcomes = self.work_off(bundles, opener).outcomes.into_iter();
        outcomes.map(|outcome| outcome.expect(answered)).collect()
    }

    fn work_off<'a>(&mut self, bundles: &'a [Bundle], opener: &'a mut dyn Opener) -> Backlog<'a> {
        let mut backlog = Backlog {
            bundles,
            opener,
            outcomes: vec![None; bundles.len()],
            pending: (0..bundles.len()).collect(),
            open: BTreeMap::new(),
            bundles_max: usize::MAX,
            tries: 0,
        };
        loop {
            while let Some(number) = backlog.pending.pop_front() {
                self.take_next(&mut backlog, number);
            }
            if backlog.open.is_empty() {
                return backlog;
            }
            self.close(&mut backlog);
        }
    }

    fn take_next(&mut self, backlog: &mut Backlog<'_>, number: usize) {
        backlog.tries += 1;
        let bundle = &backlog.bundles[number];
        let log = bundle.batch.log;
        let key = match self.way(bundle) {
            Way::Waits(wait) => return backlog.set_aside(number, Ok(Outcome::Waits(wait))),
            Way::Together(key) if backlog.bundles_max > 1 => key,
            Way::Together(_) | Way::Alone => return self.alone(backlog, number),
        };
        let Some(index) = self.index(&log) else { return self.alone(backlog, number) };
        let merge = backlog.open.entry(log).or_insert_with(|| Merge::new(log, bundle.batch.key));
        if merge.bundles.len() >= backlog.bundles_max {
            return self.alone(backlog, number);
        }
        let joined = merge.join(number, bundle, index, Some(&key));
        if merge.bundles.is_empty() {
            backlog.open.remove(&log);
        }
        match joined {
            Ok(Joined::Yes) => {
                if backlog.open.values().map(Merge::payload_len).sum::<usize>() > OPEN_MAX {
                    self.close(backlog);
                }
            }
            Ok(Joined::Gap(event)) => backlog.set_aside(number, Ok(Outcome::Waits(Wait::Event(event)))),
            Ok(Joined::No) => self.alone(backlog, number),
            Err(error) => backlog.set_aside(number, Err(error)),
        }
    }

    /// As far as it depends on no other channel's bundle.
    fn way(&mut self, bundle: &Bundle) -> Way {
        let batch = &bundle.batch;
        // Who is large has little to gain and comes compressed as it will be kept. What touches a fork is judged by itself.
        let is_small =
            batch.events.len() <= MERGED_EVENTS_MAX / 2 && batch.payload_len() <= MERGED_PAYLOADS_MAX / 2;
        // What is sealed message by message is opened bundle by bundle.
        let is_plain = self.history(&batch.log) == History::Shared;
        let is_plain = is_plain && batch.log.channel.is_some();
        let is_plain = is_plain && batch.stubs.is_empty() && batch.skeletons.is_empty();
        if !is_small || !is_plain || batch.events.is_empty() || self.load_cited(batch).is_err() {
            return Way::Alone;
        }
        match self.prepare(batch) {
            Ok(Ok(cited)) if cited.is_empty() => {}
            Ok(Err(wait)) => return Way::Waits(wait),
            _ => return Way::Alone,
        }
        // What is missing here may be among what is passed over as known.
        if self.index(&batch.log).is_none_or(|index| !index.frozen.is_empty())
            || self.lacks_bodies(&batch.log)
        {
            return Way::Alone;
        }
        match (self.epoch_key(&batch.log, batch.key.as_ref()), batch.key) {
            (Some(key), _) => Way::Together(key),
            (None, Some(id)) => Way::Waits(Wait::Epoch(id.epoch)),
            (None, None) => Way::Alone,
        }
    }

    /// Takes a bundle in by itself, once all before it are done.
    fn alone(&mut self, backlog: &mut Backlog<'_>, number: usize) {
        if backlog.open.values().any(|merge| !merge.bundles.is_empty()) {
            backlog.pending.push_front(number);
            self.close(backlog);
            return;
        }
        backlog.open.clear();
        if self.apply_one(backlog, number) {
            backlog.succeeded();
        }
    }

    /// Gives whether it was taken in.
    fn apply_one(&mut self, backlog: &mut Backlog<'_>, number: usize) -> bool {
        backlog.tries += 1;
        let outcome = self.apply_remote_opening(&backlog.bundles[number], backlog.opener);
        let applied = matches!(outcome, Ok(Outcome::Applied { .. }));
        backlog.answer(number, outcome);
        applied
    }

    /// Judges what was put together and makes it durable; what is behind a bundle that does not fit is pending again.
    fn close(&mut self, backlog: &mut Backlog<'_>) {
        let (mut ready, mut failed) = (Vec::new(), Vec::new());
        for merge in std::mem::take(&mut backlog.open).into_values() {
            if merge.bundles.len() == 1 {
                let numbers = all_of(&merge);
                numbers.into_iter().for_each(|number| _ = self.apply_one(backlog, number));
                continue;
            }
            match self.judge(merge) {
                Ok(judged) => ready.push(judged),
                Err(stopped) => failed.push(stopped),
            }
        }
        self.accept_all(backlog, ready);
        for stopped in failed {
            self.divide(backlog, &stopped.0, stopped.1);
        }
    }

    /// # Errors
    /// The merge, and how many of its events were found good by themselves.
    fn judge(&mut self, mut merge: Merge) -> Result<Judged, Box<(Merge, usize)>> {
        let chunks = merge.chunks();
        let mut followed = 0;
        match self.stage_counting(&merge.batch, &chunks, Trust::Peer, &mut followed) {
            Ok(Staging::Ready(staged)) => Ok(Judged { merge, chunks, staged }),
            _ => Err(Box::new((merge, followed))),
        }
    }

    /// One commit and one sync for all.
    fn accept_all(&mut self, backlog: &mut Backlog<'_>, judged: Vec<Judged>) {
        let news = judged.iter().filter(|judged| judged.staged.fresh.contains(&true));
        let parts: Vec<_> =
            news.map(|judged| (&judged.merge.batch, &judged.chunks[..], &judged.staged)).collect();
        let from = |store: &Self, log| store.index(log).map_or(0, crate::store::index::LogIndex::len);
        let ends: Vec<u32> = judged.iter().map(|judged| from(self, &judged.merge.batch.log)).collect();
        let result = if parts.is_empty() { Ok(()) } else { self.accept_merged(&parts) };
        for (judged, end) in judged.iter().zip(ends) {
            match &result {
                Ok(()) => judged.answer(backlog, end),
                Err(error) => {
                    let numbers = all_of(&judged.merge).into_iter();
                    numbers.for_each(|number| backlog.answer(number, Err(error.clone())));
                }
            }
        }
    }

    /// Finds out which of the bundles of a merge is not as it should be, and takes in those before it.
    fn divide(&mut self, backlog: &mut Backlog<'_>, merge: &Merge, followed: usize) {
        backlog.bundles_max = (merge.bundles.len() / 2).max(1);
        let numbers = all_of(merge);
        let Some(culprit) = merge.bundles.get(merge.bundle_of(followed)).map(|part| part.number) else {
            // Each event follows from those before it: a signature is bad, or a chain forked. Whose, only each tells.
            numbers.into_iter().for_each(|number| _ = self.apply_one(backlog, number));
            return;
        };
        let (before, rest) = numbers.split_at(numbers.partition_point(|number| *number < culprit));
        let behind = &rest[1..];
        behind.iter().rev().for_each(|number| backlog.pending.push_front(*number));
        match self.again(backlog, merge, culprit).map(|merge| self.judge(merge)) {
            Some(Ok(judged)) => self.accept_all(backlog, vec![judged]),
            _ => {
                for number in before {
                    self.apply_one(backlog, *number);
                }
            }
        }
        backlog.tries += before.len();
        self.apply_one(backlog, culprit);
    }

    /// The bundles of a merge before one of them, put together once more.
    fn again(&self, backlog: &Backlog<'_>, merge: &Merge, end: usize) -> Option<Merge> {
        let batch = &merge.batch;
        let (index, key) = (self.index(&batch.log)?, self.epoch_key(&batch.log, batch.key.as_ref())?);
        let mut some = Merge::new(batch.log, batch.key);
        for number in merge.bundles.iter().map(|part| part.number).filter(|number| *number < end) {
            let bundle = &backlog.bundles[number];
            matches!(some.join(number, bundle, index, Some(&key)), Ok(Joined::Yes)).then_some(())?;
        }
        some.asides = merge.asides.iter().filter(|(number, _)| *number < end).cloned().collect();
        (some.bundles.len() > 1).then_some(some)
    }
}

impl Backlog<'_> {
    fn answer(&mut self, number: usize, outcome: Result<Outcome, Error>) {
        debug_assert!(self.outcomes[number].is_none(), "a bundle is answered once");
        self.outcomes[number] = Some(outcome);
    }

    /// Answers a bundle that is not taken in, unless what is before it in its log is still to be judged: if a chain turns out
    /// to be forked there, the answer is another.
    fn set_aside(&mut self, number: usize, outcome: Result<Outcome, Error>) {
        let log = self.bundles[number].batch.log;
        match self.open.get_mut(&log).filter(|merge| !merge.bundles.is_empty()) {
            Some(merge) => merge.asides.push((number, outcome)),
            None => self.answer(number, outcome),
        }
    }

    fn succeeded(&mut self) {
        self.bundles_max = self.bundles_max.saturating_mul(2);
    }
}

/// A merge all of whose events are proven.
struct Judged {
    merge: Merge,
    chunks: Vec<Vec<u8>>,
    staged: Staged,
}

impl Judged {
    /// Says of each of its bundles that it was taken in, the first at this position.
    fn answer(&self, backlog: &mut Backlog<'_>, mut position: u32) {
        let mut from = 0;
        for part in &self.merge.bundles {
            let fresh = self.staged.fresh[from..part.end].iter().filter(|fresh| **fresh).count();
            let known = part.end - from - fresh + part.repeated;
            let end = position + u32::try_from(fresh).expect("a merge is small");
            backlog.answer(part.number, Ok(Outcome::Applied { new: position..end, known }));
            (from, position) = (part.end, end);
        }
        for (number, outcome) in &self.merge.asides {
            backlog.answer(*number, outcome.clone());
        }
        backlog.succeeded();
    }
}

/// Places of all bundles of a merge, and of those set aside between them, in their order.
fn all_of(merge: &Merge) -> Vec<usize> {
    let mut numbers: Vec<usize> = merge.bundles.iter().map(|part| part.number).collect();
    numbers.extend(merge.asides.iter().map(|(number, _)| *number));
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests;
