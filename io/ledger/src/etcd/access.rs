//! Where an etcd is, and what both ends prove themselves with.
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use terachat_vault::SecretBytes;

/// The port that etcd's clients commonly use.
const PORT: u16 = 2379;

/// One of etcd's nodes, as `https://etcd-1.example.org:2379`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

/// A text that names no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this names no etcd; write https://HOST:PORT, or http://HOST:PORT without TLS")]
pub struct BadEndpoint;

impl Endpoint {
    /// Whether what is sent there goes through TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether what is sent there stays on this machine.
    pub fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// What a socket is opened to.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = BadEndpoint;

    fn try_from(text: String) -> Result<Self, BadEndpoint> {
        text.parse()
    }
}

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(BadEndpoint),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(BadEndpoint)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| BadEndpoint)?;
                (host, port.strip_prefix(':').or(port.is_empty().then_some("")).ok_or(BadEndpoint)?)
            }
            None => rest.split_once(':').unwrap_or((rest, "")),
        };
        let port = if port.is_empty() { PORT } else { port.parse().map_err(|_| BadEndpoint)? };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || port == 0 || !host.chars().all(plain) {
            return Err(BadEndpoint);
        }
        Ok(Self { tls, host: host.to_owned(), port })
    }
}

/// What a node proves itself with to etcd. Secret, so neither printed nor copied.
pub struct User {
    pub(super) name: String,
    pub(super) password: SecretBytes,
}

impl User {
    /// A user of etcd's own.
    pub fn new(name: String, password: SecretBytes) -> Self {
        Self { name, password }
    }
}

/// Whom TLS trusts, and how it proves this end.
#[derive(Clone)]
pub struct Tls(pub(super) Arc<ClientConfig>);

/// A certificate or key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadTls(String);

impl Tls {
    /// Trusts who has a certificate from one of these authorities, and shows this certificate and key, if there are any. All of them
    /// as PEM.
    ///
    /// # Errors
    /// [`BadTls`].
    pub fn new(authorities: &[u8], own: Option<(&[u8], &[u8])>) -> Result<Self, BadTls> {
        let bad = |what: &str, error: &dyn fmt::Display| BadTls(format!("{what}: {error}"));
        let mut roots = RootCertStore::empty();
        for certificate in certificates("the authority's certificate", authorities)? {
            roots.add(certificate).map_err(|error| bad("the authority's certificate", &error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad("TLS", &error))?
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates("the certificate", certificate)?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| bad("the key", &error))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| bad("certificate and key", &error))?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, BadTls> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(BadTls(format!("{what}: there is none in the file"))),
        Err(error) => Err(BadTls(format!("{what}: {error}"))),
    }
}

/// Where an etcd is, and how it is reached.
#[derive(Clone)]
pub struct Access {
    /// Its nodes: one is asked, the next when it does not answer.
    pub endpoints: Vec<Endpoint>,
    /// For endpoints with TLS; without it they are not reached.
    pub tls: Option<Tls>,
    /// As whom etcd knows this node, if it asks.
    pub user: Option<Arc<User>>,
}

impl Access {
    /// Without TLS and without a user.
    pub fn plain(endpoints: Vec<Endpoint>) -> Self {
        Self { endpoints, tls: None, user: None }
    }
}

/// Without what is secret.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(text: &str, expected: Option<&str>) {
        let read = text.parse::<Endpoint>().ok();
        assert_eq!(read.map(|endpoint| endpoint.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_a_port() {
        case("https://etcd-1.example.org:2379", Some("https://etcd-1.example.org:2379"));
        case("http://127.0.0.1", Some("http://127.0.0.1:2379"));
        case("https://[::1]:4001/", Some("https://[::1]:4001"));
        case("http://[::1]", Some("http://[::1]:2379"));
        for text in [
            "",
            "127.0.0.1:2379",
            "ftp://a:1",
            "http://",
            "http://:1",
            "http://a:0",
            "http://a:x",
            "http://a:99999",
            "http://a/b",
            "http://[::1",
            "http://[::1]x:1",
            "http://[a]:1",
            "http://a b:1",
            "http://user@a:1",
        ] {
            case(text, None);
        }
    }

    #[test]
    fn what_stays_on_this_machine_is_known() {
        let local = |text: &str| text.parse::<Endpoint>().unwrap().is_local();
        assert!(local("http://localhost:1") && local("http://127.0.0.1:1") && local("http://[::1]:1"));
        assert!(!local("http://10.0.0.1:1") && !local("http://etcd:1") && !local("http://[fe80::1]:1"));
    }

    #[test]
    fn what_is_no_certificate_is_refused_by_its_name() {
        let refused = |pem: &[u8]| Tls::new(pem, None).err().unwrap().to_string();
        assert!(refused(b"").contains("the authority's certificate"));
        assert!(
            refused(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").contains("authority")
        );
    }
}
