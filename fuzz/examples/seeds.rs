//! Writes a few well-formed inputs for the targets that random bytes would take long to reach into `corpus/`:
//! `cargo run --example seeds`.
use std::num::NonZeroU32;
use std::path::Path;
use std::{fs, io};
use terachat_core_store::model::{
    Attachment, Card, ChannelOp, ControlOp, ControlTransaction, EpochLink, Extras, GroupCommit, Heading,
    Held, Kept, Mention, Named, Permission, Pin, Post, Rank, ReInit, Renewal, StoredFile, Style,
};
use terachat_core_store::query::search_index::SearchIndex;
use terachat_core_store::sync::{Bundle, Frontier, Limits, Want, encode_batch};
use terachat_event::{DeviceId, DeviceKey, EventHash, EventRef, Header, Kind, UserId};
use terachat_fuzz::{Counter, owner, pair, secret, world};
use terachat_shard::{Code, Counts, NodeId, Shard, StripeId, StripeRecord, cut};
use terachat_template::{Body, Consent, Embedding, Metadata, Minutiae, Opaque, Template, TemplateType};
use terachat_vault::{PassphraseCost, seal_with_passphrase};

fn main() -> io::Result<()> {
    headers()?;
    batches_and_bundles()?;
    operations()?;
    segments()?;
    frames()?;
    put("key_supply", "offer", &terachat_fuzz::supply())?;
    templates()?;
    stripes()?;
    for (target, name, bytes) in terachat_fuzz::clusters::seeds() {
        put(target, &name, &bytes)?;
    }
    let zeros = "0".repeat(64);
    let opening = format!(
        r#"{{"archive":{{"version":1,"space":"{zeros}","name":"x","device":"{zeros}","channel":null,"from_ms":null,"to_ms":1,"exported_ms":2}}}}"#
    );
    let log = r#"{"log":{"channel":null,"name":""}}"#;
    put("archive_export", "opening", format!("{opening}\n{log}").as_bytes())?;
    let cheap = PassphraseCost::INSECURE_FAST;
    let envelope =
        seal_with_passphrase(b"other", cheap, b"seed", &mut Counter::default()).map_err(io::Error::other)?;
    put("passphrase", "cheap", &envelope)
}

fn put(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}

fn stripes() -> io::Result<()> {
    let counts = Counts::new(3, 4).map_err(io::Error::other)?;
    let (code, stripe) = (Code::new(counts), StripeId([7; 16]));
    let mut shards = Vec::new();
    for (index, payload) in counts.indices().zip(cut(&code, &[5; 1000]).map_err(io::Error::other)?) {
        let shard = Shard::new(stripe, counts, index, &payload).map_err(io::Error::other)?;
        put("shard", &index.to_string(), &shard.encode())?;
        shards.push((shard.hash(), NonZeroU32::new(u32::from(index)).map(NodeId)));
    }
    let record = StripeRecord::new(stripe, counts, 1000, shards).map_err(io::Error::other)?;
    put("stripe_record", "seven", &record.encode())
}

fn headers() -> io::Result<()> {
    let (parents, control) = ([EventHash([1; 32]), EventHash([2; 32])], [EventHash([3; 32])]);
    let plain = Header {
        kind: Kind::Control,
        seq: 1,
        lamport: 2,
        wall_ms: 3,
        epoch: None,
        parents: &parents,
        control: &[],
    };
    let sealed = Header { kind: Kind::Sealed, epoch: Some(4), control: &control, ..plain };
    for (name, header) in [("control", plain), ("sealed", sealed)] {
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        put("event_header", name, &bytes)?;
    }
    Ok(())
}

fn batches_and_bundles() -> io::Result<()> {
    let mut world = world(40);
    for (name, log) in [("control", world.control), ("channel", world.channel)] {
        let nothing = Frontier { log, chains: Vec::new() };
        let bundles: Vec<Bundle> =
            world.store.bundles_since(&nothing, Limits::PEER).map_err(io::Error::other)?;
        for bundle in bundles {
            let batch = encode_batch(&bundle.batch);
            put("batch", name, &batch)?;
            put("bundle", &format!("{name}-batch"), &[&[1], &batch[..]].concat())?;
            put("bundle", name, &[&[0], &bundle.encode()[..]].concat())?;
        }
    }
    let page = world.store.newest(&world.channel, &Want::First { messages: 9 }).map_err(io::Error::other)?;
    let page = page.ok_or_else(|| io::Error::other("the channel has no page"))?;
    put("newest_page", "page", &[&[0], &page.encode()[..]].concat())?;
    put("newest_page", "spoiled", &[1, 200, 0, 1])
}

