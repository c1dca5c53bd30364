use crate::support::{World, content};
use terachat_vault_store::{Access, Config, TemplateVault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What has begun is finished, what comes later is turned away, and the vault is closed in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_finishes_what_has_begun() {
    let mut world = World::new().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let body = content(b"late").to_string();
    let head = format!(
        "PUT /v1/collections/door/records/ann HTTP/1.1\r\nhost: vault\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        world.root,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut line = [0; 25];
    stream.read_exact(&mut line).await.unwrap();
    world.tell_to_stop();
    // The address is given back once nothing more is taken.
    while TcpStream::connect(world.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains(r#"{"version":1}"#), "{answer}");
    let folder = world.ended().await;
    let config = Config::new(folder.path().join("vault"));
    let vault = TemplateVault::open(&config, &mut crate::support::source("horse")).unwrap();
    let record = vault.session("test", Access::full()).unwrap().get("door", "ann").unwrap();
    assert_eq!(record.content.bytes(), Some(&b"late"[..]));
}
