//! One device in a browser's tab: what a page holds of TeraChat. Its keys are made here and do not leave the memory of
//! the WebAssembly module; what comes out is frames for peers, answers and notices.
//!
//! In JavaScript, with what `wasm-bindgen --target web` makes of this crate (the same files for a page and for Node):
//!
//! ```js
//! import init, { Device } from "./terachat_browser.js";
//! await init();
//! const device = Device.create("ada", Date.now());
//! device.request("SpaceCreate", { name: "club", post_quantum: false }, Date.now());
//! device.request("ChannelCreate", { space: null, name: "general", forum: false, since_join: false }, Date.now());
//! device.connected(peer); // 32 bytes: whoever carries the frames has made sure that it is that device
//! device.receive(peer, frame, Date.now());
//! for (let out; (out = device.pollFrame()); ) connections.get(out.peer).send(out.bytes);
//! ```
//!
//! * [`Tab`] is the device, on every platform; a native program can hold one as well, and tests do.
//! * `bindings.rs` is the same as a class for JavaScript, in WebAssembly only; `types.d.ts` are its types.
//! * [`TabEntropy`] stretches what `crypto.getRandomValues` gives, [`Failure`] is every error.
//!
//! # What it does not do
//! It has no connections, and nothing here says who a peer is: authenticating the other side is the carrier's work
//! before it calls `connected`. It keeps nothing: a closed tab is a lost device (ADR 0038). It reads no clock, so each
//! call is given the time; only the MLS library below looks at `Date.now()`, and no result depends on it.
#[cfg(target_arch = "wasm32")]
mod bindings;
mod entropy;
mod failure;
mod tab;

pub use entropy::TabEntropy;
pub use failure::{Code, Failure};
pub use tab::Tab;
