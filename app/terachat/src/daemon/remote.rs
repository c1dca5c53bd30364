use super::wire::{Call, Reply, announced, pack, unpack};
use crate::board::BoardCall;
use crate::failure::{Failure, Result};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use terachat_client::api::{Answer, Request};

/// The process that has the profile open, as another command sees it.
pub(crate) struct Remote {
    stream: UnixStream,
}

/// What a follower is told.
#[derive(Debug)]
pub(crate) enum Update {
    /// Something happened: one notice, or some that were missed.
    Happened,
    /// The other process ended.
    End,
}

impl Remote {
    /// Reaches the process that serves at `socket`; `None` when there is none, also when one died and left the file.
    ///
    /// # Errors
    /// [`Failure::Told`] when the socket may not be used.
    pub(crate) fn connect(socket: &Path) -> Result<Option<Self>> {
        match UnixStream::connect(socket) {
            Ok(stream) => Ok(Some(Self { stream })),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::InvalidInput => {
                    Ok(None)
                }
                _ => Err(Failure::file("reach the running terachat at", socket, &error)),
            },
        }
    }

    /// Has a request executed there.
    ///
    /// # Errors
    /// [`Failure::Told`], by that process or by the connection to it.
    pub(crate) fn execute(&mut self, request: Request) -> Result<Answer> {
        self.answered(&Call::Execute(request))
    }

    /// Has a part of an exchange by a board carried out there.
    ///
    /// # Errors
    /// As [`Remote::execute`].
    pub(crate) fn board(&mut self, call: BoardCall) -> Result<Answer> {
        self.answered(&Call::Board(call))
    }

    fn answered(&mut self, call: &Call) -> Result<Answer> {
        self.tell(call)?;
        match self.hear()? {
            Some(Reply::Answer(answer)) => Ok(answer),
            Some(Reply::Failed { what, next }) => Err(Failure::Told { what, next }),
            Some(_) => Err(misfit()),
            None => Err(lost(&io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Asks to be told what happens. When this returns nothing that happens later is missed.
    ///
    /// # Errors
    /// As [`Remote::execute`].
    pub(crate) fn follow(&mut self) -> Result<()> {
        self.tell(&Call::Follow)?;
        match self.hear()? {
            Some(Reply::Following) => Ok(()),
            Some(Reply::Failed { what, next }) => Err(Failure::Told { what, next }),
            _ => Err(misfit()),
        }
    }

    /// Waits for what happens next.
    ///
    /// # Errors
    /// As [`Remote::execute`].
    pub(crate) fn next_update(&mut self) -> Result<Update> {
        match self.hear()? {
            Some(Reply::Notice(_) | Reply::Missed(_)) => Ok(Update::Happened),
            None => Ok(Update::End),
            Some(_) => Err(misfit()),
        }
    }

    fn tell(&mut self, call: &Call) -> Result<()> {
        let packed = pack(call).map_err(|error| lost(&error))?;
        self.stream.write_all(&packed).map_err(|error| lost(&error))
    }

    /// The next reply; `None` when the other side has ended between two.
    fn hear(&mut self) -> Result<Option<Reply>> {
        let mut head = [0; 4];
        match self.stream.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(lost(&error)),
        }
        let mut json = vec![0; announced(head).map_err(|error| lost(&error))?];
        self.stream.read_exact(&mut json).map_err(|error| lost(&error))?;
        unpack(&json).map(Some).map_err(|_| misfit())
    }
}

fn lost(error: &io::Error) -> Failure {
    let what = format_args!("the running terachat did not answer ({error})");
    Failure::new(what, "whether it was done is unknown: look with `terachat read` or `terachat status`")
}

fn misfit() -> Failure {
    Failure::new("the running terachat speaks another version", "restart `terachat listen`")
}
