use jiff::Timestamp;
use serde::Deserialize;
use terachat_client::api::{ImportRecord, Style};

/// Why a line is no record, in words that follow "line 7 of FILE cannot be read: ".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) String);

/// A line as it stands in the file. Unknown fields are refused: they would be lost in silence.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: u64,
    ts: String,
    #[serde(rename = "type")]
    style: Style,
    author: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    reply_to: Option<u64>,
}

/// Reads one record, which must come after `last_id`.
///
/// # Errors
/// [`Unreadable`] for anything but a whole record.
pub(crate) fn parse(line: &[u8], last_id: u64) -> Result<ImportRecord, Unreadable> {
    let line: Line = serde_json::from_slice(line).map_err(|error| Unreadable(reason(&error)))?;
    if line.id <= last_id {
        return Err(Unreadable(format!("its id {} does not come after {last_id}", line.id)));
    }
    let ts: Timestamp = line
        .ts
        .parse()
        .map_err(|_| Unreadable(format!("ts {:?} is no time like 2004-12-25T09:14:00Z", line.ts)))?;
    if line.author.is_empty() {
        return Err(Unreadable("its author is empty".to_owned()));
    }
    if line.body.is_empty() && line.style == Style::Rename {
        return Err(Unreadable("its body, the new name, is empty".to_owned()));
    }
    if line.reply_to.is_some_and(|to| to >= line.id) {
        return Err(Unreadable("reply_to names a later record".to_owned()));
    }
    Ok(ImportRecord {
        id: line.id,
        ts_ms: ts.as_millisecond(),
        style: line.style,
        author: line.author,
        body: line.body,
        reply_to: line.reply_to,
    })
}

/// The reader's words without "at line 1", which would be mistaken for the line of the file.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let bare = text.split(" at line ").next().unwrap_or_default();
    format!("{bare} (column {})", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str =
        r#"{"id":7,"ts":"2004-12-25T09:14:00Z","type":"message","author":"ada","body":"hi","reply_to":3}"#;

    #[test]
    fn a_record_is_read_whole() {
        let record = parse(GOOD.as_bytes(), 6).unwrap();
        assert_eq!((record.id, record.ts_ms, record.reply_to), (7, 1_103_966_040_000, Some(3)));
        assert_eq!(
            (record.style, record.author.as_str(), record.body.as_str()),
            (Style::Message, "ada", "hi")
        );
    }

    #[test]
    fn every_flaw_is_named() {
        #[track_caller]
        fn case(from: &str, to: &str, named: &str) {
            let line = GOOD.replace(from, to);
            assert_ne!(line, GOOD);
            let Unreadable(reason) = parse(line.as_bytes(), 6).unwrap_err();
            assert!(reason.contains(named), "{reason}");
        }
        case("}", "", "EOF");
        case("\"id\":7", "\"id\":6", "does not come after 6");
        case("\"id\":7", "\"id\":-7", "invalid value");
        case("09:14", "9.14", "no time");
        case("message", "shout", "unknown variant");
        case("\"ada\"", "\"\"", "author is empty");
        case("\"body\"", "\"text\"", "unknown field `text`");
        case("\"author\":\"ada\",", "", "missing field `author`");
        case("to\":3", "to\":7", "later record");
        case("}", "} {}", "trailing");
    }

    #[test]
    fn a_rename_needs_the_new_name() {
        let line = r#"{"id":1,"ts":"2004-12-25T09:14:00Z","type":"rename","author":"ada","body":""}"#;
        assert!(parse(line.as_bytes(), 0).unwrap_err().0.contains("new name"));
    }

    #[test]
    fn those_who_come_and_go_need_no_text() {
        let line = r#"{"id":1,"ts":"2004-12-25T09:14:00Z","type":"join","author":"ada"}"#;
        assert_eq!(parse(line.as_bytes(), 0).unwrap().body, "");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&line, 0);
        }

        #[test]
        fn no_damage_makes_it_panic(at in 0..GOOD.len(), byte in any::<u8>(), cut in 0..GOOD.len()) {
            let mut line = GOOD.as_bytes().to_vec();
            line[at] = byte;
            let _ = parse(&line, 0);
            prop_assert!(parse(&GOOD.as_bytes()[..cut], 0).is_err());
        }
    }
}
