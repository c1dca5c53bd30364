//! A message that carries more than text: headings, mentions, files.
use crate::api::{Answer, AttachedFile, FileKey, NewPost, Place};
use crate::send::check_body;
use crate::{Client, Error};
use terachat_core_store::model::{
    ATTACHMENTS_MAX, Attachment, ChannelKind, ChannelOp, Extras, Heading, MENTIONS_MAX, Mention, Permission,
    Post, SpaceState, StoredFile, Style,
};
use terachat_core_store::query::AttachmentView;
use terachat_event::LogId;

pub(crate) const EVERYONE: &str = "everyone";
const BAD_HEADING: &str =
    "a title is a line of 1 to 200 characters, with at most eight tags, each a line of 1 to 32 characters";

impl Client {
    /// Posts a message with what it carries; whoever the text names behind an `@` is mentioned.
    pub(crate) fn compose(&mut self, place: &Place, new: &NewPost) -> Result<Answer, Error> {
        let log = self.place(place)?;
        let (post, extras) = self.checked(&log, new)?;
        let stored = stored(new)?;
        if stored.is_empty() {
            let op =
                if extras.is_empty() { ChannelOp::Post(post) } else { ChannelOp::PostWith(post, extras) };
            return self.post(log, &op);
        }
        let keys: Vec<_> = stored.iter().map(|file| file.key).collect();
        let posted = self.posted_uploads(&log, &keys);
        let events = self.post_with(log, &[ChannelOp::PostStored(post, extras, stored)], posted)?;
        Ok(Answer::Sent { id: events[0].to_string() })
    }

    /// The message that is described, if it can be posted there.
    pub(crate) fn checked<'a>(&self, log: &LogId, new: &'a NewPost) -> Result<(Post<'a>, Extras<'a>), Error> {
        // A title or a file says something by itself.
        if !new.body.is_empty() || new.title.is_none() && new.attachments.is_empty() {
            check_body(&new.body)?;
        }
        let reply_to = new.reply_to.as_deref().map(|message| self.event(log, message)).transpose()?;
        if new.title.is_none() && !new.tags.is_empty() {
            return Err(Error::Input("tags belong to a title; give the post one"));
        }
        if new.title.is_some() && reply_to.is_some() {
            return Err(Error::Input("an answer has no title of its own; it stands below what it answers"));
        }
        if new.title.is_none() && reply_to.is_none() && self.is_forum(log) {
            return Err(Error::Input("a post in a forum has a title; or answer one that is there"));
        }
        let heading = new.title.as_deref().map(|title| heading(title, &new.tags)).transpose()?;
        let attachments = new.attachments.iter().map(attachment).collect::<Result<Vec<_>, Error>>()?;
        if attachments.len() > ATTACHMENTS_MAX {
            return Err(Error::Input("a message has at most 16 attachments"));
        }
        let state = self.store.space(&log.space);
        let mentions = state.map(|state| mentions(&new.body, state)).unwrap_or_default();
        let extras = Extras { heading, mentions, attachments };
        Ok((Post { style: Style::Message, body: &new.body, reply_to, imported: None }, extras))
    }

    /// Gives a forum's post another title and other tags.
    pub(crate) fn retitle(
        &mut self,
        place: &Place,
        message: &str,
        title: &str,
        tags: &[String],
    ) -> Result<Answer, Error> {
        let log = self.place(place)?;
        let target = self.event(&log, message)?;
        let heading = heading(title, tags)?;
        let moderates = !self.is_own(&log, &target);
        if moderates {
            self.require(&log.space, Permission::Moderate)?;
        }
        if self.store.message(&log, &target)?.heading.is_none() {
            return Err(Error::Input("that message was posted without a title, and gets none"));
        }
        self.post(log, &ChannelOp::SetHeading { target, heading, moderates })
    }

    fn is_forum(&self, log: &LogId) -> bool {
        let state = self.store.space(&log.space);
        let channel = log.channel.and_then(|id| state?.channels.get(&id));
        channel.is_some_and(|channel| channel.kind == ChannelKind::Forum)
    }

    /// How a mention is shown: the user's name.
    pub(crate) fn mentioned(&self, log: &LogId, mention: &Mention) -> String {
        match mention {
            Mention::Everyone => EVERYONE.to_owned(),
            Mention::User(user) => {
                let member = self.store.space(&log.space).and_then(|state| state.members.get(user));
                member.map_or_else(|| user.to_string(), |member| member.name.clone())
            }
        }
    }
}

