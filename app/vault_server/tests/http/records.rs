use crate::support::{World, content, refused};
use serde_json::json;

const ANN: &str = "/v1/collections/door/records/ann";

#[tokio::test]
async fn a_record_is_stored_read_listed_and_erased() {
    let world = World::new().await;
    let put = world.ask("PUT", ANN).json(&content(b"one")).send().await;
    assert_eq!((put.status, put.header("etag"), put.json()), (200, "\"1\"", json!({"version": 1})));
    let got = world.ask("GET", ANN).send().await;
    assert_eq!((got.status, got.header("etag"), got.header("cache-control")), (200, "\"1\"", "no-store"));
    let record = got.json();
    assert_eq!(record["content"], json!({"bytes": "b25l"}));
    assert_eq!((&record["id"], &record["version"], &record["len"]), (&json!("ann"), &json!(1), &json!(3)));
    let page = world.ask("GET", "/v1/collections/door/records").send().await.json();
    assert_eq!(page["records"][0]["id"], "ann");
    assert!(page["records"][0].get("content").is_none() && page.get("next").is_none());
    let erased = world.ask("DELETE", ANN).send().await;
    assert_eq!((erased.status, &erased.json()["versions"]), (200, &json!(1)));
    assert!(erased.json()["receipt"]["encoded"].is_string());
    refused(&world.ask("GET", ANN).send().await, 404, "not-found");
    refused(&world.ask("DELETE", ANN).send().await, 404, "not-found");
}

#[tokio::test]
async fn bytes_go_in_and_come_out_as_they_are() {
    let world = World::new().await;
    let bytes: Vec<u8> = (0..=255).collect();
    let put = world.ask("PUT", ANN).body("application/octet-stream", bytes.clone()).send().await;
    assert_eq!(put.status, 200, "{}", put.text());
    let got = world.ask("GET", ANN).header("accept", "application/octet-stream").send().await;
    assert_eq!((got.header("content-type"), &got.body[..]), ("application/octet-stream", &bytes[..]));
    let head = world.ask("HEAD", ANN).send().await;
    assert_eq!((head.status, head.header("etag"), head.body.len()), (200, "\"1\"", 0));
    let empty = world.ask("PUT", ANN).body("application/octet-stream", "").send().await;
    assert_eq!(empty.status, 200);
    let got = world.ask("GET", ANN).header("accept", "application/octet-stream").send().await;
    assert_eq!((got.header("etag"), got.body.len()), ("\"2\"", 0));
}

#[tokio::test]
async fn ids_are_any_printable_text() {
    let world = World::new().await;
    for id in ["a%2Fb%20c", "%C3%A4%E2%82%AC", "..%2F..", "%25"] {
        world.put("door", id, id.as_bytes()).await;
        let got = world
            .ask("GET", &format!("/v1/collections/door/records/{id}"))
            .header("accept", "application/octet-stream");
        assert_eq!(got.send().await.body, id);
    }
    let bad = world.ask("PUT", "/v1/collections/door/records/a%0Ab").json(&content(b"x")).send().await;
    refused(&bad, 422, "invalid");
    let long = format!("/v1/collections/door/records/{}", "a".repeat(257));
    refused(&world.ask("PUT", &long).json(&content(b"x")).send().await, 422, "invalid");
    refused(&world.ask("GET", "/v1/collections/door/records/%ff").send().await, 400, "malformed");
}

#[tokio::test]
async fn writes_and_reads_depend_on_the_version() {
    let world = World::new().await;
    let put = |name: &'static str, value: &'static str| {
        world.ask("PUT", ANN).json(&content(b"x")).header(name, value)
    };
    refused(&put("if-match", "*").send().await, 412, "precondition-failed");
    assert_eq!(put("if-none-match", "*").send().await.status, 200);
    let again = put("if-none-match", "*").send().await;
    refused(&again, 412, "precondition-failed");
    assert_eq!(again.json()["current_version"], 1);
    refused(&put("if-match", "\"7\"").send().await, 412, "precondition-failed");
    assert_eq!(put("if-match", "\"1\"").send().await.json()["version"], 2);
    refused(&put("if-match", "1").send().await, 400, "malformed");
    let known = world.ask("GET", ANN).header("if-none-match", "\"2\"").send().await;
    assert_eq!((known.status, known.header("etag"), known.body.len()), (304, "\"2\"", 0));
    assert_eq!(world.ask("GET", ANN).header("if-none-match", "\"1\"").send().await.status, 200);
    refused(&world.ask("GET", ANN).header("if-match", "\"1\"").send().await, 412, "precondition-failed");
    refused(&world.ask("DELETE", ANN).header("if-match", "\"1\"").send().await, 412, "precondition-failed");
    assert_eq!(world.ask("DELETE", ANN).header("if-match", "\"2\"").send().await.status, 200);
}

