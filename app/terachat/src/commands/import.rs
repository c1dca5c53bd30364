use super::ask;
use crate::args::ImportArgs;
use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::import::{Batch, Batches, Source, Unreadable};
use crate::printer::Printer;
use crate::render;
use crate::session::Session;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;
use terachat_client::api::{Answer, ImportRecord, Place, Request};

/// Brings a log in, batch by batch; each is durable when the next is read.
pub(super) fn run(home: &Home, place: Place, args: &ImportArgs, printer: &Printer) -> Result<()> {
    let source = Source::open(&args.file)?;
    let mut session = Session::open(home)?;
    let bar = bar(source.len, printer);
    let mut work = Work { session: &mut session, place, printer, tally: Tally::default(), position: None };
    let outcome = work.all(source, args, &bar);
    bar.finish_and_clear();
    let tally = work.tally;
    session.close();
    outcome?;
    tally.show(printer)
}

struct Work<'a> {
    session: &'a mut Session,
    place: Place,
    printer: &'a Printer,
    tally: Tally,
    /// The last id that was durable when this run began.
    position: Option<u64>,
}

/// What a run came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
struct Tally {
    /// Newly added.
    added: usize,
    /// Already there.
    skipped: usize,
    /// Lines passed over.
    bad: usize,
    /// The last record's id.
    last_id: u64,
}

impl Work<'_> {
    fn all(&mut self, source: Source, args: &ImportArgs, bar: &ProgressBar) -> Result<()> {
        let Source { name, taken, reader, .. } = source;
        let mut batches = Batches::new(reader, ask::count(args.batch));
        loop {
            let batch = batches.next_batch().map_err(|error| {
                let what = format_args!("cannot read on in {name}: {error}");
                Failure::new(
                    what,
                    "mend or copy the file anew, then run the import again: it goes on where it stopped",
                )
            })?;
            match batch {
                Batch::End => return Ok(()),
                Batch::Records(records) => self.commit(batches.fingerprint(), records)?,
                Batch::Bad { number, reason: Unreadable(reason) } => {
                    let what = format!("line {number} of {name} cannot be read: {reason}");
                    if !args.skip_bad {
                        let next = "mend the line, or pass over such lines with --skip-bad; \
                                    what stands before it is safe, and a new run goes on from there";
                        return Err(Failure::new(what, next));
                    }
                    self.tally.bad += 1;
                    bar.suspend(|| self.printer.talk(&what));
                }
            }
            bar.set_position(taken.get());
            bar.set_message(format!("{} records", self.tally.added + self.tally.skipped));
        }
    }

    fn commit(&mut self, source: u64, mut records: Vec<ImportRecord>) -> Result<()> {
        let position = self.position(source)?;
        let all = records.len();
        self.tally.last_id = records.last().map_or(self.tally.last_id, |record| record.id);
        records.retain(|record| record.id > position);
        self.tally.skipped += all - records.len();
        if records.is_empty() {
            return Ok(());
        }
        let request = Request::Import { place: self.place.clone(), source, records };
        let Answer::Imported { added, skipped } = self.session.execute(request)? else {
            return Err(ask::unexpected());
        };
        self.tally.added += added;
        self.tally.skipped += skipped;
        if self.printer.is_json() {
            self.printer.data(&render::json_value(&serde_json::json!({ "progress": self.tally })))?;
        }
        Ok(())
    }

    fn position(&mut self, source: u64) -> Result<u64> {
        if let Some(position) = self.position {
            return Ok(position);
        }
        let request = Request::ImportPosition { place: self.place.clone(), source };
        let Answer::ImportPosition { last_id } = self.session.execute(request)? else {
            return Err(ask::unexpected());
        };
        if last_id > 0 {
            self.printer.talk(&format!("Part of this log is here already; going on after record {last_id}."));
        }
        self.position = Some(last_id);
        Ok(last_id)
    }
}

impl Tally {
    fn show(self, printer: &Printer) -> Result<()> {
        if printer.is_json() {
            return printer.data(&render::json_value(&serde_json::json!({ "imported": self })));
        }
        let bad = if self.bad > 0 { format!(", {} lines passed over", self.bad) } else { String::new() };
        printer.data(&format!("{} added, {} already there{bad}\n", self.added, self.skipped))
    }
}

/// Bytes of the file on stderr; none where nobody looks.
fn bar(len: Option<u64>, printer: &Printer) -> ProgressBar {
    let hidden = printer.is_quiet() || printer.is_json();
    let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(len, target);
    let template = match len {
        Some(_) => "{wide_bar} {percent:>3} %  {msg}  {eta} left",
        None => "{spinner} {msg}  {elapsed}",
    };
    let style = ProgressStyle::with_template(template).expect("the template is one of the two above");
    bar.set_style(style.progress_chars("━╸─"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
