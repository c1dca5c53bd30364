use super::{Align, Look, Table, one_line, short, time};
use terachat_client::api::Hit;

/// Search results, best first: where, who, when, and the text with what matched.
pub(crate) fn hits(hits: &[Hit], look: &Look) -> String {
    if hits.is_empty() {
        return "Nothing found.\n".to_owned();
    }
    let mut table = Table::indented(0);
    for hit in hits {
        let message = &hit.message;
        let when = time::date_clock(message.ts_ms, &look.zone);
        let (channel, author) = (one_line(&message.channel), one_line(&message.author));
        table.row().painted(&when, look.paint.dim(&when), Align::Left).cell(&channel);
        table.painted(short(&message.id), look.paint.dim(short(&message.id)), Align::Left);
        table.painted(&author, look.paint.name(&author, &message.author), Align::Left);
        table.painted("", marked(hit, look), Align::Left);
    }
    table.render()
}

/// The body on one line, what matched painted. Ranges that do not fit the text are passed over.
fn marked(hit: &Hit, look: &Look) -> String {
    let body = hit.message.body.as_str();
    let (mut out, mut at) = (String::new(), 0);
    for &(start, end) in &hit.highlights {
        let (Some(before), Some(word)) = (body.get(at..start), body.get(start..end)) else { continue };
        out.push_str(&one_line(before));
        out.push_str(&look.paint.mark(&one_line(word)));
        at = end;
    }
    out.push_str(&one_line(body.get(at..).unwrap_or_default()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{Paint, message::tests::message};

    fn hit(body: &str, highlights: Vec<(usize, usize)>) -> Hit {
        Hit { message: message("ada", body), score: 1, highlights }
    }

    #[test]
    fn matches_are_painted_and_bad_ranges_ignored() {
        let look = Look { paint: Paint::Ansi, ..Look::bare() };
        assert_eq!(marked(&hit("a red fox", vec![(2, 5), (90, 99)]), &look), "a \x1b[1;33mred\x1b[0m fox");
        assert_eq!(marked(&hit("äö", vec![(1, 2), (0, 2)]), &Look::bare()), "äö");
    }

    #[test]
    fn nothing_found_is_said() {
        assert_eq!(hits(&[], &Look::bare()), "Nothing found.\n");
    }
}
