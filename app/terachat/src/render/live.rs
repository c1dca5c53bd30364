use super::{Look, messages, short};
use std::slice::from_ref;
use terachat_client::api::LiveChange;

/// What happened to an answer that is followed. `since` as in [`messages`].
pub(crate) fn live_change(change: &LiveChange, look: &Look, since: &mut Option<String>) -> String {
    match change {
        LiveChange::Insert { message, .. } | LiveChange::Update { message } => {
            messages(from_ref(message), look, since)
        }
        LiveChange::Remove { id } => {
            format!("  {}\n", look.paint.dim(&format!("message {} is not there any more", short(id))))
        }
    }
}
