//! Where there are no Unix sockets: nothing is served.
use super::desk::Desk;
use super::service::Event;
use crate::failure::Result;
use std::path::Path;
use tokio::sync::broadcast;

pub(super) struct Socket;

impl Socket {
    pub(super) fn open(_path: &Path) -> Result<Option<Self>> {
        Ok(None)
    }

    pub(super) async fn serve(self, _desk: Desk, _events: broadcast::Sender<Event>) {}
}
