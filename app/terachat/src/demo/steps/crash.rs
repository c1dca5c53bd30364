use super::ARCHIVE;
use crate::demo::log::Log;
use crate::demo::promise::Promise;
use crate::demo::stage::Stage;
use crate::failure::{Failure, Result};
use serde::Deserialize;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc;
use std::time::Instant;

#[derive(Debug, Default, Deserialize)]
struct Tally {
    added: usize,
    skipped: usize,
    last_id: u64,
}

#[derive(Deserialize)]
struct Progress {
    progress: Tally,
}

#[derive(Deserialize)]
struct Imported {
    imported: Tally,
}

/// Imports the log on one device, kills it in the middle, starts again, and reads all back.
pub(in crate::demo) fn import(stage: &mut Stage) -> Result<String> {
    let index = stage.importer();
    stage.devices[index].hush()?;
    let total = stage.log.records.len();
    let acknowledged = killed(stage)?;
    let began = Instant::now();
    let file = stage.log.file.to_string_lossy().into_owned();
    let device = &stage.devices[index];
    let printed = device.attempt(&["import", &file, "--skip-bad", "--channel", ARCHIVE])?.succeeded()?;
    let took = began.elapsed();
    let last = printed.lines().last().unwrap_or_default();
    let Imported { imported } = serde_json::from_str(last)
        .map_err(|_| Failure::new(format_args!("the import ended with {last:?}"), "please report this"))?;
    let mut balance = stage.log.balance();
    device.read_all(ARCHIVE, |message| balance.take(message))?;
    let (lost, doubled, links) = balance.difference();
    stage.check(Promise::Kept, imported.skipped >= acknowledged.added, || {
        format!("{} were acknowledged, {} were there after the restart", acknowledged.added, imported.skipped)
    });
    stage.check(
        Promise::Once,
        (lost, doubled, links) == (0, 0, 0) && imported.added + imported.skipped == total,
        || format!("{lost} records lost, {doubled} doubled, {links} reply links missing"),
    );
    let rate = imported.added as f64 / took.as_secs_f64();
    Ok(format!(
        "killed after {} of {total} acknowledged (id {}), {} were safe, {} added after the restart ({rate:.0}/s)",
        acknowledged.added, acknowledged.last_id, imported.skipped, imported.added
    ))
}

/// Starts an import that never sees the log's end, kills it at a random point, and gives what it had acknowledged.
fn killed(stage: &Stage) -> Result<Tally> {
    let total = stage.log.records.len();
    let batch = (total / 15).clamp(1, 1024).to_string();
    let args = ["import", "-", "--skip-bad", "--channel", ARCHIVE, "--batch", &batch];
    let failed =
        |error: std::io::Error| Failure::new(format_args!("cannot run the import: {error}"), "try again");
    let mut command = stage.devices[stage.importer()].command(&args);
    let talk = stage.folder.join("import.log");
    let talk = std::fs::File::create(&talk).map_err(|error| Failure::file("write", &talk, &error))?;
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(talk).spawn().map_err(failed)?;
    let (done, kept_open) = mpsc::channel::<()>();
    let feeder = child.stdin.take().map(|pipe| feed(pipe, &stage.log, kept_open));
    let target = total / 5 + random(total * 2 / 5);
    let mut acknowledged = Tally::default();
    let mut is_killed = false;
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        // Words that were under way when it died count as acknowledged: it had said them.
        let Ok(Progress { progress }) = serde_json::from_str(&line.map_err(failed)?) else { break };
        acknowledged = progress;
        if !is_killed && acknowledged.added >= target {
            child.kill().map_err(failed)?;
            is_killed = true;
        }
    }
    let status = child.wait().map_err(failed)?;
    drop(done);
    feeder.map(std::thread::JoinHandle::join);
    if !is_killed {
        return Err(Failure::new(
            format_args!("the import ended by itself ({status})"),
            "see import.log with --keep DIR",
        ));
    }
    Ok(acknowledged)
}

/// Writes most of the log into the pipe and holds it open, so that the import can never finish by itself.
fn feed(mut pipe: ChildStdin, log: &Log, kept_open: mpsc::Receiver<()>) -> std::thread::JoinHandle<()> {
    let (file, count) = (log.file.clone(), log.records.len() * 9 / 10);
    std::thread::spawn(move || {
        let Ok(lines) = Log::lines(&file, count) else { return };
        for line in lines {
            if pipe.write_all(&line).is_err() {
                return;
            }
        }
        let _ = pipe.flush();
        let _ = kept_open.recv();
    })
}

/// A number below `bound`, different each time; nothing depends on how well it is chosen.
fn random(bound: usize) -> usize {
    let hash = RandomState::new().hash_one(bound);
    usize::try_from(hash % bound.max(1) as u64).unwrap_or(0)
}

/// Brings the importer back and waits until everyone has the log.
pub(in crate::demo) fn deliver(stage: &mut Stage) -> Result<String> {
    let began = Instant::now();
    stage.listen(stage.importer())?;
    let (count, total) = (stage.devices.len(), stage.log.records.len());
    stage.converge(count, |space| {
        space.channels.iter().any(|channel| channel.name == ARCHIVE && channel.messages == total)
    })?;
    let took = began.elapsed();
    let mut balance = stage.log.balance();
    stage.devices[stage.removed()].read_all(ARCHIVE, |message| balance.take(message))?;
    let (lost, doubled, links) = balance.difference();
    stage.check(Promise::Delivered, (lost, doubled, links) == (0, 0, 0), || {
        format!("{lost} records lost, {doubled} doubled, {links} reply links missing")
    });
    let rate = (total * (count - 1)) as f64 / took.as_secs_f64();
    Ok(format!("{total} records to {} devices, with authors, times and reply links ({rate:.0}/s)", count - 1))
}
