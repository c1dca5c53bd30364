//! A look at a node from inside its process.
use crate::engine::Event;
use crate::meters::{Metered, Meters};
use std::sync::Arc;
use terachat_cluster::wire::Report;
use tokio::sync::{mpsc, oneshot};

/// Sees how a node does that runs in this process. Cheap to clone; it keeps nothing alive.
#[derive(Debug, Clone)]
pub struct Watch {
    events: mpsc::UnboundedSender<Event>,
    meters: Arc<Meters>,
}

impl Watch {
    pub(crate) fn new(events: mpsc::UnboundedSender<Event>, meters: Arc<Meters>) -> Self {
        Self { events, meters }
    }

    /// How the node sees the cluster; `None` when it has ended.
    pub async fn report(&self) -> Option<Report> {
        let (told, report) = oneshot::channel();
        self.events.send(Event::Report(told)).ok()?;
        report.await.ok()
    }

    /// What clients asked of it so far, a line for each verb.
    pub fn requests(&self) -> Vec<Metered> {
        self.meters.read()
    }
}
