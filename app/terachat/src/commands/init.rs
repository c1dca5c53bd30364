use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::printer::Printer;
use terachat_client::api::Request;
use terachat_host::clock;

/// Makes a profile and shows its card.
pub(super) fn run(home: &Home, name: &str, printer: &Printer) -> Result<()> {
    let mut profile = home.create(name)?;
    let answer = profile
        .client
        .execute(Request::WhoAmI { post_quantum: false }, clock::now_ms())
        .map_err(Failure::from_text)?;
    profile.close();
    printer.talk(&format!("The profile is in {}.", home.folder().display()));
    printer.answer(&answer)
}
