use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use terachat_vault_store::{Access, Verb};

/// Stands for every collection, those to come too.
pub(crate) const EVERYWHERE: &str = "*";

/// What a token may do: verbs on the records of collections, and rights on the vault as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scopes {
    /// Verbs by the collection's name; `*` stands for every collection, those to come too.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Vec<ScopeVerb>>, examples(json!({"door": ["match"]})))]
    pub collections: BTreeMap<String, BTreeSet<ScopeVerb>>,
    /// Rights of an operator.
    #[serde(default)]
    #[schema(value_type = Vec<Right>)]
    pub operator: BTreeSet<Right>,
}

/// What may be done with the records of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScopeVerb {
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

/// What an operator may do with the vault as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Make, see and erase collections.
    Collections,
    /// Make, list, rotate and revoke tokens, none with more than one's own scopes.
    Tokens,
    /// Rotate keys.
    Keys,
    /// Read and check the audit log, and fetch every receipt.
    Audit,
    /// Download backups.
    Backup,
    /// Check all records, compact, confirm the clock.
    Maintenance,
    /// Counters and metrics.
    Stats,
}

impl ScopeVerb {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Read, Self::List, Self::Write, Self::Delete, Self::Match];

    fn verb(self) -> Verb {
        match self {
            Self::Read => Verb::Read,
            Self::List => Verb::List,
            Self::Write => Verb::Write,
            Self::Delete => Verb::Delete,
            Self::Match => Verb::Match,
        }
    }
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Collections,
        Self::Tokens,
        Self::Keys,
        Self::Audit,
        Self::Backup,
        Self::Maintenance,
        Self::Stats,
    ];
}

impl Scopes {
    /// Everything.
    pub fn full() -> Self {
        let collections = BTreeMap::from([(EVERYWHERE.to_owned(), ScopeVerb::ALL.into())]);
        Self { collections, operator: Right::ALL.into() }
    }

    /// The same, as the vault takes it.
    pub(crate) fn access(&self) -> Access {
        self.collections.iter().fold(Access::none(), |access, (name, verbs)| {
            let verbs: Vec<Verb> = verbs.iter().map(|verb| verb.verb()).collect();
            if name == EVERYWHERE { access.grant_everywhere(&verbs) } else { access.grant(name, &verbs) }
        })
    }

    /// Whether `other` allows everything that this allows: nobody hands on more than they have.
    pub(crate) fn within(&self, other: &Self) -> bool {
        let everywhere = |verb| other.collections.get(EVERYWHERE).is_some_and(|verbs| verbs.contains(verb));
        let here = |name, verb| other.collections.get(name).is_some_and(|verbs| verbs.contains(verb));
        self.operator.is_subset(&other.operator)
            && self
                .collections
                .iter()
                .all(|(name, verbs)| verbs.iter().all(|verb| everywhere(verb) || here(name, verb)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(json: &str) -> Scopes {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn nobody_hands_on_more_than_they_have() {
        #[track_caller]
        fn case(given: &str, own: &str, expected: bool) {
            assert_eq!(scopes(given).within(&scopes(own)), expected, "{given} within {own}");
        }
        case("{}", "{}", true);
        case(r#"{"collections":{"door":["read"]}}"#, r#"{"collections":{"door":["read","write"]}}"#, true);
        case(r#"{"collections":{"door":["read"]}}"#, r#"{"collections":{"*":["read"]}}"#, true);
        case(r#"{"collections":{"*":["read"]}}"#, r#"{"collections":{"door":["read"]}}"#, false);
        case(r#"{"collections":{"door":["delete"]}}"#, r#"{"collections":{"door":["read"]}}"#, false);
        case(r#"{"operator":["keys"]}"#, r#"{"operator":["tokens"]}"#, false);
        assert!(scopes("{}").within(&Scopes::full()) && Scopes::full().within(&Scopes::full()));
    }

    #[test]
    fn scopes_become_the_vaults_access() {
        let access = scopes(r#"{"collections":{"door":["match"],"*":["list"]}}"#).access();
        assert!(access.allows("door", Verb::Match) && access.allows("gate", Verb::List));
        assert!(!access.allows("gate", Verb::Match) && !access.allows("door", Verb::Read));
    }
}
