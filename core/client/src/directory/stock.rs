//! The private parts of what this device offers on boards, and what is remembered of them.
use crate::board::{BUCKET_MS, bucket};
use crate::membership::EPOCHS_KEPT;
use crate::{Client, Error};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use terachat_core_store::model::{ControlOp, Verdict};
use terachat_core_store::store::Write;
use terachat_core_store::sync::board::RECORD_LIFETIME_MS_MAX;
use terachat_event::{EventHash, SpaceId};
use terachat_group::{CipherSuite, Recipient};
use terachat_vault::{Secret, SecretBytes};

/// Records of private parts, by the end of their time, the board and what they are for.
pub(crate) const STOCK: &[u8] = b"supply/";
/// Records of those that somebody used, by hash: when that was heard, and how many claims of them were read.
const USED: &[u8] = b"supply-used/";
/// Records of those by which this device joined, by space and hash: the commit.
const JOINED: &[u8] = b"supply-joined/";
/// Records of those that were destroyed, by hash: when.
const GONE: &[u8] = b"supply-gone/";
/// Records of the seeds of mailbox keys, by the end of their time and the board.
const MAILBOXES: &[u8] = b"supply-mailbox/";
/// Records of boards on which this device offers key packages: whether for post-quantum spaces, too.
const BOARDS: &[u8] = b"supply-on/";
/// Records of what stands on a board in a bucket.
const STANDING: &[u8] = b"supply-stands/";

/// Key packages of a suite that stand on a board at most: as many as this device keeps private parts of cards. Between two syncs a
/// person is hardly invited to more spaces, and there is the one of last resort.
pub(crate) const SINGLE_USE: usize = 16;
/// When so few are left there are new ones: every replenishment is a record that readers read, so it should bring several.
pub(crate) const LOW: usize = 8;
/// How long after its first use, or after its time, a private part is kept for whoever has yet to accept the invitation: 14 days.
pub(crate) const GRACE_MS: u64 = 14 * 24 * 3600 * 1000;

/// By what a key package is known here and to whoever leaves something for its owner.
pub(crate) fn hash_of(key_package: &[u8]) -> [u8; 32] {
    blake3::derive_key("terachat 2026-11 key package", key_package)
}

/// When what is offered in this bucket is not to be used any more: when a board may drop it.
pub(super) fn end_of(bucket: u64) -> u64 {
    bucket.saturating_add(2).saturating_mul(BUCKET_MS)
}

/// One private part, by the name of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) expires_ms: u64,
    pub(crate) board: [u8; 16],
    pub(crate) suite: CipherSuite,
    pub(crate) last_resort: bool,
    pub(crate) hash: [u8; 32],
}

impl Part {
    fn name(&self) -> Vec<u8> {
        let kind = u8::from(self.last_resort) | (u8::from(self.suite == CipherSuite::XWing) << 1);
        [STOCK, &self.expires_ms.to_be_bytes(), &self.board, &[kind], &self.hash].concat()
    }

    fn of_name(name: &[u8]) -> Option<Self> {
        let (expires, rest) = name.strip_prefix(STOCK)?.split_first_chunk()?;
        let (board, rest) = rest.split_first_chunk()?;
        let (kind, hash) = rest.split_first()?;
        Some(Self {
            expires_ms: u64::from_be_bytes(*expires),
            board: *board,
            suite: if kind & 2 == 0 { CipherSuite::X25519 } else { CipherSuite::XWing },
            last_resort: kind & 1 == 1,
            hash: hash.try_into().ok()?,
        })
    }

    /// The record of both halves: the public one is needed until it stands on the board.
    pub(super) fn record(&self, public: &[u8], private: &SecretBytes) -> Write {
        let len = u16::try_from(public.len()).expect("a key package is far shorter").to_le_bytes();
        let private = private.expose_secret();
        let value = SecretBytes::generate(2 + public.len() + private.len(), |out| {
            let (head, rest) = out.split_at_mut(2);
            let (at, rest) = rest.split_at_mut(public.len());
            head.copy_from_slice(&len);
            at.copy_from_slice(public);
            rest.copy_from_slice(private);
        });
        (self.name(), Some(value))
    }
}

/// What is known of claims to a key package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) heard_ms: u64,
    /// The first claim that was not read.
    pub(super) next: u64,
}

/// What of a bucket's supplies is known to stand on a board. Written after it does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// The first record of the user's stream that was not read.
    pub(super) next: u64,
    pub(super) key_packages: BTreeSet<[u8; 32]>,
    /// Revocations that are told there.
    pub(super) revocations: BTreeSet<[u8; 32]>,
}

