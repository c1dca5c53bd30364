//! Records of 2 KiB put and got, in turn with the bare engine and with what others use.
use crate::stores::{self, Store};
use anyhow::Result;
use std::time::Instant;
use terachat_figures::measure::{Spread, Took, percentile, time};
use terachat_figures::report::Figure;

/// Bytes of a record: a face's 512 floats.
const LEN: usize = 2048;
/// Records that are put together in one durable commit.
const GROUP: usize = 100;
/// Threads of those that put one record at a time.
const WRITERS: u64 = 16;

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Records in each store.
    #[arg(long, default_value_t = Self::default().records)]
    records: u64,
    /// Only the stores whose names begin so, for a profiler: the vault's is `vault`. Without the vault nothing is compared.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { records: 100_000, only: Vec::new() }
    }
}

/// Bytes that do not compress, another row for each id.
pub(crate) fn bytes(id: u64) -> Vec<u8> {
    let mut bytes = vec![0; LEN];
    blake3::Hasher::new().update(&id.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// One store's runs of one verb.
#[derive(Default)]
struct Runs {
    took: Vec<Took>,
    latencies_us: Vec<f64>,
}

pub(crate) fn run(options: &Options, runs: usize) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let stores = stores::all(folder.path(), &options.only)?;
    let per_run = options.records / runs as u64 / GROUP as u64 * GROUP as u64;
    let mut groups: Vec<Runs> = stores.iter().map(|_| Runs::default()).collect();
    let mut singles: Vec<Runs> = stores.iter().map(|_| Runs::default()).collect();
    let mut gets: Vec<Runs> = stores.iter().map(|_| Runs::default()).collect();
    let singles_per_run = (per_run / 20).max(WRITERS);
    for run in 0..runs as u64 {
        for (at, (_, store)) in stores.iter().enumerate() {
            put_groups(&mut groups[at], store.as_ref(), run * per_run..(run + 1) * per_run)?;
        }
        for (at, (_, store)) in stores.iter().enumerate() {
            let from = options.records + run * singles_per_run;
            put_singly(&mut singles[at], store.as_ref(), from, singles_per_run)?;
        }
    }
    let there = per_run * runs as u64;
    for run in 0..runs as u64 {
        for (at, (_, store)) in stores.iter().enumerate() {
            get(&mut gets[at], store.as_ref(), run, there)?;
        }
    }
    let names: Vec<&str> = stores.iter().map(|(name, _)| *name).collect();
    let mut figures = of("put, 100 in a commit", &names, &groups, per_run);
    figures.extend(of("put, singly by 16 threads", &names, &singles, singles_per_run / WRITERS * WRITERS));
    figures.extend(of("get", &names, &gets, there.min(100_000)));
    Ok(figures)
}

fn put_groups(runs: &mut Runs, store: &dyn Store, ids: std::ops::Range<u64>) -> Result<()> {
    let values: Vec<(u64, Vec<u8>)> = ids.map(|id| (id, bytes(id))).collect();
    let groups: Vec<Vec<(u64, &[u8])>> = values
        .chunks(GROUP)
        .map(|chunk| chunk.iter().map(|(id, bytes)| (*id, &bytes[..])).collect())
        .collect();
    let (done, took) = time(|| {
        groups.iter().try_for_each(|group| {
            let start = Instant::now();
            store.put(group)?;
            runs.latencies_us.push(start.elapsed().as_secs_f64() * 1e6);
            anyhow::Ok(())
        })
    });
    done?;
    runs.took.push(took);
    Ok(())
}

fn put_singly(runs: &mut Runs, store: &dyn Store, from: u64, count: u64) -> Result<()> {
    let each = count / WRITERS;
    let values: Vec<Vec<u8>> = (from..from + each * WRITERS).map(bytes).collect();
    let (latencies, took) = time(|| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = values
                .chunks(each as usize)
                .zip(0u64..)
                .map(|(values, writer)| {
                    scope.spawn(move || {
                        let ids = from + writer * each..;
                        values
                            .iter()
                            .zip(ids)
                            .map(|(value, id)| {
                                let start = Instant::now();
                                store.put(&[(id, value)])?;
                                Ok(start.elapsed().as_secs_f64() * 1e6)
                            })
                            .collect::<Result<Vec<f64>>>()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a writer panicked"))?)
                .collect::<Result<Vec<Vec<f64>>>>()
        })
    });
    runs.latencies_us.extend(latencies?.into_iter().flatten());
    runs.took.push(took);
    Ok(())
}

fn get(runs: &mut Runs, store: &dyn Store, run: u64, there: u64) -> Result<()> {
    let mut random = blake3::Hasher::new().update(&run.to_le_bytes()).finalize_xof();
    let ids: Vec<u64> = (0..there.min(100_000))
        .map(|_| {
            let mut id = [0; 8];
            random.fill(&mut id);
            u64::from_le_bytes(id) % there
        })
        .collect();
    let (done, took) = time(|| {
        ids.iter().try_for_each(|id| {
            let start = Instant::now();
            anyhow::ensure!(store.get(*id)? == LEN, "a record came back short");
            runs.latencies_us.push(start.elapsed().as_secs_f64() * 1e6);
            Ok(())
        })
    });
    done?;
    runs.took.push(took);
    Ok(())
}

/// Throughput, latency and CPU of one verb; ours beside each peer.
fn of(verb: &str, names: &[&str], runs: &[Runs], per_run: u64) -> Vec<Figure> {
    let count = per_run as f64;
    let rates: Vec<Spread> =
        runs.iter().map(|runs| Spread::of(runs.took.iter().map(|took| took.wall)).rate(count)).collect();
    let mut figures = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let mut rate = Figure::new("vault", format!("{verb}: {name}"), "/s", rates[at]);
        if at == 0 {
            for (other, beside) in names.iter().zip(&rates).skip(1) {
                rate = rate.beside(*other, beside.median);
            }
        }
        figures.push(rate);
        let cpu = Spread::of(runs[at].took.iter().map(|took| took.cpu * 1e6)).per(count);
        figures.push(Figure::new("vault", format!("  CPU each: {name}"), "us", cpu));
        let mut sorted = runs[at].latencies_us.clone();
        sorted.sort_by(f64::total_cmp);
        for (share, word) in [(0.5, "p50"), (0.99, "p99")] {
            let value = percentile(&sorted, share);
            figures.push(Figure::once("vault", format!("  {word} of a call: {name}"), "us", value));
        }
    }
    let aims: &[(&str, f64)] = match verb {
        "get" => &[("bare fjall", 0.85), ("sled as it is", 2.0), ("SQLCipher", 3.0)],
        _ => &[("bare fjall", 0.85), ("sled, synced", 3.0), ("SQLCipher", 3.0)],
    };
    for (peer, bound) in aims {
        let Some(at) = names.iter().position(|name| name == peer) else { continue };
        let other = rates[at].median;
        let ratio = rates[0].median / other;
        figures.push(Figure::once("vault", format!("{verb}: over {peer}"), "x", ratio).at_least(*bound));
    }
    figures
}
