use super::{ask, attachment};
use crate::args::SendArgs;
use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::printer::Printer;
use crate::session::Session;
use std::fs::File;
use std::path::Path;
use terachat_client::api::{AttachedFile, NewPost, Place, Request};

/// Posts the message that the command line describes, behind its files where these are stored.
pub(super) fn run(home: &Home, place: Place, args: SendArgs, printer: &Printer) -> Result<()> {
    let SendArgs { body, title, tags, files, cluster } = args;
    let body = body.map(ask::body).transpose()?.unwrap_or_default();
    let is_stored = cluster.cluster.is_some();
    if is_stored && files.is_empty() {
        return Err(Failure::new(
            "there is no file to be stored in the cluster",
            "name one with --attach FILE",
        ));
    }
    let described = |path: &std::path::PathBuf| {
        let file = attachment::described(path)?;
        if is_stored { Ok(file) } else { hashed(path, file) }
    };
    let attachments = files.iter().map(described).collect::<Result<_>>()?;
    let post = NewPost { body, title, tags, attachments, ..NewPost::default() };
    let mut session = Session::open(home)?;
    let outcome = match is_stored {
        true => attachment::store(&mut session, &place, post, &files, &cluster, printer),
        false => Ok(post),
    };
    let answer = outcome.and_then(|post| session.execute(Request::Post { place, post: post.into() }));
    session.close();
    printer.answer(&answer?)
}

/// The file with its hash and length, read once from the beginning to the end.
fn hashed(path: &Path, file: AttachedFile) -> Result<AttachedFile> {
    let failed = |error: std::io::Error| Failure::file("read", path, &error);
    let mut hasher = blake3::Hasher::new();
    let len = std::io::copy(&mut File::open(path).map_err(failed)?, &mut hasher).map_err(failed)?;
    Ok(AttachedFile { len, hash: hasher.finalize().to_hex().to_string(), ..file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_name_type_length_and_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.pdf");
        std::fs::write(&path, b"a plan").unwrap();
        let file = attachment::described(&path).and_then(|file| hashed(&path, file)).unwrap();
        assert_eq!(
            (file.name.as_str(), file.media_type.as_str(), file.len),
            ("plan.pdf", "application/pdf", 6)
        );
        assert_eq!(file.hash, blake3::hash(b"a plan").to_hex().as_str());
        for path in [&folder.path().join("nothing"), folder.path()] {
            assert!(attachment::described(path).is_err());
        }
    }
}
