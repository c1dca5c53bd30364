use super::*;
use crate::testing::{World, runtime};
use crate::{ClientFolder, RunOptions};
use std::num::NonZeroU32;
use terachat_cluster::Fate;
use terachat_shard::NodeId;
use tokio::net::TcpListener;

#[test]
fn a_blob_is_what_its_name_says() {
    let asked = |kind| Request::Get(ItemName { kind, ..ItemName::of_blob(b"bytes") });
    let got = |bytes: &[u8]| Response::Got(Some(bytes.to_vec()));
    assert!(is_forged(&asked(ItemKind::Blob), &got(b"others")));
    for (kind, response) in [
        (ItemKind::Blob, got(b"bytes")),
        (ItemKind::Blob, Response::Got(None)),
        (ItemKind::Board, got(b"any")),
    ] {
        assert!(!is_forged(&asked(kind), &response), "{response:?}");
    }
}
fn contact(number: u8, address: &str) -> Contact {
    let node = NodeId(NonZeroU32::new(u32::from(number)).unwrap());
    Contact { node, key: NodeKey([number; 32]), address: address.to_owned() }
}

#[test]
fn who_is_known_keeps_its_place() {
    let list = |numbers: &[u8]| numbers.iter().map(|number| contact(*number, "here:1")).collect::<Vec<_>>();
    assert_eq!(in_order(&list(&[3, 1]), &list(&[1, 2, 3, 4])), list(&[3, 1, 2, 4]));
    assert_eq!(in_order(&list(&[3, 1]), &list(&[1])), list(&[1]), "who is no member is not asked");
    let moved = [contact(1, "there:1")];
    assert_eq!(in_order(&list(&[3, 1]), &moved), moved, "it is where the node says");
    assert_eq!(in_order(&[], &list(&[2, 1])), list(&[2, 1]));
}

/// Somebody who takes connections and says nothing, as a node does that is far away, or whose machine is busy.
async fn silent(number: u8) -> (TcpListener, Contact) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, contact(number, &address))
}

fn put(text: &str) -> Request {
    let bytes = text.as_bytes().to_vec();
    Request::Put { name: ItemName::of_blob(&bytes), bytes, expires_ms: 0 }
}

/// The first nodes that a client knows do not answer: it waits for none of them, and does not begin with them the next time.
#[test]
fn a_node_that_does_not_answer_is_not_waited_for() {
    runtime().block_on(async {
        let world = World::new(RunOptions::default()).await;
        let ((_first, first), (_second, second)) = (silent(251).await, silent(252).await);
        let mut folder = world.client_again();
        folder.remember(vec![first, second, world.contact.clone()]).unwrap();
        let client = folder.connect().await.unwrap();
        let begun = Instant::now();
        assert_eq!(client.request(&put("item")).await.unwrap(), Response::Put(Fate::Added));
        assert!(begun.elapsed() < CONNECT_WITHIN, "it waited for the first: {:?}", begun.elapsed());
        assert_eq!(client.members(), std::slice::from_ref(&world.contact), "the others are no members");
        client.close().await;
        world.end().await;
    });
}

/// Of members that stay members the one that answered is the first, in the client's folder too.
#[test]
fn the_node_that_answered_is_the_first_the_next_time() {
    runtime().block_on(async {
        let world = World::new(RunOptions::default()).await;
        let ((_first, first), (_second, second)) = (silent(251).await, silent(252).await);
        let mut folder = world.client_again();
        let client = folder.connect().await.unwrap();
        let all = [first.clone(), second.clone(), world.contact.clone()];
        *client.locked() = all.to_vec();
        let (reached, failures) = client.reach(&BTreeSet::new()).await;
        assert!(matches!(reached, Reached::Node(contact) if contact == world.contact));
        assert!(failures.is_empty(), "who is not reached yet has not failed");
        // The greeting said who the members are; as if all three were.
        *client.locked() = all.to_vec();
        let (reached, _) = client.reach(&BTreeSet::new()).await;
        assert!(matches!(reached, Reached::Node(contact) if contact == world.contact));
        let ordered = [world.contact.clone(), first, second];
        assert_eq!(client.members(), ordered);
        folder.remember(client.members()).unwrap();
        client.close().await;
        let again: ClientFolder = world.client_again();
        let client = again.connect().await.unwrap();
        assert_eq!(client.members(), ordered);
        // It takes nobody who was tried already.
        let tried = BTreeSet::from(ordered.clone().map(|contact| contact.key));
        assert!(matches!(client.reach(&tried).await.0, Reached::None));
        client.close().await;
        world.end().await;
    });
}
