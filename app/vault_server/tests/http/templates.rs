use crate::support::{World, face, refused};
use serde_json::{Value, json};

fn probe(numbers: Value) -> Value {
    json!({"probe": {"type": "face", "body": {"vector": numbers}}, "threshold": 0.9})
}

#[tokio::test]
async fn templates_are_compared_without_leaving_the_vault() {
    let world = World::new().await;
    for (id, numbers) in [("ann", [0.6, 0.8]), ("bob", [0.8, -0.6]), ("cid", [0.5, 0.9])] {
        let put = world
            .ask("PUT", &format!("/v1/collections/door/records/{id}"))
            .json(&face(&numbers))
            .send()
            .await;
        assert_eq!(put.status, 200, "{}", put.text());
    }
    let matcher = world.token("controller", json!({"collections": {"door": ["match"]}})).await;
    let verify = |id: &str| {
        world
            .ask("POST", &format!("/v1/collections/door/records/{id}/verify"))
            .token(&matcher)
            .json(&probe(json!([0.6, 0.8])))
    };
    let ann = verify("ann").send().await.json();
    assert_eq!((ann["score"].as_f64(), ann["matched"].as_bool()), (Some(1.0), Some(true)));
    assert_eq!(verify("bob").send().await.json()["matched"], false);
    refused(&verify("eve").send().await, 404, "not-found");
    let found = world
        .ask("POST", "/v1/collections/door/identify")
        .token(&matcher)
        .json(&probe(json!([0.6, 0.8])))
        .send()
        .await
        .json();
    let ids: Vec<_> = found["matches"].as_array().unwrap().iter().map(|found| found["id"].clone()).collect();
    assert_eq!(ids, ["ann", "cid"]);
    refused(
        &world.ask("GET", "/v1/collections/door/records/ann").token(&matcher).send().await,
        404,
        "not-found",
    );
}

#[tokio::test]
async fn a_template_comes_back_as_it_was() {
    let world = World::new().await;
    let path = "/v1/collections/door/records/ann";
    let mut sent = face(&[0.125, -2.5, 3.0]);
    let metadata = &mut sent["content"]["template"]["metadata"];
    metadata["consent"] = json!({"given_at_ms": 1, "purpose": "the door", "reference": "file 7"});
    metadata["capture_device"] = json!("Acme F7");
    metadata["keep_until_ms"] = json!(4_000_000_000_000_u64);
    assert_eq!(world.ask("PUT", path).json(&sent).send().await.status, 200);
    let got = world.ask("GET", path).send().await.json();
    assert_eq!(got["content"], sent["content"]);
    assert_eq!(got["keep_until_ms"], 4_000_000_000_000_u64);
    let listed = world.ask("GET", "/v1/collections/door/records?type=face").send().await.json();
    assert_eq!(listed["records"][0]["template"]["metadata"]["subject"], "ann");
    assert_eq!(listed["records"][0]["template"]["kind"], "vector");
    let none = world.ask("GET", "/v1/collections/door/records?type=iris").send().await.json();
    assert_eq!(none["records"], json!([]));
    refused(
        &world.ask("GET", path).header("accept", "application/octet-stream").send().await,
        406,
        "not-acceptable",
    );
}

#[tokio::test]
async fn what_is_no_template_is_refused() {
    let world = World::new().await;
    let put =
        |body: String| world.ask("PUT", "/v1/collections/door/records/ann").body("application/json", body);
    let with = |body: &str| face(&[1.0]).to_string().replace(r#"{"vector":[1.0]}"#, body);
    assert_eq!(put(with(r#"{"vector":[1.0]}"#)).send().await.status, 200);
    refused(&put(with(r#"{"vector":[NaN]}"#)).send().await, 400, "malformed");
    refused(&put(with(r#"{"vector":[1e999]}"#)).send().await, 400, "malformed");
    let infinite = put(with(r#"{"vector":[0.5,1e39]}"#)).send().await;
    refused(&infinite, 422, "invalid");
    assert!(
        infinite.json()["detail"].as_str().unwrap().contains("number 1 of the vector"),
        "{}",
        infinite.text()
    );
    refused(&put(with(r#"{"vector":[0.0]}"#)).send().await, 422, "invalid");
    refused(&put(with(r#"{"vector":[]}"#)).send().await, 422, "invalid");
    refused(&put(with(r#"{"vector":["1"]}"#)).send().await, 422, "invalid");
    refused(&put(with(r#"{"minutiae":"AAAA"}"#)).send().await, 422, "invalid");
    refused(&put(with(r#"{"shape":[1]}"#)).send().await, 422, "invalid");
    refused(&put(with(&format!("{{\"vector\":{:?}}}", vec![1; 4097]))).send().await, 422, "invalid");
    refused(&put(face(&[1.0]).to_string().replace("\"face\"", "\"gait\"")).send().await, 422, "invalid");
    let verify =
        |numbers: Value| world.ask("POST", "/v1/collections/door/records/ann/verify").json(&probe(numbers));
    refused(&verify(json!([1.0, 2.0])).send().await, 422, "invalid");
    world.put("door", "bytes", b"x").await;
    let bytes = world
        .ask("POST", "/v1/collections/door/records/bytes/verify")
        .json(&probe(json!([1.0])))
        .send()
        .await;
    refused(&bytes, 422, "invalid");
    let mut wide = probe(json!([1.0]));
    wide["threshold"] = json!(1.5);
    refused(&world.ask("POST", "/v1/collections/door/identify").json(&wide).send().await, 422, "invalid");
}
