//! A template's canonical bytes: `docs/format/template.md`.
use crate::{
    Body, BodyKind, Consent, Embedding, Error, LabelKey, Labels, Metadata, Minutiae, Opaque, Quality,
    Template, TemplateType,
};
use zeroize::Zeroizing;

/// The name of the format and its version.
const MAGIC: &[u8; 8] = b"TCtmpl\0\x01";
const NO_QUALITY: u8 = 255;
const HAS_CAPTURE_DEVICE: u8 = 1;
const HAS_CONSENT: u8 = 2;
const HAS_KEEP_UNTIL: u8 = 4;

impl Template {
    /// The canonical bytes, in a buffer that never grew and so left no copy behind.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let (metadata, body) = (self.metadata(), self.body());
        let mut out = Zeroizing::new(Vec::with_capacity(self.encoded_len()));
        write_metadata(metadata, body.kind(), &mut out);
        let len = u32::try_from(body_len(body)).expect("a body is at most 1 MiB");
        out.extend_from_slice(&len.to_le_bytes());
        match body {
            Body::Vector(vector) => out.extend(vector.values().iter().flat_map(|value| value.to_le_bytes())),
            Body::Minutiae(minutiae) => out.extend_from_slice(minutiae.record()),
            Body::Opaque(opaque) => out.extend_from_slice(opaque.bytes()),
        }
        debug_assert_eq!(out.len(), self.encoded_len());
        out
    }

    /// How many bytes [`Template::encode`] gives.
    pub fn encoded_len(&self) -> usize {
        let metadata = self.metadata();
        let text = |text: &str| 2 + text.len();
        let device = metadata.capture_device.as_ref().map_or(0, |device| text(device.as_str()));
        let consent = metadata
            .consent
            .as_ref()
            .map_or(0, |consent| 8 + text(consent.purpose.as_str()) + text(consent.reference.as_str()));
        let keep_until = metadata.keep_until_ms.map_or(0, |_| 8);
        let labels: usize =
            metadata.labels.iter().map(|(key, value)| text(key.as_str()) + text(value.as_str())).sum();
        let fixed = MAGIC.len() + 4 + 1 + 4;
        fixed
            + text(metadata.subject.as_str())
            + device
            + consent
            + keep_until
            + labels
            + body_len(self.body())
    }

    /// Reads exactly one template from its canonical bytes.
    ///
    /// # Errors
    /// [`Error::Format`] for bytes that [`Template::encode`] would not have written, and what the types of the parts
    /// refuse. What was read until then is wiped.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(bytes);
        if reader.array()? != *MAGIC {
            return Err(Error::Format("it does not begin with TCtmpl and version 1"));
        }
        let [template_type, kind, quality, flags] = reader.array()?;
        let template_type = TemplateType::try_from(template_type)?;
        let metadata = read_metadata(&mut reader, template_type, quality, flags)?;
        let len = usize::try_from(u32::from_le_bytes(reader.array()?)).unwrap_or(usize::MAX);
        if reader.0.len() != len {
            return Err(Error::Format("its length is not the one that it declares"));
        }
        Self::new(metadata, read_body(kind, reader.0)?)
    }
}

fn body_len(body: &Body) -> usize {
    match body {
        Body::Vector(vector) => 4 * vector.dimension(),
        Body::Minutiae(minutiae) => minutiae.record().len(),
        Body::Opaque(opaque) => opaque.bytes().len(),
    }
}

