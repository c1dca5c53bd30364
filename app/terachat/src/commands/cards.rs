//! Cards from a file, for `terachat invite --cards`.
use crate::failure::{Failure, Result};
use crate::import::Source;
use std::io::Read as _;
use std::path::Path;

/// A card for post-quantum spaces has some 4,200 characters, and 10,000 are taken at once.
const LEN_MAX: u64 = 64 << 20;

/// The cards in a file, one a line, empty lines aside; none without a file.
///
/// # Errors
/// The file cannot be read, is no text, or is far too long.
pub(super) fn read(file: Option<&Path>) -> Result<Vec<String>> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let source = Source::open(file)?;
    let mut text = String::new();
    let len = source.reader.take(LEN_MAX + 1).read_to_string(&mut text);
    let len = len.map_err(|error| Failure::file("read cards from", file, &error))?;
    if len as u64 > LEN_MAX {
        return Err(Failure::new(
            format!("{} is no file of cards: it has more than 64 MiB", file.display()),
            "give one with a card a line",
        ));
    }
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
