//! Search segments: what opens and verifies can be searched; what contradicts itself is an error.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_core_store::query::search_index::{Query, SearchIndex};

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut index) = SearchIndex::open(1, vec![bytes.to_vec()]) else { return };
    let verified = index.verify().is_ok();
    for text in ["a", "hello wor*", "\"a b\" -c", "author:ada x"] {
        let query = Query::parse(text);
        let found = index.search(&query, 10, |_| true, |_| Some("hello world a b".to_owned()));
        assert!(!verified || found.is_ok(), "a verified segment cannot fail a search");
    }
    if verified && index.next_doc() < u32::MAX - 2 {
        let doc = index.next_doc();
        let _ = index.add(doc, "hello again");
        index.remove(doc.saturating_sub(1));
        if index.freeze().is_ok() {
            let count = index.segments().len();
            let _ = index.merge(0..count);
        }
    }
});
