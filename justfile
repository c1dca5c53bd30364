# The index of verbs. CI calls the same ones: .ci/run.

# What can be done here.
default:
    @just --list

# Type-check everything, quickly.
check:
    cargo check --workspace --all-targets

# All tests: the README's command.
test:
    cargo test --workspace

# The TPM, HSM and keychain sources against emulators (needs libtss2-dev, swtpm, softhsm2, gnome-keyring).
hardware:
    TSS2_LOG=all+none cargo test -p terachat-hardware --all-features
    TSS2_LOG=all+none cargo test -p terachat --all-features --test cli hardware

# The demonstration: real processes on loopback, every promise checked.
demo *ARGS:
    cargo run --release -- demo {{ARGS}}

# Format everything.
fmt:
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml

# Format check and lints, warnings denied.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# core/ compiles for the browser.
wasm:
    scripts/wasm-check
    scripts/wasm-kernels

# Licences, advisories, duplicates and sources of dependencies (needs cargo-deny).
deny:
    cargo deny check

# The vault's HTTP API against its own document (needs python3).
api *ARGS:
    cargo build
    scripts/schemathesis target/debug/terachat {{ARGS}}

# MLS groups shared with another implementation's members (needs Node.js 20).
mls:
    scripts/mls-peer

# The device of a browser's tab among native ones, in Node and headless Chromium.
tab *ARGS:
    scripts/wasm-peer {{ARGS}}

# Fuzz one target, or each in turn, for SECONDS (needs cargo-fuzz and the nightly toolchain).
fuzz TARGET="all" SECONDS="60":
    scripts/fuzz {{TARGET}} {{SECONDS}}

# Benchmarks, printed as ratios.
bench *ARGS:
    cargo run --release --manifest-path bench/Cargo.toml -- {{ARGS}}

# The crates' documentation.
doc:
    cargo doc --workspace --no-deps

# What has to hold before a merge.
ci:
    .ci/run
