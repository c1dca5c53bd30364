use crate::Error;
use crate::rate::Rate;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the server listens and how much it takes on. [`ServerConfig::new`] gives good values for all but the address.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen; port 0 for any free one.
    pub listen: SocketAddr,
    /// Certificate and key; `None`: plain HTTP, on loopback only.
    pub tls: Option<TlsFiles>,
    /// Whether plain HTTP may leave the machine: tokens and templates can then be read on the way.
    pub insecure_plain_http: bool,
    /// Whether `/metrics` is given without a token.
    pub open_metrics: bool,
    /// Requests that may be at work at once: 1 to 65,536; default 256. One more is told to come again (503).
    pub requests_max: usize,
    /// Connections that may be open at once: 1 to 65,536; default 1,024. One more waits.
    pub connections_max: usize,
    /// How long a request may take, but for checks, compaction and backups: 100 ms to 1 h; default 30 s.
    pub request_time_max: Duration,
    /// How long a stopping server waits for requests that are at work: 0 to 1 h; default 30 s.
    pub drain_time_max: Duration,
    /// How many requests each token may make: default 1,000 a second, 2,000 at once.
    pub rate: Rate,
}

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those between it and a root, PEM, the server's first.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

impl ServerConfig {
    /// The defaults, for this address.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            insecure_plain_http: false,
            open_metrics: false,
            requests_max: 256,
            connections_max: 1024,
            request_time_max: Duration::from_secs(30),
            drain_time_max: Duration::from_secs(30),
            rate: Rate { per_s: 1000, burst: 2000 },
        }
    }

    /// Checks every range, and that nothing secret leaves the machine in the clear unless that was asked for.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Plain`].
    pub fn check(&self) -> Result<(), Error> {
        let hour = Duration::from_secs(3600);
        let within =
            |ok: bool, setting, allowed| if ok { Ok(()) } else { Err(Error::Config { setting, allowed }) };
        within((1..=65_536).contains(&self.requests_max), "requests at once", "1 to 65,536")?;
        within((1..=65_536).contains(&self.connections_max), "connections", "1 to 65,536")?;
        let times = Duration::from_millis(100)..=hour;
        within(times.contains(&self.request_time_max), "the time of a request", "100 ms to 1 h")?;
        within(self.drain_time_max <= hour, "the time to drain", "0 to 1 h")?;
        within((1..=1_000_000).contains(&self.rate.burst), "burst", "1 to 1,000,000 requests")?;
        within(self.rate.per_s <= 1_000_000, "rate", "0 (no limit) to 1,000,000 requests a second")?;
        if self.tls.is_none() && !self.insecure_plain_http && !self.listen.ip().is_loopback() {
            return Err(Error::Plain(self.listen));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_leave_the_machine_in_the_clear_by_accident() {
        let config = |addr: &str| ServerConfig::new(addr.parse().unwrap());
        assert!(config("127.0.0.1:0").check().is_ok() && config("[::1]:8443").check().is_ok());
        assert!(matches!(config("0.0.0.0:8443").check(), Err(Error::Plain(_))));
        assert!(ServerConfig { insecure_plain_http: true, ..config("0.0.0.0:8443") }.check().is_ok());
        let files = TlsFiles { certificate: "cert.pem".into(), key: "key.pem".into() };
        assert!(ServerConfig { tls: Some(files), ..config("0.0.0.0:8443") }.check().is_ok());
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let good = ServerConfig::new("127.0.0.1:0".parse().unwrap());
        let bad = ServerConfig { requests_max: 0, ..good.clone() };
        assert!(matches!(bad.check(), Err(Error::Config { setting: "requests at once", .. })));
        let bad = ServerConfig { request_time_max: Duration::ZERO, ..good };
        assert!(matches!(bad.check(), Err(Error::Config { setting: "the time of a request", .. })));
    }
}
