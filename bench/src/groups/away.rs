//! A device that was away while others renewed their keys many times: what its catching up costs, all of it, beside processing
//! the same number of commits with the bare library.
use super::bare::Bare;
use crate::measure::time;
use crate::report::Figure;
use crate::sender::Seeded;
use anyhow::{Result, bail, ensure};
use terachat_client::Client;
use terachat_client::api::{Answer, Request, Status};
use terachat_core_store::store::Storage;
use terachat_core_store::store::storage::MemoryStorage;
use terachat_host::Disk;
use terachat_vault::{PassphraseCost, PassphraseSource, SecretBytes};

/// Beside one commit of the bare library.
const OVERHEAD: f64 = 1.2;

fn device(storage: Box<dyn Storage>, number: u64) -> Result<Client> {
    let words = SecretBytes::take(b"bench".to_vec());
    let mut source = PassphraseSource::new(words, PassphraseCost::INSECURE_FAST);
    let entropy = Box::new(Seeded::new(number));
    Ok(Client::create(storage, &format!("member {number}"), &mut source, entropy, 0, None)?)
}

/// The founder and one member, of a space in which the others are cards.
struct Pair {
    ada: Client,
    eve: Client,
    /// CPU seconds of what eve did.
    eves: f64,
    now: u64,
}

impl Pair {
    fn ask(&mut self, request: Request) -> Result<Answer> {
        self.now += 1_000;
        Ok(self.ada.execute(request, self.now)?)
    }

    fn meet(&mut self) -> Result<()> {
        let (ada, eve) = (self.ada.device_id(), self.eve.device_id());
        self.ada.connected(eve);
        self.eve.connected(ada);
        loop {
            let mut quiet = true;
            while let Some((_, frame)) = self.ada.poll_frame() {
                quiet = false;
                let (done, took) = time(|| self.eve.receive(ada, frame, self.now));
                self.eves += took.cpu;
                done?;
            }
            loop {
                let (frame, took) = time(|| self.eve.poll_frame());
                self.eves += took.cpu;
                let Some((_, frame)) = frame else { break };
                quiet = false;
                self.ada.receive(eve, frame, self.now)?;
            }
            if quiet {
                break;
            }
        }
        self.ada.disconnected(eve);
        self.eve.disconnected(ada);
        Ok(())
    }

    fn status(client: &mut Client, now: u64) -> Result<Status> {
        match client.execute(Request::Status, now)? {
            Answer::Status(status) => Ok(status),
            _ => bail!("the status is none"),
        }
    }
}

fn card(client: &mut Client) -> Result<String> {
    match client.execute(Request::WhoAmI { post_quantum: false }, 1)? {
        Answer::Card { card, .. } => Ok(card),
        _ => bail!("the card is none"),
    }
}

/// Catching up with `epochs` commits in a space of `size`.
///
/// # Errors
/// The two do not agree afterwards, or the peer fails.
pub(super) fn figures(size: usize, epochs: usize) -> Result<Vec<Figure>> {
    let folders = (tempfile::tempdir()?, tempfile::tempdir()?);
    let ada = device(Box::new(Disk::open(folders.0.path())?), 1)?;
    let eve = device(Box::new(Disk::open(folders.1.path())?), 2)?;
    let mut pair = Pair { ada, eve, eves: 0.0, now: 1_000_000 };
    pair.ask(Request::SpaceCreate { name: "bench".to_owned(), post_quantum: false })?;
    let mut cards = vec![card(&mut pair.eve)?];
    for number in 2..size as u64 {
        cards.push(card(&mut device(Box::new(MemoryStorage::new()), 1 + number)?)?);
    }
    let (invited, took) = time(|| pair.ask(Request::InviteAll { space: None, cards, rank: None }));
    let Answer::Invitations { mut invitations } = invited? else { bail!("nobody was invited") };
    ensure!(invitations.len() == size - 1, "not all were invited");
    let invited = Figure::once(super::NAME, format!("{} cards admitted", size - 1), "s CPU", took.cpu);
    pair.eve.execute(Request::Join { invitation: invitations.swap_remove(0) }, pair.now)?;
    let before = pair.eves;
    pair.meet()?;
    let joined =
        Figure::once(super::NAME, format!("a space of {size} entered"), "ms CPU", (pair.eves - before) * 1e3);

    for _ in 0..epochs {
        pair.ask(Request::Renew { space: None })?;
    }
    let before = pair.eves;
    pair.meet()?;
    let each = (pair.eves - before) / epochs as f64 * 1e3;
    let now = pair.now;
    let states = [&mut pair.ada, &mut pair.eve].map(|client| Pair::status(client, now));
    let [ada, eve] = states;
    ensure!(ada?.spaces[0].epoch == eve?.spaces[0].epoch, "eve is in another epoch");

    let (mut alice, mut bob) = Bare::pair(size)?;
    let mut commits = Vec::with_capacity(epochs);
    for _ in 0..epochs {
        commits.push(alice.update()?);
    }
    let (done, took) = time(|| commits.iter().try_for_each(|commit| bob.process(commit)));
    done?;
    ensure!(alice.agrees(&bob), "the bare members do not agree");
    let bare = took.cpu / epochs as f64 * 1e3;
    let name = format!("an epoch caught up with, of {epochs} at {size}");
    let caught_up = Figure::once(super::NAME, name, "ms CPU", each);
    Ok(vec![invited, joined, caught_up.beside("bare openmls, processed", bare).at_most(bare * OVERHEAD)])
}
