use crate::failure::{Failure, Result};
use flate2::bufread::MultiGzDecoder;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

/// A log that is open for reading, plain or gzipped (told by its first bytes, not by its name).
pub(crate) struct Source {
    /// How it is called in messages.
    pub(crate) name: String,
    /// Bytes in the file; unknown for a pipe.
    pub(crate) len: Option<u64>,
    /// Bytes of the file taken so far.
    pub(crate) taken: Rc<Cell<u64>>,
    /// The unpacked text.
    pub(crate) reader: Box<dyn BufRead>,
}

impl Source {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// [`Failure::Told`] when the file cannot be opened or read.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Self::new("standard input".to_owned(), None, Box::new(io::stdin()), path);
        }
        let file = File::open(path).map_err(|error| Failure::file("open", path, &error))?;
        let metadata = file.metadata().map_err(|error| Failure::file("read", path, &error))?;
        let len = metadata.is_file().then_some(metadata.len());
        Self::new(path.display().to_string(), len, Box::new(file), path)
    }

    fn new(name: String, len: Option<u64>, raw: Box<dyn Read>, path: &Path) -> Result<Self> {
        let taken = Rc::new(Cell::new(0));
        let mut raw = BufReader::with_capacity(64 * 1024, Counted { raw, taken: taken.clone() });
        let head = raw.fill_buf().map_err(|error| Failure::file("read", path, &error))?;
        let reader: Box<dyn BufRead> = if head.starts_with(&[0x1f, 0x8b]) {
            Box::new(BufReader::with_capacity(64 * 1024, MultiGzDecoder::new(raw)))
        } else {
            Box::new(raw)
        };
        Ok(Self { name, len, taken, reader })
    }
}

struct Counted {
    raw: Box<dyn Read>,
    taken: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.raw.read(buffer)?;
        self.taken.set(self.taken.get() + len as u64);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn text(bytes: &[u8]) -> io::Result<String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut source = Source::open(file.path()).unwrap();
        let mut text = String::new();
        source.reader.read_to_string(&mut text)?;
        assert_eq!((source.len, source.taken.get()), (Some(bytes.len() as u64), bytes.len() as u64));
        Ok(text)
    }

    #[test]
    fn plain_and_gzipped_logs_read_the_same() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(b"one\ntwo\n").unwrap();
        let packed = packer.finish().unwrap();
        assert_eq!(text(b"one\ntwo\n").unwrap(), "one\ntwo\n");
        assert_eq!(text(&packed).unwrap(), "one\ntwo\n");
        assert!(text(&packed[..packed.len() - 6]).is_err(), "a cut archive is an error, not an early end");
    }

    #[test]
    fn a_missing_file_says_so() {
        assert!(matches!(Source::open(Path::new("/no/such/log")), Err(Failure::Told { .. })));
    }
}
