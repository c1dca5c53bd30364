use super::MessageView;
use crate::model::Thread;
use crate::{Error, LocalStore};
use terachat_event::{EventRef, LogId};

/// A forum's post with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostView {
    /// The post.
    pub message: MessageView,
    /// Answers below it, direct or not, that were not deleted.
    pub replies: u32,
    /// The last of the post and its answers in the total order.
    pub last: EventRef,
    /// Wall time of that in milliseconds since 1970, as its author claims.
    pub last_wall_ms: u64,
}

impl LocalStore {
    /// A forum's posts, those with the latest answers first, at most `limit`; only those with all of these tags. Deleted
    /// posts are shown as long as they have answers. Behind `after`, if that is given: the last post of the page before.
    ///
    /// Looks at all posts, not at their answers; reads as many as it gives from disk.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a channel or post that is not here, [`Error::Store`].
    pub fn posts(
        &self,
        log: &LogId,
        tags: &[String],
        after: Option<&EventRef>,
        limit: usize,
    ) -> Result<Vec<PostView>, Error> {
        let channel = self.channel(log)?;
        // A deleted post has no tags any more.
        let tagged = |thread: &Thread| tags.iter().all(|tag| thread.tags().contains(tag));
        let shown = |at, thread: &Thread| thread.replies > 0 || !channel.state.is_deleted(at);
        let posts = channel.state.posts().filter(|(at, thread)| tagged(thread) && shown(*at, thread));
        let mut posts: Vec<(u32, &Thread)> = posts.collect();
        posts.sort_by(|(_, a), (_, b)| channel.index.order(b.last, a.last));
        let skip = match after {
            None => 0,
            Some(after) => {
                let at = channel.index.find(after);
                let place = posts.iter().position(|(post, _)| Some(*post) == at);
                place.ok_or(Error::Unknown("that post"))? + 1
            }
        };
        let views = posts.into_iter().skip(skip).take(limit).map(|(at, thread)| {
            Ok(PostView {
                message: self.view(channel, at)?,
                replies: thread.replies,
                last: channel.index.event_ref(thread.last),
                last_wall_ms: channel.index.event(thread.last).wall_ms,
            })
        });
        views.collect()
    }
}
