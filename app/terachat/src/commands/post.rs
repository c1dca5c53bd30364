use super::ask;
use crate::args::SendArgs;
use crate::failure::{Failure, Result};
use std::fs::File;
use std::path::Path;
use terachat_client::api::{AttachedFile, NewPost};

/// The message that the command line describes.
pub(super) fn new(args: SendArgs) -> Result<NewPost> {
    let SendArgs { body, title, tags, files } = args;
    let attachments = files.iter().map(|path| attached(path)).collect::<Result<_>>()?;
    Ok(NewPost { body: ask::body(body)?, reply_to: None, title, tags, attachments })
}

/// What a file is, read once from the beginning to the end.
fn attached(path: &Path) -> Result<AttachedFile> {
    let failed = |error: std::io::Error| Failure::file("read", path, &error);
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Failure::new(format!("{} has no name that can be sent", path.display()), "give it a name in UTF-8")
    })?;
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path).map_err(failed)?;
    let len = std::io::copy(&mut file, &mut hasher).map_err(failed)?;
    let media_type = mime_guess::from_path(path).first_raw().unwrap_or_default();
    Ok(AttachedFile {
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        len,
        hash: hasher.finalize().to_hex().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_name_type_length_and_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.pdf");
        std::fs::write(&path, b"a plan").unwrap();
        let file = attached(&path).unwrap();
        assert_eq!(
            (file.name.as_str(), file.media_type.as_str(), file.len),
            ("plan.pdf", "application/pdf", 6)
        );
        assert_eq!(file.hash, blake3::hash(b"a plan").to_hex().as_str());
        assert!(attached(&folder.path().join("nothing")).is_err() && attached(folder.path()).is_err());
    }
}
