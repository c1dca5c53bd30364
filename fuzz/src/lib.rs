//! What several fuzz targets share: fixed keys, repeatable entropy, and a small store to throw things at.
pub mod clusters;
pub mod damage;
pub mod groups;
mod spoiled;

pub use spoiled::Spoiled;

use std::sync::{Arc, Mutex, PoisonError};
use terachat_client::Client;
use terachat_client::api::{Answer, Place, Request, Status};
use terachat_core_store::LocalStore;
use terachat_core_store::model::{Card, ChannelOp, ControlOp, ControlTransaction, Post, Style};
use terachat_core_store::store::dht_adapter::{DirectoryStream, Joiner};
use terachat_core_store::store::storage::MemoryStorage;
use terachat_core_store::store::{Storage, StorageError};
use terachat_core_store::sync::board::{Board as _, MemoryBoard};
use terachat_core_store::sync::{Draft, KeyId};
use terachat_event::{DeviceId, DeviceKey, EventHash, LogId, SpaceId};
use terachat_vault::{Entropy, PassphraseCost, PassphraseSource, Secret, SecretBytes};

/// Entropy that repeats in every run.
#[derive(Default)]
pub struct Counter(u64);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = self.0.to_be_bytes()[0];
        }
    }
}

/// A secret of 32 equal bytes.
pub fn secret(byte: u8) -> Secret<32> {
    Secret::take(&mut [byte; 32])
}

/// The device that founds [`world`].
pub fn owner() -> DeviceKey {
    DeviceKey::from_seed(&secret(1))
}

/// An empty store in memory.
pub fn empty_store() -> LocalStore {
    store_on(Files::default())
}

fn store_on(files: Files) -> LocalStore {
    LocalStore::open(Box::new(files), &secret(9), Box::new(Counter::default()))
        .expect("an empty folder opens")
}

/// Files in memory that can be copied while a store stands on them.
#[derive(Clone, Default)]
pub struct Files(Arc<Mutex<MemoryStorage>>);

