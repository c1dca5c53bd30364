use std::fmt;
use terachat_event::{ChannelId, DeviceId, EventHash, EventRef, SpaceId};

/// What is missing before something can be judged: it waits, it is neither accepted nor refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// The space's genesis.
    Space(SpaceId),
    /// The control event that creates the channel.
    Channel(ChannelId),
    /// An event that it builds on.
    Event(EventRef),
    /// The control event that admits the author.
    Author(DeviceId),
    /// A control event under which it was made.
    Control(EventHash),
    /// The key of the epoch it was sealed in.
    Epoch(u64),
    /// Nothing: the device's chain is frozen, because it signed two events with one number.
    Frozen(DeviceId),
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::Space(space) => write!(f, "waits for the genesis of space {}", space.short()),
            Wait::Channel(channel) => {
                write!(f, "waits for the event that creates channel {}", channel.short())
            }
            Wait::Event(event) => write!(f, "waits for event {event}"),
            Wait::Author(device) => write!(f, "waits for the event that admits device {}", device.short()),
            Wait::Control(hash) => write!(f, "waits for control event {}", hash.short()),
            Wait::Frozen(device) => {
                write!(
                    f,
                    "is by device {}, which signed two events with one number; its chain is frozen",
                    device.short()
                )
            }
            Wait::Epoch(epoch) => {
                write!(f, "waits for the key of epoch {epoch}, which this device does not have")
            }
        }
    }
}
