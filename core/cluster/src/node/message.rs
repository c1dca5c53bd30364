use super::disk::Counted;
use super::event::Call;
use crate::{Error, Receipt};
use serde::{Deserialize, Serialize};
use terachat_shard::{NodeId, StripeId};

/// Stripes that are counted in one step.
pub(super) const PAGE_LEN: usize = 256;
const VERSION: u8 = 1;
/// A page's shards, if each node had all of them.
const COUNTED_MAX: usize = PAGE_LEN * 255;

/// Why a node cannot give a shard, or keep one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Lack {
    /// It has none.
    #[error("it is not kept there")]
    Missing,
    /// Its own is not what was written.
    #[error("it is rotten there")]
    Rotten,
    /// Its disk does not do it.
    #[error("the disk there is full or fails")]
    Disk,
    /// It does not answer.
    #[error("the node does not answer")]
    Silent,
    /// What it gave is not the shard.
    #[error("the node gave something else")]
    Forged,
    /// The stripe cannot be read.
    #[error("too few of the stripe's shards can be read")]
    Unreadable,
}

/// What members send each other: `docs/format/cluster-message.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// That the sender is there. The leader says how whole everything is, when it last counted: shards in place, and shards.
    Ping(Option<(u64, u64)>),
    /// Keep this shard.
    Keep(Call, #[serde(with = "serde_bytes")] Vec<u8>),
    /// It is kept, or why not.
    Kept(Call, Result<Receipt, Lack>),
    /// Give a shard.
    Fetch(Call, StripeId, u8),
    /// The shard, or why not.
    Fetched(Call, #[serde(with = "bytes_or_lack")] Result<Vec<u8>, Lack>),
    /// Say what is kept of these stripes, first and last with them.
    Count(Call, StripeId, StripeId),
    /// What is kept.
    Counted(Call, Vec<Counted>),
    /// Have this shard of the stripe: copied from the node that has it, or made anew. Of a node that has it, its word for that.
    Mend(Call, StripeId, u8, Option<NodeId>),
    /// It is there, or why not.
    Mended(Call, Result<Receipt, Lack>),
    /// A shard that is not needed there.
    Drop(StripeId, u8),
    /// How late it is by the sender's clock, in milliseconds since 1970.
    Clock(u64),
    /// What is asked for with this call is being counted, which takes its time: shards have to be read for it.
    Counting(Call),
}

/// The same bytes as of a derived `Result`, read and written at once instead of byte by byte.
mod bytes_or_lack {
    use super::Lack;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_bytes::{ByteBuf, Bytes};

    pub(super) fn serialize<S: Serializer>(
        result: &Result<Vec<u8>, Lack>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        result.as_ref().map(|bytes| Bytes::new(bytes)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Result<Vec<u8>, Lack>, D::Error> {
        let result: Result<ByteBuf, Lack> = Result::deserialize(deserializer)?;
        Ok(result.map(ByteBuf::into_vec))
    }
}

impl Message {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![VERSION]).expect("a value in memory can be written")
    }

    /// Reads a whole message. A shard in it is not looked at.
    ///
    /// # Errors
    /// [`Error::Message`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let Some((&VERSION, rest)) = bytes.split_first() else { return Err(Error::Message) };
        let (message, rest) = postcard::take_from_bytes::<Self>(rest).map_err(|_| Error::Message)?;
        let fits = match &message {
            Self::Counted(_, counted) => counted.len() <= COUNTED_MAX,
            _ => true,
        };
        if rest.is_empty() && fits { Ok(message) } else { Err(Error::Message) }
    }
}
