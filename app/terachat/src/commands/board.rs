use super::ask;
use crate::args::BoardCommand;
use crate::board::{BoardCall, Turn};
use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::printer::Printer;
use crate::render;
use crate::session::Session;
use serde_json::json;
use std::path::Path;
use terachat_client::api::{Answer, BoardFetched, BoardPublished};

/// Exchanges by a board in a folder.
pub(super) fn run(home: &Home, command: &BoardCommand, printer: &Printer) -> Result<()> {
    let (BoardCommand::Publish { folder } | BoardCommand::Fetch { folder } | BoardCommand::Sync { folder }) =
        command;
    let folder =
        std::path::absolute(folder).map_err(|error| Failure::file("find the board in", folder, &error))?;
    let mut session = Session::open(home)?;
    let outcome = exchange(&mut session, command, &folder, printer);
    session.close();
    outcome
}

fn exchange(session: &mut Session, command: &BoardCommand, folder: &Path, printer: &Printer) -> Result<()> {
    match command {
        BoardCommand::Publish { .. } => {
            let published = publish(session, folder, printer)?;
            printer.answer(&Answer::BoardPublished(published))
        }
        BoardCommand::Fetch { .. } => {
            let fetched = fetch(session, folder, printer)?;
            printer.answer(&Answer::BoardFetched(fetched))
        }
        BoardCommand::Sync { .. } => {
            // First what others left: it need not be left again, and tells who may read on.
            let fetched = if terachat_host::FolderBoard::is_in(folder) {
                fetch(session, folder, printer)?
            } else {
                BoardFetched::default()
            };
            let published = publish(session, folder, printer)?;
            if printer.is_json() {
                return printer
                    .data(&render::json_value(&json!({ "fetched": fetched, "published": published })));
            }
            printer.answer(&Answer::BoardFetched(fetched))?;
            printer.answer(&Answer::BoardPublished(published))
        }
    }
}

/// Takes in what others left, call by call.
fn fetch(session: &mut Session, folder: &Path, printer: &Printer) -> Result<BoardFetched> {
    let mut all = BoardFetched::default();
    loop {
        let call = BoardCall { folder: folder.to_owned(), turn: Turn::Fetch };
        let Answer::BoardFetched(told) = session.board(call)? else { return Err(ask::unexpected()) };
        let more = told.more;
        all.add(told);
        if !more {
            return Ok(all);
        }
        printer.talk(&format!("{} new events so far.", all.added));
    }
}

/// Leaves what is not there yet, call by call.
fn publish(session: &mut Session, folder: &Path, printer: &Printer) -> Result<BoardPublished> {
    let mut all = BoardPublished::default();
    loop {
        let call = BoardCall { folder: folder.to_owned(), turn: Turn::Publish };
        let Answer::BoardPublished(told) = session.board(call)? else { return Err(ask::unexpected()) };
        let more = told.more;
        all.add(told);
        if !more {
            break;
        }
        printer.talk(&format!("{} events left so far, {} bytes.", all.events, all.len));
    }
    session.board(BoardCall { folder: folder.to_owned(), turn: Turn::Collect })?;
    all.skipped.iter().for_each(|line| printer.warn(&format!("Not everything was left of {line}")));
    Ok(all)
}
