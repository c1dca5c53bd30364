//! What opens this profile, and its keys.
use crate::args::KeysCommand;
use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::printer::Printer;
use crate::{master_key, render};
use serde_json::json;
use terachat_vault::{SourceKind, VaultId};

/// Does what is asked of the profile's keys. Nobody else may have the profile open.
pub(super) fn run(home: &Home, command: &KeysCommand, printer: &Printer) -> Result<()> {
    if let KeysCommand::Adopt = command {
        let kind = home.adopt_counter()?;
        printer.talk("Use no other copy of this profile any more: it would not open, or sign numbers twice.");
        return shown(&json!({ "counter": kind.name() }), printer);
    }
    let mut profile = home.keys()?;
    let vault = VaultId(profile.vault());
    match command {
        KeysCommand::Sources | KeysCommand::Adopt => {}
        KeysCommand::Recovery(args) => {
            return master_key::hand_out(args, vault, printer, |source| {
                profile.change(|keyring, entropy| Ok(keyring.guard(source, entropy)?))
            });
        }
        KeysCommand::Guard { source } => {
            let mut source = master_key::new(source, home.sources(), vault)?;
            profile.change(|keyring, entropy| Ok(keyring.guard(source.as_mut(), entropy)?))?;
        }
        KeysCommand::Unguard { kind } => {
            let kind = SourceKind::from_name(kind).ok_or_else(|| {
                Failure::new(
                    format_args!("no source is called {kind:?}"),
                    "`terachat keys sources` lists them",
                )
            })?;
            profile.change(|keyring, _| keyring.unguard(kind))?;
        }
        KeysCommand::Master { source } => {
            let mut source = master_key::new(source, home.sources(), vault)?;
            profile.change(|keyring, entropy| Ok(keyring.rotate_master(&mut [source.as_mut()], entropy)?))?;
        }
        KeysCommand::Rotate => profile.change(|keyring, entropy| {
            keyring.rotate_kek(entropy);
            Ok(())
        })?,
    }
    let sources: Vec<&str> = profile.sources()?.into_iter().map(SourceKind::name).collect();
    shown(&json!({ "sources": sources }), printer)
}

fn shown(value: &serde_json::Value, printer: &Printer) -> Result<()> {
    if printer.is_json() {
        return printer.data(&render::json_value(value));
    }
    printer.data(&render::value(value, printer.look()))
}
