//! Many callers' writes in one commit. Whoever comes first leads: it takes what waits, commits it, and hands the lead to
//! the first that came meanwhile. Nobody waits for company; company forms while the disk is busy.
use crate::apply::Work;
use crate::commit::Staged;
use crate::store::Store;
use crate::{Applied, Error};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Rows after which a group is closed.
const ROWS_MAX: usize = 8192;
/// Bytes of content after which a group is closed.
const BYTES_MAX: usize = 32 << 20;

#[derive(Default)]
pub(crate) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Arc<Request>>,
    led: bool,
}

struct Request {
    state: Mutex<State>,
    wake: Condvar,
}

enum State {
    Waiting(Box<Work>),
    /// The next group is this one's to lead.
    Leading(Box<Work>),
    /// In the hands of a leader.
    Taken,
    Done(Result<Applied, Error>),
}

impl Request {
    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.wake.notify_one();
    }

    fn take(&self) -> Option<Box<Work>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Taken) {
            State::Waiting(work) | State::Leading(work) => Some(work),
            other => {
                *state = other;
                None
            }
        }
    }

    fn put_back(&self, work: Box<Work>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Waiting(work);
    }

    fn lead(&self) {
        if let Some(work) = self.take() {
            self.set(State::Leading(work));
        }
    }
}

impl Store {
    /// Does the work together with that of others, and returns once it is committed.
    pub(crate) fn submit(&self, work: Work) -> Result<Applied, Error> {
        self.before_changing()?;
        let request =
            Arc::new(Request { state: Mutex::new(State::Waiting(Box::new(work))), wake: Condvar::new() });
        let leads = {
            let mut waiting = self.queue.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.requests.push_back(request.clone());
            !std::mem::replace(&mut waiting.led, true)
        };
        if leads {
            self.lead();
        }
        loop {
            let mut state = request.state.lock().unwrap_or_else(PoisonError::into_inner);
            while matches!(*state, State::Waiting(_) | State::Taken) {
                state = request.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            match std::mem::replace(&mut *state, State::Taken) {
                State::Done(result) => return result,
                leading => {
                    *state = leading;
                    drop(state);
                    self.lead();
                }
            }
        }
    }

    /// Commits one group, which has the leader's own work in it, and passes the lead on.
    fn lead(&self) {
        {
            let mut writer = self.writer();
            let (staged, answers, sync) = self.gather(&mut writer);
            let committed = match staged.is_empty() {
                true => Ok(0),
                false => self.commit(&mut writer, staged, sync),
            };
            drop(writer);
            for (request, applied) in answers {
                request.set(State::Done(committed.clone().map(|_| applied)));
            }
        }
        let mut waiting = self.queue.0.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.requests.front() {
            Some(next) => next.lead(),
            None => waiting.led = false,
        }
    }

    /// Stages what waits, as long as no record is touched twice. What fails is answered at once.
    #[allow(clippy::type_complexity, reason = "the parts of a group, taken apart at once")]
    fn gather(&self, writer: &mut crate::commit::Writer) -> (Staged, Vec<(Arc<Request>, Applied)>, bool) {
        let (mut group, mut answers, mut sync) = (Staged::default(), Vec::new(), false);
        // What was staged last is only looked up when something comes after it.
        let (mut touched, mut last) = (HashSet::new(), Vec::new());
        let (mut bytes, mut taken) = (0, 0);
        while taken < self.config.group_max && group.len() < ROWS_MAX && bytes < BYTES_MAX {
            let next = self.queue.0.lock().unwrap_or_else(PoisonError::into_inner).requests.pop_front();
            let Some(request) = next else { break };
            let Some(mut work) = request.take() else { continue };
            touched.extend(last.drain(..));
            if work.names().any(|name| touched.contains(&name)) {
                request.put_back(work);
                self.queue.0.lock().unwrap_or_else(PoisonError::into_inner).requests.push_front(request);
                break;
            }
            taken += 1;
            match self.stage(writer, &mut work) {
                Ok((staged, applied)) => {
                    last.extend(work.names());
                    bytes += work.len;
                    sync |= work.durable();
                    group.join(staged);
                    answers.push((request, applied));
                }
                Err(error) => request.set(State::Done(Err(error))),
            }
        }
        (group, answers, sync)
    }
}
