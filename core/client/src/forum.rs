use crate::api::{Answer, ForumPost, Place};
use crate::{Client, Error};
use terachat_core_store::model::ChannelOp;
use terachat_core_store::query::PageStart;

impl Client {
    /// A forum's posts, those with the latest answers first.
    pub(crate) fn forum(
        &self,
        place: &Place,
        tags: &[String],
        after: Option<&str>,
        limit: usize,
    ) -> Result<Answer, Error> {
        let log = self.readable(self.place(place)?)?;
        let after = after.map(|post| self.event(&log, post)).transpose()?;
        let posts = self.store.posts(&log, tags, after.as_ref(), limit)?.into_iter().map(|post| ForumPost {
            message: self.shown(&log, post.message),
            replies: post.replies,
            last: post.last.to_string(),
            last_by: self.name_of(&log, &post.last.author),
            last_ts_ms: i64::try_from(post.last_wall_ms).unwrap_or(i64::MAX),
        });
        Ok(Answer::Posts { posts: posts.collect() })
    }

    /// Says that all up to a message was read, or up to the newest.
    pub(crate) fn mark(&mut self, place: &Place, message: Option<&str>) -> Result<Answer, Error> {
        let log = self.place(place)?;
        if !self.keeps(&log) && self.store.has_preview(&log) {
            return self.mark_here(&log, message);
        }
        self.may_post(&log)?;
        let target = match message {
            Some(message) => self.event(&log, message)?,
            None => match self.store.page(&log, PageStart::Newest, 1)?.first() {
                Some(newest) => newest.event,
                None => return Err(Error::Input("there is nothing to be read here yet")),
            },
        };
        self.store.message(&log, &target)?;
        self.post(log, &ChannelOp::Read { target })
    }
}
