//! What nodes and clients send each other, what stands in the ledger, and its snapshot: any bytes are a value or an error, and a
//! value is written as it was read.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_cluster::{Entry, Message, Outcome, Request, Response, State};

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
    let mut state = State::restore(bytes).unwrap_or_default();
    let next = state.applied().saturating_add(1);
    state.apply(next, bytes);
});
