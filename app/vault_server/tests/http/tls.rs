use crate::support::{World, config};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use terachat_vault_server::{Error, Server, ServerConfig, TlsFiles};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Writes a certificate of its own for `localhost`, and gives it.
fn issue(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

fn files(folder: &Path) -> TlsFiles {
    TlsFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") }
}

async fn connect(world: &World, trusted: &CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(world.address).await?;
    TlsConnector::from(Arc::new(client)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

#[tokio::test]
async fn tls_is_spoken_and_the_certificate_replaced_while_it_runs() {
    let place = tempfile::tempdir().unwrap();
    let first = issue(place.path());
    let world = World::with(ServerConfig { tls: Some(files(place.path())), ..config() }).await;
    let answer = world.ask("GET", "/v1/vault").over(connect(&world, &first).await.unwrap()).await;
    assert_eq!((answer.status, answer.header("strict-transport-security")), (200, "max-age=31536000"));
    let second = issue(place.path());
    assert!(connect(&world, &second).await.is_err(), "not before it is told");
    world.reload.send(()).unwrap();
    let stream = loop {
        if let Ok(stream) = connect(&world, &second).await {
            break stream;
        }
    };
    assert_eq!(world.ask("GET", "/v1/vault").over(stream).await.status, 200);
    std::fs::write(place.path().join("cert.pem"), "nonsense").unwrap();
    world.reload.send(()).unwrap();
    let stream = connect(&world, &second).await.unwrap();
    assert_eq!(world.ask("GET", "/v1/vault").over(stream).await.status, 200, "the old one stays");
}

#[tokio::test]
async fn files_that_do_not_fit_are_named() {
    let place = tempfile::tempdir().unwrap();
    issue(place.path());
    let key = std::fs::read(place.path().join("key.pem")).unwrap();
    issue(place.path());
    std::fs::write(place.path().join("key.pem"), key).unwrap();
    let vault = terachat_vault_store::TemplateVault::create(
        &terachat_vault_store::Config::new(place.path().join("vault")),
        &mut [&mut crate::support::source("horse")],
    )
    .unwrap();
    let wrong = ServerConfig { tls: Some(files(place.path())), ..config() };
    assert!(
        matches!(Server::bind(vault.clone(), wrong.clone()).await, Err(Error::Tls { path, .. }) if path.ends_with("key.pem"))
    );
    std::fs::remove_file(place.path().join("cert.pem")).unwrap();
    assert!(
        matches!(Server::bind(vault, wrong).await, Err(Error::Tls { path, .. }) if path.ends_with("cert.pem"))
    );
}
