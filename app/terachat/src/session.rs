use crate::board::{self, BoardCall};
use crate::daemon::Remote;
use crate::failure::{Failure, Result};
use crate::home::{Home, Profile};
use std::time::{Duration, Instant};
use terachat_client::api::{Answer, Request};
use terachat_host::{Error as HostError, Lock, clock};

/// How long another short command on the same folder is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks at a folder that is in use.
const STEP: Duration = Duration::from_millis(20);

/// Something that can be asked: the profile itself, or the process that has it open.
pub(crate) enum Session {
    /// This process has the profile open.
    Local(Box<Profile>),
    /// Another process has, and serves.
    Remote(Remote),
}

impl Session {
    /// Opens the profile, or reaches the process that has it open. A folder that is in use and not served is waited
    /// for a few seconds: most commands are short.
    ///
    /// # Errors
    /// [`Failure::Told`].
    pub(crate) fn open(home: &Home) -> Result<Self> {
        home.require()?;
        match reach(home)? {
            Ok(lock) => Ok(Self::Local(Box::new(home.open(lock)?))),
            Err(remote) => Ok(Self::Remote(remote)),
        }
    }

    /// The process that has the profile open and serves; `None` where nobody works in the folder, which may then be damaged beyond
    /// opening. A folder that is in use and not served is waited for as by [`Session::open`].
    ///
    /// # Errors
    /// [`Failure::Told`].
    pub(crate) fn running(home: &Home) -> Result<Option<Remote>> {
        home.require()?;
        let reached = reach(home)?;
        Ok(reached.err())
    }

    /// Opens the profile for this process, which is to hold it for long.
    ///
    /// # Errors
    /// [`Failure::Told`], also when another such process runs.
    pub(crate) fn open_alone(home: &Home) -> Result<Box<Profile>> {
        match Self::open(home)? {
            Self::Local(profile) => Ok(profile),
            Self::Remote(_) => {
                let what =
                    format_args!("a `terachat listen` is running on {} already", home.folder().display());
                Err(Failure::new(what, "use it, or stop it first"))
            }
        }
    }

    /// Asks. Durable when it returns.
    ///
    /// # Errors
    /// [`Failure::Told`], wherever the request was executed.
    pub(crate) fn execute(&mut self, request: Request) -> Result<Answer> {
        match self {
            Self::Local(profile) => {
                profile.client.execute(request, clock::now_ms()).map_err(Failure::from_text)
            }
            Self::Remote(remote) => remote.execute(request),
        }
    }

    /// Carries out a part of an exchange by a board.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub(crate) fn board(&mut self, call: BoardCall) -> Result<Answer> {
        match self {
            Self::Local(profile) => board::carry_out(&mut profile.client, &call),
            Self::Remote(remote) => remote.board(call),
        }
    }

    /// Ends. Nothing acknowledged depends on it.
    pub(crate) fn close(self) {
        if let Self::Local(profile) = self {
            profile.close();
        }
    }
}

/// The folder's lock, or who serves the profile in it.
fn reach(home: &Home) -> Result<std::result::Result<Lock, Remote>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(remote) = Remote::connect(&home.socket())? {
            return Ok(Err(remote));
        }
        match Lock::acquire(home.folder()) {
            Ok(lock) => return Ok(Ok(lock)),
            Err(HostError::Locked { .. }) if Instant::now() < deadline => std::thread::sleep(STEP),
            Err(error) => return Err(Failure::from_text(error)),
        }
    }
}