#[tokio::test]
async fn absent_and_forbidden_give_the_same_answer() {
    let world = World::new().await;
    world.put("door", "ann", b"secret").await;
    let reader = world
        .token("gate-reader", json!({"collections": {"gate": ["read", "list", "write", "delete", "match"]}}))
        .await;
    let probe = json!({"probe": {"type": "face", "body": {"vector": [1.0]}}, "threshold": 0.5});
    let cases = [
        ("GET", "records/ann", None),
        ("GET", "records/ann/versions", None),
        ("GET", "records/ann/versions/1", None),
        ("PUT", "records/ann", Some(content(b"x"))),
        ("DELETE", "records/ann", None),
        ("DELETE", "records/ann/versions/1", None),
        ("POST", "records/ann/versions/1/restore", None),
        ("POST", "records/ann/verify", Some(probe.clone())),
        ("POST", "batch", Some(json!({"operations": [{"delete": {"id": "ann"}}]}))),
        ("GET", "records", None),
        ("POST", "identify", Some(probe)),
    ];
    for (method, path, body) in cases {
        let mut answers = Vec::new();
        for collection in ["door", "nowhere", ".tokens"] {
            let ask = world.ask(method, &format!("/v1/collections/{collection}/{path}")).token(&reader);
            let ask = match &body {
                Some(body) => ask.json(body),
                None => ask,
            };
            answers.push(ask.send().await);
        }
        let same = |answer: &crate::support::Answer| {
            (
                answer.status,
                answer
                    .headers
                    .clone()
                    .into_iter()
                    .filter(|(name, _)| name.as_ref().is_none_or(|name| name != "date"))
                    .collect::<Vec<_>>(),
                answer.body.clone(),
            )
        };
        assert_eq!(same(&answers[0]), same(&answers[1]), "{method} {path}");
        assert_eq!(same(&answers[0]), same(&answers[2]), "{method} {path}");
        let quiet = answers[0].status == 404
            || answers[0].text() == r#"{"records":[],"damaged":0}"#
            || answers[0].text() == r#"{"matches":[]}"#;
        assert!(quiet, "{method} {path}: {}", answers[0].text());
    }
    assert_eq!(
        world.ask("GET", "/v1/collections/door").token(&reader).send().await.body,
        world.ask("GET", "/v1/collections/nowhere").token(&reader).send().await.body
    );
    assert_eq!(world.ask("GET", ANN).send().await.status, 200, "and nothing happened to it");
}

#[tokio::test]
async fn the_vaults_own_collections_are_out_of_reach_of_everybody() {
    let world = World::new().await;
    refused(&world.ask("GET", "/v1/collections/.tokens/records/root").send().await, 404, "not-found");
    refused(
        &world.ask("PUT", "/v1/collections/.tokens/records/root").json(&content(b"x")).send().await,
        404,
        "not-found",
    );
    refused(&world.ask("DELETE", "/v1/collections/.tokens").send().await, 404, "not-found");
    refused(&world.ask("PUT", "/v1/collections/.mine").json(&json!({})).send().await, 422, "invalid");
    let listed = world.ask("GET", "/v1/collections").send().await.text();
    assert!(listed.contains("door") && !listed.contains("tokens"));
}

