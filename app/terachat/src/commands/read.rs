use super::{ask, place};
use crate::args::{Carried, FilterArgs, ReadArgs};
use crate::daemon::{Remote, Update};
use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::printer::Printer;
use crate::render;
use crate::session::Session;
use terachat_client::api::{Answer, LiveChange, Message, MessageFilter, Place, Request};

/// A page of messages, and with `--follow` what comes after.
pub(super) fn run(home: &Home, place: Place, args: ReadArgs, printer: &Printer) -> Result<()> {
    if args.follow {
        return follow(home, place, &args, printer);
    }
    ask::run(home, request(place, args), printer)
}

fn request(place: Place, args: ReadArgs) -> Request {
    let ReadArgs { thread, before, after, around, at, pinned, filter, limit, .. } = args;
    let FilterArgs { from, min_rank, since, until, has, mentions } = filter;
    let has_attachment = has == Some(Carried::Attachment);
    let filter = Box::new(MessageFilter { from, min_rank, since, until, has_attachment, mentions });
    let limit = ask::count(limit);
    ask::at(at, Request::Read { place, limit, before, after, around, thread, pinned, filter })
}

fn follow(home: &Home, place: Place, args: &ReadArgs, printer: &Printer) -> Result<()> {
    let none = || {
        let next = "start `terachat listen` in another terminal, then follow again";
        Failure::new("nothing can arrive: no `terachat listen` is running on this profile", next)
    };
    home.require()?;
    // Followed first and read afterwards, so that nothing falls between.
    let mut remote = Remote::connect(&home.socket())?.ok_or_else(none)?;
    remote.follow()?;
    let mut session = Session::open(home)?;
    let status = ask::status(&mut session)?;
    let (space, channel) = place::channel(&status, &place)?;
    let question = Request::LiveOpen {
        place: Place { space: Some(space.id.clone()), channel: Some(channel.id.clone()) },
        thread: args.thread.clone(),
        unread_after: None,
        search: None,
        pinned: args.pinned,
        limit: ask::count(args.limit),
    };
    let Answer::Live { id, messages } = session.execute(question)? else { return Err(ask::unexpected()) };
    let mut view = View { printer, since: None };
    view.page(&messages)?;
    loop {
        match remote.next_update()? {
            Update::End => return Ok(()),
            // Whatever it was: what it changed here is asked for.
            Update::Happened => {
                let Answer::LiveChanges { changes } = session.execute(Request::LiveChanges { id })? else {
                    return Err(ask::unexpected());
                };
                changes.iter().try_for_each(|change| view.change(change))?;
            }
        }
    }
}

struct View<'a> {
    printer: &'a Printer,
    since: Option<String>,
}

impl View<'_> {
    /// Messages as they come; with `--json` one object a line, since there is no end to wait for.
    fn page(&mut self, messages: &[Message]) -> Result<()> {
        if self.printer.is_json() {
            return messages.iter().try_for_each(|message| self.printer.data(&render::json_value(message)));
        }
        self.printer.data(&render::messages(messages, self.printer.look(), &mut self.since))
    }

    fn change(&mut self, change: &LiveChange) -> Result<()> {
        match change {
            LiveChange::Insert { message, .. } | LiveChange::Update { message } => {
                self.page(std::slice::from_ref(message))
            }
            LiveChange::Remove { id } if self.printer.is_json() => {
                self.printer.data(&render::json_value(&serde_json::json!({ "removed": id })))
            }
            LiveChange::Remove { .. } => {
                self.printer.data(&render::live_change(change, self.printer.look(), &mut self.since))
            }
        }
    }
}
