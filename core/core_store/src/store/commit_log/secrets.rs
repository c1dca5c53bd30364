//! What segments and the snapshot are sealed under besides the store's key: `docs/format/commit-log.md`, "Secrets".
use super::keys::{Id, LogKeys};
use super::segment::{check_magic, finish_header};
use super::{Closed, rewrites};
use crate::store::{Error, Storage};
use std::collections::BTreeMap;
use terachat_vault::{NONCE_LEN, Secret};
use zeroize::Zeroize;

/// The files, of one content: a log whose secrets are gone is gone.
pub(super) const FILES: [&str; 2] = ["keys", "keys-copy"];
const MAGIC: &[u8; 6] = b"TCkeys";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 88;
const ENTRY_LEN: usize = 40;
/// What stands for the snapshot among segments.
pub(super) const SNAPSHOT: u32 = 0;

/// Secrets by segment and by how often it had been rewritten; of the snapshot by how often all had.
type Entries = BTreeMap<(u32, u32), Secret<32>>;

/// The files' bytes.
fn encode(log_id: &Id, salt: &Id, entries: &[((u32, u32), &Secret<32>)], keys: &LogKeys) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(log_id);
    file.extend_from_slice(salt);
    file.resize(HEADER_LEN - 24, 0);
    let mut file = finish_header(file, keys);
    // Of its final length at once: a buffer that moves leaves its secrets behind.
    let mut body = Vec::with_capacity(entries.len() * ENTRY_LEN + terachat_vault::TAG_LEN);
    for ((segment, times), secret) in entries {
        body.extend_from_slice(&segment.to_le_bytes());
        body.extend_from_slice(&times.to_le_bytes());
        body.extend_from_slice(secret.expose_secret());
    }
    keys.secrets(salt).seal(&[0; NONCE_LEN], &file, &mut body);
    file.append(&mut body);
    file
}

fn decode(bytes: &[u8], file: &str, log_id: &Id, keys: &LogKeys) -> Result<Entries, Error> {
    let damaged =
        || Error::Damaged { segment: 0, block: 0, offset: 0, what: "the secrets of its segments changed" };
    check_magic(bytes, MAGIC, VERSION, file)?;
    let (header, sealed) = bytes.split_at_checked(HEADER_LEN).ok_or_else(damaged)?;
    if header[8..24] != *log_id {
        return Err(Error::Foreign { file: file.to_owned() });
    }
    let salt: Id = header[24..40].try_into().expect("sixteen bytes");
    let mut body = sealed.to_vec();
    let len = keys
        .secrets(&salt)
        .open_in_place(&[0; NONCE_LEN], header, &mut body)
        .map_err(|_: terachat_vault::Error| damaged())?;
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let mut entries = Entries::new();
    for entry in body[..len].chunks_exact_mut(ENTRY_LEN) {
        let (name, secret) = entry.split_at_mut(8);
        let secret = Secret::take(secret.try_into().expect("32 bytes"));
        entries.insert((number(&name[..4]), number(&name[4..])), secret);
    }
    body.zeroize();
    Ok(entries)
}

/// Writes the secrets in use, and `more` that will be, or were until now; those of neither are destroyed by it.
pub(super) fn write(
    storage: &mut dyn Storage,
    log_id: &Id,
    salt: &Id,
    (keys, times): (&LogKeys, impl Fn(u32) -> u32),
    more: &[((u32, u32), &Secret<32>)],
) -> Result<(), Error> {
    let mut entries: Vec<_> =
        keys.own.iter().map(|(segment, secret)| ((*segment, times(*segment)), secret)).collect();
    entries.extend_from_slice(more);
    let file = encode(log_id, salt, &entries, keys);
    FILES.iter().try_for_each(|name| Ok(storage.replace(name, &file)?))
}

/// Hands the keys their secrets; gives whether the files are to be written anew: they hold some that nothing is sealed under
/// any more, or are not both there and the same; and whether one of them is missing or damaged.
pub(super) fn read(
    storage: &dyn Storage,
    log_id: &Id,
    keys: &mut LogKeys,
    closed: &[Closed],
) -> Result<(bool, bool), Error> {
    let mut files = Vec::new();
    for name in FILES {
        files.push(match storage.size(name)? {
            Some(len) => storage.read(name, 0, usize::try_from(len).unwrap_or(usize::MAX))?,
            None => Vec::new(),
        });
    }
    if files.iter().all(Vec::is_empty) {
        // A log of before there were secrets.
        return Ok((false, false));
    }
    let times = times(closed);
    let last = u32::try_from(closed.len() + 1).expect("segments are counted in 32 bits");
    let (mut count, mut whole) = (0, 0);
    for (file, bytes) in FILES.iter().zip(&files) {
        let Ok(entries) = decode(bytes, file, log_id, keys) else { continue };
        whole += 1;
        let of_all = entries.len();
        let used =
            entries.into_iter().filter(|((segment, of), _)| *segment <= last && times(*segment) == *of);
        let used: BTreeMap<u32, Secret<32>> = used.map(|((segment, _), secret)| (segment, secret)).collect();
        // Whichever has more of what is needed: the other may be older.
        if used.len() > keys.own.len() {
            (keys.own, count) = (used, of_all);
        }
    }
    if count == 0 {
        return decode(&files[0], FILES[0], log_id, keys).map(|_| (false, false));
    }
    Ok((keys.own.len() < count || files[0] != files[1], whole < FILES.len()))
}

/// How often a segment was rewritten; for the snapshot, how often all were.
pub(super) fn times(closed: &[Closed]) -> impl Fn(u32) -> u32 {
    move |segment| match (segment as usize).checked_sub(1) {
        None => rewrites(closed),
        Some(slot) => closed.get(slot).map_or(0, |closed| closed.rewritten),
    }
}
