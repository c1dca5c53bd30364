//! The index against a naive scan that cuts every text anew for every query.
mod model;
mod real_log;

use super::*;
use model::Model;
use proptest::prelude::*;

/// What may happen to an index.
#[derive(Debug, Clone)]
enum Step {
    Add(String),
    /// Leaves out a document number.
    Skip,
    /// Removes the document at this fraction of the numbers used so far.
    Remove(u16),
    Freeze,
    Merge(usize, usize),
    Reopen,
}

fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        6 => "[ab]{1,2}",
        3 => "[a-e]{1,3}",
        1 => "[a-d]{7,12}",
        1 => Just("paste.ubuntu.com/42".to_owned()),
        1 => "[日本語猫]{1,4}",
        1 => "[Жёйab]{1,3}",
        1 => "[👍🏽❤e\u{301}]{1,3}",
        1 => any::<String>(),
    ];
    proptest::collection::vec(word, 0..8).prop_map(|words| words.join(" "))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => text().prop_map(Step::Add),
        1 => Just(Step::Skip),
        3 => any::<u16>().prop_map(Step::Remove),
        2 => Just(Step::Freeze),
        1 => (0..6usize, 1..6usize).prop_map(|(first, len)| Step::Merge(first, len)),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..80)
}

fn query() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        6 => "[ab]{1,2}",
        2 => "[a-e]{1,2}\\*",
        1 => "[a-d]{7,9}\\*",
        2 => "\"[ab]{1,2} [ab]{1,2}\"",
        1 => Just("ubuntu.com".to_owned()),
        1 => "[日本語猫]{1,3}",
        1 => "[жеёйabé👍]{1,2}",
    ];
    let word = (prop::bool::weighted(0.2), word)
        .prop_map(|(minus, word)| if minus { format!("-{word}") } else { word });
    proptest::collection::vec(word, 1..4).prop_map(|words| words.join(" "))
}

/// Index and model, led through the same steps.
struct Pair {
    index: SearchIndex,
    model: Model,
    next: u32,
}

impl Pair {
    fn new(first: u32) -> Self {
        Self { index: SearchIndex::new(7), model: Model::default(), next: first }
    }

    fn add(&mut self, text: &str) {
        self.index.add(self.next, text).unwrap();
        self.model.add(self.next, text);
        self.next += 1;
    }

    fn take(&mut self, step: Step, first: u32) {
        match step {
            Step::Add(text) => self.add(&text),
            Step::Skip => self.next += 1,
            Step::Remove(fraction) => {
                let doc = first + (self.next - first) * u32::from(fraction) / u32::from(u16::MAX);
                assert_eq!(self.index.remove(doc), self.model.remove(doc));
            }
            Step::Freeze => _ = self.index.freeze().unwrap(),
            Step::Merge(from, len) => {
                let count = self.index.segments().len();
                let range = from..from + len;
                assert_eq!(self.index.merge(range.clone()).is_ok(), !range.is_empty() && range.end <= count);
            }
            Step::Reopen => {
                self.index.freeze().unwrap();
                let segments = self.index.segments().rev().map(|segment| segment.bytes.to_vec()).collect();
                let next = self.index.next_doc();
                self.index = SearchIndex::open(8, segments).unwrap();
                assert_eq!(self.index.next_doc(), next);
            }
        }
    }

