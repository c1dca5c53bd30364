//! An etcd that asks for certificates and passwords, and is asked for them.
use super::super::authority::Authority;
use super::*;
use crate::suite::{node, within};
use serde_json::{Value, json};
use terachat_vault::SecretBytes;

const PASSWORD: &str = "correct horse";

fn with_user(access: &Access, name: &str, password: &str) -> Access {
    let user = User::new(name.to_owned(), SecretBytes::copy_from(password.as_bytes()));
    Access { user: Some(Arc::new(user)), ..access.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_passwords_are_asked_for_and_shown() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("127.0.0.1");
    let ca = authority.certificate();
    let arguments =
        ["--cert-file", &certificate, "--key-file", &key, "--client-cert-auth", "--trusted-ca-file", &ca];
    let Some(mut server) = Server::start_with("https", &arguments) else { return };
    let at = |tls: Option<Tls>| Access { tls, ..Access::plain(vec![server.endpoint().parse().unwrap()]) };
    let read = |file: &str| std::fs::read(file).unwrap();
    let (own, own_key) = authority.issue("node");
    let (own, own_key) = (read(&own), read(&own_key));
    let own = Some((&own[..], &own_key[..]));
    let tls = Tls::new(&read(&ca), own).unwrap();
    let known = at(Some(tls));
    let look_at = async |access: &Access| {
        let settings = EtcdSettings::new(access.clone(), "cluster/ledger/".to_owned());
        within(look(&settings)).await
    };
    assert_eq!(look_at(&known).await, Ok(false));

    // Neither end is believed without its authority's word.
    for (tls, why) in [
        (None, "no authority is known"),
        (Some(Tls::new(&read(&Authority::new().certificate()), own).unwrap()), "TLS"),
        (Some(Tls::new(&read(&ca), None).unwrap()), ""),
    ] {
        let error = look_at(&at(tls)).await.unwrap_err();
        assert!(matches!(&error, EtcdError::Unreachable(words) if words.contains(why)), "{error}");
    }

    // A user who may work below one prefix, and nowhere else.
    let root = Client::new(known.clone(), Duration::from_secs(2));
    let end = question::text(b"cluster0");
    let ask = async |path: &str, question: Value| within(root.ask(path, &question)).await.unwrap();
    for name in ["root", "node"] {
        ask("/v3/auth/user/add", json!({ "name": name, "password": PASSWORD })).await;
        ask("/v3/auth/role/add", json!({ "name": name })).await;
        ask("/v3/auth/user/grant", json!({ "user": name, "role": name })).await;
    }
    let perm = json!({ "permType": "READWRITE", "key": question::text(b"cluster/"), "range_end": end });
    ask("/v3/auth/role/grant", json!({ "name": "node", "perm": perm })).await;
    ask("/v3/auth/enable", json!({})).await;

    for access in [known.clone(), with_user(&known, "node", "wrong"), with_user(&known, "nobody", PASSWORD)] {
        let error = look_at(&access).await.unwrap_err();
        assert!(matches!(&error, EtcdError::Refused(_)), "{error}");
        assert!(!error.to_string().contains(PASSWORD) && !format!("{access:?}").contains("wrong"));
        let settings = EtcdSettings::new(access, "cluster/ledger/".to_owned());
        let opened = within(EtcdLedger::open(node(1), Tally::default(), settings)).await;
        assert!(matches!(opened.map(drop), Err(EtcdError::Refused(_))));
    }
    let granted = with_user(&known, "node", PASSWORD);
    let elsewhere = EtcdSettings::new(granted.clone(), "another/".to_owned());
    let error = within(look(&elsewhere)).await.unwrap_err();
    assert!(matches!(&error, EtcdError::Refused(_)), "{error}");

    // All that a ledger does can be done with these rights, snapshots too, and after a restart, which forgets tokens.
    let settings = EtcdSettings {
        leader_seconds: 2,
        snapshot_entries: 10,
        kept_entries: 2,
        ..EtcdSettings::new(granted.clone(), "cluster/ledger/".to_owned())
    };
    let ledger = within(EtcdLedger::open(node(1), Tally::default(), settings.clone())).await.unwrap();
    within(ledger.found()).await.unwrap();
    within(ledger.watch().wait_for(|now| now.is_leader)).await.unwrap();
    for number in 0..30u8 {
        within(ledger.propose(vec![number])).await.unwrap();
    }
    within(ledger.shared.covered.subscribe().wait_for(|covered| *covered >= 10)).await.unwrap();
    server.stop();
    within(ledger.watch().wait_for(|now| now.trouble.is_some())).await.unwrap();
    server.again();
    within(ledger.watch().wait_for(|now| now.trouble.is_none() && now.is_leader)).await.unwrap();
    assert_eq!(within(ledger.propose(b"on".to_vec())).await.unwrap().index, 31);
    assert_eq!(look_at(&granted).await, Ok(true));
}
