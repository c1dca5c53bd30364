//! Files of messages: stored in the cluster before the message is posted, listed, and fetched.
use super::ask;
use super::cluster::{fetched_into, shown, with_client};
use super::node::failed;
use crate::args::{AttachmentCommand, ClusterClientArgs, FetchArgs};
use crate::cluster_client;
use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::printer::Printer;
use crate::render;
use crate::session::Session;
use serde_json::json;
use std::fs::File;
use std::path::{Path, PathBuf};
use terachat_attachment::{Address, FileKey, Stored};
use terachat_client::api::{
    Answer, AttachedFile, FileKey as FileKeyText, KeyedFile, Message, MessageFilter, NewPost, Place, Request,
};
use terachat_node::{ClientFolder, PATIENCE, get_attachment, put_attachment};

/// Lists attachments, or fetches one.
pub(super) fn run(home: &Home, place: Place, command: AttachmentCommand, printer: &Printer) -> Result<()> {
    match command {
        AttachmentCommand::List { message, limit } => list(home, place, message, limit, printer),
        AttachmentCommand::Fetch(args) => fetch(home, place, &args, printer),
    }
}

/// Stores a message's files and completes what it says of them. The keys are the profile's until the message is posted, so that this
/// goes on where it was broken off.
///
/// # Errors
/// [`Failure::Told`]; what was stored until then stays.
pub(super) fn store(
    session: &mut Session,
    place: &Place,
    mut post: NewPost,
    paths: &[PathBuf],
    cluster: &ClusterClientArgs,
    printer: &Printer,
) -> Result<NewPost> {
    let mut folder = open(cluster)?;
    let told: Vec<String> = paths.iter().map(|path| absolute(path)).collect::<Result<_>>()?;
    let request = Request::Upload { place: place.clone(), post: Box::new(post.clone()), paths: told };
    let Answer::Upload { keys } = session.execute(request)? else { return Err(ask::unexpected()) };
    let opened =
        paths.iter().map(|path| File::open(path).map_err(|error| Failure::file("read", path, &error)));
    let mut opened: Vec<File> = opened.collect::<Result<_>>()?;
    with_client(&mut folder, PATIENCE, async |client, _| {
        let files = post.attachments.iter_mut().zip(&mut opened).zip(&keys);
        for ((file, from), key) in files {
            let shown = shown(printer, file.len);
            let told = |progress: terachat_node::Progress| shown.set_position(progress.done);
            let put = put_attachment(client, key_of(key)?, from, file.len, told).await;
            shown.finish_and_clear();
            let (stored, progress) = put.map_err(failed)?;
            if progress.known > 0 {
                let name = render::one_line(&file.name);
                printer
                    .talk(&format!("{} of {} bytes of {name} were there already.", progress.known, file.len));
            }
            file.hash = hex(&stored.hash);
            file.address = Some(stored.address.to_string());
        }
        Ok(())
    })?;
    post.keys = keys;
    Ok(post)
}

fn list(home: &Home, place: Place, message: Option<String>, limit: u32, printer: &Printer) -> Result<()> {
    // One message, whatever it carries; or the newest that carry something.
    let (limit, filter) = match &message {
        Some(_) => (1, MessageFilter::default()),
        None => (ask::count(limit), MessageFilter { has_attachment: true, ..MessageFilter::default() }),
    };
    let (before, after, thread) = (None, None, None);
    let filter = Box::new(filter);
    let read = Request::Read { place, limit, before, after, around: message, thread, pinned: false, filter };
    let mut session = Session::open(home)?;
    let Answer::Messages { messages } = session.execute(read)? else { return Err(ask::unexpected()) };
    session.close();
    if printer.is_json() {
        let files = messages.iter().flat_map(files_of);
        return printer.data(&render::json_value(&json!({ "attachments": files.collect::<Vec<_>>() })));
    }
    printer.data(&render::attachments(&messages, printer.look()))?;
    if messages.iter().all(|message| message.attachments.is_empty()) {
        printer.talk("There are no attachments here.");
    }
    Ok(())
}

fn files_of(message: &Message) -> impl Iterator<Item = serde_json::Value> {
    message.attachments.iter().map(|file| {
        json!({
            "message": message.id, "author": message.author, "ts_ms": message.ts_ms, "name": file.name,
            "media_type": file.media_type, "len": file.len, "hash": file.hash, "address": file.address,
        })
    })
}

