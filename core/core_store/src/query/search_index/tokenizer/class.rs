//! What a character is to the tokenizer.

/// Written without spaces between words (or, Korean, with particles glued on): searched by pairs of characters.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0E01..=0x0E3A | 0x0E40..=0x0E4E          // Thai
        | 0x0E81..=0x0ECD | 0x0EDC..=0x0EDF        // Lao
        | 0x1000..=0x103F | 0x1050..=0x108F        // Myanmar
        | 0x1780..=0x17D3                          // Khmer
        | 0x1100..=0x11FF | 0xAC00..=0xD7A3        // Hangul
        | 0x2E80..=0x2FDF | 0x3005..=0x3007        // radicals, iteration mark
        | 0x3041..=0x3096 | 0x309D..=0x309F        // Hiragana
        | 0x30A1..=0x30FA | 0x30FC..=0x30FF        // Katakana
        | 0x3105..=0x312F | 0x31A0..=0x31BF        // Bopomofo
        | 0x31F0..=0x31FF
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF        // Han
        | 0xF900..=0xFAFF | 0x20000..=0x323AF)
}

/// Characters of those scripts that stand for themselves in every normal form: no look-up is needed.
pub(super) fn is_plain_unspaced(c: char) -> bool {
    matches!(u32::from(c), 0x3041..=0x3096 | 0x30A1..=0x30FA | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xAC00..=0xD7A3)
}

/// A pictograph that is worth a term of its own.
pub(super) fn is_emoji(c: char) -> bool {
    matches!(u32::from(c), 0x2300..=0x23FF | 0x2600..=0x27BF | 0x2B00..=0x2BFF | 0x1F000..=0x1FAFF)
}

/// Joiners, variation selectors, skin tones, soft hyphens, direction marks: part of what they stand in, but
/// without a say in what it matches.
pub(super) fn is_ignored(c: char) -> bool {
    matches!(u32::from(c),
        0x00AD | 0x034F | 0x061C | 0x200C..=0x200F | 0x202A..=0x202E | 0x2060..=0x2064 | 0x2066..=0x206F
        | 0xFE00..=0xFE0F | 0xFEFF | 0x1F3FB..=0x1F3FF | 0xE0000..=0xE0FFF)
}

/// Marks that people leave out when they type: accents, Hebrew points, Arabic vowel signs, enclosing marks.
pub(super) fn is_diacritic(c: char) -> bool {
    matches!(u32::from(c),
        0x0300..=0x036F | 0x0591..=0x05BD | 0x05BF | 0x05C1..=0x05C2 | 0x05C4..=0x05C5 | 0x05C7
        | 0x0610..=0x061A | 0x0640 | 0x064B..=0x065F | 0x0670 | 0x06D6..=0x06DC | 0x06DF..=0x06E4
        | 0x06E7..=0x06E8 | 0x06EA..=0x06ED | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF
        | 0xFE20..=0xFE2F)
}

/// Latin letters that have no decomposition but a common spelling without their stroke, and the two that lower
/// case alone does not bring together.
pub(super) fn spelled(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' | 'ẞ' => "ss",
        'æ' | 'Æ' => "ae",
        'œ' | 'Œ' => "oe",
        'ø' | 'Ø' => "o",
        'ł' | 'Ł' => "l",
        'đ' | 'Đ' => "d",
        'ħ' | 'Ħ' => "h",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}
