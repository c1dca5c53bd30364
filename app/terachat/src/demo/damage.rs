use crate::failure::{Failure, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Copies a profile that nobody has open.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = |error| Failure::file("copy to", to, &error);
    fs::create_dir_all(to).map_err(failed)?;
    for file in files(from)? {
        let name = file.file_name().unwrap_or_default();
        fs::copy(&file, to.join(name)).map_err(failed)?;
    }
    Ok(())
}

/// Flips one bit in the first half of the largest file: amid what was acknowledged long ago, not in a torn tail. Says
/// where.
pub(super) fn flip(home: &Path) -> Result<String> {
    let files = files(home)?;
    let largest = files.iter().max_by_key(|file| fs::metadata(file).map_or(0, |data| data.len()));
    let file = largest.ok_or_else(|| Failure::new("the copied profile is empty", "please report this"))?;
    let failed = |error| Failure::file("damage", file, &error);
    let mut bytes = fs::read(file).map_err(failed)?;
    let at = bytes.len() / 3;
    let byte =
        bytes.get_mut(at).ok_or_else(|| Failure::new("the largest file is empty", "please report this"))?;
    *byte ^= 0x10;
    fs::write(file, bytes).map_err(failed)?;
    Ok(format!("byte {at} of {}", file.file_name().unwrap_or_default().to_string_lossy()))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| Failure::file("read", folder, &error))?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_of_the_copy_differs_and_none_of_the_original() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        fs::create_dir(&from).unwrap();
        fs::write(from.join("small"), b"x").unwrap();
        fs::write(from.join("large"), [7; 90]).unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(flip(&to).unwrap(), "byte 30 of large");
        let damaged = fs::read(to.join("large")).unwrap();
        assert_eq!(damaged.iter().map(|byte| (byte ^ 7).count_ones()).sum::<u32>(), 1);
        assert_eq!(fs::read(from.join("large")).unwrap(), [7; 90]);
    }
}
