//! Three nodes of etcd on this machine, and the two calls of it that are measured.
use crate::load::Peer;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

/// `etcdserverpb.PutRequest`, as far as it is used.
#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `etcdserverpb.RangeRequest`, as far as it is used.
#[derive(Clone, PartialEq, prost::Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

/// `etcdserverpb.PutResponse`: that it came is enough.
#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {}

/// `etcdserverpb.RangeResponse`, as far as it is used.
#[derive(Clone, PartialEq, prost::Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

/// `mvccpb.KeyValue`, as far as it is used.
#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}

/// Ports that a measurement may take.
const PORTS: u16 = 23_790;

pub(crate) struct Etcd {
    channels: Vec<Channel>,
    nodes: Vec<Child>,
}

impl Etcd {
    /// Starts so many nodes; `None` and a word if there is no such program.
    pub(crate) async fn start(program: &Path, folder: &Path, count: u16) -> Result<Option<Self>> {
        let peer = |number: u16| format!("http://127.0.0.1:{}", PORTS + 10 + number);
        let client = |number: u16| format!("http://127.0.0.1:{}", PORTS + number);
        let all: Vec<String> = (0..count).map(|number| format!("n{number}={}", peer(number))).collect();
        let mut nodes = Vec::new();
        for number in 0..count {
            let started = Command::new(program)
                .args(["--name", &format!("n{number}"), "--initial-cluster", &all.join(",")])
                .args(["--listen-peer-urls", &peer(number), "--initial-advertise-peer-urls", &peer(number)])
                .args(["--listen-client-urls", &client(number), "--advertise-client-urls", &client(number)])
                .arg("--data-dir")
                .arg(folder.join(format!("n{number}")))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn();
            match started {
                Ok(node) => nodes.push(node),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    eprintln!(
                        "SKIPPED etcd: there is no {}. Next: apt-get install etcd-server",
                        program.display()
                    );
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut channels = Vec::new();
        for number in 0..count {
            channels.push(Channel::from_shared(client(number))?.connect_lazy());
        }
        let etcd = Self { channels, nodes };
        for _ in 0..100 {
            if etcd.put(0, 0, vec![0]).await.is_ok() {
                return Ok(Some(etcd));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("etcd did not come up in ten seconds")
    }

    async fn call<Q, A>(&self, client: usize, path: &'static str, request: Q) -> Result<A>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let mut grpc = tonic::client::Grpc::new(self.channels[client % self.channels.len()].clone());
        grpc.ready().await?;
        let codec: ProstCodec<Q, A> = ProstCodec::default();
        let path = PathAndQuery::from_static(path);
        Ok(grpc.unary(tonic::Request::new(request), path, codec).await?.into_inner())
    }
}

impl Peer for Etcd {
    async fn put(&self, client: usize, key: u64, value: Vec<u8>) -> Result<()> {
        let request = PutRequest { key: key.to_be_bytes().to_vec(), value };
        let _: PutResponse = self.call(client, "/etcdserverpb.KV/Put", request).await?;
        Ok(())
    }

    async fn get(&self, client: usize, key: u64) -> Result<Vec<u8>> {
        let request = RangeRequest { key: key.to_be_bytes().to_vec() };
        let range: RangeResponse = self.call(client, "/etcdserverpb.KV/Range", request).await?;
        let first = range.kvs.into_iter().next();
        Ok(first.context("nothing is under this key")?.value)
    }

    fn processes(&self) -> Vec<u32> {
        self.nodes.iter().filter_map(Child::id).collect()
    }
}
