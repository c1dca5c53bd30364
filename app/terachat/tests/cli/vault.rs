use crate::support::{Place, Running};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// A vault in the folder `vault`, with the collection `door`.
fn made() -> Place {
    let place = Place::new();
    place.ok("-", &vault(&place, &["init"]));
    place.ok("-", &vault(&place, &["collections", "create", "door"]));
    place
}

/// A command line on the vault of this place.
pub(crate) fn vault<'a>(place: &'a Place, args: &[&'a str]) -> Vec<&'a str> {
    let folder = Box::leak(place.home("vault").to_str().unwrap().to_owned().into_boxed_str());
    [&["vault", "--database", folder], args].concat()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_record_goes_round() {
    let place = made();
    let (one, two) = (place.file("one", b"first\0"), place.file("two", b"second"));
    let put = |file: &Path| place.json("-", &vault(&place, &["put", "door", "ann", path(file)]));
    assert_eq!((put(&one), put(&two)), (json!({"version": 1}), json!({"version": 2})));
    let out = place.home("out");
    place.ok("-", &vault(&place, &["get", "door", "ann", "--version", "1", "--out", path(&out)]));
    assert_eq!(std::fs::read(&out).unwrap(), b"first\0");
    assert_eq!(place.ok("-", &vault(&place, &["get", "door", "ann", "--out", "-"])), "second");
    let shown = place.ok("-", &vault(&place, &["get", "door", "ann"]));
    assert!(shown.contains("version  2") && !shown.contains("second"), "{shown}");
    assert_eq!(place.json("-", &vault(&place, &["get", "door", "ann"]))["content"]["bytes"], "c2Vjb25k");
    assert_eq!(place.json("-", &vault(&place, &["restore", "door", "ann", "1"]))["version"], 3);
    let versions = place.json("-", &vault(&place, &["versions", "door", "ann"]));
    assert_eq!(versions["versions"].as_array().unwrap().len(), 3);
    assert_eq!(place.json("-", &vault(&place, &["list", "door"]))["records"][0]["id"], "ann");
    let conflict = place.run("-", &vault(&place, &["put", "door", "ann", path(&one), "--expect", "1"]));
    assert!(conflict.pair().0.contains("version 3"));
    let receipt = place.home("receipt");
    place.ok("-", &vault(&place, &["delete", "door", "ann", "--receipt", path(&receipt)]));
    let missing = place.run("-", &vault(&place, &["get", "door", "ann"]));
    assert_eq!(missing.pair().0, "no such record");
    let key =
        place.json("-", &vault(&place, &["audit", "--check"]))["audit_key"].as_str().unwrap().to_owned();
    place.ok("-", &["vault", "receipt", "verify", path(&receipt), "--audit-key", &key]);
    let mut bytes = std::fs::read(&receipt).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&receipt, bytes).unwrap();
    place.run("-", &["vault", "receipt", "verify", path(&receipt), "--audit-key", &key]).pair();
    let log = place.json("-", &vault(&place, &["audit", "--limit", "10000"]));
    let actions: Vec<_> =
        log["entries"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert!(["put", "read", "restore", "delete"].into_iter().all(|action| actions.contains(&json!(action))));
    assert_eq!(place.json("-", &vault(&place, &["check"]))["complete"], true);
    assert!(place.json("-", &vault(&place, &["stats"]))["records"].is_u64());
    assert!(place.json("-", &vault(&place, &["compact"]))["bytes_after"].is_u64());
}

#[test]
fn templates_are_compared() {
    let place = made();
    let content = r#"{"template":{"metadata":{"subject":"ann","type":"face"},"body":{"vector":[0.6,0.8]}}}"#;
    let file = place.file("ann.json", content);
    place.ok("-", &vault(&place, &["put", "door", "ann", path(&file), "--content-json"]));
    let near = place.file("near.json", r#"{"type":"face","body":{"vector":[0.6,0.79]}}"#);
    let far = place.file("far.json", r#"{"type":"face","body":{"vector":[0.8,-0.6]}}"#);
    let verify = |probe: &Path| {
        place.run(
            "-",
            &vault(
                &place,
                &["verify", "door", "ann", "--probe", path(probe), "--threshold", "0.9", "--json"],
            ),
        )
    };
    assert_eq!(
        (verify(&near).code, verify(&far).code),
        (0, 1),
        "a door opens or stays shut by the exit code"
    );
    let found =
        place.json("-", &vault(&place, &["identify", "door", "--probe", path(&near), "--threshold", "0.9"]));
    assert_eq!(found["matches"][0]["id"], "ann");
    let broken = place.file("nan.json", content.replace("0.6", "NaN"));
    place.run("-", &vault(&place, &["put", "door", "bob", path(&broken), "--content-json"])).pair();
}

#[test]
fn keys_and_sources_are_replaced() {
    let place = made();
    let secret = place.file("secret", "s");
    place.ok("-", &vault(&place, &["put", "door", "ann", path(&secret)]));
    assert_eq!(place.json("-", &vault(&place, &["rotate", "kek"]))["kek_version"], 2);
    assert_eq!(place.json("-", &vault(&place, &["rotate", "dek", "door", "--progress"]))["done"], true);
    assert_eq!(place.json("-", &vault(&place, &["rotate", "status"]))["running"], json!([]));
    let key = place.home("key");
    place.ok("-", &vault(&place, &["guard", "--new-key-file", path(&key)]));
    let sources = place.json("-", &vault(&place, &["sources"]));
    assert_eq!(sources["sources"], json!([{"source": "passphrase"}, {"source": "file"}]));
    place.ok("-", &vault(&place, &["unguard", "passphrase"]));
    place.run("-", &vault(&place, &["stats"])).pair();
    let by_key = |args: &[&str]| {
        let mut command = place.command("-", &vault(&place, &[&["--key-file", path(&key)], args].concat()));
        command.env_remove("TERACHAT_PASSPHRASE_FILE");
        crate::support::Ended::from(command.output().unwrap())
    };
    assert_eq!(by_key(&["get", "door", "ann", "--out", "-"]).stdout, "s");
    let new = place.file("new", "battery staple\n");
    assert_eq!(by_key(&["rotate", "master", "--new-passphrase-file", path(&new)]).code, 0);
    assert_eq!(by_key(&["stats"]).code, 1);
    place.ok("-", &vault(&place, &["--passphrase-file", path(&new), "stats"]));
}

#[test]
fn a_backup_is_restored_under_a_key_file() {
    let place = made();
    let secret = place.file("secret", "s");
    place.ok("-", &vault(&place, &["put", "door", "ann", path(&secret)]));
    let (backup, words) = (place.home("backup"), place.file("words", "some long words\n"));
    place.ok(
        "-",
        &vault(&place, &["backup", "--out", path(&backup), "--backup-passphrase-file", path(&words)]),
    );
    let (elsewhere, key) = (place.home("elsewhere"), place.home("key"));
    let run = |args: &[&str]| {
        let args = [&["vault", "--database", path(&elsewhere), "--key-file", path(&key)], args].concat();
        crate::support::Ended::from(
            place.command("-", &args).env_remove("TERACHAT_PASSPHRASE_FILE").output().unwrap(),
        )
    };
    let restored = run(&["restore-backup", path(&backup), "--backup-passphrase-file", path(&words)]);
    assert_eq!(restored.code, 0, "{}", restored.stderr);
    assert_eq!(run(&["get", "door", "ann", "--out", "-"]).stdout, "s");
    let again = run(&["restore-backup", path(&backup), "--backup-passphrase-file", path(&words)]);
    assert!(again.pair().0.contains("is there already"));
}

#[test]
fn a_batch_happens_wholly_and_its_receipt_is_fetched_later() {
    let place = made();
    let old = place.file("old", "x");
    place.ok("-", &vault(&place, &["put", "door", "bob", path(&old)]));
    let put = r#"{"put":{"id":"ann","content":{"bytes":"eA=="}}}"#;
    let batch = |name: &str, operations: &str| {
        let file = place.file(name, format!(r#"{{"operations":[{operations}]}}"#));
        place.run("-", &vault(&place, &["batch", "door", path(&file)]))
    };
    let failed = batch("failed", &format!(r#"{put},{{"delete":{{"id":"eve"}}}}"#));
    assert_eq!(failed.pair().0, "no such record");
    assert_eq!(place.run("-", &vault(&place, &["get", "door", "ann"])).code, 1, "nothing of it happened");
    assert!(batch("misread", r#"{"drop":{"id":"bob"}}"#).pair().0.contains("unknown variant"));
    let both = format!(r#"{{"operations":[{put},{{"delete":{{"id":"bob"}}}}],"erase_later":true}}"#);
    let done = place.json("-", &vault(&place, &["batch", "door", path(&place.file("done", both))]));
    assert_eq!(done["outcomes"], json!([{"stored": {"version": 1}}, {"erased": {"versions": 1}}]));
    let erasure = done["erasure"].to_string();
    let swept = place.json("-", &vault(&place, &["sweep"]))["versions"].as_u64().unwrap();
    assert!(swept <= 1, "the vault may have done it by itself");
    let receipt = place.home("receipt");
    place.ok("-", &vault(&place, &["receipt", "show", &erasure, "--out", path(&receipt)]));
    let key =
        place.json("-", &vault(&place, &["audit", "--check"]))["audit_key"].as_str().unwrap().to_owned();
    place.ok("-", &["vault", "receipt", "verify", path(&receipt), "--audit-key", &key]);
    let none = place.run("-", &vault(&place, &["receipt", "show", "99"]));
    assert!(none.pair().0.contains("no receipt of an erasure 99"));
    assert!(place.json("-", &vault(&place, &["confirm-clock"]))["now_ms"].is_u64());
    assert!(place.ok("-", &vault(&place, &["audit", "--limit", "1000"])).contains("confirm_clock"));
    let rotated = place.json("-", &vault(&place, &["rotate", "dek", "door", "--rate", "1000000"]));
    assert_eq!(rotated["done"], true);
}

#[test]
fn settings_come_from_the_environment_and_flags_stand_above_it() {
    let place = made();
    let folder = place.home("vault");
    let run = |settings: &[(&str, &str)], args: &[&str]| {
        let mut command = place.command("-", &[&["vault"], args].concat());
        command.env("DATABASE_PATH", &folder).envs(settings.iter().copied());
        crate::support::Ended::from(command.output().unwrap())
    };
    let good = run(&[("CACHE_SIZE", "1MiB"), ("FLUSH_INTERVAL", "1h")], &["stats", "--json"]);
    assert_eq!(good.code, 0, "{}", good.stderr);
    for (name, value, told) in [
        ("CACHE_SIZE", "1023KiB", "cache_size"),
        ("CACHE_SIZE", "2TiB", "cache_size"),
        ("FLUSH_INTERVAL", "0ms", "flush_interval"),
        ("FLUSH_INTERVAL", "61m", "flush_interval"),
    ] {
        let ended = run(&[(name, value)], &["stats"]);
        assert!(ended.pair().0.contains(told), "{name}={value}: {ended:?}");
        let flag = if name == "CACHE_SIZE" { ["--cache-size", "2MiB"] } else { ["--flush-interval", "1s"] };
        assert_eq!(run(&[(name, value)], &[flag[0], flag[1], "stats"]).code, 0, "{name}={value}");
    }
    for name in ["CACHE_SIZE", "FLUSH_INTERVAL"] {
        let ended = run(&[(name, "much")], &["stats"]);
        assert!(ended.code == 2 && ended.stderr.contains("much"), "{ended:?}");
    }
    let misread = run(&[("RUST_LOG", "a=b=c")], &["stats"]);
    assert!(misread.code == 0 && misread.stderr.contains("RUST_LOG is passed over"), "{misread:?}");
    let elsewhere = run(&[("DATABASE_PATH", path(&place.home("none")))], &["stats"]);
    assert!(elsewhere.pair().1.contains("vault init"));
}

#[test]
fn vault_failures_are_pairs_and_misuse_ends_with_2() {
    let place = made();
    let none = place.home("none");
    let ended = place.run("-", &["vault", "--database", path(&none), "stats"]);
    assert!(ended.pair().1.contains("vault init"));
    assert!(!none.exists(), "a look at a missing vault makes no folder");
    assert!(place.run("-", &vault(&place, &["list", ".tokens"])).pair().0.contains("own"));
    assert!(place.run("-", &vault(&place, &["init"])).pair().0.contains("not empty"));
    let wrong = place.file("wrong", "battery\n");
    place.run("-", &vault(&place, &["--passphrase-file", path(&wrong), "stats"])).pair();
    let open = place.run("-", &vault(&place, &["serve", "--listen", "0.0.0.0:0"]));
    assert!(open.pair().1.contains("--insecure-plain-http"));
    for args in [
        &["--cache-size", "many", "stats"][..],
        &["rotate"],
        &["rotate", "master"],
        &["serve", "--tls-cert", "x"],
        &["verify", "door", "ann"],
        &["token", "create"],
    ] {
        assert_eq!(place.run("-", &vault(&place, args)).code, 2, "{args:?}");
    }
    let small = place.run("-", &vault(&place, &["--cache-size", "1KiB", "stats"]));
    assert!(small.pair().0.contains("cache_size"));
}

/// A served vault and a token for it.
pub(crate) struct Served {
    pub(crate) place: Place,
    pub(crate) running: Running,
    pub(crate) address: String,
    pub(crate) token: String,
}

impl Served {
    pub(crate) fn start(place: Place, token: Option<String>) -> Self {
        let token = token.unwrap_or_else(|| {
            place.ok(
                "-",
                &vault(&place, &["token", "create", "root", "--grant", "*=all", "--operator", "all"]),
            )
        });
        let args = vault(&place, &["serve", "--listen", "127.0.0.1:0", "--rate", "0", "--json"]);
        let running = Running::start(place.command("-", &args));
        Self::of(place, running, token)
    }

    /// From a server that is about to say where it listens.
    pub(crate) fn of(place: Place, mut running: Running, token: String) -> Self {
        let first: Value = serde_json::from_str(&running.line()).unwrap();
        let address = first["listening"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        Self { place, running, address, token }
    }

    /// JSON where the body looks like it, else bytes.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> std::io::Result<String> {
        ask(&self.address, &self.token, method, path, body)
    }
}

/// The answer to one request; an error when the connection breaks before its end.
fn ask(address: &str, token: &str, method: &str, path: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let len = body.len();
    let kind = if body.starts_with('{') { "application/json" } else { "application/octet-stream" };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: vault\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-type: {kind}\r\naccept: application/octet-stream\r\ncontent-length: {len}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let whole = answer.split_once("\r\n\r\n").is_some_and(|(head, body)| {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        length.is_some_and(|length| length.parse() == Ok(body.len()))
    });
    if whole { Ok(answer) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(unix)]
#[test]
fn a_server_has_its_vault_alone_and_ends_in_order() {
    let served = Served::start(made(), None);
    assert!(served.ask("PUT", "/v1/collections/door/records/ann", "x").unwrap().starts_with("HTTP/1.1 200"));
    let locked = served.place.run("-", &vault(&served.place, &["get", "door", "ann"]));
    assert!(
        locked.pair().0.contains("in use by another process") && locked.pair().1.contains("HTTP"),
        "{locked:?}"
    );
    let Served { place, running, .. } = served;
    assert_eq!(running.interrupt(), 0);
    assert_eq!(place.ok("-", &vault(&place, &["get", "door", "ann", "--out", "-"])), "x");
    let actors = place.ok("-", &vault(&place, &["audit", "--limit", "10000"]));
    assert!(actors.contains("root"), "{actors}");
}

/// A limit on file sizes stands for a full disk, since it fails the same calls.
#[cfg(unix)]
#[test]
fn a_full_disk_stops_the_writing_and_a_load_balancer_is_told() {
    let place = made();
    let token =
        place.ok("-", &vault(&place, &["token", "create", "root", "--grant", "*=all", "--operator", "all"]));
    let args = vault(&place, &["serve", "--listen", "127.0.0.1:0", "--rate", "0", "--json"]);
    let program = place.command("-", &args);
    // 12 MiB for each file; the signal is ignored, so that the write itself fails.
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 24576; exec \"$0\" \"$@\""]);
    limited.arg(program.get_program()).args(program.get_args()).stdin(std::process::Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let served = Served::of(place, Running::start(limited), token);
    let ready = served.ask("GET", "/readyz", "").unwrap();
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    let (content, mut stored) = ("x".repeat(1 << 20), 0);
    let refused = loop {
        let path = format!("/v1/collections/door/records/{stored}");
        let answer = served.ask("PUT", &path, &content).unwrap();
        match answer.starts_with("HTTP/1.1 200") {
            true => stored += 1,
            false => break answer,
        }
        assert!(stored < 100, "the limit holds");
    };
    assert!(stored > 0);
    for answer in [refused, served.ask("GET", "/readyz", "").unwrap()] {
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("#problem-read-only"), "{answer}");
        assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    }
    let alive = served.ask("GET", "/healthz", "").unwrap();
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
    let all_there = |served: &Served| {
        for n in 0..stored {
            let answer = served.ask("GET", &format!("/v1/collections/door/records/{n}"), "").unwrap();
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&content), "record {n}");
        }
    };
    all_there(&served);
    let Served { place, running, token, .. } = served;
    assert_eq!(running.interrupt(), 1, "it says that it could not close in order");
    let served = Served::start(place, Some(token));
    all_there(&served);
    let answer = served.ask("PUT", "/v1/collections/door/records/later", "it goes on").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// What was acknowledged over HTTP is there after SIGKILL in the middle of writing.
#[test]
fn acknowledged_writes_survive_sigkill() {
    let mut served = Served::start(made(), None);
    let (acknowledged, ended) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (acknowledged, ended, address, token) =
                (&acknowledged, &ended, served.address.clone(), served.token.clone());
            scope.spawn(move || {
                for n in 0.. {
                    let id = format!("{writer}-{n}");
                    match ask(&address, &token, "PUT", &format!("/v1/collections/door/records/{id}"), &id) {
                        Ok(answer) => {
                            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                            acknowledged.lock().unwrap().push(id);
                        }
                        Err(_) if ended.load(Ordering::SeqCst) => return,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        while acknowledged.lock().unwrap().len() < 60 {
            std::thread::yield_now();
        }
        ended.store(true, Ordering::SeqCst);
        served.running.child.kill().unwrap();
        served.running.child.wait().unwrap();
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    let Served { place, token, .. } = served;
    let served = Served::start(place, Some(token));
    for id in &acknowledged {
        let answer = served.ask("GET", &format!("/v1/collections/door/records/{id}"), "").unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with(&format!("\r\n\r\n{id}")),
            "{id}: {answer}"
        );
    }
    let audit = served.ask("POST", "/v1/audit/verify", "").unwrap();
    assert!(audit.starts_with("HTTP/1.1 200"), "{audit}");
    let check = served.ask("POST", "/v1/check", "").unwrap();
    assert!(check.contains("\"complete\":true") && check.contains("\"damaged\":[]"), "{check}");
}
