//! Clients that put or get one after the other, so many at once.
use crate::cpu;
use anyhow::Result;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use terachat_figures::measure::percentile;
use tokio::task::JoinSet;

/// Something that keeps bytes under a number.
pub(crate) trait Peer: Send + Sync + 'static {
    /// Returns when it is acknowledged. `client` is who asks.
    fn put(&self, client: usize, key: u64, bytes: Vec<u8>) -> impl Future<Output = Result<()>> + Send;

    /// The bytes that were put under this number.
    fn get(&self, client: usize, key: u64) -> impl Future<Output = Result<Vec<u8>>> + Send;

    /// The processes that keep them.
    fn processes(&self) -> Vec<u32>;
}

/// What is asked.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) lasts: Duration,
    pub(crate) len: usize,
    /// Keys of another load differ.
    pub(crate) salt: u64,
}

/// What came of it.
pub(crate) struct Told {
    /// Answers a second.
    pub(crate) rate: f64,
    /// The longest time without an answer.
    pub(crate) longest_pause_ms: f64,
    /// What the processes that keep the bytes had of the processors for an answer.
    pub(crate) cpu_micros: Option<f64>,
    micros: Vec<f64>,
}

impl Told {
    /// Microseconds in which this share was answered.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        percentile(&self.micros, share)
    }
}

/// Items that lie there before: more than any cache holds.
#[derive(Clone, Copy)]
pub(crate) struct Stock {
    /// How many.
    pub(crate) items: u64,
    /// Bytes of each.
    pub(crate) len: usize,
}

impl Stock {
    fn key(n: u64) -> u64 {
        0xf1 << 40 | n
    }

    /// Puts all of it.
    pub(crate) async fn put(self, peer: &impl Peer) -> Result<()> {
        for key in (0..self.items).map(Self::key) {
            peer.put(0, key, Load::bytes(key, self.len)).await?;
        }
        Ok(())
    }
}

/// Keys of a client that a get goes through.
const KEYS: u64 = 16;

impl Load {
    /// The key of a client's n-th item.
    fn key(&self, client: usize, n: u64) -> u64 {
        self.salt << 32 | (client as u64) << 24 | n
    }

    /// Bytes that only this key has, and that do not compress.
    pub(crate) fn bytes(key: u64, len: usize) -> Vec<u8> {
        let mut state = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let draw = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..len).map(draw).collect()
    }

    pub(crate) async fn put(self, peer: Arc<impl Peer>) -> Result<Told> {
        let load = self;
        let processes = peer.processes();
        self.run(processes, move |client, n| {
            let (peer, key) = (peer.clone(), load.key(client, n));
            async move { peer.put(client, key, Self::bytes(key, load.len)).await }
        })
        .await
    }

    /// Gets what a put of the same load has put.
    pub(crate) async fn get(self, peer: Arc<impl Peer>) -> Result<Told> {
        let load = self;
        let processes = peer.processes();
        self.run(processes, move |client, n| {
            let (peer, key) = (peer.clone(), load.key(client, n % KEYS));
            async move {
                let bytes = peer.get(client, key).await?;
                anyhow::ensure!(bytes == Self::bytes(key, load.len), "other bytes came back");
                Ok(())
            }
        })
        .await
    }

    /// Gets from a stock, in no order that a cache would know.
    pub(crate) async fn get_of(self, stock: Stock, peer: Arc<impl Peer>) -> Result<Told> {
        let processes = peer.processes();
        self.run(processes, move |client, n| {
            // A permutation of the numbers, for each client from elsewhere on.
            let key = Stock::key((n * 0x9e37_79b1 + client as u64 * 0x85eb_ca6b) % stock.items);
            let peer = peer.clone();
            async move {
                let bytes = peer.get(client, key).await?;
                anyhow::ensure!(bytes == Self::bytes(key, stock.len), "other bytes came back");
                Ok(())
            }
        })
        .await
    }

    async fn run<F>(
        self,
        processes: Vec<u32>,
        ask: impl Fn(usize, u64) -> F + Clone + Send + 'static,
    ) -> Result<Told>
    where
        F: Future<Output = Result<()>> + Send,
    {
        let before = cpu::seconds(&processes);
        let begun = Instant::now();
        let mut clients = JoinSet::new();
        for client in 0..self.clients {
            let ask = ask.clone();
            clients.spawn(async move {
                let mut answers = Vec::new();
                let mut n = 0;
                while begun.elapsed() < self.lasts {
                    let asked = Instant::now();
                    ask(client, n).await?;
                    answers.push((begun.elapsed(), crate::since(asked)));
                    n += 1;
                }
                anyhow::Ok(answers)
            });
        }
        let mut answers = Vec::new();
        while let Some(client) = clients.join_next().await {
            answers.extend(client??);
        }
        answers.sort_unstable_by_key(|(at, _)| *at);
        let pauses = answers.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs_f64() * 1e3);
        let longest_pause_ms = pauses.fold(0.0, f64::max);
        let rate = answers.len() as f64 / begun.elapsed().as_secs_f64();
        let mut micros: Vec<f64> = answers.into_iter().map(|(_, micros)| micros).collect();
        micros.sort_by(f64::total_cmp);
        let spent = cpu::seconds(&processes).zip(before).map(|(after, before)| after - before);
        let cpu_micros = spent.map(|seconds| seconds * 1e6 / micros.len() as f64);
        Ok(Told { rate, longest_pause_ms, cpu_micros, micros })
    }
}
