//! A question to all voters.
use super::message::{Answer, decode};
use super::{Carrier, node_id};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Whether a majority of each group of voters, `own` among them without being asked, answers so that `is_yes`. Ends as soon as that is
/// known, or never: there is no limit of time in it.
pub(super) async fn majority_says(
    carrier: &Arc<dyn Carrier>,
    own: u64,
    groups: &[BTreeSet<u64>],
    request: &[u8],
    is_yes: fn(&Answer) -> bool,
) -> bool {
    let others: BTreeSet<u64> = groups.iter().flatten().copied().filter(|&id| id != own).collect();
    let mut asked = JoinSet::new();
    for other in others {
        let (carrier, request) = (Arc::clone(carrier), request.to_vec());
        asked.spawn(async move {
            let answer = carrier.call(node_id(other)?, request).await.ok()?;
            decode(&answer).as_ref().is_some_and(is_yes).then_some(other)
        });
    }
    let mut yes = BTreeSet::from([own]);
    let is_majority =
        |yes: &BTreeSet<u64>| groups.iter().all(|voters| voters.intersection(yes).count() * 2 > voters.len());
    while !is_majority(&yes) {
        match asked.join_next().await {
            Some(answer) => yes.extend(answer.ok().flatten()),
            None => return false,
        }
    }
    true
}
