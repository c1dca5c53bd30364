//! The vault on this machine, without a server in between; and the server itself.
mod keys;
mod place;
mod records;
mod serve;
mod tokens;
mod upkeep;

use crate::args::{CollectionsCommand, Global, ReceiptCommand, VaultArgs, VaultCommand};
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::render;
use place::Place;
use serde_json::{Value, json};
use terachat_vault::{Algorithm, RollbackError};
use terachat_vault_server::{reserved, view};
use terachat_vault_store::{CollectionOptions, Error, TemplateVault};

/// Does what is asked of the vault.
pub(super) fn run(args: VaultArgs, global: &Global, printer: &Printer) -> Result<()> {
    let VaultArgs { place, command } = args;
    if let VaultCommand::Receipt(ReceiptCommand::Verify { file, audit_key }) = command {
        return upkeep::verify_receipt(&file, &audit_key, printer);
    }
    let place = Place::find(place, global)?;
    match command {
        VaultCommand::Init => keys::init(&place, printer),
        VaultCommand::Adopt => keys::adopt(&place, printer),
        VaultCommand::Serve(args) => serve::run(&place, args, printer),
        VaultCommand::RestoreBackup { file, backup_passphrase_file } => {
            upkeep::restore_backup(&place, &file, &backup_passphrase_file, printer)
        }
        VaultCommand::Sources => {
            let sources = TemplateVault::sources_of(place.folder()).map_err(|error| failed(&error))?;
            let names: Vec<_> = sources.into_iter().map(|kind| json!({"source": kind.name()})).collect();
            show_rows(names, "sources", json!({}), printer)
        }
        command => {
            let vault = place.open()?;
            let done = on_open(&vault, &place, command, printer);
            let closed = vault.close().map_err(|error| failed(&error));
            done.and(closed)
        }
    }
}

fn on_open(vault: &TemplateVault, place: &Place, command: VaultCommand, printer: &Printer) -> Result<()> {
    match command {
        VaultCommand::Put(args) => records::put(vault, &args, printer),
        VaultCommand::Get(args) => records::get(vault, &args, printer),
        VaultCommand::List { collection, limit, cursor, template_type } => {
            records::list(vault, &collection, limit, cursor, template_type, printer)
        }
        VaultCommand::Delete { record, version, receipt } => {
            records::delete(vault, &record, version, receipt.as_deref(), printer)
        }
        VaultCommand::Batch { collection, file } => records::batch(vault, &collection, &file, printer),
        VaultCommand::Versions(record) => records::versions(vault, &record, printer),
        VaultCommand::Restore { record, version } => records::restore(vault, &record, version, printer),
        VaultCommand::Verify { record, probe } => records::verify(vault, &record, &probe, printer),
        VaultCommand::Identify { collection, probe, count } => {
            records::identify(vault, &collection, &probe, count, printer)
        }
        VaultCommand::Collections(command) => collections(vault, command, printer),
        VaultCommand::Token(command) => tokens::run(vault, command, printer),
        VaultCommand::Rotate(command) => keys::rotate(vault, place, command, printer),
        VaultCommand::Guard { source } => keys::guard(vault, place, &source, printer),
        VaultCommand::Recovery(args) => keys::recovery(vault, &args, printer),
        VaultCommand::Unguard { kind } => keys::unguard(vault, &kind, printer),
        VaultCommand::Audit { check: true, .. } => upkeep::audit(vault, printer),
        VaultCommand::Audit { from, limit, .. } => upkeep::entries(vault, from, limit, printer),
        VaultCommand::Check => upkeep::check(vault, printer),
        VaultCommand::Backup { out, backup_passphrase_file } => {
            upkeep::backup(vault, &out, &backup_passphrase_file, printer)
        }
        VaultCommand::Compact => {
            let (before, after) = vault.compact().map_err(|error| failed(&error))?;
            show(json!({"bytes_before": before, "bytes_after": after}), printer)
        }
        VaultCommand::Sweep => {
            let versions = vault.sweep().map_err(|error| failed(&error))?;
            show(json!({"versions": versions}), printer)
        }
        VaultCommand::ConfirmClock => {
            vault.confirm_clock(&operator()).map_err(|error| failed(&error))?;
            show(json!({"now_ms": vault.now_ms()}), printer)
        }
        VaultCommand::Receipt(ReceiptCommand::Show { erasure, out }) => {
            upkeep::receipt(vault, erasure, out.as_deref(), printer)
        }
        VaultCommand::Stats => show(view::stats(vault.stats()), printer),
        VaultCommand::Init
        | VaultCommand::Adopt
        | VaultCommand::Serve(_)
        | VaultCommand::Receipt(ReceiptCommand::Verify { .. })
        | VaultCommand::RestoreBackup { .. }
        | VaultCommand::Sources => Err(Failure::new(
            format_args!("{} does not need an open vault", place.folder().display()),
            "report this",
        )),
    }
}

