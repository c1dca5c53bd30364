use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes as a JSON string: base64 of RFC 4648, section 4, with padding. Wiped on drop.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Base64(Vec<u8>);

impl Base64 {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The bytes, without copying them.
    pub(crate) fn take(mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = STANDARD.encode(&self.0);
        let done = serializer.serialize_str(&text);
        text.zeroize();
        done
    }
}

struct Text;

impl de::Visitor<'_> for Text {
    type Value = Base64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes as base64 with padding")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Base64, E> {
        // The decoder's own words would quote a byte of the content.
        STANDARD.decode(text).map(Base64).map_err(|_| E::custom("not base64 with padding"))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

impl utoipa::PartialSchema for Base64 {
    fn schema() -> RefOr<Schema> {
        let pattern = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .description(Some("Bytes: base64 of RFC 4648, section 4, with padding."))
            .content_encoding("base64")
            .pattern(Some(pattern))
            .max_length(Some(4 * terachat_vault_store::CONTENT_LEN_MAX.div_ceil(3)))
            .examples(["c2VjcmV0"])
            .into()
    }
}

impl utoipa::ToSchema for Base64 {
    fn name() -> Cow<'static, str> {
        "Base64".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_and_other_text_is_refused_without_quoting_it() {
        let json = serde_json::to_string(&Base64::new(b"secret")).unwrap();
        assert_eq!(json, "\"c2VjcmV0\"");
        assert_eq!(serde_json::from_str::<Base64>(&json).unwrap().take(), b"secret");
        for bad in ["\"c2VjcmV\"", "\"c2Vjc*V0\"", "\"AB==\"", "7"] {
            let error = serde_json::from_str::<Base64>(bad).err().unwrap().to_string();
            assert!(!error.contains('*') && !error.contains("c2V"), "{error}");
        }
    }
}
