//! Nothing leaves before the history says so, and only what it says, over the connection it was asked for on.
use super::*;
use crate::testing::{World, runtime};
use crate::{RunOptions, Unwelcome, history};
use terachat_cluster::{Fate, Request, Response, What};

fn put(bytes: &[u8]) -> Request {
    Request::Put { name: ItemName::of_blob(bytes), bytes: bytes.to_vec(), expires_ms: 0 }
}

fn is_stranger(error: &Error) -> bool {
    matches!(error, Error::Refused(Refused::Stranger) | Error::Unwelcome(Unwelcome::Stranger))
}

#[test]
fn an_operator_gets_what_the_history_says_and_nothing_else() {
    runtime().block_on(async {
        let world = World::new(RunOptions::default()).await;
        let client = world.client.connect().await.unwrap();
        let [held, other] = [&b"held"[..], b"other"].map(ItemName::of_blob);
        for bytes in [&b"held"[..], b"other"] {
            assert_eq!(client.request(&put(bytes)).await.unwrap(), Response::Put(Fate::Added));
        }
        let operator = world.operator().await;
        let refused = operator.request(&Request::Get(held)).await.unwrap_err();
        assert!(is_stranger(&refused), "{refused}");
        let hold = Ask::Hold { case: "17".to_owned(), items: vec![held] };
        assert_eq!(operator.ask(&hold).await.unwrap(), Told::Done);

        // What is exported has to be what the case holds.
        let exhibits = exhibits(&operator, "17").await.unwrap();
        let digest = Exhibit::digest(&exhibits);
        let sound = Export { case: "17".to_owned(), to: "the court".to_owned(), items: 1, digest };
        for wrong in [Export { items: 2, ..sound.clone() }, Export { digest: [0; 32], ..sound.clone() }] {
            let error = operator.ask(&Ask::Export(wrong)).await.unwrap_err();
            assert!(matches!(error, Error::Unwelcome(Unwelcome::Changed)), "{error}");
        }
        let nobody = Export { to: String::new(), ..sound.clone() };
        let error = operator.ask(&Ask::Export(nobody)).await.unwrap_err();
        assert!(error.to_string().contains("who gets an export"), "{error}");
        assert!(
            is_stranger(&operator.request(&Request::Get(held)).await.unwrap_err()),
            "none of these let it out"
        );

        // A client does not export.
        for ask in [Ask::Export(sound), Ask::Exhibits { case: "17".to_owned(), after: None }] {
            let error = client.ask(&ask).await.unwrap_err();
            assert!(is_stranger(&error), "{error}");
        }

        let folder = tempfile::tempdir().unwrap();
        let case = ("17", "the court");
        let made = export_case(&operator, &world.contact, case, folder.path(), |_| {}).await.unwrap();
        assert_eq!(made.there().map(|(name, _, _)| name).collect::<Vec<_>>(), [held]);
        assert_eq!(check_export(folder.path(), |_| {}).unwrap(), made);
        let (chronicle, _) = history(&client).await.unwrap();
        let last = chronicle.deeds().last().unwrap();
        assert_eq!((last, matches!(last.deed.what, What::Exported(_))), (made.deed(), true));

        // That connection gets this item, and neither another one nor anything else done.
        assert_eq!(
            operator.request(&Request::Get(held)).await.unwrap(),
            Response::Got(Some(b"held".to_vec()))
        );
        for request in [Request::Get(other), Request::Has(held), put(b"more"), Request::Forget(vec![other])] {
            assert!(is_stranger(&operator.request(&request).await.unwrap_err()), "{request:?}");
        }
        let second = world.operator().await;
        assert!(is_stranger(&second.request(&Request::Get(held)).await.unwrap_err()), "another connection");
        world.end().await;
    });
}

/// A history longer than one answer comes in several, and is the same.
#[test]
fn a_long_history_is_told_in_parts() {
    runtime().block_on(async {
        let world = World::new(RunOptions::default()).await;
        let (client, operator) = (world.client.connect().await.unwrap(), world.operator().await);
        let before = history(&client).await.unwrap().0.deeds().len();
        let items: Vec<ItemName> =
            (0..4096u32).map(|number| ItemName::of_blob(&number.to_le_bytes())).collect();
        for _ in 0..6 {
            let hold = Ask::Hold { case: "17".to_owned(), items: items.clone() };
            assert_eq!(operator.ask(&hold).await.unwrap(), Told::Done);
        }
        let Told::History(first) = client.ask(&Ask::History(0)).await.unwrap() else { panic!("a history") };
        assert!(first.len() < before + 6, "{} deeds at once", first.len());
        let (chronicle, roster) = history(&client).await.unwrap();
        assert_eq!(chronicle.deeds().len(), before + 6);
        assert_eq!(roster.holds().collect::<Vec<_>>(), [("17", 4096)]);
        world.end().await;
    });
}
