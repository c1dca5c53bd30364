use super::{Align, Look, Table, one_line, short, time};
use terachat_client::api::ForumPost;

/// A forum's posts, a line each: last answer, id, answers, title, tags, who began and who spoke last.
pub(crate) fn posts(posts: &[ForumPost], look: &Look) -> String {
    let mut table = Table::indented(0);
    for post in posts {
        let message = &post.message;
        let when = time::date_clock(post.last_ts_ms, &look.zone);
        table.row().painted(&when, look.paint.dim(&when), Align::Left);
        table.painted(short(&message.id), look.paint.dim(short(&message.id)), Align::Left);
        table.number(post.replies).cell(if post.replies == 1 { "answer" } else { "answers" });
        let title = one_line(message.title.as_deref().unwrap_or("(deleted post)"));
        table.painted(&title, look.paint.strong(&title), Align::Left);
        let tags: Vec<String> = message.tags.iter().map(|tag| format!("#{}", one_line(tag))).collect();
        let (author, last) = (one_line(&message.author), one_line(&post.last_by));
        let people = if post.replies == 0 { author } else { format!("{author}, last {last}") };
        table.cell(&people).painted("", tags.join(" "), Align::Left);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::message;
    use super::*;

    #[test]
    fn a_post_is_a_line_whatever_its_title_holds() {
        let message = terachat_client::api::Message {
            title: Some("Which\u{1b}[2J way?".into()),
            tags: vec!["help".into(), "maps".into()],
            ..message("ann", "to the sea")
        };
        let post =
            ForumPost { message, replies: 2, last: "e-2".into(), last_by: "bob".into(), last_ts_ms: 0 };
        let text = posts(&[post], &Look::bare());
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains('\u{1b}') && text.contains("2  answers") && text.contains("ann, last bob"));
        assert!(text.trim_end().ends_with("#help #maps"));
    }
}
