use super::batch::{Batch, BatchAuthor, BatchEvent, BatchStub, ChunkLen, KeyId, Limits};
use super::delta_encoder::{PARENT_IS_PREVIOUS, VERSION, VERSION_LONG};
use crate::Error;
use crate::model::Skeleton;
use crate::wire::{Reader, unzigzag};
use terachat_event::{
    CONTROL_HEADS_MAX, ChannelId, DeviceId, EventHash, LogId, PARENTS_MAX, PAYLOAD_LEN_MAX, SpaceId, Step,
};

/// Most stubs in one batch: they are searched one by one.
const STUBS_MAX: usize = 1024;
/// Least bytes of a skeleton: three hashes and the length of its header.
const SKELETON_LEN_MIN: usize = 97;

/// Reads what [`super::encode_batch`] wrote; never more memory than a small multiple of `bytes` and `limits`.
///
/// # Errors
/// [`Error::Malformed`]; nothing is known to be true of the content beyond its shape.
pub fn decode_batch(bytes: &[u8], limits: Limits) -> Result<Batch, Error> {
    let mut reader = Reader::new(bytes);
    let chunk_len = match reader.array()? {
        [VERSION] => ChunkLen::Short,
        [VERSION_LONG] => ChunkLen::Long,
        _ => return Err(Error::Malformed("another format version")),
    };
    let space = SpaceId(reader.array()?);
    let channel = optional(&mut reader, |reader| reader.array().map(ChannelId))?;
    let key = optional(&mut reader, |reader| {
        Ok(KeyId { commit: EventHash(reader.array()?), epoch: reader.number()? })
    })?;
    if key.is_some() != channel.is_some() {
        return Err(Error::Malformed("channel events are sealed under an epoch, control events are not"));
    }
    // Every author costs at least 34 bytes and every event 5, so counts beyond the bytes at hand are lies.
    let authors = reader.count(limits.events.min(bytes.len() / 34))?;
    let controls = reader.count(limits.events.min(bytes.len()))?;
    let events = reader.count(limits.events.min(bytes.len() / 5))?;
    let authors = read_authors(&mut reader, authors, events)?;
    let controls: Vec<_> = (0..controls).map(|_| read_heads(&mut reader)).collect::<Result<_, _>>()?;
    let stubs = read_stubs(&mut reader, authors.len(), limits)?;
    let skeletons = read_skeletons(&mut reader)?;
    let mut batch = Batch {
        log: LogId { space, channel },
        key,
        authors,
        controls,
        chunk_len,
        events: Vec::with_capacity(events),
        parents: Vec::new(),
        stubs,
        skeletons,
    };
    read_events(&mut reader, &mut batch, events, limits)?;
    read_parents(&mut reader, &mut batch)?;
    reader.end()?;
    Ok(batch)
}

fn optional<T>(
    reader: &mut Reader<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    match reader.array()? {
        [0] => Ok(None),
        [1] => read(reader).map(Some),
        _ => Err(Error::Malformed("a flag is neither 0 nor 1")),
    }
}

fn read_authors(reader: &mut Reader<'_>, count: usize, events: usize) -> Result<Vec<BatchAuthor>, Error> {
    let mut authors = Vec::with_capacity(count);
    for _ in 0..count {
        let device = DeviceId(reader.array()?);
        authors.push(BatchAuthor { device, first_seq: 0, count: 0, signature: [0; 64] });
    }
    for author in &mut authors {
        author.first_seq = reader.number()?;
        if author.first_seq == 0 || author.first_seq > 1 << 48 {
            return Err(Error::Malformed("an author's first number is out of range"));
        }
    }
    let mut total = 0;
    for author in &mut authors {
        author.count = reader.index(events + 1)?;
        total += author.count as usize;
    }
    if total != events {
        return Err(Error::Malformed("the authors' counts do not add up"));
    }
    for author in authors.iter_mut().filter(|author| author.count > 0) {
        author.signature = reader.array()?;
    }
    Ok(authors)
}

fn read_heads(reader: &mut Reader<'_>) -> Result<Vec<EventHash>, Error> {
    let count = reader.count(CONTROL_HEADS_MAX)?;
    (0..count).map(|_| reader.array().map(EventHash)).collect()
}

