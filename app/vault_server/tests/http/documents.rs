use crate::support::World;
use serde_json::Value;

#[tokio::test]
async fn the_document_and_its_page_are_public_and_whole() {
    let world = World::new().await;
    let document = world.ask("GET", "/v1/openapi.json").nobody().send().await;
    assert_eq!((document.status, document.header("content-type")), (200, "application/json"));
    let document = document.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
    }
    let page = world.ask("GET", "/v1/docs").nobody().send().await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; style-src 'self';"));
    for summary in ["Put a record", "Identify 1:N", "Rotate keys", "Download a backup"] {
        assert!(page.text().contains(summary), "{summary}");
    }
    let style = world.ask("GET", "/v1/docs/style.css").nobody().send().await;
    assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(world.ask("GET", "/").nobody().send().await.header("location"), "/v1/docs");
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| collect(field, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

#[tokio::test]
async fn every_documented_route_is_there_and_asks_for_a_token() {
    let world = World::new().await;
    let document = world.ask("GET", "/v1/openapi.json").send().await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in
            ["get", "put", "post", "delete"].into_iter().filter(|method| item.get(*method).is_some())
        {
            let path = path.replace("{version}", "1").replace("{erasure}", "1").replace(['{', '}'], "");
            let public = path == "/healthz" || path == "/readyz";
            let answer = world.ask(&method.to_uppercase(), &path).nobody().send().await;
            assert_eq!(answer.status, if public { 200 } else { 401 }, "{method} {path}");
        }
    }
}
