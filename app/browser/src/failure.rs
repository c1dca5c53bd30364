use terachat_client::Error;
use terachat_core_store::Error as StoreError;

/// Why something was not done. State is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// For programs.
    pub code: Code,
    /// For people: what went wrong and what to do. No secret is in it.
    pub message: String,
}

/// What kind of failure it is: whose fault, and so what a page does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// The page's: an argument is out of bounds or not what the verb takes.
    Input,
    /// The page's: nothing is called that.
    Unknown,
    /// The page's: several things are called that.
    Ambiguous,
    /// The user's: it takes being a member, another role or another permission.
    NotAllowed,
    /// The space's keys are not here yet, or not any more.
    NotInGroup,
    /// The peer's: it is broken, hostile or newer. Disconnect it.
    Peer,
    /// The host's: it gives no randomness. Nothing was made.
    NoEntropy,
    /// What is stored cannot be read or written, or contradicts itself.
    Storage,
    /// What has no code of its own in this version.
    Other,
}

impl Code {
    /// As it stands in JavaScript.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Unknown => "unknown",
            Self::Ambiguous => "ambiguous",
            Self::NotAllowed => "not_allowed",
            Self::NotInGroup => "not_in_group",
            Self::Peer => "peer",
            Self::NoEntropy => "no_entropy",
            Self::Storage => "storage",
            Self::Other => "other",
        }
    }
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Of a frame that was not taken in: whatever is wrong with it, its sender is to blame.
    pub(crate) fn of_peer(error: &Error) -> Self {
        Self::new(Code::Peer, error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Input(_) => Code::Input,
            Error::Unknown { .. } => Code::Unknown,
            Error::Ambiguous { .. } => Code::Ambiguous,
            Error::NotAllowed(_)
            | Error::LacksPermission { .. }
            | Error::ExceedsRole { .. }
            | Error::Outranked { .. } => Code::NotAllowed,
            Error::NotInGroup(_) | Error::NoMessageKeys(_) => Code::NotInGroup,
            Error::Frame(_) => Code::Peer,
            Error::Store(error) => stored(error),
            _ => Code::Other,
        };
        Self::new(code, error.to_string())
    }
}

/// The same of the state layer's.
fn stored(error: &StoreError) -> Code {
    match error {
        StoreError::Payload(_) => Code::Input,
        StoreError::Unknown(_) => Code::Unknown,
        StoreError::Forbidden(_) => Code::NotAllowed,
        StoreError::NoKey(_) => Code::NotInGroup,
        StoreError::Store(_) | StoreError::Corrupt(_) | StoreError::Halted(_) => Code::Storage,
        _ => Code::Peer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_types() {
        let types = include_str!("types.d.ts");
        for code in [
            Code::Input,
            Code::Unknown,
            Code::Ambiguous,
            Code::NotAllowed,
            Code::NotInGroup,
            Code::Peer,
            Code::NoEntropy,
            Code::Storage,
            Code::Other,
        ] {
            assert!(types.contains(&format!("\"{}\"", code.name())), "{}", code.name());
        }
    }

    #[test]
    fn whose_fault_it_is_survives_the_layers() {
        let of = |error: Error| Failure::from(error).code;
        assert_eq!(of(StoreError::Forbidden("it is read only").into()), Code::NotAllowed);
        assert_eq!(of(StoreError::Genesis.into()), Code::Peer);
        assert_eq!(of(StoreError::Halted("hashes differ".into()).into()), Code::Storage);
        assert_eq!(of(Error::NotInGroup("club".into())), Code::NotInGroup);
    }
}
