//! A space's archive: which devices it requires, legal holds, and what members are told of both. ADR 0039.
mod cards;
mod chain;
mod export;
pub(crate) mod line;
mod verify;

pub use export::ArchiveExport;
pub use verify::{ARCHIVE_LINE_LEN_MAX, ArchiveCheck};

use crate::api::{Answer, ArchiveStatus, HoldStatus, Notice};
use crate::find::pick;
use crate::{Client, Error};
use std::ops::Range;
use terachat_core_store::model::{Archive, ControlOp, Held};
use terachat_event::{DeviceId, LogId, SpaceId};

/// Why a file is no export, or not one that its archive signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A newer version wrote it.
    #[error("a newer terachat wrote it; verify it with that version")]
    Version,
    /// A line that no export holds, or in no such place.
    #[error("a line was changed or is no export's: {0}")]
    Line(&'static str),
    /// An event that nobody signed.
    #[error("a chain of events was changed: {0}")]
    Chain(&'static str),
    /// It does not hold what its manifest says.
    #[error("it does not hold what its manifest says; some of it was changed, added or left out")]
    Manifest,
    /// Its manifest is not signed by the archive that it names.
    #[error("its manifest is not signed by the archive that it names")]
    Signature,
    /// It ends before its manifest.
    #[error("it is cut short: the manifest at its end is missing")]
    CutShort,
}

impl Client {
    pub(crate) fn archive_require(
        &mut self,
        space: Option<&str>,
        device: &str,
        required: bool,
    ) -> Result<Answer, Error> {
        let space = self.space(space)?;
        let device = self.archive_device(&space, device, required)?;
        self.govern(space, ControlOp::RequireArchive { device, required })
    }

    pub(crate) fn hold(
        &mut self,
        space: Option<&str>,
        channel: Option<&str>,
        member: Option<&str>,
        stands: bool,
    ) -> Result<Answer, Error> {
        let space = self.space(space)?;
        let on = match (channel, member) {
            (Some(channel), None) => Held::Channel(self.channel(&space, channel)?),
            (None, Some(member)) => Held::Member(self.anyone(&space, member)?),
            _ => return Err(Error::Input("a hold is on a channel or on a member; name one of them")),
        };
        self.govern(space, ControlOp::Hold { on, stands })
    }

    pub(crate) fn govern(&mut self, space: SpaceId, op: ControlOp) -> Result<Answer, Error> {
        self.permitted(&space, &op)?;
        self.control(space, vec![op], |_| Vec::new())?;
        self.follow_up(space);
        Ok(Answer::Done)
    }

    /// The device of this id or id prefix, or the only one of the member of this name. Once it is required it may be nobody's
    /// any more.
    fn archive_device(&self, space: &SpaceId, name: &str, required: bool) -> Result<DeviceId, Error> {
        let Some(state) = self.store.space(space) else {
            return Err(Error::Unknown { what: "space", name: space.short() });
        };
        let devices: Vec<DeviceId> = match required {
            true => state.present_devices().copied().collect(),
            false => state.archive().devices().map(|(device, _)| *device).collect(),
        };
        let log = LogId::control(*space);
        let named = |device: DeviceId| (device, device.to_string(), self.name_of(&log, &device));
        pick("device", Some(name), devices.into_iter().map(named).collect())
    }

    /// Whether a space requires this device as its archive.
    pub(crate) fn archives(&self, space: &SpaceId) -> bool {
        let me = self.identity.device_id();
        self.store.space(space).is_some_and(|state| state.archive().requires(&me))
    }

    /// Refuses what an archive does not do: it reads, and its silence is what makes it one.
    pub(crate) fn is_no_archive(&self, space: &SpaceId) -> Result<(), Error> {
        match self.archives(space) {
            true => Err(Error::NotAllowed("this device is the space's archive, which writes nothing")),
            false => Ok(()),
        }
    }

    /// Whose devices a space requires as its archive.
    pub(crate) fn archive_names(&self, space: &SpaceId) -> Vec<String> {
        let devices = self.store.space(space).into_iter().flat_map(|state| state.archive().devices());
        devices.map(|(device, _)| self.name_of(&LogId::control(*space), device)).collect()
    }

    pub(crate) fn archive_status(&self, space: &SpaceId) -> Result<Vec<ArchiveStatus>, Error> {
        let Some(state) = self.store.space(space) else { return Ok(Vec::new()) };
        let control = LogId::control(*space);
        let epoch = self.epoch(space).ok();
        // A device outside the group goes by what the control log says.
        let group = epoch.map(|epoch| self.group(space, &epoch.commit)).transpose()?.flatten();
        let inside = group.map(|group| group.members());
        let all = state.archive().devices().map(|(device, since)| ArchiveStatus {
            device: device.to_string(),
            user: state.devices.get(device).map(ToString::to_string).unwrap_or_default(),
            name: self.name_of(&control, device),
            reads: state.member_of(device).is_some()
                && inside.as_ref().is_none_or(|inside| inside.contains(&device.0)),
            by: self.name_of(&control, &since.author),
        });
        Ok(all.collect())
    }

    /// What a hold is on, in words.
    pub(crate) fn held(&self, space: &SpaceId, on: &Held) -> String {
        let state = self.store.space(space);
        match on {
            Held::Channel(id) => {
                let channel = state.and_then(|state| state.channels.get(id));
                format!("channel {}", channel.map_or_else(|| id.short(), |channel| channel.name.clone()))
            }
            Held::Member(user) => {
                let member = state.and_then(|state| state.members.get(user));
                format!("what {} writes", member.map_or_else(|| user.short(), |member| member.name.clone()))
            }
        }
    }

    pub(crate) fn hold_status(&self, space: &SpaceId) -> Vec<HoldStatus> {
        let Some(state) = self.store.space(space) else { return Vec::new() };
        let holds = state.archive().holds().map(|(on, since)| {
            let (what, id, name) = match on {
                Held::Channel(id) => {
                    ("channel", id.to_string(), state.channels.get(id).map(|channel| channel.name.clone()))
                }
                Held::Member(user) => {
                    ("member", user.to_string(), state.members.get(user).map(|member| member.name.clone()))
                }
            };
            let by = self.name_of(&LogId::control(*space), &since.author);
            HoldStatus { what: what.to_owned(), id, name: name.unwrap_or_default(), by }
        });
        holds.collect()
    }

    /// What members should know: an archive that does not read along, and who tried to remove one.
    pub(crate) fn archive_warnings(&self, space: &SpaceId) -> Result<Vec<String>, Error> {
        let archives = self.archive_status(space)?;
        if archives.is_empty() {
            return Ok(Vec::new());
        }
        let outside = archives.iter().filter(|archive| !archive.reads);
        let mut warnings: Vec<String> =
            outside.map(|archive| format!("the archive {} does not read along", archive.name)).collect();
        if let Some(control) = self.store.control(space)? {
            let log = LogId::control(*space);
            let tried = control.events().filter(|(event, _)| control.takes_archive(&event.hash));
            warnings.extend(tried.map(|(event, _)| {
                let (by, id) = (self.name_of(&log, &event.stamp.author), event.stamp.event());
                format!("{by} tried to remove an archive, which does not count (event {id})")
            }));
        }
        Ok(warnings)
    }

    /// Warns of those among new control events that would have removed an archive.
    pub(crate) fn warn_of(&mut self, log: &LogId, new: Range<u32>) -> Result<(), Error> {
        let archived = self.store.space(&log.space).is_some_and(|state| !state.archive().is_none());
        if !archived {
            return Ok(());
        }
        let events = self.store.event_refs(log, new);
        let Some(control) = self.store.control(&log.space)? else { return Ok(()) };
        let tried =
            control.events().map(|(event, _)| event).filter(|event| control.takes_archive(&event.hash));
        let new = tried.filter(|event| events.contains(&event.stamp.event()));
        let by: Vec<DeviceId> = new.map(|event| event.stamp.author).collect();
        for author in by {
            let what = format!(
                "{} tried to remove an archive that the space requires; that does not count",
                self.name_of(log, &author)
            );
            self.notices.push_back(Notice::Alarm { what });
        }
        Ok(())
    }

    /// Follows what a space requires of its archive: tells this user what has changed, and has this device do its part if it
    /// is one. What holds kept is erased once they have ended.
    pub(crate) fn follow_archive(&mut self, space: SpaceId) -> Result<(), Error> {
        let Some(now) = self.store.space(&space).map(|state| state.archive().clone()) else { return Ok(()) };
        let before = self.archives.get(&space).cloned().unwrap_or_default();
        if now == before {
            return Ok(());
        }
        for what in self.archive_news(&space, &before, &now) {
            self.notices.push_back(Notice::Space { space: space.to_string(), what });
        }
        let me = self.identity.device_id();
        let (was, is) = (before.requires(&me), now.requires(&me));
        self.archives.insert(space, now.clone());
        if is && self.kept(&space).is_some() {
            self.select(space, None)?;
        }
        let ended = before.holds().any(|(on, _)| now.holds().all(|(other, _)| other != on));
        self.erases |= was && (ended || !is);
        self.erase_released();
        Ok(())
    }

    /// Erases what holds kept that have ended. What a crash or a full disk keeps it from is erased as all that is deleted.
    pub(crate) fn erase_released(&mut self) {
        if !self.erases || self.store.is_deferring() {
            return;
        }
        self.erases = false;
        if let Err(error) = self.store.compact() {
            self.notices.push_back(Notice::Alarm { what: error.to_string() });
        }
    }

    fn archive_news(&self, space: &SpaceId, before: &Archive, now: &Archive) -> Vec<String> {
        let log = LogId::control(*space);
        let name = |device: &DeviceId| self.name_of(&log, device);
        let held = |on: &Held| self.held(space, on);
        let mut news: Vec<String> = Vec::new();
        let devices = |archive: &Archive| archive.devices().map(|(device, _)| *device).collect::<Vec<_>>();
        let holds = |archive: &Archive| archive.holds().map(|(on, _)| *on).collect::<Vec<_>>();
        let required = devices(now).into_iter().filter(|device| !before.requires(device));
        news.extend(
            required
                .map(|device| format!("{} is its archive and reads along in all channels", name(&device))),
        );
        let released = devices(before).into_iter().filter(|device| !now.requires(device));
        news.extend(
            released.map(|device| format!("{} is not required as its archive any more", name(&device))),
        );
        let (then, stand) = (holds(before), holds(now));
        let put = stand.iter().filter(|on| !then.contains(on));
        news.extend(put.map(|on| {
            format!(
                "a legal hold is on {}: what is deleted there stays with the archive until it ends",
                held(on)
            )
        }));
        let ended = then.iter().filter(|on| !stand.contains(on));
        news.extend(ended.map(|on| format!("the legal hold on {} has ended", held(on))));
        news
    }
}
