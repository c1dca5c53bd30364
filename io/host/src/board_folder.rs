use crate::disk::private;
use crate::{Error, OsEntropy};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use terachat_core_store::sync::board::{
    Board, BoardError, BoardRecord, Cursor, Listing, Published, RECORD_LEN_MAX, RecordKey,
};
use terachat_vault::Entropy;

const MAGIC: &[u8; 8] = b"TCboard\x01";
const NAME: &str = "board";
const JOURNAL: &str = "journal";
const RECORDS: &str = "records";
const LOCK: &str = ".lock";
/// What a file is called while it is being written.
const TEMPORARY: &str = ".new";
const ID_LEN: usize = 16;
const KEY_LEN: usize = 32;
/// Keys in a journal below which it is not worth rewriting.
const JOURNAL_KEYS_MIN: usize = 1024;

/// A board in a folder that several processes, and several people's devices, may use at the same time: on a common disk, or
/// on one that is carried from place to place. Files: `docs/format/board.md`.
///
/// Everybody who can enter the folder can read what it holds, which is sealed, and can remove it. Files have the modes
/// that the process gives to any file.
pub struct FolderBoard {
    folder: PathBuf,
    id: [u8; ID_LEN],
    entropy: OsEntropy,
}

impl FolderBoard {
    /// Whether there is a board in `folder`.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(NAME).is_file()
    }

    /// Opens the board in `folder`, or begins one there.
    ///
    /// # Errors
    /// [`Error::Folder`], [`Error::Board`] when the folder holds something else, [`Error::Entropy`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(Error::folder("make", folder))?;
        let mut board = Self { folder: folder.to_owned(), id: [0; ID_LEN], entropy: OsEntropy::new()? };
        let begun = board.begin().map_err(Error::folder("open the board in", folder))?;
        board.id = begun.ok_or_else(|| Error::Board(folder.to_owned()))?;
        Ok(board)
    }

    /// The board's name, drawn if it has none; `None` where the folder is something else.
    fn begin(&mut self) -> io::Result<Option<[u8; ID_LEN]>> {
        if let Some(named) = self.named()? {
            return Ok(named);
        }
        let _lock = self.lock(true)?;
        // Another process may have been quicker.
        if let Some(named) = self.named()? {
            return Ok(named);
        }
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            if name != LOCK && name != TEMPORARY {
                return Ok(None);
            }
        }
        let id = self.random();
        self.replace(Path::new(NAME), &[&MAGIC[..], &id].concat())?;
        Ok(Some(id))
    }

    /// `None` where there is no such file, `Some(None)` where it says something else.
    fn named(&self) -> io::Result<Option<Option<[u8; ID_LEN]>>> {
        let bytes = match fs::read(self.folder.join(NAME)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        Ok(Some(bytes.strip_prefix(MAGIC).and_then(|id| id.try_into().ok())))
    }

    fn random(&mut self) -> [u8; ID_LEN] {
        let mut id = [0; ID_LEN];
        self.entropy.fill(&mut id);
        id
    }

    /// Waits for the folder's lock: alone to write, together to list.
    fn lock(&self, alone: bool) -> io::Result<File> {
        let path = self.folder.join(LOCK);
        let file = match OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path) {
            // On a medium that can only be read nobody writes.
            Err(error) if !alone && is_refused(&error) => File::open(&path)?,
            file => file?,
        };
        if alone {
            file.lock()?
        } else {
            file.lock_shared()?
        }
        Ok(file)
    }

    fn path(key: &RecordKey) -> PathBuf {
        let name = key.to_string();
        Path::new(RECORDS).join(&name[..2]).join(name)
    }

    /// Puts a file in its place: whole, durable, in one step. Under the lock.
    fn replace(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.folder.join(TEMPORARY);
        let written = (|| {
            let mut handle = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary)?;
            handle.write_all(bytes)?;
            handle.sync_all()?;
            fs::rename(&temporary, self.folder.join(file))
        })();
        if written.is_err() {
            // It takes space that a full disk needs; failing that, the next writer writes over it.
            let _ = fs::remove_file(&temporary);
        }
        written?;
        match file.parent() {
            Some(folder) => private::sync_folder(&self.folder.join(folder)),
            None => private::sync_folder(&self.folder),
        }
    }

    /// What is kept under a key, expired or not.
    fn read(&self, key: &RecordKey) -> io::Result<Result<Option<BoardRecord>, BoardError>> {
        let path = self.folder.join(Self::path(key));
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ok(None)),
            metadata => {
                if !metadata?.is_file() {
                    return Ok(Err(BoardError::Damaged("it is no file")));
                }
            }
        }
        let mut bytes = Vec::new();
        match File::open(&path) {
            // Removed a moment ago.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ok(None)),
            file => file?.take(RECORD_LEN_MAX as u64 + 1).read_to_end(&mut bytes)?,
        };
        Ok(match BoardRecord::decode(bytes) {
            Ok(record) if record.key() == *key => Ok(Some(record)),
            Ok(_) => Err(BoardError::Damaged("it is another key's")),
            Err(BoardError::Record(why)) => Err(BoardError::Damaged(why)),
            Err(_) => Err(BoardError::Damaged("it is too long")),
        })
    }

    fn put(&mut self, record: &BoardRecord, now_ms: u64) -> io::Result<Result<Published, BoardError>> {
        let _lock = self.lock(true)?;
        // Damage stands in nobody's way.
        let known = self.read(&record.key())?.unwrap_or_default();
        let published = match record.admit(known.as_ref(), self.record_len_max(), now_ms) {
            Ok(Published::Known) => return Ok(Ok(Published::Known)),
            Err(error) => return Ok(Err(error)),
            Ok(published) => published,
        };
        if published == Published::Added {
            // Before the record: nobody who follows the list may miss it, whatever happens in between.
            self.note(&record.key())?;
        }
        let path = Self::path(&record.key());
        let folder = self.folder.join(path.parent().expect("it has two folders above"));
        if !folder.exists() {
            fs::create_dir_all(&folder)?;
            private::sync_folder(&self.folder.join(RECORDS))?;
            private::sync_folder(&self.folder)?;
        }
        self.replace(&path, record.bytes())?;
        Ok(Ok(published))
    }

    /// Adds a key to the journal, durably.
    fn note(&mut self, key: &RecordKey) -> io::Result<()> {
        let path = self.folder.join(JOURNAL);
        let whole = |len: u64| len >= ID_LEN as u64;
        if !fs::metadata(&path).is_ok_and(|metadata| whole(metadata.len())) {
            let id = self.random();
            self.replace(Path::new(JOURNAL), &id)?;
        }
        let mut journal = OpenOptions::new().write(true).open(&path)?;
        let len = journal.metadata()?.len();
        let end = len - (len - ID_LEN as u64) % KEY_LEN as u64;
        journal.set_len(end)?;
        journal.seek(SeekFrom::Start(end))?;
        journal.write_all(&key.0)?;
        journal.sync_all()
    }

    fn keys_after(&self, after: &Cursor, max: usize) -> io::Result<Listing> {
        let _lock = self.lock(false)?;
        let nothing = Listing { keys: Vec::new(), next: Cursor::default(), more: false };
        let mut journal = match File::open(self.folder.join(JOURNAL)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(nothing),
            journal => journal?,
        };
        let mut id = [0; ID_LEN];
        if journal.read_exact(&mut id).is_err() {
            return Ok(nothing);
        }
        let count = (journal.metadata()?.len() - ID_LEN as u64) / KEY_LEN as u64;
        let from = place(&after.0, &id).filter(|from| *from <= count).unwrap_or(0);
        let to = count.min(from.saturating_add(max as u64));
        journal.seek(SeekFrom::Start(ID_LEN as u64 + from * KEY_LEN as u64))?;
        let mut keys = Vec::new();
        for _ in from..to {
            let mut key = [0; KEY_LEN];
            journal.read_exact(&mut key)?;
            keys.push(RecordKey(key));
        }
        Ok(Listing { keys, next: Cursor([&id[..], &to.to_le_bytes()].concat()), more: to < count })
    }

    /// Removes what has expired and gives back how much that was.
    fn sweep(&mut self, now_ms: u64) -> io::Result<usize> {
        let _lock = self.lock(true)?;
        let (mut kept, mut removed) = (BTreeSet::new(), 0);
        let records = match fs::read_dir(self.folder.join(RECORDS)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            records => records?,
        };
        for part in records {
            let part = part?;
            if !part.file_type()?.is_dir() {
                continue;
            }
            for entry in fs::read_dir(part.path())? {
                let name = entry?.file_name();
                let Some(key) = name.to_str().and_then(key_of) else { continue };
                match self.read(&key)? {
                    Ok(Some(record)) if record.expires_ms() <= now_ms => {
                        fs::remove_file(self.folder.join(Self::path(&key)))?;
                        removed += 1;
                    }
                    _ => {
                        kept.insert(key);
                    }
                }
            }
        }
        self.shorten(&kept)?;
        Ok(removed)
    }

    /// Rewrites the journal when most of it names nothing any more.
    fn shorten(&mut self, kept: &BTreeSet<RecordKey>) -> io::Result<()> {
        let Ok(bytes) = fs::read(self.folder.join(JOURNAL)) else { return Ok(()) };
        let keys = bytes.get(ID_LEN..).unwrap_or_default().chunks_exact(KEY_LEN);
        if keys.len() <= JOURNAL_KEYS_MIN || kept.len() * 2 >= keys.len() {
            return Ok(());
        }
        let mut rest = kept.clone();
        let mut fresh = self.random().to_vec();
        for key in keys {
            if rest.remove(&RecordKey(key.try_into().expect("chunks of this length"))) {
                fresh.extend_from_slice(key);
            }
        }
        self.replace(Path::new(JOURNAL), &fresh)
    }

    fn failed(&self, what: &str, error: &io::Error) -> BoardError {
        let next = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space, then try again",
            _ if is_refused(error) => "check the owner and the permissions of the folder",
            _ => "check that it is there and its disk is sound, then try again",
        };
        BoardError::Failed(format!("cannot {what} the board in {}: {error}; {next}", self.folder.display()))
    }
}

