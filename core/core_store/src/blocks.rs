//! Values that are read from a snapshot when they are first asked for (ADR 0025). Their bytes were authenticated together
//! when the store was opened, and stay compressed.
mod plain;

use crate::Error;
use crate::store::{compress, decompress, level_for};
use crate::wire::{Reader, put};
use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

pub(crate) use plain::{Names, Plain};

/// What a value is read with that its bytes do not say, such as how many events there are to name.
pub(crate) trait Stored: Sized {
    type Context: Copy + std::fmt::Debug;

    /// Appends the value.
    fn pack(&self, out: &mut Vec<u8>);

    /// Reads what [`Stored::pack`] wrote.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    fn unpack(bytes: &[u8], context: Self::Context) -> Result<Self, Error>;

    /// What stands for a value that was written wrong: nothing, in the bounds that others rely on.
    fn blank(context: Self::Context) -> Self;
}

/// What was read so far of a store's snapshot after it was opened.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    is_broken: AtomicBool,
    values: AtomicU32,
}

impl Reading {
    /// Whether something was authentic and could not be read: a bug wrote it, and what was shown instead is nothing.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    /// How many values were read.
    #[cfg(test)]
    pub(crate) fn values(&self) -> u32 {
        self.values.load(Ordering::Relaxed)
    }
}

/// Authentic bytes of a snapshot in which values lie one behind the other.
#[derive(Debug)]
pub(crate) struct Source {
    bytes: Vec<u8>,
    reading: Arc<Reading>,
}

impl Source {
    pub(crate) fn new(bytes: Vec<u8>, reading: &Arc<Reading>) -> Arc<Self> {
        Arc::new(Self { bytes, reading: Arc::clone(reading) })
    }
}

/// Where values lie in a source, read off one after the other.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    source: &'a Arc<Source>,
    next: usize,
}

impl<'a> Places<'a> {
    pub(crate) fn new(source: &'a Arc<Source>) -> Self {
        Self { source, next: 0 }
    }

    /// The value whose entry is next in a list that [`Values`] wrote.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(crate) fn next<T: Stored>(
        &mut self,
        reader: &mut Reader<'_>,
        context: T::Context,
    ) -> Result<Lazy<T>, Error> {
        let left = self.source.bytes.len() - self.next;
        let len = usize::try_from(reader.number()?).map_err(|_| Error::Malformed("a block's length"))?;
        let stored = self.next..self.next + reader.count(left)?;
        self.next = stored.end;
        let packed = Packed { source: Arc::clone(self.source), stored, len, context };
        Ok(Lazy { packed: Some(packed), value: OnceCell::new() })
    }

    /// # Errors
    /// [`Error::Malformed`] when something is left that no entry names.
    pub(crate) fn end(&self) -> Result<(), Error> {
        if self.next == self.source.bytes.len() {
            Ok(())
        } else {
            Err(Error::Malformed("blocks without a name"))
        }
    }
}

/// Values on their way into a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Values {
    bytes: Vec<u8>,
}

impl Values {
    /// Appends a value to the values and its entry to `list`: as it was stored, if it is still that.
    pub(crate) fn put<T: Stored>(&mut self, list: &mut Vec<u8>, value: &Lazy<T>) {
        match &value.packed {
            Some(packed) => self.entry(list, packed.len, packed.bytes()),
            None => self.put_new(list, value.get()),
        }
    }

    pub(crate) fn put_new<T: Stored>(&mut self, list: &mut Vec<u8>, value: &T) {
        let mut bytes = Vec::new();
        value.pack(&mut bytes);
        let packed = compress(&bytes, level_for(bytes.len()));
        let shorter = if packed.len() < bytes.len() { &packed } else { &bytes };
        self.entry(list, bytes.len(), shorter);
    }

    fn entry(&mut self, list: &mut Vec<u8>, len: usize, stored: &[u8]) {
        put(list, len as u64);
        put(list, stored.len() as u64);
        self.bytes.extend_from_slice(stored);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A value that is here, or in a snapshot until somebody asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Lazy<T: Stored> {
    /// What the snapshot holds, while the value is still that.
    packed: Option<Packed<T::Context>>,
    value: OnceCell<T>,
}

/// Where in a source a value lies. As long as its bytes are means that they are not compressed.
#[derive(Debug, Clone)]
struct Packed<C> {
    source: Arc<Source>,
    stored: Range<usize>,
    len: usize,
    context: C,
}

impl<C> Packed<C> {
    fn bytes(&self) -> &[u8] {
        &self.source.bytes[self.stored.clone()]
    }

    fn unpack<T: Stored<Context = C>>(&self) -> Result<T, Error>
    where
        C: Copy,
    {
        if self.stored.len() == self.len {
            return T::unpack(self.bytes(), self.context);
        }
        let bytes = decompress(self.bytes(), self.len)?;
        T::unpack(&bytes, self.context)
    }
}

impl<T: Stored> Lazy<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { packed: None, value: value.into() }
    }

