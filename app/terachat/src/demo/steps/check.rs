use super::planted;
use crate::demo::damage as spoil;
use crate::demo::device::Device;
use crate::demo::promise::Promise;
use crate::demo::stage::Stage;
use crate::failure::Result;
use std::time::Instant;
use terachat_client::api::{AuditReport, Hit};

#[derive(serde::Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

/// Looks for every planted word, and for a rare one of the log, on every device.
pub(in crate::demo) fn search(stage: &mut Stage) -> Result<String> {
    let rare = stage.log.rare_word().map(|(word, record)| (word, record.body.clone()));
    let mut wanted: Vec<(String, String)> =
        stage.devices.iter().map(|device| (planted(device.name), planted(device.name))).collect();
    wanted.extend(rare);
    let (mut wrong, mut searches) = (Vec::new(), 0);
    for device in stage.remaining() {
        for (word, body) in &wanted {
            let Hits { hits } = device.ask(&["search", word])?;
            searches += 1;
            if hits.len() != 1 || !hits[0].message.body.contains(body.as_str()) {
                wrong.push(format!("{} finds {word} {} times", device.name, hits.len()));
            }
        }
    }
    stage.check(Promise::Found, wrong.is_empty(), || wrong.join(", "));
    let example = wanted.last().map(|(word, _)| word.as_str()).unwrap_or_default();
    Ok(format!("{searches} searches for {} words, each found once (\"{example}\")", wanted.len()))
}

/// Replays everything on every device.
pub(in crate::demo) fn audit(stage: &mut Stage) -> Result<String> {
    let began = Instant::now();
    let mut events = 0;
    let mut wrong = Vec::new();
    for device in stage.remaining() {
        let ended = device.attempt(&["audit"])?;
        if ended.ok {
            events += ended.json::<AuditReport>()?.events;
        } else {
            wrong.push(format!("{}: {} {}", device.name, ended.stdout.trim(), ended.reason()));
        }
    }
    stage.check(Promise::Audited, wrong.is_empty(), || wrong.join(", "));
    let rate = events as f64 / began.elapsed().as_secs_f64();
    Ok(format!("{events} events replayed on {} devices ({rate:.0}/s)", stage.remaining().len()))
}

/// Flips a bit in a copy of a profile; the copy must not pass for whole.
pub(in crate::demo) fn damage(stage: &mut Stage) -> Result<String> {
    let index = stage.importer();
    stage.devices[index].hush()?;
    let home = stage.devices[index].home.clone();
    let copy = stage.folder.join("damaged");
    spoil::copy(&home, &copy)?;
    let healthy = with_home(stage, index, &copy, |device| device.attempt(&["audit"]))?;
    let spot = spoil::flip(&copy)?;
    let damaged = with_home(stage, index, &copy, |device| device.attempt(&["audit"]))?;
    stage.check(Promise::DamageNoticed, healthy.ok, || {
        format!("the copy was not whole: {}", healthy.reason())
    });
    stage.check(Promise::DamageNoticed, !damaged.ok, || format!("{spot} was flipped and the audit passed"));
    let said = if damaged.reason().is_empty() { "the audit's alarm".to_owned() } else { damaged.reason() };
    Ok(format!("{spot} flipped: {said}"))
}

/// Lets a device work on another folder for a while.
fn with_home<T>(
    stage: &mut Stage,
    index: usize,
    home: &std::path::Path,
    work: impl FnOnce(&Device) -> Result<T>,
) -> Result<T> {
    let device = &mut stage.devices[index];
    let own = std::mem::replace(&mut device.home, home.to_owned());
    let outcome = work(device);
    device.home = own;
    outcome
}
