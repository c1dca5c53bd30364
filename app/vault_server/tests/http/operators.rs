use crate::support::{World, content, refused, source};
use serde_json::{Value, json};
use terachat_vault_store::{Access, Config, TemplateVault};

#[tokio::test]
async fn every_right_is_asked_for() {
    let world = World::new().await;
    let nobody = world
        .token("nobody", json!({"collections": {"*": ["read", "list", "write", "delete", "match"]}}))
        .await;
    let cases: [(&str, &str, Option<Value>); 17] = [
        ("PUT", "/v1/collections/new", Some(json!({}))),
        ("DELETE", "/v1/collections/gate", None),
        ("GET", "/v1/rotations", None),
        ("POST", "/v1/rotations", Some(json!({"kek": {}}))),
        ("PUT", "/v1/rotations/rate", Some(json!({"records_per_s": 5}))),
        ("GET", "/v1/audit", None),
        ("POST", "/v1/audit/verify", None),
        ("POST", "/v1/check", None),
        ("POST", "/v1/compact", None),
        ("POST", "/v1/sweep", None),
        ("POST", "/v1/clock/confirm", None),
        ("POST", "/v1/backup", Some(json!({"passphrase": "correct horse battery"}))),
        ("GET", "/v1/tokens", None),
        ("POST", "/v1/tokens", Some(json!({"name": "x", "scopes": {}}))),
        ("DELETE", "/v1/tokens/root", None),
        ("GET", "/v1/stats", None),
        ("GET", "/metrics", None),
    ];
    for (method, path, body) in cases {
        let ask = world.ask(method, path).token(&nobody);
        let ask = if let Some(body) = &body { ask.json(body) } else { ask };
        refused(&ask.send().await, 403, "forbidden");
    }
}

#[tokio::test]
async fn collections_are_made_and_erased() {
    let world = World::new().await;
    let made = world
        .ask("PUT", "/v1/collections/lift")
        .json(&json!({"algorithm": "chacha20-poly1305", "versions_max": 3}))
        .send()
        .await;
    assert_eq!(
        (made.status, &made.json()["algorithm"], &made.json()["versions_max"]),
        (200, &json!("chacha20-poly1305"), &json!(3))
    );
    refused(&world.ask("PUT", "/v1/collections/lift").json(&json!({})).send().await, 409, "conflict");
    world.put("lift", "ann", b"x").await;
    assert_eq!(world.ask("GET", "/v1/collections/lift").send().await.json()["records"], 1);
    let once = || world.ask("DELETE", "/v1/collections/lift").header("idempotency-key", "drop");
    assert_eq!(once().send().await.json(), json!({"records": 1}));
    let again = once().send().await;
    assert_eq!((again.json(), again.header("idempotency-replayed")), (json!({"records": 1}), "true"));
    let other = world.ask("DELETE", "/v1/collections/door").header("idempotency-key", "drop").send().await;
    refused(&other, 422, "idempotency-key-reused");
    refused(&world.ask("DELETE", "/v1/collections/lift").send().await, 404, "not-found");
    let bad = world.ask("PUT", "/v1/collections/x").json(&json!({"versions_max": 0})).send().await;
    refused(&bad, 422, "invalid");
    refused(&world.ask("PUT", "/v1/collections/*").json(&json!({})).send().await, 422, "invalid");
}

#[tokio::test]
async fn keys_rotate_while_records_are_read() {
    let world = World::new().await;
    for n in 0..20 {
        world.put("door", &format!("r{n}"), b"x").await;
    }
    let before = world.ask("GET", "/v1/rotations").send().await.json();
    let kek = world
        .ask("POST", "/v1/rotations")
        .json(&json!({"kek": {}}))
        .header("idempotency-key", "kek")
        .send()
        .await;
    assert_eq!(
        (kek.status, kek.json()["kek"]["version"].as_u64()),
        (202, before["kek_version"].as_u64().map(|v| v + 1))
    );
    let again = world
        .ask("POST", "/v1/rotations")
        .json(&json!({"kek": {}}))
        .header("idempotency-key", "kek")
        .send()
        .await;
    assert_eq!(again.json(), kek.json());
    assert_eq!(
        world
            .ask("PUT", "/v1/rotations/rate")
            .json(&json!({"records_per_s": 10_000_000}))
            .send()
            .await
            .status,
        204
    );
    refused(
        &world.ask("PUT", "/v1/rotations/rate").json(&json!({"records_per_s": 0})).send().await,
        422,
        "invalid",
    );
    let dek = world.ask("POST", "/v1/rotations").json(&json!({"dek": {"collection": "door"}})).send().await;
    assert_eq!(dek.status, 202, "{}", dek.text());
    let generation = dek.json()["dek"]["generation"].clone();
    assert_eq!(world.ask("GET", "/v1/collections/door").send().await.json()["generation"], generation);
    for n in 0..20 {
        assert_eq!(world.ask("GET", &format!("/v1/collections/door/records/r{n}")).send().await.status, 200);
    }
    refused(
        &world.ask("POST", "/v1/rotations").json(&json!({"dek": {"collection": "no"}})).send().await,
        404,
        "not-found",
    );
    refused(&world.ask("POST", "/v1/rotations").json(&json!({"master": {}})).send().await, 422, "invalid");
}

