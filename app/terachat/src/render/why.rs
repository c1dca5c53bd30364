use super::{Look, one_line, short};
use terachat_client::api::{EventLine, Why};

/// Why an event counts or not: the event, the reason, then each deciding event with what it has to do with it, and below
/// that why it is void itself where the other falls with it.
pub(crate) fn why(why: &Why, look: &Look) -> String {
    let mut out = String::new();
    told(why, look, 0, &mut out);
    out
}

fn told(why: &Why, look: &Look, indent: usize, out: &mut String) {
    let gap = " ".repeat(indent);
    if indent == 0 {
        out.push_str(&event(&why.event, look));
        out.push('\n');
    }
    let verdict = if why.counts { look.paint.good("counts") } else { look.paint.alarm("counts for nothing") };
    out.push_str(&format!("{gap}  {verdict}: {}\n", one_line(&why.because)));
    for hash in &why.signed {
        out.push_str(&format!("{gap}  signed by its author: {}\n", one_line(hash)));
    }
    for deciding in &why.deciding {
        let because = one_line(&deciding.because);
        out.push_str(&format!("{gap}  {}\n{gap}    {because}\n", event(&deciding.event, look)));
        if let Some(why) = &deciding.why {
            told(why, look, indent + 4, out);
        }
    }
    if indent == 0 && !why.cited.is_empty() {
        let heads = why.cited.iter().map(|head| head.id.as_deref().unwrap_or(&head.hash));
        let heads: Vec<String> = heads.map(|name| one_line(short(name))).collect();
        out.push_str(&look.paint.dim(&format!("{gap}  made under {}\n", heads.join(", "))));
    }
    if let Some(ahead) = &why.ahead {
        out.push_str("  of the newest of its channel, ahead of the past\n");
        let lines = |words: &[String], kind: &str| {
            words.iter().map(|words| format!("  {kind}: {}\n", one_line(words))).collect::<String>()
        };
        out.push_str(&lines(&ahead.proven, "proven"));
        out.push_str(&lines(&ahead.unknown, "not known"));
        out.push_str(&format!("  next: {}\n", one_line(&ahead.next)));
    }
}

fn event(line: &EventLine, look: &Look) -> String {
    let author = one_line(&line.author);
    let author = look.paint.name(&author, &line.author);
    format!("{} by {author}: {}", one_line(short(&line.id)), one_line(&line.what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use terachat_client::api::{CitedHead, DecidingEvent, KnownAhead};

    fn line(id: &str, author: &str, what: &str) -> EventLine {
        EventLine {
            id: id.into(),
            hash: "h".into(),
            device: "d".into(),
            author: author.into(),
            seq: 1,
            lamport: 1,
            wall_ms: 0,
            epoch: None,
            parents: vec![],
            what: what.into(),
            void: None,
            signed: true,
        }
    }

    fn void(event: EventLine, because: &str, deciding: Vec<DecidingEvent>) -> Why {
        Why {
            event,
            counts: false,
            reason: "r".into(),
            because: because.into(),
            rank: None,
            permission: None,
            last: None,
            signed: vec![],
            deciding,
            cited: vec![CitedHead { id: Some("aa-1".into()), hash: "h".into() }],
            ahead: None,
        }
    }

    #[test]
    fn of_what_is_ahead_it_says_what_is_proven_and_what_is_not_known() {
        let ahead = KnownAhead {
            from: 7,
            proven: vec!["it is signed".into(), "its time".into()],
            unknown: vec!["what is older".into()],
            next: "keep the channel".into(),
        };
        let counting = Why {
            counts: true,
            ahead: Some(ahead),
            ..void(line("aa-9", "ada", "said: hi"), "it may", vec![])
        };
        assert_eq!(
            why(&counting, &Look::bare()),
            "aa-9 by ada: said: hi\n\
             \x20 counts: it may\n\
             \x20 made under aa-1\n\
             \x20 of the newest of its channel, ahead of the past\n\
             \x20 proven: it is signed\n\
             \x20 proven: its time\n\
             \x20 not known: what is older\n\
             \x20 next: keep the channel\n"
        );
    }

    #[test]
    fn a_reason_stands_over_what_it_rests_on() {
        let removal = DecidingEvent {
            role: "cuts_off".into(),
            because: "cuts it off".into(),
            event: line("aa-2", "ada", "removed bo"),
            why: None,
        };
        let admission = line("bb-1", "bo", "admitted cy");
        let admission = DecidingEvent {
            role: "admits_in_vain".into(),
            because: "did not admit".into(),
            event: admission.clone(),
            why: Some(Box::new(void(admission, "removed", vec![removal]))),
        };
        let whole = Why {
            signed: vec!["00".into()],
            ..void(line("cc-1", "cy\u{1b}", "said: hi"), "no admission", vec![admission])
        };
        assert_eq!(
            why(&whole, &Look::bare()),
            "cc-1 by cy\u{241b}: said: hi\n\
             \x20 counts for nothing: no admission\n\
             \x20 signed by its author: 00\n\
             \x20 bb-1 by bo: admitted cy\n\
             \x20   did not admit\n\
             \x20     counts for nothing: removed\n\
             \x20     aa-2 by ada: removed bo\n\
             \x20       cuts it off\n\
             \x20 made under aa-1\n"
        );
        let counting = Why { counts: true, ..void(line("aa-1", "ada", "founded"), "it founds", vec![]) };
        assert_eq!(
            why(&counting, &Look::bare()),
            "aa-1 by ada: founded\n  counts: it founds\n  made under aa-1\n"
        );
    }
}
