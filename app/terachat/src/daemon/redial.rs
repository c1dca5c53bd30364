use super::service::Event;
use std::collections::BTreeSet;
use std::time::Duration;
use terachat_net::{Error, Net, PeerKey};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep, timeout};

/// After the first failure.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// After many.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A connection that held so long makes the next pause short again.
const GOOD: Duration = Duration::from_secs(10);

/// Stays connected to whoever answers at `addr`, until dropped or until the address turns out to be useless.
pub(super) async fn redial(
    net: Net,
    addr: String,
    connected: watch::Receiver<BTreeSet<PeerKey>>,
    events: broadcast::Sender<Event>,
) {
    let mut pause = PAUSE_MIN;
    loop {
        let began = Instant::now();
        match net.dial(&addr, None).await {
            Ok(peer) => {
                tracing::info!(%peer, addr, "connected");
                let _ = events.send(Event::Reached { addr: addr.clone(), peer });
                until_gone(peer, connected.clone()).await;
            }
            Err(Error::Shutdown) => return,
            Err(error) => {
                let useless = matches!(error, Error::Address { .. } | Error::OwnDevice);
                let _ = events.send(Event::Unreached { addr: addr.clone(), why: error.to_string(), useless });
                if useless {
                    return;
                }
            }
        }
        pause = next_pause(pause, began.elapsed());
        sleep(pause).await;
    }
}

/// Doubles up to a bound; short again after a connection that held.
fn next_pause(last: Duration, held: Duration) -> Duration {
    if held >= GOOD { PAUSE_MIN } else { (last * 2).min(PAUSE_MAX) }
}

async fn until_gone(peer: PeerKey, mut connected: watch::Receiver<BTreeSet<PeerKey>>) {
    // The dial may return a moment before the network's word of the connection; or that word came and went already.
    let _ = timeout(Duration::from_secs(2), connected.wait_for(|peers| peers.contains(&peer))).await;
    let _ = connected.wait_for(|peers| !peers.contains(&peer)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_shrink_after_success() {
        let mut pause = PAUSE_MIN;
        let pauses: Vec<Duration> = std::iter::repeat_with(|| {
            pause = next_pause(pause, Duration::ZERO);
            pause
        })
        .take(10)
        .collect();
        assert!(pauses.is_sorted() && pauses[0] > PAUSE_MIN && pauses[9] == PAUSE_MAX);
        assert_eq!(next_pause(PAUSE_MAX, GOOD), PAUSE_MIN);
    }
}
