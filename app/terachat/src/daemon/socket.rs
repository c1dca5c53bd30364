use super::desk::Desk;
use super::service::Event;
use super::wire::{Call, Reply, announced, pack, unpack};
use crate::failure::{Failure, Result};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast;

/// Longest path a Unix socket can have on every system, in bytes.
const PATH_LEN_MAX: usize = 100;

/// The socket in the profile's folder; removed when dropped.
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Opens it, for the owner alone. The caller holds the folder's lock, so a file that is there was left by a process
    /// that died, and is replaced.
    ///
    /// # Errors
    /// [`Failure::Told`]; `None` where the path is longer than a socket's may be.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        if path.as_os_str().len() > PATH_LEN_MAX {
            return Ok(None);
        }
        let failed = |error: io::Error| Failure::file("serve at", path, &error);
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        // The folder is the owner's alone already; this is the second door.
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Some(Self { listener, path: path.to_owned() }))
    }

    /// Serves until dropped.
    pub(super) async fn serve(self, desk: Desk, events: broadcast::Sender<Event>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(serve(stream, desk.clone(), events.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others must end first.
                    tracing::warn!(%error, "a command could not be served");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn serve(mut stream: UnixStream, desk: Desk, events: broadcast::Sender<Event>) {
    if let Err(error) = converse(&mut stream, &desk, &events).await
        && !matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe)
    {
        tracing::debug!(%error, "a command's connection ended");
    }
}

async fn converse(stream: &mut UnixStream, desk: &Desk, events: &broadcast::Sender<Event>) -> io::Result<()> {
    loop {
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        let mut json = vec![0; announced(head)?];
        stream.read_exact(&mut json).await?;
        match unpack(&json) {
            Ok(Call::Execute(request)) => {
                let _owed = desk.replying().await;
                let reply = desk.execute(request).await.map_or_else(Reply::from, Reply::Answer);
                stream.write_all(&pack(&reply)?).await?;
            }
            Ok(Call::Board(call)) => {
                let _owed = desk.replying().await;
                let reply = desk.board(call).await.map_or_else(Reply::from, Reply::Answer);
                stream.write_all(&pack(&reply)?).await?;
            }
            Ok(Call::Follow) => return follow(stream, events.subscribe()).await,
            Err(_) => {
                let what = "the running terachat does not know this request".to_owned();
                let next = "restart `terachat listen` with the same version".to_owned();
                stream.write_all(&pack(&Reply::Failed { what, next })?).await?;
            }
        }
    }
}

async fn follow(stream: &mut UnixStream, mut events: broadcast::Receiver<Event>) -> io::Result<()> {
    stream.write_all(&pack(&Reply::Following)?).await?;
    let (mut hears, mut tells) = stream.split();
    let mut nothing = [0; 1];
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            // A follower says nothing more; whatever is read is its end.
            _ = hears.read(&mut nothing) => return Ok(()),
        };
        let reply = match event {
            Ok(Event::Notice(notice)) => Reply::Notice(notice),
            Ok(_) => continue,
            Err(broadcast::error::RecvError::Lagged(count)) => Reply::Missed(count),
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        };
        tells.write_all(&pack(&reply)?).await?;
    }
}