#[tokio::test]
async fn the_audit_log_names_who_did_what() {
    let world = World::new().await;
    let writer = world.token("writer-3", json!({"collections": {"door": ["write"]}})).await;
    let path = "/v1/collections/door/records/ann";
    assert_eq!(world.ask("PUT", path).token(&writer).json(&content(b"x")).send().await.status, 200);
    let (mut from, mut entries) = (1, Vec::new());
    loop {
        let page = world.ask("GET", &format!("/v1/audit?from={from}&limit=3")).send().await.json();
        entries.extend(page["entries"].as_array().unwrap().clone());
        match page["next"].as_u64() {
            Some(next) => from = next,
            None => break,
        }
    }
    let put = entries.iter().find(|entry| entry["actor"] == "writer-3").unwrap();
    assert_eq!((&put["action"], &put["version"]), (&json!("put"), &json!(1)));
    assert!(entries.iter().any(|entry| entry["action"] == "create_collection"));
    let report = world.ask("POST", "/v1/audit/verify").send().await.json();
    assert!(report["entries"].as_u64().unwrap() >= entries.len() as u64, "{report}");
    refused(&world.ask("GET", "/v1/audit?limit=0").send().await, 400, "malformed");
}

#[tokio::test]
async fn a_backup_makes_a_vault_elsewhere() {
    let world = World::new().await;
    world.put("door", "ann", b"precious").await;
    let ask = |passphrase: &str| world.ask("POST", "/v1/backup").json(&json!({"passphrase": passphrase}));
    refused(&ask("short").send().await, 422, "invalid");
    let backup = ask("correct horse battery").send().await;
    assert_eq!((backup.status, backup.header("content-type")), (200, "application/octet-stream"));
    let config = Config::new(world.path("elsewhere"));
    let restored = TemplateVault::restore_backup(
        &config,
        &mut &backup.body[..],
        &mut source("correct horse battery"),
        &mut [&mut source("new")],
    );
    assert!(restored.unwrap().records >= 1);
    let vault = TemplateVault::open(&config, &mut source("new")).unwrap();
    let record = vault.session("test", Access::full()).unwrap().get("door", "ann").unwrap();
    assert_eq!(record.content.bytes(), Some(&b"precious"[..]));
    vault.close().unwrap();
    let cut = &backup.body[..backup.body.len() - 1];
    let config = Config::new(world.path("nowhere"));
    let mut given = source("correct horse battery");
    assert!(
        TemplateVault::restore_backup(&config, &mut &cut[..], &mut given, &mut [&mut source("new")]).is_err()
    );
}

#[tokio::test]
async fn checks_compaction_and_counters_answer() {
    let world = World::new().await;
    world.put("door", "ann", b"x").await;
    let check = world.ask("POST", "/v1/check").send().await.json();
    assert_eq!((&check["complete"], &check["damaged"]), (&json!(true), &json!([])));
    assert!(world.ask("POST", "/v1/compact").send().await.json()["bytes_after"].is_u64());
    assert_eq!(world.ask("POST", "/v1/clock/confirm").send().await.status, 204);
    assert!(world.ask("GET", "/v1/stats").send().await.json()["puts"].as_u64().unwrap() >= 1);
    let metrics = world.ask("GET", "/metrics").send().await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    let text = metrics.text();
    for line in [
        "terachat_vault_http_requests_total{method=\"PUT\",route=\"/v1/collections/{collection}/records/{id}\",status=\"200\"} 1",
        "terachat_vault_writable 1",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("ann"), "no id of a caller's is a label");
}
