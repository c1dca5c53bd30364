use super::{Look, Table, one_line, short, time};
use terachat_client::api::{PendingInvitation, SupplyStatus};

/// What a device offers on boards, a board a line, then who invited it by that.
pub(crate) fn supply(boards: &[SupplyStatus], invitations: &[PendingInvitation], look: &Look) -> String {
    let mut table = Table::indented(0);
    for board in boards {
        let until = i64::try_from(board.expires_ms).unwrap_or(i64::MAX);
        let until = match board.expires_ms {
            0 => String::new(),
            _ => format!("until {}", time::date_clock(until, &look.zone)),
        };
        table.row().cell(&format!("board {}", short(&board.board)));
        table.cell(&format!("{} to use once", board.single_use));
        table.cell(&format!("{} of last resort", board.last_resort));
        table.cell(&format!("{} used", board.used)).cell(&until);
        table.cell(if board.post_quantum { "post-quantum too" } else { "" });
    }
    for invitation in invitations {
        table.row().cell(&format!("invitation {}", short(&invitation.space)));
        table.cell(&one_line(&invitation.name));
        table.cell(&format!("by {} ({})", one_line(&invitation.by), short(&invitation.user)));
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_what_is_left_and_who_invites() {
        let board = SupplyStatus {
            board: "ab".repeat(16),
            post_quantum: true,
            single_use: 15,
            used: 1,
            last_resort: 2,
            expires_ms: 1_103_966_040_000,
        };
        let invitation = PendingInvitation {
            space: "cd".repeat(32),
            name: "Crew\n\u{1b}[2J".into(),
            by: "Ada".into(),
            user: "ef".repeat(32),
        };
        let shown = supply(&[board], &[invitation], &Look::bare());
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 2, "{shown}");
        assert!(
            lines[0].contains("15 to use once") && lines[0].contains("until 2004-12-25 09:14"),
            "{shown}"
        );
        assert!(lines[0].ends_with("post-quantum too"), "{shown}");
        assert!(lines[1].contains("by Ada (ef") && !shown.contains('\u{1b}'), "{shown}");
    }
}