fn write_metadata(metadata: &Metadata, kind: BodyKind, out: &mut Vec<u8>) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let flags = flag(metadata.capture_device.is_some(), HAS_CAPTURE_DEVICE)
        | flag(metadata.consent.is_some(), HAS_CONSENT)
        | flag(metadata.keep_until_ms.is_some(), HAS_KEEP_UNTIL);
    out.extend_from_slice(MAGIC);
    let quality = metadata.quality.map_or(NO_QUALITY, Quality::value);
    out.extend_from_slice(&[metadata.template_type as u8, kind as u8, quality, flags]);
    write_text(metadata.subject.as_str(), out);
    if let Some(device) = &metadata.capture_device {
        write_text(device.as_str(), out);
    }
    if let Some(Consent { given_at_ms, purpose, reference }) = &metadata.consent {
        out.extend_from_slice(&given_at_ms.to_le_bytes());
        write_text(purpose.as_str(), out);
        write_text(reference.as_str(), out);
    }
    if let Some(until) = metadata.keep_until_ms {
        out.extend_from_slice(&until.to_le_bytes());
    }
    out.push(u8::try_from(metadata.labels.len()).expect("at most 32 labels"));
    for (key, value) in metadata.labels.iter() {
        write_text(key.as_str(), out);
        write_text(value.as_str(), out);
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    let len = u16::try_from(text.len()).expect("a text is at most 256 bytes");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn read_metadata(
    reader: &mut Reader<'_>,
    template_type: TemplateType,
    quality: u8,
    flags: u8,
) -> Result<Metadata, Error> {
    if flags & !(HAS_CAPTURE_DEVICE | HAS_CONSENT | HAS_KEEP_UNTIL) != 0 {
        return Err(Error::Format("an unknown flag"));
    }
    let has = |flag| flags & flag != 0;
    let mut metadata = Metadata::new(reader.text()?.parse()?, template_type);
    metadata.quality = if quality == NO_QUALITY { None } else { Some(quality.try_into()?) };
    if has(HAS_CAPTURE_DEVICE) {
        metadata.capture_device = Some(reader.text()?.parse()?);
    }
    if has(HAS_CONSENT) {
        let given_at_ms = reader.number()?;
        let (purpose, reference) = (reader.text()?.parse()?, reader.text()?.parse()?);
        metadata.consent = Some(Consent { given_at_ms, purpose, reference });
    }
    if has(HAS_KEEP_UNTIL) {
        metadata.keep_until_ms = Some(reader.number()?);
    }
    metadata.labels = read_labels(reader)?;
    Ok(metadata)
}

fn read_labels(reader: &mut Reader<'_>) -> Result<Labels, Error> {
    let [count] = reader.array()?;
    let (mut labels, mut before) = (Labels::default(), None::<LabelKey>);
    for _ in 0..count {
        let key: LabelKey = reader.text()?.parse()?;
        if before.is_some_and(|before| before >= key) {
            return Err(Error::Format("labels are not strictly ascending"));
        }
        before = Some(key.clone());
        labels.insert(key, reader.text()?.parse()?)?;
    }
    Ok(labels)
}

fn read_body(kind: u8, bytes: &[u8]) -> Result<Body, Error> {
    match kind {
        kind if kind == BodyKind::Vector as u8 => {
            let (numbers, rest) = bytes.as_chunks::<4>();
            if !rest.is_empty() {
                return Err(Error::Format("a vector's length is no multiple of 4"));
            }
            if numbers.len() > crate::DIMENSION_MAX {
                return Err(Error::Dimension(numbers.len()));
            }
            let values = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Embedding::take(values).map(Body::Vector)
        }
        kind if kind == BodyKind::Minutiae as u8 => Minutiae::take(bytes.to_vec()).map(Body::Minutiae),
        kind if kind == BodyKind::Opaque as u8 => Opaque::take(bytes.to_vec()).map(Body::Opaque),
        _ => Err(Error::Format("an unknown kind of body")),
    }
}

/// Takes from the front of bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    const SHORT: Error = Error::Format("it is cut short");

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Self::SHORT)?;
        self.0 = rest;
        Ok(*array)
    }

    fn number(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<&'a str, Error> {
        let len = u16::from_le_bytes(self.array()?);
        let (text, rest) = self.0.split_at_checked(usize::from(len)).ok_or(Self::SHORT)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Error::Format("a text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests;
