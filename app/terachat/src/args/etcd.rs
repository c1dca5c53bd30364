//! Where the etcd is that keeps a cluster's ledger, as the command line and a node's settings say it.
use clap::Args;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use terachat_node::{BadEndpoint, Driver, Endpoint, Etcd, EtcdAccess, LedgerAt};

/// Endpoints in one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndpointsSpec(Vec<Endpoint>);

impl FromStr for EndpointsSpec {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        text.split(',').map(|part| part.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

/// What keeps the ledger of a new node's cluster; written into its folder, and the same ever after.
#[derive(Debug, Clone, Args)]
pub(crate) struct LedgerArgs {
    /// Keep the cluster's ledger in the organisation's etcd instead of on the nodes: its endpoints, as https://etcd-1:2379,https://etcd-2:2379
    ///
    /// Decided with a cluster's first node. Each node that joins is told where it is, too, from where it stands.
    #[arg(long, value_name = "URLS")]
    etcd: Option<EndpointsSpec>,
    /// What the names of all keys there begin with; the cluster's own name follows. By default terachat, and of a node that joins what its ticket
    /// says
    #[arg(long, value_name = "PREFIX", requires = "etcd", value_parser = Etcd::parse_prefix)]
    etcd_prefix: Option<String>,
    /// A file with the certificate of the authority that etcd's is from, as PEM; needed with https
    #[arg(long, value_name = "FILE", requires = "etcd")]
    etcd_ca: Option<PathBuf>,
    /// A file with the certificate that etcd asks this node for, as PEM
    #[arg(long, value_name = "FILE", requires = "etcd_key")]
    etcd_cert: Option<PathBuf>,
    /// A file with its key, as PEM
    #[arg(long, value_name = "FILE", requires = "etcd_cert", requires = "etcd")]
    etcd_key: Option<PathBuf>,
    /// A file with USER:PASSWORD, where etcd asks for that. Read whenever the node starts
    #[arg(long, value_name = "FILE", requires = "etcd")]
    etcd_credentials: Option<PathBuf>,
}

impl LedgerArgs {
    /// What is named: of a node that joins a cluster whose ledger is there.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(crate) fn driver(&self, of: Option<&LedgerAt>) -> Result<Driver, String> {
        let Some(EndpointsSpec(endpoints)) = &self.etcd else { return Ok(Driver::Openraft) };
        let prefix = match (&self.etcd_prefix, of) {
            (Some(prefix), _) | (None, Some(LedgerAt::Etcd(prefix))) => prefix.clone(),
            (None, _) => Etcd::PREFIX.to_owned(),
        };
        let identity = self.etcd_cert.as_deref().zip(self.etcd_key.as_deref());
        let access = access(endpoints, &self.etcd_ca, identity, &self.etcd_credentials)?;
        Ok(Driver::Etcd(Etcd::new(prefix, access)))
    }
}

/// How a node that runs reaches the etcd that has its cluster's ledger, and how it leads.
#[derive(Debug, Clone, Args)]
pub(crate) struct EtcdRunArgs {
    /// Where the etcd is that has the cluster's ledger, if it is reached otherwise than the node's folder says: its endpoints, as
    /// https://etcd-1:2379,https://etcd-2:2379. A cluster whose ledger is on its nodes does not move there
    #[arg(long, env = "TERACHAT_NODE_ETCD", value_name = "URLS")]
    pub(crate) etcd: Option<EndpointsSpec>,
    /// With --etcd: a file with the certificate of the authority that etcd's is from, as PEM; needed with https
    #[arg(long, env = "TERACHAT_NODE_ETCD_CA", value_name = "FILE")]
    pub(crate) etcd_ca: Option<PathBuf>,
    /// With --etcd: a file with the certificate that etcd asks this node for, as PEM; and --etcd-key
    #[arg(long, env = "TERACHAT_NODE_ETCD_CERT", value_name = "FILE")]
    pub(crate) etcd_cert: Option<PathBuf>,
    /// With --etcd: a file with the key of that certificate, as PEM
    #[arg(long, env = "TERACHAT_NODE_ETCD_KEY", value_name = "FILE")]
    pub(crate) etcd_key: Option<PathBuf>,
    /// With --etcd: a file with USER:PASSWORD, where etcd asks for that
    #[arg(long, env = "TERACHAT_NODE_ETCD_CREDENTIALS", value_name = "FILE", hide_env_values = true)]
    pub(crate) etcd_credentials: Option<PathBuf>,
}

impl EtcdRunArgs {
    /// As the node wants it.
    ///
    /// # Errors
    /// What is wrong with it, for people. A file of settings may say anything, so nothing is left to clap.
    pub(crate) fn access(&self) -> Result<Option<EtcdAccess>, String> {
        let Some(EndpointsSpec(endpoints)) = &self.etcd else {
            let named = [&self.etcd_ca, &self.etcd_cert, &self.etcd_key, &self.etcd_credentials];
            let any = named.iter().any(|file| file.is_some());
            return if any { Err("files for etcd are named, and no etcd".to_owned()) } else { Ok(None) };
        };
        if self.etcd_cert.is_some() != self.etcd_key.is_some() {
            return Err("of a certificate for etcd and its key only one is named".to_owned());
        }
        let identity = self.etcd_cert.as_deref().zip(self.etcd_key.as_deref());
        access(endpoints, &self.etcd_ca, identity, &self.etcd_credentials).map(Some)
    }
}

fn access(
    endpoints: &[Endpoint],
    authority: &Option<PathBuf>,
    identity: Option<(&Path, &Path)>,
    credentials: &Option<PathBuf>,
) -> Result<EtcdAccess, String> {
    let identity = match identity {
        None => None,
        Some((certificate, key)) => Some((whole(certificate)?, whole(key)?)),
    };
    let whole_of = |file: &Option<PathBuf>| file.as_deref().map(whole).transpose();
    Ok(EtcdAccess {
        endpoints: endpoints.to_vec(),
        authority: whole_of(authority)?,
        identity,
        credentials: whole_of(credentials)?,
    })
}

/// A path as it is kept: the node may be run from elsewhere.
pub(super) fn whole(file: &Path) -> Result<String, String> {
    let file = std::path::absolute(file).map_err(|error| format!("{}: {error}", file.display()))?;
    file.into_os_string().into_string().map_err(|file| format!("{} is not UTF-8", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Plan {
        #[command(flatten)]
        ledger: LedgerArgs,
    }

    #[derive(Parser)]
    struct Run {
        #[command(flatten)]
        etcd: EtcdRunArgs,
    }

    fn plan(line: &[&str]) -> Result<LedgerArgs, clap::Error> {
        Plan::try_parse_from([&["x"], line].concat()).map(|plan| plan.ledger)
    }

    #[test]
    fn without_an_etcd_the_nodes_keep_the_ledger() {
        let of = LedgerAt::Etcd("theirs".to_owned());
        assert_eq!(plan(&[]).unwrap().driver(Some(&of)), Ok(Driver::Openraft));
        for alone in ["--etcd-ca", "--etcd-cert", "--etcd-key", "--etcd-credentials", "--etcd-prefix"] {
            assert!(plan(&[alone, "x"]).is_err(), "{alone}");
        }
        assert!(plan(&["--etcd", "http://a", "--etcd-cert", "x"]).is_err(), "no key");
    }

    #[test]
    fn the_prefix_is_the_lines_or_the_tickets_or_the_usual_one() {
        let prefix = |line: &[&str], of: Option<&LedgerAt>| {
            plan(&[&["--etcd", "http://a,https://b:1", "--etcd-ca", "/ca"], line].concat())
                .unwrap()
                .driver(of)
                .unwrap()
                .ledger()
        };
        let at = |prefix: &str| LedgerAt::Etcd(prefix.to_owned());
        assert_eq!(prefix(&[], None), at("terachat"));
        assert_eq!(prefix(&[], Some(&LedgerAt::Nodes)), at("terachat"));
        assert_eq!(prefix(&[], Some(&at("theirs"))), at("theirs"));
        assert_eq!(prefix(&["--etcd-prefix", "mine/"], Some(&at("theirs"))), at("mine"));
    }

    #[test]
    fn what_a_run_is_told_of_etcd_belongs_together() {
        let access = |line: &[&str]| Run::try_parse_from([&["x"], line].concat()).unwrap().etcd.access();
        assert_eq!(access(&[]), Ok(None));
        assert!(access(&["--etcd-ca", "x"]).unwrap_err().contains("no etcd"));
        assert!(access(&["--etcd", "http://a", "--etcd-key", "x"]).unwrap_err().contains("only one"));
        let found = access(&["--etcd", "https://a", "--etcd-ca", "/ca"]).unwrap().unwrap();
        assert_eq!((found.to_string().as_str(), found.authority.as_deref()), ("https://a:2379", Some("/ca")));
        assert!(Run::try_parse_from(["x", "--etcd", "a:1"]).is_err(), "no scheme");
    }
}
