//! What a node asks of its disk, and the one way to do it.
use super::event::Call;
use crate::{Error, Held, Scrubbed, ShardStore, Sound, Usage};
use terachat_shard::{Shard, ShardHash, StripeId};
use terachat_vault::Entropy;

/// A segment or an object of which at most so much counts is compacted, so many bytes at once.
const LIVE_PERCENT: u8 = 60;
const COMPACT_LEN: u64 = 8 << 20;
/// Bytes that are read before it is said what is kept, at once: whoever puts or gets waits for so many.
const COUNT_LEN: u64 = 1 << 20;

/// A shard's name and whether it is what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counted {
    /// Its stripe.
    pub stripe: StripeId,
    /// Its place there.
    pub index: u8,
    /// The hash that it has, or had.
    pub hash: ShardHash,
    /// Whether it was read since the node started, and was what was written.
    pub sound: bool,
}

/// Work for the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskWork {
    /// Make a shard durable.
    Keep(Vec<u8>),
    /// Make a shard durable, if no other one of its stripe is kept; a rotten one is none.
    KeepAlone(Vec<u8>),
    /// Read a shard.
    Fetch(StripeId, u8),
    /// Give shards up.
    Drop(Vec<(StripeId, u8)>),
    /// Say what is kept of these stripes, first and last with them, or read some of what was not read since the start.
    Count(StripeId, StripeId),
    /// Read some bytes again, in the order in which they lie, to find what has rotted.
    Reread {
        /// Bytes.
        budget: u64,
        /// From the beginning on.
        anew: bool,
    },
    /// Have back the space of shards that were given up.
    Compact,
}

/// What the disk did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskDone {
    /// The shard is durable.
    Kept(StripeId, u8, ShardHash),
    /// The whole shard; `None` if it is not kept.
    Fetched(Option<Vec<u8>>),
    /// These are what there is.
    Counted(Vec<Counted>),
    /// So many bytes were read, and more has to be before it is known what there is.
    Uncounted(u64),
    /// This was read again, and so much is there now.
    Reread(Scrubbed, Usage),
    /// It is done.
    Done(Usage),
    /// It is not. Nothing was acknowledged.
    Failed(Error),
}

/// Does all of it, in its order but for the shards that are to be kept: these come last, and become durable together. Shards that are
/// to be read one after the other are read together.
pub fn perform(
    store: &mut dyn ShardStore,
    work: Vec<(Call, DiskWork)>,
    entropy: &mut dyn Entropy,
) -> Vec<(Call, DiskDone)> {
    let mut done = Vec::with_capacity(work.len());
    let mut keep: Vec<(Call, Vec<u8>)> = Vec::new();
    let mut reads: Vec<(Call, (StripeId, u8))> = Vec::new();
    for (call, work) in work {
        let result = match work {
            DiskWork::Keep(bytes) => {
                keep.push((call, bytes));
                continue;
            }
            DiskWork::KeepAlone(bytes) => match another(store, &keep, &bytes) {
                None => {
                    keep.push((call, bytes));
                    continue;
                }
                Some((stripe, index)) => Err(Error::HasAnother { stripe, index }),
            },
            DiskWork::Fetch(stripe, index) => {
                reads.push((call, (stripe, index)));
                continue;
            }
            DiskWork::Drop(shards) => {
                // Whoever asked before still finds them.
                done.extend(fetch_all(store, &mut reads));
                store.give_up(&shards, entropy).map(|_| DiskDone::Done(store.usage()))
            }
            DiskWork::Count(first, last) => store.verify(first, last, COUNT_LEN).map(|read| {
                let held = store.count(first, last);
                match read > 0 && held.iter().any(|held| held.sound == Sound::Unknown) {
                    true => DiskDone::Uncounted(read),
                    false => DiskDone::Counted(counted(held)),
                }
            }),
            DiskWork::Reread { budget, anew } => {
                if anew {
                    store.rewind();
                }
                store.scrub(budget).map(|step| DiskDone::Reread(step, store.usage()))
            }
            DiskWork::Compact => {
                store.compact(LIVE_PERCENT, COMPACT_LEN, entropy).map(|_| DiskDone::Done(store.usage()))
            }
        };
        done.push((call, result.unwrap_or_else(DiskDone::Failed)));
    }
    done.extend(fetch_all(store, &mut reads));
    done.extend(keep_all(store, &keep, entropy));
    done
}

/// Another shard of the stripe of this one, if one is kept or about to be.
fn another(store: &dyn ShardStore, keep: &[(Call, Vec<u8>)], bytes: &[u8]) -> Option<(StripeId, u8)> {
    let peek =
        |bytes: &[u8]| Some(Shard::peek(bytes.first_chunk()?)).map(|(stripe, index, _)| (stripe, index));
    let (stripe, place) = peek(bytes)?;
    let waiting = keep.iter().filter_map(|(_, bytes)| peek(bytes));
    let waiting = waiting.filter(|(other, _)| *other == stripe).map(|(_, index)| index);
    let index = store.places(stripe).into_iter().chain(waiting).find(|index| *index != place)?;
    Some((stripe, index))
}

/// Reads what waits to be read, and notes what is rotten or could not be read.
fn fetch_all(store: &mut dyn ShardStore, reads: &mut Vec<(Call, (StripeId, u8))>) -> Vec<(Call, DiskDone)> {
    if reads.is_empty() {
        return Vec::new();
    }
    let (calls, names): (Vec<Call>, Vec<(StripeId, u8)>) = std::mem::take(reads).into_iter().unzip();
    let fetched = store.get_all(&names);
    for (read, (stripe, index)) in fetched.iter().zip(&names) {
        match read {
            Err(Error::Rotten { .. }) => store.condemn(*stripe, *index),
            // Whether that is lost is found out with the next count.
            Err(_) => store.doubt(*stripe, *index),
            Ok(_) => {}
        }
    }
    let done = fetched.into_iter().map(|read| read.map_or_else(DiskDone::Failed, DiskDone::Fetched));
    calls.into_iter().zip(done).collect()
}

fn counted(held: Vec<Held>) -> Vec<Counted> {
    let counted = held.into_iter().map(|held| Counted {
        stripe: held.stripe,
        index: held.index,
        hash: held.hash,
        sound: held.sound == Sound::Yes,
    });
    counted.collect()
}

/// Keeps all at once; if that fails, for instance because one is not sound, each by itself.
fn keep_all(
    store: &mut dyn ShardStore,
    keep: &[(Call, Vec<u8>)],
    entropy: &mut dyn Entropy,
) -> Vec<(Call, DiskDone)> {
    let decoded = keep.iter().map(|(_, bytes)| Shard::decode(bytes)).collect::<Result<Vec<_>, _>>();
    if let Ok(shards) = decoded
        && store.put(&shards, entropy).is_ok()
    {
        let done = keep.iter().zip(&shards);
        return done.map(|((call, _), shard)| (*call, kept(shard))).collect();
    }
    let alone = keep.iter().map(|(call, bytes)| {
        let done = Shard::decode(bytes).map_err(Error::Shard).and_then(|shard| {
            store.put(std::slice::from_ref(&shard), entropy)?;
            Ok(kept(&shard))
        });
        (*call, done.unwrap_or_else(DiskDone::Failed))
    });
    alone.collect()
}

fn kept(shard: &Shard<'_>) -> DiskDone {
    DiskDone::Kept(shard.stripe(), shard.index(), shard.hash())
}
