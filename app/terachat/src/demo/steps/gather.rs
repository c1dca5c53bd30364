use super::{ARCHIVE, GENERAL};
use crate::demo::stage::Stage;
use crate::failure::{Failure, Result};

/// Makes all profiles, a space and two channels.
pub(in crate::demo) fn found(stage: &mut Stage) -> Result<String> {
    let made: Vec<Result<String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = stage
            .devices
            .iter()
            .map(|device| scope.spawn(|| device.text(&["init", "--name", device.name], "device")))
            .collect();
        let lost = || Err(Failure::new("a thread of the demo panicked", "please report this"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| lost())).collect()
    });
    let made = made.into_iter().collect::<Result<Vec<_>>>()?;
    let founder = stage.founder();
    founder.text(&["space", "create", "Harbour"], "id")?;
    for channel in [GENERAL, ARCHIVE] {
        founder.text(&["channel", "create", channel], "id")?;
    }
    Ok(format!("{} profiles under Argon2id, a space, 2 channels", made.len()))
}

/// Invites and joins everyone, and connects them.
pub(in crate::demo) fn gather(stage: &mut Stage) -> Result<String> {
    for device in &stage.devices[1..] {
        let card = device.text(&["whoami"], "card")?;
        let invitation = stage.founder().text(&["invite", &card], "invitation")?;
        device.text(&["join", &invitation], "space")?;
    }
    let count = stage.devices.len();
    for index in 0..count {
        stage.listen(index)?;
    }
    // The hash covers what is public in the space; that the welcome into the group has come too shows in the epoch.
    stage.converge(count, |space| {
        space.members.len() == count && space.channels.len() == 2 && space.epoch.is_some()
    })?;
    Ok(format!("{} invited, joined and connected on loopback", count - 1))
}
