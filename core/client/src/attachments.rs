//! Keys of files whose bytes are in the organisation's cluster (ADR 0037): drawn and remembered until the message that carries them is
//! posted, and given to whoever fetches such a file. The bytes themselves never come here.
use crate::api::{Answer, FileKey, KeyedFile, NewPost, Place};
use crate::status::hex;
use crate::{Client, Error};
use terachat_core_store::store::{UPLOAD_KEYS, Write};
use terachat_event::LogId;
use terachat_vault::{Secret, SecretBytes};

/// After so long nobody goes on with an upload, and its key is forgotten: 30 days.
const UPLOAD_MS_MAX: u64 = 30 * 24 * 3600 * 1000;

impl Client {
    /// Keys for the attachments of a message that is to be posted, each named by the path of its file: the same ones until it is.
    pub(crate) fn upload(
        &mut self,
        place: &Place,
        post: &NewPost,
        paths: &[String],
    ) -> Result<Answer, Error> {
        let log = self.place(place)?;
        if paths.is_empty() || paths.len() != post.attachments.len() {
            return Err(Error::Input("name a path for each attachment"));
        }
        self.may_post(&log)?;
        self.checked(&log, post)?;
        let mut writes = self.forgotten_uploads();
        let mut keys = Vec::new();
        for path in paths {
            let name = [&uploads_of(&log)[..], blake3::hash(path.as_bytes()).as_bytes()].concat();
            let known = self.store.record(&name).and_then(key_of);
            let key = match known {
                Some(mut key) => Secret::take(&mut key),
                None => Secret::generate(|out| self.store.entropy().fill(out)),
            };
            keys.push(FileKey(hex(key.expose_secret())));
            let value = SecretBytes::generate(40, |out| {
                let (at, rest) = out.split_at_mut(8);
                at.copy_from_slice(&self.now_ms.to_le_bytes());
                rest.copy_from_slice(key.expose_secret());
            });
            // At once: a file that is named twice has one key.
            writes.push((name, Some(value)));
            self.store.write_records(std::mem::take(&mut writes))?;
        }
        Ok(Answer::Upload { keys })
    }

    /// What takes the memory of uploads away whose message is posted.
    pub(crate) fn posted_uploads(&self, log: &LogId, keys: &[[u8; 32]]) -> Vec<Write> {
        let prefix = uploads_of(log);
        let records = self.store.records(&prefix);
        let posted = records.filter(|(_, value)| key_of(value).is_some_and(|key| keys.contains(&key)));
        posted.map(|(name, _)| (name.to_vec(), None)).collect()
    }

    fn forgotten_uploads(&self) -> Vec<Write> {
        let is_old = |value: &[u8]| {
            let begun = value.first_chunk().copied().map_or(0, u64::from_le_bytes);
            self.now_ms.saturating_sub(begun) > UPLOAD_MS_MAX
        };
        let old = self.store.records(UPLOAD_KEYS).filter(|(_, value)| is_old(value));
        old.map(|(name, _)| (name.to_vec(), None)).collect()
    }

    /// The files of a message with what opens them.
    pub(crate) fn attachments(&self, place: &Place, message: &str) -> Result<Answer, Error> {
        let log = self.readable(self.place(place)?)?;
        let view = self.store.message(&log, &self.event(&log, message)?)?;
        let gone = if view.deleted {
            Some("that message was deleted, and what opened its attachments with it")
        } else if view.sealed {
            Some(
                "that message was written before this device could read here; ask a member to send the file again",
            )
        } else if view.missing && view.attachments.is_empty() {
            Some("that message's text is not here yet; `terachat sync` with a member that has it")
        } else if view.attachments.is_empty() {
            Some("that message has no attachments; `terachat attachment list` shows those that have")
        } else {
            None
        };
        if let Some(why) = gone {
            return Err(Error::Input(why));
        }
        let files = view.attachments.into_iter().map(|file| {
            let key = file.stored.as_ref().map(|stored| FileKey(hex(&stored.key)));
            KeyedFile { file: crate::compose::attached(file), key }
        });
        Ok(Answer::Attachments { files: files.collect() })
    }
}

/// What names of records about a channel's uploads begin with.
fn uploads_of(log: &LogId) -> Vec<u8> {
    [UPLOAD_KEYS, &log.space.0, &log.channel.map_or([0; 32], |channel| channel.0)].concat()
}

fn key_of(value: &[u8]) -> Option<[u8; 32]> {
    value.get(8..)?.try_into().ok()
}
