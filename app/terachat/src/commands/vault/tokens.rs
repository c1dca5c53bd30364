use super::{operator, show, show_rows};
use crate::args::{TokenCommand, scopes};
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use serde_json::json;
use terachat_vault_server::{NewToken, TokenError, TokenStore};
use terachat_vault_store::TemplateVault;

/// Makes, lists, rotates and revokes tokens.
pub(super) fn run(vault: &TemplateVault, command: TokenCommand, printer: &Printer) -> Result<()> {
    let store = TokenStore::open(vault).map_err(|error| failed(&error))?;
    match command {
        TokenCommand::Create { name, grants, operator: rights, expires } => {
            let next = "`terachat vault token create --help` shows all of them";
            let scopes = scopes(&grants, &rights).map_err(|error| Failure::new(error, next))?;
            let new = store.create(&operator(), &name, scopes, expires).map_err(|error| failed(&error))?;
            tell(&new, printer)
        }
        TokenCommand::List => {
            let tokens = store.list();
            let rows: Result<Vec<_>, _> = tokens.iter().map(serde_json::to_value).collect();
            show_rows(rows.unwrap_or_default(), "tokens", json!({}), printer)
        }
        TokenCommand::Revoke { name } => {
            store.revoke(&operator(), &name).map_err(|error| failed(&error))?;
            show(json!({"revoked": name}), printer)
        }
        TokenCommand::Rotate { name, grace, expires } => {
            let new = store.rotate(&operator(), &name, grace, expires).map_err(|error| failed(&error))?;
            tell(&new, printer)
        }
    }
}

/// The token stands alone on its line, so that a script can take it.
fn tell(new: &NewToken, printer: &Printer) -> Result<()> {
    if printer.is_json() {
        return show(json!({"token": new.expose_token(), "info": new.info}), printer);
    }
    printer.data(&format!("{}\n", new.expose_token()))?;
    printer.talk("This is the only time that the token is shown: hand it to its holder.");
    Ok(())
}

fn failed(error: &TokenError) -> Failure {
    match error {
        TokenError::Vault(error) => super::failed(error),
        TokenError::Absent => {
            Failure::new("there is no token of this name", "`terachat vault token list` shows them")
        }
        error => Failure::from_text(error),
    }
}
