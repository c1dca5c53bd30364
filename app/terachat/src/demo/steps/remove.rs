use super::GENERAL;
use crate::demo::child::Ended;
use crate::demo::device::Device;
use crate::demo::promise::Promise;
use crate::demo::stage::Stage;
use crate::failure::Result;
use terachat_client::api::Message;

/// Only to be read by those who stayed.
const SECRET: &str = "moonlitorchard";
/// Written by the one who was removed.
const INTRUSION: &str = "gatecrasherswords";

/// Removes a member and shows that it neither reads on nor writes on, over the network and from a file.
pub(in crate::demo) fn remove(stage: &mut Stage) -> Result<String> {
    let (removed, rest) = (stage.removed(), stage.removed());
    let name = stage.devices[removed].name;
    stage.founder().attempt(&["member", "remove", name])?.succeeded()?;
    stage.converge(rest, |space| space.members.len() == rest)?;
    for device in stage.remaining() {
        let text = format!("{} says {SECRET} now that we are among ourselves", device.name);
        device.text(&["send", &text, "--channel", GENERAL], "id")?;
    }
    let agreed = stage.converge(rest, |_| true)?;
    stage.check(Promise::Converged, true, String::new);
    let secrets =
        stage.founder().read(GENERAL, 1000)?.iter().filter(|message| message.body.contains(SECRET)).count();
    stage.check(Promise::RemovedReadsNothing, secrets == rest, || {
        format!("only {secrets} of {rest} were written")
    });

    // What its open connections brought it, and what it may take by asking.
    let addr = stage.founder().addr().unwrap_or_default();
    stage.devices[removed].hush()?;
    let spoken = stage.devices[removed].attempt(&["send", INTRUSION, "--channel", GENERAL])?;
    let sync = stage.devices[removed].attempt(&["sync", "--peer", &addr, "--patience", "2"])?;
    let leaked = leaked(&stage.devices[removed])?;
    stage.check(Promise::RemovedReadsNothing, leaked == 0, || {
        format!("{name} reads {leaked} of the later messages")
    });

    // The same from a file that a careless friend hands over.
    let file = stage.folder.join("harbour.bundle").to_string_lossy().into_owned();
    stage.founder().attempt(&["bundle", "export", "--out", &file])?.succeeded()?;
    let bundle = stage.devices[removed].attempt(&["bundle", "import", &file])?;
    let leaked = self::leaked(&stage.devices[removed])?;
    stage.check(Promise::BundleOpensNothing, leaked == 0, || {
        format!("{name} reads {leaked} of the later messages")
    });

    // And nobody hears it.
    let after = stage.converge(rest, |_| true)?;
    for index in 0..rest {
        let heard =
            stage.devices[index].read(GENERAL, 1000)?.iter().any(|message| message.body.contains(INTRUSION));
        let listener = stage.devices[index].name;
        stage.check(Promise::RemovedWritesNothing, !heard, || format!("{listener} shows what {name} wrote"));
    }
    stage.check(Promise::Converged, after.state_hash == agreed.state_hash, || {
        "the state changed by what a removed member did".to_owned()
    });
    let verdict = |ended: &Ended, good: &str| {
        if ended.ok { good.to_owned() } else { format!("refused: {}", ended.reason()) }
    };
    Ok(format!(
        "{name} removed, none of {secrets} later messages readable; its send: {}; the bundle: {}; its sync: {}",
        verdict(&spoken, "stayed with it"),
        verdict(&bundle, "opened nothing"),
        verdict(&sync, "brought nothing")
    ))
}

/// Later messages that the device shows, by reading or by searching.
fn leaked(device: &Device) -> Result<usize> {
    let read = match device.attempt(&["read", "--channel", GENERAL, "--limit", "1000"])? {
        ended if ended.ok => ended.json::<Page>()?.messages,
        // A device that refuses to read at all shows nothing.
        _ => Vec::new(),
    };
    let found = device.attempt(&["search", SECRET])?;
    let hits = found.stdout.matches(SECRET).count();
    Ok(read.iter().filter(|message| message.body.contains(SECRET)).count() + hits)
}

#[derive(serde::Deserialize)]
struct Page {
    messages: Vec<Message>,
}
