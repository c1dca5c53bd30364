use std::io::{self, BufRead};

/// Longest line that is read, in bytes: a message of 64 KiB with every byte escaped, and room for the rest.
pub(crate) const LINE_LEN_MAX: usize = 512 * 1024;

/// Lines with their numbers, from 1. Memory stays bounded whatever the file holds: of a line that is too long only the
/// beginning is kept, one byte more than allowed, so that it can be told.
pub(crate) struct Lines<R> {
    reader: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, number: 0 }
    }

    /// The next line that is not blank, without its end, and its number; `None` at the end of the file.
    pub(crate) fn next_line(&mut self, line: &mut Vec<u8>) -> io::Result<Option<u64>> {
        loop {
            if !self.fill(line)? {
                return Ok(None);
            }
            self.number += 1;
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(self.number));
            }
        }
    }

    fn fill(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        let mut any = false;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                return Ok(any);
            }
            any = true;
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            let room = (LINE_LEN_MAX + 1).saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<(u64, usize)> {
        let mut lines = Lines::new(io::BufReader::with_capacity(7, text));
        let mut line = Vec::new();
        std::iter::from_fn(|| lines.next_line(&mut line).unwrap().map(|number| (number, line.len())))
            .collect()
    }

    #[test]
    fn lines_keep_their_numbers_across_blank_ones() {
        assert_eq!(all(b"a\n\n  \r\nbcdefghijk\nlast"), [(1, 1), (4, 10), (5, 4)]);
        assert_eq!(all(b""), []);
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut text = vec![b'x'; 3 * LINE_LEN_MAX];
        text.extend_from_slice(b"\nnext");
        assert_eq!(all(&text), [(1, LINE_LEN_MAX + 1), (2, 4)]);
    }
}
