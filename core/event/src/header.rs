use crate::{Error, EventHash};

/// The format version this crate writes and the only one it reads.
pub const VERSION: u8 = 1;
/// Most parents one event names; heads beyond them stay heads for the next event to name.
pub const PARENTS_MAX: usize = 32;
/// Most control heads one event names.
pub const CONTROL_HEADS_MAX: usize = 8;
/// Largest payload of one event in bytes.
pub const PAYLOAD_LEN_MAX: usize = 1 << 20;

const FIXED_LEN: usize = 36;
/// Longest header in bytes.
pub(crate) const HEADER_LEN_MAX: usize = FIXED_LEN + 32 * (PARENTS_MAX + CONTROL_HEADS_MAX);

/// What an event's payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A transaction of control operations, readable by every member of the space.
    Control = 1,
    /// A channel operation, sealed for the members of the epoch that the header names.
    Sealed = 2,
    /// Accesses of a vault's audit log, a chain of one author without a space. Stores of spaces refuse it.
    Audit = 3,
}

/// An event's header: everything that is signed besides the log, the author and the payload.
///
/// Borrowed, so that a decoder of many events allocates nothing for each. Canonical bytes: `docs/format/event.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// What the payload is.
    pub kind: Kind,
    /// Number in the author's chain in this log, from 1 without gaps.
    pub seq: u64,
    /// 1 + the largest `lamport` among predecessor and parents; 1 without any.
    pub lamport: u64,
    /// The author's wall clock in milliseconds since 1970, for display only: it decides nothing.
    pub wall_ms: u64,
    /// MLS epoch under whose key the payload is sealed.
    pub epoch: Option<u64>,
    /// Heads of the log that the author had seen, its own predecessor left out; strictly ascending.
    pub parents: &'a [EventHash],
    /// Heads of the space's control log under which this was made; empty in the control log itself, whose
    /// parents say it; strictly ascending.
    pub control: &'a [EventHash],
}

