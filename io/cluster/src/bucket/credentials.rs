//! What the service knows this node by: from a file in the form of AWS's own, or from the environment.
#![cfg_attr(not(feature = "s3"), allow(dead_code, reason = "nobody asks without S3"))]
use super::Bucket;
use crate::Error;
use std::path::{Path, PathBuf};

const ID: &str = "aws_access_key_id";
const KEY: &str = "aws_secret_access_key";
const TOKEN: &str = "aws_session_token";
/// Longest file that is read, in bytes.
const LEN_MAX: u64 = 64 << 10;

/// Secret, so neither printed nor copied.
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) key: String,
    /// Of credentials that were lent for a while.
    pub(super) token: Option<String>,
}

impl Credentials {
    /// Of the bucket's file, or of the environment.
    pub(super) fn of(bucket: &Bucket) -> Result<Self, Error> {
        let found = match &bucket.credentials {
            Some(file) => Self::read(&read(Path::new(file))?),
            None => {
                let variable = |name: &str| std::env::var(name.to_uppercase()).ok();
                Self::new(variable(ID), variable(KEY), variable(TOKEN))
            }
        };
        let missing = || Error::NoCredentials {
            bucket: bucket.to_string(),
            place: bucket.credentials.clone().unwrap_or_else(|| "the environment".to_owned()),
        };
        found.ok_or_else(missing)
    }

    /// The profile `default` of a file, or what stands before any profile.
    fn read(text: &str) -> Option<Self> {
        let (mut id, mut key, mut token, mut ours) = (None, None, None, true);
        for line in text.lines().map(str::trim) {
            if let Some(profile) = line.strip_prefix('[') {
                ours = profile.trim_end_matches(']').trim() == "default";
            } else if let Some((name, value)) = line.split_once('=').filter(|_| ours) {
                let value = Some(value.trim().to_owned());
                match name.trim() {
                    ID => id = value,
                    KEY => key = value,
                    TOKEN => token = value,
                    _ => {}
                }
            }
        }
        Self::new(id, key, token)
    }

    fn new(id: Option<String>, key: Option<String>, token: Option<String>) -> Option<Self> {
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        Some(Self { id: said(id)?, key: said(key)?, token: said(token) })
    }
}

fn read(file: &Path) -> Result<String, Error> {
    let failed = |source| Error::Local { doing: format!("read {}", file.display()), source };
    if std::fs::metadata(file).map_err(failed)?.len() > LEN_MAX {
        return Err(Error::Damaged(PathBuf::from(file)));
    }
    std::fs::read_to_string(file).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(text: &str, expected: Option<(&str, &str, Option<&str>)>) {
        let found = Credentials::read(text);
        let found = found.as_ref().map(|found| (&found.id[..], &found.key[..], found.token.as_deref()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_file_is_read_as_awss_programs_read_it() {
        case("aws_access_key_id=a\naws_secret_access_key=b=/c\n", Some(("a", "b=/c", None)));
        case(
            "# mine\n[other]\naws_access_key_id = x\n[default]\naws_access_key_id = a\n aws_secret_access_key = b\naws_session_token=t\nregion=z\n",
            Some(("a", "b", Some("t"))),
        );
        case("[other]\naws_access_key_id = a\naws_secret_access_key = b\n", None);
        case("aws_access_key_id = a\naws_secret_access_key =\n", None);
        case("", None);
    }

    #[test]
    fn what_is_missing_is_said_without_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        std::fs::write(&file, "aws_access_key_id = hidden\n").unwrap();
        let mut bucket = Bucket::parse("s3://b").unwrap();
        bucket.credentials = Some(file.to_str().unwrap().to_owned());
        let error = Credentials::of(&bucket).err().unwrap().to_string();
        assert!(
            error.contains("credentials") && error.contains("s3://b") && !error.contains("hidden"),
            "{error}"
        );
        bucket.credentials = Some("/no/such/file".to_owned());
        assert!(matches!(Credentials::of(&bucket), Err(Error::Local { .. })));
    }
}