fn read_stubs(reader: &mut Reader<'_>, authors: usize, limits: Limits) -> Result<Vec<BatchStub>, Error> {
    let count = reader.count(limits.events.min(reader.rest().len() / 35).min(STUBS_MAX))?;
    (0..count)
        .map(|_| {
            let (author, seq) = (reader.index(authors)?, reader.number()?);
            Ok(BatchStub { author, seq, hash: EventHash(reader.array()?), lamport: reader.number()? })
        })
        .collect()
}

fn read_skeletons(reader: &mut Reader<'_>) -> Result<Vec<Skeleton>, Error> {
    let count = reader.count(reader.rest().len() / SKELETON_LEN_MIN)?;
    (0..count)
        .map(|_| {
            let (author, previous) = (DeviceId(reader.array()?), EventHash(reader.array()?));
            let payload_hash = reader.array()?;
            let len = reader.count(reader.rest().len())?;
            Ok(Skeleton {
                author,
                previous,
                step: Step { header: reader.bytes(len)?.to_vec(), payload_hash },
            })
        })
        .collect()
}

fn read_events(
    reader: &mut Reader<'_>,
    batch: &mut Batch,
    count: usize,
    limits: Limits,
) -> Result<(), Error> {
    let mut left: Vec<u32> = batch.authors.iter().map(|author| author.count).collect();
    for _ in 0..count {
        let author = reader.index(batch.authors.len())?;
        let left = &mut left[author as usize];
        *left = left.checked_sub(1).ok_or(Error::Malformed("an author has more events than announced"))?;
        batch.events.push(BatchEvent {
            author,
            control: 0,
            lamport: 0,
            wall_ms: 0,
            parents: 0,
            payload_len: 0,
        });
    }
    // A control log cites no control heads: its one list is implied and empty.
    let lists = if batch.log.channel.is_some() { batch.controls.len() } else { 1 };
    for event in &mut batch.events {
        event.control = reader.index(lists)?;
    }
    let mut total = 0;
    for event in &mut batch.events {
        event.payload_len = reader.index(PAYLOAD_LEN_MAX + 1)?;
        total += event.payload_len as usize;
    }
    if total > limits.payload_len {
        return Err(Error::Malformed("more payload than one batch may hold"));
    }
    if batch.chunk_len != ChunkLen::Short && total <= ChunkLen::Short.bytes() {
        return Err(Error::Malformed("long chunks around little payload"));
    }
    let mut last = 0;
    for event in &mut batch.events {
        event.lamport = unzigzag(last, reader.number()?);
        last = event.lamport;
    }
    last = 0;
    for event in &mut batch.events {
        event.wall_ms = unzigzag(last, reader.number()?);
        last = event.wall_ms;
    }
    Ok(())
}