impl<'a> Header<'a> {
    /// Appends the canonical bytes. The caller keeps the two lists within their limits and ascending, as
    /// [`Header::read`] demands of what it accepts.
    pub fn write(&self, out: &mut Vec<u8>) {
        debug_assert!(self.parents.len() <= PARENTS_MAX && self.control.len() <= CONTROL_HEADS_MAX);
        #[allow(clippy::cast_possible_truncation, reason = "both counts are far below 256")]
        out.extend_from_slice(&[
            VERSION,
            self.kind as u8,
            self.parents.len() as u8,
            self.control.len() as u8,
        ]);
        for number in
            [self.seq, self.lamport, self.wall_ms, self.epoch.map_or(0, |epoch| epoch.wrapping_add(1))]
        {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for hash in self.parents.iter().chain(self.control) {
            out.extend_from_slice(&hash.0);
        }
    }

    /// Reads exactly one header from canonical bytes; `hashes` is where the two lists are put.
    ///
    /// # Errors
    /// [`Error::Header`] for anything [`Header::write`] would not have written.
    pub fn read(bytes: &[u8], hashes: &'a mut Vec<EventHash>) -> Result<Self, Error> {
        let (fixed, rest) = bytes.split_at_checked(FIXED_LEN).ok_or(Error::Header("it is cut short"))?;
        let number = |at: usize| u64::from_le_bytes(fixed[at..at + 8].try_into().expect("eight bytes"));
        let kind = match (fixed[0], fixed[1]) {
            (VERSION, 1) => Kind::Control,
            (VERSION, 2) => Kind::Sealed,
            (VERSION, 3) => Kind::Audit,
            (VERSION, _) => return Err(Error::Header("an unknown kind")),
            _ => return Err(Error::Header("another format version")),
        };
        let (parents, control) = (usize::from(fixed[2]), usize::from(fixed[3]));
        if parents > PARENTS_MAX || control > CONTROL_HEADS_MAX {
            return Err(Error::Header("too many parents or control heads"));
        }
        if rest.len() != 32 * (parents + control) {
            return Err(Error::Header("its length does not fit its counts"));
        }
        hashes.clear();
        hashes.extend(rest.chunks_exact(32).map(|hash| EventHash(hash.try_into().expect("32 bytes"))));
        let (parents, control) = hashes.split_at(parents);
        let header = Self {
            kind,
            seq: number(4),
            lamport: number(12),
            wall_ms: number(20),
            epoch: number(28).checked_sub(1),
            parents,
            control,
        };
        header.check()?;
        Ok(header)
    }

    /// What a single header can be held to without knowing any other event.
    ///
    /// # Errors
    /// [`Error::Header`] naming the broken rule.
    pub fn check(&self) -> Result<(), Error> {
        let ascending = |list: &[EventHash]| list.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending(self.parents) || !ascending(self.control) {
            return Err(Error::Header("parents or control heads are not strictly ascending"));
        }
        if self.parents.len() > PARENTS_MAX || self.control.len() > CONTROL_HEADS_MAX {
            return Err(Error::Header("too many parents or control heads"));
        }
        if self.seq == 0 || self.lamport < self.seq {
            return Err(Error::Header("numbers start at 1 and lamport never falls behind seq"));
        }
        if self.lamport > u64::from(u32::MAX) << 16 || self.epoch == Some(u64::MAX) {
            return Err(Error::Header("a number is beyond any honest history"));
        }
        match self.kind {
            Kind::Control if self.epoch.is_some() || !self.control.is_empty() => {
                Err(Error::Header("a control event has neither epoch nor control heads"))
            }
            Kind::Sealed if self.epoch.is_none() || self.control.is_empty() => {
                Err(Error::Header("a sealed event names its epoch and the control heads it was made under"))
            }
            Kind::Audit
                if self.epoch.is_some()
                    || !self.control.is_empty()
                    || !self.parents.is_empty()
                    || self.lamport != self.seq =>
            {
                Err(Error::Header("an audit event stands in a chain of its own"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ascending(max: usize) -> impl Strategy<Value = Vec<EventHash>> {
        prop::collection::btree_set(any::<[u8; 32]>(), 0..=max)
            .prop_map(|set| set.into_iter().map(EventHash).collect())
    }

    #[test]
    fn an_audit_event_has_nothing_beside_it() {
        let good = Header {
            kind: Kind::Audit,
            seq: 3,
            lamport: 3,
            wall_ms: 0,
            epoch: None,
            parents: &[],
            control: &[],
        };
        assert_eq!(good.check(), Ok(()));
        let other = [EventHash([1; 32])];
        for bad in [
            Header { lamport: 4, ..good },
            Header { epoch: Some(1), ..good },
            Header { parents: &other, ..good },
            Header { control: &other, ..good },
        ] {
            assert!(matches!(bad.check(), Err(Error::Header(_))), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn headers_read_what_they_wrote(seq in 1..1000u64, ahead in 0..1000u64, wall_ms: u64, epoch in 0..9u64, parents in ascending(PARENTS_MAX), mut control in ascending(CONTROL_HEADS_MAX), sealed: bool, audit: bool, cut: prop::sample::Index) {
            if control.is_empty() { control.push(EventHash([1; 32])); }
            let header = if audit {
                Header { kind: Kind::Audit, seq, lamport: seq, wall_ms, epoch: None, parents: &[], control: &[] }
            } else if sealed {
                Header { kind: Kind::Sealed, seq, lamport: seq + ahead, wall_ms, epoch: Some(epoch), parents: &parents, control: &control }
            } else {
                Header { kind: Kind::Control, seq, lamport: seq + ahead, wall_ms, epoch: None, parents: &parents, control: &[] }
            };
            let mut bytes = Vec::new();
            header.write(&mut bytes);
            let mut hashes = Vec::new();
            prop_assert_eq!(Header::read(&bytes, &mut hashes), Ok(header));
            prop_assert!(Header::read(&bytes[..cut.index(bytes.len())], &mut hashes).is_err());
        }

        /// Whatever is read is canonical: it writes back to the very bytes it came from.
        #[test]
        fn random_bytes_never_panic_and_never_read_as_another_header(mut bytes in prop::collection::vec(any::<u8>(), 0..200), shape: bool) {
            if shape && bytes.len() >= FIXED_LEN { bytes[..4].copy_from_slice(&[VERSION, 1, 0, 0]); bytes.truncate(FIXED_LEN); bytes[28..36].fill(0); bytes[9..12].fill(0); bytes[17..20].fill(0); }
            let mut hashes = Vec::new();
            if let Ok(header) = Header::read(&bytes, &mut hashes) {
                let mut again = Vec::new();
                header.write(&mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
