use std::collections::{BTreeMap, BTreeSet};

/// What may be done with the records of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Read contents, metadata and versions.
    Read,
    /// List records.
    List,
    /// Store, and restore a version.
    Write,
    /// Delete.
    Delete,
    /// Compare a probe with templates, without reading them.
    Match,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Read, Self::List, Self::Write, Self::Delete, Self::Match];
}

/// Which collections a session may use, and for what. What is not granted is answered as if it did not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    everywhere: BTreeSet<Verb>,
    granted: BTreeMap<String, BTreeSet<Verb>>,
}

impl Access {
    /// Everything, everywhere.
    pub fn full() -> Self {
        Self { everywhere: Verb::ALL.into(), granted: BTreeMap::new() }
    }

    /// Nothing: the start for grants.
    pub fn none() -> Self {
        Self::default()
    }

    /// Grants verbs in one collection.
    #[must_use]
    pub fn grant(mut self, collection: &str, verbs: &[Verb]) -> Self {
        self.granted.entry(collection.to_owned()).or_default().extend(verbs);
        self
    }

    /// Grants verbs in every collection, those to come too.
    #[must_use]
    pub fn grant_everywhere(mut self, verbs: &[Verb]) -> Self {
        self.everywhere.extend(verbs);
        self
    }

    /// Whether `verb` is granted in this collection.
    pub fn allows(&self, collection: &str, verb: Verb) -> bool {
        self.everywhere.contains(&verb)
            || self.granted.get(collection).is_some_and(|verbs| verbs.contains(&verb))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_granted_is_denied() {
        let access = Access::none().grant("door", &[Verb::Match]).grant_everywhere(&[Verb::List]);
        assert!(access.allows("door", Verb::Match) && access.allows("gate", Verb::List));
        assert!(!access.allows("gate", Verb::Match) && !access.allows("door", Verb::Read));
        assert!(Verb::ALL.iter().all(|verb| Access::full().allows("any", *verb)));
        assert!(Verb::ALL.iter().all(|verb| !Access::none().allows("any", *verb)));
    }
}
