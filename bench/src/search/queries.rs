/// Of each kind.
const EACH: usize = 300;

/// Queries drawn from the log: what people search for is what people wrote. In the order of the kinds' names.
pub(crate) fn queries(bodies: &[&str]) -> Vec<(&'static str, Vec<String>)> {
    let mut random = 4711u64;
    let mut draw = move |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let kinds = [
        "one word",
        "two words",
        "three words",
        "phrase of two",
        "phrase of three",
        "prefix of 1 to 4",
        "word and prefix",
        "word without another",
    ];
    let mut queries: Vec<(&str, Vec<String>)> = kinds.map(|kind| (kind, Vec::new())).into();
    let wanted = EACH.min(bodies.len());
    // A log of short messages may not have enough to draw from.
    for _ in 0..wanted * 1000 {
        if queries[0].1.len() == wanted {
            break;
        }
        let words: Vec<&str> = bodies[draw(bodies.len())].split_whitespace().collect();
        if words.len() < 4 {
            continue;
        }
        let at = draw(words.len() - 2);
        let (a, b, c, far) = (words[at], words[at + 1], words[at + 2], words[draw(words.len())]);
        let stem: String = a.chars().take(1 + draw(4)).collect();
        let texts = [
            a.to_owned(),
            format!("{a} {far}"),
            format!("{a} {b} {far}"),
            format!("\"{a} {b}\""),
            format!("\"{a} {b} {c}\""),
            format!("{stem}*"),
            format!("{far} {stem}*"),
            format!("{a} -{b}"),
        ];
        queries.iter_mut().zip(texts).for_each(|((_, queries), text)| queries.push(text));
    }
    // The hard ones: frequent words that hardly ever stand so, or exclude each other.
    let hard = [
        "\"the to\"",
        "\"is the the\"",
        "\"a i\"",
        "a* b* c*",
        "a* -the -to -i -is",
        "the to a i is it you",
        "-a* -t* -i*",
        "e* zzz*",
    ];
    queries.push(("hard", hard.map(str::to_owned).into()));
    queries
}
