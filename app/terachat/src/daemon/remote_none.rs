//! Where there are no Unix sockets: commands cannot be forwarded, so they wait for the folder and say who holds it.
use crate::board::BoardCall;
use crate::failure::{Failure, Result};
use std::convert::Infallible;
use std::path::Path;
use terachat_client::api::{Answer, Request};

/// Never there on this system.
pub(crate) struct Remote(Infallible);

/// What a follower would be told.
#[derive(Debug)]
#[allow(dead_code)]
pub(crate) enum Update {
    Happened,
    End,
}

impl Remote {
    pub(crate) fn connect(_socket: &Path) -> Result<Option<Self>> {
        Ok(None)
    }

    pub(crate) fn board(&mut self, _call: BoardCall) -> Result<Answer> {
        match self.0 {}
    }

    pub(crate) fn execute(&mut self, _request: Request) -> Result<Answer> {
        match self.0 {}
    }

    pub(crate) fn follow(&mut self) -> Result<(), Failure> {
        match self.0 {}
    }

    pub(crate) fn next_update(&mut self) -> Result<Update> {
        match self.0 {}
    }
}
