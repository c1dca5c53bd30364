//! What people say.
use super::world::{Said, World};
use crate::api::{Answer, Arrangement, ImportRecord, NewPost, Place, Request, Style};
use terachat_event::{DeviceId, LogId};

/// Most channels of the space.
const CHANNELS_MAX: usize = 5;

impl World {
    fn place(log: &LogId) -> Place {
        Place { space: None, channel: log.channel.map(|id| id.to_string()) }
    }

    /// A channel that the device knows.
    pub(super) fn anywhere(&mut self, at: usize) -> Option<LogId> {
        let logs = self.devices[at].client.store.logs();
        let channels: Vec<LogId> = logs.into_iter().filter(|log| log.channel.is_some()).collect();
        self.random.pick(&channels)
    }

    pub(super) fn text(&mut self, at: usize) -> String {
        self.serial += 1;
        format!("word {} of d{at}{}", self.serial, " and so on".repeat(self.random.below(8)))
    }

    pub(super) fn speak(&mut self, at: usize) {
        let Some(log) = self.anywhere(at) else { return };
        let place = Self::place(&log);
        let known = self.page(at, &log);
        let target = self.random.pick(&known);
        let body = self.text(at);
        match (self.random.below(13), target) {
            (0..5, _) | (_, None) => {
                self.send(at, &log, body, None);
            }
            (5..7, Some(target)) => {
                self.send(at, &log, body, Some(target.id));
            }
            (7, Some(_)) => {
                let mine: Vec<usize> = (0..self.said.len())
                    .filter(|n| self.said[*n].author == at && self.said[*n].log == log)
                    .collect();
                let Some(n) = self.random.pick(&mine) else { return };
                self.withhold(at, &body);
                let message = self.said[n].id.clone();
                let lives = self.devices[at].lives();
                match self.ask(at, Request::Edit { place, message, body: body.clone() }) {
                    Ok(_) => {
                        self.sealed_now(at, lives, &[&body]);
                        self.said[n].bodies = vec![body];
                    }
                    Err(_) => self.said[n].bodies.push(body),
                }
            }
            (8, Some(target)) => {
                let emoji = self.random.pick(&["+1", "-1"]).unwrap_or_default().to_owned();
                let remove = self.random.one_in(3);
                let _ = self.ask(at, Request::React { place, message: target.id, emoji, remove });
            }
            (9, Some(target)) => {
                let deleted = self.said.iter_mut().filter(|said| said.id == target.id && said.log == log);
                deleted.for_each(|said| said.deleted = true);
                let _ = self.ask(at, Request::Delete { place, message: target.id });
            }
            (10, Some(target)) => {
                let _ = self.ask(at, Request::Mark { place, message: Some(target.id) });
            }
            (11, Some(target)) => {
                let (title, tags) = (body.clone(), vec!["tag".to_owned()]);
                let body = format!("@everyone: {body}");
                self.withhold(at, &body);
                let post =
                    NewPost { body: body.clone(), title: Some(title.clone()), tags, ..NewPost::default() };
                let lives = self.devices[at].lives();
                if let Ok(Answer::Sent { id }) =
                    self.ask(at, Request::Post { place: place.clone(), post: post.into() })
                    && !self.lies(at)
                {
                    self.sealed_now(at, lives, &[&body, &title]);
                    self.said.push(Said { id, author: at, log, bodies: vec![body], deleted: false });
                }
                let title = self.text(at);
                let _ = self.ask(at, Request::Retitle { place, message: target.id, title, tags: Vec::new() });
            }
            (_, Some(target)) => {
                let remove = self.random.one_in(3);
                let _ = self.ask(at, Request::Pin { place, message: target.id, remove });
            }
        }
    }

    pub(super) fn send(&mut self, at: usize, log: &LogId, body: String, reply_to: Option<String>) -> bool {
        self.withhold(at, &body);
        let request = Request::Send { place: Self::place(log), body: body.clone(), reply_to };
        let lives = self.devices[at].lives();
        let Ok(Answer::Sent { id }) = self.ask(at, request) else { return false };
        self.sealed_now(at, lives, &[&body]);
        if !self.lies(at) {
            self.said.push(Said { id, author: at, log: *log, bodies: vec![body], deleted: false });
        }
        true
    }

