use super::{Look, Table, one_line};
use terachat_client::api::DeviceStatus;

/// A user's devices, one a line: whole id, what it is, where it is.
pub(crate) fn devices(devices: &[DeviceStatus], missing: usize, look: &Look) -> String {
    let mut table = Table::indented(0);
    for device in devices {
        let what = match (device.revoked, device.this) {
            (true, _) => "revoked",
            (false, true) => "this one",
            (false, false) => "",
        };
        let spaces: Vec<String> = device.spaces.iter().map(|name| one_line(name)).collect();
        table.row().cell(&device.device).cell(what).cell(&spaces.join(", "));
    }
    let mut out = table.render();
    if missing > 0 {
        let line = format!("{missing} revocations are named by others and have not come here");
        out.push_str(&format!("{}\n", look.paint.alarm(&line)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_devices_apart_and_what_is_missing() {
        let device = |id: &str, this, revoked, spaces: &[&str]| DeviceStatus {
            device: id.into(),
            this,
            revoked,
            spaces: spaces.iter().map(|name| (*name).to_owned()).collect(),
        };
        let all = [device("aa", true, false, &["club", "guild"]), device("bb", false, true, &[])];
        let shown = devices(&all, 0, &Look::bare());
        let lines: Vec<&str> = shown.lines().collect();
        assert!(
            lines[0].contains("aa") && lines[0].contains("this one") && lines[0].ends_with("club, guild")
        );
        assert!(lines[1].contains("bb") && lines[1].contains("revoked"));
        assert_eq!(lines.len(), 2);
        assert!(devices(&all, 2, &Look::bare()).contains("2 revocations"));
    }
}
