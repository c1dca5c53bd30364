use std::collections::BTreeMap;
use terachat_cluster::wire::Contact;
use terachat_cluster::{NodeKey, Roster};
use terachat_shard::NodeId;

/// Who the members are and where: what the ledger says as far as it is applied here, and of nodes that it does not speak of yet
/// what was known when the process last ran. Without the second nobody could bring the first up again after a restart of all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Directory {
    contacts: BTreeMap<NodeId, Contact>,
    by_key: BTreeMap<NodeKey, NodeId>,
}

impl Directory {
    /// `leaving` are those that left a moment ago, and are to hear of it.
    pub(crate) fn new<'a>(
        roster: &Roster,
        remembered: &'a [Contact],
        leaving: impl Iterator<Item = &'a Contact>,
    ) -> Self {
        let applied = roster.members().map(|(node, record)| Contact {
            node,
            key: record.profile.key,
            address: record.profile.address.clone(),
        });
        let is_news = |contact: &&Contact| roster.node(contact.node).is_none();
        let contacts: BTreeMap<NodeId, Contact> = remembered
            .iter()
            .filter(is_news)
            .chain(leaving)
            .cloned()
            .chain(applied)
            .map(|one| (one.node, one))
            .collect();
        let by_key = contacts.values().map(|contact| (contact.key, contact.node)).collect();
        Self { contacts, by_key }
    }

    pub(crate) fn node_of(&self, key: &NodeKey) -> Option<NodeId> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn key_of(&self, node: NodeId) -> Option<NodeKey> {
        self.contacts.get(&node).map(|contact| contact.key)
    }

    pub(crate) fn list(&self) -> Vec<Contact> {
        self.contacts.values().cloned().collect()
    }
}
