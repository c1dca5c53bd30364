use super::listen::{self, End};
use crate::args::SyncArgs;
use crate::daemon::{Event, Options, Service};
use crate::failure::{Failure, Result};
use crate::home::{Home, Profile};
use crate::printer::Printer;
use crate::render;
use crate::session::Session;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use terachat_client::api::Notice;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

/// Exchanges everything with the given peers, then ends; or stays, with `--follow`.
pub(super) fn run(home: &Home, args: SyncArgs, printer: &Printer) -> Result<()> {
    let options = Options { listen: args.listen, peers: args.peers, serve: args.follow };
    if args.follow {
        return listen::stay(home, &options, printer);
    }
    let profile = Session::open_alone(home)?;
    let runtime = listen::runtime()?;
    let patience = Duration::from_secs(args.patience.into());
    runtime.block_on(until_idle(home, *profile, &options, patience, printer))
}

async fn until_idle(
    home: &Home,
    profile: Profile,
    options: &Options,
    patience: Duration,
    printer: &Printer,
) -> Result<()> {
    let mut end = End::new()?;
    let service = Service::start(home, profile, options).await?;
    let mut goal = Goal::new(&options.peers);
    let outcome = tokio::select! {
        outcome = reach(&mut goal, &service, patience) => outcome,
        () = end.wait() => Err(Failure::new("interrupted before both sides had the same", "run the command again")),
    };
    let stopped = service.stop().await;
    outcome.and(stopped)?;
    goal.show(printer)
}

/// How long a peer that refused one space is given to speak about another.
const GRACE: Duration = Duration::from_secs(1);

async fn reach(goal: &mut Goal, service: &Service, patience: Duration) -> Result<()> {
    let mut events = service.follow();
    let mut frames = 0;
    while !goal.is_reached() {
        let refused = goal.refused();
        let patience = if refused.is_some() { patience.min(GRACE) } else { patience };
        match timeout(patience, events.recv()).await {
            Ok(Ok(event)) => goal.take(event)?,
            Ok(Err(RecvError::Lagged(_))) => {}
            Ok(Err(RecvError::Closed)) => {
                return Err(Failure::new("the network ended", "run the command again"));
            }
            Err(_) if service.frames() > frames => frames = service.frames(),
            Err(_) if refused.is_some() => return Err(refused.unwrap_or(Failure::Shown)),
            Err(_) => {
                let what = format_args!("nothing arrived for {} seconds", patience.as_secs());
                return Err(Failure::new(
                    what,
                    "check that the peer knows this device: were you invited, or removed?",
                ));
            }
        }
    }
    Ok(())
}

/// Which peers are to be in sync, and which are.
#[derive(Debug)]
struct Goal {
    devices: BTreeMap<String, Option<String>>,
    in_sync: BTreeSet<String>,
    /// Devices with which some space cannot be exchanged, and why: it ends nothing, for there may be another they have in
    /// common. The word may come before it is known which address is theirs.
    refusals: BTreeMap<String, Failure>,
}

impl Goal {
    fn new(addrs: &[String]) -> Self {
        let devices = addrs.iter().map(|addr| (addr.clone(), None)).collect();
        Self { devices, in_sync: BTreeSet::new(), refusals: BTreeMap::new() }
    }

    fn is_reached(&self) -> bool {
        self.devices
            .values()
            .all(|device| device.as_ref().is_some_and(|device| self.in_sync.contains(device)))
    }

    fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Reached { addr, peer } => {
                self.devices.insert(addr, Some(peer.to_string()));
            }
            Event::Notice(notice) => match *notice {
                Notice::InSync { peer } => {
                    self.in_sync.insert(peer);
                }
                Notice::NotMember { peer, .. } => {
                    let failure = Failure::new(
                        "the peer does not know this device as a member of the space (any more)",
                        "ask for an invitation, or try another member if you were invited just now",
                    );
                    self.refusals.insert(peer, failure);
                }
                Notice::Stranger { peer, .. } => {
                    let failure = Failure::new(
                        "the peer is no member of the space (any more)",
                        "sync with another member",
                    );
                    self.refusals.insert(peer, failure);
                }
                _ => {}
            },
            Event::Unreached { addr, why, .. } => {
                let Failure::Told { what, next } = Failure::from_text(why) else { return Ok(()) };
                return Err(Failure::new(format_args!("{addr}: {what}"), next));
            }
            Event::Gone(peer) => {
                let peer = peer.to_string();
                let ours = self.devices.values().flatten().any(|device| *device == peer);
                if let Some(failure) = self.refused().filter(|_| ours) {
                    return Err(failure);
                }
                if ours && !self.in_sync.contains(&peer) {
                    let what = "the peer ended the connection before both sides had the same";
                    return Err(Failure::new(
                        what,
                        "`terachat status` shows whether you are still a member; else try again",
                    ));
                }
            }
        }
        Ok(())
    }

    /// Why a peer that is not in sync yet refused a space.
    fn refused(&self) -> Option<Failure> {
        let left = self.devices.values().flatten().filter(|device| !self.in_sync.contains(*device));
        left.into_iter().find_map(|device| self.refusals.get(device)).cloned()
    }

    fn show(&self, printer: &Printer) -> Result<()> {
        for (addr, device) in &self.devices {
            let refusal = device.as_ref().and_then(|device| self.refusals.get(device));
            if let Some(Failure::Told { what, next }) = refusal {
                printer.warn(&format!("{addr}: of one space nothing was exchanged: {what}; {next}"));
            }
        }
        if printer.is_json() {
            let all: Vec<_> = self
                .devices
                .iter()
                .map(|(addr, device)| serde_json::json!({ "peer": addr, "device": device }))
                .collect();
            return printer.data(&render::json_value(&serde_json::json!({ "in_sync": all })));
        }
        self.devices.keys().for_each(|addr| printer.talk(&format!("In sync with {addr}.")));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use terachat_net::PeerKey;

    fn in_sync(peer: PeerKey) -> Event {
        Event::Notice(Box::new(Notice::InSync { peer: peer.to_string() }))
    }

    #[test]
    fn the_goal_is_every_peer_in_whatever_order() {
        let (a, b) = (PeerKey([1; 32]), PeerKey([2; 32]));
        let mut goal = Goal::new(&["x".into(), "y".into()]);
        goal.take(in_sync(a)).unwrap();
        goal.take(Event::Reached { addr: "x".into(), peer: a }).unwrap();
        goal.take(Event::Reached { addr: "y".into(), peer: b }).unwrap();
        assert!(!goal.is_reached());
        goal.take(Event::Gone(a)).unwrap();
        goal.take(in_sync(b)).unwrap();
        assert!(goal.is_reached());
    }

    /// Two devices with two spaces in common could not sync the one any more after one of them was removed from the other.
    #[test]
    fn a_refusal_for_one_space_leaves_the_others() {
        let a = PeerKey([1; 32]);
        let refusal = Notice::NotMember { peer: a.to_string(), space: "s".into() };
        let mut goal = Goal::new(&["x".into()]);
        goal.take(Event::Reached { addr: "x".into(), peer: a }).unwrap();
        goal.take(Event::Notice(Box::new(refusal))).unwrap();
        assert!(goal.refused().is_some());
        goal.take(in_sync(a)).unwrap();
        assert!(goal.is_reached());
        assert_eq!(goal.refused(), None);
    }

    #[test]
    fn a_peer_that_knows_no_such_member_is_remembered_whichever_word_comes_first() {
        let (a, b) = (PeerKey([1; 32]), PeerKey([2; 32]));
        let stranger = |peer: PeerKey| {
            Event::Notice(Box::new(Notice::NotMember { peer: peer.to_string(), space: "s".into() }))
        };
        let reached = || Event::Reached { addr: "x".into(), peer: a };
        let mut goal = Goal::new(&["x".into()]);
        goal.take(stranger(b)).unwrap();
        goal.take(reached()).unwrap();
        assert_eq!(goal.refused(), None);
        goal.take(stranger(a)).unwrap();
        assert!(goal.refused().is_some());
        let mut goal = Goal::new(&["x".into()]);
        goal.take(stranger(a)).unwrap();
        goal.take(reached()).unwrap();
        assert!(goal.refused().is_some());
        goal.take(Event::Gone(a)).unwrap_err();
    }

    #[test]
    fn a_peer_that_hangs_up_or_does_not_answer_is_a_failure() {
        let a = PeerKey([1; 32]);
        let mut goal = Goal::new(&["x".into()]);
        goal.take(Event::Gone(a)).unwrap();
        goal.take(Event::Reached { addr: "x".into(), peer: a }).unwrap();
        goal.take(Event::Gone(a)).unwrap_err();
        let event =
            Event::Unreached { addr: "x".into(), why: "cannot connect; dial again".into(), useless: false };
        let Err(Failure::Told { what, next }) = goal.take(event) else { panic!("a failure") };
        assert_eq!((what.as_str(), next.as_str()), ("x: cannot connect", "dial again"));
    }
}
