//! Questions to the state: pages, filters, threads, pins, search, and the hash of a channel's state.
mod event_view;
mod explain;
mod filter;
mod forum;
mod journal;
mod live;
mod preview_event;
mod preview_find;
mod preview_page;
mod query_engine;
pub mod search_index;
mod state_hash;
mod state_map;
mod state_tree;
mod text_search;
mod unread;

pub use event_view::EventView;
pub use filter::{Filter, MessageKind};
pub use forum::PostView;
pub(crate) use journal::{Journal, Mark};
pub use live::{Change, Live, LiveQuery};
pub use preview_event::AheadView;
pub use query_engine::{AttachmentView, MessageView, PageStart};
pub use state_map::{Difference, Entity, StateMap};
pub(crate) use state_tree::StateTree;
pub use text_search::TextHit;
pub use unread::{UNREAD_MAX, Unread};
