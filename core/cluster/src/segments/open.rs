//! From what is on the disk to a store.
use super::frame::{FrameKey, Kind, Salt, TRAILER_LEN};
use super::manifest::{Manifest, file, number};
use super::scan::{frame, scan};
use super::segment::{Entry, Segment};
use super::{Counted, Options, SegmentStore, index};
use crate::{Error, Sound};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use terachat_storage::Storage;

const SEGMENT_LEN: RangeInclusive<u32> = 4 << 10..=1 << 30;

/// What was found when a store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Opened {
    /// Bytes of segments that were read frame by frame: the open one's, and those whose index is rotten.
    pub scanned: u64,
    /// Bytes among them that are no frame. What stood there is lost.
    pub unreadable: u64,
    /// Bytes behind the last whole frame, which were cut off. Nothing of it was acknowledged.
    pub cut: u64,
    /// Closed segments whose index is rotten.
    pub without_index: u64,
    /// Segments whose files are gone.
    pub missing: u64,
    /// The manifest was lost and was made anew; shards that had been given up may be back.
    pub rebuilt: bool,
}

impl SegmentStore {
    /// Opens what is there, or begins. Removes files of segments that the manifest does not name, and cuts off what a power cut left
    /// of writes that were never acknowledged.
    ///
    /// # Errors
    /// [`Error::SegmentLen`], [`Error::Version`], [`Error::Storage`].
    pub fn open(mut storage: Box<dyn Storage>, options: Options) -> Result<(Self, Opened), Error> {
        if !SEGMENT_LEN.contains(&options.segment_len) {
            return Err(Error::SegmentLen(options.segment_len));
        }
        let mut opened = Opened::default();
        let files = storage.list()?;
        let mut manifest = match Manifest::load(storage.as_ref())? {
            Some(manifest) => manifest,
            None => {
                let manifest = Manifest::rebuild(storage.as_ref(), &files)?;
                opened.rebuilt = manifest.next > 0 || files.iter().any(|file| file == super::manifest::FILE);
                if opened.rebuilt {
                    manifest.save(storage.as_mut())?;
                }
                manifest
            }
        };
        for stray in files.iter().filter_map(|file| number(file)) {
            // One whose beginning is rotten is not in a manifest that was made anew; somebody may still want it.
            if !manifest.segments.contains_key(&stray) && !opened.rebuilt {
                storage.remove(&file(stray))?;
            }
            // Whether its removal lasts is not known, so its number is not used.
            manifest.next = manifest.next.max(stray.saturating_add(1));
        }
        let named = manifest.segments.clone();
        let last = named.keys().next_back().copied();
        let (segments, shards) = (BTreeMap::new(), BTreeMap::new());
        let mut store = Self {
            storage,
            options,
            manifest,
            segments,
            open: None,
            unsure: false,
            shards,
            counted: Counted::default(),
            scrubbed_to: (0, 0),
        };
        for (number, salt) in named {
            store.load(number, &salt, last == Some(number), &mut opened)?;
        }
        Ok((store, opened))
    }

    fn load(&mut self, number: u32, salt: &Salt, last: bool, opened: &mut Opened) -> Result<(), Error> {
        let file = file(number);
        let Some(len) = self.storage.size(&file)? else {
            opened.missing += 1;
            self.manifest.segments.remove(&number);
            return Ok(());
        };
        let mut segment = Segment::new(number, salt);
        if let Some(entries) = indexed(self.storage.as_ref(), &file, len, &segment.key)? {
            segment.len = len;
            self.segments.insert(number, segment);
            entries.into_iter().for_each(|entry| self.note(number, entry, Sound::Unknown));
            return Ok(());
        }
        let mut found = scan(self.storage.as_ref(), &file, len, &segment.key)?;
        opened.scanned += len;
        opened.unreadable += found.unreadable;
        segment.len = if last { found.end } else { len };
        opened.without_index += u64::from(!last);
        if last && len < found.end {
            // Even its beginning is not whole; nothing in it was acknowledged.
            self.manifest.segments.remove(&number);
            return Ok(self.storage.remove(&file)?);
        }
        if last {
            found.entries.truncate(found.whole);
        }
        if last && len > found.end {
            opened.cut += len - found.end;
            self.storage.truncate(&file, found.end)?;
            self.storage.sync(&file)?;
        }
        self.segments.insert(number, segment);
        self.open = last.then_some(number);
        for (entry, sound) in found.entries {
            self.note(number, entry, if sound { Sound::Yes } else { Sound::Rotten });
        }
        Ok(())
    }
}

/// What a closed segment's index says; `None` if it has none that is whole.
fn indexed(storage: &dyn Storage, file: &str, len: u64, key: &FrameKey) -> Result<Option<Vec<Entry>>, Error> {
    let Some(at) = len.checked_sub(TRAILER_LEN as u64) else { return Ok(None) };
    let trailer = storage.read(file, at, TRAILER_LEN)?;
    let Some(position) = key.index_at(&trailer, len) else { return Ok(None) };
    let found = frame(storage, file, position, len, key)?;
    Ok(found.filter(|(head, _)| head.kind == Kind::Index).and_then(|(_, body)| index::read(&body)))
}
