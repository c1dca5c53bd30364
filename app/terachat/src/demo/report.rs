use super::promise::Promise;
use super::stage::Stage;
use crate::failure::{Failure, Result};
use crate::render::{self, Align, Look, Table};
use serde::Serialize;
use std::time::Duration;

/// What was done, how long it took, and what held.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    devices: u8,
    records: usize,
    steps: Vec<Step>,
    promises: Vec<Verdict>,
    total_ms: u128,
}

#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    shown: String,
    failed: bool,
    ms: u128,
}

#[derive(Debug, Serialize)]
struct Verdict {
    promise: Promise,
    text: &'static str,
    held: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Report {
    pub(super) fn new(devices: u8, records: usize) -> Self {
        Self { devices, records, steps: Vec::new(), promises: Vec::new(), total_ms: 0 }
    }

    pub(super) fn step(&mut self, step: &'static str, outcome: Result<String>, took: Duration) {
        let failed = outcome.is_err();
        let shown = match outcome {
            Ok(shown) => shown,
            Err(Failure::Told { what, next }) => format!("failed: {what} ({next})"),
            Err(_) => "failed".to_owned(),
        };
        self.total_ms += took.as_millis();
        self.steps.push(Step { step, shown, failed, ms: took.as_millis() });
    }

    /// What was checked; what was not reached does not hold.
    pub(super) fn take_promises(&mut self, stage: &Stage) {
        let verdict = |promise: Promise| {
            let why = match stage.verdicts.get(&promise) {
                Some(Ok(())) => None,
                Some(Err(why)) => Some(why.clone()),
                None => Some("was not reached".to_owned()),
            };
            Verdict { promise, text: promise.text(), held: why.is_none(), why }
        };
        self.promises = Promise::ALL.into_iter().map(verdict).collect();
    }

    pub(super) fn holds(&self) -> bool {
        !self.promises.is_empty()
            && self.promises.iter().all(|verdict| verdict.held)
            && self.steps.iter().all(|step| !step.failed)
    }

    pub(super) fn json(&self) -> String {
        render::json_value(&serde_json::json!({ "held": self.holds(), "report": self }))
    }

    pub(super) fn text(&self, look: &Look) -> String {
        let paint = look.paint;
        let mut out = format!("{} devices, {} records in the log\n\n", self.devices, self.records);
        let mut table = Table::indented(0);
        for step in &self.steps {
            let shown = render::one_line(&step.shown);
            let shown = if step.failed { paint.alarm(&shown) } else { shown };
            table.row().painted(step.step, paint.strong(step.step), Align::Left);
            table.number(seconds(step.ms)).painted("", shown, Align::Left);
        }
        table.row().cell("total").number(seconds(self.total_ms));
        out.push_str(&table.render());
        out.push('\n');
        let mut table = Table::indented(0);
        for verdict in &self.promises {
            let (word, shown) =
                if verdict.held { ("held", paint.good("held")) } else { ("BROKEN", paint.alarm("BROKEN")) };
            table.row().painted(word, shown, Align::Left).painted("", verdict.text.to_owned(), Align::Left);
            if let Some(why) = &verdict.why {
                table.row().cell("").painted("", paint.alarm(&render::one_line(why)), Align::Left);
            }
        }
        out.push_str(&table.render());
        let broken = self.promises.iter().filter(|verdict| !verdict.held).count();
        out.push_str(&match broken {
            0 if self.holds() => format!("\n{}\n", paint.good("Every promise held.")),
            _ => format!(
                "\n{}\n",
                paint.alarm(&format!("{broken} of {} promises did not hold.", self.promises.len()))
            ),
        });
        out
    }
}

fn seconds(ms: u128) -> String {
    format!("{}.{:02} s", ms / 1000, ms % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(held: bool) -> Report {
        let mut report = Report::new(3, 60);
        report.step("found", Ok("3 profiles".into()), Duration::from_millis(1234));
        let why = (!held).then(|| "two differ".to_owned());
        report.promises = vec![Verdict { promise: Promise::Kept, text: Promise::Kept.text(), held, why }];
        report
    }

    #[test]
    fn the_table_names_what_did_not_hold() {
        let good = report(true);
        assert!(good.holds());
        assert_eq!(
            good.text(&Look::bare()),
            "3 devices, 60 records in the log\n\n\
             found  1.23 s  3 profiles\n\
             total  1.23 s\n\n\
             held  What was acknowledged before a SIGKILL is there after it\n\n\
             Every promise held.\n"
        );
        let bad = report(false);
        assert!(!bad.holds());
        assert!(bad.text(&Look::bare()).contains("BROKEN") && bad.text(&Look::bare()).contains("two differ"));
    }

    #[test]
    fn a_failed_step_is_a_failed_demo() {
        let mut report = report(true);
        report.step("gather", Err(Failure::new("no", "yes")), Duration::ZERO);
        assert!(!report.holds());
    }

    #[test]
    fn json_is_parseable() {
        let value: serde_json::Value = serde_json::from_str(&report(true).json()).unwrap();
        assert_eq!(value["held"], true);
        assert_eq!(value["report"]["promises"][0]["promise"], "kept");
    }
}
