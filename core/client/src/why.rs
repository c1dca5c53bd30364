//! Explanations in words: why an event counts or not, and by which control events.
use crate::api::{Answer, CitedHead, DecidingEvent, Place, Why};
use crate::{Client, Error};
use terachat_core_store::model::{Deciding, Explanation, Permission, Precedence, Reason, Role, Verdict};
use terachat_core_store::query::EventView;
use terachat_event::LogId;

impl Client {
    /// Why an event of a channel, or of the space's control log, counts or not.
    pub(crate) fn why(&mut self, place: &Place, event: &str) -> Result<Answer, Error> {
        let log = self.log_of(place)?;
        let is_here = !self.store.find_events(&log, event).is_empty();
        match self.store.find_ahead(&log, event).as_slice() {
            [ahead] if !is_here => return self.why_ahead(&log, ahead),
            [_, _, ..] if !is_here => {
                return Err(Error::Ambiguous { what: "event", name: event.to_owned() });
            }
            _ => {}
        }
        let event = self.called(&log, event, "event")?;
        let told = self.store.explain(&log, &event)?;
        let view = self.store.event(&log, &told.event)?;
        Ok(Answer::Why(Box::new(self.told(&log, &told, view)?)))
    }

    pub(crate) fn told(&mut self, log: &LogId, told: &Explanation, view: EventView) -> Result<Why, Error> {
        let control = LogId::control(log.space);
        let mut deciding = Vec::new();
        for event in &told.deciding {
            deciding.push(self.decides(&control, told.reason, event)?);
        }
        let mut cited = Vec::new();
        for hash in &told.cited {
            let id = self.store.control_event_ref(&control, hash)?.map(|event| event.to_string());
            cited.push(CitedHead { id, hash: hash.to_string() });
        }
        let (rank, permission, last, signed) = match told.reason {
            Reason::Counts { rank } => (rank, None, None, None),
            Reason::Forbidden { rank, lacks, .. } => (rank, lacks, None, None),
            Reason::CutOff { lost, .. } => (None, lost, None, None),
            Reason::BeyondPin { permission, last } => (None, Some(permission), Some(last), None),
            Reason::Equivocated { signed, .. } => (None, None, None, signed),
            _ => (None, None, None, None),
        };
        Ok(Why {
            event: self.line(log, view),
            counts: told.counts(),
            reason: name(told.reason).to_owned(),
            because: because(told),
            rank: rank.map(|rank| rank.get()),
            permission: permission.map(|permission| permission.name().to_owned()),
            last,
            signed: signed.into_iter().flatten().map(|hash| hash.to_string()).collect(),
            deciding,
            cited,
            ahead: None,
        })
    }

    fn decides(
        &mut self,
        control: &LogId,
        reason: Reason,
        deciding: &Deciding,
    ) -> Result<DecidingEvent, Error> {
        let view = self.store.event(control, &deciding.event)?;
        let why = match deciding.why.as_deref() {
            Some(why) => {
                let view = self.store.event(control, &why.event)?;
                Some(self.told(control, why, view)?)
            }
            None => None,
        };
        let (role, because) = role(deciding.role, reason);
        let event = self.line(control, view);
        Ok(DecidingEvent { role: role.to_owned(), because, event, why: why.map(Box::new) })
    }
}

fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::Counts { .. } => "counts",
        Reason::Unreadable => "unreadable",
        Reason::Forbidden { .. } => "forbidden",
        Reason::NoChannel => "no_channel",
        Reason::AnotherForm => "another_form",
        Reason::CutOff { .. } => "cut_off",
        Reason::BeyondPin { .. } => "beyond_pin",
        Reason::AdmissionVoid => "admission_void",
        Reason::Equivocated { .. } => "equivocated",
    }
}

fn because(told: &Explanation) -> String {
    let words = match told.verdict {
        Verdict::Void(why) => why,
        Verdict::Counts => "it counts",
    };
    match told.reason {
        Reason::Counts { rank: None } => "it founds the space".to_owned(),
        Reason::Counts { rank: Some(rank) } => {
            format!("its author had rank {rank} when it was made, and nothing cuts it off")
        }
        // The event of a channel says no more than that there was no right to it.
        Reason::Forbidden { rank: Some(rank), lacks: Some(lacks), .. } if !words.contains(lacks.name()) => {
            format!("{words}: it takes the permission {lacks}; its author's rank was {rank} then")
        }
        Reason::Forbidden { rank: Some(rank), .. } => format!("{words}; its author's rank was {rank} then"),
        Reason::Forbidden { rank: None, .. } => format!("{words}; its author was no member then"),
        Reason::CutOff { held_by: Some(_), .. } => {
            format!("{words}; it would have cut that off in turn, but that holds")
        }
        Reason::CutOff { lost: Some(lost), .. } => format!("{words}; it takes the permission {lost}"),
        Reason::BeyondPin { permission: Permission::Post, last } => {
            format!("{words}: its chain counts up to number {last}")
        }
        Reason::BeyondPin { permission, last } => {
            format!("{words}: what takes the permission {permission} counts up to number {last} of its chain")
        }
        Reason::AdmissionVoid => "every admission of its author counts for nothing".to_owned(),
        Reason::Equivocated { from, .. } => {
            format!("{words} ({from}); from there on nothing of that chain counts")
        }
        _ => words.to_owned(),
    }
}

/// The name of a role and the role in words; `reason` is that of the event which is decided about.
fn role(role: Role, reason: Reason) -> (&'static str, String) {
    let (name, words) = match role {
        Role::Admits => ("admits", "admitted the author"),
        Role::Ranks => ("ranks", "gave the author this rank"),
        Role::Removes => ("removes", "had removed the author"),
        Role::ChangesRole => ("changes_role", "changed what that role permits"),
        Role::AdmitsInVain => ("admits_in_vain", "would have admitted the author, but counts for nothing"),
        Role::AdmitsTarget => ("admits_target", "admitted the one whom it is about"),
        Role::RanksTarget => ("ranks_target", "gave the rank to the one whom it is about"),
        Role::RemovesTarget => ("removes_target", "had removed the one whom it is about"),
        Role::Founds => ("founds", "founded the space"),
        Role::Creates => {
            ("creates", "would have created the channel, but was unknown to the author or is void")
        }
        Role::CutsOff => match reason {
            Reason::CutOff { held_by: Some(precedence), .. } => {
                return ("cuts_off", format!("cuts it off, and holds by {}", by(precedence)));
            }
            _ => ("cuts_off", "cuts it off"),
        },
        Role::Pins => ("pins", "lets the author's chain count no further"),
        Role::GivesWay(precedence) => {
            return ("gives_way", format!("would have cut it off, but gives way by {}", by(precedence)));
        }
    };
    (name, words.to_owned())
}

/// What decided between two removals or demotions.
fn by(precedence: Precedence) -> String {
    match precedence {
        Precedence::UsersWord => "the user's own word on a device of the user".to_owned(),
        Precedence::Rank { held, gave_way } => format!("rank: {held} against {gave_way}"),
        Precedence::Seniority { .. } => {
            "seniority: equal ranks, but its author was admitted earlier".to_owned()
        }
        Precedence::Hash => "the lower hash: equal ranks, admitted by one event".to_owned(),
    }
}
