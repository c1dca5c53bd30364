//! What is given out of the cluster, and its history.
use super::{Engine, Event};
use crate::deeds::Doer;
use terachat_cluster::wire::{HISTORY_MAX, Kind, Told, Unwelcome};
use terachat_cluster::{EXHIBITS_MAX, Exhibit, Export, ItemName, SignedDeed, What};
use terachat_net::PeerKey;

impl Engine {
    /// Tells what a case holds.
    pub(super) fn exhibits(&mut self, peer: PeerKey, number: u64, case: String, after: Option<ItemName>) {
        self.answer(peer, number, move |doer| async move {
            doer.catch_up().await?;
            let exhibits = doer.state.read().exhibits(&case, after.as_ref()).take(EXHIBITS_MAX).collect();
            Ok(Told::Exhibits(exhibits))
        });
    }

    /// Writes into the history that items are given out; only then whoever asked may get them.
    pub(super) fn export(&mut self, peer: PeerKey, number: u64, export: Export) {
        if let Some(guest) = self.guests.get_mut(&peer) {
            guest.under_way += 1;
        }
        let (links, events) = (self.parts.links.clone(), self.parts.events.clone());
        let doer = self.parts.doer.clone();
        tokio::spawn(async move {
            match written(&doer, export).await {
                // By the engine, so that the first item is not asked for before the engine knows.
                Ok((names, deed)) => {
                    let _ = events.send(Event::Exported(peer, number, names, Box::new(deed)));
                }
                Err(why) => {
                    let _ = links.send(peer, Kind::Told, number, &Told::Refused(why).encode());
                }
            }
            let _ = events.send(Event::Answered(peer));
        });
    }

    /// Tells the cluster's history from this deed on.
    pub(super) fn history(&mut self, peer: PeerKey, number: u64, from: u64) {
        self.answer(peer, number, move |doer| async move {
            doer.catch_up().await?;
            let state = doer.state.read();
            let deeds = state.chronicle().deeds();
            let from = usize::try_from(from).map_or(deeds.len(), |from| from.min(deeds.len()));
            let mut len = 0;
            let fits = |deed: &&SignedDeed| {
                let is_first = len == 0;
                len += deed.encode().len();
                is_first || len <= HISTORY_MAX
            };
            Ok(Told::History(deeds[from..].iter().take_while(fits).cloned().collect()))
        });
    }
}

/// Brings an export into the history: which items it lets out, and the deed.
async fn written(
    doer: &Doer,
    export: Export,
) -> Result<(std::collections::BTreeSet<ItemName>, SignedDeed), Unwelcome> {
    doer.catch_up().await?;
    let exhibits: Vec<Exhibit> = doer.state.read().exhibits(&export.case, None).collect();
    let there = exhibits.iter().filter(|exhibit| exhibit.content.is_some());
    if there.clone().count() as u64 != export.items || Exhibit::digest(&exhibits) != export.digest {
        return Err(Unwelcome::Changed);
    }
    let names = there.map(|exhibit| exhibit.name).collect();
    let what = What::Exported(export);
    doer.act(what.clone()).await?;
    doer.catch_up().await?;
    let state = doer.state.read();
    let is_it = |deed: &&SignedDeed| deed.deed.by == doer.node && deed.deed.what == what;
    let deed = state.chronicle().deeds().iter().rfind(is_it);
    Ok((names, deed.ok_or(Unwelcome::Changed)?.clone()))
}
