use super::ask;
use crate::args::{BoardArgs, BoardCommand, OrderArgs};
use crate::board::{BoardCall, BoardPlace, Turn};
use crate::cluster_client;
use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::printer::Printer;
use crate::render;
use crate::session::Session;
use serde_json::json;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;
use terachat_client::api::{Answer, BoardFetched, BoardPublished, Request};

/// Between two looks at whether another member's change is there that comes first. The client says when it is waited for no longer.
const STEP: Duration = Duration::from_millis(250);

/// Carries out a request that changes a space's group: in order with others' changes, where a cluster is named that says what comes first.
pub(super) fn run_in_order(
    home: &Home,
    order: &OrderArgs,
    request: Request,
    printer: &Printer,
) -> Result<()> {
    let Some(folder) = &order.cluster else { return ask::run(home, request, printer) };
    let place = in_cluster(folder, order.cluster_key.as_deref())?;
    let mut session = Session::open(home)?;
    let call = BoardCall { place, turn: Turn::Execute(Box::new(request)) };
    let answer = execute(&mut session, &call, printer);
    session.close();
    printer.answer(&answer?)
}

/// Carries out what may have to wait for another member's change.
fn execute(session: &mut Session, call: &BoardCall, printer: &Printer) -> Result<Answer> {
    let mut told = false;
    loop {
        match session.board(call.clone())? {
            Answer::Behind { space } => {
                if !told {
                    printer.talk(&format!("Another member's change to {space} comes first; waiting for it."));
                }
                told = true;
                sleep(STEP);
            }
            answer => return Ok(answer),
        }
    }
}

/// Exchanges by a board in a folder or in a cluster.
pub(super) fn run(home: &Home, command: &BoardCommand, printer: &Printer) -> Result<()> {
    let (BoardCommand::Publish(args) | BoardCommand::Fetch(args) | BoardCommand::Sync(args)) = command;
    let place = place(args)?;
    let mut session = Session::open(home)?;
    let outcome = exchange(&mut session, command, &place, printer);
    session.close();
    outcome
}

/// Has this device offer key packages on a board.
pub(super) fn offer(home: &Home, args: &BoardArgs, post_quantum: bool, printer: &Printer) -> Result<()> {
    let place = place(args)?;
    let mut session = Session::open(home)?;
    let outcome = session.board(BoardCall { place, turn: Turn::Offer { post_quantum } });
    session.close();
    printer.answer(&outcome?)
}

/// Invites a person by what their devices offer on a board, and leaves there what these need to join.
pub(super) fn invite(home: &Home, args: &BoardArgs, turn: Turn, printer: &Printer) -> Result<()> {
    let place = place(args)?;
    let mut session = Session::open(home)?;
    let outcome = invite_by(&mut session, &place, turn, printer);
    session.close();
    printer.answer(&outcome?)
}

fn invite_by(session: &mut Session, place: &BoardPlace, turn: Turn, printer: &Printer) -> Result<Answer> {
    // What others decided comes first, so that this does not race with it.
    if place.is_begun() {
        fetch(session, place, printer)?;
    }
    let invited = execute(session, &BoardCall { place: place.clone(), turn }, printer)?;
    publish(session, place, printer)?;
    Ok(invited)
}

/// The board that is named.
fn place(args: &BoardArgs) -> Result<BoardPlace> {
    match (&args.folder, &args.cluster) {
        (Some(folder), _) => Ok(BoardPlace::Folder(absolute(folder)?)),
        (None, Some(folder)) => in_cluster(folder, args.cluster_key.as_deref()),
        (None, None) => Err(Failure::new("no board is named", "name one with --folder DIR or --cluster DIR")),
    }
}

fn in_cluster(folder: &Path, key: Option<&Path>) -> Result<BoardPlace> {
    let folder = absolute(folder)?;
    let key = match key {
        Some(key) => absolute(key)?,
        None => cluster_client::default_key(&folder),
    };
    Ok(BoardPlace::Cluster { folder, key })
}

fn absolute(path: &Path) -> Result<std::path::PathBuf> {
    std::path::absolute(path).map_err(|error| Failure::file("find the board in", path, &error))
}

fn exchange(
    session: &mut Session,
    command: &BoardCommand,
    place: &BoardPlace,
    printer: &Printer,
) -> Result<()> {
    match command {
        BoardCommand::Publish(_) => {
            let published = publish(session, place, printer)?;
            printer.answer(&Answer::BoardPublished(published))
        }
        BoardCommand::Fetch(_) => {
            let fetched = fetch(session, place, printer)?;
            printer.answer(&Answer::BoardFetched(fetched))
        }
        BoardCommand::Sync(_) => {
            // First what others left: it need not be left again, and tells who may read on.
            let fetched =
                if place.is_begun() { fetch(session, place, printer)? } else { BoardFetched::default() };
            let published = publish(session, place, printer)?;
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
fn fetch(session: &mut Session, place: &BoardPlace, printer: &Printer) -> Result<BoardFetched> {
    let mut all = BoardFetched::default();
    loop {
        let call = BoardCall { place: place.clone(), turn: Turn::Fetch };
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
fn publish(session: &mut Session, place: &BoardPlace, printer: &Printer) -> Result<BoardPublished> {
    let mut all = BoardPublished::default();
    loop {
        let call = BoardCall { place: place.clone(), turn: Turn::Publish };
        let Answer::BoardPublished(told) = session.board(call)? else { return Err(ask::unexpected()) };
        let (more, behind) = (told.more, told.behind);
        all.add(told);
        if behind {
            // Somebody is to be seen out of a group before anything is left there, and another member does something first.
            printer.talk("Another member's change comes first; waiting for it.");
            sleep(STEP);
            fetch(session, place, printer)?;
        } else if !more {
            break;
        } else {
            printer.talk(&format!("{} events left so far, {} bytes.", all.events, all.len));
        }
    }
    session.board(BoardCall { place: place.clone(), turn: Turn::Collect })?;
    all.skipped.iter().for_each(|line| printer.warn(&format!("Not everything was left of {line}")));
    Ok(all)
}
