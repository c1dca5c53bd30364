use crate::model::{Authority, Bones, ControlLog, Permission, SpaceState, Verdict};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use terachat_event::{ChannelId, DeviceId, EventHash};

/// A space's control log as far as it was needed since the store was opened: its state at once, its history, which is as
/// large as everybody's admission, when somebody asks for it.
#[derive(Default)]
pub(crate) struct Control {
    settled: Option<Settled>,
    log: OnceCell<ControlLog>,
}

/// What a snapshot keeps of a control log all of whose events count.
pub(crate) struct Settled {
    pub(crate) state: Arc<SpaceState>,
    /// Events nobody has built on yet, ascending.
    pub(crate) heads: Vec<EventHash>,
    /// What each event's author was when it was made, in the order in which the events came.
    pub(crate) authors: Vec<Authority>,
}

impl Control {
    pub(crate) fn settled(settled: Settled) -> Self {
        Self { settled: Some(settled), log: OnceCell::new() }
    }

    /// The state of all events.
    pub(crate) fn state(&self) -> &SpaceState {
        match self.parts() {
            Ok(settled) => &settled.state,
            Err(log) => log.state(),
        }
    }

    /// The same, to be kept.
    pub(crate) fn shared_state(&self) -> Arc<SpaceState> {
        match self.parts() {
            Ok(settled) => Arc::clone(&settled.state),
            Err(log) => log.shared_state(),
        }
    }

    /// Events nobody has built on yet, ascending.
    pub(crate) fn heads(&self) -> Vec<EventHash> {
        self.parts().map_or_else(ControlLog::heads, |settled| settled.heads.clone())
    }

    /// As [`ControlLog::settled`].
    pub(crate) fn authors(&self) -> Option<Vec<Authority>> {
        self.parts().map_or_else(ControlLog::settled, |settled| Some(settled.authors.clone()))
    }

    /// As [`ControlLog::is_settled`].
    pub(crate) fn is_settled(&self) -> bool {
        self.parts().is_ok() || self.parts().is_err_and(ControlLog::is_settled)
    }

    /// Whether these heads are all there is.
    pub(crate) fn is_current(&self, heads: &[EventHash]) -> bool {
        match self.parts() {
            Ok(settled) => {
                heads.len() == settled.heads.len() && heads.iter().all(|head| settled.heads.contains(head))
            }
            Err(log) => log.is_current(heads),
        }
    }

    /// As [`ControlLog::lacks_of`] with nothing fresh; without history, only the heads are known.
    pub(crate) fn lacks_of(
        &self,
        wanted: &[EventHash],
        offered: &BTreeMap<EventHash, Bones>,
    ) -> Result<Vec<EventHash>, EventHash> {
        match self.parts() {
            Ok(settled) => match wanted.iter().find(|hash| !settled.heads.contains(hash)) {
                Some(unknown) => Err(*unknown),
                None => Ok(Vec::new()),
            },
            Err(log) => log.lacks_of(wanted, offered, &BTreeMap::new()),
        }
    }

    /// As [`ControlLog::builds_on_fork`]: where every event counts there is no fork.
    pub(crate) fn builds_on_fork(&self, heads: &[EventHash]) -> bool {
        self.parts().is_err_and(|log| log.builds_on_fork(heads))
    }

    /// As [`ControlLog::names`]: where every event counts, those are the state's devices.
    pub(crate) fn names(&self, device: &DeviceId) -> bool {
        self.parts()
            .map_or_else(|log| log.names(device), |settled| settled.state.devices.contains_key(device))
    }

    /// As [`ControlLog::verdict`]; without history `None` for all but the current heads.
    pub(crate) fn verdict(
        &mut self,
        author: &DeviceId,
        channel: &ChannelId,
        cited: &[EventHash],
        permission: Permission,
    ) -> Option<Verdict> {
        if let Some(log) = self.log.get_mut() {
            return log.verdict(author, channel, cited, permission);
        }
        self.is_current(cited).then(|| Verdict::on(self.state(), author, channel, permission))
    }

    /// The history, if it was asked for since the store was opened or came to be since.
    pub(crate) fn history(&self) -> Option<&ControlLog> {
        if self.settled.is_some() { self.log.get() } else { Some(self.log.get_or_init(ControlLog::default)) }
    }

    /// Takes the history in that [`Control::history`] lacks.
    pub(crate) fn remember(&self, log: ControlLog) {
        // Nobody else can have brought it meanwhile: a store belongs to one thread.
        let _ = self.log.set(log);
    }

    /// What a history is restored with.
    pub(crate) fn parts(&self) -> Result<&Settled, &ControlLog> {
        match (&self.settled, self.log.get()) {
            (Some(settled), None) => Ok(settled),
            _ => Err(self.log.get_or_init(ControlLog::default)),
        }
    }

    /// The history, to be changed: from here on it speaks for itself. It must be here, see [`Control::history`].
    pub(crate) fn history_mut(&mut self) -> &mut ControlLog {
        assert!(
            self.settled.is_none() || self.log.get().is_some(),
            "the history is loaded before it changes"
        );
        self.settled = None;
        self.log.get_or_init(ControlLog::default);
        self.log.get_mut().expect("it was just there")
    }
}
