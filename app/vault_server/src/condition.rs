//! Conditional requests (RFC 9110, section 13): the ETag of a record is its version.
use crate::problem::{Kind, Problem};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use terachat_vault_store::Expect;

/// The entity tag of a version.
pub(crate) fn etag(version: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("digits in quotes are a header value")
}

/// What a write expects, from `If-Match` and `If-None-Match`.
pub(crate) fn expectation(headers: &HeaderMap) -> Result<Expect, Problem> {
    match (tags(headers, header::IF_MATCH)?, tags(headers, header::IF_NONE_MATCH)?) {
        (None, None) => Ok(Expect::Any),
        (None, Some(Tags::Any)) => Ok(Expect::Absent),
        (Some(Tags::Any), None) => Ok(Expect::Present),
        (Some(Tags::Versions(versions)), None) if versions.len() == 1 => {
            // Version 0 is never used: a tag that is no version of ours fits nothing.
            Ok(Expect::Version(versions[0].unwrap_or(0)))
        }
        _ => Err(Problem::new(
            Kind::Malformed,
            "a write takes `If-Match` with one entity tag or `*`, or `If-None-Match: *`, not both",
        )),
    }
}

/// What a read's conditions say of the version that is there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fresh {
    /// Send it.
    Send,
    /// The caller has it already: 304.
    NotModified,
    /// It is not the one that was asked for: 412.
    Failed,
}

/// The conditions of a read.
pub(crate) fn fresh(headers: &HeaderMap, version: u64) -> Result<Fresh, Problem> {
    let fits = |tags: &Tags| match tags {
        Tags::Any => true,
        Tags::Versions(versions) => versions.contains(&Some(version)),
    };
    if tags(headers, header::IF_MATCH)?.is_some_and(|tags| !fits(&tags)) {
        return Ok(Fresh::Failed);
    }
    let known = tags(headers, header::IF_NONE_MATCH)?.is_some_and(|tags| fits(&tags));
    Ok(if known { Fresh::NotModified } else { Fresh::Send })
}

enum Tags {
    Any,
    /// `None` for a tag that is no version: it fits nothing.
    Versions(Vec<Option<u64>>),
}

fn tags(headers: &HeaderMap, name: HeaderName) -> Result<Option<Tags>, Problem> {
    let malformed = || Problem::new(Kind::Malformed, format!("`{name}` is `*` or entity tags such as \"3\""));
    let mut versions = Vec::new();
    let mut any = false;
    for value in headers.get_all(&name) {
        for part in value.to_str().map_err(|_| malformed())?.split(',') {
            match part.trim() {
                "*" => any = true,
                tag => versions.push(version(tag).ok_or_else(malformed)?),
            }
        }
    }
    match (any, versions.is_empty()) {
        (true, true) => Ok(Some(Tags::Any)),
        (false, false) => Ok(Some(Tags::Versions(versions))),
        (false, true) => Ok(None),
        (true, false) => Err(malformed()),
    }
}

/// The version in an entity tag; `Some(None)` for a well-formed tag that is none of ours, weak ones too.
#[allow(clippy::option_option, reason = "malformed, foreign and known are three things")]
fn version(tag: &str) -> Option<Option<u64>> {
    let (weak, tag) = tag.strip_prefix("W/").map_or((false, tag), |tag| (true, tag));
    let inner = tag.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('"') {
        return None;
    }
    let number = inner.parse().ok().filter(|number: &u64| number.to_string() == inner);
    Some(number.filter(|_| !weak))
}

/// The key of a request that is to happen once, from `Idempotency-Key`: 1 to 128 visible ASCII characters.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=128).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
    match key {
        Some(key) => Ok(Some(key.to_owned())),
        None => Err(Problem::new(
            Kind::Malformed,
            "`Idempotency-Key` is 1 to 128 visible ASCII characters without spaces",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn writes_expect_what_the_headers_say() {
        #[track_caller]
        fn case(lines: &[(&'static str, &'static str)], expected: Option<Expect>) {
            assert_eq!(expectation(&headers(lines)).ok(), expected, "{lines:?}");
        }
        case(&[], Some(Expect::Any));
        case(&[("if-match", "*")], Some(Expect::Present));
        case(&[("if-match", "\"7\"")], Some(Expect::Version(7)));
        case(&[("if-match", "W/\"7\"")], Some(Expect::Version(0)));
        case(&[("if-match", "\"x\"")], Some(Expect::Version(0)));
        case(&[("if-none-match", "*")], Some(Expect::Absent));
        case(&[("if-match", "7")], None);
        case(&[("if-match", "\"7\", \"8\"")], None);
        case(&[("if-none-match", "\"7\"")], None);
        case(&[("if-match", "*"), ("if-none-match", "*")], None);
    }

    #[test]
    fn reads_compare_with_what_is_there() {
        #[track_caller]
        fn case(lines: &[(&'static str, &'static str)], expected: Fresh) {
            assert_eq!(fresh(&headers(lines), 7).unwrap(), expected, "{lines:?}");
        }
        case(&[], Fresh::Send);
        case(&[("if-none-match", "\"7\"")], Fresh::NotModified);
        case(&[("if-none-match", "\"6\", \"7\"")], Fresh::NotModified);
        case(&[("if-none-match", "*")], Fresh::NotModified);
        case(&[("if-none-match", "\"07\"")], Fresh::Send);
        case(&[("if-match", "\"6\"")], Fresh::Failed);
        case(&[("if-match", "*")], Fresh::Send);
    }

    #[test]
    fn keys_are_visible_and_bounded() {
        assert_eq!(idempotency_key(&headers(&[("idempotency-key", "a-1")])).unwrap().as_deref(), Some("a-1"));
        assert!(idempotency_key(&headers(&[("idempotency-key", "")])).is_err());
        assert!(idempotency_key(&headers(&[("idempotency-key", "a b")])).is_err());
    }
}
