//! What nodes and clients send each other, what stands in the ledger, its snapshot, and what is given out: any bytes are a value or an
//! error, and a value is written as it was read.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_cluster::{Entry, ExportManifest, Message, Outcome, Request, Response, SignedDeed, State};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::decode(bytes) {
        assert_eq!(Message::decode(&message.encode()), Ok(message));
    }
    if let Ok(request) = Request::decode(bytes) {
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
    if let Ok(response) = Response::decode(bytes) {
        assert_eq!(Response::decode(&response.encode()), Ok(response));
    }
    if let Ok(outcome) = Outcome::decode(bytes) {
        assert_eq!(Outcome::decode(&outcome.encode()), Ok(outcome));
    }
    if let Ok(entry) = Entry::decode(bytes) {
        assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
    }
    if let Ok(deed) = SignedDeed::decode(bytes) {
        assert_eq!(SignedDeed::decode(&deed.encode()), Ok(deed));
    }
    if let Ok(list) = ExportManifest::decode(bytes) {
        assert_eq!(ExportManifest::decode(&list.encode()), Ok(list));
    }
    let kept = |state: &State| assert_eq!(State::restore(&state.snapshot()).as_ref(), Ok(state));
    let mut state = State::restore(bytes).inspect(kept).unwrap_or_default();
    let next = state.applied().saturating_add(1);
    state.apply(next, bytes);
    kept(&state);
});
