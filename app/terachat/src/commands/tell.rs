use crate::daemon::{Event, Service};
use crate::failure::Result;
use crate::printer::Printer;
use crate::render;
use serde_json::json;
use terachat_client::api::Notice;
use tokio::sync::{broadcast, oneshot};

/// Says where this device can be reached: the line that scripts wait for.
pub(super) fn listening(service: &Service, printer: &Printer) -> Result<()> {
    let device = service.device.to_string();
    if printer.is_json() {
        return printer.data(&render::json_value(&json!({ "listening": service.addrs, "device": device })));
    }
    service.addrs.iter().try_for_each(|addr| printer.data(&format!("listening on {addr}\n")))
}

/// Shows what happens, on a thread of its own, since whoever reads the output may be slow. The receiver gives what
/// ended it: a closed pipe, or nothing at the end of the events.
pub(super) fn events(
    mut events: broadcast::Receiver<Event>,
    printer: Printer,
) -> oneshot::Receiver<Result<()>> {
    let (ended, end) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let mut since = None;
        let outcome = loop {
            match events.blocking_recv() {
                Ok(event) => {
                    if let Err(failure) = show(&event, &printer, &mut since) {
                        break Err(failure);
                    }
                }
                Err(broadcast::error::RecvError::Lagged(count)) => {
                    printer.warn(&format!("{count} notices were not shown; `terachat read` shows all"));
                }
                Err(broadcast::error::RecvError::Closed) => break Ok(()),
            }
        };
        let _ = ended.send(outcome);
    });
    end
}

fn show(event: &Event, printer: &Printer, since: &mut Option<String>) -> Result<()> {
    match event {
        Event::Notice(notice) => {
            if printer.is_quiet() && !is_alarm(notice) {
                return Ok(());
            }
            if printer.is_json() {
                return printer.data(&render::json_value(notice));
            }
            printer.data(&render::notice(notice, printer.look(), since))
        }
        Event::Reached { addr, peer } => {
            printer.talk(&format!("Connected to {addr} (device {}).", render::short(&peer.to_string())));
            Ok(())
        }
        Event::Unreached { addr, why, useless } => {
            let again = if *useless { "" } else { " (trying again)" };
            printer.talk(&format!("{addr}: {why}{again}"));
            Ok(())
        }
        Event::Gone(_) => Ok(()),
    }
}

fn is_alarm(notice: &Notice) -> bool {
    match notice {
        Notice::Alarm { .. } => true,
        Notice::Audited { alarm, .. } => !alarm.is_empty(),
        _ => false,
    }
}
