//! A board in a folder or in a cluster, as a profile's client uses it: in this process, or in the one that has the profile open.
use crate::cluster_client;
use crate::failure::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use terachat_client::Client;
use terachat_client::api::{Answer, Request};
use terachat_core_store::sync::board::Board;
use terachat_host::{FolderBoard, clock};
use terachat_node::ClusterBoard;

/// One bounded part of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BoardCall {
    /// Which board.
    pub(crate) place: BoardPlace,
    /// What is to be done.
    pub(crate) turn: Turn,
}

/// Where a board is. All paths are from the root on: another process may have another working folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BoardPlace {
    /// In a folder.
    Folder(PathBuf),
    /// In a cluster.
    Cluster {
        /// The cluster's folder on this machine.
        folder: PathBuf,
        /// What opens the keys of its client.
        key: PathBuf,
    },
}

/// What is to be done with a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Turn {
    /// Take in what others left.
    Fetch,
    /// Leave what is not there yet.
    Publish,
    /// Remove what has expired.
    Collect,
    /// Carry out a request whose commits the board puts into an order.
    Execute(Box<Request>),
    /// Offer key packages there from now on.
    Offer {
        /// Whether for post-quantum spaces, too.
        post_quantum: bool,
    },
    /// Invite a person by what their devices offer there.
    Invite {
        /// The space, as in [`Place`](terachat_client::api::Place).
        space: Option<String>,
        /// Whom.
        person: String,
        /// As in [`Request::Invite`](terachat_client::api::Request::Invite).
        rank: Option<u8>,
    },
}

impl BoardPlace {
    /// Whether somebody has begun the board.
    pub(crate) fn is_begun(&self) -> bool {
        match self {
            Self::Folder(folder) => FolderBoard::is_in(folder),
            Self::Cluster { .. } => true,
        }
    }

    fn open(&self) -> Result<Box<dyn Board>> {
        match self {
            Self::Folder(folder) => Ok(Box::new(FolderBoard::open(folder).map_err(Failure::from_text)?)),
            Self::Cluster { folder, key } => {
                let folder = cluster_client::open(folder, key)?;
                Ok(Box::new(ClusterBoard::open(folder).map_err(Failure::from_text)?))
            }
        }
    }
}

/// Carries it out.
///
/// # Errors
/// [`Failure::Told`]; what was exchanged before stays.
pub(crate) fn carry_out(client: &mut Client, call: &BoardCall) -> Result<Answer> {
    let now_ms = clock::now_ms();
    if let BoardPlace::Folder(folder) = &call.place
        && matches!(call.turn, Turn::Fetch | Turn::Invite { .. })
        && !call.place.is_begun()
    {
        let what = format_args!("there is no board in {}", folder.display());
        return Err(Failure::new(what, "check the path; `terachat board publish` begins a board"));
    }
    let mut board = call.place.open()?;
    match &call.turn {
        Turn::Fetch => {
            client.board_fetch(board.as_ref(), now_ms).map(Answer::BoardFetched).map_err(Failure::from_text)
        }
        Turn::Publish => client
            .board_publish(board.as_mut(), now_ms)
            .map(Answer::BoardPublished)
            .map_err(Failure::from_text),
        Turn::Execute(request) => {
            client.board_execute(board.as_mut(), request, now_ms).map_err(Failure::from_text)
        }
        Turn::Offer { post_quantum } => {
            client.card_publish(board.as_mut(), *post_quantum, now_ms).map_err(Failure::from_text)
        }
        Turn::Invite { space, person, rank } => client
            .board_invite(board.as_mut(), space.as_deref(), person, *rank, now_ms)
            .map_err(Failure::from_text),
        Turn::Collect => board.collect(now_ms).map(|_| Answer::Done).map_err(Failure::from_text),
    }
}