fn operations() -> io::Result<()> {
    let target = EventRef { author: DeviceId([1; 32]), seq: 2 };
    let post = Post { style: Style::Message, body: "hello", reply_to: Some(target), imported: None };
    let ops = [
        ChannelOp::Post(post),
        ChannelOp::Edit { target, body: "hello again" },
        ChannelOp::Unreact { target, emoji: "+1", seen: vec![target] },
        ChannelOp::Pin { target },
        ChannelOp::Delete { target, moderates: true },
        ChannelOp::PostWith(
            Post { style: Style::Message, body: "see here", reply_to: None, imported: None },
            Extras {
                heading: Some(Heading { title: "title", tags: vec!["tag"] }),
                mentions: vec![Mention::Everyone, Mention::User(UserId([1; 32]))],
                attachments: vec![Attachment {
                    name: "a.txt",
                    media_type: "text/plain",
                    len: 1,
                    hash: [2; 32],
                }],
            },
        ),
        ChannelOp::PostStored(
            Post { style: Style::Message, body: "", reply_to: None, imported: None },
            Extras {
                attachments: vec![Attachment { name: "b", media_type: "", len: 1, hash: [2; 32] }],
                ..Extras::default()
            },
            vec![StoredFile { address: [3; 32], key: [4; 32] }],
        ),
        ChannelOp::SetHeading { target, heading: Heading { title: "title", tags: vec![] }, moderates: true },
        ChannelOp::Read { target },
        ChannelOp::Erased { content: [3; 32], kept: Kept::Edit { target } },
        ChannelOp::Erased {
            content: [3; 32],
            kept: Kept::Message { reply_to: Some(target), is_post: false, imported: Some((1, 2)) },
        },
    ];
    for (n, op) in ops.iter().enumerate() {
        put("channel_op", &n.to_string(), &op.encode())?;
    }
    let card = Card::issue(&DeviceKey::from_seed(&secret(2)), "Ada", &owner());
    let pin = Pin { channel: None, device: target.author, seq: 7, hash: EventHash([5; 32]) };
    let links = vec![EpochLink { commit: EventHash([2; 32]), sealed: vec![4; 48] }];
    let commit = GroupCommit {
        previous: EventHash([1; 32]),
        epoch: 1,
        message: vec![1; 9],
        welcome: vec![2; 9],
        tree: [3; 32],
        links,
    };
    let transactions = [
        vec![ControlOp::Genesis { name: "space".to_owned(), owner: card.clone(), salt: [1; 16] }],
        vec![
            ControlOp::Admit { card, rank: Rank::MEMBER, key_package: vec![6; 20] },
            ControlOp::Commit(commit.clone()),
        ],
        vec![
            ControlOp::Remove { user: UserId([8; 32]), pins: vec![pin] },
            ControlOp::CreateChannel { name: "general".to_owned() },
            ControlOp::CreateCategory { name: "rooms".to_owned() },
            ControlOp::SetName { of: Named::Space, name: "guild".to_owned() },
            ControlOp::ChangeRole {
                rank: Rank::MODERATOR,
                give: Permission::RenameSpace.into(),
                take: Permission::Moderate.into(),
                pins: vec![pin],
            },
        ],
        vec![
            ControlOp::RequireArchive { device: target.author, required: true },
            ControlOp::Hold { on: Held::Member(UserId([8; 32])), stands: true },
        ],
        vec![
            ControlOp::WantSuite { suite: 0x004D },
            ControlOp::OfferKeyPackage { wish: EventHash([1; 32]), key_package: vec![6; 20] },
            ControlOp::ReInit(ReInit { suite: 0x004D, commit, ratchet_tree: vec![7; 20] }),
            ControlOp::SetRenewal(Renewal { days: 1, messages: 100 }),
        ],
    ];
    for (n, ops) in transactions.into_iter().enumerate() {
        put("control_transaction", &n.to_string(), &ControlTransaction(ops).encode())?;
    }
    Ok(())
}

fn frames() -> io::Result<()> {
    let pair = pair();
    for (n, frame) in pair.frames.iter().enumerate() {
        put("frame", &n.to_string(), &[&[0, 255], &frame[..]].concat())?;
    }
    put("card", "card", pair.card.as_bytes())?;
    put("card", "invitation", pair.invitation.as_bytes())?;
    // Two epochs' secrets, then the group info behind its length, and the tree.
    put("handed", "two", &[&[2][..], &[7; 64], &[4, 0, 0, 0], b"infoand the tree"].concat())
}

fn segments() -> io::Result<()> {
    let mut index = SearchIndex::new(1);
    for n in 0..400_u32 {
        let text = format!("hello world number {n} {}", n % 7);
        index.add(n, &text).map_err(io::Error::other)?;
    }
    let segment =
        index.freeze().map_err(io::Error::other)?.map_or_else(Vec::new, |segment| segment.bytes.to_vec());
    put("search_segment", "hello", &segment)
}

fn templates() -> io::Result<()> {
    let record = minutiae_record();
    put("minutiae", "two", &record)?;
    let parts = || {
        let vector = Embedding::take(vec![0.5, -1.0, 0.0]).map(Body::Vector)?;
        let minutiae = Minutiae::take(record.clone()).map(Body::Minutiae)?;
        let opaque = Opaque::take(vec![1, 2, 3]).map(Body::Opaque)?;
        let mut metadata = Metadata::new("ann".parse()?, TemplateType::Fingerprint);
        metadata.quality = Some(90.try_into()?);
        metadata.capture_device = Some("scanner".parse()?);
        metadata.consent =
            Some(Consent { given_at_ms: 1, purpose: "doors".parse()?, reference: "file 7".parse()? });
        metadata.keep_until_ms = Some(2);
        metadata.labels.insert("door".parse()?, "7".parse()?)?;
        let plain = Metadata::new("bob".parse()?, TemplateType::Face);
        Ok::<_, terachat_template::Error>([(plain, vector), (metadata.clone(), minutiae), (metadata, opaque)])
    };
    for (n, (metadata, body)) in parts().map_err(io::Error::other)?.into_iter().enumerate() {
        let template = Template::new(metadata, body).map_err(io::Error::other)?;
        put("template", &n.to_string(), &template.encode())?;
    }
    Ok(())
}

/// One view of one finger with two minutiae.
fn minutiae_record() -> Vec<u8> {
    let header = b"FMR\0 20\0\0\0\0\x2a\0\x21\x01\x2c\x01\x90\0\xc5\0\xc5\x01\0";
    let view = [2, 0, 80, 2, 0x40, 10, 0, 20, 64, 90, 0x80, 30, 0, 40, 128, 0, 0, 0];
    [&header[..], &view].concat()
}
