use super::{CollectionKeys, Dek, Keyring, take};
use crate::{Algorithm, Error, Secret, SecretBytes};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Bytes of a collection besides its name and generations.
const COLLECTION_LEN: usize = 16 + 1 + 2 + 4;
const GENERATION_LEN: usize = 4 + 8 + 8 + 32;

/// What the KEK seals.
pub(super) struct Body {
    pub(super) label: String,
    pub(super) secrets: BTreeMap<String, Secret<32>>,
    pub(super) collections: BTreeMap<[u8; 16], CollectionKeys>,
}

pub(super) fn write(keyring: &Keyring) -> SecretBytes {
    // Written into its final length: a buffer that grew would leave copies of keys behind.
    let secrets: usize = keyring.secrets.keys().map(|name| 2 + name.len() + 32).sum();
    let collections: usize = keyring
        .collections
        .values()
        .map(|keys| COLLECTION_LEN + keys.name.len() + keys.generations.len() * GENERATION_LEN)
        .sum();
    let mut out = Zeroizing::new(Vec::with_capacity(2 + keyring.label.len() + 4 + secrets + 4 + collections));
    write_name(&mut out, &keyring.label);
    write_count(&mut out, keyring.secrets.len());
    for (name, secret) in &keyring.secrets {
        write_name(&mut out, name);
        out.extend_from_slice(secret.expose_secret());
    }
    write_count(&mut out, keyring.collections.len());
    for (id, keys) in &keyring.collections {
        out.extend_from_slice(id);
        out.push(keys.algorithm as u8);
        write_name(&mut out, &keys.name);
        write_count(&mut out, keys.generations.len());
        for (number, dek) in &keys.generations {
            out.extend_from_slice(&number.to_le_bytes());
            out.extend_from_slice(&dek.epoch.to_le_bytes());
            out.extend_from_slice(&dek.created_ms.to_le_bytes());
            out.extend_from_slice(dek.root.expose_secret());
        }
    }
    SecretBytes::copy_from(&out)
}

pub(super) fn read(mut rest: &[u8]) -> Result<Body, Error> {
    let label = name(&mut rest)?;
    let mut secrets = BTreeMap::new();
    for _ in 0..count(&mut rest)? {
        secrets.insert(name(&mut rest)?, secret(&mut rest)?);
    }
    if ![super::AUDIT, super::BLIND].iter().all(|name| secrets.contains_key(*name)) {
        return Err(Error::Envelope("a secret that every keyring has is missing"));
    }
    let mut collections = BTreeMap::new();
    for _ in 0..count(&mut rest)? {
        let id = take::<16>(&mut rest)?;
        let [algorithm] = take(&mut rest)?;
        let algorithm = Algorithm::from_number(algorithm).ok_or(Error::Envelope("an unknown cipher"))?;
        let name = name(&mut rest)?;
        let mut generations = BTreeMap::new();
        for _ in 0..count(&mut rest)? {
            let number = u32::from_le_bytes(take(&mut rest)?);
            let epoch = u64::from_le_bytes(take(&mut rest)?);
            let created_ms = u64::from_le_bytes(take(&mut rest)?);
            generations.insert(number, Dek { root: secret(&mut rest)?, epoch, created_ms });
        }
        if generations.is_empty() {
            return Err(Error::Envelope("a collection has no key"));
        }
        collections.insert(id, CollectionKeys { name, algorithm, generations });
    }
    if !rest.is_empty() {
        return Err(Error::Envelope("something follows its end"));
    }
    Ok(Body { label, secrets, collections })
}

fn write_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).expect("a vault has fewer keys").to_le_bytes());
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(&u16::try_from(name.len()).expect("names are far shorter").to_le_bytes());
    out.extend_from_slice(name.as_bytes());
}

fn count(rest: &mut &[u8]) -> Result<u32, Error> {
    Ok(u32::from_le_bytes(take(rest)?))
}

fn name(rest: &mut &[u8]) -> Result<String, Error> {
    let len = usize::from(u16::from_le_bytes(take(rest)?));
    let (name, after) = rest.split_at_checked(len).ok_or(Error::Envelope("it is cut short"))?;
    *rest = after;
    String::from_utf8(name.to_vec()).map_err(|_| Error::Envelope("a name is not text"))
}

fn secret(rest: &mut &[u8]) -> Result<Secret<32>, Error> {
    let (bytes, after) = rest.split_first_chunk::<32>().ok_or(Error::Envelope("it is cut short"))?;
    *rest = after;
    Ok(Secret::generate(|key| key.copy_from_slice(bytes)))
}