#[tokio::test]
async fn a_repeated_request_happens_once() {
    let world = World::new().await;
    let put = |body: &[u8]| world.ask("PUT", ANN).json(&content(body)).header("idempotency-key", "k-1");
    let (first, second) = (put(b"one").send().await, put(b"one").send().await);
    assert_eq!((first.json(), second.json()), (json!({"version": 1}), json!({"version": 1})));
    assert_eq!((first.header("idempotency-replayed"), second.header("idempotency-replayed")), ("", "true"));
    refused(&put(b"two").send().await, 422, "idempotency-key-reused");
    let delete = || world.ask("DELETE", ANN).header("idempotency-key", "k-2");
    let (first, second) = (delete().send().await, delete().send().await);
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(first.json()["receipt"], second.json()["receipt"]);
    refused(&world.ask("DELETE", ANN).send().await, 404, "not-found");
    let bad = world.ask("PUT", ANN).json(&content(b"x")).header("idempotency-key", "a b").send().await;
    refused(&bad, 400, "malformed");
    let other = world.token("other", json!({"collections": {"door": ["write"]}})).await;
    assert_eq!(
        put(b"one").token(&other).send().await.json(),
        json!({"version": 2}),
        "keys are each caller's own"
    );
}

#[tokio::test]
async fn versions_are_kept_and_restored() {
    let world = World::new().await;
    for bytes in [b"one", b"two"] {
        world.put("door", "ann", bytes).await;
    }
    let versions = world.ask("GET", &format!("{ANN}/versions")).send().await.json();
    assert_eq!(
        versions["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v["version"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [2, 1]
    );
    let old = world
        .ask("GET", &format!("{ANN}/versions/1"))
        .header("accept", "application/octet-stream")
        .send()
        .await;
    assert_eq!((&old.body[..], old.header("etag")), (&b"one"[..], "\"1\""));
    let restored = world.ask("POST", &format!("{ANN}/versions/1/restore")).send().await;
    assert_eq!((restored.status, restored.json()["version"].as_u64()), (200, Some(3)));
    assert_eq!(world.ask("GET", ANN).send().await.json()["restored_from"], 1);
    refused(&world.ask("POST", &format!("{ANN}/versions/9/restore")).send().await, 404, "not-found");
    assert_eq!(world.ask("DELETE", &format!("{ANN}/versions/3")).send().await.status, 200);
    assert_eq!(world.ask("GET", ANN).header("accept", "application/octet-stream").send().await.body, "two");
    refused(&world.ask("GET", &format!("{ANN}/versions/first")).send().await, 400, "malformed");
}

#[tokio::test]
async fn a_batch_happens_wholly_or_not_at_all() {
    let world = World::new().await;
    world.put("door", "bob", b"old").await;
    let put = |id: &str, expect: serde_json::Value| json!({"put": {"id": id, "content": {"bytes": "eA=="}, "expect": expect}});
    let batch = |operations: serde_json::Value| {
        world.ask("POST", "/v1/collections/door/batch").json(&json!({"operations": operations}))
    };
    let failed = batch(json!([put("ann", json!("any")), put("bob", json!({"version": 9}))])).send().await;
    refused(&failed, 409, "conflict");
    refused(&world.ask("GET", ANN).send().await, 404, "not-found");
    let done = batch(json!([put("ann", json!("absent")), {"delete": {"id": "bob"}}])).send().await;
    assert_eq!(done.json()["outcomes"], json!([{"stored": {"version": 1}}, {"erased": {"versions": 1}}]));
    let erasure = done.json()["erasure"].as_u64().unwrap();
    let receipt = world.ask("GET", &format!("/v1/receipts/{erasure}")).send().await;
    assert_eq!((receipt.status, receipt.json()), (200, done.json()["receipt"].clone()));
    refused(&batch(json!([])).send().await, 422, "invalid");
    refused(&batch(json!([put("a", json!("any")), put("a", json!("any"))])).send().await, 422, "invalid");
}

#[tokio::test]
async fn receipts_are_for_those_who_may_delete() {
    let world = World::new().await;
    world.put("door", "ann", b"x").await;
    let later = world.ask("DELETE", &format!("{ANN}?wait=false")).send().await;
    assert!([200, 202].contains(&later.status));
    let erasure = later.json()["erasure"].as_u64().unwrap();
    assert_eq!(world.ask("POST", "/v1/sweep").send().await.status, 200);
    let path = format!("/v1/receipts/{erasure}");
    let (here, there) = (
        world.token("here", json!({"collections": {"door": ["delete"]}})).await,
        world.token("there", json!({"collections": {"gate": ["delete"], "door": ["read"]}})).await,
    );
    assert_eq!(world.ask("GET", &path).token(&here).send().await.status, 200);
    let (foreign, absent) = (
        world.ask("GET", &path).token(&there).send().await,
        world.ask("GET", "/v1/receipts/999").token(&there).send().await,
    );
    assert_eq!((foreign.status, foreign.body), (404, absent.body));
    let encoded = world.ask("GET", &path).header("accept", "application/octet-stream").send().await;
    let receipt = terachat_vault_store::ErasureReceipt::decode(&encoded.body).unwrap();
    let key =
        world.ask("GET", "/v1/vault").send().await.json()["audit_key"].as_str().unwrap().parse().unwrap();
    receipt.verify(&key).unwrap();
}

#[tokio::test]
async fn what_is_not_a_request_is_refused_with_its_reason() {
    let world = World::new().await;
    let put = |kind: &str, body: &str| world.ask("PUT", ANN).body(kind, body);
    refused(&put("application/json", "{\"content\":").send().await, 400, "malformed");
    refused(&put("application/json", "").send().await, 400, "malformed");
    refused(&put("application/json", "\u{feff}{}").send().await, 400, "malformed");
    refused(&put("application/json", "{}").send().await, 422, "invalid");
    refused(&put("application/json", r#"{"content":{"bytes":"no base64"}}"#).send().await, 422, "invalid");
    refused(&put("application/json", r#"{"content":{"bytes":""},"more":1}"#).send().await, 422, "invalid");
    refused(
        &put("application/json", r#"{"content":{"bytes":""},"keep_until_ms":-1}"#).send().await,
        422,
        "invalid",
    );
    refused(
        &put("application/json", r#"{"content":{"bytes":""},"keep_until_ms":5}"#).send().await,
        422,
        "invalid",
    );
    refused(&put("text/plain", "x").send().await, 415, "unsupported-media-type");
    refused(
        &world.ask("PUT", &format!("{ANN}?compres=true")).json(&content(b"x")).send().await,
        400,
        "malformed",
    );
    refused(&world.ask("GET", "/v1/collections/door/records?limit=0").send().await, 400, "malformed");
    refused(&world.ask("GET", "/v1/collections/door/records?cursor=x").send().await, 422, "invalid");
    refused(&world.ask("GET", "/v1/nothing").send().await, 404, "not-found");
    let method = world.ask("PATCH", ANN).send().await;
    refused(&method, 405, "method-not-allowed");
    assert!(method.header("allow").contains("PUT"), "{:?}", method.headers);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new().await;
    for n in 0..25 {
        world.put("door", &format!("r{n}"), b"x").await;
    }
    let (mut seen, mut next) = (std::collections::BTreeSet::new(), String::new());
    loop {
        let page =
            world.ask("GET", &format!("/v1/collections/door/records?limit=10{next}")).send().await.json();
        let records = page["records"].as_array().unwrap();
        assert!(records.len() <= 10);
        assert!(records.iter().all(|record| seen.insert(record["id"].as_str().unwrap().to_owned())));
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 25);
}

#[tokio::test]
async fn too_much_is_refused_before_it_is_read() {
    let world = World::new().await;
    let most = vec![7; 2 << 20];
    let put = |bytes: Vec<u8>| world.ask("PUT", ANN).body("application/octet-stream", bytes);
    assert_eq!(put(most.clone()).send().await.status, 200);
    assert_eq!(world.ask("PUT", ANN).json(&content(&most)).send().await.status, 200);
    refused(&put([&most[..], b"1"].concat()).send().await, 413, "too-large");
    refused(
        &world.ask("PUT", ANN).body("application/json", vec![b' '; (3 << 20) + 1]).send().await,
        413,
        "too-large",
    );
    refused(
        &world.ask("PUT", ANN).json(&content(&[&most[..], b"1"].concat())).send().await,
        413,
        "too-large",
    );
}
