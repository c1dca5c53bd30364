//! What a node asks etcd before it trusts what it has applied.
use super::client::Failed;
use super::{EtcdLedger, Seen, follow, keys, snapshot};
use crate::{Head, ReadError, Remembered};
use tokio::time::{sleep, timeout};

impl EtcdLedger {
    /// Whether there is a ledger in etcd. Waits until etcd has answered, without limit.
    ///
    /// # Errors
    /// [`ReadError::Stopped`].
    pub async fn is_founded(&self) -> Result<bool, ReadError> {
        let seen = async {
            let mut seen = self.shared.seen.subscribe();
            let seen = seen.wait_for(|seen| *seen != Seen::Unread).await;
            seen.map(|seen| *seen != Seen::Nothing).map_err(|_| ReadError::Stopped)
        };
        let mut status = self.shared.status.subscribe();
        tokio::select! {
            founded = seen => founded,
            _ = status.wait_for(|now| now.stopped.is_some()) => Err(ReadError::Stopped),
        }
    }

    pub(super) async fn look_for(&self, head: Head) -> Result<Remembered, ReadError> {
        if !self.is_founded().await? {
            return Ok(if head == Head::START { Remembered::Yes } else { Remembered::Less });
        }
        loop {
            match self.has(&head).await {
                Ok(remembered) => return Ok(remembered),
                Err(_) if self.shared.is_stopped() => return Err(ReadError::Stopped),
                Err(_) => sleep(follow::PAUSE).await,
            }
        }
    }

    /// By the entry that stands there, or by the snapshot that has it.
    async fn has(&self, head: &Head) -> Result<Remembered, Failed> {
        let shared = &self.shared;
        let judge = |own: [u8; 32]| if own == head.hash { Remembered::Yes } else { Remembered::Other };
        if head.index == 0 {
            return Ok(judge(Head::START.hash));
        }
        let found = shared.reader.range(&shared.keys.entry(head.index), &[], 1).await?;
        if let Some(entry) = found.first() {
            return Ok(keys::parse_entry(&entry.value).map_or(Remembered::Other, |(hash, _)| judge(hash)));
        }
        let snapshot = snapshot::record(shared).await?.map(|(record, _)| record.head());
        Ok(match snapshot {
            Some(own) if own.index == head.index => judge(own.hash),
            Some(own) if own.index > head.index => Remembered::Further,
            _ => Remembered::Less,
        })
    }

    pub(super) async fn reach_committed(&self) -> Result<(), ReadError> {
        let shared = &self.shared;
        let reached = timeout(shared.settings.call_limit, async {
            let before = shared.head();
            let tail = shared.keys.tail();
            let pairs = loop {
                match shared.reader.range(&tail, &[], 1).await {
                    Ok(pairs) => break pairs,
                    Err(_) => sleep(follow::PAUSE).await,
                }
            };
            let tail =
                pairs.first().and_then(|pair| keys::parse_head(&pair.value)).ok_or(ReadError::NoMajority)?;
            if tail.index < before.index {
                return Err(ReadError::NoMajority);
            }
            let mut head = shared.head.subscribe();
            let head =
                *head.wait_for(|head| head.index >= tail.index).await.map_err(|_| ReadError::Stopped)?;
            if head.index == tail.index && head != tail { Err(ReadError::NoMajority) } else { Ok(()) }
        });
        let reached = reached.await.unwrap_or(Err(ReadError::NoMajority));
        if shared.is_stopped() { Err(ReadError::Stopped) } else { reached }
    }
}
