//! The part of the index that still grows: a hash table of terms, and their documents in chunks of one arena.
mod arena;

use super::error::Error;
use super::segment::{Block, SegmentWriter};
use super::tokenizer::{Token, Tokenizer, head_of};
use arena::{Arena, Tail};
use hashbrown::HashTable;
use rapidhash::v3::{RapidSecrets, rapidhash_v3_nano_inline};

pub(super) use arena::Chunks;

/// Document numbers that the unsealed part may span.
const SPAN_MAX: u32 = 1 << 22;
/// Bytes each of the arenas may take, half of what its offsets can express.
const ARENA_MAX: usize = 1 << 31;

/// Documents that no segment holds yet.
pub(super) struct Memtable {
    tokenizer: Tokenizer,
    secrets: Box<RapidSecrets>,
    terms: HashTable<Term>,
    /// What does not fit in the terms' heads.
    rests: Vec<u8>,
    arena: Arena,
    /// The number of the first document.
    first: u32,
    /// Length class of each document since `first`; zero for absent ones.
    classes: Vec<u8>,
    /// Those that are not absent.
    docs: u32,
}

/// One term, half a cache line. Words of up to eight bytes are compared without leaving it.
struct Term {
    head: u64,
    /// Where the bytes after the eighth stand.
    rest: u32,
    hash: u32,
    /// Documents it is in.
    count: u32,
    /// The newest of them, counted from the table's first.
    last: u32,
    tail: Tail,
    len: u8,
}

impl Term {
    fn is(&self, token: &Token<'_>, rests: &[u8]) -> bool {
        // The head alone tells words of up to eight bytes apart, for no term holds a zero byte.
        self.head == token.head
            && usize::from(self.len) == token.term.len()
            && (self.len <= 8 || token.term.get(8..) == Some(self.rest(rests)))
    }

    fn rest<'a>(&self, rests: &'a [u8]) -> &'a [u8] {
        let from = self.rest as usize;
        &rests[from..from + usize::from(self.len).saturating_sub(8)]
    }

    fn write_to(&self, rests: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.head.to_le_bytes()[..usize::from(self.len).min(8)]);
        out.extend_from_slice(self.rest(rests));
    }
}

