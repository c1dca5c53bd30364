//! What a run did, in words, for whoever looks into a failing seed: `TERACHAT_SIM_TRACE=1`.
use super::world::World;
use crate::Error;
use crate::api::Answer;
use crate::protocol::Frame;
use terachat_core_store::model::ControlOp;
use terachat_core_store::sync::{Bundle, ChainHead, Limits};
use terachat_event::DeviceId;

impl World {
    pub(super) fn note(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{}", what());
        }
    }

    /// Every device's control log.
    pub(super) fn dump(&self) {
        if !self.trace {
            return;
        }
        let space = self.space();
        for at in 0..self.devices.len() {
            let client = &self.devices[at].client;
            self.note(|| {
                format!(
                    "== d{at} {:?} epochs {:?}",
                    DeviceId(self.devices[at].id),
                    client.epochs(&space).unwrap()
                )
            });
            for frontier in super::world::standing(client) {
                let chain = |chain: &ChainHead| (chain.device, chain.seq);
                let chains: Vec<_> = frontier.chains.iter().map(chain).collect();
                let frozen = client.store.equivocations().filter(|(log, ..)| *log == frontier.log);
                let frozen: Vec<_> = frozen.map(|(_, device, from)| (device, from)).collect();
                self.note(|| format!("   {:?}: {chains:?}, frozen {frozen:?}", frontier.log.channel));
            }
            self.note(|| format!("   waits {:?}", client.waiting(&space)));
            let Some(control) = client.store.control(&space).unwrap() else { continue };
            for (event, verdict) in control.events() {
                let author = self.index_of(&event.stamp.author.0);
                let secret = client.store.epoch_secret(&space, &event.hash).is_some();
                self.note(|| {
                    let ops = format!("{:?}", event.transaction.0.iter().map(op_name).collect::<Vec<_>>());
                    format!(
                        "   {:?} d{author} {} {ops} parents {:?} {verdict:?} key {secret}",
                        event.hash, event.stamp.seq, event.parents
                    )
                });
            }
        }
    }
}

pub(super) fn outcome(result: &Result<Answer, Error>) -> String {
    match result {
        Ok(answer) => format!("{answer:.100?}"),
        Err(error) => error.to_string(),
    }
}

pub(super) fn name_of(frame: &[u8]) -> String {
    Frame::decode(frame).map_or("damaged".to_owned(), |frame| match frame {
        Frame::Bundle { more, bytes } => {
            let bundle = Bundle::decode(&bytes, Limits::PEER);
            bundle.map_or("bad bundle".to_owned(), |b| {
                format!(
                    "Bundle of {} events, more {more}, {:?}, key {:?}",
                    b.batch.events.len(),
                    b.batch.log.channel.map(|c| c.short()),
                    b.batch.key.map(|k| k.epoch)
                )
            })
        }
        other => format!("{other:.60?}"),
    })
}

fn op_name(op: &ControlOp) -> String {
    match op {
        ControlOp::Commit(commit) => format!(
            "Commit {} on {:?}, welcome {}, links {:?}",
            commit.epoch,
            commit.previous,
            !commit.welcome.is_empty(),
            commit.links.iter().map(|l| l.commit).collect::<Vec<_>>()
        ),
        ControlOp::Remove { user, .. } => format!("Remove {user:?}"),
        ControlOp::Admit { card, rank, .. } => format!("Admit {} {rank}", card.name),
        other => format!("{other:.60?}"),
    }
}
