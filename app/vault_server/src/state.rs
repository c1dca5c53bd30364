use crate::ServerConfig;
use crate::idempotency::Memory;
use crate::metrics::Metrics;
use crate::problem::{Kind, Problem};
use crate::token::TokenStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use terachat_vault_store::{Error, TemplateVault};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all requests share.
pub(crate) struct State {
    pub(crate) vault: TemplateVault,
    pub(crate) tokens: TokenStore,
    pub(crate) config: ServerConfig,
    pub(crate) metrics: Metrics,
    pub(crate) memory: Memory,
    /// The OpenAPI document and its page, made once.
    pub(crate) document: String,
    pub(crate) page: String,
    /// Free places for requests.
    pub(crate) places: Arc<Semaphore>,
    /// The one place for work that takes long: checks, compaction, backups.
    long: Arc<Semaphore>,
    stopping: AtomicBool,
}

impl State {
    pub(crate) fn new(
        vault: TemplateVault,
        tokens: TokenStore,
        config: ServerConfig,
        document: String,
        page: String,
    ) -> Self {
        Self {
            metrics: Metrics::new(&vault),
            memory: Memory::default(),
            places: Arc::new(Semaphore::new(config.requests_max)),
            long: Arc::new(Semaphore::new(1)),
            stopping: AtomicBool::new(false),
            vault,
            tokens,
            config,
            document,
            page,
        }
    }

    /// From now on it is not ready.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Does what may wait for the disk on a thread that may wait. What was begun is finished although the caller goes.
    ///
    /// # Errors
    /// What `work` says.
    pub(crate) async fn waiting<T, E>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Send + 'static,
        Problem: From<E>,
    {
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done.map_err(Problem::from),
            Err(error) => {
                tracing::error!(%error, "a request's work was cut short");
                Err(Problem::new(Kind::Internal, "the vault could not do this"))
            }
        }
    }

    /// Work that takes long, one at a time.
    ///
    /// # Errors
    /// What `work` says; [`Kind::Overloaded`] while another one is running.
    pub(crate) async fn long<T: Send + 'static>(
        &self,
        work: impl FnOnce(&TemplateVault) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = self.long_place().await?;
        let vault = self.vault.clone();
        self.waiting(move || {
            // Held by the work, not by the request: a caller that goes does not make room for a second one.
            let _place = place;
            work(&vault)
        })
        .await
    }

    /// Waits its turn among the long works, for half the time that a request has: the work of a caller who has gone, whose
    /// answer nobody reads, ends by itself.
    pub(crate) async fn long_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = self.long.clone().acquire_owned();
        match tokio::time::timeout(self.config.request_time_max / 2, turn).await {
            Ok(Ok(place)) => Ok(place),
            _ => {
                let busy = "a check, compaction or backup is running already";
                Err(Problem::new(Kind::Overloaded, busy).retry_after(10))
            }
        }
    }
}
