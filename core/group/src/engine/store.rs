use super::codec::{decode, encode};
use openmls_traits::storage::{CURRENT_VERSION as V, StorageProvider, traits};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::Arc,
};
use terachat_vault::SecretBytes;

/// One group's stored values. A clone shares the values and costs a dozen reference counts.
#[derive(Clone, Default)]
pub(crate) struct Cells(BTreeMap<Vec<u8>, Arc<SecretBytes>>);

impl Deref for Cells {
    type Target = BTreeMap<Vec<u8>, Arc<SecretBytes>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Cells {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Cells {
    /// Forgets every key package: a welcome uses one up, and a group has no business with the others.
    pub(crate) fn drop_key_packages(&mut self) {
        self.retain(|key, _| key.first() != Some(&(Kind::KeyPackage as u8)));
    }

    /// Forgets what tied a group to the one before it: it went into the first epoch's secrets.
    pub(crate) fn drop_psks(&mut self) {
        self.retain(|key, _| key.first() != Some(&(Kind::Psk as u8)));
    }
}

/// The first byte of a cell's key. Part of the stored format: never renumber.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Kind {
    Tree = 1,
    Context = 2,
    InterimTranscriptHash = 3,
    ConfirmationTag = 4,
    GroupState = 5,
    MessageSecrets = 6,
    ResumptionPsks = 7,
    OwnLeafIndex = 8,
    EpochSecrets = 9,
    EpochKeyPairs = 10,
    EncryptionKeyPair = 11,
    KeyPackage = 12,
    /// While a group begins, and never stored.
    Psk = 13,
}

/// Why a value could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error(transparent)]
    Codec(#[from] postcard::Error),
    #[error(transparent)]
    Settings(#[from] serde_json::Error),
    #[error("{0} are not kept in these groups")]
    Unused(&'static str),
}

/// How much longer than the one before it a value may be and still be written in one go, in bytes.
const ROOM: usize = 512;

/// The MLS library's storage: one group's cells, in memory.
pub(crate) struct Store {
    cells: RefCell<Cells>,
    skip_group_state: Cell<bool>,
}

impl Store {
    pub(crate) fn new(cells: Cells) -> Self {
        Self { cells: RefCell::new(cells), skip_group_state: Cell::new(false) }
    }

    pub(crate) fn into_cells(self) -> Cells {
        self.cells.into_inner()
    }

    /// While `true`, the group's state machine is not written: between making and merging a commit it holds the
    /// whole commit, and here the two are one step.
    pub(crate) fn skip_group_state(&self, skip: bool) {
        self.skip_group_state.set(skip);
    }

    fn put(&self, kind: Kind, rest: &[u8], value: &impl Serialize) -> Result<(), StoreError> {
        let key = key(kind, rest);
        let former = self.cells.borrow().get(&key).map_or(0, |value| value.expose_secret().len());
        let value = encode(value, former + ROOM)?;
        self.cells.borrow_mut().insert(key, Arc::new(value));
        Ok(())
    }

    fn get<T: DeserializeOwned>(&self, kind: Kind, rest: &[u8]) -> Result<Option<T>, StoreError> {
        let value = self.cells.borrow().get(&key(kind, rest)).cloned();
        Ok(value.map(|value| decode(value.expose_secret())).transpose()?)
    }

    fn delete(&self, kind: Kind, rest: &[u8]) {
        self.cells.borrow_mut().remove(&key(kind, rest));
    }
}

pub(super) fn key(kind: Kind, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + rest.len());
    key.push(kind as u8);
    key.extend_from_slice(rest);
    key
}

fn epoch_key(epoch: &impl Serialize, leaf: u32) -> Result<Vec<u8>, StoreError> {
    Ok(postcard::to_allocvec(&(epoch, leaf))?)
}

/// What a group has one of: there is one group in a store, so its id is no part of the key.
macro_rules! one {
    ($kind:ident, $entity:ident, $write:ident, $read:ident, $delete:ident) => {
        fn $write<G: traits::GroupId<V>, E: traits::$entity<V>>(
            &self,
            _: &G,
            value: &E,
        ) -> Result<(), StoreError> {
            self.put(Kind::$kind, &[], value)
        }

        fn $read<G: traits::GroupId<V>, E: traits::$entity<V>>(
            &self,
            _: &G,
        ) -> Result<Option<E>, StoreError> {
            self.get(Kind::$kind, &[])
        }

        fn $delete<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), StoreError> {
            self.delete(Kind::$kind, &[]);
            Ok(())
        }
    };
}

impl StorageProvider<V> for Store {
    type Error = StoreError;