    /// Notes who must not read what a device is about to say: whoever it knows to be removed.
    fn withhold(&mut self, at: usize, body: &str) {
        let gone = self.gone_for(at);
        self.withheld.extend(gone.into_iter().map(|n| (n, body.to_owned())));
    }

    /// Devices that a device knows to be removed or revoked.
    pub(super) fn gone_for(&self, at: usize) -> Vec<usize> {
        let Some(space) = self.devices[at].client.store.spaces().next() else { return Vec::new() };
        let Some(state) = self.devices[at].client.store.space(&space) else { return Vec::new() };
        let gone = |id: &[u8; 32]| {
            state.devices.contains_key(&DeviceId(*id)) && state.member_of(&DeviceId(*id)).is_none()
        };
        (0..self.devices.len()).filter(|n| *n != at && gone(&self.devices[*n].id)).collect()
    }

    /// Several messages under one sync; if that fails the device starts anew, as the interface asks.
    pub(super) fn speak_at_once(&mut self, at: usize) {
        let Some(log) = self.anywhere(at) else { return };
        let bodies: Vec<String> = (0..self.random.within(2..=5)).map(|_| self.text(at)).collect();
        bodies.iter().for_each(|body| self.withhold(at, body));
        let request =
            |body: &String| Request::Send { place: Self::place(&log), body: body.clone(), reply_to: None };
        let now = self.now;
        let result = self.devices[at].client.execute_all(bodies.iter().map(request).collect(), now);
        let fault = self.fired(at);
        self.note(|| format!("d{at} says {} at once: {} {fault:?}", bodies.len(), result.is_ok()));
        let Ok(answers) = result else {
            assert!(fault.is_some(), "d{at} cannot write");
            return self.reboot(at, false);
        };
        for (body, answer) in bodies.into_iter().zip(answers) {
            if let Ok(Answer::Sent { id }) = answer
                && !self.lies(at)
            {
                self.sealed_now(at, self.devices[at].lives(), &[&body]);
                self.said.push(Said { id, author: at, log, bodies: vec![body], deleted: false });
            }
        }
        self.after(at, fault);
    }

    pub(super) fn import(&mut self, at: usize) {
        let Some(log) = self.anywhere(at) else { return };
        let source = at as u64;
        let Ok(Answer::ImportPosition { last_id }) =
            self.ask(at, Request::ImportPosition { place: Self::place(&log), source })
        else {
            return;
        };
        let record = |id: u64| ImportRecord {
            id,
            ts_ms: id as i64,
            style: Style::Message,
            author: format!("nick{}", id % 3),
            body: format!("record {id} of d{at}"),
            reply_to: (id > 2).then(|| id - 2),
        };
        let from = last_id.saturating_sub(self.random.below(5) as u64) + 1;
        let records: Vec<ImportRecord> =
            (from..from + self.random.within(1..=30) as u64).map(record).collect();
        let last = records.last().map_or(0, |record| record.id).max(last_id);
        if self.ask(at, Request::Import { place: Self::place(&log), source, records }).is_ok()
            && !self.lies(at)
        {
            self.imported.insert((at, log), last);
        }
    }

    pub(super) fn channel(&mut self, at: usize) {
        if self.devices[at].client.store.logs().len() <= CHANNELS_MAX {
            let name = format!("room{}", self.random.below(3));
            let forum = self.random.one_in(3);
            let since_join = self.cast.since_join && self.random.one_in(2);
            let _ = self.ask(at, Request::ChannelCreate { space: None, name, forum, since_join });
        }
        self.arrange(at);
    }

    fn arrange(&mut self, at: usize) {
        let Some(log) = self.anywhere(at) else { return };
        let channel = log.channel.map(|id| id.to_string()).unwrap_or_default();
        let name = self.text(at);
        let other = self.anywhere(at).and_then(|log| log.channel).map(|id| id.to_string());
        let change = match self.random.below(4) {
            0 => Arrangement::CreateCategory { name: "rooms".to_owned() },
            1 => Arrangement::RenameChannel { channel, name: name.chars().take(20).collect() },
            2 => Arrangement::Topic { channel, topic: name },
            _ => Arrangement::Place { channel, category: Some("rooms".to_owned()), after: other },
        };
        let _ = self.ask(at, Request::Arrange { space: None, change });
    }
}
