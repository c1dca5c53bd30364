use serde::{Deserialize, Deserializer, Serialize, de};

/// The largest integer that every JSON reader takes exactly.
const MAX: u64 = (1 << 53) - 1;

/// A time in milliseconds since 1970, or a version: at most 2^53 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = u64, minimum = 0, maximum = 9_007_199_254_740_991_u64, examples(1_790_000_000_000_u64))]
pub(crate) struct Millis(pub(crate) u64);

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        if number <= MAX { Ok(Self(number)) } else { Err(de::Error::custom("beyond 9007199254740991")) }
    }
}
