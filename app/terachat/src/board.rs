//! A board in a folder, as a profile's client uses it: in this process, or in the one that has the profile open.
use crate::failure::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use terachat_client::Client;
use terachat_client::api::Answer;
use terachat_core_store::sync::board::Board;
use terachat_host::{FolderBoard, clock};

/// One bounded part of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BoardCall {
    /// The board's folder, from the root on: another process may have another working folder.
    pub(crate) folder: PathBuf,
    /// What is to be done.
    pub(crate) turn: Turn,
}

/// What is to be done with a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Turn {
    /// Take in what others left.
    Fetch,
    /// Leave what is not there yet.
    Publish,
    /// Remove what has expired.
    Collect,
}

/// Carries it out.
///
/// # Errors
/// [`Failure::Told`]; what was exchanged before stays.
pub(crate) fn carry_out(client: &mut Client, call: &BoardCall) -> Result<Answer> {
    let now_ms = clock::now_ms();
    if call.turn == Turn::Fetch && !FolderBoard::is_in(&call.folder) {
        let what = format_args!("there is no board in {}", call.folder.display());
        return Err(Failure::new(what, "check the path; `terachat board publish` begins a board"));
    }
    let mut board = FolderBoard::open(&call.folder).map_err(Failure::from_text)?;
    match call.turn {
        Turn::Fetch => {
            client.board_fetch(&board, now_ms).map(Answer::BoardFetched).map_err(Failure::from_text)
        }
        Turn::Publish => {
            client.board_publish(&mut board, now_ms).map(Answer::BoardPublished).map_err(Failure::from_text)
        }
        Turn::Collect => board.collect(now_ms).map(|_| Answer::Done).map_err(Failure::from_text),
    }
}
