//! What makes one hit better than another.
//!
//! Every hit holds all the words asked for, so their rarity (BM25's idf) is the same factor for all and cancels;
//! messages are short, so how often a word occurs in one hardly differs and is not stored. What remains of BM25 is
//! its length norm, `(k1 + 1) / (1 + k1 (1 - b + b len / mean))` with k1 = 1.2, b = 0.3 and a fixed mean of 10
//! words: a pasted page counts about half of a sentence, a two-word answer is not lifted above a full one. It is
//! multiplied by recency, `1 / (1 + age / 4096)` with the age in documents: the newest few thousand messages are
//! near equals, further back twice the age is half the weight, at every scale. Whole numbers throughout, and ties
//! go to the newer document, so every platform gives the same list.
//!
//! Because recency only falls, a search reads newest first and stops where even the shortest message could no
//! longer enter the list.

/// The age at which a message has half the weight of a new one.
const HALF_AGE: u64 = 4096;

/// Most tokens in a document of each length class; class 0 means that there is no document.
const TOKENS_MAX: [u32; 15] = [0, 1, 2, 3, 4, 6, 8, 11, 15, 21, 30, 42, 60, 90, 160];

/// The length norm of each class, in units of 2^-16.
const NORMS: [u64; 16] = norms();

const fn norms() -> [u64; 16] {
    let mut norms = [0; 16];
    let mut class = 1;
    while class < 16 {
        let tokens = if class < 15 { TOKENS_MAX[class] as u64 } else { 240 };
        // (k1 + 1) / (1 + k1 (1 - b) + k1 b len / 10), both sides times 1000.
        norms[class] = (2200 << 16) / (1840 + 36 * tokens);
        class += 1;
    }
    norms
}

/// The length class of a document of so many tokens, 1 to 15.
pub(super) fn class_of(tokens: u32) -> u8 {
    let class = TOKENS_MAX.iter().skip(1).position(|&most| tokens <= most).unwrap_or(14);
    u8::try_from(class + 1).unwrap_or(15)
}

/// The weight of a document of this class and age.
pub(super) fn score(class: u8, age: u32) -> u64 {
    (NORMS[usize::from(class & 15)] << 40) / (HALF_AGE + u64::from(age))
}

/// No document of this age or older scores more.
pub(super) fn best_score(age: u32) -> u64 {
    score(1, age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_all_lengths() {
        assert_eq!(
            [0, 1, 2, 3, 5, 6, 7, 160, 161, u32::MAX].map(class_of),
            [1, 1, 2, 3, 5, 5, 6, 14, 15, 15]
        );
    }

    #[test]
    fn newer_and_shorter_weigh_more() {
        for class in 1..15 {
            assert!(score(class, 10) > score(class + 1, 10));
            assert!(score(class, 10) > score(class, 11));
            assert!(score(class, 3_000_000) > score(class, 3_000_001));
        }
        assert_eq!(score(5, 0), score(5, 4096) * 2);
        assert!(best_score(7) >= score(1, 7));
        assert!(score(15, u32::MAX) > 0);
    }
}
