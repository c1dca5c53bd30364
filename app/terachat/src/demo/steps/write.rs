use super::{GENERAL, planted};
use crate::demo::device::Device;
use crate::demo::promise::Promise;
use crate::demo::stage::Stage;
use crate::failure::{Failure, Result};
use std::collections::BTreeSet;

/// Messages that each device writes.
const EACH: usize = 6;

fn texts(name: &str) -> Vec<String> {
    let text = |n: usize| format!("{name} writes line {n} while the others do");
    let mut texts: Vec<String> = (1..EACH).map(text).collect();
    texts.push(format!("{name} plants {}", planted(name)));
    texts
}

/// Lets all devices write at the same time, one of them offline, and brings that one back.
pub(in crate::demo) fn write_at_once(stage: &mut Stage) -> Result<String> {
    let (count, absent) = (stage.devices.len(), stage.absent());
    let before = stage.devices[0].read(GENERAL, 1000)?.len();
    stage.devices[absent].hush()?;
    write_all(&stage.devices)?;
    stage.listen(absent)?;
    let wanted = before + count * EACH;
    let agreed = stage.converge(count, |space| {
        space.channels.iter().any(|channel| channel.name == GENERAL && channel.messages == wanted)
    })?;
    let expected: BTreeSet<String> = stage.devices.iter().flat_map(|device| texts(device.name)).collect();
    for index in 0..count {
        let seen: BTreeSet<String> =
            stage.devices[index].read(GENERAL, 1000)?.into_iter().map(|message| message.body).collect();
        let missing = expected.difference(&seen).count();
        let name = stage.devices[index].name;
        stage.check(Promise::OfflineArrives, missing == 0, || format!("{name} misses {missing} messages"));
    }
    let name = stage.devices[absent].name;
    Ok(format!(
        "{} messages by {count} devices, {name} offline and back; all agree on state {}",
        count * EACH,
        crate::render::short(&agreed.state_hash)
    ))
}

fn write_all(devices: &[Device]) -> Result<()> {
    std::thread::scope(|scope| {
        let write = |device: &Device| -> Result<()> {
            texts(device.name)
                .iter()
                .try_for_each(|text| device.text(&["send", text, "--channel", GENERAL], "id").map(|_| ()))
        };
        let threads: Vec<_> = devices.iter().map(|device| scope.spawn(move || write(device))).collect();
        let lost = || Err(Failure::new("a thread of the demo panicked", "please report this"));
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| lost()))
    })
}

/// Replies, edits, reacts and pins, each from another device than the message's where that makes sense.
pub(in crate::demo) fn respond(stage: &mut Stage) -> Result<String> {
    let (one, other) = (&stage.devices[0], &stage.devices[1]);
    let root = one.text(&["send", "Shall we meet at the bridge?", "--channel", GENERAL], "id")?;
    let has_root = |device: &Device| -> Result<bool> {
        Ok(device.read(GENERAL, 1000)?.iter().any(|message| message.id == root))
    };
    let count = stage.devices.len();
    stage.converge(count, |_| true)?;
    if !has_root(other)? {
        return Err(Failure::new(
            format_args!("{} does not have the new message", other.name),
            "please report this",
        ));
    }
    let reply = other.text(&["reply", &root, "At noon, yes.", "--channel", GENERAL], "id")?;
    other.text(&["react", &root, "🌉", "--channel", GENERAL], "id")?;
    other.text(&["edit", &reply, "At one, yes.", "--channel", GENERAL], "id")?;
    one.text(&["pin", &root, "--channel", GENERAL], "id")?;
    stage.converge(count, |_| true)?;
    let mut wrong = Vec::new();
    for device in &stage.devices {
        let page = device.read(GENERAL, 1000)?;
        let find = |id: &str| page.iter().find(|message| message.id == id);
        let root_holds = find(&root).is_some_and(|message| {
            message.pinned && message.reactions == [("🌉".to_owned(), 1)] && !message.edited
        });
        let reply_holds = find(&reply).is_some_and(|message| {
            message.edited && message.body == "At one, yes." && message.reply_to.as_ref() == Some(&root)
        });
        if !(root_holds && reply_holds) {
            wrong.push(device.name);
        }
    }
    stage.check(Promise::Responses, wrong.is_empty(), || format!("not so on {}", wrong.join(", ")));
    Ok(format!("a reply, an edit, a reaction and a pin, the same on {count} devices"))
}
