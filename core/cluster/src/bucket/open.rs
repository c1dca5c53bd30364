//! From what is in the bucket to a store.
use super::object::{BEGIN, Entry, Head, ObjectName};
use super::objects::{Objects, Part};
use super::{BEGINNING, BucketOptions, BucketStore};
use crate::{Error, Sound, Usage};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

const OBJECT_LEN: RangeInclusive<u32> = 4 << 10..=64 << 20;
/// Bytes of each object that are read first. The head of an object with some seventy shards fits.
const FIRST: u64 = 4 << 10;
/// Heads that are asked for at once.
const TOGETHER: usize = 1024;
/// What is put after an opening begins at a number that is so round, and far from what an earlier process may still have under way.
const NUMBERS: u64 = 1 << 16;

/// What was found when a store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketOpened {
    /// Objects whose heads were read.
    pub objects: u64,
    /// Bytes of all objects.
    pub bytes: u64,
    /// Objects whose heads are not what was written. What is in them is lost; they are left alone.
    pub unreadable: u64,
    /// Objects that are not as long as their heads say. What is missing is rotten.
    pub short: u64,
    /// Objects of other names, which are nobody's here and are left alone.
    pub strangers: u64,
}

impl BucketStore {
    /// Opens what is there, or begins. Reads the list of all objects, and the head of each.
    ///
    /// # Errors
    /// [`Error::ObjectLen`], [`Error::Version`], [`Error::Objects`].
    pub fn open(objects: Box<dyn Objects>, options: BucketOptions) -> Result<(Self, BucketOpened), Error> {
        if !OBJECT_LEN.contains(&options.object_len) {
            return Err(Error::ObjectLen(options.object_len));
        }
        let mut opened = BucketOpened::default();
        let mut named: Vec<(ObjectName, u64)> = Vec::new();
        for (text, len) in objects.list()? {
            match text.parse() {
                Ok(name) => named.push((name, len)),
                Err(()) => opened.strangers += 1,
            }
        }
        named.sort_unstable();
        let next = named.last().map_or(0, |(name, _)| name.number);
        let mut store = Self {
            objects,
            options,
            kept: BTreeMap::new(),
            shards: BTreeMap::new(),
            next: (next | (NUMBERS - 1)).saturating_add(1),
            unsure: None,
            scrubbed_to: BEGINNING,
            usage: Usage::default(),
        };
        for together in named.chunks(TOGETHER) {
            for ((name, len), head) in together.iter().zip(store.heads(together)?) {
                opened.objects += 1;
                opened.bytes += len;
                let Some(head) = head else {
                    opened.unreadable += 1;
                    store.usage.segments += 1;
                    store.usage.disk_bytes += len;
                    continue;
                };
                opened.short += u64::from(head.object_len() > *len);
                let whole = |entry: &Entry| match u64::from(entry.at) + u64::from(entry.len) <= *len {
                    true => Sound::Unknown,
                    false => Sound::Rotten,
                };
                store.note(*name, head, *len, whole);
            }
        }
        Ok((store, opened))
    }

    /// The heads of these objects; `None` where there is none that is whole.
    fn heads(&self, objects: &[(ObjectName, u64)]) -> Result<Vec<Option<Head>>, Error> {
        let begins: Vec<Part> =
            objects.iter().filter_map(|(name, len)| part(name, (*len).min(FIRST))).collect();
        let mut begins = self.objects.read(&begins).into_iter();
        let (mut heads, mut longer) = (Vec::with_capacity(objects.len()), Vec::new());
        for (place, (name, len)) in objects.iter().enumerate() {
            let read = if *len == 0 { None } else { begins.next() };
            let bytes = match read {
                Some(Err(error)) if !error.is_loss() => return Err(error.into()),
                Some(Ok(bytes)) => bytes,
                _ => Vec::new(),
            };
            let head_len = bytes.first_chunk::<BEGIN>().and_then(Head::len).map(|len| len as u64);
            if let Some(head_len) = head_len.filter(|head_len| *head_len > FIRST && head_len <= len) {
                longer.push((place, part(name, head_len)));
            }
            heads.push(Head::decode(name, &bytes)?);
        }
        let parts: Vec<Part> = longer.iter().filter_map(|(_, part)| part.clone()).collect();
        for ((place, _), read) in longer.iter().zip(self.objects.read(&parts)) {
            match read {
                Ok(bytes) => heads[*place] = Head::decode(&objects[*place].0, &bytes)?,
                Err(error) if error.is_loss() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(heads)
    }
}

/// The first bytes of an object, if that are any.
fn part(name: &ObjectName, len: u64) -> Option<Part> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    (len > 0).then(|| Part { name: name.to_string(), from: 0, len })
}