    #[track_caller]
    fn compare(&self, text: &str, limit: usize) {
        let query = Query::parse(text);
        let accept = |doc: u32| !doc.is_multiple_of(7);
        let hits = self.index.search(&query, limit, accept, |doc| self.model.text(doc)).unwrap();
        assert_eq!(hits, self.model.search(&query, limit, accept, self.index.next_doc()), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn equals_a_naive_scan(
        first in prop_oneof![Just(0u32), Just(1_000_003)],
        steps in steps(),
        queries in proptest::collection::vec((query(), 1usize..20), 8),
    ) {
        let mut pair = Pair::new(first);
        for step in steps {
            pair.take(step, first);
            prop_assert_eq!(pair.index.docs(), pair.model.docs());
        }
        pair.index.verify().unwrap();
        for (query, limit) in &queries {
            pair.compare(query, *limit);
        }
        let count = pair.index.segments().len() + 1;
        for step in [Step::Reopen, Step::Merge(0, count), Step::Merge(0, count - 1)] {
            pair.take(step, first);
            for (query, limit) in &queries {
                pair.compare(query, *limit);
            }
        }
        pair.index.verify().unwrap();
        prop_assert_eq!(pair.index.docs(), pair.model.docs());
    }
}

/// Lists of many blocks, bursts and gaps, in memory and sealed.
fn long_lists() -> Pair {
    let mut pair = Pair::new(5);
    let mut random = 1u64;
    for n in 0..6_000u32 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut text = String::from("all");
        for (bit, word) in ["half", "other", "third", "fourth"].iter().enumerate() {
            if random >> (33 + bit) & 1 == 1 {
                text += &format!(" {word}");
            }
        }
        if n / 500 % 3 == 0 {
            text += &format!(" burst word{}", random >> 50);
        }
        pair.add(&text);
    }
    pair
}

const LONG_QUERIES: [&str; 9] = [
    "all",
    "half other third fourth",
    "burst -half",
    "burst word1*",
    "\"half third\"",
    "-all",
    "word*",
    "all -burst -\"half other\"",
    "fourth w*",
];

#[test]
fn long_lists_in_memory_and_sealed() {
    let mut pair = long_lists();
    for round in 0..4 {
        for query in LONG_QUERIES {
            for limit in [1, 50, 10_000] {
                pair.compare(query, limit);
            }
        }
        match round {
            0 => pair.take(Step::Freeze, 5),
            1 => (0..600).for_each(|n| _ = (pair.index.remove(n * 9), pair.model.remove(n * 9))),
            _ => pair.take(Step::Merge(0, 1), 5),
        }
    }
    pair.index.verify().unwrap();
}

#[test]
fn filters_alone_find_all_that_they_accept() {
    let mut pair = Pair::new(0);
    ["one", "", "three"].iter().for_each(|text| pair.add(text));
    let find = |text| pair.index.search(&Query::parse(text), 10, |_| true, |_| None).unwrap();
    assert_eq!(find("author:bob").len(), 3);
    assert_eq!(find("").len(), 0);
    assert_eq!(find("-one").len(), 2);
}

#[test]
fn a_text_that_is_gone_matches_no_phrase() {
    let mut pair = Pair::new(0);
    pair.add("to be or not");
    assert_eq!(pair.index.search(&Query::parse("\"to be\""), 10, |_| true, |_| None).unwrap(), []);
}

#[test]
fn numbers_must_ascend() {
    let mut index = SearchIndex::new(1);
    index.add(4, "x").unwrap();
    assert_eq!(index.add(4, "y"), Err(Error::DocOrder { doc: 4, next: 5 }));
    index.freeze().unwrap();
    assert_eq!(index.add(3, "y"), Err(Error::DocOrder { doc: 3, next: 5 }));
    assert!(matches!(index.add(5, "z").and_then(|()| index.add(u32::MAX, "z")), Err(Error::Full(_))));
    index.freeze().unwrap();
    assert!(matches!(index.add(u32::MAX, "last"), Err(Error::Full(_))));
    index.add(u32::MAX - 1, "last").unwrap();
    assert!(index.freeze().unwrap().is_some());
    assert_eq!(index.docs(), 3);
    assert!(index.remove(u32::MAX - 1) && !index.remove(u32::MAX - 1));
    assert!(index.freeze().unwrap().is_some());
    assert!(index.freeze().unwrap().is_none());
    let segments: Vec<_> = index.segments().map(|segment| segment.bytes.to_vec()).collect();
    assert_eq!(SearchIndex::open(2, segments).unwrap().docs(), 2);
}

#[test]
fn overlapping_and_foreign_segments_are_refused() {
    let mut pair = long_lists();
    let bytes = pair.index.freeze().unwrap().unwrap().bytes.to_vec();
    let open = |segments| SearchIndex::open(1, segments).map(|_| ()).unwrap_err();
    assert_eq!(open(vec![bytes.clone(), bytes.clone()]), Error::Overlap(5));
    assert!(matches!(open(vec![Vec::new()]), Error::Damaged(_)));
    let mut newer = bytes.clone();
    newer[4] = 2;
    assert_eq!(open(vec![newer]), Error::Version(2));
    for len in 0..bytes.len() {
        assert!(matches!(Segment::open(bytes[..len].to_vec()), Err(Error::Damaged(_))));
    }
}

#[test]
fn damaged_segments_never_panic() {
    let mut pair = long_lists();
    pair.index.freeze().unwrap();
    pair.add("half a later one");
    pair.index.remove(77);
    pair.index.freeze().unwrap();
    let whole: Vec<Vec<u8>> = pair.index.segments().map(|segment| segment.bytes.to_vec()).collect();
    let mut random = 99u64;
    let mut draw = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let mut refused = 0;
    for round in 0..3_000 {
        let mut segments = whole.clone();
        let victim = draw(2);
        let len = segments[victim].len();
        for _ in 0..1 + draw(4) {
            // Half of the damage goes where it hurts: the header, and the beginnings of sections.
            let at = if round % 2 == 0 { draw(len) } else { draw(44.min(len)) };
            segments[victim][at] = [0, 1, 0x7f, 0x80, 0xff, draw(256).try_into().unwrap()][draw(6)];
        }
        let Ok(mut index) = SearchIndex::open(3, segments) else {
            refused += 1;
            continue;
        };
        let sound = index.verify().is_ok();
        for query in LONG_QUERIES {
            let found = index.search(&Query::parse(query), 20, |_| true, |_| Some("half third".to_owned()));
            assert!(found.is_ok() || !sound, "{found:?}");
        }
        if index.segments().all(|segment| segment.end < 1 << 20) {
            refused += usize::from(index.merge(0..2).is_err());
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn merges_keep_the_number_of_segments_small() {
    let mut index = SearchIndex::new(1);
    let mut most = 0;
    for doc in 0..20_000 {
        index.add(doc, &format!("message number {doc} of some length {}", doc * 7 % 1000)).unwrap();
        if doc % 100 == 99 {
            index.freeze().unwrap();
            while let Some(range) = index.merge_due() {
                index.merge(range).unwrap();
            }
            most = most.max(index.segments().len());
        }
    }
    assert!(most <= 12, "{most}");
    assert_eq!(index.docs(), 20_000);
}