impl Memtable {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            tokenizer: Tokenizer::default(),
            secrets: Box::new(RapidSecrets::seed(seed)),
            terms: HashTable::new(),
            rests: Vec::new(),
            arena: Arena::default(),
            first: 0,
            classes: Vec::new(),
            docs: 0,
        }
    }

    pub(super) fn first(&self) -> u32 {
        self.first
    }

    /// Document numbers spanned, some perhaps absent.
    pub(super) fn span(&self) -> u32 {
        u32::try_from(self.classes.len()).unwrap_or(SPAN_MAX)
    }

    /// Documents present.
    pub(super) fn docs(&self) -> u32 {
        self.docs
    }

    pub(super) fn class(&self, local: u32) -> u8 {
        self.classes.get(local as usize).copied().unwrap_or(0)
    }

    /// Adds a document; the caller has seen to it that its number is above all others.
    pub(super) fn add(&mut self, doc: u32, text: &str) -> Result<(), Error> {
        if self.classes.is_empty() {
            self.first = doc;
        }
        let local = doc - self.first;
        // At worst every word is one letter with its separator, and each opens a chunk of 128 bytes.
        let room = ARENA_MAX - self.rests.len().max(self.arena.len());
        if local >= SPAN_MAX || text.len() >= room / 64 {
            return Err(Error::Full("unsealed documents"));
        }
        let Self { tokenizer, secrets, terms, rests, arena, classes, .. } = self;
        let mut tokens = 0;
        tokenizer.run(text, |token| {
            tokens += 1;
            let hash = hash(token.term, secrets);
            match terms.find_mut(spread(hash), |term| term.is(&token, rests)) {
                Some(term) if term.last == local => {}
                Some(term) => {
                    arena.push(&mut term.tail, term.last, local);
                    term.last = local;
                    term.count += 1;
                }
                None => {
                    let term = new_term(&token, hash, local, rests);
                    terms.insert_unique(spread(hash), term, |term| spread(term.hash));
                }
            }
        });
        classes.resize(local as usize, 0);
        classes.push(super::ranking::class_of(tokens));
        self.docs += 1;
        Ok(())
    }

    /// Makes the document absent; its postings stay until the table is sealed.
    pub(super) fn remove(&mut self, local: u32) -> bool {
        let was_present = self.classes.get_mut(local as usize).is_some_and(|class| std::mem::take(class) > 0);
        self.docs -= u32::from(was_present);
        was_present
    }

    pub(super) fn find(&self, term: &[u8]) -> Option<Chunks<'_>> {
        let head = head_of(term);
        let found = self.terms.find(spread(hash(term, &self.secrets)), |candidate| {
            candidate.head == head
                && usize::from(candidate.len) == term.len()
                && candidate.rest(&self.rests) == term.get(8..).unwrap_or(&[])
        });
        found.map(|term| self.chunks(term))
    }

    /// All terms that begin so, in no order that means anything.
    pub(super) fn find_prefix(&self, prefix: &[u8]) -> impl Iterator<Item = Chunks<'_>> {
        let head = head_of(prefix);
        let mask = match prefix.len() {
            0 => 0,
            len => u64::MAX >> (64 - 8 * len.min(8)),
        };
        let rest = prefix.get(8..).unwrap_or(&[]).to_vec();
        let terms = self.terms.iter().filter(move |term| {
            term.head & mask == head && (rest.is_empty() || term.rest(&self.rests).starts_with(&rest))
        });
        terms.map(|term| self.chunks(term))
    }

    fn chunks(&self, term: &Term) -> Chunks<'_> {
        self.arena.chunks(term.tail, term.last, term.count)
    }

    /// The whole as a segment, with the removed documents' postings left out, and an empty table in its place.
    pub(super) fn freeze(&mut self, next: u32, removed: &[u32]) -> Result<Vec<u8>, Error> {
        let first = if self.classes.is_empty() { next } else { self.first };
        let mut writer = SegmentWriter::new(first, self.span());
        let mut terms: Vec<&Term> = self.terms.iter().collect();
        terms.sort_unstable_by(|a, b| {
            let heads = a.head.swap_bytes().cmp(&b.head.swap_bytes());
            heads.then_with(|| a.rest(&self.rests).cmp(b.rest(&self.rests)))
        });
        let (mut name, mut docs, mut block) = (Vec::new(), Vec::new(), Block::default());
        for term in terms {
            docs.clear();
            let mut chunks = self.chunks(term);
            while chunks.next_block(None, &mut block) {
                docs.extend(block.docs().iter().filter(|&&local| self.class(local) > 0));
            }
            term.write_to(&self.rests, &mut name);
            writer.put(&name, &docs);
        }
        let bytes = writer.finish(self.classes.iter().copied(), removed)?;
        self.terms = HashTable::new();
        self.rests = Vec::new();
        self.arena = Arena::default();
        self.classes = Vec::new();
        self.docs = 0;
        Ok(bytes)
    }

    /// Bytes of heap in use.
    pub(super) fn memory(&self) -> usize {
        self.terms.allocation_size() + self.rests.capacity() + self.arena.capacity() + self.classes.capacity()
    }
}

fn hash(term: &[u8], secrets: &RapidSecrets) -> u32 {
    let hash = rapidhash_v3_nano_inline::<true, false>(term, secrets);
    (hash >> 32) as u32
}

/// The table takes its place from the low bits and its tag from the high ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cold]
fn new_term(token: &Token<'_>, hash: u32, local: u32, rests: &mut Vec<u8>) -> Term {
    let rest = u32::try_from(rests.len()).expect("add keeps the arena under 2^31 bytes");
    rests.extend_from_slice(token.term.get(8..).unwrap_or(&[]));
    let len = u8::try_from(token.term.len()).expect("terms have at most 64 bytes");
    Term { head: token.head, rest, hash, count: 1, last: local, tail: Tail::default(), len }
}
