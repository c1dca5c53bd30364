use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The first eight hexadecimal digits: for people and logs, never for lookups that matter.
            pub fn short(&self) -> String {
                self.0[..4].iter().map(|byte| format!("{byte:02x}")).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::Error;

            /// Reads 64 hexadecimal digits.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let digits = text.as_bytes();
                if digits.len() != 64 {
                    return Err(crate::Error::Id);
                }
                let mut bytes = [0; 32];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    let digit = |c: u8| (c as char).to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or(crate::Error::Id);
                    *byte = digit(pair[0])? << 4 | digit(pair[1])?;
                }
                Ok(Self(bytes))
            }
        }
    };
}

id!(
    /// A device: its Ed25519 public key (RFC 8032), which signs its events and authenticates its connections.
    DeviceId
);
id!(
    /// A person: the Ed25519 public key of the user's identity, which vouches for the user's devices.
    UserId
);
id!(
    /// A space: the hash of its genesis event.
    SpaceId
);
id!(
    /// A channel: derived from the control event that created it.
    ChannelId
);
id!(
    /// The chain hash h_n of an event; binds the whole chain before it.
    EventHash
);

/// One DAG of events: a space's control log (`channel` is `None`) or one channel's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogId {
    /// The space.
    pub space: SpaceId,
    /// The channel, or `None` for the space's control log.
    pub channel: Option<ChannelId>,
}

impl LogId {
    /// The control log of `space`.
    pub fn control(space: SpaceId) -> Self {
        Self { space, channel: None }
    }

    /// The log of `channel` in `space`.
    pub fn channel(space: SpaceId, channel: ChannelId) -> Self {
        Self { space, channel: Some(channel) }
    }

    /// The 64 bytes that stand for the log under hashes and signatures; the control log has zeros for a channel.
    pub(crate) fn bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.space.0);
        bytes[32..].copy_from_slice(&self.channel.map_or([0; 32], |channel| channel.0));
        bytes
    }
}

/// One event inside a log: the `seq`-th of its author's chain there.
///
/// Unique among the events that count: where an author signed two events with one `seq`, neither counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventRef {
    /// The device that signed it.
    pub author: DeviceId,
    /// Its number in that device's chain, from 1.
    pub seq: u64,
}

impl fmt::Display for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.author.short(), self.seq)
    }
}

impl fmt::Debug for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str) {
        assert_eq!(text.parse::<DeviceId>(), Err(crate::Error::Id), "{text}");
    }

    #[test]
    fn ids_read_what_they_print_and_nothing_else() {
        let id = DeviceId(std::array::from_fn(|i| i as u8 * 7));
        assert_eq!(id.to_string().parse(), Ok(id));
        refused("");
        refused(&id.to_string()[1..]);
        refused(&format!("{id}0"));
        refused(&id.to_string().replace('0', "g"));
        refused(&"é".repeat(32));
    }
}