impl Files {
    /// A copy as they are now.
    pub fn copy(&self) -> MemoryStorage {
        self.with(|files| files.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut MemoryStorage) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Storage for Files {
    fn append(&mut self, file: &str, bytes: &[u8]) -> Result<u64, StorageError> {
        self.with(|files| files.append(file, bytes))
    }

    fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        self.with(|files| files.read(file, offset, len))
    }

    fn size(&self, file: &str) -> Result<Option<u64>, StorageError> {
        self.with(|files| files.size(file))
    }

    fn sync(&mut self, file: &str) -> Result<(), StorageError> {
        self.with(|files| files.sync(file))
    }

    fn truncate(&mut self, file: &str, len: u64) -> Result<(), StorageError> {
        self.with(|files| files.truncate(file, len))
    }

    fn replace(&mut self, file: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.with(|files| files.replace(file, bytes))
    }

    fn remove(&mut self, file: &str) -> Result<(), StorageError> {
        self.with(|files| files.remove(file))
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.with(|files| files.list())
    }
}

/// A store with one space and one channel in it, and the ids of both logs.
pub struct World {
    /// The store.
    pub store: LocalStore,
    /// What it stands on.
    pub files: Files,
    /// The space's control log.
    pub control: LogId,
    /// The channel's log.
    pub channel: LogId,
    /// The epoch its messages are sealed under.
    pub key: KeyId,
}

/// A space with a channel in which `messages` messages were posted.
pub fn world(messages: u64) -> World {
    let files = Files::default();
    let (mut store, owner, user) = (store_on(files.clone()), owner(), DeviceKey::from_seed(&secret(2)));
    let card = Card::issue(&user, "Ada", &owner);
    let genesis = ControlOp::Genesis { name: "fuzz".to_owned(), owner: card, salt: [3; 16] };
    let writes =
        |space: SpaceId| Ok(vec![LocalStore::epoch_secret_record(&space, &EventHash(space.0), &secret(4))]);
    let space = store.found_space(&owner, genesis, 1000, writes).expect("memory takes it");
    let create = ControlTransaction(vec![ControlOp::CreateChannel { name: "general".to_owned() }]);
    let control = LogId::control(space);
    let draft = Draft { log: control, payloads: vec![create.encode()], key: None, wall_ms: 1001 };
    store.apply_local(&owner, &draft, |_| Vec::new()).expect("an owner creates channels");
    let id = *store.space(&space).expect("it was founded").channels.keys().next().expect("one was created");
    let channel = LogId::channel(space, id);
    let key = KeyId { commit: EventHash(space.0), epoch: 0 };
    for n in 0..messages {
        let body = format!("message {n}");
        let post =
            ChannelOp::Post(Post { style: Style::Message, body: &body, reply_to: None, imported: None });
        store.post(&owner, channel, key, 2000 + n, &[post]).expect("an owner writes");
    }
    World { store, files, control, channel, key }
}

/// What a device of Ann's leaves in her directory on a board.
pub fn supply() -> Vec<u8> {
    let (mut ann, mut board) = (pair().ann, MemoryBoard::new());
    ann.card_publish(&mut board, false, 10).expect("memory takes it");
    let Ok(Answer::Card { user, .. }) = ann.execute(Request::WhoAmI { post_quantum: false }, 11) else {
        panic!("it has a card")
    };
    let user = user.parse().expect("its own user's id");
    let stream = DirectoryStream::derive(&user, 0).expect("a key");
    let mut joiner = Joiner::default();
    let records = (0..).map_while(|number| Some((number, board.fetch(&stream.key(number), 11).ok()??)));
    let pieces = records.map(|(number, record)| stream.open(number, &record).expect("Ann wrote it"));
    pieces.filter_map(|piece| joiner.push(piece)).next().expect("it is whole")
}

/// A device of Ann's, and the id of Bob's, who is a member of her space.
pub struct Pair {
    /// Ann's device.
    pub ann: Client,
    /// Bob's device id.
    pub bob: [u8; 32],
    /// Frames that passed between them, for a corpus.
    pub frames: Vec<Vec<u8>>,
    /// Bob's card, and the invitation that he got for it.
    pub card: String,
    /// See `card`.
    pub invitation: String,
}

/// Ann founds a space, Bob joins, both talk until they have the same.
pub fn pair() -> Pair {
    let make = |name: &str, start| {
        let words = SecretBytes::take(b"fuzz".to_vec());
        let mut source = PassphraseSource::new(words, PassphraseCost::INSECURE_FAST);
        let storage = Box::new(MemoryStorage::new());
        let client = Client::create(storage, name, &mut source, Box::new(Counter(start)), 1, None);
        client.expect("an empty folder takes a profile")
    };
    let (mut ann, mut bob) = (make("Ann", 1), make("Bob", 2));
    let id = |client: &mut Client| match client.execute(Request::WhoAmI { post_quantum: false }, 1) {
        Ok(Answer::Card { device, card, .. }) => (device.parse::<DeviceId>().expect("its own id").0, card),
        other => panic!("{other:?}"),
    };
    let (ann_id, _) = id(&mut ann);
    let (bob_id, card) = id(&mut bob);
    ann.execute(Request::SpaceCreate { name: "crew".to_owned(), post_quantum: false }, 2).expect("a space");
    ann.execute(
        Request::ChannelCreate { space: None, name: "general".to_owned(), forum: false, since_join: false },
        3,
    )
    .expect("a channel");
    let invite = Request::Invite { space: None, card: card.clone(), rank: None };
    let Ok(Answer::Invitation { invitation }) = ann.execute(invite, 4) else { panic!("no invitation") };
    bob.execute(Request::Join { invitation: invitation.clone() }, 5).expect("it was invited");
    for n in 0..3 {
        let (place, body) = (Place::default(), format!("message {n}"));
        ann.execute(Request::Send { place, body, reply_to: None }, 6 + n).expect("a message");
    }
    ann.connected(bob_id);
    bob.connected(ann_id);
    let mut frames = Vec::new();
    loop {
        let before = frames.len();
        while let Some((_, frame)) = ann.poll_frame() {
            frames.push(frame.clone());
            bob.receive(ann_id, frame, 9).expect("Ann is honest");
        }
        while let Some((_, frame)) = bob.poll_frame() {
            frames.push(frame.clone());
            ann.receive(bob_id, frame, 9).expect("Bob is honest");
        }
        if frames.len() == before {
            break;
        }
    }
    ann.disconnected(bob_id);
    while ann.poll_notice().is_some() {}
    Pair { ann, bob: bob_id, frames, card, invitation }
}

/// All that a device shows of its state, and how long its log is; what waits is left out.
pub fn state(client: &mut Client) -> Status {
    match client.execute(Request::Status, 10) {
        Ok(Answer::Status(mut status)) => {
            status.spaces.iter_mut().for_each(|space| space.waiting.clear());
            status
        }
        other => panic!("{other:?}"),
    }
}
