use super::place::Place;
use super::{failed, operator, show, show_rows};
use crate::args::{NewSource, RecoveryArgs, RotateCommand};
use crate::failure::{Failure, Result};
use crate::master_key;
use crate::printer::Printer;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::time::Duration;
use terachat_vault::{SourceKind, VaultId};
use terachat_vault_server::view;
use terachat_vault_store::{KeyManager, TemplateVault};

/// Makes a vault.
pub(super) fn init(place: &Place, printer: &Printer) -> Result<()> {
    let vault = place.make(|config, source| {
        TemplateVault::create(config, &mut [source]).map_err(|error| failed(&error))
    })?;
    let id: String = vault.id().iter().map(|byte| format!("{byte:02x}")).collect();
    let audit_key = vault.audit_key().to_string();
    vault.close().map_err(|error| failed(&error))?;
    show(json!({"vault": id, "audit_key": audit_key, "folder": place.folder()}), printer)?;
    printer.talk("Keep the audit key outside of the vault: it verifies the audit log and every receipt.");
    printer.talk("Next: `terachat vault token create NAME --grant '*=all' --operator all`, then `terachat vault serve`.");
    Ok(())
}

/// Replaces keys.
pub(super) fn rotate(
    vault: &TemplateVault,
    place: &Place,
    command: RotateCommand,
    printer: &Printer,
) -> Result<()> {
    let keys = vault.keys(&operator()).map_err(|error| failed(&error))?;
    match command {
        RotateCommand::Kek => {
            let version = keys.rotate_kek().map_err(|error| failed(&error))?;
            show(json!({"kek_version": version}), printer)
        }
        RotateCommand::Dek { collection, progress, rate } => {
            keys.set_rate(rate);
            let generation = keys.rotate_dek(&collection).map_err(|error| failed(&error))?;
            follow(&keys, &collection, progress, printer)?;
            show(json!({"collection": collection, "generation": generation, "done": true}), printer)
        }
        RotateCommand::Master { source } => {
            let mut source = master_key::new(&source, place.sources(), VaultId(vault.id()))?;
            keys.rotate_master(&mut [source.as_mut()]).map_err(|error| failed(&error))?;
            show(json!({"kek_version": keys.kek_version(), "sources": names(&keys.sources())}), printer)
        }
        RotateCommand::Status => {
            let running = keys.rotations().into_iter().map(view::rotation).collect();
            show_rows(running, "running", json!({"kek_version": keys.kek_version()}), printer)
        }
    }
}

/// Waits for a rotation, and shows how far it is if that is wanted.
fn follow(keys: &KeyManager<'_>, collection: &str, progress: bool, printer: &Printer) -> Result<()> {
    let shown = progress && !printer.is_quiet() && !printer.is_json();
    let bar = ProgressBar::with_draw_target(
        None,
        if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
    );
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} versions, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    std::thread::scope(|scope| {
        let (ended, end) = std::sync::mpsc::channel::<()>();
        if shown {
            let bar = &bar;
            scope.spawn(move || {
                while end.recv_timeout(Duration::from_millis(200))
                    == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
                {
                    for running in
                        keys.rotations().into_iter().filter(|running| running.collection == collection)
                    {
                        bar.set_length(running.total);
                        bar.set_position(running.done);
                    }
                }
            });
        }
        let done = keys.wait(collection);
        drop(ended);
        done.map_err(|error| failed(&error))
    })?;
    bar.finish_and_clear();
    Ok(())
}

/// Lets one more source open the vault.
pub(super) fn guard(vault: &TemplateVault, place: &Place, new: &NewSource, printer: &Printer) -> Result<()> {
    let mut source = master_key::new(new, place.sources(), VaultId(vault.id()))?;
    let keys = vault.keys(&operator()).map_err(|error| failed(&error))?;
    keys.add_source(source.as_mut()).map_err(|error| failed(&error))?;
    show(json!({"sources": names(&keys.sources())}), printer)
}

/// Makes a recovery key, lets it open the vault, and hands out its shares.
pub(super) fn recovery(vault: &TemplateVault, args: &RecoveryArgs, printer: &Printer) -> Result<()> {
    master_key::hand_out(args, VaultId(vault.id()), printer, |source| {
        let keys = vault.keys(&operator()).map_err(|error| failed(&error))?;
        keys.add_source(source).map_err(|error| failed(&error))
    })
}

/// Binds the counter that the flags name.
pub(super) fn adopt(place: &Place, printer: &Printer) -> Result<()> {
    let kind = place.adopt_counter()?;
    show(json!({"counter": kind.name()}), printer)
}

/// Takes a source away.
pub(super) fn unguard(vault: &TemplateVault, kind: &str, printer: &Printer) -> Result<()> {
    let next = "`terachat vault sources` shows those that are there";
    let kind = SourceKind::from_name(kind)
        .ok_or_else(|| Failure::new(format_args!("{kind:?} is no kind of source"), next))?;
    let keys = vault.keys(&operator()).map_err(|error| failed(&error))?;
    keys.remove_source(kind).map_err(|error| failed(&error))?;
    show(json!({"sources": names(&keys.sources())}), printer)?;
    printer.talk("Whoever has an older copy of the vault and that source still opens the copy.");
    printer.talk("Next: `terachat vault rotate master` ends it for what comes.");
    Ok(())
}

fn names(kinds: &[SourceKind]) -> Vec<&'static str> {
    kinds.iter().map(|kind| kind.name()).collect()
}
