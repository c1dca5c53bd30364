use super::place::Place;
use super::{failed, operator, show, show_rows};
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::{master_key, passphrase};
use serde_json::json;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use terachat_event::DeviceId;
use terachat_vault::{PassphraseCost, PassphraseSource};
use terachat_vault_server::view;
use terachat_vault_store::{BackupReport, ErasureId, ErasureReceipt, TemplateVault};

/// Checks the whole audit log; what does not hold is a failure.
pub(super) fn audit(vault: &TemplateVault, printer: &Printer) -> Result<()> {
    let report = vault.audit().map_err(|error| failed(&error))?;
    show(view::audit_report(report), printer)?;
    printer.talk("All of it holds.");
    Ok(())
}

pub(super) fn entries(vault: &TemplateVault, from: u64, limit: u32, printer: &Printer) -> Result<()> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let entries = vault.audit_entries(from, limit).map_err(|error| failed(&error))?;
    let next = entries.last().map(|entry| entry.seq + 1);
    show_rows(entries.into_iter().map(view::audit_entry).collect(), "entries", json!({"next": next}), printer)
}

/// Opens every version of every record; an alarm is a failure.
pub(super) fn check(vault: &TemplateVault, printer: &Printer) -> Result<()> {
    let report = vault.check().map_err(|error| failed(&error))?;
    let whole = report.complete && report.damaged.is_empty();
    show(view::check(report), printer)?;
    if whole {
        printer.talk("All of it holds.");
        return Ok(());
    }
    printer.warn(
        "ALARM: records are damaged, missing or replaced; keep a copy of the folder and restore a backup.",
    );
    Err(Failure::Shown)
}

/// The receipt of an erasure, once its keys are destroyed.
pub(super) fn receipt(
    vault: &TemplateVault,
    erasure: u64,
    out: Option<&Path>,
    printer: &Printer,
) -> Result<()> {
    let receipt = vault.receipt(ErasureId(erasure)).map_err(|error| failed(&error))?;
    let receipt = receipt.ok_or_else(|| {
        let what = format_args!("there is no receipt of an erasure {erasure}");
        Failure::new(what, "compare the number; `terachat vault sweep` destroys the keys that wait for it")
    })?;
    if let Some(out) = out {
        write_file(out, &receipt.encode())?;
    }
    show(view::receipt(&receipt), printer)
}

pub(super) fn verify_receipt(file: &Path, audit_key: &str, printer: &Printer) -> Result<()> {
    let bytes = std::fs::read(file).map_err(|error| Failure::file("read", file, &error))?;
    let next = "take the key that `terachat vault init` showed: 64 hexadecimal digits";
    let key: DeviceId = audit_key.parse().map_err(|_| Failure::new("this is no audit key", next))?;
    let next = "ask for the receipt again, and compare the audit key with the copy outside of the vault";
    let receipt = ErasureReceipt::decode(&bytes).map_err(|error| Failure::new(error, next))?;
    receipt.verify(&key).map_err(|error| Failure::new(error, next))?;
    show(view::receipt(&receipt), printer)?;
    printer.talk("The receipt holds.");
    Ok(())
}

pub(super) fn backup(
    vault: &TemplateVault,
    out: &Path,
    passphrase_file: &Path,
    printer: &Printer,
) -> Result<()> {
    let mut source = master_key::new_passphrase(Some(passphrase_file))?;
    let cannot = |error: std::io::Error| Failure::file("write", out, &error);
    let file = new_file(out).map_err(cannot)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    let report = vault.backup(&operator(), &mut source, &mut writer).map_err(|error| failed(&error))?;
    let file = writer.into_inner().map_err(|error| cannot(error.into_error()))?;
    keep(file, out).map_err(cannot)?;
    show(backup_report(&report), printer)
}

pub(super) fn restore_backup(
    place: &Place,
    file: &Path,
    passphrase_file: &Path,
    printer: &Printer,
) -> Result<()> {
    let opened = File::open(file).map_err(|error| Failure::file("read", file, &error))?;
    let mut given =
        PassphraseSource::new(passphrase::given(Some(passphrase_file))?, PassphraseCost::RECOMMENDED);
    let mut report = None;
    let vault = place.make(|config, source| {
        let mut input = BufReader::with_capacity(1 << 20, opened);
        report = Some(
            TemplateVault::restore_backup(config, &mut input, &mut given, &mut [&mut *source])
                .map_err(|error| failed(&error))?,
        );
        TemplateVault::open(place.config(), source).map_err(|error| failed(&error))
    })?;
    vault.close().map_err(|error| failed(&error))?;
    match report {
        Some(report) => show(backup_report(&report), printer),
        None => Ok(()),
    }
}

fn backup_report(report: &BackupReport) -> serde_json::Value {
    let vault: String = report.vault.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "vault": vault, "records": report.records, "rows": report.rows, "bytes": report.bytes,
        "audit_seq": report.audit_seq, "made_ms": report.made_ms,
    })
}

/// Writes a file whole or not at all.
pub(super) fn write_file(out: &Path, bytes: &[u8]) -> Result<()> {
    let cannot = |error: std::io::Error| Failure::file("write", out, &error);
    let mut file = new_file(out).map_err(cannot)?;
    file.write_all(bytes).map_err(cannot)?;
    keep(file, out).map_err(cannot)
}

/// Beside its place, readable by its owner only.
fn new_file(out: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::NamedTempFile::new_in(folder)
}

fn keep(file: tempfile::NamedTempFile, out: &Path) -> std::io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(out)?;
    Ok(())
}
