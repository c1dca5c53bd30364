//! A space's archive: seen by all, taken out by nobody, erasing nothing that is held, and proving what it exports.
use super::*;
use crate::api::{ArchiveRange, ArchiveReport, Selection};
use crate::archive::line::{CONTEXT, Line, Said, bytes, hex, id, text};
use crate::{ArchiveCheck, ArchiveError};
use terachat_core_store::model::BodyKey;
use terachat_event::{DeviceId, SpaceId, link, prefix};

/// Ada's club with bob in it and a device that only reads, which the space requires as its archive.
fn archived() -> World {
    let mut world = club(&["ada", "bob"]);
    world.say("ada", "before the archive");
    admit_archive(&mut world);
    require(&mut world, "vault", true);
    world
}

fn admit_archive(world: &mut World) {
    world.enter("vault", 9);
    world.connect("ada", "vault");
    world.connect("bob", "vault");
    world.invite("ada", "vault", 0);
}

fn require(world: &mut World, device: &str, required: bool) {
    world.ask("ada", Request::ArchiveRequire { space: None, device: device.into(), required });
}

fn hold(channel: Option<&str>, member: Option<&str>, stands: bool) -> Request {
    let (channel, member) = (channel.map(str::to_owned), member.map(str::to_owned));
    Request::Hold { space: None, channel, member, stands }
}

fn create(name: &str, since_join: bool) -> Request {
    Request::ChannelCreate { space: None, name: name.into(), forum: false, since_join }
}

fn space(world: &mut World, name: &str) -> SpaceId {
    world.of(name).store.spaces().next().unwrap()
}

fn alarms(world: &World, name: &str) -> Vec<String> {
    let notices = world.seen.get(name).into_iter().flatten();
    notices
        .filter_map(|notice| match notice {
            Notice::Alarm { what } => Some(what.clone()),
            _ => None,
        })
        .collect()
}

/// Erased, pending, held.
#[track_caller]
fn compact(world: &mut World, name: &str) -> (u64, u64, u64) {
    match world.ask(name, Request::Compact) {
        Answer::Compacted { erased, pending, held, .. } => (erased, pending, held),
        other => panic!("{other:?}"),
    }
}

fn export_of(world: &mut World, name: &str, range: &ArchiveRange) -> Result<Vec<u8>, Error> {
    let now = world.now;
    let client = world.of(name);
    let mut export = client.begin_archive_export(range, now)?;
    let mut file = Vec::new();
    while let Some(piece) = client.go_on_exporting(&mut export)? {
        file.extend(piece);
    }
    Ok(file)
}

fn export(world: &mut World) -> String {
    String::from_utf8(export_of(world, "vault", &ArchiveRange::default()).unwrap()).unwrap()
}

fn verify(file: &[u8]) -> Result<ArchiveReport, ArchiveError> {
    let mut check = ArchiveCheck::default();
    let lines = file.split_inclusive(|byte| *byte == b'\n');
    for line in lines {
        check.line(line.strip_suffix(b"\n").ok_or(ArchiveError::CutShort)?)?;
    }
    check.finish()
}

