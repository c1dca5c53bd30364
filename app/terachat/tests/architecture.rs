//! ARCHITECTURE.md says what is: its crates and arrows are the workspace's, the files it names exist, and `core/` has
//! nothing of clocks, files, sockets, threads or async in it.
#![allow(clippy::unwrap_used, reason = "a test's helpers; what fails here fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crate folders, and the folders of the workspace's crates that each depends on.
type Arrows = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn document() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

/// The fenced block `crates`, one line a crate.
fn drawn() -> Arrows {
    let document = document();
    let block = document.split("```crates\n").nth(1).expect("ARCHITECTURE.md has a block `crates`");
    let lines = block.split("```").next().unwrap().lines();
    lines
        .map(|line| {
            let (name, below) = line.split_once(':').expect("a crate, a colon, what it depends on");
            (name.to_owned(), below.split_whitespace().map(str::to_owned).collect())
        })
        .collect()
}

/// A crate's folder, and what its program depends on: names, and folders inside the workspace.
type Crate = (String, Vec<(String, Option<String>)>);

/// The workspace's crates as cargo sees them. What only their tests depend on is left out.
fn crates() -> Vec<Crate> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let top = PathBuf::from(metadata["workspace_root"].as_str().unwrap());
    let folder = |path: &Path| path.strip_prefix(&top).unwrap().to_str().unwrap().replace('\\', "/");
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let name = folder(Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap());
            let normal =
                package["dependencies"].as_array().unwrap().iter().filter(|dep| dep["kind"] != "dev");
            let inside = |dep: &serde_json::Value| dep["path"].as_str().map(|path| folder(Path::new(path)));
            let dependency =
                |dep: &serde_json::Value| (dep["name"].as_str().unwrap().to_owned(), inside(dep));
            (name, normal.map(dependency).collect())
        })
        .collect()
}

/// The workspace's crates and their dependencies inside the workspace.
fn built() -> Arrows {
    let inside =
        |below: Vec<(String, Option<String>)>| below.into_iter().filter_map(|(_, folder)| folder).collect();
    crates().into_iter().map(|(name, below)| (name, inside(below))).collect()
}

/// What seals under a key. Of these only `core/vault` has any, so that there is one way in the product to seal a thing.
const CIPHERS: [&str; 18] = [
    "aead",
    "aes",
    "aes-gcm",
    "aes-gcm-siv",
    "aes-siv",
    "age",
    "aws-lc-rs",
    "chacha20",
    "chacha20poly1305",
    "crypto_box",
    "crypto_secretbox",
    "dryoc",
    "openssl",
    "orion",
    "ring",
    "salsa20",
    "sodiumoxide",
    "xsalsa20poly1305",
];

#[test]
fn there_is_one_way_to_seal_a_thing() {
    let mut found = Vec::new();
    for (name, below) in crates() {
        let ciphers: Vec<_> =
            below.iter().map(|(name, _)| name.as_str()).filter(|name| CIPHERS.contains(name)).collect();
        if name == "core/vault" {
            assert!(["aes-gcm", "chacha20poly1305", "ring"].iter().all(|known| ciphers.contains(known)));
        } else {
            found.extend(ciphers.iter().map(|cipher| format!("{name} depends on {cipher}")));
        }
        // To a public key (RFC 9180): MLS needs it, and nobody else.
        let to_a_key = below.iter().any(|(name, _)| name.starts_with("hpke"));
        assert_eq!(to_a_key, name == "core/group", "{name}");
    }
    assert!(found.is_empty(), "{found:?}: seal with `core/vault`'s `SealKey` or `envelope`");
}

#[test]
fn the_drawn_crates_and_arrows_are_the_built_ones() {
    assert_eq!(drawn(), built(), "left: ARCHITECTURE.md, right: cargo metadata");
}

#[test]
fn arrows_point_downward_and_sideways_only_among_apps() {
    for (name, below) in built() {
        let layer = |name: &str| name.split('/').next().unwrap().to_owned();
        let allowed: &[&str] = match layer(&name).as_str() {
            // It makes a process of the others.
            _ if name == "io/cluster" => &["core", "io"],
            "core" | "io" => &["core"],
            "app" => &["core", "io", "app"],
            other => panic!("{name}: there is no layer {other}"),
        };
        for target in below {
            assert!(allowed.contains(&layer(&target).as_str()), "{name} must not depend on {target}");
        }
    }
}

#[test]
fn every_crate_has_its_paragraph_and_every_named_file_is_there() {
    let document = document();
    for name in built().keys() {
        assert!(document.contains(&format!("\n### `{name}`\n")), "{name} has no paragraph");
    }
    let code = document.split('`').skip(1).step_by(2);
    let layered = |text: &&str| ["core/", "io/", "app/", "docs/"].iter().any(|layer| text.starts_with(layer));
    let missing: Vec<_> =
        code.filter(layered).filter(|text| text.len() > 5 && !root().join(text).exists()).collect();
    assert!(missing.is_empty(), "named and not there: {missing:?}");
}

/// What `core/` does without. Each is matched where it begins and ends a word.
const ABSENT: [&str; 14] = [
    "async",
    "await",
    "std::fs",
    "std::net",
    "std::thread",
    "std::time",
    "std::env",
    "std::process",
    "Instant::now",
    "SystemTime",
    "tokio",
    "futures",
    "getrandom",
    "println",
];

#[test]
fn core_has_no_clock_file_socket_thread_or_async() {
    let mut files = Vec::new();
    for name in built().keys().filter(|name| name.starts_with("core/")) {
        sources(&root().join(name).join("src"), &mut files);
    }
    assert!(files.len() > 50, "only {} files were looked at", files.len());
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (line, code) in (1..).zip(outside_tests(&text)) {
            let hits = ABSENT.iter().filter(|word| has_word(code, word)).copied();
            let groups = ["fs", "net", "thread", "time"].iter().filter(|word| imports_from_std(code, word));
            found
                .extend(hits.chain(groups.copied()).map(|word| format!("{}:{line}: {word}", file.display())));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Rust files below `folder`, those of tests left out.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if matches!(stem, "tests" | "testing") {
            continue;
        }
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The lines before the test module, which stands last, with comments blanked.
fn outside_tests(text: &str) -> impl Iterator<Item = &str> {
    let from_here = |at: usize| text[at..].lines().nth(1).is_some_and(|line| line.contains("mod tests {"));
    let end = text.match_indices("#[cfg(test)]\n").map(|(at, _)| at).find(|at| from_here(*at));
    text[..end.unwrap_or(text.len())].lines().map(|line| line.split("//").next().unwrap())
}

fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

/// `use std::{fs, ...}` on one line.
fn imports_from_std(line: &str, module: &str) -> bool {
    line.split_once("std::{").is_some_and(|(_, list)| has_word(list, module))
}

#[test]
fn the_search_finds_what_it_looks_for() {
    #[track_caller]
    fn case(line: &str, word: &str, expected: bool) {
        assert_eq!(has_word(line, word) || imports_from_std(line, word), expected, "{line}");
    }
    case("use std::fs;", "std::fs", true);
    case("use std::{cell, fs};", "fs", true);
    case("pub async fn send()", "async", true);
    case("std::thread_local! {", "std::thread", false);
    case("self.asynchronous", "async", false);
    assert_eq!(
        outside_tests("a // async\n#[cfg(test)]\npub(crate) mod tests {\nasync").collect::<Vec<_>>(),
        ["a "]
    );
}
