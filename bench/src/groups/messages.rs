//! Messages of a channel in which one reads from one's joining on: RFC 9420's PrivateMessage, ours beside the bare library's, each
//! with what keeps its keys.
use super::bare::Bare;
use super::own::Own;
use super::{NAME, OVERHEAD};
use crate::measure::{Spread, time};
use crate::report::Figure;
use anyhow::{Result, ensure};
use std::hint::black_box;
use terachat_group::{CipherSuite, Messages, Part};

/// Messages of a run.
const COUNT: usize = 500;
/// Bytes of a text.
const TEXT: usize = 200;
/// Generations that are reserved at once, as a device does.
const RESERVED: u32 = 64;
/// Our rate of opening over the bare library's.
const OPENED: f64 = 0.9;
/// Bytes that a message may make durable at any size.
const DURABLE: f64 = 1_000.0;

/// Bytes of what is to be stored.
fn len(parts: &[Part]) -> usize {
    let of =
        |(name, value): &Part| name.len() + value.as_ref().map_or(0, |value| value.expose_secret().len());
    parts.iter().map(of).sum()
}

/// Seals and opens in a group of this size.
///
/// # Errors
/// The bare library's; what was opened is not what was sealed.
pub(super) fn figures(size: usize, runs: usize) -> Result<Vec<Figure>> {
    let (mut alice, mut bob) = Own::pair(CipherSuite::X25519, size);
    let mut seals = keys(&mut alice);
    let mut opens = keys(&mut bob);
    let (mut bare_alice, mut bare_bob) = Bare::pair(size)?;
    let text: Vec<u8> = (0..TEXT).map(|at| at as u8).collect();
    let [mut sealing, mut opening, mut bare_sealing, mut bare_opening]: [Vec<f64>; 4] = Default::default();
    let (mut durable, mut most) = (0, 0);
    // The first round warms up, and has the costs of a sender's first message.
    for round in 0..=runs {
        let (sealed, seal) = time(|| -> Result<Vec<Vec<u8>>> {
            let mut sealed = Vec::with_capacity(COUNT);
            for _ in 0..COUNT {
                if seals.reserved() == 0 {
                    let reserve = seals.reserve(RESERVED)?;
                    durable += len(&black_box(reserve.changes()));
                    seals.grant(reserve);
                }
                sealed.push(seals.seal(&alice.signer, &text, &mut alice.entropy)?);
            }
            Ok(sealed)
        });
        let (sealed, from) = (sealed?, alice.signer.device());
        let (opened, open) = time(|| -> Result<bool> {
            let mut same = true;
            for message in &sealed {
                same &= opens.open(message, &from)?.text.expose_secret() == text;
                let len = len(&black_box(opens.changes()));
                durable += len;
                most = most.max(len);
            }
            Ok(same)
        });
        ensure!(opened?, "we open something else than was sealed");
        let (sealed, bare_seal) =
            time(|| (0..COUNT).map(|_| bare_alice.seal(&text)).collect::<Result<Vec<Vec<u8>>>>());
        let sealed = sealed?;
        let (opened, bare_open) = time(|| {
            sealed.iter().try_fold(true, |same, message| anyhow::Ok(same & (bare_bob.open(message)? == text)))
        });
        ensure!(opened?, "the bare library opens something else than was sealed");
        if round > 0 {
            sealing.push(seal.cpu);
            opening.push(open.cpu);
            bare_sealing.push(bare_seal.cpu);
            bare_opening.push(bare_open.cpu);
        } else {
            durable = 0;
        }
    }
    let each = |all: Vec<f64>| Spread::of(all).per(COUNT as f64 * 1e-6);
    let figure = |what: &str, own, bare: Vec<f64>, most: f64| {
        let (own, bare) = (each(own), each(bare));
        Figure::new(NAME, format!("{what} at {size}"), "us CPU", own)
            .beside("bare openmls", bare.median)
            .at_most(bare.median * most)
    };
    let stored = durable as f64 / (runs * COUNT) as f64;
    let stored =
        Figure::once(NAME, format!("made durable for a message, both sides, at {size}"), "bytes", stored);
    let first =
        Figure::once(NAME, format!("the most for one, a sender's first, at {size}"), "bytes", most as f64);
    Ok(vec![
        figure("message sealed", sealing, bare_sealing, OVERHEAD),
        figure("message opened", opening, bare_opening, 1.0 / OPENED),
        stored.at_most(DURABLE),
        first.at_most(DURABLE),
    ])
}

/// A member's keys of the epoch, stored once.
fn keys(member: &mut Own) -> Messages {
    let mut keys = member.group.take_messages().expect("they are given out once");
    black_box(keys.changes());
    keys
}
