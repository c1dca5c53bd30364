use crate::support::{World, refused};
use serde_json::json;

#[tokio::test]
async fn what_is_no_token_gets_one_answer() {
    let world = World::new().await;
    let revoked = world.token("revoked", json!({})).await;
    assert_eq!(world.ask("DELETE", "/v1/tokens/revoked").send().await.status, 204);
    let rotated = world.token("rotated", json!({})).await;
    assert_eq!(
        world.ask("POST", "/v1/tokens/rotated/rotate").json(&json!({"grace_s": 0})).send().await.status,
        201
    );
    let mut forged = world.root.clone();
    let last = if forged.ends_with('A') { "E" } else { "A" };
    forged.replace_range(forged.len() - 1.., last);
    let first = world.ask("GET", "/v1/vault").nobody().send().await;
    refused(&first, 401, "unauthorized");
    assert_eq!(first.header("www-authenticate"), "Bearer");
    for header in [
        "Bearer".to_owned(),
        "Bearer x".to_owned(),
        "Basic cm9vdDpyb290".to_owned(),
        format!("Bearer {revoked}"),
        format!("Bearer {rotated}"),
        format!("Bearer {forged}"),
        format!("Bearer {}", "a".repeat(5000)),
    ] {
        let answer = world.ask("GET", "/v1/vault").header("authorization", &header).send().await;
        assert_eq!((answer.status, answer.body), (401, first.body.clone()), "{header}");
    }
    for path in ["/v1/collections/door/records/ann", "/v1/collections", "/v1/audit", "/v1/stats", "/metrics"]
    {
        refused(&world.ask("GET", path).nobody().send().await, 401, "unauthorized");
    }
    let lower =
        world.ask("GET", "/v1/vault").header("authorization", &format!("bearer {}", world.root)).send().await;
    assert_eq!(lower.status, 200);
}

#[tokio::test]
async fn a_token_is_made_listed_rotated_and_revoked() {
    let world = World::new().await;
    let old = world.token("door-7", json!({"collections": {"door": ["read"]}})).await;
    let vault = world.ask("GET", "/v1/vault").token(&old).send().await.json();
    assert_eq!(vault["token"]["name"], "door-7");
    let listed = world.ask("GET", "/v1/tokens").send().await.text();
    assert!(listed.contains("door-7") && !listed.contains(&old[24..]), "never its secret: {listed}");
    let again = json!({"name": "door-7", "scopes": {}});
    refused(&world.ask("POST", "/v1/tokens").json(&again).send().await, 409, "conflict");
    let rotated = world.ask("POST", "/v1/tokens/door-7/rotate").json(&json!({"grace_s": 60})).send().await;
    let new = rotated.json()["token"].as_str().unwrap().to_owned();
    assert!(rotated.json()["info"]["previous_until_ms"].is_u64());
    for token in [&old, &new] {
        assert_eq!(world.ask("GET", "/v1/vault").token(token).send().await.status, 200);
    }
    assert_eq!(world.ask("DELETE", "/v1/tokens/door-7").send().await.status, 204);
    for token in [&old, &new] {
        refused(&world.ask("GET", "/v1/vault").token(token).send().await, 401, "unauthorized");
    }
    refused(&world.ask("GET", "/v1/tokens/door-7").send().await, 404, "not-found");
    refused(&world.ask("DELETE", "/v1/tokens/door-7").send().await, 404, "not-found");
}

