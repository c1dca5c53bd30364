//! What people type into a search box, and the texts it is held against.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_core_store::query::search_index::{Query, SearchIndex, highlight};

fuzz_target!(|input: (&str, &str)| {
    let (query, text) = input;
    let query = Query::parse(query);
    for range in highlight(text, &query) {
        assert!(text.get(range).is_some_and(|part| !part.is_empty()), "a highlight is a part of the text");
    }
    let mut index = SearchIndex::new(1);
    index.add(0, text).expect("the first document");
    let live = index.search(&query, 1, |_| true, |_| Some(text.to_owned())).expect("nothing is damaged");
    index.freeze().expect("one document");
    index.verify().expect("a segment it wrote itself");
    let sealed = index.search(&query, 1, |_| true, |_| Some(text.to_owned())).expect("nothing is damaged");
    assert_eq!(live.len(), sealed.len(), "in memory and sealed are found alike");
});
