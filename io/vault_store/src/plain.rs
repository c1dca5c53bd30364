//! What is sealed of a record: `docs/format/vault-store.md`, section "plaintext".
use crate::bytes::{Malformed, Reader};
use crate::{CONTENT_LEN_MAX, Content, Error, RecordInfo};
use terachat_template::Template;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const KIND_BYTES: u8 = 0;
const KIND_TEMPLATE: u8 = 1;
const NEVER: u64 = u64::MAX;
const FIXED_LEN: usize = 2 + 8 + 8 + 8 + 2;
/// Most bytes of a plaintext.
pub(crate) const PLAIN_LEN_MAX: usize = FIXED_LEN + crate::ID_LEN_MAX + CONTENT_LEN_MAX;

/// What goes into a version besides its content.
pub(crate) struct Head<'a> {
    pub(crate) id: &'a str,
    pub(crate) stored_ms: u64,
    pub(crate) keep_until_ms: Option<u64>,
    pub(crate) restored_from: Option<u64>,
}

/// A content's bytes and kind, as they are sealed.
pub(crate) enum Encoded<'a> {
    Bytes(&'a [u8]),
    Template(Zeroizing<Vec<u8>>),
}

impl<'a> Encoded<'a> {
    pub(crate) fn of(content: &'a Content) -> Result<Self, Error> {
        let encoded = match content {
            Content::Bytes(bytes) => Self::Bytes(bytes.expose_secret()),
            Content::Template(template) => Self::Template(template.encode()),
        };
        match encoded.bytes().len() {
            0..=CONTENT_LEN_MAX => Ok(encoded),
            len => Err(Error::TooLarge { len, max: CONTENT_LEN_MAX }),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Template(bytes) => bytes,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Bytes(_) => KIND_BYTES,
            Self::Template(_) => KIND_TEMPLATE,
        }
    }
}

/// How long the plaintext of one version is.
pub(crate) fn len(head: &Head<'_>, content: &Encoded<'_>) -> usize {
    FIXED_LEN + head.id.len() + content.bytes().len()
}

/// Writes the plaintext of one version, which fills `out`.
///
/// # Panics
/// When `out` is not [`len`] bytes long.
pub(crate) fn write(head: &Head<'_>, content: &Encoded<'_>, out: &mut [u8]) {
    let mut rest = out;
    let mut put = |bytes: &[u8]| {
        let (place, after) = std::mem::take(&mut rest).split_at_mut(bytes.len());
        place.copy_from_slice(bytes);
        rest = after;
    };
    put(&[VERSION, content.kind()]);
    put(&head.stored_ms.to_le_bytes());
    put(&head.keep_until_ms.unwrap_or(NEVER).to_le_bytes());
    put(&head.restored_from.unwrap_or(0).to_le_bytes());
    put(&u16::try_from(head.id.len()).expect("ids are checked to be short").to_le_bytes());
    put(head.id.as_bytes());
    put(content.bytes());
    assert!(rest.is_empty(), "it was given the plaintext's own length");
}

/// What [`write`] wrote, read in place.
pub(crate) struct Plain<'a> {
    pub(crate) id: &'a str,
    pub(crate) stored_ms: u64,
    pub(crate) keep_until_ms: Option<u64>,
    pub(crate) restored_from: Option<u64>,
    kind: u8,
    pub(crate) body: &'a [u8],
}

impl<'a> Plain<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        if reader.u8()? != VERSION {
            return Err(Malformed);
        }
        let kind = reader.u8()?;
        if kind > KIND_TEMPLATE {
            return Err(Malformed);
        }
        let stored_ms = reader.u64()?;
        let keep_until_ms = Some(reader.u64()?).filter(|until| *until != NEVER);
        let restored_from = Some(reader.u64()?).filter(|version| *version != 0);
        let id = reader.text()?;
        Ok(Self { id, stored_ms, keep_until_ms, restored_from, kind, body: reader.0 })
    }

    pub(crate) fn expired(&self, now_ms: u64) -> bool {
        self.keep_until_ms.is_some_and(|until| until <= now_ms)
    }

    pub(crate) fn is_template(&self) -> bool {
        self.kind == KIND_TEMPLATE
    }

    pub(crate) fn template(&self) -> Result<Option<Template>, Malformed> {
        if !self.is_template() {
            return Ok(None);
        }
        Template::decode(self.body).map(Some).map_err(|_| Malformed)
    }

    pub(crate) fn encoded(&self) -> Encoded<'a> {
        if self.is_template() {
            Encoded::Template(Zeroizing::new(self.body.to_vec()))
        } else {
            Encoded::Bytes(self.body)
        }
    }

    pub(crate) fn info(&self, version: u64) -> Result<RecordInfo, Malformed> {
        Ok(self.info_of(version, self.template()?.as_ref()))
    }

    pub(crate) fn info_of(&self, version: u64, template: Option<&Template>) -> RecordInfo {
        RecordInfo {
            id: self.id.to_owned(),
            version,
            stored_ms: self.stored_ms,
            keep_until_ms: self.keep_until_ms,
            restored_from: self.restored_from,
            len: self.body.len(),
            template: template.map(|template| (template.metadata().clone(), template.body().kind())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use terachat_vault::SecretBytes;

    proptest! {
        #[test]
        fn plaintexts_read_what_they_wrote(id in "[a-z]{1,20}", stored_ms: u64, keep in prop::option::of(0..NEVER), from in prop::option::of(1..9u64), body: Vec<u8>) {
            let head = Head { id: &id, stored_ms, keep_until_ms: keep, restored_from: from };
            let content = Content::Bytes(SecretBytes::take(body.clone()));
            let encoded = Encoded::of(&content).unwrap();
            let mut bytes = vec![0; len(&head, &encoded)];
            write(&head, &encoded, &mut bytes);
            let plain = Plain::read(&bytes).unwrap();
            prop_assert_eq!((plain.id, plain.stored_ms, plain.keep_until_ms, plain.restored_from, plain.body), (&id[..], stored_ms, keep, from, &body[..]));
            prop_assert_eq!(plain.info(3).unwrap().version, 3);
        }

        #[test]
        fn any_bytes_are_an_error_or_a_record_and_never_a_panic(bytes: Vec<u8>) {
            if let Ok(plain) = Plain::read(&bytes) {
                let _ = plain.info(1);
            }
        }
    }
}
