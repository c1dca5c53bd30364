//! A space's archive: required, held, exported and verified.
use super::{ask, place};
use crate::args::ArchiveCommand;
use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::printer::Printer;
use crate::render;
use crate::session::Session;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use terachat_client::api::{ArchiveRange, Place, Request};
use terachat_client::{ARCHIVE_LINE_LEN_MAX, ArchiveCheck};
use terachat_host::clock;

pub(super) fn run(home: &Home, place: Place, command: ArchiveCommand, printer: &Printer) -> Result<()> {
    let Place { space, channel } = place;
    let require = |space, device, required| Request::ArchiveRequire { space, device, required };
    let request = match command {
        ArchiveCommand::Show => return show(home, space, printer),
        ArchiveCommand::Export { from, to, out } => {
            return export(home, &ArchiveRange { space, channel, from, to }, &out, printer);
        }
        ArchiveCommand::Verify { file } => return verify(&file, printer),
        ArchiveCommand::Require { device } => require(space, device, true),
        ArchiveCommand::Release { device } => require(space, device, false),
        ArchiveCommand::Hold { member } => Request::Hold { space, channel, member, stands: true },
        ArchiveCommand::EndHold { member } => Request::Hold { space, channel, member, stands: false },
    };
    ask::run(home, request, printer)
}

fn show(home: &Home, space: Option<String>, printer: &Printer) -> Result<()> {
    let mut session = Session::open(home)?;
    let status = ask::status(&mut session)?;
    session.close();
    let space = place::space(&status, space.as_deref())?;
    if printer.is_json() {
        let value = serde_json::json!({
            "archives": space.archives, "holds": space.holds, "warnings": space.warnings,
        });
        return printer.data(&render::json_value(&value));
    }
    printer.data(&render::archive(space, printer.look()))
}

/// Whole or not at all, as any file that others are to trust, but piece by piece.
fn export(home: &Home, range: &ArchiveRange, out: &Path, printer: &Printer) -> Result<()> {
    let mut profile = Session::open_alone(home)?;
    let client = &mut profile.client;
    let mut export = client.begin_archive_export(range, clock::now_ms()).map_err(Failure::from_text)?;
    let failed = |error: &std::io::Error| Failure::file("write", out, error);
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
    let mut writer = BufWriter::new(file);
    let mut len = 0;
    while let Some(piece) = client.go_on_exporting(&mut export).map_err(Failure::from_text)? {
        writer.write_all(&piece).map_err(|error| failed(&error))?;
        len += piece.len();
    }
    let file = writer.into_inner().map_err(|error| failed(error.error()))?;
    file.as_file().sync_all().map_err(|error| failed(&error))?;
    file.persist(out).map_err(|error| failed(&error.error))?;
    profile.close();
    let events = export.events();
    if printer.is_json() {
        return printer
            .data(&render::json_value(&serde_json::json!({ "file": out, "events": events, "len": len })));
    }
    printer.talk(&format!("{events} events, {len} bytes, in {}.", out.display()));
    Ok(())
}

fn verify(path: &Path, printer: &Printer) -> Result<()> {
    let failed = |error: &std::io::Error| Failure::file("read", path, error);
    let mut reader = BufReader::new(File::open(path).map_err(|error| failed(&error))?);
    let (mut check, mut line, mut number) = (ArchiveCheck::default(), Vec::new(), 0_u64);
    let wrong = |number: u64, error: terachat_client::ArchiveError| {
        Failure::new(
            format_args!("{} is not what an archive exported, line {number}: {error}", path.display()),
            "get the file anew from whoever keeps the archive",
        )
    };
    loop {
        line.clear();
        let limit = ARCHIVE_LINE_LEN_MAX as u64 + 1;
        reader.by_ref().take(limit).read_until(b'\n', &mut line).map_err(|error| failed(&error))?;
        if line.is_empty() {
            break;
        }
        number += 1;
        // Without its line feed, which the last line has too, a line is cut short.
        let whole = line.strip_suffix(b"\n").ok_or(terachat_client::ArchiveError::CutShort);
        whole.and_then(|line| check.line(line)).map_err(|error| wrong(number, error))?;
    }
    let report = check.finish().map_err(|error| wrong(number, error))?;
    if printer.is_json() {
        return printer.data(&render::json_value(&report));
    }
    printer.data(&render::archive_report(&report))
}
