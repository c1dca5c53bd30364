//! Who may put and get.
use super::{Home, asked};
use crate::failure::Result;
use crate::printer::Printer;
use crate::render;
use serde_json::json;
use terachat_cluster::ClientKey;
use terachat_node::{Ask, Error, Told, history};

/// Shows them.
pub(super) fn list(home: &Home, printer: &Printer) -> Result<()> {
    let (_, roster) = asked(home, async |operator, _| history(operator).await)?;
    let keys: Vec<String> = roster.clients().map(ToString::to_string).collect();
    printer.data(&match printer.is_json() {
        true => render::json_value(&json!({ "clients": keys })),
        false => keys.into_iter().map(|key| key + "\n").collect(),
    })
}

/// Lets one in no more.
pub(super) fn dismiss(home: &Home, client: ClientKey, printer: &Printer) -> Result<()> {
    asked(home, async |operator, _| match operator.ask(&Ask::Dismiss(client)).await? {
        Told::Done => Ok(()),
        _ => Err(Error::Answer),
    })?;
    printer.data(&match printer.is_json() {
        true => render::json_value(&json!({ "dismissed": client.to_string() })),
        false => format!("{client} puts and gets no more\n"),
    })
}