fn fetch(home: &Home, place: Place, args: &FetchArgs, printer: &Printer) -> Result<()> {
    let mut session = Session::open(home)?;
    let asked = Request::Attachments { place, message: args.message.clone() };
    let answer = session.execute(asked);
    session.close();
    let Answer::Attachments { files } = answer? else { return Err(ask::unexpected()) };
    let files = chosen(files, args.name.as_deref())?;
    let wanted = files.iter().map(stored).collect::<Result<Vec<_>>>()?;
    let targets = targets(&files, args.out.as_deref())?;
    let mut folder = open(&args.cluster)?;
    let mut done = Vec::new();
    for ((said, key), out) in wanted.into_iter().zip(&targets) {
        let progress = fetched_into(out, |part| {
            with_client(&mut folder, PATIENCE, async |client, _| {
                let shown = shown(printer, said.len);
                let told = |progress: terachat_node::Progress| shown.set_position(progress.done);
                let got = get_attachment(client, &said, key, part, told).await;
                shown.finish_and_clear();
                got.map_err(failed)
            })
        })?;
        if progress.known > 0 {
            printer
                .talk(&format!("{} of {} bytes were there of an earlier try.", progress.known, progress.len));
        }
        printer.talk(&format!("{} bytes in {}", progress.len, out.display()));
        done.push(json!({ "file": out, "bytes": progress.len, "known": progress.known }));
    }
    if printer.is_json() {
        return printer.data(&render::json_value(&json!({ "fetched": done })));
    }
    Ok(())
}

/// All files of the message, or those with this name.
fn chosen(mut files: Vec<KeyedFile>, name: Option<&str>) -> Result<Vec<KeyedFile>> {
    files.retain(|keyed| name.is_none_or(|name| keyed.file.name == name));
    if files.is_empty() {
        let what = format_args!("the message has no attachment called {:?}", name.unwrap_or_default());
        return Err(Failure::new(what, "terachat attachment list MESSAGE shows what it has"));
    }
    Ok(files)
}

/// Where each goes: by its own name into the present folder or the one that is named, or one file to the path that is named.
fn targets(files: &[KeyedFile], out: Option<&Path>) -> Result<Vec<PathBuf>> {
    let folder = match out {
        Some(out) if !out.is_dir() && files.len() == 1 => return Ok(vec![out.to_owned()]),
        Some(out) if !out.is_dir() => {
            let what = format_args!(
                "the message has {} attachments, and {} is no folder",
                files.len(),
                out.display()
            );
            return Err(Failure::new(what, "name one of them behind the message, or a folder with --out"));
        }
        Some(out) => out,
        None => Path::new(""),
    };
    Ok(files.iter().map(|keyed| folder.join(&keyed.file.name)).collect())
}

/// What a message says of a file that is stored, and its key.
fn stored(keyed: &KeyedFile) -> Result<(Stored, FileKey)> {
    let none = || {
        let name = render::one_line(&keyed.file.name);
        let what = format!("only what {name} is was posted, not its bytes");
        Failure::new(what, "have its author send it with --attach FILE --cluster DIR")
    };
    let (address, key) = keyed.file.address.as_deref().zip(keyed.key.as_ref()).ok_or_else(none)?;
    let address = unhex(address).ok_or_else(ask::unexpected)?;
    let hash = unhex(&keyed.file.hash).ok_or_else(ask::unexpected)?;
    Ok((Stored { address: Address(address), len: keyed.file.len, hash }, key_of(key)?))
}

fn open(cluster: &ClusterClientArgs) -> Result<ClientFolder> {
    let ClusterClientArgs { cluster, cluster_key } = cluster;
    let folder = cluster
        .as_deref()
        .ok_or_else(|| Failure::new("no cluster is named", "name one with --cluster DIR"))?;
    let key = cluster_key.clone().unwrap_or_else(|| cluster_client::default_key(folder));
    cluster_client::open(folder, &key)
}

/// What a file is, before it is read.
pub(super) fn described(path: &Path) -> Result<AttachedFile> {
    let failed = |error: std::io::Error| Failure::file("read", path, &error);
    let found = std::fs::metadata(path).map_err(failed)?;
    if !found.is_file() {
        return Err(Failure::new(
            format_args!("{} is no file", path.display()),
            "name a file; put a folder into an archive first",
        ));
    }
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Failure::new(
            format_args!("{} has no name that can be sent", path.display()),
            "give it a name in UTF-8",
        )
    })?;
    let media_type = mime_guess::from_path(path).first_raw().unwrap_or_default();
    let hash = hex(&[0; 32]);
    Ok(AttachedFile {
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        len: found.len(),
        hash,
        address: None,
    })
}

/// What tells a file from others on this machine.
fn absolute(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path).map_err(|error| Failure::file("find", path, &error))?;
    Ok(absolute.to_string_lossy().into_owned())
}

fn key_of(text: &FileKeyText) -> Result<FileKey> {
    Ok(FileKey::take(&mut unhex(&text.0).ok_or_else(ask::unexpected)?))
}

fn hex(bytes: &[u8; 32]) -> String {
    Address(*bytes).to_string()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    blake3::Hash::from_hex(text).ok().map(|hash| *hash.as_bytes())
}
