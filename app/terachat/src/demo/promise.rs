use serde::Serialize;

/// What the demo is to show. All must be checked, and hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Promise {
    Kept,
    Once,
    Delivered,
    OfflineArrives,
    Responses,
    Converged,
    RemovedReadsNothing,
    BundleOpensNothing,
    RemovedWritesNothing,
    Found,
    Audited,
    DamageNoticed,
    FlowsOn,
    TwoLost,
    Mended,
}

impl Promise {
    pub(super) const ALL: [Self; 15] = [
        Self::Kept,
        Self::Once,
        Self::Delivered,
        Self::OfflineArrives,
        Self::Responses,
        Self::Converged,
        Self::RemovedReadsNothing,
        Self::BundleOpensNothing,
        Self::RemovedWritesNothing,
        Self::Found,
        Self::Audited,
        Self::DamageNoticed,
        Self::FlowsOn,
        Self::TwoLost,
        Self::Mended,
    ];

    /// In a sentence.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Kept => "What was acknowledged before a SIGKILL is there after it",
            Self::Once => "A restarted import adds nothing twice and loses nothing",
            Self::Delivered => "Every device receives the imported log",
            Self::OfflineArrives => "What was written offline reaches everyone, and everyone's reaches it",
            Self::Responses => "Replies, edits, reactions and pins arrive everywhere",
            Self::Converged => "Devices with the same events have the same state, to the hash",
            Self::RemovedReadsNothing => "A removed member reads nothing later over the network",
            Self::BundleOpensNothing => "A removed member reads nothing later from a file",
            Self::RemovedWritesNothing => "A removed member writes nothing that others take",
            Self::Found => "Every device finds every planted word",
            Self::Audited => "A replay from the first event gives the same state everywhere",
            Self::DamageNoticed => "A flipped byte on disk is noticed",
            Self::FlowsOn => {
                "Messages go on by the cluster while two of its seven nodes are killed, and all arrive"
            }
            Self::TwoLost => "With two of seven nodes killed everything is read, and new things are kept",
            Self::Mended => "Nodes that come back are made whole, and all histories are the same",
        }
    }
}