    one!(Tree, TreeSync, write_tree, tree, delete_tree);
    one!(Context, GroupContext, write_context, group_context, delete_context);
    one!(
        InterimTranscriptHash,
        InterimTranscriptHash,
        write_interim_transcript_hash,
        interim_transcript_hash,
        delete_interim_transcript_hash
    );
    one!(ConfirmationTag, ConfirmationTag, write_confirmation_tag, confirmation_tag, delete_confirmation_tag);
    one!(MessageSecrets, MessageSecrets, write_message_secrets, message_secrets, delete_message_secrets);
    one!(
        ResumptionPsks,
        ResumptionPskStore,
        write_resumption_psk_store,
        resumption_psk_store,
        delete_all_resumption_psk_secrets
    );
    one!(OwnLeafIndex, LeafNodeIndex, write_own_leaf_index, own_leaf_index, delete_own_leaf_index);
    one!(
        EpochSecrets,
        GroupEpochSecrets,
        write_group_epoch_secrets,
        group_epoch_secrets,
        delete_group_epoch_secrets
    );

    fn write_group_state<E: traits::GroupState<V>, G: traits::GroupId<V>>(
        &self,
        _: &G,
        value: &E,
    ) -> Result<(), StoreError> {
        if self.skip_group_state.get() { Ok(()) } else { self.put(Kind::GroupState, &[], value) }
    }

    fn group_state<E: traits::GroupState<V>, G: traits::GroupId<V>>(
        &self,
        _: &G,
    ) -> Result<Option<E>, StoreError> {
        self.get(Kind::GroupState, &[])
    }

    fn delete_group_state<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), StoreError> {
        self.delete(Kind::GroupState, &[]);
        Ok(())
    }

    // The settings are code, not state: stored bytes cannot change them.
    fn write_mls_join_config<G: traits::GroupId<V>, C: traits::MlsGroupJoinConfig<V>>(
        &self,
        _: &G,
        _: &C,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    fn mls_group_join_config<G: traits::GroupId<V>, C: traits::MlsGroupJoinConfig<V>>(
        &self,
        _: &G,
    ) -> Result<Option<C>, StoreError> {
        // The trait hides the type; a self-describing form in passing is the way through it.
        Ok(Some(serde_json::from_value(serde_json::to_value(crate::policy::join_config())?)?))
    }

    fn delete_group_config<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), StoreError> {
        Ok(())
    }

    fn write_encryption_epoch_key_pairs<
        G: traits::GroupId<V>,
        E: traits::EpochKey<V>,
        K: traits::HpkeKeyPair<V>,
    >(
        &self,
        _: &G,
        epoch: &E,
        leaf: u32,
        pairs: &[K],
    ) -> Result<(), StoreError> {
        self.put(Kind::EpochKeyPairs, &epoch_key(epoch, leaf)?, &pairs)
    }

