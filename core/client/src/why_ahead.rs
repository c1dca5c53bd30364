//! What is known of an event that is here ahead of its channel's past only, in words (ADR 0020).
use crate::api::{Answer, KnownAhead, Why};
use crate::{Client, Error};
use terachat_core_store::query::AheadView;
use terachat_event::{EventRef, LogId};

impl Client {
    /// [`Client::why`] of an event of the newest of a channel.
    pub(crate) fn why_ahead(&mut self, log: &LogId, event: &EventRef) -> Result<Answer, Error> {
        let known = self.store.explain_ahead(log, event)?;
        let why = self.told(log, &known.explanation, known.view.clone())?;
        let next = if self.keeps(log) {
            "its past is on its way: ask again when that is here; `terachat channel list` tells".to_owned()
        } else {
            let channel = self.channel_name(log);
            format!(
                "`terachat channel keep '{channel}'` brings the past, and judges all of it as any other log's"
            )
        };
        let ahead = KnownAhead { from: known.from, proven: proven(&known), unknown: unknown(&known), next };
        Ok(Answer::Why(Box::new(Why { ahead: Some(ahead), ..why })))
    }
}

fn proven(known: &AheadView) -> Vec<String> {
    let view = &known.view;
    let seq = view.event.seq;
    let covered = if view.signed { "signed" } else { "covered by the signature on a later one" };
    let mut proven =
        vec![format!("it is number {seq} of its author's chain as its author made it: {covered}")];
    proven.push(
        "its author's right to it, or the want of one, by the control log, which is here whole".to_owned(),
    );
    if known.is_time_proven {
        proven.push(format!("its Lamport time {} follows from what it builds on", view.lamport));
    }
    proven
}

fn unknown(known: &AheadView) -> Vec<String> {
    let mut unknown = Vec::new();
    if known.from > 1 {
        unknown.push(format!("what is older than Lamport time {}: it is not here", known.from));
    }
    if !known.is_time_proven {
        let lamport = known.view.lamport;
        unknown.push(format!("its Lamport time: {lamport} is its author's word, what it builds on is older than all that is here"));
    }
    if !known.names_only.is_empty() {
        let names: Vec<String> = known.names_only.iter().map(ToString::to_string).collect();
        unknown.push(format!("what it answers or changes, but for the name: {}", names.join(", ")));
    }
    unknown.push(
        "whether its author signed another event with a number up to its own, or others withhold something that nobody here \
         built on: either shows with the whole log"
            .to_owned(),
    );
    unknown
}
