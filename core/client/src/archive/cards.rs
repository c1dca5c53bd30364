//! Whose each device is, by the cards of a control log: user and device signed them both.
use std::collections::BTreeMap;
use terachat_core_store::model::{ControlOp, ControlTransaction, vouched};
use terachat_event::{DeviceId, UserId};

/// The first card for each device.
#[derive(Default)]
pub(super) struct Cards(BTreeMap<DeviceId, (UserId, String)>);

impl Cards {
    /// Notes the cards of a control event. Forged ones say nothing.
    pub(super) fn note(&mut self, transaction: &ControlTransaction) {
        if !vouched(std::iter::once(transaction))[0] {
            return;
        }
        for op in &transaction.0 {
            if let ControlOp::Genesis { owner: card, .. } | ControlOp::Admit { card, .. } = op {
                self.0.entry(card.device).or_insert_with(|| (card.user, card.name.clone()));
            }
        }
    }

    /// User id and name of a device's owner.
    pub(super) fn of(&self, device: &DeviceId) -> (Option<String>, Option<String>) {
        match self.0.get(device) {
            Some((user, name)) => (Some(user.to_string()), Some(name.clone())),
            None => (None, None),
        }
    }
}
