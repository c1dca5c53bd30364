use super::{Align, Look, Table, one_line, plain, short, time};
use terachat_client::api::{Message, Style};

/// A page of messages, a heading for each day, oldest first. `since` is the day shown last, so that what follows is
/// not headed again; it is moved on.
pub(crate) fn messages(page: &[Message], look: &Look, since: &mut Option<String>) -> String {
    let mut out = String::new();
    for run in page.chunk_by(|a, b| time::day(a.ts_ms, &look.zone) == time::day(b.ts_ms, &look.zone)) {
        let day = time::day(run[0].ts_ms, &look.zone);
        if since.as_deref() != Some(&day) {
            out.push_str(if since.is_some() { "\n" } else { "" });
            out.push_str(&look.paint.strong(&day));
            out.push('\n');
            *since = Some(day);
        }
        let mut table = Table::indented(2);
        if run[0].begins {
            let from_here = "(from here on; read again for what was said before)";
            out.push_str(&format!("  {}\n", look.paint.dim(from_here)));
        }
        run.iter().for_each(|message| rows(&mut table, message, look));
        out.push_str(&table.render());
    }
    out
}

fn rows(table: &mut Table, message: &Message, look: &Look) {
    let paint = look.paint;
    let clock = time::clock(message.ts_ms, &look.zone);
    let author = one_line(&message.author);
    let indent = "  ".repeat(message.depth.min(12));
    let text = body(message);
    let mut lines = text.lines().map(str::to_owned).collect::<Vec<_>>();
    lines.extend(footer(message));
    let mut lines = lines.into_iter();
    let first = format!("{indent}{}", lines.next().unwrap_or_default());
    table.row().painted(&clock, paint.dim(&clock), Align::Left);
    table.painted(short(&message.id), paint.dim(short(&message.id)), Align::Left);
    table.painted(&author, paint.name(&author, &message.author), Align::Left);
    // The last column is never padded, so it need not be measured: long lines must not widen anything.
    table.painted("", first, Align::Left);
    for line in lines {
        table.row().cell("").cell("").cell("").painted("", format!("{indent}{line}"), Align::Left);
    }
}

/// The text as it is to be read, for each kind of message.
fn body(message: &Message) -> String {
    if message.deleted {
        return "(deleted message)".to_owned();
    }
    if message.missing && message.body.is_empty() {
        return "(the text is not here yet)".to_owned();
    }
    if message.sealed && message.body.is_empty() {
        return "(written before you could read here)".to_owned();
    }
    let text = match &message.title {
        Some(title) => format!("{}\n{}", one_line(title), plain(&message.body)),
        None => plain(&message.body),
    };
    let text = text.trim_end_matches('\n');
    match message.style {
        Style::Message => text.to_owned(),
        Style::Action => format!("* {text}"),
        Style::Join => said("came", text),
        Style::Leave => said("went", text),
        Style::Rename => format!("is now called {text}"),
    }
}

fn said(verb: &str, text: &str) -> String {
    if text.is_empty() { verb.to_owned() } else { format!("{verb} ({text})") }
}

/// What is known about a message beside its text.
fn footer(message: &Message) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(id) = &message.reply_to {
        parts.push(format!("answers {}", short(id)));
    }
    parts.extend(message.edited.then(|| "edited".to_owned()));
    parts.extend(message.pinned.then(|| "pinned".to_owned()));
    parts.extend(message.reactions.iter().map(|(emoji, count)| format!("{} {count}", one_line(emoji))));
    parts.extend(message.tags.iter().map(|tag| format!("#{}", one_line(tag))));
    parts.extend(message.attachments.iter().map(|file| format!("{}, {} B", one_line(&file.name), file.len)));
    if !message.read_by.is_empty() {
        let names: Vec<_> = message.read_by.iter().map(|name| one_line(name)).collect();
        parts.push(format!("read by {}", names.join(", ")));
    }
    (!parts.is_empty()).then(|| format!("  ({})", parts.join(", ")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn message(author: &str, body: &str) -> Message {
        Message {
            id: "0123456789abcdef".into(),
            space: "aa".into(),
            channel: "general".into(),
            author: author.into(),
            user: "bb".into(),
            ts_ms: 1_103_966_040_000,
            style: Style::Message,
            body: body.into(),
            edited: false,
            reply_to: None,
            reactions: vec![],
            pinned: false,
            deleted: false,
            missing: false,
            sealed: false,
            begins: false,
            imported: false,
            depth: 0,
            title: None,
            tags: vec![],
            mentions: vec![],
            attachments: vec![],
            read_by: vec![],
        }
    }

    #[test]
    fn a_page_is_aligned_and_headed_by_day() {
        let mut second = message("名無し", "two\nlines");
        second.reactions = vec![("👍".into(), 2)];
        second.reply_to = Some("ffffffffffffffff".into());
        second.edited = true;
        let mut third = message("bo", "");
        (third.style, third.ts_ms) = (Style::Leave, third.ts_ms + 86_400_000);
        let mut first = message("ada", "");
        (first.deleted, first.reply_to) = (true, Some("eeeeeeeeeeeeeeee".into()));
        let page = [message("ada", "hello"), first, second, third];
        let mut since = None;
        assert_eq!(
            messages(&page, &Look::bare(), &mut since),
            "Saturday, 25 December 2004\n\
             \x20 09:14  0123456789  ada     hello\n\
             \x20 09:14  0123456789  ada     (deleted message)\n\
             \x20                              (answers eeeeeeeeee)\n\
             \x20 09:14  0123456789  名無し  two\n\
             \x20                            lines\n\
             \x20                              (answers ffffffffff, edited, 👍 2)\n\
             \nSunday, 26 December 2004\n\
             \x20 09:14  0123456789  bo  went\n"
        );
        assert_eq!(since.as_deref(), Some("Sunday, 26 December 2004"));
    }

    #[test]
    fn the_same_day_is_not_headed_twice() {
        let mut since = Some("Saturday, 25 December 2004".to_owned());
        let text = messages(&[message("ada", "again")], &Look::bare(), &mut since);
        assert_eq!(text, "  09:14  0123456789  ada  again\n");
    }

    #[test]
    fn a_hostile_message_is_shown_harmlessly() {
        let text = messages(&[message("ev\x1bil\n", "\x1b]0;owned\x07")], &Look::bare(), &mut None);
        assert!(
            !text.contains('\x1b') && !text.contains('\x07') && text.contains("\u{241b}]0;owned\u{2407}")
        );
    }
}
