//! Questions about an earlier moment: the same verbs over a store that is replayed up to there.
use crate::api::{Answer, Place, Request};
use crate::filters::time_of;
use crate::{Client, Error};
use terachat_core_store::store::Moment;

impl Client {
    /// What a verb that only reads would have answered at a moment: a time, or an event with all that it builds on.
    pub(crate) fn at(&mut self, moment: &str, mut request: Request) -> Result<Answer, Error> {
        let moment = match &mut request {
            Request::Read { place, .. } | Request::Forum { place, .. } | Request::Log { place, .. } => {
                // What it is called now it may not have been called then.
                let log = self.log_of(place)?;
                let moment = self.moment(place, moment)?;
                place.space = Some(log.space.to_string());
                place.channel = log.channel.map(|channel| channel.to_string());
                moment
            }
            Request::Search { place, .. } => self.moment(place, moment)?,
            _ => {
                return Err(Error::Input(
                    "only messages, posts, searches and logs can be shown as of an earlier moment",
                ));
            }
        };
        let past = self.store.state_at(&moment)?;
        let present = std::mem::replace(&mut self.store, past);
        let answer = self.ask_store(request);
        self.store = present;
        answer
    }

    fn moment(&self, place: &Place, text: &str) -> Result<Moment, Error> {
        if let Some(time) = time_of(text) {
            return Ok(Moment::Time(u64::try_from(time).unwrap_or(0)));
        }
        let log = self.log_of(place)?;
        Ok(Moment::Events(log, vec![self.called(&log, text, "moment or event")?]))
    }

    /// The verbs that only read, over the store that is in place.
    fn ask_store(&mut self, request: Request) -> Result<Answer, Error> {
        match request {
            Request::Read { place, limit, before, after, around, thread, pinned, filter } => {
                let start = [before.as_deref(), after.as_deref(), around.as_deref()];
                self.read(&place, limit, start, thread.as_deref(), pinned, &filter)
            }
            Request::Forum { place, tags, after, limit } => {
                self.forum(&place, &tags, after.as_deref(), limit)
            }
            Request::Search { place, query, limit } => self.search(&place, &query, limit),
            Request::Log { place, limit } => self.log(&place, limit),
            _ => Err(Error::Input("this verb does more than read")),
        }
    }
}
