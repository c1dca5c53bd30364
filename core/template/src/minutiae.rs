use crate::{Error, Quality};
use std::fmt;
use zeroize::ZeroizeOnDrop;

/// Most bytes of one record: ten fingers with all their minutiae are a quarter of it.
pub const MINUTIAE_LEN_MAX: usize = 64 << 10;

const HEADER_LEN: usize = 24;
const VIEW_HEADER_LEN: usize = 4;
const MINUTIA_LEN: usize = 6;
/// The identifier and the version, with their zeros.
const MAGIC: &[u8; 8] = b"FMR\0 20\0";

/// A finger minutiae record of ISO/IEC 19794-2:2005 (general record format, clause 7), checked and kept as it came.
///
/// At most [`MINUTIAE_LEN_MAX`] bytes, at least one view with at least one minutia. Wiped on drop, without `Clone`;
/// `Debug` shows the length only.
#[derive(PartialEq, ZeroizeOnDrop)]
pub struct Minutiae(Vec<u8>);

impl Minutiae {
    /// Takes a record over without copying it. What is refused is wiped too.
    ///
    /// # Errors
    /// [`Error::Minutiae`], naming the rule that is broken.
    pub fn take(record: Vec<u8>) -> Result<Self, Error> {
        let minutiae = Self(record);
        check(&minutiae.0)?;
        Ok(minutiae)
    }

    /// The record's bytes. Never log, format or store what this gives unsealed.
    pub fn record(&self) -> &[u8] {
        &self.0
    }

    /// Width and height of the image, in pixels.
    pub fn image_size(&self) -> [u16; 2] {
        [number(&self.0, 14), number(&self.0, 16)]
    }

    /// Pixels per centimetre, across and down.
    pub fn resolution(&self) -> [u16; 2] {
        [number(&self.0, 18), number(&self.0, 20)]
    }

    /// The views: one impression of one finger each.
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        let mut rest = &self.0[HEADER_LEN..];
        std::iter::from_fn(move || {
            let (view, after) = View::split(rest).ok()?;
            rest = after;
            Some(view)
        })
    }
}

impl fmt::Debug for Minutiae {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Minutiae({} bytes)", self.0.len())
    }
}

fn check(record: &[u8]) -> Result<(), Error> {
    let refuse = |why| Err(Error::Minutiae(why));
    if record.len() > MINUTIAE_LEN_MAX {
        return refuse("longer than 64 KiB");
    }
    if record.len() < HEADER_LEN {
        return refuse("shorter than its header");
    }
    if !record.starts_with(MAGIC) {
        return refuse("it does not begin with FMR and version 20");
    }
    let declared = u32::from_be_bytes(record[8..12].try_into().expect("four bytes"));
    if usize::try_from(declared) != Ok(record.len()) {
        return refuse("its length is not the one that it declares");
    }
    let (count, reserved) = (record[22], record[23]);
    if count == 0 {
        return refuse("it has no views");
    }
    if reserved != 0 {
        return refuse("a reserved byte is not zero");
    }
    let image = [number(record, 14), number(record, 16)];
    if number(record, 18) == 0 || number(record, 20) == 0 {
        return refuse("a resolution of zero");
    }
    let (mut rest, mut minutiae) = (&record[HEADER_LEN..], 0);
    for _ in 0..count {
        let (view, after) = View::split(rest)?;
        view.check(image)?;
        minutiae += view.minutiae.len();
        rest = after;
    }
    if !rest.is_empty() {
        return refuse("bytes follow the last view");
    }
    if minutiae == 0 {
        return refuse("no view has a minutia");
    }
    Ok(())
}

/// One impression of one finger in a record.
#[derive(Clone, Copy)]
pub struct View<'a> {
    header: &'a [u8; VIEW_HEADER_LEN],
    minutiae: &'a [[u8; MINUTIA_LEN]],
}

impl<'a> View<'a> {
    /// One view from the front, its extended data skipped, and the bytes behind it.
    fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Error> {
        let short = Error::Minutiae("a view is cut short");
        let (header, rest) = bytes.split_first_chunk::<VIEW_HEADER_LEN>().ok_or(short)?;
        let (minutiae, rest) = rest.split_at_checked(usize::from(header[3]) * MINUTIA_LEN).ok_or(short)?;
        let (extended_len, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
        let (_, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*extended_len))).ok_or(short)?;
        Ok((Self { header, minutiae: minutiae.as_chunks().0 }, rest))
    }

    fn check(&self, [width, height]: [u16; 2]) -> Result<(), Error> {
        let refuse = |why| Err(Error::Minutiae(why));
        let [finger, impression, quality, _] = *self.header;
        if finger > 10 {
            return refuse("an unknown finger position");
        }
        if !matches!(impression & 0x0f, 0..=3 | 8) {
            return refuse("an unknown impression type");
        }
        if quality > 100 {
            return refuse("a finger quality beyond 100");
        }
        for minutia in self.minutiae() {
            if minutia.kind > 2 {
                return refuse("an unknown type of minutia");
            }
            if minutia.x >= width || minutia.y >= height {
                return refuse("a minutia beyond the image");
            }
            if minutia.quality > 100 {
                return refuse("a minutia's quality beyond 100");
            }
        }
        Ok(())
    }

    /// The finger: 0 unknown, 1 to 5 right thumb to right little finger, 6 to 10 left thumb to left little finger.
    pub fn finger(&self) -> u8 {
        self.header[0]
    }

    /// The number of this view among those of the finger.
    pub fn number(&self) -> u8 {
        self.header[1] >> 4
    }

    /// How it was taken: 0 live plain, 1 live rolled, 2 from paper plain, 3 from paper rolled, 8 swiped.
    pub fn impression(&self) -> u8 {
        self.header[1] & 0x0f
    }

    /// How good the impression is.
    pub fn quality(&self) -> Quality {
        Quality::try_from(self.header[2]).expect("a record with a greater one was refused")
    }

    /// Its minutiae.
    pub fn minutiae(&self) -> impl ExactSizeIterator<Item = Minutia> + use<'a> {
        self.minutiae.iter().map(|bytes| Minutia {
            kind: bytes[0] >> 6,
            x: number(bytes, 0) & 0x3fff,
            y: number(bytes, 2) & 0x3fff,
            angle: bytes[4],
            quality: bytes[5],
        })
    }
}

/// A place where a ridge ends or parts. It has no `Debug`: it is biometric data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Minutia {
    /// 0 other, 1 the end of a ridge, 2 a bifurcation.
    pub kind: u8,
    /// Pixels from the left edge.
    pub x: u16,
    /// Pixels from the upper edge.
    pub y: u16,
    /// The ridge's direction in units of 360/256 degrees, counterclockwise from the right.
    pub angle: u8,
    /// 1 (worst) to 100 (best), 0 for not reported.
    pub quality: u8,
}

/// Two bytes, big-endian, as all numbers of the record.
fn number(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
pub(crate) mod tests;