fn collections(vault: &TemplateVault, command: CollectionsCommand, printer: &Printer) -> Result<()> {
    let own = |name: &str| {
        let next = "choose a name that begins with another character";
        if reserved(name) || name == "*" {
            Err(Failure::new(format_args!("{name:?} is reserved"), next))
        } else {
            Ok(())
        }
    };
    match command {
        CollectionsCommand::List => {
            let all = vault.collections().into_iter().filter(|info| !reserved(&info.name));
            show_rows(all.map(view::collection).collect(), "collections", json!({}), printer)
        }
        CollectionsCommand::Create { name, cipher, versions } => {
            own(&name)?;
            let algorithm = if cipher == "chacha20-poly1305" {
                Algorithm::ChaCha20Poly1305
            } else {
                Algorithm::Aes256Gcm
            };
            let options = CollectionOptions { algorithm, versions_max: versions };
            vault.create_collection(&operator(), &name, &options).map_err(|error| failed(&error))?;
            let made = vault.collections().into_iter().find(|info| info.name == name);
            show(made.map_or(Value::Null, view::collection), printer)
        }
        CollectionsCommand::Drop { name } => {
            own(&name)?;
            let records = vault.drop_collection(&operator(), &name).map_err(|error| failed(&error))?;
            show(json!({"records": records}), printer)
        }
    }
}

/// Who is at the command line, for the audit log: no token has a colon in its name.
fn operator() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("USERNAME")).unwrap_or_default();
    let user: String = user.chars().filter(|c| !c.is_control()).take(32).collect();
    if user.is_empty() { "cli".to_owned() } else { format!("cli:{user}") }
}

/// A vault's error as the pair that every failure is.
fn failed(error: &Error) -> Failure {
    let text = error.to_string();
    match error {
        // The folder's lock: a server has the vault, most likely.
        Error::Host(_) if text.contains("is in use by") => Failure::new(
            text.split("; ").next().unwrap_or(&text),
            "stop that process, or ask it over HTTP: curl -H \"Authorization: Bearer $TOKEN\" URL/v1/… (URL/v1/docs \
             says how)",
        ),
        Error::Counter(RollbackError::RolledBack { by }) => Failure::new(
            format_args!("this is an older copy of the vault: {by} later checkpoints are missing"),
            "put the newest copy back; if it is lost and you accept that: `terachat vault adopt --counter …`",
        ),
        Error::Counter(_) => Failure::new(
            text,
            "name its counter with --counter; if it is lost or stayed on another machine: `terachat vault adopt \
             --counter …`",
        ),
        Error::NotFound => Failure::new(text, "`terachat vault list COLLECTION` shows what is there"),
        Error::NoCollection => {
            Failure::new(text, "`terachat vault collections list` shows those that are there")
        }
        Error::Folder { .. } => Failure::new(
            text,
            "make a vault with `terachat vault init`, or name another folder with --database DIR",
        ),
        Error::Keyring(_) | Error::Source(_) if !text.contains("; ") => {
            Failure::new(text, "give what guards the vault: `terachat vault sources` shows which kind it is")
        }
        _ => match text.rsplit_once("; ") {
            Some((what, next)) => Failure::new(what, next),
            None => Failure::new(text, "`terachat vault --help` shows what can be done"),
        },
    }
}

/// One answer.
fn show(value: Value, printer: &Printer) -> Result<()> {
    if printer.is_json() {
        return printer.data(&render::json_value(&value));
    }
    printer.data(&render::value(&value, printer.look()))
}

/// A list; for programs an object that has it under `name`, beside `more`.
fn show_rows(rows: Vec<Value>, name: &str, more: Value, printer: &Printer) -> Result<()> {
    if !printer.is_json() {
        return printer.data(&render::value(&Value::Array(rows), printer.look()));
    }
    let mut object = more;
    object[name] = Value::Array(rows);
    printer.data(&render::json_value(&object))
}
