//! Legal holds in the cluster: what nobody may forget, and for which case.
use super::{Home, asked};
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::render;
use serde_json::json;
use std::io::Read;
use std::path::Path;
use terachat_cluster::{HELD_ITEMS_MAX, ItemName, ItemTag};
use terachat_node::{Ask, Client, Error, Told};

/// Has items held for a case.
pub(super) fn hold(
    home: &Home,
    case: &str,
    items: Vec<ItemTag>,
    names: Option<&Path>,
    printer: &Printer,
) -> Result<()> {
    let mut all: Vec<ItemName> = items.into_iter().map(|tag| tag.0).collect();
    if let Some(file) = names {
        all.extend(read(file)?);
    }
    if all.is_empty() {
        return Err(Failure::new("no item is named", "name some as `terachat cluster items` prints them"));
    }
    asked(home, async |operator, _| {
        for items in all.chunks(HELD_ITEMS_MAX) {
            done(operator, &Ask::Hold { case: case.to_owned(), items: items.to_vec() }).await?;
        }
        Ok(())
    })?;
    printer.data(&match printer.is_json() {
        true => render::json_value(&json!({ "case": case, "items": all.len() })),
        false => format!("{} items are held for {case}\n", all.len()),
    })
}

/// Ends a case.
pub(super) fn release(home: &Home, case: String, printer: &Printer) -> Result<()> {
    let ask = Ask::Release(case.clone());
    asked(home, async |operator, _| done(operator, &ask).await)?;
    printer.data(&match printer.is_json() {
        true => render::json_value(&json!({ "case": case, "released": true })),
        false => format!("{case} holds nothing any more\n"),
    })
}

/// Shows the cases.
pub(super) fn list(home: &Home, printer: &Printer) -> Result<()> {
    let holds = asked(home, async |operator, _| match operator.ask(&Ask::Holds).await? {
        Told::Holds(holds) => Ok(holds),
        _ => Err(Error::Answer),
    })?;
    if holds.is_empty() {
        printer.talk("Nothing is held.");
    }
    printer.data(&match printer.is_json() {
        true => {
            let cases = holds.iter().map(|(case, items)| json!({ "case": case, "items": items }));
            render::json_value(&json!({ "holds": cases.collect::<Vec<_>>() }))
        }
        false => holds.iter().map(|(case, items)| format!("{items:>8}  {case}\n")).collect(),
    })
}

async fn done(operator: &Client, ask: &Ask) -> std::result::Result<(), Error> {
    match operator.ask(ask).await? {
        Told::Done => Ok(()),
        _ => Err(Error::Answer),
    }
}

/// The names in a file, one a line.
fn read(file: &Path) -> Result<Vec<ItemName>> {
    let failed = |error| Failure::file("read", file, &error);
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        text
    } else {
        std::fs::read_to_string(file).map_err(failed)?
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| line.parse().map(|tag: ItemTag| tag.0).map_err(Failure::from_text)).collect()
}