    /// The value. One that was stored wrong reads as nothing, and the store writes nothing from then on.
    #[inline]
    pub(crate) fn get(&self) -> &T {
        self.value.get_or_init(|| self.read())
    }

    #[cold]
    fn read(&self) -> T {
        let packed = self.packed.as_ref().expect("a value is here or in a snapshot");
        let reading = &packed.source.reading;
        reading.values.fetch_add(1, Ordering::Relaxed);
        packed.unpack().unwrap_or_else(|_| {
            reading.is_broken.store(true, Ordering::Relaxed);
            T::blank(packed.context)
        })
    }

    /// The value, to be changed: what the snapshot holds is not it any more.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.get();
        self.packed = None;
        self.value.get_mut().expect("it was just read")
    }
}

#[cfg(test)]
impl<T: Stored> Lazy<T> {
    /// Cuts what the snapshot holds short, as a bug might have written it.
    pub(crate) fn spoil(&mut self) {
        self.value = OnceCell::new();
        if let Some(packed) = &mut self.packed {
            packed.stored.end = packed.stored.start + 1;
            packed.len = 1;
        }
    }
}

impl<T: Stored + Default> Default for Lazy<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Stored for Vec<u8> {
        type Context = ();

        fn pack(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(self);
        }

        fn unpack(bytes: &[u8], (): ()) -> Result<Self, Error> {
            if bytes.starts_with(b"bad") { Err(Error::Malformed("bad")) } else { Ok(bytes.to_vec()) }
        }

        fn blank((): ()) -> Self {
            Self::new()
        }
    }

    fn stored(values: &[&[u8]]) -> (Vec<Lazy<Vec<u8>>>, Arc<Reading>) {
        let (mut list, mut written) = (Vec::new(), Values::default());
        values.iter().for_each(|value| written.put_new(&mut list, &value.to_vec()));
        let reading = Arc::default();
        let source = Source::new(written.into_bytes(), &reading);
        let (mut places, mut reader) = (Places::new(&source), Reader::new(&list));
        let read = values.iter().map(|_| places.next(&mut reader, ()).unwrap()).collect();
        places.end().unwrap();
        (read, reading)
    }

    #[test]
    fn what_is_not_asked_for_is_not_read_and_written_as_it_was() {
        let long = [7; 4000];
        let (mut values, reading) = stored(&[b"short", &long, b""]);
        assert_eq!((reading.values(), values[1].get()), (0, &long.to_vec()));
        assert_eq!((reading.values(), values[1].get().len()), (1, 4000));
        values[0].get_mut().push(b'!');
        let (mut list, mut written) = (Vec::new(), Values::default());
        values.iter().for_each(|value| written.put(&mut list, value));
        assert_eq!(reading.values(), 2);
        assert_eq!(&written.into_bytes()[..6], b"short!");
    }

    #[test]
    fn what_was_written_wrong_reads_as_nothing_and_is_told() {
        let (values, reading) = stored(&[b"good", b"bad"]);
        assert!(values[0].get() == b"good" && !reading.is_broken());
        assert!(values[1].get().is_empty() && reading.is_broken());
    }

    #[test]
    fn lists_that_name_more_or_less_than_there_is_are_refused() {
        let reading = Arc::default();
        let source = Source::new(vec![1, 2, 3], &reading);
        let read = |list: &[u8]| {
            let mut places = Places::new(&source);
            let (mut reader, mut read) = (Reader::new(list), 0);
            while !reader.rest().is_empty() {
                read += places.next::<Vec<u8>>(&mut reader, ())?.get().len();
            }
            places.end().map(|()| read)
        };
        assert_eq!(read(&[2, 2, 1, 1]), Ok(3));
        assert!(read(&[2, 2]).is_err() && read(&[2, 2, 2, 2]).is_err() && read(&[2]).is_err());
    }
}