impl Client {
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        self.store.records(STOCK).filter_map(|(name, _)| Part::of_name(name))
    }

    pub(super) fn public_half(&self, part: &Part) -> Option<Vec<u8>> {
        halves(self.store.record(&part.name())?).map(|(public, _)| public.to_vec())
    }

    /// All private parts, for whoever tries which one opens a welcome.
    pub(crate) fn stock_halves(&self) -> impl Iterator<Item = ([u8; 32], SecretBytes)> + '_ {
        self.store.records(STOCK).filter_map(|(name, value)| {
            let (_, private) = halves(value)?;
            Some((Part::of_name(name)?.hash, SecretBytes::copy_from(private)))
        })
    }

    pub(super) fn used(&self, hash: &[u8; 32]) -> Option<Used> {
        let value = self.store.record(&[USED, hash].concat())?;
        let (heard, next) = value.split_first_chunk()?;
        Some(Used { heard_ms: u64::from_le_bytes(*heard), next: u64::from_le_bytes(next.try_into().ok()?) })
    }

    pub(super) fn used_record(hash: &[u8; 32], used: Used) -> Write {
        let value = [used.heard_ms.to_le_bytes(), used.next.to_le_bytes()].concat();
        ([USED, hash].concat(), Some(SecretBytes::take(value)))
    }

    /// What keeps in mind by which key package this device joined.
    pub(crate) fn stock_joined_record(space: &SpaceId, hash: &[u8; 32], commit: &EventHash) -> Write {
        ([JOINED, &space.0, hash].concat(), Some(SecretBytes::take(commit.0.to_vec())))
    }

    pub(super) fn mailbox(&self, board: &[u8; 16], expires_ms: u64) -> Option<Recipient> {
        let mut seed: [u8; 32] = self.store.record(&mailbox_name(board, expires_ms))?.try_into().ok()?;
        Some(Recipient::new(Secret::take(&mut seed)))
    }

    pub(super) fn new_mailbox(&mut self, board: &[u8; 16], expires_ms: u64) -> Write {
        let seed = SecretBytes::generate(32, |out| self.store.entropy().fill(out));
        (mailbox_name(board, expires_ms), Some(seed))
    }

    /// Boards on which this device offers key packages, and whether for post-quantum spaces, too.
    pub(super) fn offers_on(&self) -> Vec<([u8; 16], bool)> {
        let records = self.store.records(BOARDS);
        records
            .filter_map(|(name, value)| Some((name[BOARDS.len()..].try_into().ok()?, value == [1])))
            .collect()
    }

    pub(super) fn offer_on(&mut self, board: &[u8; 16], post_quantum: bool) -> Result<(), Error> {
        let value = SecretBytes::take(vec![u8::from(post_quantum)]);
        Ok(self.store.write_records(vec![([BOARDS, board].concat(), Some(value))])?)
    }

    pub(super) fn offer_nowhere(&mut self) -> Result<(), Error> {
        let writes = self.store.records(BOARDS).map(|(name, _)| (name.to_vec(), None)).collect();
        Ok(self.store.write_records(writes)?)
    }

    pub(super) fn standing_on(&self, board: &[u8; 16], bucket: u64) -> Standing {
        let known = self.store.record(&standing_name(board, bucket));
        // What this version cannot read it reads from the board again.
        known.and_then(|bytes| postcard::from_bytes(bytes).ok()).unwrap_or_default()
    }

    pub(super) fn keep_standing(
        &mut self,
        board: &[u8; 16],
        bucket: u64,
        standing: &Standing,
    ) -> Result<(), Error> {
        let bytes = postcard::to_allocvec(standing).expect("plain values encode into a growing buffer");
        let write = (standing_name(board, bucket), Some(SecretBytes::take(bytes)));
        Ok(self.store.write_records(vec![write])?)
    }

    /// Destroys private parts whose time is over: some time after their first use, or after the end of what they were offered for.
    pub(super) fn drop_old_stock(&mut self) -> Result<(), Error> {
        let now = self.now_ms;
        let is_over = |part: &Part| {
            let heard = self.used(&part.hash).map_or(u64::MAX, |used| used.heard_ms);
            now >= part.expires_ms.min(heard).saturating_add(GRACE_MS)
        };
        let old: Vec<Part> = self.parts().filter(is_over).collect();
        let mut writes: Vec<Write> = old.iter().flat_map(|part| self.destroyed(part)).collect();
        let of_time = |prefix: &'static [u8], over: &dyn Fn(u64) -> bool, at: usize| -> Vec<Write> {
            let names = self.store.records(prefix).map(|(name, _)| name);
            let is_over = |name: &&[u8]| {
                let time = name.get(prefix.len() + at..).and_then(|rest| rest.first_chunk());
                time.is_some_and(|time| over(u64::from_be_bytes(*time)))
            };
            names.filter(is_over).map(|name| (name.to_vec(), None)).collect()
        };
        writes.extend(of_time(MAILBOXES, &|expires| now >= expires.saturating_add(GRACE_MS), 0));
        writes.extend(of_time(STANDING, &|bucket_of| bucket_of.saturating_add(1) < bucket(now), 16));
        let forgotten = self.store.records(GONE).filter(|(_, at)| {
            let at = (*at).try_into().map_or(0, u64::from_le_bytes);
            now.saturating_sub(at) >= RECORD_LIFETIME_MS_MAX
        });
        writes.extend(forgotten.map(|(name, _)| (name.to_vec(), None)));
        Ok(self.store.write_records(writes)?)
    }

    /// What destroys a private part, and remembers that: somebody may yet use it.
    fn destroyed(&self, part: &Part) -> Vec<Write> {
        let at = SecretBytes::take(self.now_ms.to_le_bytes().to_vec());
        vec![
            (part.name(), None),
            ([USED, &part.hash].concat(), None),
            ([GONE, &part.hash].concat(), Some(at)),
        ]
    }

    /// Destroys single-use private parts that did what they were for: this device is no member any more, or the epoch they opened is
    /// as far back as those of which it keeps no state either. Until then the commit may lose its race, and the device be let in
    /// by the same one again.
    pub(crate) fn forget_stock(&mut self, space: SpaceId, chain: &[EventHash]) -> Result<(), Error> {
        let prefix = [JOINED, &space.0].concat();
        let member = {
            let me = self.identity.device_id();
            self.store.space(&space).is_none_or(|state| state.member_of(&me).is_some())
        };
        let settled = &chain[..chain.len().saturating_sub(EPOCHS_KEPT)];
        let is_done = |commit: &[u8]| !member || settled.iter().any(|hash| hash.0 == *commit);
        let done: Vec<Vec<u8>> = self
            .store
            .records(&prefix)
            .filter(|(_, commit)| is_done(commit))
            .map(|(name, _)| name.to_vec())
            .collect();
        if done.is_empty() {
            return Ok(());
        }
        let by: BTreeSet<&[u8]> = done.iter().map(|name| &name[prefix.len()..]).collect();
        // One of last resort may have let in elsewhere, too, and goes when its time is over.
        let parts: Vec<Part> =
            self.parts().filter(|part| !part.last_resort && by.contains(&part.hash[..])).collect();
        let mut writes: Vec<Write> = parts.iter().flat_map(|part| self.destroyed(part)).collect();
        writes.extend(done.iter().map(|name| (name.clone(), None)));
        Ok(self.store.write_records(writes)?)
    }

    /// Whether this device is a member's and was admitted by key packages alone whose private parts it has destroyed: it will join
    /// by no welcome.
    pub(crate) fn was_admitted_too_late(&self, space: &SpaceId) -> Result<bool, Error> {
        if self.store.records(GONE).next().is_none() {
            return Ok(false);
        }
        let me = self.identity.device_id();
        let Some(control) = self.store.control(space)? else { return Ok(false) };
        if control.state().member_of(&me).is_none() {
            return Ok(false);
        }
        let counting = control.events().filter(|(_, verdict)| *verdict == Verdict::Counts);
        let mut by = counting.flat_map(|(event, _)| &event.transaction.0).filter_map(|op| match op {
            ControlOp::Admit { card, key_package, .. } if card.device == me => Some(hash_of(key_package)),
            _ => None,
        });
        Ok(by.all(|hash| self.store.record(&[GONE, &hash].concat()).is_some()))
    }
}

/// The public and the private half in a record.
fn halves(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = value.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))
}

fn mailbox_name(board: &[u8; 16], expires_ms: u64) -> Vec<u8> {
    [MAILBOXES, &expires_ms.to_be_bytes(), board].concat()
}

fn standing_name(board: &[u8; 16], bucket: u64) -> Vec<u8> {
    [STANDING, board, &bucket.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parts_name_says_what_it_is() {
        for suite in CipherSuite::ALL {
            for last_resort in [false, true] {
                let part = Part { expires_ms: 7, board: [1; 16], suite, last_resort, hash: [2; 32] };
                assert_eq!(Part::of_name(&part.name()), Some(part));
            }
        }
        assert_eq!(Part::of_name(b"supply/short"), None);
        // No other record's name begins as theirs do.
        for other in [USED, JOINED, GONE, MAILBOXES, BOARDS, STANDING] {
            assert!(!other.starts_with(STOCK));
        }
    }
}
