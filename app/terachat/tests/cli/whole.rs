#![cfg(unix)]
use crate::support::program;

/// The README's first command: every promise holds, on the smallest stage.
#[test]
fn the_demo_holds_its_promises() {
    let output = program().args(["demo", "--devices", "3", "--json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let value: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(output.status.success() && value["held"] == true, "{value:#}");
    let promises = value["report"]["promises"].as_array().unwrap();
    assert!(promises.len() >= 12 && promises.iter().all(|promise| promise["held"] == true));
}
