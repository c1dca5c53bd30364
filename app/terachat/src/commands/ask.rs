use super::place;
use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::printer::Printer;
use crate::render;
use crate::session::Session;
use std::io::Read;
use std::path::Path;
use terachat_client::api::{Answer, Request, Status};

/// Longest text that is read from standard input, in bytes: more than a message may have, so that the client can say so.
const BODY_LEN_MAX: u64 = 1024 * 1024;

/// One request, one answer.
pub(super) fn run(home: &Home, request: Request, printer: &Printer) -> Result<()> {
    let mut session = Session::open(home)?;
    let answer = session.execute(request)?;
    session.close();
    printer.answer(&answer)
}

/// The members of one space.
pub(super) fn members(home: &Home, space: Option<String>, printer: &Printer) -> Result<()> {
    let mut session = Session::open(home)?;
    let status = status(&mut session)?;
    session.close();
    let space = place::space(&status, space.as_deref())?;
    if printer.is_json() {
        return printer.data(&render::json_value(&serde_json::json!({
            "members": space.members, "archives": space.archives,
        })));
    }
    let look = printer.look();
    printer.data(&(render::members(&space.members, look) + &render::archive(space, look)))
}

/// The channels of one space, or those of them that this device keeps.
pub(super) fn channels(home: &Home, space: Option<String>, kept: bool, printer: &Printer) -> Result<()> {
    let mut session = Session::open(home)?;
    let status = status(&mut session)?;
    session.close();
    let space = place::space(&status, space.as_deref())?;
    let mut channels = space.channels.clone();
    channels.retain(|channel| channel.kept || !kept);
    if printer.is_json() {
        return printer.data(&render::json_value(&serde_json::json!({
            "channels": channels, "archives": space.archives, "holds": space.holds,
        })));
    }
    let look = printer.look();
    printer.data(&(render::channels(&channels, look) + &render::archive(space, look)))
}

/// What the profile knows.
pub(super) fn status(session: &mut Session) -> Result<Status> {
    match session.execute(Request::Status)? {
        Answer::Status(status) => Ok(status),
        _ => Err(unexpected()),
    }
}

/// The request as of an earlier moment, if there is one.
pub(super) fn at(moment: Option<String>, request: Request) -> Request {
    match moment {
        Some(moment) => Request::At { moment, request: Box::new(request) },
        None => request,
    }
}

/// An answer of another kind than the question's.
pub(super) fn unexpected() -> Failure {
    Failure::new(
        "the answer does not fit the question",
        "restart `terachat listen` with the same version, or report this",
    )
}

/// The text of a message: the argument, or standard input for `-` without its last line break.
pub(super) fn body(argument: String) -> Result<String> {
    if argument != "-" {
        return Ok(argument);
    }
    let mut text = String::new();
    std::io::stdin()
        .take(BODY_LEN_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Failure::file("read the text from", Path::new("standard input"), &error))?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}

/// A limit as the client takes it.
pub(super) fn count(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
