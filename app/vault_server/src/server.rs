use crate::state::State;
use crate::tls::Tls;
use crate::token::TokenStore;
use crate::{Error, ServerConfig, routes};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use terachat_vault_store::TemplateVault;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// How long a connection may take for its TLS handshake, and for the head of a request (an idle one ends then).
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
const HEAD_TIME_MAX: Duration = Duration::from_secs(60);
/// Most bytes and lines of a request's head.
const HEAD_LEN_MAX: usize = 64 << 10;
const HEAD_LINES_MAX: usize = 64;

/// The vault over HTTP: bound to its address, and serving once it is run.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    state: Arc<State>,
    router: Router,
}

impl Server {
    /// Checks the configuration, reads the certificate and the tokens, and takes the address.
    ///
    /// # Errors
    /// [`Error`]; nothing was changed then, but that the vault may have a collection for tokens now.
    pub async fn bind(vault: TemplateVault, config: ServerConfig) -> Result<Self, Error> {
        config.check()?;
        let tls = config.tls.as_ref().map(Tls::open).transpose()?.map(Arc::new);
        let opened = vault.clone();
        let tokens = tokio::task::spawn_blocking(move || TokenStore::open(&opened));
        let tokens = tokens.await.map_err(|error| Error::System {
            doing: "read the tokens",
            reason: std::io::Error::other(error.to_string()),
        })??;
        let wanted = config.listen;
        let refused = |reason| Error::Listen { address: wanted, reason };
        let listener = TcpListener::bind(wanted).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (document, page) = routes::documents();
        let state = Arc::new(State::new(vault, tokens, config, document, page));
        let router = routes::router(state.clone());
        Ok(Self { listener, address, tls, state, router })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How to say so to a client.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.address)
    }

    /// Reads the certificate anew whenever `reload` changes, and serves until `stop` is there: then no connection is
    /// taken any more, requests that are at work are finished (for at most
    /// [`ServerConfig::drain_time_max`]), and the vault is closed.
    ///
    /// # Errors
    /// [`Error::Vault`] when closing the vault failed.
    pub async fn run(
        self,
        stop: impl Future<Output = ()>,
        mut reload: watch::Receiver<()>,
    ) -> Result<(), Error> {
        let Self { listener, tls, state, router, .. } = self;
        let connections = Arc::new(Semaphore::new(state.config.connections_max));
        let graceful = GracefulShutdown::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let next = async {
                // A place first: what waits in the system's queue costs nothing here.
                let place = connections.clone().acquire_owned().await;
                (place, listener.accept().await)
            };
            tokio::select! {
                () = &mut stop => break,
                Ok(()) = reload.changed() => {
                    if let Some(tls) = &tls {
                        tls.reload();
                    }
                }
                (place, accepted) = next => match (place, accepted) {
                    (Ok(place), Ok((stream, _))) => {
                        let watcher = graceful.watcher();
                        let (router, tls) = (router.clone(), tls.clone());
                        tokio::spawn(async move {
                            let _place = place;
                            connection(stream, tls, router, watcher).await;
                        });
                    }
                    (_, Err(error)) => {
                        // Out of file descriptors, most likely: the next one may be free in a moment.
                        tracing::warn!(%error, "a connection was not taken");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    (Err(_), _) => break,
                },
            }
        }
        drop(listener);
        state.stop();
        tracing::info!("stopping: what has begun is finished");
        if tokio::time::timeout(state.config.drain_time_max, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests were cut short");
        }
        let vault = state.vault.clone();
        let closed = tokio::task::spawn_blocking(move || vault.close()).await;
        closed.map_err(|error| Error::System {
            doing: "close the vault",
            reason: std::io::Error::other(error.to_string()),
        })??;
        Ok(())
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<Arc<Tls>>,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    // Answers are small and whole: waiting for more of them only costs time.
    let _ = stream.set_nodelay(true);
    match tls {
        None => talk(stream, router, watcher).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE_TIME_MAX, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => talk(stream, router, watcher).await,
            Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
            Err(_) => tracing::debug!("a handshake took too long"),
        },
    }
}

async fn talk<S>(stream: S, router: Router, watcher: hyper_util::server::graceful::Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let talk = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_LEN_MAX)
        .max_headers(HEAD_LINES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(talk).await {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Serves the vault until the process is told to end (SIGTERM, SIGINT), on threads of its own. SIGHUP reads the
/// certificate anew. `ready` is told once it listens.
///
/// # Errors
/// As [`Server::bind`] and [`Server::run`]; [`Error::System`].
pub fn serve(vault: TemplateVault, config: ServerConfig, ready: impl FnOnce(&Server)) -> Result<(), Error> {
    // Each request that waits for the disk holds a thread, and so does each piece of long work.
    let threads = config.requests_max.saturating_add(16);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(threads)
        .thread_name("vault-http")
        .build()
        .map_err(|reason| Error::System { doing: "start threads", reason })?;
    runtime.block_on(async {
        let (stop, reload) = signals()?;
        let server = Server::bind(vault, config).await?;
        ready(&server);
        server.run(stop, reload).await
    })
}

#[cfg(unix)]
fn signals() -> Result<(impl Future<Output = ()>, watch::Receiver<()>), Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|reason| Error::System { doing: "listen for signals", reason });
    let (mut term, mut int, mut hup) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?, listen(SignalKind::hangup())?);
    let (again, reload) = watch::channel(());
    tokio::spawn(async move { while hup.recv().await.is_some() && again.send(()).is_ok() {} });
    let stop = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    };
    Ok((stop, reload))
}

#[cfg(not(unix))]
fn signals() -> Result<(impl Future<Output = ()>, watch::Receiver<()>), Error> {
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    Ok((stop, watch::channel(()).1))
}