#[test]
fn an_archive_reads_every_channel_and_everybody_sees_it() {
    let mut world = archived();
    let created = world.ask("bob", create("quiet", true));
    assert!(
        matches!(&created, Answer::Channel { archives, .. } if *archives == ["vault"]),
        "whoever creates a channel is told: {created:?}"
    );
    let quiet = Place { space: None, channel: Some("quiet".into()) };
    world.say_in(quiet.clone(), "bob", "in confidence");
    world.say("bob", "after");
    assert_eq!(world.bodies("vault"), ["before the archive", "after"]);
    assert_eq!(world.messages_in(quiet, "vault")[0].body, "in confidence");
    for name in ["ada", "bob", "vault"] {
        let space = world.status(name).spaces.remove(0);
        let seen: Vec<_> =
            space.archives.iter().map(|one| (one.name.as_str(), one.by.as_str(), one.reads)).collect();
        assert_eq!(seen, [("vault", "ada", true)], "{name}");
        assert_eq!((space.holds.len(), space.warnings.len()), (0, 0));
        let told = |notice: &Notice| matches!(notice, Notice::Space { what, .. } if what.contains("reads along in all channels"));
        assert_eq!(world.seen[name].iter().filter(|notice| told(notice)).count(), 1, "{name}");
        world.sound(name);
    }
    // Who comes later is told as the space arrives.
    world.enter("cid", 11);
    world.connect("ada", "cid");
    world.invite("ada", "cid", 10);
    let told = |notice: &Notice| matches!(notice, Notice::Space { what, .. } if what.contains("vault is its archive"));
    assert!(world.seen["cid"].iter().any(told));
    world.same(&["ada", "bob", "vault", "cid"]);
}

#[test]
fn an_archive_writes_nothing_and_keeps_all_channels() {
    let mut world = archived();
    world.ask(
        "ada",
        Request::RoleChange { space: None, rank: 0, give: vec!["post".into()], take: Vec::new() },
    );
    let send = Request::Send { place: place(), body: "x".into(), reply_to: None };
    for request in [
        send,
        Request::Mark { place: place(), message: None },
        Request::ChannelsKeep {
            space: None,
            change: Selection::LeaveOut { channels: vec!["general".into()] },
        },
    ] {
        let refused = world.try_ask("vault", request).unwrap_err();
        assert!(refused.to_string().contains("archive"), "{refused}");
    }
    // Who left something out takes it back on becoming one.
    require(&mut world, "vault", false);
    let leave_out = Selection::LeaveOut { channels: vec!["general".into()] };
    world.ask("vault", Request::ChannelsKeep { space: None, change: leave_out });
    world.ask(
        "ada",
        Request::RoleChange { space: None, rank: 0, give: Vec::new(), take: vec!["post".into()] },
    );
    require(&mut world, "vault", true);
    world.say("ada", "kept");
    assert!(world.bodies("vault").contains(&"kept".to_owned()));
}

/// At an honest client it is an error; what another client does all the same is void, and everybody is warned.
#[test]
fn whoever_removes_an_archive_is_refused_and_seen() {
    let mut world = archived();
    let remove = Request::MemberRemove { space: None, member: "vault".into() };
    for name in ["ada", "bob", "vault"] {
        let refused = world.try_ask(name, remove.clone()).unwrap_err();
        assert!(
            matches!(&refused, Error::RequiresArchive { archive } if archive == "vault"),
            "{name}: {refused}"
        );
    }
    let (space_id, vault) = (space(&mut world, "bob"), DeviceId(world.id("vault")));
    let bob = world.of("bob");
    let user = bob.store.space(&space_id).unwrap().devices[&vault];
    let prepared = bob.prepare(space_id, &[], &[vault.0]).unwrap();
    bob.publish_only(space_id, vec![ControlOp::Remove { user, pins: Vec::new() }], prepared).unwrap();
    bob.follow_up(space_id);
    world.settle();
    for name in ["ada", "vault"] {
        assert!(
            alarms(&world, name).iter().any(|what| what.contains("bob tried to remove an archive")),
            "{name}"
        );
    }
    let warnings = world.status("ada").spaces.remove(0).warnings;
    assert!(
        matches!(warnings.as_slice(), [one] if one.starts_with("bob tried to remove an archive")),
        "{warnings:?}"
    );
    world.say("ada", "still heard");
    world.say("bob", "by everybody");
    assert_eq!(world.bodies("vault").len(), 3);
    world.same(&["ada", "bob", "vault"]);
    // Once it is not required, it is removed like anybody.
    require(&mut world, "vault", false);
    world.ask("bob", remove);
    world.say("ada", "unheard");
    assert_eq!(world.bodies("vault").len(), 3);
}

