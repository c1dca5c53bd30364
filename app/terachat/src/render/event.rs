use super::{Align, Look, Table, one_line, short, time};
use terachat_client::api::EventLine;

/// The chain of events, one a line: when, event, chain hash, author with number, epoch, what it did. `*` marks an event
/// that carries a signature of its own; later ones of the chain cover the others.
pub(crate) fn events(events: &[EventLine], look: &Look) -> String {
    let mut table = Table::indented(0);
    table.row();
    for heading in ["when", "event", "hash", "by", "seq", "lamport", "epoch", "what"] {
        let align = if matches!(heading, "seq" | "lamport" | "epoch") { Align::Right } else { Align::Left };
        table.painted(heading, look.paint.strong(heading), align);
    }
    events.iter().for_each(|event| row(&mut table, event, look));
    table.render()
}

fn row(table: &mut Table, event: &EventLine, look: &Look) {
    let paint = look.paint;
    let when = time::date_clock(i64::try_from(event.wall_ms).unwrap_or(i64::MAX), &look.zone);
    let author = one_line(&event.author);
    table.row().painted(&when, paint.dim(&when), Align::Left);
    table.cell(short(&event.id)).painted(short(&event.hash), paint.dim(short(&event.hash)), Align::Left);
    table.painted(&author, paint.name(&author, &event.author), Align::Left);
    let seq = format!("{}{}", event.seq, if event.signed { "*" } else { " " });
    table
        .number(seq)
        .number(event.lamport)
        .number(event.epoch.map_or("-".to_owned(), |epoch| epoch.to_string()));
    let mut what = one_line(&event.what);
    if !event.parents.is_empty() {
        let parents: Vec<&str> = event.parents.iter().map(|id| short(id)).collect();
        what.push_str(&paint.dim(&format!("  after {}", parents.join(", "))));
    }
    if let Some(reason) = &event.void {
        what.push_str(&paint.alarm(&format!("  void: {}", one_line(reason))));
    }
    table.painted("", what, Align::Left);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn void_events_say_why() {
        let line = EventLine {
            id: "e1".into(),
            hash: "h1".into(),
            device: "d".into(),
            author: "ada".into(),
            seq: 3,
            lamport: 9,
            wall_ms: 0,
            epoch: None,
            parents: vec!["p1".into()],
            what: "message".into(),
            void: Some("author was removed".into()),
            signed: true,
        };
        assert_eq!(
            events(&[line], &Look::bare()),
            "when              event  hash  by   seq  lamport  epoch  what\n\
             1970-01-01 00:00  e1     h1    ada   3*        9      -  message  after p1  void: author was removed\n"
        );
    }
}
