use crate::support::{Place, Running};
use std::io::Write;
use std::process::Stdio;

fn line(id: u64) -> String {
    format!(
        r#"{{"id":{id},"ts":"2004-12-25T09:{:02}:00Z","type":"message","author":"a{id}","body":"body {id}"}}"#,
        id % 60
    ) + "\n"
}

fn bodies(place: &Place) -> Vec<String> {
    let page = place.json("ada", &["read", "--limit", "1000"]);
    let messages = page["messages"].as_array().unwrap();
    messages.iter().map(|message| message["body"].as_str().unwrap().to_owned()).collect()
}

fn expected(ids: impl IntoIterator<Item = u64>) -> Vec<String> {
    ids.into_iter().map(|id| format!("body {id}")).collect()
}

#[test]
fn a_log_comes_in_once_however_often_it_is_given() {
    let place = Place::crew();
    let log: String = (1..=20).map(line).collect();
    let file = place.file("log.jsonl", &log);
    let file = file.to_str().unwrap();
    assert_eq!(place.ok("ada", &["import", file]), "20 added, 0 already there");
    assert_eq!(place.ok("ada", &["import", file]), "0 added, 20 already there");
    let grown = log + &line(21);
    place.file("log.jsonl", grown);
    assert_eq!(place.ok("ada", &["import", file]), "1 added, 20 already there");
    assert_eq!(bodies(&place), expected(1..=21));
}

#[test]
fn a_bad_line_is_named_and_loses_nothing() {
    let place = Place::crew();
    let text = [line(1), line(2), "{\"id\":oops}\n".to_owned(), line(4)].concat();
    let file = place.file("log.jsonl", text);
    let file = file.to_str().unwrap();
    let ended = place.run("ada", &["import", file]);
    let (what, next) = ended.pair();
    assert!(what.contains("line 3 of ") && next.contains("--skip-bad"), "{what}");
    assert_eq!(bodies(&place), expected([1, 2]));
    assert_eq!(
        place.ok("ada", &["import", file, "--skip-bad"]),
        "1 added, 2 already there, 1 lines passed over"
    );
    assert_eq!(bodies(&place), expected([1, 2, 4]));
}

#[test]
fn authors_times_and_reply_links_are_kept() {
    let place = Place::crew();
    let reply =
        r#"{"id":2,"ts":"2005-01-01T00:00:00Z","type":"action","author":"b","body":"nods","reply_to":1}"#;
    let file = place.file("log.jsonl", line(1) + reply);
    let last: serde_json::Value = {
        let text = place.ok("ada", &["import", file.to_str().unwrap(), "--json"]);
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    };
    assert_eq!(last["imported"]["added"], 2);
    let page = place.json("ada", &["read"]);
    let (first, second) = (&page["messages"][0], &page["messages"][1]);
    assert_eq!((first["author"].as_str(), first["ts_ms"].as_i64()), (Some("a1"), Some(1_103_965_260_000)));
    assert_eq!(
        (second["style"].as_str(), second["reply_to"].as_str()),
        (Some("action"), first["id"].as_str())
    );
    assert_eq!(second["imported"], true);
}

#[test]
fn a_killed_import_goes_on_where_it_stopped() {
    let place = Place::crew();
    let log: String = (1..=40).map(line).collect();
    let mut command = place.command("ada", &["import", "-", "--batch", "5", "--json"]);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    let mut pipe = running.child.stdin.take().unwrap();
    // 33 of 40 lines, and the pipe stays open: it cannot finish by itself, and is killed amid a batch.
    pipe.write_all((1..=33).map(line).collect::<String>().as_bytes()).unwrap();
    running.line_with("\"last_id\":20");
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    let file = place.file("log.jsonl", log);
    place.ok("ada", &["import", file.to_str().unwrap()]);
    assert_eq!(bodies(&place), expected(1..=40));
}

/// An import does not serve others; they are told who holds the folder.
#[test]
fn a_folder_in_use_names_its_holder() {
    let place = Place::crew();
    let mut command = place.command("ada", &["import", "-", "--batch", "1", "--json"]);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    let mut pipe = running.child.stdin.take().unwrap();
    pipe.write_all(line(1).as_bytes()).unwrap();
    running.line_with("progress");
    let ended = place.run("ada", &["status"]);
    let (what, _) = ended.pair();
    assert!(what.contains(&format!("process {}", running.child.id())), "{what}");
}
