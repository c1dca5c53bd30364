use super::{Align, Look, Table, one_line, short, size, time};
use terachat_client::api::Message;

/// The files of messages, a line each: when, message, author, size, name, media type, and whether the cluster has its bytes.
pub(crate) fn attachments(messages: &[Message], look: &Look) -> String {
    let mut table = Table::indented(0);
    for message in messages {
        let when = time::date_clock(message.ts_ms, &look.zone);
        for file in &message.attachments {
            table.row().painted(&when, look.paint.dim(&when), Align::Left);
            table.painted(short(&message.id), look.paint.dim(short(&message.id)), Align::Left);
            table.cell(&one_line(&message.author)).number(size(file.len));
            let name = one_line(&file.name);
            table.painted(&name, look.paint.strong(&name), Align::Left).cell(&one_line(&file.media_type));
            table.cell(if file.address.is_some() { "in the cluster" } else { "not stored" });
        }
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::message;
    use super::*;
    use terachat_client::api::AttachedFile;

    #[test]
    fn a_file_is_a_line_whatever_its_name_holds() {
        let file = |name: &str, address: Option<&str>| AttachedFile {
            name: name.into(),
            media_type: "image/png".into(),
            len: 2048,
            hash: "00".into(),
            address: address.map(str::to_owned),
        };
        let attachments_of = vec![file("a\u{1b}[2J", None), file("b", Some("00"))];
        let text =
            attachments(&[Message { attachments: attachments_of, ..message("ann", "hi") }], &Look::bare());
        assert_eq!(text.lines().count(), 2);
        assert!(
            !text.contains('\u{1b}') && text.contains("2.0 KiB") && text.contains("not stored"),
            "{text}"
        );
        assert!(text.trim_end().ends_with("in the cluster"), "{text}");
    }
}
