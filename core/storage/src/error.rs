use std::fmt;

/// What a file operation was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operation {
    Open,
    Append,
    Read,
    Size,
    Sync,
    Truncate,
    Replace,
    Remove,
    List,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Append => "append to",
            Self::Read => "read",
            Self::Size => "measure",
            Self::Sync => "make durable",
            Self::Truncate => "cut",
            Self::Replace => "replace",
            Self::Remove => "remove",
            Self::List => "list the files of",
        })
    }
}

/// Why a file operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageErrorKind {
    /// No space, or a quota is used up.
    Full,
    /// There is no such file.
    NotFound,
    /// The file ends before the bytes that were asked for.
    Short,
    /// Not a name this storage can hold: a mistake in the calling code.
    Name,
    /// The operating system refuses access, or the medium is read-only.
    Denied,
    /// The medium failed.
    Io,
}

impl StorageErrorKind {
    fn what(self) -> &'static str {
        match self {
            Self::Full => "the disk is full",
            Self::NotFound => "there is no such file",
            Self::Short => "the file ends too early",
            Self::Name => "not a name a store can use",
            Self::Denied => "access was refused",
            Self::Io => "the medium failed",
        }
    }

    fn next_step(self) -> &'static str {
        match self {
            Self::Full => "free some space, then try again",
            Self::NotFound => "restore the folder from a backup if the file should be there",
            Self::Short => "restore the file from a backup",
            Self::Name => "this is a bug in the program, please report it",
            Self::Denied => {
                "check the owner and the permissions of the folder, and whether its file system became read-only"
            }
            Self::Io => "check the disk and its cables, then try again",
        }
    }
}

/// A file operation that failed: which one, on which file, why, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageError {
    /// Why.
    pub kind: StorageErrorKind,
    /// Doing what.
    pub operation: Operation,
    /// To which file.
    pub file: String,
    /// What the system said, if it said more; empty otherwise.
    pub detail: String,
}

impl StorageError {
    /// An error without the system's own words.
    pub fn new(kind: StorageErrorKind, operation: Operation, file: &str) -> Self {
        Self { kind, operation, file: file.to_owned(), detail: String::new() }
    }

    /// The same with the system's own words.
    #[must_use]
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = detail.to_string();
        self
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {:?}: {}", self.operation, self.file, self.kind.what())?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        write!(f, "; {}", self.kind.next_step())
    }
}

impl std::error::Error for StorageError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_where_why_and_the_next_step() {
        let error = StorageError::new(StorageErrorKind::Full, Operation::Append, "log-1").detail("ENOSPC");
        assert_eq!(
            error.to_string(),
            "cannot append to \"log-1\": the disk is full (ENOSPC); free some space, then try again"
        );
    }
}
