//! A bucket over S3, through `object_store`.
use super::Bucket;
use super::credentials::Credentials;
use crate::Error;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig};
use std::error::Error as _;
use std::time::Duration;
use terachat_cluster::{Objects, ObjectsError, ObjectsErrorKind as Kind, ObjectsVerb as Verb, Part};
use tokio::runtime::{Builder, Runtime};

/// Requests that are under way at once.
const AT_ONCE: usize = 32;
/// Until a connection stands, and until a request is answered whole; the largest object has 64 MiB and a shard.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// A request that failed by the service's or the network's fault is repeated so often, and not after so long.
const RETRIES: usize = 4;
const RETRY_WITHIN: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Letters of a service's own words that are told.
const WORDS_MAX: usize = 200;

/// The objects under a prefix. It has a thread of its own for its connections, and blocks whoever asks until the service has answered.
pub(super) struct S3 {
    store: AmazonS3,
    prefix: Path,
    /// Always there but while it is dropped.
    runtime: Option<Runtime>,
}

impl S3 {
    /// Nothing is asked of the service yet.
    pub(super) fn connect(bucket: &Bucket, prefix: &str) -> Result<Self, Error> {
        // One provider for the whole process; if one is there already, that one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let Credentials { id, key, token } = Credentials::of(bucket)?;
        let client = ClientOptions::new().with_connect_timeout(CONNECT_WITHIN).with_timeout(ANSWER_WITHIN);
        let retry = RetryConfig {
            backoff: BackoffConfig { init_backoff: PAUSE, max_backoff: PAUSE_MAX, base: 2. },
            max_retries: RETRIES,
            retry_timeout: RETRY_WITHIN,
        };
        let mut builder = AmazonS3Builder::new()
            .with_client_options(client)
            .with_retry(retry)
            .with_bucket_name(&bucket.name)
            .with_region(&bucket.region)
            .with_access_key_id(id)
            .with_secret_access_key(key);
        if let Some(token) = token {
            builder = builder.with_token(token);
        }
        if let Some(endpoint) = &bucket.endpoint {
            // Without TLS the credentials stay secret, for requests are signed, and shards are sealed.
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        let unusable = |why: String| Error::Bucket { bucket: bucket.to_string(), why };
        let store = builder.build().map_err(|error| unusable(words(&error)))?;
        let prefix = Path::parse(prefix).map_err(|error| unusable(error.to_string()))?;
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("bucket").enable_all().build();
        let runtime =
            runtime.map_err(|source| Error::Local { doing: "start an event queue".to_owned(), source })?;
        Ok(Self { store, prefix, runtime: Some(runtime) })
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("it is there until the drop").block_on(work)
    }

    fn path(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    async fn read_part(&self, part: &Part) -> Result<Vec<u8>, ObjectsError> {
        let path = self.path(&part.name);
        let short = || ObjectsError::new(Kind::Short, Verb::Read, &part.name);
        let Some(end) = part.from.checked_add(part.len as u64) else { return Err(short()) };
        match self.store.get_range(&path, part.from..end).await {
            Ok(bytes) if bytes.len() == part.len => Ok(bytes.into()),
            Ok(_) => Err(short()),
            Err(error) => {
                let error = failed(&error, Verb::Read, &part.name);
                // A part that begins behind the end is refused, and how is every service's own matter.
                if error.kind == Kind::Failed
                    && self.store.head(&path).await.is_ok_and(|object| object.size < end)
                {
                    return Err(short());
                }
                Err(error)
            }
        }
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Objects for S3 {
    fn put(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), ObjectsError> {
        let put = self.wait(self.store.put(&self.path(name), PutPayload::from(bytes)));
        put.map(drop).map_err(|error| failed(&error, Verb::Put, name))
    }

    fn read(&self, parts: &[Part]) -> Vec<Result<Vec<u8>, ObjectsError>> {
        let reads = stream::iter(parts.iter().map(|part| self.read_part(part)));
        self.wait(reads.buffered(AT_ONCE).collect())
    }

    fn remove(&mut self, names: &[String]) -> Result<(), ObjectsError> {
        let remove = async |name: &String| match self.store.delete(&self.path(name)).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let error = failed(&error, Verb::Remove, name);
                if error.kind == Kind::Missing { Ok(()) } else { Err(error) }
            }
        };
        let removals = stream::iter(names.iter().map(remove));
        self.wait(removals.buffer_unordered(AT_ONCE).try_collect())
    }

    fn list(&self) -> Result<Vec<(String, u64)>, ObjectsError> {
        let listed: Result<Vec<_>, _> = self.wait(self.store.list(Some(&self.prefix)).try_collect());
        let listed = listed.map_err(|error| failed(&error, Verb::List, ""))?;
        let name =
            |object: object_store::ObjectMeta| Some((object.location.filename()?.to_owned(), object.size));
        let mut names: Vec<(String, u64)> = listed.into_iter().filter_map(name).collect();
        names.sort_unstable();
        Ok(names)
    }
}

/// Does all that a store does, with one object.
pub(super) fn try_out(objects: &mut dyn Objects, name: &str) -> Result<(), ObjectsError> {
    // There are services that make a bucket for whoever puts something there.
    objects.list()?;
    objects.put(name, name.as_bytes().to_vec())?;
    let part = Part { name: name.to_owned(), from: 1, len: name.len() - 1 };
    let read = objects.read(&[part]).remove(0);
    let listed = objects.list();
    objects.remove(&[name.to_owned()])?;
    if read? != name.as_bytes()[1..] {
        let error = ObjectsError::new(Kind::Failed, Verb::Read, name);
        return Err(error.detail("it gave other bytes than were put"));
    }
    if !listed?.iter().any(|(listed, _)| listed == name) {
        let error = ObjectsError::new(Kind::Failed, Verb::List, "");
        return Err(error.detail("it does not list what was just put"));
    }
    Ok(())
}

/// Whose fault it is, and what the service said of it.
fn failed(error: &object_store::Error, verb: Verb, name: &str) -> ObjectsError {
    let words = words(error);
    let kind = match (&words[..], error) {
        ("NoSuchBucket", _) => Kind::NoBucket,
        (
            "AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken",
            _,
        ) => Kind::Denied,
        (_, object_store::Error::NotFound { .. }) if matches!(verb, Verb::Put | Verb::List) => Kind::NoBucket,
        (_, object_store::Error::NotFound { .. }) => Kind::Missing,
        (_, object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }) => {
            Kind::Denied
        }
        _ => Kind::Failed,
    };
    ObjectsError::new(kind, verb, name).detail(words)
}

/// The innermost cause in few words. A service that refuses a signature sends back what was signed, and a token may be in that: of its
/// answers only the code is told.
fn words(error: &object_store::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    let text = cause.map_or_else(|| error.to_string(), ToString::to_string);
    code(&text)
        .map_or_else(|| text.split('<').next().unwrap_or_default().trim().to_owned(), str::to_owned)
        .chars()
        .filter(|letter| !letter.is_control())
        .take(WORDS_MAX)
        .collect()
}

/// What stands in the answer's `Code`.
fn code(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_services_answer_only_the_code_is_told() {
        let body = "<?xml?><Error><Code>SignatureDoesNotMatch</Code><CanonicalRequest>x-amz-security-token:hidden</CanonicalRequest></Error>";
        let source = format!("Server returned non-2xx status code: 403: {body}");
        let error = object_store::Error::Generic { store: "S3", source: source.into() };
        assert_eq!(words(&error), "SignatureDoesNotMatch");
        let source = "Server returned non-2xx status code: 503: <html>hidden</html>".to_owned();
        let error = object_store::Error::Generic { store: "S3", source: source.into() };
        assert_eq!(words(&error), "Server returned non-2xx status code: 503:");
    }
}
