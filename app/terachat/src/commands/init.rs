use crate::failure::{Failure, Result};
use crate::home::{Home, Profile};
use crate::printer::Printer;
use terachat_client::api::Request;
use terachat_host::clock;

/// Makes a profile and shows its card.
pub(super) fn run(home: &Home, name: &str, printer: &Printer) -> Result<()> {
    let Profile { mut client, lock } = home.create(name)?;
    let answer = client.execute(Request::WhoAmI, clock::now_ms()).map_err(Failure::from_text)?;
    client.close().map_err(Failure::from_text)?;
    drop(lock);
    printer.talk(&format!("The profile is in {}.", home.folder().display()));
    printer.answer(&answer)
}
