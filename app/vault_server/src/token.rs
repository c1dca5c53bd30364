//! Bearer tokens: what callers show, and what the vault keeps of them.
mod record;
mod store;

pub use record::TokenInfo;
pub(crate) use store::Holder;
pub use store::{ROTATION_GRACE_MAX, TOKEN_AGE_MAX, TokenError, TokenStore};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// What every token begins with, so that scanners of source code find one that leaked.
const PREFIX: &str = "tcvault_";
const ID_LEN: usize = 8;
const SECRET_LEN: usize = 32;

/// A token as its holder keeps it. Shown once, and only by [`NewToken::expose_token`].
pub struct NewToken {
    text: Zeroizing<String>,
    /// What the vault keeps of it.
    pub info: TokenInfo,
}

impl NewToken {
    /// The token. Hand it to its holder; it cannot be shown again.
    pub fn expose_token(&self) -> &str {
        &self.text
    }
}

/// `tcvault_`, 16 hexadecimal digits that tell tokens apart, 43 characters of secret.
fn text_of(id: &[u8; ID_LEN], secret: &[u8; SECRET_LEN]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + 2 * ID_LEN + 44));
    text.push_str(PREFIX);
    text.push_str(&crate::hex::encode(id));
    URL_SAFE_NO_PAD.encode_string(secret, &mut text);
    text
}

/// The id in a token's text; `None` when it cannot be one.
fn id_of(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(PREFIX)?;
    let id = rest.get(..2 * ID_LEN)?;
    (rest.len() == 2 * ID_LEN + 43).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_itself() {
        let text = text_of(&[0xab; 8], &[7; 32]);
        assert_eq!(text.len(), 67);
        assert_eq!(id_of(&text), Some("abababababababab"));
        for bad in ["", "tcvault_", &text[1..], &text[..66], "tcvault_ä"] {
            assert_eq!(id_of(bad), None, "{bad}");
        }
    }
}
