use crate::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where a vault is and how it works. [`Config::new`] gives good values for all but the folder.
#[derive(Clone)]
pub struct Config {
    /// The vault's folder (`DATABASE_PATH`). It belongs to the vault alone.
    pub path: PathBuf,
    /// Bytes of the cache of records and blocks (`CACHE_SIZE`): 1 MiB to 1 TiB; default 256 MiB. A quarter of the memory that
    /// is free is a good value; what is in it is sealed.
    pub cache_size: u64,
    /// Opened key pages kept in memory: 16 to 1,048,576; default 16,384, enough for 4,000,000 records. A page is about
    /// 200 bytes, and 8 KiB when some of its records were erased.
    pub page_cache: usize,
    /// After how long writes with [`Durability::Relaxed`](crate::Durability::Relaxed) and the audit of reads are on disk at
    /// the latest (`FLUSH_INTERVAL`): 1 ms to 1 h; default 1 s. Other writes do not depend on it.
    pub flush_interval: Duration,
    /// How often erasures that nobody waits for (old versions, expired records) are swept: 10 ms to 24 h; default 10 s.
    pub sweep_interval: Duration,
    /// How often expired records are looked for: 10 ms to 24 h; default 1 min. Reads never give one out, swept or not.
    pub expiry_interval: Duration,
    /// Most records a second that a rotation re-encrypts: 1 to 10,000,000; default 20,000. While others read or write it is an
    /// eighth of that.
    pub reencrypt_per_s: u32,
    /// How far the clock may jump ahead at once and be believed: 1 s to 10 years; default 30 days. Beyond it nothing
    /// expires until [`TemplateVault::confirm_clock`](crate::TemplateVault::confirm_clock).
    pub clock_step_max: Duration,
    /// How often the rollback counter of a guarded vault is advanced: 1 s to 24 h; default 10 min. A TPM's counter stands
    /// 100,000 advances or more: at 10 min two years without a pause, at an hour eleven.
    pub counter_interval: Duration,
    /// How long an idempotency key is remembered: 1 s to 30 days; default 24 h.
    pub idempotency_ttl: Duration,
    /// Milliseconds since 1970; default the system's clock.
    pub clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Whether the vault has threads of its own for flushing, sweeping, expiry and re-encryption; default true. Without
    /// them [`TemplateVault::tick`](crate::TemplateVault::tick) does their work: for tests and tools.
    pub background: bool,
    /// Writes that may wait for one commit: 1 to 65,536; default 1,024. One more waits its turn.
    pub group_max: usize,
}

impl Config {
    /// The defaults, for the vault in this folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            cache_size: 256 << 20,
            page_cache: 16_384,
            flush_interval: Duration::from_secs(1),
            sweep_interval: Duration::from_secs(10),
            expiry_interval: Duration::from_secs(60),
            reencrypt_per_s: 20_000,
            clock_step_max: Duration::from_secs(30 * 24 * 3600),
            counter_interval: Duration::from_secs(600),
            idempotency_ttl: Duration::from_secs(24 * 3600),
            clock: Arc::new(crate::time::system_ms),
            background: true,
            group_max: 1024,
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first setting that is out of range.
    pub fn check(&self) -> Result<(), Error> {
        let ms = Duration::from_millis;
        let hour = Duration::from_secs(3600);
        let within =
            |ok: bool, setting, allowed| if ok { Ok(()) } else { Err(Error::Config { setting, allowed }) };
        within((1 << 20..=1 << 40).contains(&self.cache_size), "cache_size", "1 MiB to 1 TiB")?;
        within((16..=1 << 20).contains(&self.page_cache), "page_cache", "16 to 1,048,576 pages")?;
        within((ms(1)..=hour).contains(&self.flush_interval), "flush_interval", "1 ms to 1 h")?;
        within((ms(10)..=hour * 24).contains(&self.sweep_interval), "sweep_interval", "10 ms to 24 h")?;
        within((ms(10)..=hour * 24).contains(&self.expiry_interval), "expiry_interval", "10 ms to 24 h")?;
        within(
            (1..=10_000_000).contains(&self.reencrypt_per_s),
            "reencrypt_per_s",
            "1 to 10,000,000 records a second",
        )?;
        within(
            (ms(1000)..=hour * 24 * 3653).contains(&self.clock_step_max),
            "clock_step_max",
            "1 s to 10 years",
        )?;
        within((ms(1000)..=hour * 24).contains(&self.counter_interval), "counter_interval", "1 s to 24 h")?;
        within(
            (ms(1000)..=hour * 24 * 30).contains(&self.idempotency_ttl),
            "idempotency_ttl",
            "1 s to 30 days",
        )?;
        within((1..=65_536).contains(&self.group_max), "group_max", "1 to 65,536 writes")
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("path", &self.path)
            .field("cache_size", &self.cache_size)
            .field("flush_interval", &self.flush_interval)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_range_and_what_is_not_is_named() {
        let good = Config::new("/vault");
        assert!(good.check().is_ok());
        let case = |change: &dyn Fn(&mut Config), expected: &str| {
            let mut config = good.clone();
            change(&mut config);
            assert!(matches!(config.check(), Err(Error::Config { setting, .. }) if setting == expected));
        };
        case(&|c| c.cache_size = 1, "cache_size");
        case(&|c| c.page_cache = 0, "page_cache");
        case(&|c| c.flush_interval = Duration::ZERO, "flush_interval");
        case(&|c| c.sweep_interval = Duration::ZERO, "sweep_interval");
        case(&|c| c.expiry_interval = Duration::MAX, "expiry_interval");
        case(&|c| c.reencrypt_per_s = 0, "reencrypt_per_s");
        case(&|c| c.clock_step_max = Duration::ZERO, "clock_step_max");
        case(&|c| c.idempotency_ttl = Duration::MAX, "idempotency_ttl");
        case(&|c| c.counter_interval = Duration::ZERO, "counter_interval");
        case(&|c| c.group_max = 0, "group_max");
    }
}