/// A commit that takes its leaf out of the group without a word counts for nobody: neither for the others nor for the archive.
#[test]
fn a_commit_that_hides_the_archive_is_refused_and_its_maker_named() {
    let mut world = archived();
    let (space_id, vault) = (space(&mut world, "bob"), world.id("vault"));
    let bob = world.of("bob");
    let prepared = bob.prepare(space_id, &[], &[vault]).unwrap();
    bob.publish_only(space_id, Vec::new(), prepared).unwrap();
    bob.follow_up(space_id);
    world.settle();
    for name in ["ada", "vault"] {
        let told = alarms(&world, name);
        assert!(told.iter().any(|what| what.contains("bob tried to take vault")), "{name}: {told:?}");
    }
    world.say("ada", "between us");
    world.ask("ada", Request::Renew { space: None });
    world.say("ada", "in another epoch");
    assert_eq!(world.bodies("vault"), ["before the archive", "between us", "in another epoch"]);
    world.same(&["ada", "vault"]);
    assert!(world.status("ada").spaces[0].archives[0].reads);
}

/// Bob admits the archive while ada makes a commit that wins, and is not seen again; ada requires the archive. It is let in
/// by whoever notices: ada.
#[test]
fn an_archive_whose_admission_lost_its_race_is_let_in_by_whoever_notices() {
    let mut world = club(&["ada", "bob"]);
    world.ask("ada", create("quiet", true));
    world.enter("vault", 9);
    world.cut("ada", "bob");
    world.invite("bob", "vault", 0);
    world.ask("ada", Request::Renew { space: None });
    let Answer::Bundle { bytes, .. } = world.ask("bob", Request::BundleExport { space: None }) else {
        panic!()
    };
    world.ask("ada", Request::BundleImport { bytes });
    world.connect("ada", "vault");
    let space_id = space(&mut world, "ada");
    let vault = world.id("vault");
    let holds = |world: &mut World| {
        let ada = world.of("ada");
        let epoch = ada.epoch(&space_id).unwrap();
        ada.group(&space_id, &epoch.commit).unwrap().unwrap().members().contains(&vault)
    };
    assert!(!holds(&mut world), "whoever admitted it makes that good, and is away");
    require(&mut world, "vault", true);
    assert!(holds(&mut world));
    let quiet = Place { space: None, channel: Some("quiet".into()) };
    world.say_in(quiet.clone(), "ada", "heard");
    assert_eq!(world.messages_in(quiet, "vault")[0].body, "heard");
    world.connect("ada", "bob");
    world.same(&["ada", "bob", "vault"]);
}

/// Removed beside the requirement, by whoever had not heard of it: the removal holds, and all see that the archive is not there.
#[test]
fn a_removal_beside_the_requirement_is_seen() {
    let mut world = club(&["ada", "bob"]);
    admit_archive(&mut world);
    world.cut("ada", "bob");
    world.cut("bob", "vault");
    require(&mut world, "vault", true);
    world.ask("bob", Request::MemberRemove { space: None, member: "vault".into() });
    world.connect("ada", "bob");
    world.say("ada", "alone");
    for name in ["ada", "bob"] {
        let space = world.status(name).spaces.remove(0);
        assert_eq!(space.archives.iter().map(|one| one.reads).collect::<Vec<_>>(), [false], "{name}");
        assert_eq!(space.warnings, ["the archive vault does not read along"]);
    }
    world.same(&["ada", "bob"]);
    let device = DeviceId(world.id("vault")).to_string();
    require(&mut world, &device, false);
    assert!(world.status("bob").spaces[0].archives.is_empty());
}

