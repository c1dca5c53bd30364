//! A message's way out: text, operation, sealed and signed event, disk, peers.
use crate::api::{Answer, NewPost, Notice, Place};
use crate::{Client, Error};
use terachat_core_store::model::{BODY_LEN_MAX, ChannelOp, EMOJI_LEN_MAX, Permission};
use terachat_core_store::store::Write;
use terachat_core_store::sync::Draft;
use terachat_event::{EventRef, LogId};

impl Client {
    pub(crate) fn send(
        &mut self,
        place: &Place,
        body: &str,
        reply_to: Option<&str>,
    ) -> Result<Answer, Error> {
        let (body, reply_to) = (body.to_owned(), reply_to.map(str::to_owned));
        self.compose(place, &NewPost { body, reply_to, ..NewPost::default() })
    }

    pub(crate) fn edit(&mut self, place: &Place, message: &str, body: &str) -> Result<Answer, Error> {
        check_body(body)?;
        let log = self.place(place)?;
        let target = self.event(&log, message)?;
        if !self.is_own(&log, &target) {
            return Err(Error::NotAllowed("only its author edits a message"));
        }
        self.standing(&log, &target)?;
        self.post(log, &ChannelOp::Edit { target, body })
    }

    pub(crate) fn delete(&mut self, place: &Place, message: &str) -> Result<Answer, Error> {
        let log = self.place(place)?;
        let target = self.event(&log, message)?;
        let moderates = !self.is_own(&log, &target);
        if moderates {
            self.require(&log.space, Permission::Moderate)?;
        }
        self.standing(&log, &target)?;
        self.post(log, &ChannelOp::Delete { target, moderates })
    }

    pub(crate) fn react(
        &mut self,
        place: &Place,
        message: &str,
        emoji: &str,
        remove: bool,
    ) -> Result<Answer, Error> {
        if !(1..=EMOJI_LEN_MAX).contains(&emoji.len()) || emoji.chars().any(char::is_control) {
            return Err(Error::Input("a reaction is 1 to 32 bytes without control characters"));
        }
        let log = self.place(place)?;
        let target = self.event(&log, message)?;
        self.standing(&log, &target)?;
        if !remove {
            return self.post(log, &ChannelOp::React { target, emoji });
        }
        let seen = self.store.reaction_dots(&log, &target, emoji, &self.identity.device_id());
        if seen.is_empty() {
            return Err(Error::Input("there is no such reaction of yours on that message"));
        }
        self.post(log, &ChannelOp::Unreact { target, emoji, seen })
    }

    pub(crate) fn pin(&mut self, place: &Place, message: &str, remove: bool) -> Result<Answer, Error> {
        let log = self.place(place)?;
        self.require(&log.space, Permission::Pin)?;
        let target = self.event(&log, message)?;
        self.standing(&log, &target)?;
        if !remove {
            return self.post(log, &ChannelOp::Pin { target });
        }
        let seen = self.store.pin_dots(&log, &target);
        if seen.is_empty() {
            return Err(Error::Input("that message is not pinned"));
        }
        self.post(log, &ChannelOp::Unpin { target, seen })
    }

    /// Whether a device of this user made the event.
    pub(crate) fn is_own(&self, log: &LogId, event: &EventRef) -> bool {
        let state = self.store.space(&log.space);
        let author = state.and_then(|state| state.devices.get(&event.author));
        author == Some(&self.identity.user_id())
    }

    /// Refuses what is no message, or none any more.
    fn standing(&self, log: &LogId, target: &EventRef) -> Result<(), Error> {
        let view = self.store.message(log, target)?;
        (!view.deleted).then_some(()).ok_or(Error::Input("that message was deleted"))
    }

    pub(crate) fn post(&mut self, log: LogId, op: &ChannelOp<'_>) -> Result<Answer, Error> {
        let events = self.post_all(log, std::slice::from_ref(op))?;
        Ok(Answer::Sent { id: events[0].to_string() })
    }

    /// Makes events of the operations under one signature and one commit, and sends them on.
    pub(crate) fn post_all(&mut self, log: LogId, ops: &[ChannelOp<'_>]) -> Result<Vec<EventRef>, Error> {
        self.post_with(log, ops, Vec::new())
    }

    /// Refuses a channel in which this device does not or may not write.
    pub(crate) fn may_post(&self, log: &LogId) -> Result<(), Error> {
        if !self.keeps(log) {
            return Err(Error::NotKept(self.channel_name(log)));
        }
        if let Some(left_s) = self.past_wait_s(log) {
            return Err(Error::PastComing { channel: self.channel_name(log), left_s });
        }
        self.require(&log.space, Permission::Post)?;
        self.is_no_archive(&log.space)
    }

    /// The same, with records that change in the same commit.
    pub(crate) fn post_with(
        &mut self,
        log: LogId,
        ops: &[ChannelOp<'_>],
        writes: Vec<Write>,
    ) -> Result<Vec<EventRef>, Error> {
        self.may_post(&log)?;
        self.see_out(log.space)?;
        self.renew_if_due(log.space)?;
        self.make_room(&log, ops)?;
        let key = self.epoch(&log.space)?;
        self.before_signing()?;
        let payloads = self.payloads(&log, &key, ops)?;
        let draft = Draft { log, payloads, key: Some(key), wall_ms: self.now_ms };
        let events = self.store.apply_local(&self.identity.device, &draft, |_| writes)?;
        if self.is_ahead_kept(&log) {
            // Nobody is there to bring the past, so it goes on without it, and what was said is to be seen.
            self.let_go_of_newest(&log);
        }
        for event in events.iter().take(crate::receive::NOTICES_MAX) {
            self.notice(&log, event)?;
        }
        self.push(log)?;
        Ok(events)
    }

    /// Tells followers what an event did.
    pub(crate) fn notice(&mut self, log: &LogId, event: &EventRef) -> Result<(), Error> {
        if let Some(message) = self.store.concerns(log, event)? {
            let view = self.message(log, &message)?;
            self.notices.push_back(if message == *event {
                Notice::Message(view)
            } else {
                Notice::Changed(view)
            });
        }
        Ok(())
    }
}

pub(crate) fn check_body(body: &str) -> Result<(), Error> {
    let fits = !body.is_empty() && body.len() <= BODY_LEN_MAX;
    fits.then_some(()).ok_or(Error::Input("a message is 1 byte to 64 KiB; send longer texts as several"))
}