    fn encryption_epoch_key_pairs<
        G: traits::GroupId<V>,
        E: traits::EpochKey<V>,
        K: traits::HpkeKeyPair<V>,
    >(
        &self,
        _: &G,
        epoch: &E,
        leaf: u32,
    ) -> Result<Vec<K>, StoreError> {
        Ok(self.get(Kind::EpochKeyPairs, &epoch_key(epoch, leaf)?)?.unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<G: traits::GroupId<V>, E: traits::EpochKey<V>>(
        &self,
        _: &G,
        epoch: &E,
        leaf: u32,
    ) -> Result<(), StoreError> {
        self.delete(Kind::EpochKeyPairs, &epoch_key(epoch, leaf)?);
        Ok(())
    }

    fn write_encryption_key_pair<E: traits::EncryptionKey<V>, K: traits::HpkeKeyPair<V>>(
        &self,
        public: &E,
        pair: &K,
    ) -> Result<(), StoreError> {
        self.put(Kind::EncryptionKeyPair, &postcard::to_allocvec(public)?, pair)
    }

    fn encryption_key_pair<K: traits::HpkeKeyPair<V>, E: traits::EncryptionKey<V>>(
        &self,
        public: &E,
    ) -> Result<Option<K>, StoreError> {
        self.get(Kind::EncryptionKeyPair, &postcard::to_allocvec(public)?)
    }

    fn delete_encryption_key_pair<E: traits::EncryptionKey<V>>(&self, public: &E) -> Result<(), StoreError> {
        self.delete(Kind::EncryptionKeyPair, &postcard::to_allocvec(public)?);
        Ok(())
    }

    fn write_key_package<R: traits::HashReference<V>, K: traits::KeyPackage<V>>(
        &self,
        reference: &R,
        key_package: &K,
    ) -> Result<(), StoreError> {
        self.put(Kind::KeyPackage, &postcard::to_allocvec(reference)?, key_package)
    }

    fn key_package<R: traits::HashReference<V>, K: traits::KeyPackage<V>>(
        &self,
        reference: &R,
    ) -> Result<Option<K>, StoreError> {
        self.get(Kind::KeyPackage, &postcard::to_allocvec(reference)?)
    }

    fn delete_key_package<R: traits::HashReference<V>>(&self, reference: &R) -> Result<(), StoreError> {
        self.delete(Kind::KeyPackage, &postcard::to_allocvec(reference)?);
        Ok(())
    }

    // What follows is for proposals outside of commits, external keys and pre-shared keys, none of which are used.

    fn append_own_leaf_node<G: traits::GroupId<V>, L: traits::LeafNode<V>>(
        &self,
        _: &G,
        _: &L,
    ) -> Result<(), StoreError> {
        Err(StoreError::Unused("proposed leaves"))
    }

    fn own_leaf_nodes<G: traits::GroupId<V>, L: traits::LeafNode<V>>(
        &self,
        _: &G,
    ) -> Result<Vec<L>, StoreError> {
        Ok(Vec::new())
    }

    fn delete_own_leaf_nodes<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), StoreError> {
        Ok(())
    }

    fn queue_proposal<G: traits::GroupId<V>, R: traits::ProposalRef<V>, Q: traits::QueuedProposal<V>>(
        &self,
        _: &G,
        _: &R,
        _: &Q,
    ) -> Result<(), StoreError> {
        Err(StoreError::Unused("proposals"))
    }

    fn queued_proposal_refs<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
    ) -> Result<Vec<R>, StoreError> {
        Ok(Vec::new())
    }

    fn queued_proposals<G: traits::GroupId<V>, R: traits::ProposalRef<V>, Q: traits::QueuedProposal<V>>(
        &self,
        _: &G,
    ) -> Result<Vec<(R, Q)>, StoreError> {
        Ok(Vec::new())
    }

    fn remove_proposal<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
        _: &R,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    fn clear_proposal_queue<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    fn write_signature_key_pair<P: traits::SignaturePublicKey<V>, K: traits::SignatureKeyPair<V>>(
        &self,
        _: &P,
        _: &K,
    ) -> Result<(), StoreError> {
        Err(StoreError::Unused("signature keys"))
    }

    fn signature_key_pair<P: traits::SignaturePublicKey<V>, K: traits::SignatureKeyPair<V>>(
        &self,
        _: &P,
    ) -> Result<Option<K>, StoreError> {
        Ok(None)
    }

    fn delete_signature_key_pair<P: traits::SignaturePublicKey<V>>(&self, _: &P) -> Result<(), StoreError> {
        Ok(())
    }

    fn write_psk<I: traits::PskId<V>, P: traits::PskBundle<V>>(
        &self,
        id: &I,
        psk: &P,
    ) -> Result<(), StoreError> {
        self.put(Kind::Psk, &postcard::to_allocvec(id)?, psk)
    }

    fn psk<P: traits::PskBundle<V>, I: traits::PskId<V>>(&self, id: &I) -> Result<Option<P>, StoreError> {
        self.get(Kind::Psk, &postcard::to_allocvec(id)?)
    }

    fn delete_psk<I: traits::PskId<V>>(&self, id: &I) -> Result<(), StoreError> {
        self.delete(Kind::Psk, &postcard::to_allocvec(id)?);
        Ok(())
    }
}
