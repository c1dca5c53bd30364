//! Looks for pieces of secrets in the memory of a process, from outside of it. Linux.
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};

/// So many bytes of a key in a row are a find. Short enough for a piece that was left in a few registers, long enough
/// that chance never makes one.
const WINDOW: usize = 8;

/// Bytes of a process's memory.
pub(crate) fn read(process: u32, at: u64, len: usize) -> std::io::Result<Vec<u8>> {
    let mut memory = File::open(format!("/proc/{process}/mem"))?;
    memory.seek(SeekFrom::Start(at))?;
    let mut bytes = vec![0; len];
    memory.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Every readable mapping with its content. What the kernel keeps to itself (`vvar`, `vsyscall`) is no memory of the
/// process.
pub(crate) fn dump(process: u32, mut each: impl FnMut(u64, &[u8], &str)) {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut seen_stack = false;
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|hex| u64::from_str_radix(hex, 16).unwrap());
        if !rest.starts_with('r') || line.contains("[vvar") || line.ends_with("[vsyscall]") {
            continue;
        }
        match read(process, start, usize::try_from(end - start).unwrap()) {
            Ok(bytes) => each(start, &bytes, line),
            // A process that runs gives pages back meanwhile.
            Err(_) if !still_mapped(process, range) => continue,
            Err(error) => panic!("{line}: {error}"),
        }
        seen_stack |= line.ends_with("[stack]");
    }
    assert!(seen_stack, "the whole process was read");
}

fn still_mapped(process: u32, range: &str) -> bool {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    maps.lines().any(|line| line.starts_with(range))
}

/// What is looked for, by its first two bytes: label and bytes.
pub(crate) type Patterns = BTreeMap<u16, Vec<(String, Vec<u8>)>>;

/// Every window of every secret, and every aligned word of it four times over, as vector code spreads it.
pub(crate) fn patterns(secrets: &BTreeMap<String, Vec<u8>>) -> Patterns {
    let mut patterns = Patterns::new();
    for (label, secret) in secrets {
        let windows = secret.windows(WINDOW).map(<[u8]>::to_vec);
        let spread = secret.chunks_exact(4).map(|word| word.repeat(4));
        for pattern in windows.chain(spread) {
            let first = u16::from_le_bytes([pattern[0], pattern[1]]);
            patterns.entry(first).or_default().push((label.clone(), pattern));
        }
    }
    patterns
}

/// Calls `found` for each piece, with its label and where it is.
pub(crate) fn search(patterns: &Patterns, bytes: &[u8], mut found: impl FnMut(&str, usize)) {
    let mut begins = vec![false; 1 << 16];
    patterns.keys().for_each(|first| begins[usize::from(*first)] = true);
    for (at, pair) in bytes.windows(2).enumerate() {
        let first = u16::from_le_bytes([pair[0], pair[1]]);
        if begins[usize::from(first)] {
            for (label, _) in patterns[&first].iter().filter(|(_, pattern)| bytes[at..].starts_with(pattern))
            {
                found(label, at);
            }
        }
    }
}

/// The ranges that the kernel says are locked into memory (`lo`) and left out of dumps (`dd`).
pub(crate) fn pinned(process: u32) -> Vec<std::ops::Range<u64>> {
    let smaps = fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let (mut pinned, mut current) = (Vec::new(), 0..0);
    for line in smaps.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            let flags: Vec<&str> = flags.split_whitespace().collect();
            if flags.contains(&"lo") && flags.contains(&"dd") {
                pinned.push(current.clone());
            }
        } else if let Some((start, end)) = line.split(' ').next().unwrap().split_once('-') {
            let [start, end] = [start, end].map(|hex| u64::from_str_radix(hex, 16).unwrap());
            current = start..end;
        }
    }
    pinned
}
