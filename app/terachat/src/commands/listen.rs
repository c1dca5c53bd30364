use super::tell;
use crate::args::ListenArgs;
use crate::daemon::{Options, Service};
use crate::failure::{Failure, Result};
use crate::home::{Home, Profile};
use crate::printer::Printer;
use crate::session::Session;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Stays connected until told to end.
pub(super) fn run(home: &Home, args: ListenArgs, printer: &Printer) -> Result<()> {
    let options = Options { listen: Some(args.listen), peers: args.peers, serve: true };
    stay(home, &options, printer)
}

/// The same for `sync --follow`.
pub(super) fn stay(home: &Home, options: &Options, printer: &Printer) -> Result<()> {
    let profile = Session::open_alone(home)?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(serve(home, *profile, options, printer));
    // A thread that waits for the reader of our output must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(500));
    outcome
}

async fn serve(home: &Home, profile: Profile, options: &Options, printer: &Printer) -> Result<()> {
    let mut end = End::new()?;
    let mut service = Service::start(home, profile, options).await?;
    if !service.serves {
        printer.warn(
            "Other commands cannot use this profile meanwhile: the system has no Unix sockets, or the path of the \
             profile folder is too long for one.",
        );
    }
    let shown = tell::events(service.follow(), printer.clone());
    let outcome = match tell::listening(&service, printer) {
        Ok(()) => tokio::select! {
            () = end.wait() => Ok(()),
            // Without its client the process would only look alive.
            outcome = service.ended() => outcome,
            // The output was closed: nobody looks any more.
            outcome = shown => outcome.unwrap_or(Ok(())),
        },
        Err(failure) => Err(failure),
    };
    let stopped = service.stop().await;
    outcome.and(stopped)
}

/// One thread for everything that waits; blocking work has threads of its own.
pub(super) fn runtime() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format_args!("the system gives no event queue: {error}"), "try again"))
}

/// Ctrl-C, or the system's wish that the process end.
pub(super) struct End {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl End {
    /// Begins to listen for it, so that it is not missed from here on.
    #[cfg(unix)]
    pub(super) fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error| Failure::new(format_args!("cannot listen for signals: {error}"), "try again");
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(Self { interrupt, terminate })
    }

    #[cfg(not(unix))]
    pub(super) fn new() -> Result<Self> {
        Ok(Self {})
    }

    /// Waits for it.
    #[cfg(unix)]
    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    pub(super) async fn wait(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