/// What is deleted under a hold is gone for everybody else, and stays with the archive until the hold ends.
#[test]
fn a_hold_puts_off_what_the_archive_erases() {
    let mut world = archived();
    world.ask("ada", create("quiet", true));
    let quiet = Place { space: None, channel: Some("quiet".into()) };
    let texts = [
        world.say("bob", "the first evidence"),
        world.say_in(quiet.clone(), "bob", "sealed evidence"),
        world.say("ada", "nobody's business"),
    ];
    world.ask("bob", Request::Edit { place: place(), message: texts[0].clone(), body: "polished".into() });
    world.ask("ada", hold(None, Some("bob"), true));
    for name in ["ada", "bob", "vault"] {
        let holds = world.status(name).spaces.remove(0).holds;
        let seen: Vec<_> =
            holds.iter().map(|hold| (hold.what.as_str(), hold.name.as_str(), hold.by.as_str())).collect();
        assert_eq!(seen, [("member", "bob", "ada")], "{name}");
    }
    for (place, message) in [place(), quiet, place()].into_iter().zip(&texts) {
        world.ask("ada", Request::Delete { place, message: message.clone() });
    }
    assert_eq!(compact(&mut world, "bob"), (4, 0, 0));
    assert_eq!(compact(&mut world, "vault"), (1, 0, 3), "ada's text is nobody's business");
    // It stays so when the device is started anew.
    let (_, storage) = world.devices.remove("vault").unwrap();
    let storage = storage.crash();
    let boxed: Box<dyn Storage> = Box::new(storage.clone());
    let client = Client::open(boxed, &mut passphrase("secret"), Box::new(super::Counter(9 << 40))).unwrap();
    world.devices.insert("vault", (client, storage));
    assert_eq!(compact(&mut world, "vault"), (0, 0, 3));
    for peer in ["ada", "bob"] {
        let (id, vault) = (world.id(peer), world.id("vault"));
        world.of("vault").connected(id);
        world.of(peer).disconnected(vault);
        world.of(peer).connected(vault);
    }
    world.settle();
    // It is shown to nobody, and handed to nobody.
    assert_eq!(world.bodies("vault"), ["before the archive", "", ""]);
    world.enter("cid", 11);
    world.connect("vault", "cid");
    world.connect("ada", "cid");
    world.invite("ada", "cid", 10);
    assert_eq!(world.bodies("cid"), ["before the archive", "", ""]);
    let told = export(&mut world);
    for text in ["the first evidence", "polished", "sealed evidence"] {
        let line =
            told.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text} is exported"));
        assert!(line.contains("\"deleted\":true"), "{line}");
    }
    assert!(!told.contains("nobody's business"));
    verify(told.as_bytes()).unwrap();
    world.same(&["ada", "bob", "vault", "cid"]);
    // The archive may not be given up while somebody has to rely on it.
    let release = Request::ArchiveRequire { space: None, device: "vault".into(), required: false };
    assert!(world.try_ask("ada", release).unwrap_err().to_string().contains("hold"));

    world.ask("ada", hold(None, Some("bob"), false));
    let told = export(&mut world);
    assert!(!told.contains("evidence") && !told.contains("polished"), "it was erased as the hold ended");
    verify(told.as_bytes()).unwrap();
    assert_eq!(compact(&mut world, "vault"), (0, 0, 0));
    world.same(&["ada", "bob", "vault", "cid"]);
    world.sound("vault");
}

#[test]
fn a_hold_is_on_a_channel_or_a_member_that_is_there() {
    let mut world = club(&["ada", "bob"]);
    let refused = |world: &mut World, name: &str, request: Request| world.try_ask(name, request).unwrap_err();
    assert!(refused(&mut world, "ada", hold(Some("general"), None, true)).to_string().contains("no archive"));
    admit_archive(&mut world);
    assert!(matches!(
        refused(
            &mut world,
            "bob",
            Request::ArchiveRequire { space: None, device: "vault".into(), required: true }
        ),
        Error::LacksPermission { .. }
    ));
    require(&mut world, "vault", true);
    assert!(matches!(
        refused(&mut world, "bob", hold(Some("general"), None, true)),
        Error::LacksPermission { .. }
    ));
    assert!(matches!(refused(&mut world, "ada", hold(None, None, true)), Error::Input(_)));
    assert!(matches!(refused(&mut world, "ada", hold(Some("general"), Some("bob"), true)), Error::Input(_)));
    world.ask("ada", hold(Some("general"), None, true));
    let holds = world.status("bob").spaces.remove(0).holds;
    assert_eq!((holds[0].what.as_str(), holds[0].name.as_str()), ("channel", "general"));
    assert!(refused(&mut world, "ada", hold(Some("general"), None, true)).to_string().contains("already"));
}

