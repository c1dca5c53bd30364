//! A line that somebody pasted for a ticket. What is read is written so that it is read again, and its secret is not shown.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_cluster::wire::{Contact, LedgerAt, Ticket};
use terachat_cluster::{ClusterId, NodeKey, TicketFor};

fn check(ticket: &Ticket) {
    assert_eq!(ticket.to_string().parse().as_ref(), Ok(ticket));
    assert_eq!(format!("{ticket:?}"), format!("Ticket({:?}, {})", ticket.role, ticket.cluster));
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(ticket) = text.parse::<Ticket>() {
        check(&ticket);
    }
    // What is in a ticket whose letters are right.
    let content: Option<(ClusterId, [u8; 32], Vec<Contact>, LedgerAt)> =
        terachat_cluster::wire::decode(bytes);
    if let Some((cluster, secret, members, ledger)) = content {
        for role in [TicketFor::Node, TicketFor::Client] {
            let ticket = Ticket { role, cluster, secret, members: members.clone(), ledger: ledger.clone() };
            let is_one = !members.is_empty() && ticket.to_string().len() < 8 << 10;
            assert_eq!(ticket.to_string().parse::<Ticket>().is_ok(), is_one);
        }
    }
    let address = text.chars().take(255).collect();
    let contact =
        Contact { node: terachat_shard::NodeId(std::num::NonZeroU32::MIN), key: NodeKey([1; 32]), address };
    check(&Ticket {
        role: TicketFor::Node,
        cluster: ClusterId([2; 16]),
        secret: [3; 32],
        members: vec![contact],
        ledger: LedgerAt::Nodes,
    });
});
