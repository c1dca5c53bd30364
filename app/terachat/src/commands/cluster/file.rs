use super::{as_client, failed};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::render;
use serde_json::json;
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use terachat_cluster::ItemTag;
use terachat_node::{PATIENCE, Progress, get_file, items_of_file, put_file, stream_file};

/// Puts a file and prints its reference.
pub(super) fn put(folder: &Path, file: &Path, global: &Global, printer: &Printer) -> Result<()> {
    let (mut from, len): (Box<dyn Read + Send>, u64) = if file == Path::new("-") {
        (Box::new(std::io::stdin()), 0)
    } else {
        let open = |error| Failure::file("read", file, &error);
        let from = File::open(file).map_err(open)?;
        let len = from.metadata().map_err(open)?.len();
        (Box::new(from), len)
    };
    let (reference, progress) = as_client(folder, global, PATIENCE, async |client, own| {
        let shown = shown(printer, len);
        let put =
            put_file(client, own.keys(), &mut from, len, 0, |progress| shown.set_position(progress.done))
                .await;
        shown.finish_and_clear();
        put.map_err(failed)
    })?;
    if progress.known > 0 {
        printer.talk(&format!("{} of {} bytes were there already.", progress.known, progress.len));
    }
    printer.data(&match printer.is_json() {
        true => render::json_value(&json!({
            "reference": reference.to_string(), "bytes": progress.len, "known": progress.known,
        })),
        false => format!("{reference}\n"),
    })
}

/// Gets a file by its reference.
pub(super) fn get(
    folder: &Path,
    reference: &str,
    out: Option<&Path>,
    global: &Global,
    printer: &Printer,
) -> Result<()> {
    let reference = reference.parse().map_err(Failure::from_text)?;
    let Some(out) = out else {
        let mut stdout = std::io::stdout();
        if stdout.is_terminal() {
            return Err(Failure::new("a file is not shown on a terminal", "name a file with -o FILE"));
        }
        as_client(folder, global, PATIENCE, async |client, _| {
            stream_file(client, &reference, &mut stdout).await.map_err(failed)
        })?;
        return stdout.flush().map_err(|error| Failure::output(&error));
    };
    let progress = fetched_into(out, |part| {
        as_client(folder, global, PATIENCE, async |client, _| {
            let shown = shown(printer, 0);
            let got = get_file(client, &reference, part, |progress| {
                shown.set_length(progress.len);
                shown.set_position(progress.done);
            });
            let got = got.await;
            shown.finish_and_clear();
            got.map_err(failed)
        })
    })?;
    if progress.known > 0 {
        printer.talk(&format!("{} of {} bytes were there of an earlier try.", progress.known, progress.len));
    }
    if printer.is_json() {
        let value = json!({ "file": out, "bytes": progress.len, "known": progress.known });
        return printer.data(&render::json_value(&value));
    }
    printer.talk(&format!("{} bytes in {}", progress.len, out.display()));
    Ok(())
}

/// Prints under which names a file is kept.
pub(super) fn items(folder: &Path, reference: &str, global: &Global, printer: &Printer) -> Result<()> {
    let reference = reference.parse().map_err(Failure::from_text)?;
    let items = as_client(folder, global, PATIENCE, async |client, _| {
        items_of_file(client, &reference).await.map_err(failed)
    })?;
    let tags = items.into_iter().map(|name| ItemTag(name).to_string());
    printer.data(&match printer.is_json() {
        true => render::json_value(&json!({ "items": tags.collect::<Vec<_>>() })),
        false => tags.map(|tag| tag + "\n").collect(),
    })
}

/// Fetches into a file beside the place, which may hold what an earlier try left, and puts it there once it is whole and durable.
pub(in crate::commands) fn fetched_into(
    out: &Path,
    fetch: impl FnOnce(&mut File) -> Result<Progress>,
) -> Result<Progress> {
    if out.exists() {
        return Err(Failure::file("write", out, &std::io::ErrorKind::AlreadyExists.into()));
    }
    let part = part(out);
    let failed_here = |error| Failure::file("write", &part, &error);
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&part).map_err(failed_here)?;
    let progress = fetch(&mut file)?;
    file.sync_all().and_then(|()| std::fs::rename(&part, out)).map_err(failed_here)?;
    Ok(progress)
}

/// Where a file is until it is whole.
fn part(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    out.with_file_name(name)
}

/// How far it is, on a terminal.
pub(in crate::commands) fn shown(printer: &Printer, len: u64) -> indicatif::ProgressBar {
    let quiet = printer.is_quiet() || printer.is_json() || !std::io::stderr().is_terminal();
    if quiet { indicatif::ProgressBar::hidden() } else { indicatif::ProgressBar::new(len) }
}
