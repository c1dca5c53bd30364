use super::{failed, operator, show, show_rows};
use crate::args::{GetArgs, ProbeArgs, PutArgs, RecordArgs};
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use serde_json::json;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use terachat_template::{Probe, Threshold};
use terachat_vault::SecretBytes;
use terachat_vault_server::{reserved, view};
use terachat_vault_store::{
    Access, CONTENT_LEN_MAX, Content, Cursor, Expect, ListOptions, PutOptions, Record, Session, TemplateVault,
};

/// Room for the largest content as JSON, so that the vault can say what is too much.
const FILE_LEN_MAX: u64 = 2 * CONTENT_LEN_MAX as u64;
/// Room for the largest batch as JSON, likewise.
const BATCH_LEN_MAX: u64 = 32 << 20;

/// Everything that a person at the machine may do, but for the vault's own collections.
fn session(vault: &TemplateVault, collection: &str) -> Result<Session> {
    if reserved(collection) {
        let what = format_args!("{collection:?} is the vault's own");
        return Err(Failure::new(what, "`terachat vault token` is the way to tokens"));
    }
    vault.session(&operator(), Access::full()).map_err(|error| failed(&error))
}

pub(super) fn put(vault: &TemplateVault, args: &PutArgs, printer: &Printer) -> Result<()> {
    let RecordArgs { collection, id } = &args.record;
    let session = session(vault, collection)?;
    let bytes = read(&args.file, FILE_LEN_MAX)?;
    let content: Content = if args.content_json {
        view::content(bytes.expose_secret()).map_err(Failure::from_text)?
    } else {
        bytes.into()
    };
    let until = |keep: std::time::Duration| {
        vault.now_ms().saturating_add(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX))
    };
    let options = PutOptions {
        expect: match args.expect {
            None => Expect::Any,
            Some(0) => Expect::Absent,
            Some(version) => Expect::Version(version),
        },
        keep_until_ms: args.keep.map(until),
        compress: args.compress,
    };
    let version = session.put(collection, id, content, &options).map_err(|error| failed(&error))?;
    show(json!({"version": version}), printer)
}

pub(super) fn get(vault: &TemplateVault, args: &GetArgs, printer: &Printer) -> Result<()> {
    let RecordArgs { collection, id } = &args.record;
    let session = session(vault, collection)?;
    let record = match args.version {
        Some(version) => session.get_version(collection, id, version),
        None => session.get(collection, id),
    };
    let record = record.map_err(|error| failed(&error))?;
    match args.out.as_deref() {
        None if printer.is_json() => show(view::record(record).map_err(Failure::from_text)?, printer),
        // A secret is not for the screen unless it is asked for.
        None => {
            show(view::listed(record.info), printer)?;
            printer.talk("Next: --json shows the content, --out FILE writes it.");
            Ok(())
        }
        Some(out) => write(&record, out),
    }
}

fn write(record: &Record, out: &Path) -> Result<()> {
    let next = "show it with --json";
    let bytes =
        record.content.bytes().ok_or_else(|| Failure::new("a template has no form as bytes", next))?;
    if out != Path::new("-") {
        return super::upkeep::write_file(out, bytes);
    }
    let mut stdout = std::io::stdout().lock();
    if stdout.is_terminal() && std::str::from_utf8(bytes).is_err() {
        return Err(Failure::new(
            "these bytes are no text and would upset the terminal",
            "send them to a file",
        ));
    }
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| Failure::output(&error))
}

pub(super) fn list(
    vault: &TemplateVault,
    collection: &str,
    limit: u32,
    cursor: Option<String>,
    template_type: Option<String>,
    printer: &Printer,
) -> Result<()> {
    let session = session(vault, collection)?;
    let options = ListOptions {
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        cursor: cursor.map(|text| text.parse::<Cursor>()).transpose().map_err(|error| failed(&error))?,
        template_type: template_type.map(|name| name.parse()).transpose().map_err(Failure::from_text)?,
    };
    let page = session.list(collection, &options).map_err(|error| failed(&error))?;
    let next = page.next.map(|cursor| cursor.to_string());
    if page.damaged > 0 {
        printer.warn(&format!("{} records do not open; `terachat vault check` names them", page.damaged));
    }
    let more = json!({"damaged": page.damaged, "next": next});
    show_rows(page.records.into_iter().map(view::listed).collect(), "records", more, printer)?;
    if let Some(next) = next {
        printer.talk(&format!("There is more: --cursor {next}"));
    }
    Ok(())
}

