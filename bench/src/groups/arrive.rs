//! Newcomers: how soon one reads a first message, what bounds that, and what it takes to let a thousand in at once.
use super::NAME;
use super::own::{Newcomer, Own};
use crate::measure::{Spread, time};
use crate::report::Figure;
use anyhow::{Result, ensure};
use ed25519_zebra::{Signature, SigningKey, VerificationKey};
use std::hint::black_box;
use terachat_group::CipherSuite;

/// Newcomers of one commit.
pub(super) const CROWD: usize = 1_000;
/// Bytes of a text.
const TEXT: usize = 200;
/// About as many bytes as are signed of a leaf (RFC 9420, section 7.2).
const LEAF: usize = 180;

/// From the invitation in hand to the first text, in a group of `size`: joining, its epoch's message keys, and opening; both
/// beside what it takes to verify one signature a leaf, singly, which joining cannot do without.
///
/// # Errors
/// What was opened is not what was sealed.
pub(super) fn first_message(size: usize, runs: usize) -> Result<Vec<Figure>> {
    let (mut alice, _) = Own::pair(CipherSuite::X25519, size);
    let text = [7; TEXT];
    let (mut whole, mut signatures) = (Vec::new(), Vec::new());
    let (mut fetched, mut kept) = (0, 0);
    // The first round warms up.
    for round in 0..=runs {
        let mut carol = Newcomer::new(CipherSuite::X25519);
        let invited = alice.invite(&carol);
        let from = alice.signer.device();
        let mut keys = alice.group.take_messages().expect("of an epoch that just began");
        let reserve = keys.reserve(1)?;
        keys.grant(reserve);
        let sealed = keys.seal(&alice.signer, &text, &mut alice.entropy)?;
        let (read, took) = time(|| -> Result<bool> {
            carol.join(&invited);
            let mut keys = carol.take_messages();
            let opened = keys.open(&sealed, &from)?;
            black_box(keys.changes());
            Ok(opened.text.expose_secret() == text)
        });
        ensure!(read?, "the newcomer reads something else than was sealed");
        let verifying = verifying(size);
        if round > 0 {
            whole.push(took.cpu);
            signatures.push(verifying);
        }
        (fetched, kept) = (invited.len() + sealed.len(), carol.state_len());
        alice.remove(&carol);
    }
    let signatures = Spread::of(signatures).per(1e-3);
    let once =
        |what: &str, value: usize| Figure::once(NAME, format!("{what} at {size}"), "bytes", value as f64);
    Ok(vec![
        Figure::new(
            NAME,
            format!("a newcomer's first message read at {size}"),
            "ms CPU",
            Spread::of(whole).per(1e-3),
        )
        .beside("a signature a leaf", signatures.median),
        once("what it fetches for that", fetched),
        once("what it keeps of it", kept),
    ])
}

/// Seconds of CPU to verify `count` signatures over as many bytes as a leaf has, by as many keys, one by one.
fn verifying(count: usize) -> f64 {
    let signed: Vec<_> = (0..count as u64)
        .map(|number| {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&number.to_le_bytes());
            let (key, leaf) = (SigningKey::from(seed), [seed[0]; LEAF]);
            (<[u8; 32]>::from(VerificationKey::from(&key)), key.sign(&leaf), leaf)
        })
        .collect();
    let holds = |(key, signature, leaf): &([u8; 32], Signature, [u8; LEAF])| {
        VerificationKey::try_from(*key).is_ok_and(|key| key.verify(signature, leaf).is_ok())
    };
    let (all, took) = time(|| signed.iter().all(holds));
    assert!(all, "they were just signed");
    took.cpu
}

/// One commit adds [`CROWD`] to a group of its maker, and every one of them joins.
///
/// # Errors
/// Somebody is in another epoch.
pub(super) fn crowd() -> Result<Vec<Figure>> {
    let mut founder = Own::founder(CipherSuite::X25519);
    let mut all: Vec<_> =
        (1..=CROWD as u64).map(|number| Newcomer::numbered(CipherSuite::X25519, number)).collect();
    let (invited, adding) = time(|| founder.invite_all(&all));
    let mut joins = Vec::with_capacity(CROWD);
    let ((), joining) = time(|| {
        for newcomer in &mut all {
            let ((), took) = time(|| newcomer.join(&invited));
            joins.push(took.cpu);
            // A thousand groups would be kept in memory at once, which no device does.
            assert!(founder.agrees_with(newcomer), "a newcomer is in another epoch");
            newcomer.forget();
        }
    });
    ensure!(joins.len() == CROWD, "everybody joined");
    let once = |what: String, unit, value: f64| Figure::once(NAME, what, unit, value);
    Ok(vec![
        once(format!("{CROWD} added in one commit"), "s CPU", adding.cpu),
        once(format!("all {CROWD} join by it"), "s CPU", joining.cpu),
        Figure::new(NAME, format!("each of the {CROWD} joins"), "ms CPU", Spread::of(joins).per(1e-3)),
        once(format!("commit that adds {CROWD}"), "bytes", invited.message.len() as f64),
        once(format!("welcome for {CROWD}"), "bytes", invited.welcome.len() as f64),
        once(format!("tree of {}", CROWD + 1), "bytes", invited.tree_len() as f64),
    ])
}
