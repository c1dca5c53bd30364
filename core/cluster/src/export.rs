//! What is given out of a cluster, so that whoever gets it can see that it is all of it, and what the cluster's history says:
//! `docs/format/cluster-export.md`.
use crate::{ClusterId, Exhibit, Export, ItemKind, ItemName, NodeKey, SignedDeed, What};
use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;

/// The deed of an export and what it is of. One that was read is signed, and of these items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportManifest {
    cluster: ClusterId,
    key: NodeKey,
    deed: SignedDeed,
    exhibits: Vec<Exhibit>,
}

/// Why what was given out is not what a deed says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The bytes.
    #[error(
        "this is not the list of an export, or of a newer version; update the program, or ask for the export again"
    )]
    Form,
    /// The deed's signature.
    #[error("the export's deed is not signed by the node that it names; ask for the export again")]
    Signature,
    /// The deed and the list.
    #[error("the export's list is not the one that its deed is of; ask for the export again")]
    Other,
}

impl ExportManifest {
    /// What a node gave out by this deed.
    ///
    /// # Errors
    /// [`ExportError::Signature`], [`ExportError::Other`].
    pub fn new(
        cluster: ClusterId,
        key: NodeKey,
        deed: SignedDeed,
        exhibits: Vec<Exhibit>,
    ) -> Result<Self, ExportError> {
        let made = Self { cluster, key, deed, exhibits };
        made.check()?;
        Ok(made)
    }

    fn check(&self) -> Result<(), ExportError> {
        if !self.deed.is_signed_by(&self.key) {
            return Err(ExportError::Signature);
        }
        let export = self.export().ok_or(ExportError::Other)?;
        let is_it = export.items == self.there().count() as u64
            && export.digest == Exhibit::digest(&self.exhibits)
            && self.exhibits.is_sorted_by(|one, next| one.name < next.name);
        is_it.then_some(()).ok_or(ExportError::Other)
    }

    fn export(&self) -> Option<&Export> {
        if let What::Exported(export) = &self.deed.deed.what { Some(export) } else { None }
    }

    /// The cluster, as whoever exported knew it. The deed does not say it: whether it is in that one's history, the history says.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The key of the node that signed.
    pub fn key(&self) -> NodeKey {
        self.key
    }

    /// The deed.
    pub fn deed(&self) -> &SignedDeed {
        &self.deed
    }

    /// For which case, and who gets it.
    pub fn case(&self) -> (&str, &str) {
        self.export().map_or(("", ""), |export| (&export.case, &export.to))
    }

    /// What is given out: names with their hashes and lengths in bytes.
    pub fn there(&self) -> impl Iterator<Item = (ItemName, [u8; 32], u32)> {
        self.exhibits.iter().filter_map(|exhibit| {
            let (hash, len) = exhibit.content?;
            Some((exhibit.name, hash, len))
        })
    }

    /// What the case holds, but the cluster has not.
    pub fn absent(&self) -> impl Iterator<Item = ItemName> {
        self.exhibits.iter().filter(|exhibit| exhibit.content.is_none()).map(|exhibit| exhibit.name)
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![VERSION]).expect("a value in memory can be written")
    }

    /// Reads one, and sees that it is signed and of what its deed says.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ExportError> {
        let Some((&VERSION, rest)) = bytes.split_first() else { return Err(ExportError::Form) };
        match postcard::take_from_bytes::<Self>(rest) {
            Ok((read, [])) => read.check().map(|()| read),
            _ => Err(ExportError::Form),
        }
    }
}

impl ItemName {
    /// The name of the file that an item is in when it was given out: `blob-` or `board-` and 64 hexadecimal digits.
    pub fn file_name(&self) -> String {
        let kind = match self.kind {
            ItemKind::Blob => "blob",
            ItemKind::Board => "board",
        };
        self.key.iter().fold(format!("{kind}-"), |name, byte| name + &format!("{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Deed;
    use crate::testing::{CLUSTER, key, node};

    fn exhibits() -> Vec<Exhibit> {
        let name = |number: u8| ItemName { kind: ItemKind::Blob, key: [number; 32] };
        let content = |number: u8| Some(([number; 32], 10));
        [(1, content(1)), (2, None), (3, content(3))]
            .map(|(number, content)| Exhibit { name: name(number), content })
            .to_vec()
    }

    fn signed(what: What) -> SignedDeed {
        SignedDeed::sign(Deed { seq: 4, previous: [5; 32], at_ms: 6, by: node(1), what }, &key(1))
    }

    fn of(exhibits: &[Exhibit], items: u64) -> SignedDeed {
        let digest = Exhibit::digest(exhibits);
        signed(What::Exported(Export { case: "17".to_owned(), to: "the court".to_owned(), items, digest }))
    }

    fn node_key(number: u8) -> NodeKey {
        NodeKey(key(number).id().0)
    }

    #[test]
    fn what_was_given_out_is_read_again_and_nothing_else_is() {
        let made = ExportManifest::new(CLUSTER, node_key(1), of(&exhibits(), 2), exhibits()).unwrap();
        assert_eq!(ExportManifest::decode(&made.encode()), Ok(made.clone()));
        assert_eq!(made.case(), ("17", "the court"));
        assert_eq!((made.there().count(), made.absent().count()), (2, 1));
        assert_eq!(made.there().next().unwrap().0.file_name(), format!("blob-{}", "01".repeat(32)));
        let bytes = made.encode();
        for at in 0..bytes.len() {
            assert!(ExportManifest::decode(&bytes[..at]).is_err());
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            // Which cluster it is, its history says, in which the deed is or is not.
            let is_cluster = (1..17).contains(&at);
            assert_eq!(ExportManifest::decode(&changed).is_ok(), is_cluster, "byte {at}");
        }
    }

    #[test]
    fn a_deed_is_its_signers_and_of_this_list() {
        let new = |signer: u8, deed: SignedDeed, exhibits: Vec<Exhibit>| {
            ExportManifest::new(CLUSTER, node_key(signer), deed, exhibits).map(drop)
        };
        assert_eq!(new(2, of(&exhibits(), 2), exhibits()), Err(ExportError::Signature));
        assert_eq!(new(1, of(&exhibits(), 3), exhibits()), Err(ExportError::Other));
        assert_eq!(new(1, of(&exhibits(), 2), exhibits()[..2].to_vec()), Err(ExportError::Other));
        assert_eq!(new(1, signed(What::Released("17".to_owned())), exhibits()), Err(ExportError::Other));
        let mut turned = exhibits();
        turned.swap(0, 2);
        assert_eq!(new(1, of(&turned, 2), turned), Err(ExportError::Other));
    }
}