pub(super) fn delete(
    vault: &TemplateVault,
    record: &RecordArgs,
    version: Option<u64>,
    out: Option<&Path>,
    printer: &Printer,
) -> Result<()> {
    let session = session(vault, &record.collection)?;
    let receipt = match version {
        Some(version) => session.delete_version(&record.collection, &record.id, version),
        None => session.delete(&record.collection, &record.id),
    };
    let receipt = receipt.map_err(|error| failed(&error))?;
    if let Some(out) = out {
        super::upkeep::write_file(out, &receipt.encode())?;
    }
    show(view::receipt(&receipt), printer)
}

/// Several operations as one step. What it erases is erased before this returns, unless the batch says otherwise.
pub(super) fn batch(vault: &TemplateVault, collection: &str, file: &Path, printer: &Printer) -> Result<()> {
    let session = session(vault, collection)?;
    let bytes = read(file, BATCH_LEN_MAX)?;
    let batch = view::batch(bytes.expose_secret()).map_err(Failure::from_text)?;
    let applied = session.apply(collection, batch).map_err(|error| failed(&error))?;
    let receipt = match applied.erasure {
        Some(erasure) => vault.receipt(erasure).map_err(|error| failed(&error))?,
        None => None,
    };
    show(view::applied(&applied, receipt.as_ref()), printer)
}

pub(super) fn versions(vault: &TemplateVault, record: &RecordArgs, printer: &Printer) -> Result<()> {
    let session = session(vault, &record.collection)?;
    let versions = session.versions(&record.collection, &record.id).map_err(|error| failed(&error))?;
    show_rows(versions.into_iter().map(view::listed).collect(), "versions", json!({}), printer)
}

pub(super) fn restore(
    vault: &TemplateVault,
    record: &RecordArgs,
    version: u64,
    printer: &Printer,
) -> Result<()> {
    let session = session(vault, &record.collection)?;
    let version = session.restore(&record.collection, &record.id, version).map_err(|error| failed(&error))?;
    show(json!({"version": version}), printer)
}

/// Exit code 0 for a match, 1 for none: for scripts that open doors.
pub(super) fn verify(
    vault: &TemplateVault,
    record: &RecordArgs,
    args: &ProbeArgs,
    printer: &Printer,
) -> Result<()> {
    let session = session(vault, &record.collection)?;
    let (probe, threshold) = probe(args)?;
    let found =
        session.verify(&record.collection, &record.id, &probe, threshold).map_err(|error| failed(&error))?;
    show(json!({"score": found.score, "matched": found.matched}), printer)?;
    if found.matched { Ok(()) } else { Err(Failure::Shown) }
}

pub(super) fn identify(
    vault: &TemplateVault,
    collection: &str,
    args: &ProbeArgs,
    count: u32,
    printer: &Printer,
) -> Result<()> {
    let session = session(vault, collection)?;
    let (probe, threshold) = probe(args)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let found = session.identify(collection, &probe, threshold, count).map_err(|error| failed(&error))?;
    show_rows(found.into_iter().map(view::found).collect(), "matches", json!({}), printer)
}

fn probe(args: &ProbeArgs) -> Result<(Probe, Threshold)> {
    let bytes = read(&args.probe, FILE_LEN_MAX)?;
    let probe = view::probe(bytes.expose_secret()).map_err(Failure::from_text)?;
    let next = "give --threshold a number in between";
    Ok((probe, Threshold::new(args.threshold).map_err(|error| Failure::new(error, next))?))
}

/// Up to `len_max` bytes of a file, or of standard input for `-`.
fn read(path: &Path, len_max: u64) -> Result<SecretBytes> {
    let failed = |error: std::io::Error| Failure::file("read", path, &error);
    // Reserved beforehand where the length is known, so that no copy is left behind by growing.
    let len = path.metadata().map_or(64 << 10, |metadata| metadata.len()).min(len_max) + 1;
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    let taken = if path == Path::new("-") {
        std::io::stdin().lock().take(len_max).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(len_max).read_to_end(&mut bytes))
    };
    taken.map_err(failed)?;
    Ok(SecretBytes::take(bytes))
}