fn read_parents(reader: &mut Reader<'_>, batch: &mut Batch) -> Result<(), Error> {
    let mut next: Vec<u64> = batch.authors.iter().map(|author| author.first_seq).collect();
    let mut previous = None;
    for event in &mut batch.events {
        match reader.number()? {
            0 => {}
            PARENT_IS_PREVIOUS => {
                batch.parents.push(previous.ok_or(Error::Malformed("the first event has none before it"))?);
                event.parents = 1;
            }
            n if n <= PARENTS_MAX as u64 + 1 => {
                for _ in 1..n {
                    let author = reader.index(batch.authors.len())?;
                    let seq = unzigzag(next[author as usize], reader.number()?);
                    if seq == 0 || seq > 1 << 48 {
                        return Err(Error::Malformed("a parent's number is out of range"));
                    }
                    batch.parents.push((author, seq));
                    event.parents += 1;
                }
                if n == 2 && batch.parents.last().copied() == previous {
                    return Err(Error::Malformed("a parent in the long form"));
                }
            }
            _ => return Err(Error::Malformed("too many parents")),
        }
        let author = event.author as usize;
        previous = Some((event.author, next[author]));
        next[author] += 1;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sync::encode_batch;
    use proptest::prelude::*;

    prop_compose! {
        /// Batches that are well formed but signed by nobody.
        pub(crate) fn shaped()(sealed: bool, picks_long: bool, factor in prop_oneof![Just(1u32), Just(20)], firsts in prop::collection::vec(1..1000u64, 1..6), picks in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>(), any::<u32>(), 0..300u32, prop::collection::vec((any::<prop::sample::Index>(), 1..2000u64), 0..3), any::<bool>()), 0..40), heads in prop::collection::vec(any::<[u8; 32]>(), 1..3)) -> Batch {
            let mut authors: Vec<BatchAuthor> = firsts.iter().enumerate().map(|(n, first)| BatchAuthor { device: DeviceId([n as u8; 32]), first_seq: *first, count: 0, signature: [0; 64] }).collect();
            let (mut events, mut parents, mut previous) = (Vec::new(), Vec::new(), None);
            for (author, lamport, wall, payload_len, list, follow) in picks {
                let author = author.index(authors.len());
                let list: Vec<(u32, u64)> = match (follow, previous) {
                    (true, Some(previous)) => vec![previous],
                    _ => list.iter().map(|(at, seq)| (at.index(authors.len()) as u32, *seq)).collect(),
                };
                previous = Some((author as u32, authors[author].first_seq + u64::from(authors[author].count)));
                authors[author].count += 1;
                authors[author].signature = [author as u8 + 1; 64];
                events.push(BatchEvent { author: author as u32, control: 0, lamport: lamport.into(), wall_ms: wall.into(), parents: list.len() as u32, payload_len: payload_len * factor });
                parents.extend(list);
            }
            let log = LogId { space: SpaceId([9; 32]), channel: sealed.then_some(ChannelId([8; 32])) };
            let key = sealed.then_some(KeyId { commit: EventHash([7; 32]), epoch: 3 });
            let stubs = parents.iter().take(2).map(|(author, seq)| BatchStub { author: *author, seq: *seq, hash: EventHash([5; 32]), lamport: 9 }).collect::<Vec<_>>();
            let controls = if sealed { vec![heads.into_iter().map(EventHash).collect()] } else { vec![] };
            let skeletons = stubs.iter().map(|stub: &BatchStub| Skeleton { author: DeviceId([4; 32]), previous: stub.hash, step: Step { header: vec![3; stub.seq as usize % 90], payload_hash: [6; 32] } }).collect();
            let payload_len = events.iter().map(|event: &BatchEvent| event.payload_len as usize).sum();
            let chunk_len = if picks_long { ChunkLen::for_history(payload_len) } else { ChunkLen::Short };
            Batch { log, key, authors, controls, chunk_len, events, parents, stubs, skeletons }
        }
    }

    proptest! {
        #[test]
        fn batches_read_what_they_wrote(batch in shaped(), cut: prop::sample::Index) {
            let bytes = encode_batch(&batch);
            prop_assert_eq!(decode_batch(&bytes, Limits::PEER).unwrap(), batch);
            prop_assert!(decode_batch(&bytes[..cut.index(bytes.len())], Limits::PEER).is_err());
        }

        /// Damage is refused, or reads as a batch that writes back to the same bytes: one batch, one encoding.
        #[test]
        fn damage_never_panics(batch in shaped(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
            let mut bytes = encode_batch(&batch);
            for (at, value) in flips { let at = at.index(bytes.len()); bytes[at] = value; }
            if let Ok(read) = decode_batch(&bytes, Limits::PEER) {
                prop_assert_eq!(encode_batch(&read), bytes);
            }
        }

        #[test]
        fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_batch(&bytes, Limits::PEER);
            for version in [VERSION, VERSION_LONG] {
                if let Some(first) = bytes.first_mut() { *first = version; }
                let _ = decode_batch(&bytes, Limits::PEER);
            }
        }

        /// Where both forms would cut alike there is one; of much payload each is read as what it is.
        #[test]
        fn chunks_are_long_only_where_that_says_something(batch in shaped()) {
            let mut bytes = encode_batch(&Batch { chunk_len: ChunkLen::Short, ..batch.clone() });
            prop_assert_eq!(decode_batch(&bytes, Limits::PEER).unwrap().chunk_len, ChunkLen::Short);
            bytes[0] = VERSION_LONG;
            let long = decode_batch(&bytes, Limits::PEER);
            prop_assert_eq!(long.is_ok(), batch.payload_len() > ChunkLen::Short.bytes());
            if let Ok(long) = long {
                let len = |ends: &[usize]| long.events[..ends[0]].iter().map(|e| e.payload_len as usize).sum::<usize>();
                let short = Batch { chunk_len: ChunkLen::Short, ..long.clone() };
                prop_assert!(len(&long.chunk_ends()) > len(&short.chunk_ends()));
            }
        }
    }
}
