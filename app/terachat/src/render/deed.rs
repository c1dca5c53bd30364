//! What was done to a cluster, and what was given out of it.
use super::{Look, json_value, one_line, time};
use serde_json::{Value, json};
use terachat_cluster::{ExportManifest, ItemTag, SignedDeed, TicketFor, What};

/// A line for each deed: its number, when, by whom, the beginning of its hash, and what.
pub(crate) fn history(deeds: &[SignedDeed], look: &Look) -> String {
    let line = |deed: &SignedDeed| {
        let of = &deed.deed;
        let (by, hash) = (of.by.to_string(), hex(&deed.hash()));
        let text =
            format!("{:>5}  {}  {by:<9}{}  {}", of.seq, when(of.at_ms, look), &hash[..8], what(&of.what));
        one_line(&text) + "\n"
    };
    deeds.iter().map(line).collect()
}

/// The same for programs.
pub(crate) fn history_json(deeds: &[SignedDeed]) -> String {
    let value = |deed: &SignedDeed| {
        json!({
            "deed": deed.deed.seq, "at_ms": deed.deed.at_ms, "node": deed.deed.by.0, "what": what(&deed.deed.what),
            "hash": hex(&deed.hash()),
        })
    };
    json_value(&json!({ "deeds": deeds.iter().map(value).collect::<Vec<Value>>() }))
}

/// What an export is of, and by which deed.
pub(crate) fn exported(made: &ExportManifest, look: &Look) -> String {
    let ((case, to), deed) = (made.case(), &made.deed().deed);
    let bytes: u64 = made.there().map(|(_, _, len)| u64::from(len)).sum();
    let mut text =
        one_line(&format!("{} items, {bytes} bytes of case {case}, for {to}", made.there().count()));
    text += &format!(
        "\nby {} at {}: deed {} of cluster {}",
        deed.by,
        when(deed.at_ms, look),
        deed.seq,
        made.cluster()
    );
    text += &format!("\n{}\n", hex(&made.deed().hash()));
    for name in made.absent() {
        text += &format!("not in the cluster: {}\n", ItemTag(name));
    }
    text
}

/// The same for programs.
pub(crate) fn exported_json(made: &ExportManifest) -> String {
    let ((case, to), deed) = (made.case(), &made.deed().deed);
    let items = made.there().map(|(name, hash, len)| {
        json!({ "item": ItemTag(name).to_string(), "hash": hex(&hash), "bytes": len, "file": name.file_name() })
    });
    let absent = made.absent().map(|name| ItemTag(name).to_string());
    json_value(&json!({
        "case": case, "to": to, "items": items.collect::<Vec<Value>>(), "absent": absent.collect::<Vec<_>>(),
        "cluster": made.cluster().to_string(), "node": deed.by.0, "key": made.key().to_string(),
        "deed": deed.seq, "hash": hex(&made.deed().hash()), "at_ms": deed.at_ms,
    }))
}

fn when(at_ms: u64, look: &Look) -> String {
    time::date_clock(i64::try_from(at_ms).unwrap_or(i64::MAX), &look.zone)
}

/// What was done, in words.
fn what(what: &What) -> String {
    match what {
        What::Founded { cluster, .. } => format!("founded cluster {cluster}"),
        What::Invited { role: TicketFor::Node, .. } => "invited a node".to_owned(),
        What::Invited { role: TicketFor::Client, .. } => "invited a client".to_owned(),
        What::Joined(consent) => format!("let in a node at {}", consent.profile.address),
        What::Admitted { client, .. } => format!("let in client {client}"),
        What::Dismissed(client) => format!("dismissed client {client}"),
        What::Draining(node) => format!("began to empty {node}"),
        What::Returned(node) => format!("let {node} take shards again"),
        What::Left(node) => format!("counted {node} out"),
        What::Moved { node, address } => format!("said that {node} is at {address}"),
        What::Held { case, items } => format!("held {} items for case {case}", items.len()),
        What::Released(case) => format!("ended case {case}"),
        What::Exported(export) => {
            format!("gave out {} items of case {} to {}", export.items, export.case, export.to)
        }
        What::Deployed(program) => format!("runs {}, {}", program.version, &hex(&program.hash)[..16]),
        What::Placed(mark) => {
            format!("saw shards placed by entry {} as {}", mark.entry, &hex(&mark.digest)[..16])
        }
        _ => "did what a newer version knows; update this program".to_owned(),
    }
}

/// In hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use terachat_cluster::{Deed, Export, Program, Signature};
    use terachat_shard::NodeId;

    fn deed(seq: u64, what: What) -> SignedDeed {
        let deed = Deed { seq, previous: [0; 32], at_ms: 0, by: NodeId(NonZeroU32::MIN), what };
        SignedDeed { deed, signature: Signature([0; 64]) }
    }

    #[test]
    fn a_deed_is_a_line_whatever_its_texts_hold() {
        let export = Export { case: "17".into(), to: "the \u{202e}court".into(), items: 2, digest: [0; 32] };
        let program = Program { version: "1.0".into(), hash: [0xab; 32] };
        let deeds = [deed(0, What::Exported(export)), deed(1, What::Deployed(program))];
        let hash = |at: usize| hex(&deeds[at].hash())[..8].to_owned();
        let shown = history(&deeds, &Look::bare());
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 2, "{shown}");
        assert!(
            lines[0].starts_with(&format!("    0  1970-01-01 00:00  node 1   {}  gave out 2 items", hash(0)))
        );
        assert!(!lines[0].contains('\u{202e}'), "{shown}");
        assert!(lines[1].ends_with(&format!("{}  runs 1.0, abababababababab", hash(1))), "{shown}");
    }
}
