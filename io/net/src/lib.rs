//! Direct, authenticated and encrypted connections between devices, addressed by their Ed25519 key.
//!
//! ```no_run
//! # async fn example(seed: terachat_vault::Secret<32>) -> Result<(), terachat_net::Error> {
//! use terachat_net::{Net, NetEvent};
//!
//! let (net, mut events) = Net::start(&seed, Some("127.0.0.1:0")).await?;
//! let peer = net.dial("127.0.0.1:4001", None).await?;
//! net.send(peer, b"hello".to_vec()).await?;
//! while let Some(event) = events.recv().await {
//!     if let NetEvent::Frame { peer, bytes } = event {
//!         net.send(peer, bytes).await?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A connection is TCP, Noise XX and yamux, all by libp2p, with one long-lived substream that carries *frames*: up
//! to [`FRAME_LEN_MAX`] bytes, in order, each once, while the connection lasts. Whoever answers has proved to hold
//! the private half of the [`PeerKey`] that the events name.
//!
//! Two devices have at most one connection, whoever dialled. The device with the lower key decides which one: it
//! answers each greeting with a verdict, and nobody sends a frame on a connection that has none, so devices that dial
//! each other at once lose nothing (see `greeting`).
//!
//! All queues are bounded in bytes. A peer that does not read fills only its own queue and is disconnected after half
//! a minute; a caller that does not read [`NetEvents`] slows its peers down, and loses them in the same way.
//!
//! It does not decide who may connect (any key may; [`Net::disconnect`] is the caller's answer), does not redial, keeps
//! nothing for peers that are away, and gives frames no meaning. What was queued when a connection breaks is lost: the
//! layer above compares states and sends again.
mod address;
mod behaviour;
mod bounded_close;
mod error;
mod event;
mod frame;
mod greeting;
mod handler;
mod limits;
mod link;
mod net;
mod peer_key;
mod pulse;
mod queue;
mod registry;
mod session;
mod task;
mod transport;

pub use error::Error;
pub use event::{NetEvent, NetEvents, Reason};
pub use frame::FRAME_LEN_MAX;
pub use net::Net;
pub use peer_key::PeerKey;
