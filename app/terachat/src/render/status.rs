use super::{Align, Look, Table, archive, one_line, short};
use terachat_client::api::{ChannelStatus, MemberStatus, SpaceStatus, Status};

/// What this device knows, a block for each space.
pub(crate) fn status(status: &Status, look: &Look) -> String {
    let mut out = format!("Device {}, {} on disk\n", short(&status.device), bytes(status.disk_len));
    if status.spaces.is_empty() {
        out.push_str("No spaces yet: `terachat space create NAME`, or `terachat join INVITATION`.\n");
    }
    status.spaces.iter().for_each(|one| out.push_str(&space(one, look)));
    out
}

fn space(space: &SpaceStatus, look: &Look) -> String {
    let rank = match space.rank {
        Some(rank) => format!("rank {rank}"),
        None => "not a member".to_owned(),
    };
    let epoch = space.epoch.map_or_else(String::new, |epoch| format!(", epoch {epoch}"));
    let suite = if space.post_quantum == Some(true) { ", post-quantum" } else { "" };
    let mut out = format!(
        "\n{}  {}  {rank}{epoch}{suite}, state {}\n",
        look.paint.strong(&one_line(&space.name)),
        look.paint.dim(short(&space.id)),
        short(&space.state_hash)
    );
    out.push_str(&moving(space));
    out.push_str(&channels(&space.channels, look));
    out.push_str(&members(&space.members, look));
    out.push_str(&archive(space, look));
    space.waiting.iter().for_each(|reason| out.push_str(&format!("  waiting  {}\n", one_line(reason))));
    out
}

/// The suite that a space is asked to move to.
fn moving(space: &SpaceStatus) -> String {
    let Some(moving) = &space.moving else { return String::new() };
    let names: Vec<String> = moving.waits_for.iter().map(|name| one_line(name)).collect();
    let waits = if names.is_empty() { String::new() } else { format!(", waits for {}", names.join(", ")) };
    format!("  moves to suite {}, as {} asked{waits}\n", one_line(&moving.suite), one_line(&moving.by))
}

/// Channels of a space.
pub(crate) fn channels(channels: &[ChannelStatus], look: &Look) -> String {
    let mut table = Table::indented(2);
    for channel in channels {
        let name = match &channel.category {
            Some(category) => format!("{}/{}", one_line(category), one_line(&channel.name)),
            None => one_line(&channel.name),
        };
        table.row().cell(if channel.forum { "forum" } else { "channel" }).cell(&name);
        table.painted(short(&channel.id), look.paint.dim(short(&channel.id)), Align::Left);
        table.number(channel.messages).cell("messages").number(channel.events).cell("events");
        let unread = match (channel.unread, channel.mentions) {
            (0, _) => String::new(),
            (unread, 0) => format!("{unread} unread"),
            (unread, mentions) => format!("{unread} unread, {mentions} for you"),
        };
        table
            .cell(&unread)
            .cell(&format!("state {}", short(&channel.state_hash)))
            .cell(match (channel.kept, channel.newest) {
                (true, _) => "",
                (_, true) => "newest only",
                _ => "left out",
            })
            .cell(if channel.since_join { "read since joining" } else { "" })
            .cell(&one_line(&channel.topic));
    }
    table.render()
}

/// The members of a space.
pub(crate) fn members(members: &[MemberStatus], look: &Look) -> String {
    let mut table = Table::indented(2);
    for member in members {
        let name = one_line(&member.name);
        table.row().cell("member").painted(&name, look.paint.name(&name, &member.name), Align::Left);
        table.painted(short(&member.user), look.paint.dim(short(&member.user)), Align::Left);
        table.cell("rank").number(member.rank);
        let devices = member.devices.len();
        table.number(devices).cell(if devices == 1 { "device" } else { "devices" });
    }
    table.render()
}

/// A size in the unit that suits it: `812 B`, `1.4 MiB`.
pub(crate) fn bytes(len: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if len < 1024 {
        return format!("{len} B");
    }
    let (mut tenths, mut unit) = (len * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1024, unit + 1);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_the_unit_that_suits() {
        for (len, text) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_500_000, "1.4 MiB")] {
            assert_eq!(bytes(len), text);
        }
    }

    #[test]
    fn an_empty_profile_says_how_to_begin() {
        assert!(status(&Status::default(), &Look::bare()).contains("space create"));
    }

    #[test]
    fn a_removed_user_sees_so() {
        let one = SpaceStatus {
            id: "0123456789abcdef".into(),
            name: "crew".into(),
            epoch: None,
            post_quantum: Some(false),
            moving: None,
            renewal: Default::default(),
            rank: None,
            state_hash: "ff".into(),
            categories: vec![],
            channels: vec![],
            members: vec![],
            archives: vec![],
            holds: vec![],
            warnings: vec![],
            waiting: vec!["no key for epoch 4".into()],
        };
        let text = status(&Status { spaces: vec![one], ..Status::default() }, &Look::bare());
        assert!(text.contains("crew  0123456789  not a member, state ff\n  waiting  no key for epoch 4\n"));
    }
}