fn heading<'a>(title: &'a str, tags: &'a [String]) -> Result<Heading<'a>, Error> {
    let mut tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    tags.sort_unstable();
    tags.dedup();
    let heading = Heading { title, tags };
    if heading.fits() { Ok(heading) } else { Err(Error::Input(BAD_HEADING)) }
}

fn attachment(file: &AttachedFile) -> Result<Attachment<'_>, Error> {
    let hash = unhex(&file.hash).ok_or(Error::Input("an attachment's hash is 64 hexadecimal digits"))?;
    let attachment = Attachment { name: &file.name, media_type: &file.media_type, len: file.len, hash };
    let named = "an attachment's name is 1 to 255 bytes without slashes and control characters";
    if attachment.fits() { Ok(attachment) } else { Err(Error::Input(named)) }
}

/// Where the attachments are stored; of all, or of none.
fn stored(new: &NewPost) -> Result<Vec<StoredFile>, Error> {
    let addresses: Vec<_> = new.attachments.iter().filter_map(|file| file.address.as_deref()).collect();
    let is_all_or_none = addresses.is_empty() || addresses.len() == new.attachments.len();
    if addresses.len() != new.keys.len() || !is_all_or_none {
        return Err(Error::Input(
            "attachments are stored with an address and a key each, or none of them is",
        ));
    }
    let file = |(address, key): (&str, &FileKey)| {
        let digits = Error::Input("an attachment's address and key are 64 hexadecimal digits each");
        let (address, key) = unhex(address).zip(unhex(&key.0)).ok_or(digits)?;
        Ok(StoredFile { address, key })
    };
    addresses.into_iter().zip(&new.keys).map(file).collect()
}

pub(crate) fn attached(file: AttachmentView) -> AttachedFile {
    let hash = crate::status::hex(&file.hash);
    let address = file.stored.map(|stored| crate::status::hex(&stored.address));
    AttachedFile { name: file.name, media_type: file.media_type, len: file.len, hash, address }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(2 * at..2 * at + 2).filter(|digits| !digits.starts_with('+'))?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

/// Whom a text names: an `@` that begins a word, and behind it `everyone` or a present member's whole name, of several the
/// longest. Who shares the name is mentioned too. At most 32, ascending.
fn mentions(body: &str, state: &SpaceState) -> Vec<Mention> {
    let mut found = Vec::new();
    for (at, _) in body.match_indices('@') {
        if body[..at].chars().next_back().is_some_and(char::is_alphanumeric) {
            continue;
        }
        let rest = &body[at + 1..];
        let names = |name: &str| {
            let behind = rest.strip_prefix(name);
            behind.is_some_and(|behind| !behind.starts_with(char::is_alphanumeric))
        };
        let members = state.members.iter().filter(|(_, member)| !member.removed && names(&member.name));
        let mut longest = if names(EVERYONE) { EVERYONE.len() } else { 0 };
        let mut named = if longest > 0 { vec![Mention::Everyone] } else { Vec::new() };
        for (user, member) in members {
            if member.name.len() > longest {
                longest = member.name.len();
                named.clear();
            }
            if member.name.len() == longest {
                named.push(Mention::User(*user));
            }
        }
        found.append(&mut named);
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(MENTIONS_MAX);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use terachat_core_store::crdt::Stamp;
    use terachat_core_store::model::{Member, Rank};
    use terachat_event::{DeviceId, UserId};

    fn state() -> SpaceState {
        let since = Stamp { lamport: 1, author: DeviceId([0; 32]), seq: 1 };
        let member =
            |name: &str| Member { name: name.into(), rank: Rank::MEMBER, since, removed: name == "eve" };
        let names = ["ann", "ann marie", "bob", "eve", "bob"];
        let members =
            (1..).zip(names).map(|(n, name)| (UserId([n; 32]), std::sync::Arc::new(member(name)))).collect();
        let mut state = SpaceState::default();
        state.members = members;
        state
    }

    #[test]
    fn an_at_sign_before_a_name_mentions_its_bearer() {
        let user = |n| Mention::User(UserId([n; 32]));
        for (body, expected) in [
            ("@ann: look", vec![user(1)]),
            ("(@ann marie), @everyone!", vec![Mention::Everyone, user(2)]),
            ("@bob", vec![user(3), user(5)]),
            ("mail me at x@ann or @anne or @eve", vec![]),
            ("@ann @ann", vec![user(1)]),
            ("@", vec![]),
        ] {
            assert_eq!(mentions(body, &state()), expected, "{body}");
        }
    }

    #[test]
    fn a_hash_is_64_digits() {
        assert_eq!(unhex(&"0a".repeat(32)), Some([10; 32]));
        for bad in ["", "0a", &"0g".repeat(32), &"é".repeat(32), &"+1".repeat(32)] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
