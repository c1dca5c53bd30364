use super::{Look, Table, one_line};
use terachat_client::api::RoleStatus;

/// How many members of a role are named.
const NAMES_MAX: usize = 8;

/// Roles, one a line: rank, what it permits, who has it.
pub(crate) fn roles(roles: &[RoleStatus], look: &Look) -> String {
    let mut table = Table::indented(0);
    for role in roles {
        let mut permits = role.permissions.join(" ");
        role.unknown.iter().for_each(|number| permits.push_str(&format!(" permission-{number}")));
        let names = role.members.iter().take(NAMES_MAX).map(|name| one_line(name));
        let mut names = names.collect::<Vec<_>>().join(", ");
        if role.members.len() > NAMES_MAX {
            names.push_str(&format!(" and {} more", role.members.len() - NAMES_MAX));
        }
        table.row().cell("role").number(role.rank);
        table.cell(if permits.is_empty() { "reads only" } else { permits.trim_start() });
        let changed = if role.changed { "changed" } else { "" };
        table.painted(changed, look.paint.dim(changed), super::Align::Left).cell(&names);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_told_with_what_it_permits_and_who_has_it() {
        let role = |rank, permissions: &[&str], unknown, members: usize| RoleStatus {
            rank,
            permissions: permissions.iter().map(|name| (*name).to_owned()).collect(),
            unknown,
            changed: rank == 50,
            members: (0..members).map(|n| format!("m{n}")).collect(),
        };
        let all = [
            role(50, &["post", "pin"], vec![63], 1),
            role(10, &["post"], vec![], 10),
            role(0, &[], vec![], 0),
        ];
        let shown = roles(&all, &Look::bare());
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].contains("50  post pin permission-63") && lines[0].contains("changed"), "{shown}");
        assert!(lines[1].ends_with("m7 and 2 more") && !lines[1].contains("changed"), "{shown}");
        assert!(lines[2].contains("reads only"), "{shown}");
    }
}
