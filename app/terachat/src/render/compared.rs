use super::{Look, Table, one_line};
use terachat_client::api::StateDifference;

/// What two devices do not have in common; `count` is of all, of which the first are here.
pub(crate) fn compared(
    space: &str,
    left_out: &[String],
    count: usize,
    differences: &[StateDifference],
    look: &Look,
) -> String {
    let space = one_line(space);
    let names: Vec<String> = left_out.iter().map(|name| one_line(name)).collect();
    let over =
        if names.is_empty() { String::new() } else { format!(" (not compared: {})", names.join(", ")) };
    if count == 0 {
        return format!("{} in {space}{over}.\n", look.paint.good("The states are the same"));
    }
    let mut table = Table::indented(2);
    for difference in differences {
        table.row().cell(&difference.what).cell(&one_line(&difference.name));
        table.cell(&one_line(&difference.id)).cell(&difference.side);
    }
    let more = count - differences.len();
    let rest = if more > 0 { format!("  and {more} more\n") } else { String::new() };
    format!(
        "{} in {space}{over}:\n{}{rest}",
        look.paint.alarm(&format!("{count} differences")),
        table.render()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named() {
        assert_eq!(compared("Crew", &[], 0, &[], &Look::bare()), "The states are the same in Crew.\n");
        assert_eq!(
            compared("Crew", &["deck".into(), "hold".into()], 0, &[], &Look::bare()),
            "The states are the same in Crew (not compared: deck, hold).\n"
        );
        let of = |what: &str, name: &str, side: &str| StateDifference {
            what: what.into(),
            id: "ab-1".into(),
            name: name.into(),
            side: side.into(),
        };
        let found = [of("member", "Ada", "differs"), of("message", "deck", "only here")];
        assert_eq!(
            compared("Crew", &[], 3, &found, &Look::bare()),
            "3 differences in Crew:\n\
             \x20 member   Ada   ab-1  differs\n  message  deck  ab-1  only here\n  and 1 more\n"
        );
    }
}
