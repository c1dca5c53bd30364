//! The tables of `docs/format/operations.md` against the code: numbers, names, and the order of fields.
use super::*;
use terachat_event::{ChannelId, DeviceId, EventHash, EventRef, UserId};

const DOC: &str = include_str!("../../../../docs/format/operations.md");

/// Rows of numbered tables below a heading: number and name.
fn rows(heading: &str) -> Vec<(u8, String)> {
    let (_, section) = DOC.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?.parse().ok()?, cells.next()?.to_owned()))
    };
    section.lines().filter_map(row).collect()
}

fn name_of(op: &impl std::fmt::Debug) -> String {
    format!("{op:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

fn card() -> Card {
    let device = terachat_event::DeviceKey::from_seed(&terachat_vault::Secret::take(&mut [1; 32]));
    let user = terachat_event::DeviceKey::from_seed(&terachat_vault::Secret::take(&mut [2; 32]));
    Card::issue(&user, "Ann", &device)
}

fn commit() -> GroupCommit {
    let links = vec![EpochLink { commit: EventHash([8; 32]), sealed: vec![9] }];
    let previous = EventHash([7; 32]);
    GroupCommit { previous, epoch: 300, message: vec![1, 2], welcome: vec![3], tree: [4; 32], links }
}

fn control_ops() -> Vec<ControlOp> {
    let (user, device, channel) = (UserId([1; 32]), DeviceId([2; 32]), ChannelId([3; 32]));
    let rank = Rank::new(10).unwrap();
    let key = terachat_event::DeviceKey::from_seed(&terachat_vault::Secret::take(&mut [2; 32]));
    let pins = || vec![Pin { channel: Some(channel), device, seq: 300, hash: EventHash([4; 32]) }];
    let name = || "name".to_owned();
    let (give, take) = (Permissions::from_bits(1), Permissions::from_bits(2));
    let revocation = Revocation::issue(&key, device, None);
    vec![
        ControlOp::Genesis { name: name(), owner: card(), salt: [5; 16] },
        ControlOp::Admit { card: card(), rank, key_package: vec![6] },
        ControlOp::Remove { user, pins: pins() },
        ControlOp::SetRank { user, rank, pins: pins() },
        ControlOp::CreateChannel { name: name() },
        ControlOp::Commit(commit()),
        ControlOp::CreateForum { name: name() },
        ControlOp::CreateCategory { name: name() },
        ControlOp::SetName { of: Named::Channel(channel), name: name() },
        ControlOp::SetTopic { channel, topic: name() },
        ControlOp::Place { channel, category: None, after: Some(channel) },
        ControlOp::RevokeDevice { revocation, pins: pins() },
        ControlOp::ChangeRole { rank, give, take, pins: pins() },
        ControlOp::CreateSinceJoin { name: name(), forum: true },
        ControlOp::RequireArchive { device, required: true },
        ControlOp::Hold { on: Held::Member(user), stands: true },
        ControlOp::WantSuite { suite: 300 },
        ControlOp::OfferKeyPackage { wish: EventHash([4; 32]), key_package: vec![6] },
        ControlOp::ReInit(ReInit { suite: 300, commit: commit(), ratchet_tree: vec![5] }),
        ControlOp::SetRenewal(Renewal { days: 7, messages: 300 }),
    ]
}

fn channel_ops() -> Vec<ChannelOp<'static>> {
    let target = EventRef { author: DeviceId([2; 32]), seq: 300 };
    let post = || Post { style: Style::Action, body: "text", reply_to: Some(target), imported: None };
    let heading = || Heading { title: "title", tags: vec!["tag"] };
    let kept = Kept::Edit { target };
    vec![
        ChannelOp::Post(post()),
        ChannelOp::Edit { target, body: "text" },
        ChannelOp::React { target, emoji: "+1" },
        ChannelOp::Unreact { target, emoji: "+1", seen: vec![target] },
        ChannelOp::Pin { target },
        ChannelOp::Unpin { target, seen: vec![target] },
        ChannelOp::Delete { target, moderates: true },
        ChannelOp::PostWith(post(), Extras { mentions: vec![Mention::Everyone], ..Extras::default() }),
        ChannelOp::SetHeading { target, heading: heading(), moderates: true },
        ChannelOp::Read { target },
        ChannelOp::Erased { content: [5; 32], kept },
        ChannelOp::Sealed(Sealed { kept, commitment: [6; 32], message: &[1, 2] }),
        ChannelOp::PostStored(post(), Extras::default(), vec![StoredFile { address: [7; 32], key: [8; 32] }]),
    ]
}

#[test]
fn numbers_and_names_are_those_of_the_tables() {
    let control = control_ops().into_iter().map(|op| {
        let bytes = ControlTransaction(vec![op.clone()]).encode();
        assert_eq!(bytes[0], 1, "a list of one");
        (bytes[1], name_of(&op))
    });
    assert_eq!(control.collect::<Vec<_>>(), rows("Control operations"));
    let channel = channel_ops().into_iter().map(|op| {
        let bytes = op.encode();
        let marked = bytes[0] == 0x40;
        assert_eq!(marked, matches!(bytes[usize::from(marked)], 0 | 1 | 7 | 8 | 12), "{op:?}");
        (bytes[usize::from(marked)], name_of(&op))
    });
    assert_eq!(channel.collect::<Vec<_>>(), rows("Channel operations"));
}

#[test]
fn fields_stand_in_the_order_of_the_tables() {
    let number = [0xac_u8, 0x02]; // 300
    let (event, pin) =
        ([&[2; 32][..], &number].concat(), [&[1][..], &[3; 32], &[2; 32], &number, &[4; 32]].concat());
    let commit = [&[7; 32][..], &number, &[2, 1, 2], &[1, 3], &[4; 32], &[1], &[8; 32], &[1, 9]].concat();
    let encoded = |nth: usize| ControlTransaction(vec![control_ops()[nth].clone()]).encode()[2..].to_vec();
    assert_eq!(encoded(2), [&[1; 32][..], &[1], &pin].concat());
    assert_eq!(encoded(3), [&[1; 32][..], &[10], &[1], &pin].concat());
    assert_eq!(encoded(5), commit);
    assert_eq!(encoded(10), [&[3; 32][..], &[0], &[1], &[3; 32]].concat());
    assert_eq!(encoded(12), [&[10, 1, 2][..], &[1], &pin].concat());
    assert_eq!(encoded(18), [&number[..], &commit, &[1, 5]].concat());
    let certificate = postcard::to_allocvec(&card()).unwrap();
    let named = [&card().user.0[..], b"\x03Ann", &card().device.0, &[0x80, 0x01]].concat();
    assert_eq!(certificate[..named.len()], named);
    assert_eq!(certificate.len(), named.len() + 128);
    let encoded = |nth: usize| channel_ops()[nth].encode();
    let post = [&[1][..], b"\x04text", &[1], &event, &[0]].concat();
    assert_eq!(encoded(0), [&[0x40, 0][..], &post].concat());
    assert_eq!(encoded(3), [&[3][..], &event, b"\x02+1", &[1], &event].concat());
    assert_eq!(encoded(7), [&[0x40, 7][..], &post, &[0], &[1, 0], &[0]].concat());
    assert_eq!(encoded(8), [&[0x40, 8][..], &event, b"\x05title", &[1], b"\x03tag", &[1]].concat());
    assert_eq!(encoded(10), [&[10][..], &[5; 32], &[1], &event].concat());
    assert_eq!(encoded(12), [&[0x40, 12][..], &post, &[0, 0, 0], &[1], &[7; 32], &[8; 32]].concat());
}
