//! What happens to files that nobody looks after.
use arbitrary::Arbitrary;
use terachat_storage::Storage;

/// One change of one file: the one with this number, modulo how many there are.
#[derive(Arbitrary, Debug)]
#[allow(missing_docs)]
pub enum Damage {
    Flip { file: u8, at: u16, bits: u8 },
    Zero { file: u8, at: u16, len: u8 },
    Cut { file: u8, len: u16 },
    Append { file: u8, bytes: Vec<u8> },
    Replace { file: u8, bytes: Vec<u8> },
    Remove { file: u8 },
}

/// Changes the file.
pub fn apply(storage: &mut dyn Storage, damage: &Damage) {
    let files = storage.list().expect("memory lists");
    let pick = |file: u8| files.get(usize::from(file) % files.len().max(1)).cloned().unwrap_or_default();
    let edit = |storage: &mut dyn Storage, file: u8, change: &dyn Fn(&mut Vec<u8>)| {
        let file = pick(file);
        let Ok(Some(len)) = storage.size(&file) else { return };
        let mut bytes = storage.read(&file, 0, usize::try_from(len).expect("small")).expect("it is there");
        change(&mut bytes);
        storage.replace(&file, &bytes).expect("memory takes it");
    };
    match damage {
        Damage::Flip { file, at, bits } => edit(storage, *file, &|bytes| {
            let at = usize::from(*at) % bytes.len().max(1);
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bits);
        }),
        Damage::Zero { file, at, len } => edit(storage, *file, &|bytes| {
            let at = usize::from(*at) % bytes.len().max(1);
            bytes.iter_mut().skip(at).take((*len).into()).for_each(|byte| *byte = 0);
        }),
        Damage::Cut { file, len } => edit(storage, *file, &|bytes| bytes.truncate((*len).into())),
        Damage::Append { file, bytes: more } => edit(storage, *file, &|bytes| bytes.extend_from_slice(more)),
        Damage::Replace { file, bytes: all } => edit(storage, *file, &|bytes| bytes.clone_from(all)),
        Damage::Remove { file } => drop(storage.remove(&pick(*file))),
    }
}
