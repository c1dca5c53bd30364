//! The smallest object store that shards can be kept in.
pub mod suite;

use std::fmt;

/// Objects under flat names, owned by one process: a bucket, or the part of one that begins with a prefix.
///
/// **What lasts.** An object that was put, from the moment on in which [`Objects::put`] returns, until it is removed. It is there as a
/// whole or not at all, and it is listed from then on. After an error it may be there or not, and a moment later be there all the same.
///
/// A name is put once and never again: nothing here asks what happens when two write under one name.
pub trait Objects: Send {
    /// Makes an object, durable on return.
    ///
    /// # Errors
    /// Any [`ObjectsErrorKind`] but `Missing` and `Short`; the object may be there.
    fn put(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), ObjectsError>;

    /// Reads parts of objects, as many at once as it likes. As many answers as there are parts, in their order.
    ///
    /// # Errors
    /// [`ObjectsErrorKind::Missing`]; [`ObjectsErrorKind::Short`] when the object ends before the part does; any other.
    fn read(&self, parts: &[Part]) -> Vec<Result<Vec<u8>, ObjectsError>>;

    /// Removes these objects where they are there.
    ///
    /// # Errors
    /// Any [`ObjectsErrorKind`] but `Missing` and `Short`; some may be gone.
    fn remove(&mut self, names: &[String]) -> Result<(), ObjectsError>;

    /// The names and lengths in bytes of all objects, sorted.
    ///
    /// # Errors
    /// Any [`ObjectsErrorKind`] but `Missing` and `Short`.
    fn list(&self) -> Result<Vec<(String, u64)>, ObjectsError>;
}

/// Some bytes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Where they begin.
    pub from: u64,
    /// How many; at least one.
    pub len: usize,
}

/// What was asked of the object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ObjectsVerb {
    Put,
    Read,
    Remove,
    List,
}

/// Why the object store did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObjectsErrorKind {
    /// There is no such object.
    Missing,
    /// The object ends before the bytes that were asked for.
    Short,
    /// The service does not know the credentials, or they may not do this.
    Denied,
    /// No such bucket.
    NoBucket,
    /// The service was not reached, did not answer in time, or failed by its own word.
    Failed,
}

/// A call of the object store that failed: which one, on which object, why, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ObjectsError {
    /// Why.
    pub kind: ObjectsErrorKind,
    /// Doing what.
    pub verb: ObjectsVerb,
    /// To which object; empty for all of them.
    pub name: String,
    /// What the service said, if it said more; empty otherwise. Never a credential.
    pub detail: String,
}

impl ObjectsError {
    /// An error without the service's own words.
    pub fn new(kind: ObjectsErrorKind, verb: ObjectsVerb, name: &str) -> Self {
        Self { kind, verb, name: name.to_owned(), detail: String::new() }
    }

    /// The same with the service's own words.
    #[must_use]
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = detail.to_string();
        self
    }

    /// Whether what was to be read is lost, and not only out of reach.
    pub(super) fn is_loss(&self) -> bool {
        matches!(self.kind, ObjectsErrorKind::Missing | ObjectsErrorKind::Short)
    }
}

impl fmt::Display for ObjectsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.verb {
            ObjectsVerb::Put => "put",
            ObjectsVerb::Read => "read",
            ObjectsVerb::Remove => "remove",
            ObjectsVerb::List => "list the objects of the bucket",
        };
        let (what, next) = match self.kind {
            ObjectsErrorKind::Missing => {
                ("there is no such object", "if it was removed by hand, its shards are made anew from others")
            }
            ObjectsErrorKind::Short => ("the object ends too early", "its shards are made anew from others"),
            ObjectsErrorKind::Denied => {
                ("access was refused", "check the credentials and what the service lets them do")
            }
            ObjectsErrorKind::NoBucket => ("there is no such bucket", "make it, or name another"),
            ObjectsErrorKind::Failed => (
                "the service did not do it",
                "check that it runs and is reached at its endpoint, then try again",
            ),
        };
        write!(f, "cannot {verb}")?;
        if !self.name.is_empty() {
            write!(f, " the object {:?}", self.name)?;
        }
        write!(f, ": {what}")?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        write!(f, "; {next}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_where_why_and_the_next_step() {
        let error = ObjectsError::new(ObjectsErrorKind::Denied, ObjectsVerb::Put, "a").detail("403");
        assert_eq!(
            error.to_string(),
            "cannot put the object \"a\": access was refused (403); check the credentials and what the service lets them do"
        );
        let error = ObjectsError::new(ObjectsErrorKind::NoBucket, ObjectsVerb::List, "");
        assert_eq!(
            error.to_string(),
            "cannot list the objects of the bucket: there is no such bucket; make it, or name another"
        );
    }
}
