use crate::caller::Caller;
use crate::extract::{Json, OCTETS};
use crate::problem::{Kind, Problem};
use crate::scopes::Right;
use crate::state::State;
use crate::wire::{BackupRequest, Octets};
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State as Shared;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use terachat_vault::{PassphraseCost, PassphraseSource, SecretBytes};
use tokio::sync::mpsc;

/// Bytes in one piece of the stream, and pieces that may wait for the caller.
const PIECE_LEN: usize = 256 << 10;
const PIECES_MAX: usize = 8;

/// Download a backup
///
/// Everything as of now, as one stream, sealed under this passphrase; `terachat vault restore-backup` makes a vault of
/// it on any machine. Reads and writes go on. A stream that is cut short is refused when it is restored. Needs the
/// operator's right `backup`.
#[utoipa::path(post, path = "/v1/backup", tag = "Maintenance",
    request_body = BackupRequest,
    responses((status = 200, body = inline(Octets), content_type = "application/octet-stream", description = "The backup")))]
pub(super) async fn download(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Json(asked): Json<BackupRequest>,
) -> Result<Response, Problem> {
    caller.require(Right::Backup)?;
    if !(12..=1024).contains(&asked.passphrase.chars().count()) {
        return Err(Problem::new(Kind::Invalid, "the passphrase has to have 12 to 1024 characters"));
    }
    let place = state.long_place().await?;
    let (vault, actor) = (state.vault.clone(), caller.name().to_owned());
    let (send, receive) = mpsc::channel(PIECES_MAX);
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let passphrase = SecretBytes::take(asked.passphrase.as_bytes().to_vec());
        let mut source = PassphraseSource::new(passphrase, PassphraseCost::RECOMMENDED);
        let mut pieces = Pieces { send, piece: Vec::with_capacity(PIECE_LEN) };
        let done = vault.backup(&actor, &mut source, &mut pieces);
        let done = done.map_err(|error| error.to_string()).and_then(|report| {
            io::Write::flush(&mut pieces).map_err(|error| error.to_string()).map(|()| report)
        });
        match done {
            Ok(report) => {
                tracing::info!(bytes = report.bytes, records = report.records, "a backup was given out")
            }
            Err(error) => {
                tracing::error!(%error, "a backup was cut short");
                // The caller sees the connection break, not an end.
                let _ = pieces.send.blocking_send(Err(io::Error::other("cut short")));
            }
        }
    });
    let name = HeaderValue::from_static("attachment; filename=\"vault.backup\"");
    let kind = HeaderValue::from_static(OCTETS);
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::new(Stream(receive))).into_response())
}

/// Where the vault writes to: waits for the caller to take what was written.
struct Pieces {
    send: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE_LEN - self.piece.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.piece.extend_from_slice(taken);
        if self.piece.len() == PIECE_LEN {
            self.flush()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_LEN));
        self.send.blocking_send(Ok(piece.into())).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

/// What the caller reads.
struct Stream(mpsc::Receiver<io::Result<Bytes>>);

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
