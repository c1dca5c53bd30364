//! Against a real S3 server. Without one nothing is tested, and said to be.
use super::s3::S3;
use super::server::Server;
use super::*;
use std::path::PathBuf;
use terachat_cluster::shards_suite::{Place, conforms};
use terachat_cluster::{
    BucketOptions, BucketStore, Objects, ObjectsError, ObjectsErrorKind as Kind, ObjectsVerb, Part,
    objects_suite,
};

fn bucket(server: &Server, prefix: &str) -> Bucket {
    let mut bucket = Bucket::parse(&format!("s3://shards/{prefix}")).unwrap();
    bucket.endpoint = Some(server.endpoint.clone());
    bucket.credentials = Some(server.credentials().to_str().unwrap().to_owned());
    bucket
}

#[test]
fn a_real_service_conforms() {
    let Some(server) = Server::start() else { return };
    let mut fresh = 0;
    objects_suite::conforms(&mut || {
        fresh += 1;
        let bucket = bucket(&server, &format!("objects/{fresh}"));
        Box::new(S3::connect(&bucket, &bucket.prefix).unwrap())
    });
}

struct InBucket<'s>(&'s Server, Bucket);

impl Place for InBucket<'_> {
    fn open(&mut self) -> Box<dyn ShardStore> {
        let objects = S3::connect(&self.1, &self.1.prefix).unwrap();
        let options = BucketOptions { object_len: 64 << 10 };
        Box::new(BucketStore::open(Box::new(objects), options).unwrap().0)
    }

    fn rot(&mut self, bytes: &[u8]) {
        let mut found = false;
        for file in self.0.objects(&self.1.prefix) {
            let mut object = std::fs::read(&file).unwrap();
            if let Some(at) = object.windows(bytes.len()).position(|window| window == bytes) {
                object[at + bytes.len() - 1] ^= 1;
                std::fs::write(&file, object).unwrap();
                found = true;
            }
        }
        assert!(found, "no object has these bytes");
    }
}

#[test]
fn shards_in_a_real_service_conform() {
    let Some(server) = Server::start() else { return };
    let mut fresh = 0;
    conforms(&mut || {
        fresh += 1;
        Box::new(InBucket(&server, bucket(&server, &format!("stores/{fresh}"))))
    });
}

#[test]
fn a_bucket_is_tried_out_and_what_is_wrong_is_said() {
    let Some(server) = Server::start() else { return };
    let good = bucket(&server, "trial");
    good.try_out().unwrap();
    assert_eq!(server.objects("trial"), Vec::<PathBuf>::new(), "nothing is left of it");
    let wrong = |bucket: &Bucket| match bucket.try_out() {
        Err(Error::Shards(terachat_cluster::Error::Objects(error))) => error,
        other => panic!("{other:?}"),
    };
    let mut nowhere = good.clone();
    "nobody".clone_into(&mut nowhere.name);
    assert_eq!(wrong(&nowhere).kind, Kind::NoBucket);
    // Credentials that the service does not know: neither they nor what was signed is told.
    let file = tempfile::NamedTempFile::new().unwrap();
    let hidden = "hidden-secret-key";
    std::fs::write(
        file.path(),
        format!(
            "aws_access_key_id={}\naws_secret_access_key={hidden}\naws_session_token={hidden}\n",
            super::server::ID
        ),
    )
    .unwrap();
    let mut stranger = good.clone();
    stranger.credentials = Some(file.path().to_str().unwrap().to_owned());
    let error = wrong(&stranger);
    assert_eq!(error.kind, Kind::Denied, "{error}");
    assert!(!format!("{error} {error:?} {stranger:?}").contains(hidden));
}

/// A service that is gone: typed, within a bounded time, and nothing is acknowledged.
#[test]
fn a_service_that_is_away_is_not_a_loss() {
    let Some(server) = Server::start() else { return };
    let bucket = bucket(&server, "away");
    let mut objects = S3::connect(&bucket, &bucket.prefix).unwrap();
    objects.put("a", vec![1, 2, 3]).unwrap();
    drop(server);
    let parts = [Part { name: "a".to_owned(), from: 0, len: 3 }];
    let failed =
        |error: &ObjectsError, verb| assert_eq!((error.kind, error.verb), (Kind::Failed, verb), "{error}");
    failed(&objects.put("b", vec![1]).unwrap_err(), ObjectsVerb::Put);
    failed(objects.read(&parts)[0].as_ref().unwrap_err(), ObjectsVerb::Read);
    failed(&objects.list().unwrap_err(), ObjectsVerb::List);
    failed(&objects.remove(&["a".to_owned()]).unwrap_err(), ObjectsVerb::Remove);
}
