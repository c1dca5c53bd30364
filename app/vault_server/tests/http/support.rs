use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use terachat_vault::{PassphraseCost, PassphraseSource, SecretBytes};
use terachat_vault_server::{Error, Scopes, Server, ServerConfig, TokenStore};
use terachat_vault_store::{CollectionOptions, Config, TemplateVault};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// A served vault with the collections `door` and `gate`, and a token that may do everything.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) root: String,
    pub(crate) reload: watch::Sender<()>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<Result<(), Error>>,
}

pub(crate) fn source(passphrase: &str) -> PassphraseSource {
    PassphraseSource::new(SecretBytes::take(passphrase.into()), PassphraseCost::INSECURE_FAST)
}

pub(crate) fn config() -> ServerConfig {
    ServerConfig::new("127.0.0.1:0".parse().unwrap())
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(config()).await
    }

    pub(crate) async fn with(config: ServerConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vault =
            TemplateVault::create(&Config::new(folder.path().join("vault")), &mut [&mut source("horse")])
                .unwrap();
        for name in ["door", "gate"] {
            vault.create_collection("test", name, &CollectionOptions::default()).unwrap();
        }
        let root = TokenStore::open(&vault).unwrap().create("test", "root", Scopes::full(), DAY).unwrap();
        Self::serve(folder, vault, config, root.expose_token().to_owned()).await
    }

    pub(crate) async fn serve(
        folder: tempfile::TempDir,
        vault: TemplateVault,
        config: ServerConfig,
        root: String,
    ) -> Self {
        let server = Server::bind(vault, config).await.unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let (reload, again) = watch::channel(());
        let stopped = async {
            let _ = stopped.await;
        };
        let server = tokio::spawn(server.run(stopped, again));
        Self { folder, address, root, reload, stop: Some(stop), server }
    }

    /// Tells the server to end.
    pub(crate) fn tell_to_stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits until it has ended, and gives its folder.
    pub(crate) async fn ended(mut self) -> tempfile::TempDir {
        if self.stop.is_some() {
            self.tell_to_stop();
        }
        self.server.await.unwrap().unwrap();
        self.folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A request of the token that may do everything.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Ask<'_> {
        Ask {
            world: self,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: vec![("authorization".to_owned(), format!("Bearer {}", self.root))],
            body: Vec::new(),
        }
    }

    /// A token with these scopes.
    pub(crate) async fn token(&self, name: &str, scopes: Value) -> String {
        let answer =
            self.ask("POST", "/v1/tokens").json(&json!({"name": name, "scopes": scopes})).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    /// Stores bytes, and gives their version.
    pub(crate) async fn put(&self, collection: &str, id: &str, bytes: &[u8]) -> u64 {
        let path = format!("/v1/collections/{collection}/records/{id}");
        let answer = self.ask("PUT", &path).json(&content(bytes)).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["version"].as_u64().unwrap()
    }
}

pub(crate) fn content(bytes: &[u8]) -> Value {
    json!({"content": {"bytes": STANDARD.encode(bytes)}})
}

pub(crate) fn face(numbers: &[f32]) -> Value {
    let metadata = json!({"subject": "ann", "type": "face", "quality": 90, "labels": {"site": "north"}});
    json!({"content": {"template": {"metadata": metadata, "body": {"vector": numbers}}}})
}

pub(crate) struct Ask<'a> {
    world: &'a World,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn nobody(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "authorization");
        self
    }

    pub(crate) fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    pub(crate) fn body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", kind)
    }

    pub(crate) async fn send(self) -> Answer {
        let stream = TcpStream::connect(self.world.address).await.unwrap();
        self.over(stream).await
    }

    pub(crate) async fn over(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Answer {
        let mut request =
            Request::builder().method(self.method.as_str()).uri(&self.path).header("host", "vault");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(self.body))).unwrap();
        let (mut client, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let answer = Answer::read(client.send_request(request).await.unwrap()).await;
        connection.abort();
        answer
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    async fn read(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let answer = Self { status: head.status.as_u16(), headers: head.headers, body };
        answer.check();
        answer
    }

    /// What holds for every answer: what is an error is a problem, and nothing is kept by caches.
    fn check(&self) {
        assert_eq!(self.headers["x-content-type-options"], "nosniff");
        assert!(
            self.headers.contains_key("content-security-policy")
                && self.headers.contains_key("cache-control")
        );
        if StatusCode::from_u16(self.status).unwrap().as_u16() >= 400 {
            assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text());
            if !self.body.is_empty() {
                let problem = self.json();
                assert_eq!(problem["status"], self.status);
                assert!(
                    ["type", "title", "detail", "next"].into_iter().all(|field| problem[field].is_string())
                );
            }
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status, and the end of the problem's type.
    #[track_caller]
    pub(crate) fn problem(&self) -> (u16, String) {
        let kind = self.json()["type"].as_str().unwrap().to_owned();
        (self.status, kind.rsplit_once("#problem-").unwrap().1.to_owned())
    }
}

#[track_caller]
pub(crate) fn refused(answer: &Answer, status: u16, slug: &str) {
    assert_eq!(answer.problem(), (status, slug.to_owned()), "{}", answer.text());
}