impl Board for FolderBoard {
    fn id(&self) -> [u8; 16] {
        self.id
    }

    fn record_len_max(&self) -> usize {
        RECORD_LEN_MAX
    }

    fn publish(&mut self, record: &BoardRecord, now_ms: u64) -> Result<Published, BoardError> {
        self.put(record, now_ms).map_err(|error| self.failed("write to", &error))?
    }

    fn fetch(&self, key: &RecordKey, now_ms: u64) -> Result<Option<BoardRecord>, BoardError> {
        let found = self.read(key).map_err(|error| self.failed("read", &error))??;
        Ok(found.filter(|record| record.expires_ms() > now_ms))
    }

    fn list(&self, after: &Cursor, max: usize) -> Result<Listing, BoardError> {
        self.keys_after(after, max).map_err(|error| self.failed("list", &error))
    }

    fn collect(&mut self, now_ms: u64) -> Result<usize, BoardError> {
        self.sweep(now_ms).map_err(|error| self.failed("clear", &error))
    }
}

/// The position in the journal named `id` that a cursor means.
fn place(cursor: &[u8], id: &[u8; ID_LEN]) -> Option<u64> {
    let position = cursor.strip_prefix(id)?;
    Some(u64::from_le_bytes(position.try_into().ok()?))
}

/// The key whose record has this file name.
fn key_of(name: &str) -> Option<RecordKey> {
    if name.len() != 2 * KEY_LEN || !name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut key = [0; KEY_LEN];
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&name[at..at + 2], 16).ok()?;
    }
    Some(RecordKey(key))
}

fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

#[cfg(test)]
mod tests;
