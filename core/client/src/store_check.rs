//! The check of all that is on disk, asked for slice by slice while the profile is in use: other work goes on between two.
use crate::api::{Answer, StoreChecked, StoreDamage, StoreReport};
use crate::{Client, Error};
use terachat_core_store::store::{CheckProgress, CheckReport, Checking};

/// Bytes read or replayed for one request: a few milliseconds, for which whoever asks something else waits.
const SLICE_LEN: usize = 512 * 1024;
/// After this time without a request for more, in milliseconds, whoever asked is taken to have gone: one minute.
const ASKED_FOR_MS: u64 = 60_000;

/// The check that is under way, and what came of the last one.
#[derive(Default)]
pub(crate) struct Checks {
    under_way: Option<UnderWay>,
    /// How many were begun in this run of the program; the last one's number.
    begun: u64,
    ended: Option<(u64, StoreReport)>,
}

struct UnderWay {
    checking: Checking,
    asked_ms: u64,
}

impl Checks {
    /// Whether one is under way that somebody waits for; one that nobody does is given up.
    pub(crate) fn are_asked_for(&mut self, now_ms: u64) -> bool {
        let is_left = |under_way: &UnderWay| now_ms.saturating_sub(under_way.asked_ms) > ASKED_FOR_MS;
        if self.under_way.as_ref().is_some_and(is_left) {
            self.under_way = None;
        }
        self.under_way.is_some()
    }
}

impl Client {
    /// Goes on with the check of this number for a slice; begins one without a number, or joins the one that is under way.
    pub(crate) fn store_check(&mut self, number: Option<u64>) -> Result<Answer, Error> {
        let is_begun = self.watch.checks.are_asked_for(self.now_ms);
        let last = self.watch.checks.begun;
        if let (Some(number), Some((ended, report))) = (number, &self.watch.checks.ended)
            && number == *ended
        {
            let step = "done".to_owned();
            return Ok(Answer::StoreChecked(StoreChecked {
                number,
                step,
                done: 1,
                of: 1,
                report: Some(report.clone()),
            }));
        }
        if number.is_some_and(|number| !is_begun || number != last) {
            return Err(Error::Input(
                "that check is not under way any more; `terachat store check` begins another",
            ));
        }
        if !is_begun {
            let audit = self.hand_over_audit();
            let checking = self.store.begin_check(audit);
            self.watch.checks.under_way = Some(UnderWay { checking, asked_ms: self.now_ms });
            self.watch.checks.begun += 1;
        }
        self.go_on_checking(self.watch.checks.begun)
    }

    fn go_on_checking(&mut self, number: u64) -> Result<Answer, Error> {
        let gone = Error::Input("no check is under way; `terachat store check` begins one");
        let UnderWay { mut checking, .. } = self.watch.checks.under_way.take().ok_or(gone)?;
        let report = self.store.go_on_checking(&mut checking, SLICE_LEN)?;
        let (step, done, of) = match self.store.check_progress(&checking) {
            CheckProgress::Blocks { done, of } => ("blocks", done, of),
            CheckProgress::Replay { done, of } => ("replay", done as u64, of as u64),
        };
        let report = match report {
            Some(report) => {
                if let Some(audit) = &report.audit {
                    self.all_audited(audit);
                }
                let told = told(report);
                self.watch.checks.ended = Some((number, told.clone()));
                Some(told)
            }
            None => {
                self.watch.checks.under_way = Some(UnderWay { checking, asked_ms: self.now_ms });
                None
            }
        };
        let step = if report.is_some() { "done" } else { step }.to_owned();
        Ok(Answer::StoreChecked(StoreChecked { number, step, done, of, report }))
    }
}

fn told(report: CheckReport) -> StoreReport {
    let damage = report.findings.into_iter();
    StoreReport {
        blocks: report.blocks,
        bytes: report.bytes,
        snapshot_parts: report.snapshot_parts,
        events: report.audit.as_ref().map(|audit| audit.events),
        chains: report.audit.as_ref().map(|audit| audit.chains),
        signatures: report.audit.as_ref().map(|audit| audit.signatures),
        findings: damage
            .map(|found| StoreDamage { what: found.what, next: found.next, is_loss: found.is_loss })
            .collect(),
    }
}
