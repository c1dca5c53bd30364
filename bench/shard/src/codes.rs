//! Encoding and reconstructing, all counts and lengths, everybody in turn.
use crate::arena::Arena;
use crate::coders::{Coder, Copy, Erasure, Ours, Simd};
use anyhow::{Result, bail};
use clap::Args;
use terachat_figures::measure::{Spread, time};
use terachat_figures::report::Figure;
use terachat_shard::Kernel;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// MiB of data that are passed through each time; several times the caches.
    #[arg(long, default_value_t = 128)]
    mib: usize,
    /// Only these lengths of shards, in KiB.
    #[arg(long, value_delimiter = ',', default_values_t = [4, 64, 1024])]
    kib: Vec<usize>,
    /// Only these counts, as k+m.
    #[arg(long, value_delimiter = ',', default_values_t = ["4+2".to_owned(), "6+3".to_owned(), "10+4".to_owned(), "20+10".to_owned()])]
    codes: Vec<String>,
    /// All kernels that run here, not only the quickest.
    #[arg(long)]
    kernels: bool,
    /// No peers: only ours and the copy.
    #[arg(long)]
    no_peers: bool,
}

pub(crate) fn run(options: &Options, runs: usize, mut show: impl FnMut(Figure)) -> Result<()> {
    let mut kernels = Kernel::available();
    eprintln!("kernels here: {kernels:?}");
    if !options.kernels {
        kernels.truncate(1);
    }
    for counts in &options.codes {
        let Some((k, m)) = counts.split_once('+') else { bail!("{counts}: counts are k+m") };
        let (k, m) = (k.parse()?, m.parse()?);
        for kib in &options.kib {
            let len = kib << 10;
            let mut arena = Arena::new(k, m, len, options.mib << 20);
            let mut coders: Vec<Box<dyn Coder>> = vec![Box::new(Copy)];
            for kernel in &kernels {
                coders.push(Box::new(Ours::new(k, m, *kernel)?));
            }
            if !options.no_peers {
                coders.push(Box::new(Erasure::new(k, m)?));
                coders.push(Box::new(Simd::new(k, m, len)?));
            }
            let name = format!("{counts} {kib} KiB");
            let best = kernels.first().map_or("", |kernel| kernel.name());
            let aims = |gfni: f64| (m <= 4).then_some(if best.starts_with("gfni") { gfni } else { 0.7 });
            let encode = |coder: &mut dyn Coder, arena: &mut Arena| coder.encode(arena);
            contest(&mut arena, &mut coders, runs, &format!("{name} encode"), aims(1.3), encode, &mut show)?;
            // reed-solomon-simd's parity is another: each mends from its own.
            for lost in [1, m] {
                let job = |coder: &mut dyn Coder, arena: &mut Arena| coder.reconstruct(arena, lost);
                let name = format!("{name} reconstruct {lost}");
                contest(&mut arena, &mut coders, runs, &name, aims(1.6), job, &mut show)?;
            }
        }
    }
    Ok(())
}

/// Everybody in turn, `runs` times. Ratios are the medians of those of one turn.
fn contest(
    arena: &mut Arena,
    coders: &mut [Box<dyn Coder>],
    runs: usize,
    name: &str,
    aim: Option<f64>,
    job: impl Fn(&mut dyn Coder, &mut Arena) -> Result<()>,
    show: &mut impl FnMut(Figure),
) -> Result<()> {
    let bytes = (arena.stripes * arena.k * arena.len) as f64;
    let mut seconds = vec![Vec::new(); coders.len()];
    for _ in 0..runs {
        for (coder, seconds) in coders.iter_mut().zip(&mut seconds) {
            let (result, took) = time(|| job(coder.as_mut(), arena));
            result?;
            seconds.push(took.cpu);
        }
    }
    let copied = seconds[0].clone();
    for (at, (coder, seconds)) in coders.iter().zip(seconds).enumerate() {
        let rates = Spread::of(seconds.iter().map(|seconds| bytes / seconds / 1e9));
        show(Figure::new("shard", format!("{name}: {}", coder.name()), "GB/s", rates));
        if at > 0 {
            let ratios = Spread::of(copied.iter().zip(&seconds).map(|(copied, own)| copied / own));
            let figure = Figure::new("shard", format!("{name}: {} over memcpy", coder.name()), "x", ratios);
            let figure = if let (1, Some(aim)) = (at, aim) { figure.at_least(aim) } else { figure };
            show(figure);
        }
    }
    Ok(())
}
