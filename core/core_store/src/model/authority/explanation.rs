use super::Verdict;
use crate::crdt::Stamp;
use crate::model::{Permission, Rank};
use terachat_event::{EventHash, EventRef};

/// Why one event counts or not, and which control events decide that. Made on demand by
/// [`LocalStore::explain`](crate::LocalStore::explain); nothing of it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The event.
    pub event: EventRef,
    /// Its hash.
    pub hash: EventHash,
    /// Whether it counts, in the words of the log.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// The control events on which that rests, the weightiest first.
    pub deciding: Vec<Deciding>,
    /// The control heads under which it was made; for a control event what it builds on.
    pub cited: Vec<EventHash>,
}

/// Why an event counts or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It counts: its author had this rank under the heads it cites (`None`: it founds the space), and nothing cuts it off.
    Counts {
        /// The author's rank.
        rank: Option<Rank>,
    },
    /// This version cannot read what it does.
    Unreadable,
    /// Under the heads it cites its author might not do this.
    Forbidden {
        /// The author's rank there; `None` for no member.
        rank: Option<Rank>,
        /// Which of the event's operations was the first that it might not do, from 0; 0 for an event of a channel.
        operation: usize,
        /// The permission that its author's role lacked, if it was for want of one that this version knows.
        lacks: Option<Permission>,
    },
    /// Under the heads it cites its channel did not exist.
    NoChannel,
    /// Its content is in clear where it is to be sealed by itself, or the other way round.
    AnotherForm,
    /// Its author was removed or demoted, or a role changed, by somebody who did not know of it, and it did not know of that.
    CutOff {
        /// The permission that its author lost by that; `None` where it lost more, or its rank.
        lost: Option<Permission>,
        /// Where it would have cut the other off in turn: why the other holds.
        held_by: Option<Precedence>,
    },
    /// It lies beyond the number up to which a removal or demotion lets its author's chain count.
    BeyondPin {
        /// The permission that was taken.
        permission: Permission,
        /// The last number that counts.
        last: u64,
    },
    /// Its author was admitted by events alone that are void.
    AdmissionVoid,
    /// Its author signed two events with one number; from there on nothing of that chain counts.
    Equivocated {
        /// That number.
        from: u64,
        /// Hashes of the two, as the proof has them.
        signed: Option<[EventHash; 2]>,
    },
}

/// What makes one of two removals or demotions hold that cut each other off. The first of these that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precedence {
    /// It does nothing but revoke devices by their users' own word.
    UsersWord,
    /// The higher rank of its author.
    Rank {
        /// Of the author of the one that holds.
        held: Rank,
        /// Of the author of the one that gave way.
        gave_way: Rank,
    },
    /// Its author was admitted earlier.
    Seniority {
        /// When the author of the one that holds was admitted.
        held: Option<Stamp>,
        /// When the author of the one that gave way was.
        gave_way: Option<Stamp>,
    },
    /// The lower hash.
    Hash,
}

/// A control event that decides about another event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deciding {
    /// What it has to do with the other.
    pub role: Role,
    /// Its name.
    pub event: EventRef,
    /// Its hash.
    pub hash: EventHash,
    /// For an admission or creation that is void: why that is. Absent beyond 16 explanations inside one.
    pub why: Option<Box<Explanation>>,
}

/// What a control event has to do with the event that it decides about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It admitted the author, and gave the rank unless another one did.
    Admits,
    /// It gave the author the rank.
    Ranks,
    /// It removed the author, who knew of it.
    Removes,
    /// It changed what a role permits: the author's, or the one that was to be given.
    ChangesRole,
    /// It would have admitted the author, but is void.
    AdmitsInVain,
    /// It admitted whom the event is about, and gave the rank unless another one did.
    AdmitsTarget,
    /// It gave the rank to whom the event is about.
    RanksTarget,
    /// It removed whom the event is about.
    RemovesTarget,
    /// It founded the space.
    Founds,
    /// It created the channel, but was unknown to the author, or is void.
    Creates,
    /// It removed or demoted the author and cuts the event off.
    CutsOff,
    /// It removed or demoted the author with a pin that the event lies beyond.
    Pins,
    /// It would have cut the event off, but the event cuts it off and holds.
    GivesWay(Precedence),
}

impl Explanation {
    /// Whether the event counts.
    pub fn counts(&self) -> bool {
        self.verdict == Verdict::Counts
    }
}
