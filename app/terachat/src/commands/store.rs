//! The store as a whole: checked, made smaller, taken along.
use super::cluster::shown;
use super::{ask, check_beside, file};
use crate::args::{NewSource, SourceArgs, StoreCommand, StoreImportArgs};
use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::printer::Printer;
use crate::session::Session;
use crate::{master_key, render};
use indicatif::ProgressStyle;
use serde_json::json;
use std::path::Path;
use terachat_client::api::Request;
use terachat_client::backup_vault;
use terachat_vault::VaultId;

pub(super) fn run(home: &Home, command: StoreCommand, printer: &Printer) -> Result<()> {
    let bar = shown(printer, 0);
    if let Ok(style) =
        ProgressStyle::with_template("{spinner} {bytes} read and written, {binary_bytes_per_sec}")
    {
        bar.set_style(style);
    }
    let home = &home.shown_by(bar);
    match command {
        StoreCommand::Check => check(home, printer),
        StoreCommand::Compact => ask::run(home, Request::Compact, printer),
        StoreCommand::Export { file, source } => export(home, &file, &source, printer),
        StoreCommand::Import(args) => import(home, &args, printer),
    }
}

/// Damage is a failure that the report has told already.
fn check(home: &Home, printer: &Printer) -> Result<()> {
    let report = match Session::running(home)? {
        Some(remote) => check_beside::check(remote, printer)?,
        None => home.check()?,
    };
    if printer.is_json() {
        let findings: Vec<_> = report
            .findings
            .iter()
            .map(|finding| json!({ "what": finding.what, "next": finding.next, "loss": finding.is_loss }))
            .collect();
        let audit = report.audit.as_ref();
        printer.data(&render::json_value(&json!({
            "blocks": report.blocks,
            "bytes": report.bytes,
            "snapshot_parts": report.snapshot_parts,
            "events": audit.map(|audit| audit.events),
            "signatures": audit.map(|audit| audit.signatures),
            "findings": findings,
        })))?;
    } else {
        printer.data(&render::check(&report, printer.look()))?;
    }
    if report.is_sound() { Ok(()) } else { Err(Failure::Shown) }
}

fn export(home: &Home, out: &Path, source: &NewSource, printer: &Printer) -> Result<()> {
    let mut profile = Session::open_alone(home)?;
    let keys = profile.client.begin_export();
    let mut source = home.aside(|| master_key::new(source, home.sources(), VaultId(keys.vault())))?;
    let (backup, exported) = profile.client.export(keys, source.as_mut()).map_err(Failure::from_text)?;
    profile.close();
    file::write(out, &backup)?;
    let (spaces, events, len) = (exported.spaces, exported.events, backup.len());
    if printer.is_json() {
        let value = json!({ "file": out, "spaces": spaces, "events": events, "len": len });
        return printer.data(&render::json_value(&value));
    }
    printer.talk(&format!("{spaces} spaces, {events} events, {len} bytes, in {}.", out.display()));
    Ok(())
}

fn import(home: &Home, args: &StoreImportArgs, printer: &Printer) -> Result<()> {
    let backup = file::read(&args.file)?;
    let vault = VaultId(backup_vault(&backup).map_err(Failure::from_text)?);
    let mut profile = home.restore(&backup, |allowed| {
        allowed?;
        let sources = SourceArgs {
            passphrase_file: args.backup_passphrase_file.clone(),
            key_file: args.backup_key_file.clone(),
            ..SourceArgs::default()
        };
        master_key::given(&sources, vault)
    })?;
    let answer = profile.client.execute(Request::Status, terachat_host::clock::now_ms());
    let answer = answer.map_err(Failure::from_text)?;
    profile.close();
    printer.talk(&format!(
        "The profile is in {}. It reads; to write, have it admitted: `terachat whoami` shows its card.",
        home.folder().display()
    ));
    printer.answer(&answer)
}
