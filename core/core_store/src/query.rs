//! Questions to the state: pages, threads, pins, search, and the hash of a channel's state.
mod event_view;
mod query_engine;
pub mod search_index;
mod state_hash;
mod text_search;

pub use event_view::EventView;
pub use query_engine::{MessageView, PageStart};
pub use text_search::TextHit;