#[test]
fn an_export_proves_itself() {
    let mut world = archived();
    world.ask("ada", create("quiet", true));
    let quiet = Place { space: None, channel: Some("quiet".into()) };
    world.say("bob", "on \"paper\"\nand off");
    world.say_in(quiet.clone(), "ada", "in confidence");
    let mark = world.now;
    world.say("bob", "later");
    assert!(matches!(export_of(&mut world, "ada", &ArchiveRange::default()), Err(Error::NotAllowed(_))));
    let whole = export(&mut world);
    let report = verify(whole.as_bytes()).unwrap();
    assert_eq!((report.name.as_str(), report.author.as_deref()), ("club", Some("vault")));
    assert_eq!((report.device, report.texts), (DeviceId(world.id("vault")).to_string(), 4));
    for text in ["before the archive", "on \\\"paper\\\"\\nand off", "in confidence", "later"] {
        assert!(whole.contains(text), "{text}");
    }
    // A channel alone, and a time: what is before is left out, and what is behind only leads to the signature.
    let range = ArchiveRange { channel: Some("quiet".into()), ..ArchiveRange::default() };
    let told = String::from_utf8(export_of(&mut world, "vault", &range).unwrap()).unwrap();
    assert!(told.contains("in confidence") && !told.contains("later"));
    verify(told.as_bytes()).unwrap();
    assert!(mark < 86_400_000, "the tests begin in 1970");
    let at = |ms: u64| {
        Some(format!("1970-01-01T{:02}:{:02}:{:02}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60))
    };
    let range = ArchiveRange { from: at(0), to: at(mark), ..ArchiveRange::default() };
    let told = String::from_utf8(export_of(&mut world, "vault", &range).unwrap()).unwrap();
    assert!(told.contains("paper") && !told.contains("later") && told.contains("{\"link\":"));
    verify(told.as_bytes()).unwrap();
    let range = ArchiveRange { from: at(mark), to: None, ..ArchiveRange::default() };
    let told = String::from_utf8(export_of(&mut world, "vault", &range).unwrap()).unwrap();
    assert!(!told.contains("paper") && told.contains("later"));
    verify(told.as_bytes()).unwrap();
    let range = ArchiveRange { from: Some("yesterday".into()), ..ArchiveRange::default() };
    assert!(matches!(export_of(&mut world, "vault", &range), Err(Error::Input(_))));
}

/// Whatever is changed, added, left out or moved is found: by a bit anywhere, by a line.
#[test]
fn a_changed_export_is_refused() {
    let mut world = archived();
    world.say("bob", "as it was said");
    let file = export(&mut world).into_bytes();
    verify(&file).unwrap();
    let last = file[..file.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    let told = String::from_utf8(file.clone()).unwrap();
    // Every byte of a line with a text and of the manifest, and some of all others.
    let spoken = told.find("as it was said").unwrap();
    let line = told[..spoken].rfind('\n').unwrap();
    let places = (0..file.len()).step_by(89).chain(line..line + 300).chain(last..file.len());
    for at in places {
        let mut changed = file.clone();
        changed[at] ^= 1 << (at % 7);
        assert!(verify(&changed).is_err(), "byte {at} of {}", file.len());
    }
    let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
    for at in 0..lines.len() {
        let without = [&lines[..at], &lines[at + 1..]].concat().concat();
        assert!(verify(&without).is_err(), "without line {at}");
        let twice = [&lines[..=at], &lines[at..]].concat().concat();
        assert!(verify(&twice).is_err(), "line {at} twice");
        assert_eq!(verify(&lines[..at].concat()), Err(ArchiveError::CutShort), "up to line {at}");
    }
    for at in 1..lines.len() {
        let mut moved = lines.clone();
        moved.swap(at - 1, at);
        assert!(verify(&moved.concat()).is_err(), "lines {at} and the one before");
    }
    assert!(verify(&[&file[..], b"\n"].concat()).is_err());
    assert_eq!(verify(&file[..file.len() - 1]), Err(ArchiveError::CutShort));
}

/// The archive itself writes the whole file anew for a changed text, and signs it: the author's signature is on what was said.
#[test]
fn an_archive_cannot_change_what_was_said() {
    let mut world = archived();
    world.say("bob", "I owe you 100");
    let mut lines: Vec<Line> =
        export(&mut world).lines().map(|line| Line::decode(line.as_bytes()).unwrap()).collect();
    let (mut key, mut previous) = (None, BTreeMap::new());
    let (mut forged, mut signed) = (None, false);
    for line in &mut lines {
        match line {
            Line::Key(told) => key = Some(BodyKey::take(&mut id(&told.body).unwrap())),
            Line::Event(event) => {
                let before = event.before.as_ref().or(previous.get(&event.device)).unwrap().parse().unwrap();
                if event.said.text.as_deref() == Some("I owe you 100") {
                    let payload = bytes(&event.payload).unwrap();
                    let at = payload.windows(3).position(|three| three == b"100").unwrap();
                    let payload = [&payload[..at], b"900", &payload[at + 3..]].concat();
                    let prefix = prefix(&before, &bytes(&event.header).unwrap());
                    let bound = key.as_ref().unwrap().commit(&prefix, &payload, &mut Vec::new());
                    event.said = Said::in_channel(&payload);
                    event.payload = text(&payload);
                    event.hash = link(&prefix, &bound).to_string();
                    forged = Some((event.device.clone(), event.seq, event.hash.clone()));
                }
                previous.insert(event.device.clone(), event.hash.clone());
            }
            Line::Head(head) => {
                if let Some((device, seq, hash)) = &forged
                    && (&head.device, head.seq) == (device, *seq)
                {
                    (head.hash, signed) = (hash.clone(), true);
                }
            }
            _ => {}
        }
    }
    assert!(signed);
    let sealed = |lines: &[Line], archive: &Client| {
        let mut file: Vec<u8> = lines[..lines.len() - 1].iter().flat_map(Line::encode).collect();
        let Some(Line::Manifest(mut manifest)) = lines.last().cloned() else { panic!("it ends so") };
        let hash = *blake3::hash(&file).as_bytes();
        manifest.hash = hex(&hash);
        manifest.signature = text(&archive.identity.device.sign(CONTEXT, &hash));
        file.extend(Line::Manifest(manifest).encode());
        file
    };
    let file = sealed(&lines, world.of("vault"));
    assert_eq!(verify(&file), Err(ArchiveError::Chain("a signature is not its author's")));
    // Nor can another device pass for the archive.
    let whole = export(&mut world);
    let lines: Vec<Line> = whole.lines().map(|line| Line::decode(line.as_bytes()).unwrap()).collect();
    assert_eq!(sealed(&lines, world.of("vault")), whole.as_bytes());
    assert_eq!(verify(&sealed(&lines, world.of("bob"))), Err(ArchiveError::Signature));
    // Nor does it leave out what the space decided, from the beginning or in between.
    let first = lines.iter().position(|line| matches!(line, Line::Event(_))).unwrap();
    let left_out = |at: usize| [&lines[..at], &lines[at + 1..]].concat();
    for (at, why) in [
        (first, "the control log does not begin with the space's first event"),
        (first + 1, "an event does not follow the one before in its chain"),
    ] {
        assert_eq!(verify(&sealed(&left_out(at), world.of("vault"))), Err(ArchiveError::Chain(why)));
    }
}
