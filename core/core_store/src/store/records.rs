use crate::sync::{Reader, put};
use std::collections::BTreeMap;
use terachat_vault::SecretBytes;

/// A change of one record; `None` deletes it.
pub type Write = (Vec<u8>, Option<SecretBytes>);

/// The device's own small values beside the events: MLS state, epoch secrets, key packages. Each change is part of a
/// commit, so that no crash can separate it from the events it belongs to.
#[derive(Default)]
pub(crate) struct Records(BTreeMap<Vec<u8>, SecretBytes>);

impl Records {
    pub(crate) fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.get(name).map(SecretBytes::expose_secret)
    }

    /// Names and values whose names start with `prefix`, ascending.
    pub(crate) fn range<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let from = self.0.range(prefix.to_vec()..);
        from.take_while(move |(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.as_slice(), value.expose_secret()))
    }

    pub(crate) fn apply(&mut self, writes: Vec<Write>) {
        for (name, value) in writes {
            match value {
                Some(value) => self.0.insert(name, value),
                None => self.0.remove(&name),
            };
        }
    }

    /// All records as writes: what a snapshot holds.
    pub(crate) fn encode_all(&self) -> SecretBytes {
        let len = self.0.iter().map(|(name, value)| one_len(name, Some(value))).sum();
        let mut out = roomy(len);
        put(&mut out, self.0.len() as u64);
        self.0.iter().for_each(|(name, value)| encode_one(&mut out, name, Some(value)));
        SecretBytes::take(out)
    }
}

/// A block of writes: `docs/format/store.md`.
pub(crate) fn encode(writes: &[Write]) -> SecretBytes {
    let mut out = roomy(writes.iter().map(|(name, value)| one_len(name, value.as_ref())).sum());
    put(&mut out, writes.len() as u64);
    writes.iter().for_each(|(name, value)| encode_one(&mut out, name, value.as_ref()));
    SecretBytes::take(out)
}

/// A buffer that will not move while it is filled: a moved one leaves its secrets behind.
fn roomy(len: usize) -> Vec<u8> {
    Vec::with_capacity(len + 10)
}

fn one_len(name: &[u8], value: Option<&SecretBytes>) -> usize {
    name.len() + value.map_or(0, |value| value.expose_secret().len()) + 20
}

fn encode_one(out: &mut Vec<u8>, name: &[u8], value: Option<&SecretBytes>) {
    put(out, name.len() as u64);
    out.extend_from_slice(name);
    match value.map(SecretBytes::expose_secret) {
        None => put(out, 0),
        Some(value) => {
            put(out, value.len() as u64 + 1);
            out.extend_from_slice(value);
        }
    }
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// [`crate::Error::Malformed`].
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Write>, crate::Error> {
    let mut reader = Reader::new(bytes);
    let writes = read(&mut reader)?;
    reader.end()?;
    Ok(writes)
}

/// Reads writes from the front.
///
/// # Errors
/// [`crate::Error::Malformed`].
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Vec<Write>, crate::Error> {
    let len = reader.rest().len();
    let count = reader.count(len)?;
    (0..count)
        .map(|_| {
            let name_len = reader.count(len)?;
            let name = reader.bytes(name_len)?.to_vec();
            let value = match reader.count(len + 1)? {
                0 => None,
                value_len => Some(SecretBytes::copy_from(reader.bytes(value_len - 1)?)),
            };
            Ok((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn writes_read_what_they_wrote(list in prop::collection::vec((any::<Vec<u8>>(), prop::option::of(any::<Vec<u8>>())), 0..8), junk: Vec<u8>) {
            let writes = |list: &[(Vec<u8>, Option<Vec<u8>>)]| -> Vec<Write> { list.iter().map(|(n, v)| (n.clone(), v.clone().map(SecretBytes::take))).collect() };
            let read: Vec<_> = decode(encode(&writes(&list)).expose_secret()).unwrap().into_iter().map(|(n, v)| (n, v.map(|v| v.expose_secret().to_vec()))).collect();
            prop_assert_eq!(&read, &list);
            let _ = decode(&junk);
            let mut records = Records::default();
            records.apply(writes(&list));
            let all: BTreeMap<_, _> = decode(records.encode_all().expose_secret()).unwrap().into_iter().map(|(n, v)| (n, v.unwrap().expose_secret().to_vec())).collect();
            let mut model = BTreeMap::new();
            for (n, v) in list { match v { Some(v) => { model.insert(n, v); } None => { model.remove(&n); } } }
            prop_assert_eq!(all, model);
        }
    }
}
