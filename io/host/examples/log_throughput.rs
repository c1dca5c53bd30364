//! What the commit log costs on this machine: `cargo run --release -p terachat-host --example log_throughput`.
//! The folder can be given; otherwise a temporary one is used and removed.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_possible_truncation)]
use std::path::{Path, PathBuf};
use std::time::Instant;
use terachat_core_store::store::{Block, CommitLog, Storage};
use terachat_host::{Disk, OsEntropy};
use terachat_vault::Secret;

const BLOCK_LEN: usize = 128 << 10;
const BLOCKS: usize = 800;
const SMALL: usize = 20_000;
const SYNCS: usize = 200;

fn main() {
    let folder: PathBuf = std::env::args_os().nth(1).map_or_else(
        || std::env::temp_dir().join(format!("log_throughput-{}", std::process::id())),
        PathBuf::from,
    );
    let log = || {
        let disk = Disk::open(&folder).unwrap();
        CommitLog::open(Box::new(disk), &Secret::take(&mut [1; 32]), &mut OsEntropy::new().unwrap()).unwrap()
    };
    let text = chat(BLOCK_LEN * BLOCKS);

    let (mut large, _) = log();
    let mut in_append = 0.0;
    let start = Instant::now();
    for body in text.chunks(BLOCK_LEN) {
        in_append += seconds(|| drop(large.append(&[Block::plain(1, body)]).unwrap()));
        large.sync().unwrap();
    }
    let all = start.elapsed().as_secs_f64();
    let mb = text.len() as f64 / 1e6;
    println!("commits of 128 KiB text   {:8.0} MB/s with a sync each", mb / all);
    println!("                          {:8.0} MB/s without the syncs", mb / in_append);
    println!("bytes on disk             {:8.2} of the text's", large.bytes() as f64 / text.len() as f64);
    let took = seconds(|| assert_eq!(large.blocks(None).unwrap().filter(|b| b.is_ok()).count(), BLOCKS));
    println!("replay                    {:8.0} MB/s", mb / took);
    drop(large);
    let took = seconds(|| drop(log()));
    println!("reopening                 {:8.2} ms", took * 1e3);

    let (mut small, _) = log();
    let before = small.bytes();
    let took = seconds(|| {
        for body in text.chunks(200).take(SMALL) {
            small.append(&[Block::plain(1, body)]).unwrap();
        }
    });
    println!("commit of 200 B, no sync  {:8.2} µs", took * 1e6 / SMALL as f64);
    println!(
        "bytes on disk             {:8.0} per such commit",
        (small.bytes() - before) as f64 / SMALL as f64
    );
    let took = seconds(|| small.sync().unwrap());
    println!("one sync for all of them  {:8.2} ms", took * 1e3);
    let took = seconds(|| {
        for body in text.chunks(200).take(SYNCS) {
            small.commit(&[Block::plain(1, body)]).unwrap();
        }
    });
    println!("commit of 200 B, synced   {:8.0} µs", took * 1e6 / SYNCS as f64);
    drop(small);
    let took = seconds(|| drop(log()));
    println!("reopening after those     {:8.2} ms", took * 1e3);
    println!("bare append and sync      {:8.0} µs", bare_sync(&folder) * 1e6);
    if std::env::args_os().nth(1).is_none() {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Seconds for a 231-byte append and its sync, without any log.
fn bare_sync(folder: &Path) -> f64 {
    let mut disk = Disk::open(folder).unwrap();
    disk.append("bare", b"").unwrap();
    disk.sync("bare").unwrap();
    let took = seconds(|| {
        for _ in 0..SYNCS {
            disk.append("bare", &[7; 231]).unwrap();
            disk.sync("bare").unwrap();
        }
    });
    disk.remove("bare").unwrap();
    took / SYNCS as f64
}

/// Something like talk: words with the frequencies of a natural language.
fn chat(len: usize) -> Vec<u8> {
    let words: Vec<String> = (0..6000u64)
        .map(|i| {
            let mut x = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            (0..2 + x % 8)
                .map(|_| {
                    x = x.rotate_left(9).wrapping_mul(31);
                    char::from(b'a' + (x % 26) as u8)
                })
                .collect()
        })
        .collect();
    let mut text = Vec::with_capacity(len + 20);
    let mut x = 1u64;
    while text.len() < len {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let rank = ((words.len() as f64).powf((x >> 11) as f64 / (1u64 << 53) as f64)) as usize;
        text.extend_from_slice(words[rank.min(words.len() - 1)].as_bytes());
        text.push(if x >> 60 == 0 { b'\n' } else { b' ' });
    }
    text.truncate(len);
    text
}
