//! Which of two devices' connections is the one to use.
//!
//! Both sides open with a [`Greeting`]; the device with the lower key answers the other's with a [`Verdict`]. Before
//! the verdict nobody sends a frame, so a refused connection loses none, and after it there is no further round trip.
//!
//! The lower device alone decides, so there is no tie to break when both dial at once: the first greeting it reads is
//! accepted, the second is a duplicate. What it has to tell apart is a duplicate from a peer that comes back after
//! losing its end of the connection (a restart, a new network) while this end still looks alive. The greeting says it:
//! a device draws a new generation whenever a connection to the peer ended on its side, so a greeting of the same
//! generation is a duplicate and one of a later generation, or of another run of the program, replaces the old one.
use std::io;

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What a device says first: 16 bytes, both numbers big endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// Which run of the program this is.
    pub(crate) instance: u64,
    /// Grows whenever a connection to this peer ends.
    pub(crate) generation: u64,
}

/// What the device with the lower key answers: one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Frames may follow at once. A connection accepted earlier has ended.
    Accept,
    /// There is a connection already; this one is closed.
    Duplicate,
}

impl Greeting {
    /// Whether the sender of this greeting still had the connection it greeted with `old`.
    pub(crate) fn is_duplicate_of(&self, old: &Self) -> bool {
        self.instance == old.instance && self.generation <= old.generation
    }

    pub(crate) async fn write(&self, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.instance.to_be_bytes());
        bytes[8..].copy_from_slice(&self.generation.to_be_bytes());
        out.write_all(&bytes).await?;
        out.flush().await
    }

    pub(crate) async fn read(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut instance = [0; 8];
        let mut generation = [0; 8];
        input.read_exact(&mut instance).await?;
        input.read_exact(&mut generation).await?;
        Ok(Self { instance: u64::from_be_bytes(instance), generation: u64::from_be_bytes(generation) })
    }
}

impl Verdict {
    pub(crate) async fn write(self, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let byte = match self {
            Self::Accept => 1,
            Self::Duplicate => 2,
        };
        out.write_all(&[byte]).await?;
        out.flush().await
    }

    pub(crate) async fn read(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut byte = [0];
        input.read_exact(&mut byte).await?;
        match byte[0] {
            1 => Ok(Self::Accept),
            2 => Ok(Self::Duplicate),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn greetings_and_verdicts_survive_the_wire() {
        let greeting = Greeting { instance: 0x0102_0304_0506_0708, generation: 9 };
        let mut wire = Vec::new();
        block_on(greeting.write(&mut wire)).unwrap();
        assert_eq!(wire, [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(block_on(Greeting::read(&mut wire.as_slice())).unwrap(), greeting);
        assert!(block_on(Greeting::read(&mut &wire[1..])).is_err());

        for (byte, verdict) in
            [(1, Some(Verdict::Accept)), (2, Some(Verdict::Duplicate)), (0, None), (3, None)]
        {
            assert_eq!(block_on(Verdict::read(&mut [byte].as_slice())).ok(), verdict);
        }
    }

    #[test]
    fn only_a_peer_that_lost_the_old_connection_replaces_it() {
        let old = Greeting { instance: 5, generation: 3 };
        assert!(old.is_duplicate_of(&old));
        assert!(Greeting { generation: 2, ..old }.is_duplicate_of(&old), "a late greeting is no new one");
        assert!(!Greeting { generation: 4, ..old }.is_duplicate_of(&old));
        assert!(!Greeting { instance: 6, generation: 1 }.is_duplicate_of(&old), "the peer was restarted");
    }
}
