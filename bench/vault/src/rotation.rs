//! All records of a vault move to a new DEK while others read and write; and how long the vault takes to open.
use crate::records::bytes;
use crate::stores::{Sealed, Store};
use anyhow::Result;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use terachat_figures::measure::{percentile, time};
use terachat_figures::report::Figure;
use terachat_vault::{
    Algorithm, Entropy, RecordAddress, RecordHeader, RecordKeyId, Secret, open_record, seal_record,
};
use terachat_vault_store::Config;

const GROUP: u64 = 500;

/// How long the readers and writers go on without a rotation, before it and once more after it: what they write has the engine
/// merge, too, and that is no doing of the rotation.
const QUIET: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Records in the vault.
    #[arg(long, default_value_t = Self::default().records)]
    records: u64,
    /// For how many seconds the rotation goes on beside readers and writers; then it has the vault for itself. By default to its end.
    #[arg(long)]
    loaded: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { records: 1_000_000, loaded: None }
    }
}

pub(crate) fn run(options: &Options, runs: usize) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("vault");
    let count = options.records;
    let store = Sealed::create(&place)?;
    eprintln!("filling a vault with {count} records of 2 KiB");
    for from in (0..count).step_by(GROUP as usize) {
        let values: Vec<(u64, Vec<u8>)> =
            (from..(from + GROUP).min(count)).map(|id| (id, bytes(id))).collect();
        let group: Vec<(u64, &[u8])> = values.iter().map(|(id, bytes)| (*id, &bytes[..])).collect();
        store.put(&group)?;
    }
    let mut figures = Vec::new();
    eprintln!("reading and writing without a rotation");
    let mut quiet = mixed(&store, count, 1, || std::thread::sleep(QUIET))?;

    eprintln!("rotating, with the same readers and writers");
    let start = Instant::now();
    store.rotate()?;
    // Until the rotation is through, or so much time has passed since its beginning.
    let wait = |limit: Option<u64>| {
        let goes_on = || limit.is_none_or(|seconds| start.elapsed() < Duration::from_secs(seconds));
        while goes_on() && !store.rotated()? {
            std::thread::sleep(Duration::from_millis(20));
        }
        anyhow::Ok(start.elapsed().as_secs_f64())
    };
    let mut loaded = Ok(0.0);
    let busy = mixed(&store, count, 2, || loaded = wait(options.loaded))?;
    let loaded = loaded?;
    eprintln!("rotating with the vault for itself, if anything is left");
    let seconds = wait(None)?;
    quiet.extend(mixed(&store, count, 3, || std::thread::sleep(QUIET))?);
    quiet.sort_by(f64::total_cmp);
    drop(store);

    for (share, word) in [(0.5, "p50"), (0.99, "p99")] {
        let (before, during) = (percentile(&quiet, share), percentile(&busy, share));
        let figure =
            Figure::once("rotation", format!("{word} of a read under load, no rotation"), "us", before);
        figures.push(figure);
        let figure = Figure::once("rotation", format!("{word} of a read under load, rotating"), "us", during);
        let figure = figure.beside("no rotation", before);
        figures.push(if word == "p99" { figure.at_most(before * 1.2) } else { figure });
    }
    let floor = crypto_seconds(count)? + disk_seconds(folder.path(), count)?;
    let what = format!("{count} records to a new DEK, {loaded:.0} s of it under load");
    let figure = Figure::once("rotation", what, "s", seconds);
    let figure = figure.beside("the AEAD's and the disk's own time", floor);
    let bound = count as f64 / f64::from(Config::new(&place).reencrypt_per_s);
    figures.push(figure.beside("the time that the bounded rate allows who is alone", bound));

    let mut opened = Vec::new();
    for _ in 0..runs {
        let (store, took) = time(|| Sealed::open(&place));
        let store = store?;
        store.get(count / 2)?;
        opened.push(took.wall * 1e3);
    }
    let spread = terachat_figures::measure::Spread::of(opened);
    figures.push(Figure::new("open", format!("a vault of {count} records"), "ms", spread).at_most(300.0));
    Ok(figures)
}

/// A reader and a writer while `work` goes on, of records that each `turn` draws anew; the reader's latencies in microseconds, sorted.
fn mixed(store: &Sealed, count: u64, turn: u64, work: impl FnOnce()) -> Result<Vec<f64>> {
    let over = AtomicBool::new(false);
    let random = |stream: u64| {
        let mut reader = blake3::Hasher::new().update(&stream.to_le_bytes()).finalize_xof();
        move || {
            let mut id = [0; 8];
            reader.fill(&mut id);
            u64::from_le_bytes(id) % count
        }
    };
    let pause = || std::thread::sleep(Duration::from_micros(500));
    std::thread::scope(|scope| {
        let reads = scope.spawn(|| {
            let (mut next, mut latencies) = (random(2 * turn), Vec::new());
            while !over.load(Ordering::Relaxed) {
                let id = next();
                let start = Instant::now();
                store.get(id)?;
                latencies.push(start.elapsed().as_secs_f64() * 1e6);
                pause();
            }
            latencies.sort_by(f64::total_cmp);
            anyhow::Ok(latencies)
        });
        let writes = scope.spawn(|| {
            let mut next = random(2 * turn + 1);
            while !over.load(Ordering::Relaxed) {
                let id = next();
                store.put(&[(id, &bytes(id))])?;
                pause();
            }
            anyhow::Ok(())
        });
        work();
        over.store(true, Ordering::Relaxed);
        writes.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
        reads.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?
    })
}

struct Counter(u64);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 += 1;
        out.fill(0);
        out[..8].copy_from_slice(&self.0.to_le_bytes());
    }
}

/// Opening and sealing as many records, and nothing else, on one core.
fn crypto_seconds(count: u64) -> Result<f64> {
    let sample = count.min(50_000);
    let (key, mut entropy) = (Secret::take(&mut [7; 32]), Counter(0));
    let address = RecordAddress { collection: [1; 16], record: [2; 16], version: 3 };
    let id = RecordKeyId { generation: 1, page: 0, slot: 0 };
    let header = RecordHeader { algorithm: Algorithm::Aes256Gcm, compressed: false, key: id };
    let mut sealed = seal_record(&key, &header, &address, &bytes(0), &mut entropy);
    let (done, took) = time(|| {
        (0..sample).try_for_each(|_| {
            let (_, plain) = open_record(&key, &address, &sealed)?;
            sealed = seal_record(&key, &header, &address, plain.expose_secret(), &mut entropy);
            Ok::<(), terachat_vault::Error>(())
        })
    });
    done?;
    Ok(took.wall / sample as f64 * count as f64)
}

/// Writing as many bytes to a file, synced once for each of 64 MiB.
fn disk_seconds(folder: &std::path::Path, count: u64) -> Result<f64> {
    use std::io::Write;
    let chunk = vec![7; 64 << 20];
    let chunks = (count * 2200).div_ceil(chunk.len() as u64).min(8);
    let mut file = std::fs::File::create(folder.join("floor"))?;
    let (done, took) = time(|| {
        (0..chunks).try_for_each(|_| {
            file.write_all(&chunk)?;
            file.sync_data()
        })
    });
    done?;
    std::fs::remove_file(folder.join("floor"))?;
    Ok(took.wall / (chunks * chunk.len() as u64) as f64 * (count * 2200) as f64)
}
