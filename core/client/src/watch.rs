//! The audit that goes on by itself while a device is connected: what is new every minute, everything now and then.
use crate::api::Notice;
use crate::store_check::Checks;
use crate::{Client, Error};
use terachat_core_store::store::{Audit, BlockRef, Report};

/// Between two checks of what is new, in milliseconds.
const NEWS_EVERY_MS: u64 = 60_000;
/// Between two audits of everything, in milliseconds: six hours.
const ALL_EVERY_MS: u64 = 6 * 60 * 60 * 1000;
/// Bytes replayed in one slice: a few milliseconds, for which whoever asks something waits.
const SLICE_LEN: usize = 256 * 1024;

/// How far the audit in the background is.
#[derive(Default)]
pub(crate) struct Watch {
    under_way: Option<Audit>,
    /// Somebody has all checked, which is an audit of everything too.
    pub(crate) checks: Checks,
    /// When the last one of everything ended, or this began.
    all_ms: Option<u64>,
    news_ms: u64,
    /// Up to where all is known to be good, and how often the log had been compacted then.
    good: Option<(BlockRef, u32)>,
}

impl Client {
    /// Goes on auditing in the background for one slice, if it is time to, or with a snapshot, if one is due; to be called while nobody asks for anything. Gives
    /// whether more is to be done at once. What it finds becomes a [`Notice::Audited`]; with an alarm in it, nothing is
    /// written any more, see [`Client::halted`]. Every ten minutes it writes a checkpoint, see [`Client::checkpoint`].
    ///
    /// # Errors
    /// [`Error::Store`] when the disk cannot be read; [`Error::Rollback`].
    pub fn watch(&mut self, now_ms: u64) -> Result<bool, Error> {
        if self.halted().is_some() {
            return Ok(false);
        }
        self.checkpoint_if_due(now_ms)?;
        self.now_ms = now_ms;
        self.prune_all_message_keys()?;
        self.mind_past_waits();
        let all_ms = *self.watch.all_ms.get_or_insert(now_ms);
        let is_checked = self.watch.checks.are_asked_for(now_ms);
        if self.watch.under_way.is_none() && !is_checked && now_ms.saturating_sub(all_ms) >= ALL_EVERY_MS {
            self.watch.under_way = Some(self.store.begin_audit()?);
        }
        if self.watch.under_way.is_some() {
            return self.watch_all();
        }
        if self.store.go_on_with_snapshot()? {
            return Ok(true);
        }
        if now_ms.saturating_sub(self.watch.news_ms) >= NEWS_EVERY_MS {
            self.watch.news_ms = now_ms;
            self.watch_news()?;
        }
        Ok(false)
    }

    /// Why nothing is written any more, if an audit found that what is held contradicts itself. It lasts until the profile
    /// is opened anew.
    pub fn halted(&self) -> Option<&str> {
        self.store.halted()
    }

    fn watch_all(&mut self) -> Result<bool, Error> {
        let Some(mut audit) = self.watch.under_way.take() else { return Ok(false) };
        let Some(report) = self.store.go_on_auditing(&mut audit, SLICE_LEN)? else {
            self.watch.under_way = Some(audit);
            return Ok(true);
        };
        self.all_audited(&report);
        Ok(false)
    }

    /// The audit that is under way, for somebody who goes on with it.
    pub(crate) fn hand_over_audit(&mut self) -> Option<Audit> {
        self.watch.under_way.take()
    }

    /// An audit of everything has ended.
    pub(crate) fn all_audited(&mut self, report: &Report) {
        self.watch.all_ms = Some(self.now_ms);
        self.all_good();
        let alarm = report.alarm.clone();
        self.notices.push_back(Notice::Audited { events: report.events, everything: true, alarm });
    }

    fn watch_news(&mut self) -> Result<(), Error> {
        let compacted = self.store.times_compacted();
        match self.watch.good {
            Some((after, then)) if then == compacted => {
                if self.store.last_block() == Some(after) {
                    return Ok(());
                }
                let (report, _) = self.store.audit_news(Some(after))?;
                if report.events > 0 || !report.alarm.is_empty() {
                    let notice =
                        Notice::Audited { events: report.events, everything: false, alarm: report.alarm };
                    self.notices.push_back(notice);
                }
            }
            // From here on. What came before is for the next audit of everything.
            _ => {}
        }
        self.all_good();
        Ok(())
    }

    fn all_good(&mut self) {
        self.watch.good = self.store.last_block().map(|last| (last, self.store.times_compacted()));
    }
}