#[tokio::test]
async fn nobody_gives_more_than_they_have() {
    let world = World::new().await;
    let scopes = json!({"collections": {"door": ["read"]}, "operator": ["tokens"]});
    let clerk = world.token("clerk", scopes).await;
    let make = |name: &str, scopes: serde_json::Value| {
        world.ask("POST", "/v1/tokens").token(&clerk).json(&json!({"name": name, "scopes": scopes}))
    };
    assert_eq!(make("a", json!({"collections": {"door": ["read"]}})).send().await.status, 201);
    for (name, scopes) in [
        ("b", json!({"collections": {"door": ["write"]}})),
        ("c", json!({"collections": {"*": ["read"]}})),
        ("d", json!({"operator": ["audit"]})),
    ] {
        refused(&make(name, scopes).send().await, 403, "forbidden");
    }
    let takeover = world.ask("POST", "/v1/tokens/root/rotate").token(&clerk).json(&json!({})).send().await;
    refused(&takeover, 403, "forbidden");
    refused(&world.ask("DELETE", "/v1/tokens/root").send().await, 409, "conflict");
    refused(&world.ask("POST", "/v1/tokens/root/rotate").json(&json!({})).send().await, 409, "conflict");
    refused(&make("e!", json!({})).send().await, 422, "invalid");
    refused(&make("f", json!({"collections": {".tokens": ["read"]}})).send().await, 403, "forbidden");
    let inner = json!({"name": "g", "scopes": {"collections": {".tokens": ["read"]}}});
    refused(&world.ask("POST", "/v1/tokens").json(&inner).send().await, 422, "invalid");
    let ever = json!({"name": "h", "scopes": {}, "expires_in_s": 0});
    refused(&world.ask("POST", "/v1/tokens").json(&ever).send().await, 422, "invalid");
}

#[tokio::test]
async fn tokens_outlive_the_server_and_their_text_is_nowhere_on_disk() {
    let world = World::new().await;
    let kept = world.token("kept", json!({"collections": {"door": ["list"]}})).await;
    let old = world.token("older", json!({})).await;
    let new = world.ask("POST", "/v1/tokens/older/rotate").json(&json!({})).send().await.json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let root = world.root.clone();
    let folder = world.ended().await;
    let mut source = crate::support::source("horse");
    let config = terachat_vault_store::Config::new(folder.path().join("vault"));
    let vault = terachat_vault_store::TemplateVault::open(&config, &mut source).unwrap();
    let world = World::serve(folder, vault, crate::support::config(), root).await;
    for token in [&kept, &old, &new] {
        assert_eq!(world.ask("GET", "/v1/vault").token(token).send().await.status, 200);
    }
    let folder = world.ended().await;
    let mut files = Vec::new();
    collect(folder.path(), &mut files);
    assert!(!files.is_empty());
    for bytes in files {
        let holds = |token: &str| bytes.windows(20).any(|window| window == &token.as_bytes()[24..44]);
        assert!(![&kept, &old, &new].into_iter().any(|token| holds(token)));
    }
}

fn collect(folder: &std::path::Path, files: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(std::fs::read(path).unwrap());
        }
    }
}

/// A clock that a test sets.
#[tokio::test]
async fn a_token_ends_at_its_time_and_its_name_is_free_again() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use terachat_vault_server::{Scopes, TokenStore};
    use terachat_vault_store::{Config, TemplateVault};
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_800_000_000_000));
    let clock = now.clone();
    let config = Config {
        clock: Arc::new(move || clock.load(Ordering::SeqCst)),
        background: false,
        ..Config::new(folder.path().join("vault"))
    };
    let vault = TemplateVault::create(&config, &mut [&mut crate::support::source("horse")]).unwrap();
    let root = TokenStore::open(&vault)
        .unwrap()
        .create("test", "root", Scopes::full(), crate::support::DAY)
        .unwrap();
    let world = World::serve(folder, vault, crate::support::config(), root.expose_token().to_owned()).await;
    let brief = json!({"name": "brief", "scopes": {}, "expires_in_s": 60});
    let made = world.ask("POST", "/v1/tokens").json(&brief).send().await.json();
    let token = made["token"].as_str().unwrap();
    now.fetch_add(59_999, Ordering::SeqCst);
    assert_eq!(world.ask("GET", "/v1/vault").token(token).send().await.status, 200);
    now.fetch_add(1, Ordering::SeqCst);
    refused(&world.ask("GET", "/v1/vault").token(token).send().await, 401, "unauthorized");
    now.fetch_sub(50_000, Ordering::SeqCst);
    refused(&world.ask("GET", "/v1/vault").token(token).send().await, 401, "unauthorized");
    refused(&world.ask("GET", "/v1/tokens/brief").send().await, 404, "not-found");
    assert_eq!(world.ask("POST", "/v1/tokens").json(&brief).send().await.status, 201);
}
